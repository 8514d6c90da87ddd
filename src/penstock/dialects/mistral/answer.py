"""One answer as it arrives: OpenAI's, but that its content may come in chunks.

A reasoning model's thinking is a chunk of the content (``ThinkChunk``), and wants to go back as
one, signed where it was: so the order of text and thinking is kept as state, by their lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Chunk, Citation, Finish, ReasoningDelta, State, TextDelta
from penstock.dialects.blocks import Blocks
from penstock.dialects.mistral.wire import plain_thought
from penstock.dialects.openai_chat.answer import ChatAnswer
from penstock.dialects.openai_chat.delta import read_delta
from penstock.dialects.openai_chat.events import Events
from penstock.dialects.reading import UNREADABLE

if TYPE_CHECKING:
    from penstock.interfaces import Ending, Framing
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["MistralAnswer"]

# A frame: an SSE frame with `event` and `data`, or the bytes of one JSON value.
Frame: TypeAlias = Any
# JSON as Mistral sent it.
Json: TypeAlias = Any

_THINKING = b'"thinking"'
_MOST_KNOWN = 128
"""OpenAI's bound of choices; a peer that names itself anew each time is read generically."""
_PLAIN = frozenset({"text", "image_url"})
"""Chunks that OpenAI has, too, or nearly so; images are not sent again."""


class MistralAnswer:
    """One answer to a chat; it is complete as one of OpenAI's is."""

    __slots__ = ("_blocks", "_counted", "_inner", "_known")

    def __init__(self, request: ChatRequest, framed: Framing, limits: Limits) -> None:
        events = Events(limits, self._read_delta)
        self._inner = ChatAnswer(request, framed, limits, events=events)
        self._blocks: dict[int, Blocks] = {}
        self._counted = 0
        # What plain events have said of themselves: those that say the same are no news.
        self._known: set[tuple[str | None, str | None, int]] = set()

    @property
    def complete(self) -> bool:
        """Whether the terminal event has been seen."""
        return self._inner.complete

    @property
    def settled(self) -> bool:
        """Whether every choice has its finish reason."""
        return self._inner.settled

    def feed(self, frames: Sequence[Frame], into: list[Chunk]) -> None:
        """Append the chunks of `frames`; frames after the terminal event are not read.

        Raises:
            PenstockError: The answer says that it failed, or breaks the dialect.
        """
        self._counted = len(into)
        start = 0
        try:
            block = getattr(frames, "block", None)
            if block is not None and _THINKING not in block:
                self._inner.feed(frames, into)
                return
            for place, frame in enumerate(frames):
                data = frame if type(frame) is bytes else frame.data
                if (
                    type(data) is bytes
                    and _THINKING in data
                    and (thought := self._thought(data)) is not None
                ):
                    if start < place:
                        self._inner.feed(frames[start:place], into)
                    if self._inner.complete:
                        return
                    into.append(thought)
                    start = place + 1
            self._inner.feed(frames[start:] if start else frames, into)
        finally:
            self._count(into)

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge an answer whose bytes have ended.

        Raises:
            TruncatedError: A choice has no finish reason, and ``[DONE]`` did not come.
        """
        self._inner.finish(ending, into)

    def _thought(self, data: bytes) -> ReasoningDelta | None:
        """Return the piece of thinking that is all that an event says; None where it says more."""
        try:
            event = plain_thought(data)
        except UNREADABLE:
            return None
        if event.name not in self._known:
            if len(self._known) < _MOST_KNOWN:
                self._known.add(event.name)
            return None
        return ReasoningDelta(event.text, event.name[2]) if event.text else None

    def _count(self, into: list[Chunk]) -> None:
        """Count what has come since the last time, and say the blocks of a choice at its end."""
        place = self._counted
        new = into[place:] if place else into
        if {*map(type, new)} == {TextDelta} and len(choices := {each.choice for each in new}) == 1:
            # A dense read is that.
            self._blocks_of(choices.pop()).add("text", sum([len(each.text) for each in new]))
            self._counted = len(into)
            return
        while place < len(into):
            chunk = into[place]
            kind = type(chunk)
            if kind is TextDelta:
                self._blocks_of(chunk.choice).add("text", len(chunk.text))
            elif kind is ReasoningDelta:
                self._blocks_of(chunk.choice).add("thinking", len(chunk.reasoning))  # type: ignore[union-attr]  # by its type
            elif kind is Finish and (blocks := self._blocks_of(chunk.choice).told()):
                into.insert(place, State({"blocks": blocks}, chunk.choice))
                place += 1
            place += 1
        self._counted = place

    def _blocks_of(self, choice: int) -> Blocks:
        blocks = self._blocks.get(choice)
        if blocks is None:
            blocks = self._blocks[choice] = Blocks()
        return blocks

    def _read_delta(
        self, delta: dict[str, Json], choice: int, events: Events, into: list[Chunk], /
    ) -> dict[str, Json]:
        """Append the chunks of `delta`; those of its content that OpenAI does not have are here."""
        content = delta.get("content")
        if delta.get("prefix") is False:  # AssistantMessage's default, in whole answers
            delta = {name: value for name, value in delta.items() if name != "prefix"}
        if not isinstance(content, list):
            return read_delta(delta, choice, events, into)
        unknown: list[Json] = []
        for part in content:
            kind = part.get("type") if isinstance(part, dict) else "text"
            kind = kind if isinstance(kind, str) else ""
            if kind == "thinking" and isinstance(part.get("thinking"), list):
                self._think(part, choice, into)
            elif kind in _PLAIN:
                rest = read_delta({"content": [part]}, choice, events, into)
                unknown += rest.get("content", ())
            else:
                self._keep(part, choice, into)
                if kind == "reference":
                    into.append(Citation(part, choice))
                else:
                    unknown.append(part)
        more = {name: value for name, value in delta.items() if name != "content"}
        rest = read_delta(more, choice, events, into)
        return {**rest, "content": unknown} if unknown else rest

    def _think(self, part: dict[str, Json], choice: int, into: list[Chunk]) -> None:
        """Append thinking; what is no text in it, and its signature, go back with it."""
        others = []
        for thought in part["thinking"]:
            text = thought.get("text") if isinstance(thought, dict) else thought
            if isinstance(text, str):
                if text:
                    into.append(ReasoningDelta(text, choice))
            else:
                others.append(thought)
                if isinstance(thought, dict) and thought.get("type") == "reference":
                    into.append(Citation(thought, choice))
        more = {
            name: value
            for name, value in part.items()
            # `closed` is for prefixes, which an answer is not (ThinkChunk).
            if name not in ("type", "thinking", "closed") and value is not None
        }
        if others:
            more["others"] = others
        if more:
            self._mark("thinking", choice, into, **more)

    def _keep(self, part: Json, choice: int, into: list[Chunk]) -> None:
        if isinstance(part, dict):
            self._mark("part", choice, into, part=part)

    def _mark(self, kind: str, choice: int, into: list[Chunk], **more: Json) -> None:
        """Note what goes back between what was said before and what comes."""
        self._count(into)
        blocks = self._blocks_of(choice)
        blocks.open(kind, **more)
        blocks.open("")
