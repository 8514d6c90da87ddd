"""One answer as it arrives: frames to chunks, and whether it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Chunk, ProviderEvent, TextDelta, ToolCallDelta
from penstock.dialects import together
from penstock.dialects.openai_chat.answer import framing
from penstock.dialects.openai_responses.events import Events
from penstock.dialects.openai_responses.output import CALLS, Part
from penstock.dialects.openai_responses.wire import (
    Plain,
    PlainArguments,
    PlainSummary,
    PlainText,
    PlainThought,
    plain,
)
from penstock.dialects.reading import UNREADABLE, excerpt, parse
from penstock.dialects.shape import Sample
from penstock.errors import ProtocolError, TruncatedError
from penstock.request import RecallRequest

if TYPE_CHECKING:
    from penstock.interfaces import Ending, Framing
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["ResponsesAnswer", "framing"]

# A frame: an SSE frame with `event` and `data`, or the bytes of one JSON value.
Frame: TypeAlias = Any
# JSON as a provider sent it.
Json: TypeAlias = Any

_DONE = b"[DONE]"
# What each event has of its own beside its text: `plain` reads it and nothing is made of it.
_FREE = (b"sequence_number", b"obfuscation")


class ResponsesAnswer:
    """One answer to a chat.

    It is complete with ``response.completed`` or ``response.incomplete``; OpenAI sends nothing
    behind it. A ``[DONE]``, which some others send, ends nothing.
    """

    __slots__ = ("_alike", "_events", "_max_depth", "_read_any", "_whole", "complete")

    def __init__(self, request: ChatRequest, framed: Framing, limits: Limits) -> None:
        self.complete = False
        """Whether the terminal event has been seen."""
        recall = request if isinstance(request, RecallRequest) else None
        self._events = Events(limits, recall)
        # What plain pieces of text look like, and of which part they are.
        self._alike: tuple[Sample, Part] | None = None
        self._max_depth = limits.max_json_depth
        self._whole = framed == "json"
        self._read_any = False

    @property
    def settled(self) -> bool:
        """Whether the answer's content is whole: nothing says so but the terminal event."""
        return self.complete

    feed = together.feed

    def read_alike(self, frames: Sequence[Frame], into: list[Chunk]) -> bool:
        """Read frames that all are like an earlier one but for their text; False for others."""
        if self._alike is None:
            return False
        sample, part = self._alike
        texts = sample.texts(frames)
        if texts is None:
            return False
        size = sum(map(len, texts))
        part.size += size
        self._events.output.said["text"] += size
        into += map(TextDelta, filter(None, texts))
        return True

    def read_each(self, frames: Sequence[Frame], into: list[Chunk]) -> None:
        """Read frames of any shape, until one is the terminal event."""
        output, told = self._events.output, self._events.told
        texts, said = output.texts, output.said
        data: Any = b""  # Any: bytes or str, as the frame has it
        last: tuple[Part, str] | None = None
        for frame in frames:
            data = getattr(frame, "data", frame)
            try:
                event = None if told.background else plain(data)
            except UNREADABLE:
                event = None
            if isinstance(event, PlainText):
                part = texts.get((event.output_index, event.content_index))
                if part is not None and part.start + part.size == said["text"] and event.delta:
                    size = len(event.delta)
                    part.size += size
                    said["text"] += size
                    into.append(TextDelta(event.delta))
                    last = part, event.delta
                    continue
            last = self._alike = None
            if event is not None and self._read_plain(event, into):
                continue
            before = self._events.number
            self._read(frame, data, into)
            if self.complete:
                return
            if told.background and self._events.number != before:
                # Behind this event the stream can be taken up again.
                into.append(ProviderEvent("sequence", {"sequence_number": self._events.number}))
        if last is not None and type(data) is bytes:
            self._alike = Sample(data, b"delta", last[1], _FREE), last[0]

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge an answer whose bytes have ended.

        Raises:
            TruncatedError: The terminal event did not come.
        """
        if self.complete:
            return
        how = f" ({ending.detail})" if ending.detail else ""
        what = "before its first event" if not self._read_any else "without its terminal event"
        raise TruncatedError(f"the answer ended {what}{how}", code="no_terminal_event")

    def _read_plain(self, event: Plain, into: list[Chunk]) -> bool:
        """Append a piece of an item that has begun; False where there is more to it than that."""
        output = self._events.output
        item = output.open.get(event.output_index)
        if item is None or item.done:
            return False
        if isinstance(event, PlainArguments):
            part = item.parts.get(("arguments", 0))
            if part is None or item.call is None or not event.delta:
                return False
            output.grow(item, event.delta)
            part.size += len(event.delta)
            kind = CALLS[str(item.kind)]
            into.append(ToolCallDelta(item.call, "", "", event.delta, 0, kind))
            return True
        if isinstance(event, PlainThought):
            output.say(item, "thought", event.content_index, event.delta, into)
            return True
        if isinstance(event, PlainSummary):
            output.say(item, "summary", event.summary_index, event.delta, into)
            return True
        return False

    def _read(self, frame: Frame, data: bytes | str, into: list[Chunk]) -> None:
        """Read a frame of any shape."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
        data = data.strip()
        if not data or data == _DONE:
            return
        name = getattr(frame, "event", "message") or "message"
        if name == "error" and not data.startswith((b"{", b"[")):
            self._events.read(name, {"message": data.decode("utf-8", "replace")}, into)
        event = parse(data, self._max_depth, whole=self._whole)
        if event is None:
            return
        self._read_any = True
        if not isinstance(event, dict):
            raise ProtocolError(
                f"an event of the answer is no object: {excerpt(data)}", code="bad_event"
            )
        if self._whole:
            self._events.whole(event, into)
            self.complete = True
        else:
            self._events.read(name, event, into)
            self.complete = self._events.complete
