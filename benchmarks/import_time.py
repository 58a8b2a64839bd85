"""CPU seconds until `dmef --help` has answered, beside a Python that does nothing.

    python benchmarks/import_time.py

Target: below 0.5 CPU s. The floor is the interpreter's own start.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

from side_by_side import report

ROUNDS = 7


def child_cpu_s(*words: str) -> float:
    """CPU seconds of one child process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure in turn, print one JSON line."""
    commands = {
        "help_cpu_s": ("-m", "dmef_bench.cli", "--help"),
        "methods_cpu_s": ("-m", "dmef_bench.cli", "methods"),
        "face_cpu_s": ("-c", "import dmef_bench"),
        "floor_cpu_s": ("-c", "pass"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, words in commands.items():
            seconds[name].append(child_cpu_s(*words))
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    report("import_time", target_cpu_s=0.5, **medians)


if __name__ == "__main__":
    main()
