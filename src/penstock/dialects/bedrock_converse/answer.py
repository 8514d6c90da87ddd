"""One answer as it arrives: frames to chunks, and whether it is complete.

A frame is one of an event stream, or the bytes of a whole ``ConverseResponse``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Chunk, Meta, ProviderEvent, TextDelta
from penstock.dialects.bedrock_converse.blocks import Block, Blocks
from penstock.dialects.bedrock_converse.errors import frame_error
from penstock.dialects.bedrock_converse.usage import finish, usage
from penstock.dialects.bedrock_converse.wire import PADDING, plain
from penstock.dialects.framings import framed
from penstock.dialects.reading import UNREADABLE, excerpt, parse
from penstock.dialects.shape import Sample, lines_of
from penstock.dialects.together import feed, read_block
from penstock.errors import ProtocolError, TruncatedError

if TYPE_CHECKING:
    from penstock.interfaces import Ending, Framing
    from penstock.limits import Limits

__all__ = ["READERS", "ConverseAnswer", "framing"]

# A frame of an event stream, with `headers` and `payload`, or the bytes of one JSON value.
Frame: TypeAlias = Any
# JSON as a provider sent it.
Json: TypeAlias = Any

_FRAMINGS: dict[str, Framing] = {
    "application/vnd.amazon.eventstream": "event_stream",
    "": "event_stream",
    "application/json": "json",
    "text/json": "json",
}
_EVENT = ":event-type"
_KIND = ":message-type"
_DELTA = "contentBlockDelta"
_FREE = (PADDING.encode(),)
_WHOLE = frozenset({"output", "stopReason", "usage"})


def framing(content_type: str) -> Framing:
    """Say how an answer of `content_type` is framed.

    Raises:
        ProtocolError: It is neither an event stream of AWS nor JSON.
    """
    otherwise = (
        "neither an event stream of AWS nor JSON: is base_url the address of Bedrock's runtime?"
    )
    return framed(content_type, _FRAMINGS, otherwise=otherwise)


class ConverseAnswer:
    """One answer to a chat.

    Its end is ``messageStop``; ``metadata``, with the usage, follows, and nothing after that.

    Args:
        limits: Has the bounds.
    """

    __slots__ = (
        "_alike",
        "_blocks",
        "_max_depth",
        "_metered",
        "_started",
        "_stopped",
        "complete",
    )

    def __init__(self, limits: Limits) -> None:
        self.complete = False
        """Whether both the stop and the metadata have been seen."""
        self._blocks = Blocks(limits)
        # What text looks like in the block that is open, and that block.
        self._alike: tuple[Sample, Block] | None = None
        self._max_depth = limits.max_json_depth
        self._started = self._stopped = self._metered = False

    @property
    def settled(self) -> bool:
        """Whether the answer has its stop reason."""
        return self._stopped

    def feed(self, frames: Sequence[Frame], into: list[Chunk]) -> None:
        """Append the chunks of `frames`; frames after the terminal event are not read.

        Raises:
            PenstockError: The answer says that it failed, or breaks the dialect.
        """
        if self.complete:
            return
        lines = lines_of(frames)
        if lines is frames or self._stopped or frames[0].headers.get(_EVENT) != _DELTA:
            self._alike = None
            self._feed_each(frames, into)
        else:
            feed(self, frames, into)

    def _feed_each(self, frames: Sequence[Frame], into: list[Chunk]) -> None:
        for frame in frames:
            if type(frame) is bytes:
                self._take_whole(frame, into)
                return
            if (
                frame.headers.get(_EVENT) == _DELTA
                and not self._stopped
                and self._take_plain(frame.payload, into)
            ):
                continue
            self._take(frame, into)
            if self.complete:
                return

    def read_each(self, frames: Sequence[Frame], into: list[Chunk]) -> None:
        """Read deltas whose frames nobody needs, unless they say something more."""
        lines = lines_of(frames)
        plain_one = False
        for place, payload in enumerate(lines):
            plain_one = self._take_plain(payload, into)
            if not plain_one:
                self._alike = None
                self._take(frames[place], into)
        if plain_one:
            self._learn(lines[-1], into)

    def _learn(self, payload: bytes, into: list[Chunk]) -> None:
        """Note what the last text, of the delta in `payload`, has around it."""
        block = self._blocks.open.get(plain(payload).contentBlockIndex)
        if block is None or block.kind != "text" or not into or type(into[-1]) is not TextDelta:
            return
        self._alike = Sample(payload, b"text", into[-1].text, _FREE), block

    def read_alike(self, frames: Sequence[Frame], into: list[Chunk]) -> bool:
        """Read deltas that all are like an earlier one but for their text; False for others."""
        return read_block(self._alike, frames, into)

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge an answer whose bytes have ended.

        Raises:
            TruncatedError: ``messageStop`` did not come.
        """
        if self._stopped:
            self.complete = True  # only counts are missing
            return
        how = f" ({ending.detail})" if ending.detail else ""
        what = "without messageStop" if self._started else "before its first event"
        raise TruncatedError(f"the answer ended {what}{how}", code="no_terminal_event")

    def _take_plain(self, payload: bytes, into: list[Chunk]) -> bool:
        """Read a delta with nothing but a piece for the block that is open; False for any other."""
        try:
            event = plain(payload)
        except UNREADABLE:
            return False
        piece = event.delta
        block = self._blocks.open.get(event.contentBlockIndex)
        if piece.text is not None:
            if piece.toolUse is not None or piece.reasoningContent is not None:
                return False
            if block is None or block.kind != "text":
                block = self._blocks.opened(event.contentBlockIndex, "text", into)
            if piece.text:
                block.size += len(piece.text)
                into.append(TextDelta(piece.text))
        elif block is None:
            return False
        elif piece.toolUse is not None and block.kind == "toolUse":
            if piece.reasoningContent is not None:
                return False
            self._blocks.grow_input(block, piece.toolUse.input, into)
        elif piece.reasoningContent is not None and block.kind == "reasoningContent":
            self._blocks.grow_thinking(block, piece.reasoningContent.text, into)
        else:
            return False
        return True

    def _take(self, frame: Frame, into: list[Chunk]) -> None:
        """Read a frame of any shape."""
        headers = frame.headers
        if headers.get(_KIND, "event") != "event":
            raise frame_error(headers, frame.payload)
        name = headers.get(_EVENT)
        name = name if isinstance(name, str) else "event"
        event = parse(frame.payload, self._max_depth) if frame.payload else {}
        if not isinstance(event, dict):
            raise ProtocolError(
                f"an event of the answer is no object: {excerpt(frame.payload)}", code="bad_event"
            )
        event.pop(PADDING, None)
        read = READERS.get(name)
        if read is None:
            into.append(ProviderEvent(name, event))
        else:
            read(self, event, into)

    def _begin(self, event: dict[str, Json], into: list[Chunk]) -> None:
        self._started = True
        role = event.pop("role", None)
        into.append(Meta(role=role if isinstance(role, str) else "assistant"))
        self._tell("chunk", event, into)

    def _begin_block(self, event: dict[str, Json], into: list[Chunk]) -> None:
        self._started = True
        self._blocks.begin(event.pop("contentBlockIndex", None), event.pop("start", None), into)
        self._tell("contentBlockStart", event, into)

    def _grow_block(self, event: dict[str, Json], into: list[Chunk]) -> None:
        self._started = True
        self._blocks.grow(event.pop("contentBlockIndex", None), event.pop("delta", None), into)
        self._tell("contentBlockDelta", event, into)

    def _end_block(self, event: dict[str, Json], into: list[Chunk]) -> None:
        self._blocks.end(event.pop("contentBlockIndex", None), into)
        self._tell("contentBlockStop", event, into)

    def _stop(self, event: dict[str, Json], into: list[Chunk]) -> None:
        self._blocks.end_all(into)
        reason = event.pop("stopReason", None)
        self._tell("messageStop", event, into)
        if not self._stopped:
            self._stopped = True
            into.append(finish(reason if isinstance(reason, str) else "unknown"))
        self.complete = self._metered

    def _measure(self, event: dict[str, Json], into: list[Chunk]) -> None:
        """Read what an answer cost, and what Bedrock says of it beside that."""
        counts = event.pop("usage", None)
        tier, trace = event.get("serviceTier"), event.get("trace")
        router = trace.get("promptRouter") if isinstance(trace, dict) else None
        model = router.get("invokedModelId") if isinstance(router, dict) else None
        tier = tier.get("type") if isinstance(tier, dict) else None
        if isinstance(tier, str) or isinstance(model, str):
            into.append(Meta(model=str(model or ""), service_tier=str(tier or "")))
        self._tell("metadata", event, into)
        if isinstance(counts, dict):
            into.append(usage(counts))
        self._metered = True
        self.complete = self._stopped

    def _take_whole(self, data: bytes, into: list[Chunk]) -> None:
        answer = parse(data, self._max_depth, whole=True)
        output = answer.get("output") if isinstance(answer, dict) else None
        message = output.get("message") if isinstance(output, dict) else None
        if not isinstance(message, dict):
            raise ProtocolError(f"the answer has no message: {excerpt(data)}", code="bad_event")
        self._begin({"role": message.get("role")}, into)
        content = message.get("content")
        for place, block in enumerate(content if isinstance(content, list) else ()):
            self._blocks.whole(place, block, into)
        stop = {"stopReason": answer.get("stopReason")}
        if answer.get("additionalModelResponseFields") is not None:
            stop["additionalModelResponseFields"] = answer.pop("additionalModelResponseFields")
        rest = {name: each for name, each in answer.items() if name not in _WHOLE}
        if answer.get("usage") is not None:
            rest["usage"] = answer["usage"]
        self._stop(stop, into)
        self._measure(rest, into)

    def _tell(self, name: str, rest: dict[str, Json], into: list[Chunk]) -> None:
        rest = {field: value for field, value in rest.items() if value is not None}
        if rest:
            into.append(ProviderEvent(name, rest))


# Functions, not an answer's own methods: that would know itself, and wait for the collector.
READERS: dict[str, Callable[[ConverseAnswer, dict[str, Json], list[Chunk]], None]] = {
    "messageStart": ConverseAnswer._begin,
    "contentBlockStart": ConverseAnswer._begin_block,
    "contentBlockDelta": ConverseAnswer._grow_block,
    "contentBlockStop": ConverseAnswer._end_block,
    "messageStop": ConverseAnswer._stop,
    "metadata": ConverseAnswer._measure,
}
"""What reads each event of the service's model, by its name."""
