"""What the agents' dialects share: lines that may be anything, and texts in several messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import ProviderEvent, ReasoningDelta, TextDelta
from penstock.dialects.reading import excerpt, parse
from penstock.errors import ProtocolError

if TYPE_CHECKING:
    from penstock.chunks import Chunk

__all__ = ["GAP", "Speech", "number", "read_line", "text_of", "tool_call", "tool_result"]

# JSON as an agent printed it.
Json: TypeAlias = Any

GAP = "\n\n"
"""What stands between the texts of two messages."""


def read_line(line: bytes, max_depth: int, into: list[Chunk]) -> dict[str, Json] | None:
    """Return the event of `line`; None where it is none, which is passed on and harms nothing.

    Agents are wrapped in shells and package runners that print words of their own. An event that is
    lost with such a line is missed later: without its terminal event an answer is torn.
    """
    try:
        event = parse(line, max_depth)
    except ProtocolError:
        into.append(ProviderEvent("line", excerpt(line)))
        return None
    if isinstance(event, dict):
        return event
    into.append(ProviderEvent("line", event))
    return None


class Speech:
    """The texts of several messages as the text of one answer, none of it said twice.

    A message comes whole, in pieces, or in pieces and then whole. Where the agent's stream was cut
    it asks again, and the second whole text takes the place of the first one's pieces.

    Args:
        reasoning: Whether it is thinking.
    """

    __slots__ = ("_again", "_message", "_pieces", "_reasoning", "_spoke", "gap", "last")

    def __init__(self, *, reasoning: bool = False) -> None:
        self._reasoning = reasoning
        self._pieces: list[str] = []
        self._message: str | None = None
        self._again = self._spoke = False
        self.gap = GAP
        """What stands before the next message."""
        self.last: list[str] = []
        """The pieces of the last message."""

    def restart(self) -> None:
        """Note that a message begins; pieces that were never confirmed come once more."""
        self._again = bool(self._pieces)

    def piece(self, text: str, message: str, into: list[Chunk]) -> None:
        """Say a piece of the message of that id."""
        if text and not self._again:
            self._pieces.append(text)
            self._say(text, message, into)

    def whole(self, text: str, message: str, into: list[Chunk]) -> None:
        """Say what is not yet said of a text."""
        said = "".join(self._pieces)
        self._pieces.clear()
        if said and text.startswith(said):
            self._message = message
        elif said:
            into.append(ProviderEvent("reset", {"text": said}))
            said, self._message = "", None
        self._again = False
        if rest := text[len(said) :]:
            self._say(rest, message, into)

    def _say(self, text: str, message: str, into: list[Chunk]) -> None:
        if message != self._message:
            self._message = message
            self.last = []
            if self._spoke:
                self._put(self.gap, into)
            self.gap = GAP
        self._spoke = True
        self.last.append(text)
        self._put(text, into)

    def _put(self, text: str, into: list[Chunk]) -> None:
        if text:
            into.append(ReasoningDelta(text, spelling="") if self._reasoning else TextDelta(text))

    @property
    def spoke(self) -> bool:
        """Whether anything was said."""
        return self._spoke


def tool_call(id: str, name: str, arguments: Json, **more: Json) -> ProviderEvent:
    """Return the event of a tool that the agent runs."""
    return ProviderEvent("tool_call", {"id": id, "name": name, "arguments": arguments, **more})


def tool_result(id: str, content: Json, *, is_error: bool, **more: Json) -> ProviderEvent:
    """Return the event of a tool that has run."""
    return ProviderEvent(
        "tool_result", {"id": id, "content": content, "is_error": is_error, **more}
    )


def number(value: Json) -> int:
    """Return a count of tokens, 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def text_of(value: Json) -> str:
    """Return a text, ``""`` for what is none."""
    return value if isinstance(value, str) else ""
