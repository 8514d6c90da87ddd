"""One answer as it arrives: AWS's frames to the events of Anthropic's Messages in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.chunks import Chunk, ProviderEvent
from penstock.dialects.anthropic_messages import MessagesAnswer
from penstock.dialects.bedrock_converse.errors import frame_error
from penstock.dialects.bedrock_converse.wire import PADDING
from penstock.dialects.reading import UNREADABLE, excerpt, parse
from penstock.dialects.shape import Shape, lines_of, shape_of
from penstock.errors import ProtocolError

if TYPE_CHECKING:
    from penstock.interfaces import Ending
    from penstock.limits import Limits

__all__ = ["InvokeAnswer"]

# A frame of an event stream, with `headers` and `payload`, or the bytes of one JSON value.
Frame: TypeAlias = Any

_EVENT = ":event-type"
_KIND = ":message-type"


class _Part(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The service model's ``PayloadPart``: an event of the model's own in base64, and padding."""

    data: bytes = msgspec.field(name="bytes")
    p: str = ""


_CODED = re.compile(rb'\{"bytes":"([A-Za-z0-9+/=]*)"(?:,"p":"[A-Za-z0-9]*")?\}\Z')
"""A part that is read together with those that are like it."""
_part = msgspec.json.Decoder(_Part).decode


class InvokeAnswer:
    """One answer to a chat; it is complete as `MessagesAnswer` is.

    Args:
        limits: Has the bounds.
        whole: Whether a frame is the answer's whole body.
    """

    __slots__ = ("_inner", "_max_depth", "_shape")

    def __init__(self, limits: Limits, *, whole: bool = False) -> None:
        self._inner = MessagesAnswer(limits, whole=whole)
        self._max_depth = limits.max_json_depth
        # What stands around the events of the model.
        self._shape: Shape | None = None

    @property
    def complete(self) -> bool:
        """Whether the terminal event has been seen."""
        return self._inner.complete

    @property
    def settled(self) -> bool:
        """Whether the answer has its stop reason."""
        return self._inner.settled

    def feed(self, frames: Sequence[Frame], into: list[Chunk]) -> None:
        """Append the chunks of `frames`; frames after the terminal event are not read.

        Raises:
            PenstockError: The answer says that it failed, or breaks the dialect.
        """
        lines = lines_of(frames)
        if lines is not frames and frames[0].headers.get(_EVENT) == "chunk":
            events = self._parts(lines)
            if events is not None:
                self._inner.feed(events, into)
                return
        self._feed_each(frames, into)

    def _parts(self, payloads: Sequence[bytes]) -> list[bytes] | None:
        """Return the model's events in `payloads` that all are alike; None for others."""
        if self._shape is None:
            found = _CODED.match(payloads[0])
            if found is not None:
                self._shape = shape_of(
                    payloads[0], b"bytes", found[1].decode(), free=(PADDING.encode(),), kind=bytes
                )
        parts = None if self._shape is None else self._shape.texts(payloads)
        if parts is None:
            self._shape = None
        return parts

    def _feed_each(self, frames: Sequence[Frame], into: list[Chunk]) -> None:
        events: list[bytes] = []
        for frame in frames:
            if type(frame) is bytes:
                events.append(frame)
                continue
            if frame.headers.get(_EVENT) == "chunk":
                try:
                    events.append(_part(frame.payload).data)
                    continue
                except UNREADABLE:
                    pass
            self._inner.feed(events, into)  # what came before it is not lost by its failing
            events = []
            if self._inner.complete:
                return
            self._take(frame, into)
        self._inner.feed(events, into)

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge an answer whose bytes have ended.

        Raises:
            TruncatedError: The terminal event did not come.
        """
        self._inner.finish(ending, into)

    def _take(self, frame: Frame, into: list[Chunk]) -> None:
        """Read a frame of any shape."""
        if frame.headers.get(_KIND, "event") != "event":
            raise frame_error(frame.headers, frame.payload)
        name = frame.headers.get(_EVENT)
        name = name if isinstance(name, str) else "event"
        event = parse(frame.payload, self._max_depth) if frame.payload else {}
        if name == "chunk":
            if not isinstance(event, dict) or not isinstance(event.get("bytes"), str):
                raise ProtocolError(
                    f"a chunk of the answer has no bytes: {excerpt(frame.payload)}",
                    code="bad_event",
                )
            try:
                inner = msgspec.convert(event["bytes"], bytes)
            except msgspec.ValidationError:
                raise ProtocolError(
                    f"a chunk of the answer is not base64: {excerpt(frame.payload)}",
                    code="bad_event",
                ) from None
            self._inner.feed([inner], into)
            rest = {field: each for field, each in event.items() if field not in ("bytes", "p")}
            if rest:
                into.append(ProviderEvent("chunk", rest))
            return
        into.append(ProviderEvent(name, event))
