"""What of a conversation may be summed up: stretches between what every view has.

They are found one after the other by who says each message, and no number of those before is held.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from penstock.conversations.always import SYSTEM, Pins, grouped, roles_from
from penstock.conversations.measuring import RESULTS

if TYPE_CHECKING:
    from penstock.conversations.stores import Store

__all__ = ["Stretch", "end_of", "stretches"]


class Stretch(NamedTuple):
    """Neighbouring messages."""

    start: int
    """The number of the first."""
    stop: int
    """The number behind the last."""


def end_of(store: Store, keep: int) -> int:
    """Return the number before which there is no part of the last `keep` messages."""
    return grouped(store, max(store.length() - keep, 0))


def stretches(store: Store, start: int, stop: int) -> Iterator[Stretch]:
    """Yield what may be summed up between two numbers: not the system's or the pinned messages.

    Args:
        store: The conversation.
        start: The first number, with which no result of an earlier call begins.
        stop: The number behind the last, of which the same is true.
    """
    pins, turn = Pins(store, stop), _Turn(start, is_call=False)
    for number, role in enumerate(roles_from(store, start, stop), start):
        is_pinned = pins.after(number) == number
        if role in SYSTEM:
            turn.speaks(number)
        elif role in RESULTS:
            turn.returns(number, is_pinned=is_pinned)
        else:
            found, start = turn.ended(start, number)
            yield from found
            turn = _Turn(number, is_pinned=is_pinned)
    found, start = turn.ended(start, stop)
    yield from found
    if start < stop:
        yield Stretch(start, stop)


class _Turn:
    """A message, its results, and what the system says amid and behind them.

    Where the system speaks amid the results of a call, no summary has a part of them; nor has it
    where one of them is pinned.

    Args:
        start: The message's number.
        is_call: Whether there is one; not where a conversation begins with results.
        is_pinned: Whether it is pinned.
    """

    def __init__(self, start: int, *, is_call: bool = True, is_pinned: bool = False) -> None:
        self._start = start
        self._is_call = is_call
        self._end = start + is_call
        """The number behind the last result."""
        self._kept: int | None = start if is_pinned else None
        """From where on it is in every view."""
        self._spoken: int | None = None
        """Where the system has spoken first."""

    def speaks(self, number: int) -> None:
        """Note a message of the system."""
        if self._spoken is None:
            self._spoken = number

    def returns(self, number: int, *, is_pinned: bool) -> None:
        """Note a result."""
        self._end = number + 1
        if self._kept is not None:
            return
        if self._spoken is not None:
            self._kept = self._start if self._is_call else self._spoken
        elif is_pinned:
            self._kept = self._start if self._is_call else number

    def ended(self, start: int, stop: int) -> tuple[list[Stretch], int]:
        """Return what may be summed up by its end, `stop`, and where the next stretch begins.

        Args:
            start: Where the one begins that has come to this turn.
            stop: The number behind the last message of the turn.
        """
        found = []
        if self._kept is not None:
            found.append(Stretch(start, self._kept))
            start = self._end
        if self._end < stop:  # the system speaks behind the last result
            found.append(Stretch(start, self._end))
            start = stop
        return [each for each in found if each.start < each.stop], start
