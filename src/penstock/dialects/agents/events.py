"""What the agents' dialects share: lines that may be anything, and texts in several messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Finish, Meta, ProviderEvent, ReasoningDelta, State, TextDelta
from penstock.dialects.reading import excerpt, parse
from penstock.errors import ProtocolError

if TYPE_CHECKING:
    from penstock.chunks import Chunk
    from penstock.interfaces import Answer

__all__ = ["GAP", "Session", "Speech", "ended", "number", "object_of", "read_lines", "text_of"]
__all__ += ["tool_call", "tool_result"]

# JSON as an agent printed it.
Json: TypeAlias = Any

GAP = "\n\n"
"""What stands between the texts of two messages."""


def read_lines(
    frames: Sequence[bytes], into: list[Chunk], *, answer: Answer[bytes], max_depth: int
) -> Iterator[dict[str, Json]]:
    """Yield the events of `frames` until `answer` is complete.

    A line that is no event is passed on and harms nothing: agents are wrapped in shells and package
    runners that print words of their own. An event that is lost with such a line is missed later:
    without its terminal event an answer is torn.
    """
    for line in frames:
        if answer.complete:
            return
        try:
            event = parse(line, max_depth)
        except ProtocolError:
            event = excerpt(line)
        if isinstance(event, dict):
            yield event
        else:
            into.append(ProviderEvent("line", event))


class Session:
    """The session that an answer is of, for agents that name it in any of their events."""

    __slots__ = ("id",)

    def __init__(self) -> None:
        self.id = ""
        """``""`` until it is known."""

    def known(self, id: str, into: list[Chunk]) -> None:
        """Tell of the session of that id, if it is news."""
        if id and id != self.id:
            self.id = id
            into += [Meta(role="assistant"), State({"session_id": id})]


class Speech:
    """The texts of several messages as the text of one answer, none of it said twice.

    A message comes whole, in pieces, or in pieces and then whole. Where the agent's stream was cut
    it asks again, and the second whole text takes the place of the first one's pieces.

    Args:
        reasoning: Whether it is thinking.
    """

    __slots__ = ("_again", "_last", "_message", "_pieces", "_reasoning", "_spoke", "gap")

    def __init__(self, *, reasoning: bool = False) -> None:
        self._reasoning = reasoning
        self._pieces: list[str] = []
        self._last: list[str] = []
        self._message: str | None = None
        self._again = self._spoke = False
        self.gap = GAP
        """What stands before the next message."""

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
            self._last = []
            if self._spoke:
                self._put(self.gap, into)
            self.gap = GAP
        self._spoke = True
        self._last.append(text)
        self._put(text, into)

    def _put(self, text: str, into: list[Chunk]) -> None:
        if text:
            into.append(ReasoningDelta(text, spelling="") if self._reasoning else TextDelta(text))

    @property
    def spoke(self) -> bool:
        """Whether anything was said."""
        return self._spoke

    @property
    def last(self) -> str:
        """The last message."""
        return "".join(self._last)


def tool_call(id: str, name: str, arguments: Json, **more: Json) -> ProviderEvent:
    """Return the event of a tool that the agent runs."""
    return ProviderEvent("tool_call", {"id": id, "name": name, "arguments": arguments, **more})


def tool_result(id: str, content: Json, *, is_error: bool, **more: Json) -> ProviderEvent:
    """Return the event of a tool that has run."""
    return ProviderEvent(
        "tool_result", {"id": id, "content": content, "is_error": is_error, **more}
    )


def ended(last: str, finish: Finish) -> list[Chunk]:
    """Return the end of an answer whose last message is `last`."""
    return [ProviderEvent("final_text", last), finish]


def number(value: Json) -> int:
    """Return a count of tokens, 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def text_of(value: Json) -> str:
    """Return a text, ``""`` for what is none."""
    return value if isinstance(value, str) else ""


def object_of(value: Json) -> dict[str, Json]:
    """Return an object, ``{}`` for what is none."""
    return value if isinstance(value, dict) else {}
