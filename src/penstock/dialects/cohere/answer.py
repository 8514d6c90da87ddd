"""One answer as it arrives: frames to chunks, and whether it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Chunk, ReasoningDelta, TextDelta
from penstock.dialects import together
from penstock.dialects.cohere.events import Events
from penstock.dialects.cohere.wire import PlainEvent, plain
from penstock.dialects.errors import event_error
from penstock.dialects.openai_chat.answer import framing
from penstock.dialects.reading import UNREADABLE, excerpt, parse
from penstock.dialects.shape import Sample
from penstock.errors import ProtocolError, TruncatedError

if TYPE_CHECKING:
    from penstock.interfaces import Ending, Framing
    from penstock.limits import Limits

__all__ = ["CohereAnswer", "framing"]

# A frame: an SSE frame with `event` and `data`, or the bytes of one JSON value.
Frame: TypeAlias = Any

_DONE = b"[DONE]"


class CohereAnswer:
    """One answer to a chat; it is complete with ``message-end``, or as one whole object."""

    __slots__ = ("_events", "_max_depth", "_sample", "_whole", "complete")

    def __init__(self, framed: Framing, limits: Limits) -> None:
        self.complete = False
        """Whether the terminal event has been seen."""
        self._events = Events(limits)
        self._max_depth = limits.max_json_depth
        self._whole = framed == "json"
        # What plain pieces of the text that is open look like.
        self._sample: Sample | None = None

    @property
    def settled(self) -> bool:
        """Whether the answer's content is whole: the terminal event is the last one."""
        return self.complete

    feed = together.feed

    def read_alike(self, frames: Sequence[Frame], into: list[Chunk]) -> bool:
        """Read frames that all are like an earlier one but for their text; False for others."""
        texts = None if self._sample is None else self._sample.texts(frames)
        if texts is None:
            return False
        self._events.blocks.size += sum(map(len, texts))
        into += map(TextDelta, filter(None, texts))
        return True

    def read_each(self, frames: Sequence[Frame], into: list[Chunk]) -> None:
        """Read frames of any shape, until one is the terminal event."""
        events = self._events
        blocks = events.blocks
        data: bytes | str = b""
        text = ""
        for frame in frames:
            data = frame if type(frame) is bytes else frame.data
            try:
                event = plain(data)
            except UNREADABLE:
                event = None
            if event is not None:
                content = event.delta.message.content
                # Text of the block that is open, without the calls that everything else costs.
                if (
                    content is not None
                    and content.text
                    and content.thinking is None
                    and event.index == events.open
                    and blocks.kind == "text"
                    and event.type == "content-delta"
                ):
                    text = content.text
                    blocks.size += len(text)
                    into.append(TextDelta(text))
                    continue
                text, self._sample = "", None
                if self._read_plain(event, into):
                    continue
            text, self._sample = "", None
            self._read(frame, data, into)
            if events.done:
                self.complete = True
                return
        if text and type(data) is bytes:
            self._sample = Sample(data, b"text", text)

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge an answer whose bytes have ended.

        Raises:
            TruncatedError: ``message-end`` did not come.
        """
        if self.complete:
            return
        how = f" ({ending.detail})" if ending.detail else ""
        what = "without message-end" if self._events.begun else "before its first event"
        raise TruncatedError(f"the answer ended {what}{how}", code="no_terminal_event")

    def _read_plain(self, event: PlainEvent, into: list[Chunk]) -> bool:
        """Append the only piece of a plain event; False where there is more to it than that."""
        message, blocks = event.delta.message, self._events.blocks
        content, call = message.content, message.tool_calls
        if event.type == "tool-call-delta":
            if call is None or content is not None or message.tool_plan is not None:
                return False
            return self._events.grow(event.index, call.function.arguments, into)
        if call is not None:
            return False
        if event.type == "tool-plan-delta" and content is None and message.tool_plan:
            blocks.add("plan", len(message.tool_plan))
            into.append(ReasoningDelta(message.tool_plan))
            return True
        if (
            event.type != "content-delta"
            or content is None
            or content.text is not None
            or not content.thinking
            or message.tool_plan is not None
            or blocks.kind != "thinking"
            or event.index != self._events.open
        ):
            return False
        blocks.size += len(content.thinking)
        into.append(ReasoningDelta(content.thinking))
        return True

    def _read(self, frame: Frame, data: bytes | str, into: list[Chunk]) -> None:
        """Read a frame of any shape."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
        data = data.strip()
        if not data or data == _DONE:
            return
        event = parse(data, self._max_depth, whole=self._whole)
        if getattr(frame, "event", "") == "error":
            raise event_error(event if isinstance(event, dict) else {"message": str(event)})
        if not isinstance(event, dict):
            raise ProtocolError(
                f"an event of the answer is no object: {excerpt(data)}", code="bad_event"
            )
        if "type" not in event and (self._whole or "finish_reason" in event):
            self._events.read_whole(event, into)
        else:
            self._events.read(event, into)
