"""Which training scenes are kept back for validation: whole clips, never test scenes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence


def hold_out(groups: Sequence[str], share: float, salt: str = "dmef-validation") -> tuple[int, ...]:
    """Indices of the scenes that only validation sees.

    Parameters
    ----------
    groups : sequence of str
        The group (clip) of each scene, in the scenes' order.
    share : float
        Of the scenes, at least; 0 holds out none.
    salt : str
        Mixed into the hash by which groups are chosen.

    Returns
    -------
    tuple of int
        Whole groups, the least number that reaches the share, and never all of them: a single
        group cannot be split without showing the network what it is validated on.

    Notes
    -----
    Groups stand in the order of SHA-256(salt NUL group). Those whose scenes fit into twice the
    share come first, lest one long clip be held out where a short one would do.

    Examples
    --------
    >>> hold_out(["a", "a", "b", "c"], share=0.25)
    (0, 1)
    """
    sizes = Counter(groups)
    wanted = share * len(groups)

    def order(group: str) -> tuple[bool, bytes]:
        hashed = hashlib.sha256(f"{salt}\0{group}".encode()).digest()
        return sizes[group] > 2 * wanted, hashed

    chosen: set[str] = set()
    for group in sorted(sizes, key=order)[: len(sizes) - 1]:
        if sum(sizes[each] for each in chosen) >= wanted:
            break
        chosen.add(group)
    return tuple(index for index, group in enumerate(groups) if group in chosen)
