"""One answer as it arrives: frames to chunks, and whether it is complete.

A frame is a server-sent event, or the bytes of one event as JSON (Bedrock's ``InvokeModel``), or of
a whole ``Message``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import (
    Chunk,
    Finish,
    Meta,
    ProviderEvent,
    RefusalDelta,
    State,
    TextDelta,
)
from penstock.dialects import together
from penstock.dialects.anthropic_messages.blocks import Block, Blocks
from penstock.dialects.anthropic_messages.errors import stream_error
from penstock.dialects.anthropic_messages.record import EXPLAINED
from penstock.dialects.anthropic_messages.usage import finish, usage
from penstock.dialects.anthropic_messages.wire import PlainJson, PlainText, PlainThinking, plain
from penstock.dialects.framings import framed
from penstock.dialects.reading import UNREADABLE, excerpt, parse
from penstock.dialects.shape import Sample
from penstock.errors import ProtocolError, TruncatedError

if TYPE_CHECKING:
    from penstock.interfaces import Ending, Framing
    from penstock.limits import Limits

__all__ = ["MessagesAnswer", "framing"]

# A frame: an SSE frame with `event` and `data`, or the bytes of one JSON value.
Frame: TypeAlias = Any
# JSON as a provider sent it.
Json: TypeAlias = Any

_DONE = b"[DONE]"
_FRAMINGS: dict[str, Framing] = {
    "text/event-stream": "sse",
    "text/plain": "sse",  # some self-made servers
    "": "sse",
    "application/json": "json",
    "text/json": "json",
}
_MESSAGE = frozenset({"id", "type", "role", "model", "content", "stop_reason", "usage"})
_STOP = ("stop_sequence", "stop_details")
_MESSAGE |= {*_STOP}
_DELTA = frozenset({"stop_reason", *_STOP})
_EVENT = frozenset({"type", "delta", "usage"})


def framing(content_type: str) -> Framing:
    """Say how an answer of `content_type` is framed.

    Raises:
        ProtocolError: It is neither an event stream nor JSON.
    """
    otherwise = "neither an event stream nor JSON: is base_url the API's address?"
    return framed(content_type, _FRAMINGS, otherwise=otherwise)


class MessagesAnswer:
    """One answer to a chat; it is complete with ``message_stop``, or as a whole ``Message``.

    Args:
        limits: Has the bounds.
        whole: Whether a frame is the answer's whole body, so that JSON which ends early is a
            truncation.
    """

    __slots__ = (
        "_alike",
        "_blocks",
        "_finished",
        "_max_depth",
        "_meta",
        "_started",
        "_usage",
        "_whole",
        "complete",
    )

    def __init__(self, limits: Limits, *, whole: bool = False) -> None:
        self.complete = False
        """Whether the terminal event has been seen."""
        self._blocks = Blocks(limits)
        # What text looks like in the block that is open, and that block.
        self._alike: tuple[Sample, Block] | None = None
        self._max_depth = limits.max_json_depth
        self._whole = whole
        self._started = False
        self._finished = False
        self._meta: dict[str, Json] = {}
        self._usage: dict[str, Json] = {}

    @property
    def settled(self) -> bool:
        """Whether the answer has its stop reason."""
        return self._finished

    feed = together.feed

    def read_each(self, frames: Sequence[Frame], into: list[Chunk]) -> None:
        """Read frames of any shape, until one is the terminal event."""
        blocks = self._blocks
        opened = blocks.open
        data, last = b"", None
        for frame in frames:
            data = frame if type(frame) is bytes else frame.data
            try:
                event = plain(data)
            except UNREADABLE:
                event = None
            if (
                event is not None
                and (block := opened.get(event.index)) is not None
                and block.kind == event.delta.of
            ):
                piece = event.delta
                if type(piece) is PlainText:
                    if piece.text:
                        block.size += len(piece.text)
                        into.append(TextDelta(piece.text))
                        last = block, piece.text
                elif type(piece) is PlainThinking:
                    blocks.grow_thinking(block, piece.thinking, into)
                elif type(piece) is PlainJson:
                    blocks.grow_input(block, piece.partial_json, into)
                continue
            last = self._alike = None
            self._take(frame, data, into)
            if self.complete:
                return
        self._learn(data, last)

    def _learn(self, data: bytes | str, last: tuple[Block, str] | None) -> None:
        """Note what the `last` text, of the event in `data`, has around it."""
        if last is not None and type(data) is bytes:
            self._alike = Sample(data, b"text", last[1]), last[0]

    def read_alike(self, frames: Sequence[Frame], into: list[Chunk]) -> bool:
        """Read frames that all are like an earlier one but for their text; False for others."""
        return together.read_block(self._alike, frames, into)

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge an answer whose bytes have ended.

        Raises:
            TruncatedError: ``message_stop`` did not come.
        """
        if self.complete:
            return
        how = f" ({ending.detail})" if ending.detail else ""
        what = "without message_stop" if self._started else "before its first event"
        raise TruncatedError(f"the answer ended {what}{how}", code="no_terminal_event")

    def _take(self, frame: Frame, data: bytes | str, into: list[Chunk]) -> None:
        """Read a frame of any shape."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
        data = data.strip()
        name = getattr(frame, "event", "message") or "message"
        if not data or data == _DONE:  # copies of the API that end as OpenAI's streams do
            return
        if not data.startswith((b"{", b"[")) and name not in _READERS:
            if name == "error":
                raise stream_error({"message": data.decode("utf-8", "replace")})
            into.append(ProviderEvent(name, data.decode("utf-8", "replace")))
            return
        event = parse(data, self._max_depth, whole=self._whole)
        if not isinstance(event, dict):
            raise ProtocolError(
                f"an event of the answer is no object: {excerpt(data)}", code="bad_event"
            )
        kind = event.get("type")
        kind = kind if isinstance(kind, str) else name
        read = _READERS.get(kind)
        if kind == "message" and not isinstance(event.get("content"), list):
            read = None
        if "error" in (kind, name) or (read is None and event.get("error")):
            raise stream_error(event)
        if read is None:
            into.append(ProviderEvent(kind, event))
            return
        read(self, event, into)

    def _begin(self, event: dict[str, Json], into: list[Chunk]) -> None:
        message = event.get("message")
        if not isinstance(message, dict):
            raise ProtocolError("a message_start has no message", code="bad_event")
        self._started = True
        self._introduce(message, into)
        ending = {name: message.get(name) for name in ("stop_reason", *_STOP)}
        rest = _without(event, frozenset({"type", "message"})) | _without(ending, frozenset())
        self._tell("chunk", rest, into)
        content = message.get("content")
        for place, block in enumerate(content if isinstance(content, list) else ()):
            self._blocks.begin(place, block, into)
            self._blocks.end(place, into)

    def _begin_block(self, event: dict[str, Json], into: list[Chunk]) -> None:
        self._check_started()
        self._blocks.begin(event.get("index"), event.get("content_block"), into)
        rest = _without(event, frozenset({"type", "index", "content_block"}))
        self._tell("content_block_start", rest, into)

    def _grow_block(self, event: dict[str, Json], into: list[Chunk]) -> None:
        self._blocks.grow(event.get("index"), event.get("delta"), into)
        rest = _without(event, frozenset({"type", "index", "delta"}))
        self._tell("content_block_delta", rest, into)

    def _end_block(self, event: dict[str, Json], into: list[Chunk]) -> None:
        self._blocks.end(event.get("index"), into)
        self._tell("content_block_stop", _without(event, frozenset({"type", "index"})), into)

    def _change(self, event: dict[str, Json], into: list[Chunk]) -> None:
        """Read what a ``message_delta`` says of the answer as a whole."""
        self._check_started()
        delta = event.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        rest = _without(delta, _DELTA) | _without(event, _EVENT)
        self._tell("chunk", rest, into)
        self._count(event.get("usage"), into)
        self._stop(delta, into)

    def _end(self, event: dict[str, Json], into: list[Chunk]) -> None:
        self._check_started()
        # Bedrock has its own counts here ("amazon-bedrock-invocationMetrics").
        self._tell("message_stop", _without(event, frozenset({"type"})), into)
        self._complete(into)

    def _take_whole(self, message: dict[str, Json], into: list[Chunk]) -> None:
        self._started = True
        self._introduce(message, into, count=False)
        for place, block in enumerate(message["content"]):
            self._blocks.begin(place, block, into)
            self._blocks.end(place, into)
        self._count(message.get("usage"), into)
        self._stop(message, into)
        self._complete(into)

    def _introduce(
        self, message: dict[str, Json], into: list[Chunk], *, count: bool = True
    ) -> None:
        """Append what the answer says of itself."""
        counts = message.get("usage")
        tier = counts.get("service_tier") if isinstance(counts, dict) else None
        given = {name: message.get(name) for name in ("id", "model", "role")}
        known = {**given, "service_tier": tier}
        meta: dict[str, Json] = {n: each for n, each in known.items() if isinstance(each, str)}
        if meta != self._meta:
            self._meta = meta
            into.append(Meta(**meta))
        self._tell("chunk", _without(message, _MESSAGE), into)
        if count:
            self._count(counts, into)

    def _count(self, counts: Json, into: list[Chunk]) -> None:
        """Append the usage where it is news: later counts are of the whole answer, too."""
        if not isinstance(counts, dict):
            return
        known = self._usage | {name: each for name, each in counts.items() if each is not None}
        if known != self._usage:
            self._usage = known
            into.append(usage(known))

    def _stop(self, delta: dict[str, Json], into: list[Chunk]) -> None:
        """Append why the answer ends, if `delta` says so."""
        details = delta.get("stop_details")
        if isinstance(details, dict):
            why = details.get("explanation")
            if why and isinstance(why, str) and delta.get("stop_reason") == "refusal":
                into += (RefusalDelta(why), State({EXPLAINED: True}))
        said = {name: delta.get(name) for name in _STOP}
        self._tell("choice", _without(said, frozenset()), into)
        word = delta.get("stop_reason")
        if word and isinstance(word, str) and not self._finished:
            self._finished = True
            self._blocks.end_all(into)
            into.append(finish(word))

    def _complete(self, into: list[Chunk]) -> None:
        self._blocks.end_all(into)
        if not self._finished:
            self._finished = True
            into.append(Finish("other"))
        self.complete = True

    def _ignore(self, event: dict[str, Json], into: list[Chunk]) -> None:
        """Read a ``ping``, which is a sign of life and says nothing."""

    def _check_started(self) -> None:
        if not self._started:
            raise ProtocolError("the answer has no message_start", code="bad_event")

    def _tell(self, name: str, rest: dict[str, Json], into: list[Chunk]) -> None:
        if rest:
            into.append(ProviderEvent(name, rest))


# Functions, not an answer's own methods: that would know itself, and wait for the collector.
_READERS: dict[str, Callable[[MessagesAnswer, dict[str, Json], list[Chunk]], None]] = {
    "message_start": MessagesAnswer._begin,
    "content_block_start": MessagesAnswer._begin_block,
    "content_block_delta": MessagesAnswer._grow_block,
    "content_block_stop": MessagesAnswer._end_block,
    "message_delta": MessagesAnswer._change,
    "message_stop": MessagesAnswer._end,
    "message": MessagesAnswer._take_whole,
    "ping": MessagesAnswer._ignore,
}


def _without(fields: dict[str, Json], known: frozenset[str]) -> dict[str, Json]:
    return {n: value for n, value in fields.items() if n not in known and value is not None}
