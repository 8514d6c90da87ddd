"""What an answer's tool calls may be: so many of them, and their arguments so long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import LimitExceededError

if TYPE_CHECKING:
    from penstock.limits import Limits

__all__ = ["Tally"]


class Tally:
    """Counts the tool calls of all choices together, and the bytes of each one's arguments.

    Args:
        limits: Has the bounds ``max_tool_calls`` and ``max_tool_arguments``.
    """

    __slots__ = ("_calls", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._calls = 0

    def add(self) -> None:
        """Count a call.

        Raises:
            LimitExceededError: It is one too many.
        """
        self._calls += 1
        self._check("max_tool_calls", self._limits.max_tool_calls, self._calls)

    def grow(self, size: int, arguments: str) -> int:
        """Return the bytes of a call's arguments once `arguments` are behind the `size` so far.

        Raises:
            LimitExceededError: They are too many.
        """
        # `encode` counts without leaving a UTF-8 copy inside the string.
        size += len(arguments) if arguments.isascii() else len(arguments.encode())
        self._check("max_tool_arguments", self._limits.max_tool_arguments, size)
        return size

    def _check(self, name: str, limit: int, reached: int) -> None:
        if reached > limit:
            raise LimitExceededError(
                f"the answer exceeds Limits.{name}: {reached} over {limit}",
                phase=name,
                limit=limit,
                elapsed=reached,
            )
