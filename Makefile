PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test lint docs clean

demo: $(VENV)/.installed
	$(BIN)/dmef demo -o demo

test: $(VENV)/.installed
	# One process a core, one thread a process: threads that wait for each other only cost.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Named one by one: pdoc follows __all__, and rooms hand on only some of what they hold. What it
# finds twice it says so of at length.
MODULES = $(shell find dmef_bench baselines ipl -name '*.py' ! -name __main__.py \
	| sed 's|/__init__.py$$||; s|\.py$$||; s|/|.|g' | sort)

docs: $(VENV)/.installed
	# The reference, from the docstrings; the pages to read are in docs/.
	$(BIN)/python -m pip install --quiet -e ".[docs]"
	PYTHONWARNINGS=ignore $(BIN)/pdoc --docformat numpy -o build/docs $(MODULES)

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "dmef needs Python 3.11 or newer; try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) demo build dist *.egg-info
