"""How far long work has come: a bar with an estimate on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm


class Bar:
    """Progress of one long piece of work, on stderr.

    Parameters
    ----------
    title : str
        What is being done.
    unit : str
        What is counted.
    quiet_s : float
        Without a terminal, seconds between two lines (the last one is always written).
    """

    def __init__(self, title: str, unit: str, quiet_s: float = 5.0) -> None:
        self._title, self._unit, self._quiet_s = title, unit, quiet_s
        self._live = sys.stderr.isatty()
        self._begin = self._last = time.monotonic()
        self._bar: tqdm | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, done: int, total: int, news: str = "") -> None:
        """Show that ``done`` of ``total`` units are finished, and what the last one said."""
        if self._live:
            self._draw(done, total, news)
            return
        now = time.monotonic()
        if done == total or now - self._last >= self._quiet_s:
            self._last = now
            sys.stderr.write(f"{self._title}: {done}/{total}{self._left(done, total)} {news}\n")
            sys.stderr.flush()

    def _draw(self, done: int, total: int, news: str) -> None:
        if self._bar is None:
            self._bar = tqdm(total=total, desc=self._title, unit=self._unit, file=sys.stderr)
        self._bar.total, self._bar.n = total, done
        self._bar.set_postfix_str(news[:60])
        self._bar.refresh()

    def _left(self, done: int, total: int) -> str:
        if not 0 < done < total:
            return ""
        seconds = (time.monotonic() - self._begin) * (total - done) / done
        return f", about {seconds:.0f} s left"
