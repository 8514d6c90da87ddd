"""What the decoders have in common when something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TypeAlias

import msgspec

from penstock.errors import DecodeError, LimitExceededError
from penstock.limits import Limits

__all__ = ["BOUNDS", "STEP", "Fault", "Fuse", "exceeded", "is_json", "torn"]

BOUNDS = Limits()
"""Where the defaults of the keyword bounds come from."""

STEP = 64 * 1024
"""Bytes that a decoder takes at a time, so that its working copies stay this small however much one
call brings. It is also the most that a transport reads at once."""

Fault: TypeAlias = DecodeError | LimitExceededError

_syntax = msgspec.json.Decoder(msgspec.Raw)


class Fuse(msgspec.Struct, eq=False):
    """Remembers a decoder's first fault, so that no later call can pass over it."""

    _fault: Fault | None = None

    def check(self) -> None:
        """Raise the fault again, if there was one.

        A copy is raised: it has no frames, which were delivered with the first, and no traceback
        that grows with every call.
        """
        if self._fault is not None:
            raise copy(self._fault)

    def blow(self, fault: Fault, frames: Sequence[object]) -> None:
        """Give `fault` the `frames` that were complete before it, and remember it."""
        fault.frames = list(frames)
        self._fault = copy(fault)


def exceeded(bound: str, limit: int, size: int) -> LimitExceededError:
    """Return the error for a `bound` of `limit`, in bytes or levels, that `size` has passed."""
    return LimitExceededError(
        f"The answer passes {bound}={limit}", phase=bound, limit=limit, elapsed=size
    )


def torn(what: str) -> DecodeError:
    """Return the error for an answer that ended inside `what`.

    Its ``code`` tells an end that came too soon from bytes that are wrong.
    """
    return DecodeError(f"The answer ended inside {what}", code="torn_end")


def is_json(data: bytes | bytearray) -> bool:
    """Whether `data` is one whole JSON value.

    The syntax alone is read, at about a third of the price of decoding; UTF-8 inside strings is the
    reader's to check. What is nested deeper than the interpreter's stack allows is no JSON that
    anybody here can read.
    """
    try:
        _syntax.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
