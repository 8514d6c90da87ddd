"""Where a schema loses something: places as they are gone through, and reports of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["At", "Reports", "joined"]

At: TypeAlias = "tuple[At | None, str]"
"""A place in a schema: the place around it, and the step from there."""

_MOST = 8
"""Places named for one keyword; a schema may lose it in thousands."""


def joined(at: At) -> str:
    """Return a place as a path."""
    steps = []
    place: At | None = at
    while place is not None:
        place, step = place
        steps.append(step)
    return "".join(reversed(steps))


class Reports:
    """What the schema at `path` loses.

    Args:
        path: Where the schema stands.
        drop: Told the path of each rule that is lost; of a keyword that many lose the first
            eight, then `path` with an ellipsis.
    """

    def __init__(self, path: str, drop: Callable[[str], None]) -> None:
        self._path = path
        self._drop = drop
        self._counts: dict[str, int] = {}

    def lose(self, at: At, keyword: str = "") -> None:
        """Report that `keyword` is lost at `at`; without one, that the schema there is."""
        count = self._counts[keyword] = self._counts.get(keyword, 0) + 1
        end = f".{keyword}" if keyword else ""
        if count <= _MOST:
            self._drop(joined(at) + end)
        elif count == _MOST + 1:
            self._drop(f"{self._path}[...]{end}")
