"""The data set's papers for people: the card ``README.md`` and ``DATASHEET.md``."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dmef_bench.building.facts import Facts
from dmef_bench.building.recipe import Recipe
from dmef_bench.manifest import Manifest
from dmef_bench.units import bytes_text

BLANK = "TODO:"
"""How a line begins that a person has to fill in."""


def dataset_card(manifest: Manifest) -> str:
    """``README.md``: what the data set is, in figures; Hugging Face reads its head."""
    return _render("card.md", manifest)


def datasheet(manifest: Manifest, before: str = "") -> str:
    """``DATASHEET.md``: the questions of Gebru et al. (2021), figures filled in.

    Parameters
    ----------
    manifest : Manifest
        Of the data set.
    before : str
        An earlier datasheet; what people wrote in place of its blanks is kept.
    """
    parts = _questions(_render("datasheet.md", manifest))
    answers = dict(_questions(before))
    return "".join(
        heading + (answers.get(heading, text) if _is_blank(text) else text)
        for heading, text in parts
    )


def blanks(text: str) -> list[str]:
    r"""What nobody has filled in yet: the question, if any, and the hint that stands there.

    Examples
    --------
    >>> blanks("### Who paid?\n\nTODO: grant, or none.\n")
    ['Who paid? TODO: grant, or none.']
    """
    left, question = [], ""
    for line in text.splitlines():
        if line.startswith("### "):
            question = f"{line.removeprefix('### ').strip()} "
        elif line.lstrip().startswith(BLANK):
            left.append(f"{question}{line.strip()}")
    return left


def _questions(text: str) -> list[tuple[str, str]]:
    """A document as (heading, what stands below it); together they are the text again."""
    head, *rest = re.split(r"(?m)^(#{1,3} .*\n)", text)
    return [("", head), *zip(rest[::2], rest[1::2], strict=True)]


def _is_blank(text: str) -> bool:
    return text.strip().startswith(BLANK)


def _render(name: str, manifest: Manifest) -> str:
    recipe = Recipe.from_record(manifest.dataset.get("recipe") or {})
    text = _environment().get_template(name).render(
        facts=Facts.of(manifest),
        aux=any(scene.aux for scene in manifest.scenes),
        kind=recipe.format,
        noisy=recipe.noise is not None,
        jitter=recipe.crf_jitter,
        identity=recipe.is_identity,
    )  # fmt: skip
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=False,  # Markdown; words from outside go through `plain`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "plain": plain,
        "yaml": lambda text: json.dumps(" ".join(str(text).split()), ensure_ascii=False),
        "size": bytes_text,
        "decibel": decibel,
        "percent": percent,
    }
    return environment


def decibel(value: float) -> str:
    """A PSNR to one digit, without its unit."""
    return f"{value:.1f}" if math.isfinite(value) else "∞"


def percent(share: float) -> str:
    """A share in percent, to one digit."""
    return f"{100 * share:.1f} %"


def plain(text: object) -> str:
    r"""Words from outside as they may stand in Markdown: one line, no markup of their own.

    Examples
    --------
    >>> print(plain("a | b\n<img src=x> [y](z)"))
    a \| b &lt;img src=x&gt; \[y\](z)
    """
    line = " ".join(str(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|])", r"\\\1", line)
