"""Work on a Dask cluster: its client as an ordinary executor."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from dmef_bench.errors import UnavailableError


@contextmanager
def dask_executor(address: str, *, retries: int = 0) -> Iterator[Executor]:
    """The cluster at ``address`` as a `concurrent.futures.Executor`.

    Not the client itself: its futures are none that `concurrent.futures.wait` understands.

    Parameters
    ----------
    address : str
        Of the scheduler.
    retries : int
        How often a task that raises is tried again elsewhere.

    Raises
    ------
    UnavailableError
        Dask is not installed, or nobody answers at the address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise UnavailableError(
            "--dask needs the package dask[distributed]; install dmef with its extra `cluster`."
        ) from error
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise UnavailableError(f"No Dask scheduler answers at {address!r} ({error}).") from error
    with client:
        # Not pure: equal tasks are run again where they are asked for again.
        yield client.get_executor(pure=False, retries=retries)
