"""One answer as it arrives: frames to chunks, and whether it is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Chunk, ProviderEvent, ReasoningDelta, TextDelta
from penstock.dialects import together
from penstock.dialects.framings import framed
from penstock.dialects.gemini.errors import stream_error
from penstock.dialects.gemini.events import Events
from penstock.dialects.gemini.parameters import CONFIG
from penstock.dialects.gemini.wire import plain
from penstock.dialects.reading import UNREADABLE, excerpt, parse
from penstock.dialects.shape import Sample, last_of
from penstock.errors import ProtocolError, TruncatedError

if TYPE_CHECKING:
    from penstock.interfaces import Ending, Framing
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["GeminiAnswer", "framing"]

# A frame: an SSE frame with `event` and `data`, or the bytes of one JSON value.
Frame: TypeAlias = Any
# JSON as a provider sent it.
Json: TypeAlias = Any

# Counts that grow with each event: the last ones are kept.
_FREE = (b"candidatesTokenCount", b"totalTokenCount")
_FRAMINGS: dict[str, Framing] = {
    "text/event-stream": "sse",
    "": "sse",
    # A stream without `alt=sse` is an array, another answer one object; both are of this type.
    "application/json": "json_array",
    "text/json": "json_array",
    "application/x-ndjson": "json_lines",
}


def framing(content_type: str) -> Framing:
    """Say how an answer of `content_type` is framed.

    Raises:
        ProtocolError: It is neither an event stream nor JSON.
    """
    otherwise = "neither an event stream nor JSON: is base_url the API's address?"
    return framed(content_type, _FRAMINGS, otherwise=otherwise)


class GeminiAnswer:
    """One answer to a chat.

    It is complete where its bytes end and each candidate has its finish reason, which comes with
    the last event; there is no event behind it that says so.
    """

    __slots__ = (
        "_choices",
        "_events",
        "_last",
        "_max_depth",
        "_read_any",
        "_sample",
        "_whole",
        "complete",
    )

    def __init__(self, request: ChatRequest, limits: Limits) -> None:
        self.complete = False
        """Whether the answer has ended, each candidate with its reason."""
        self._events = Events(limits)
        self._choices = _asked(request)
        self._max_depth = limits.max_json_depth
        self._read_any = False
        self._whole = not request.stream
        # What the last event that was not plain said of itself: plain ones that say the same are no
        # news.
        self._last: tuple[Json, Json] = (None, None)
        # What plain events of text look like around it.
        self._sample: Sample | None = None

    @property
    def settled(self) -> bool:
        """Whether every candidate has its finish reason."""
        events = self._events
        asked = 1 if self._whole else self._choices  # some are not given where one was refused
        return len(events.finished) >= max(asked, len(events.choices))

    feed = together.feed

    def read_each(self, frames: Sequence[Frame], into: list[Chunk]) -> None:
        """Read frames of any shape."""
        data: bytes | str = b""
        said = ""
        id, model = self._last
        events = self._events
        choices, finished = events.choices, events.finished
        for frame in frames:
            data = frame if type(frame) is bytes else frame.data
            try:
                event = plain(data)
            except UNREADABLE:
                event = None
            if event is not None and event.responseId == id and event.modelVersion == model:
                candidate = event.candidates[0]
                choice = choices.get(candidate.index)
                if choice is not None and candidate.index not in finished:
                    events.usage = event.usageMetadata
                    part = candidate.content.parts[0]
                    said, text = "" if part.thought else part.text, part.text
                    if not text:
                        continue
                    choice.said = True
                    if part.thought:
                        into.append(ReasoningDelta(text, candidate.index, ""))
                        continue
                    into.append(TextDelta(text, candidate.index))
                    choice.record.text(len(text))
                    if choice.ascii and not text.isascii():
                        choice.ascii = False
                    continue
            said, self._sample = "", None
            self._read(frame, data, into)
            id, model = self._last
        if said and type(data) is bytes:
            self._sample = Sample(data, b"text", said, _FREE)

    def read_alike(self, frames: Sequence[Frame], into: list[Chunk]) -> bool:
        """Read events that are like an earlier one but for text and counts; False for others."""
        texts = None if self._sample is None else self._sample.texts(frames)
        if texts is None:
            return False
        last = plain(last_of(frames))
        self._events.usage = last.usageMetadata
        index = last.candidates[0].index
        choice = self._events.choices[index]
        text = "".join(texts)
        choice.said = choice.said or bool(text)
        choice.record.text(len(text))
        choice.ascii = choice.ascii and text.isascii()
        if index:
            into += [TextDelta(each, index) for each in texts if each]
        else:
            into += map(TextDelta, filter(None, texts))
        return True

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge an answer whose bytes have ended.

        Raises:
            TruncatedError: A candidate has no finish reason.
            ProtocolError: There is a whole answer, and no candidate in it.
        """
        if self.complete:
            return
        if self.settled:
            self.complete = True
            return
        if self._whole and self._read_any and ending.clean and not self._events.choices:
            raise ProtocolError("the answer ended without a candidate in it", code="empty_answer")
        how = f" ({ending.detail})" if ending.detail else ""
        what = "without a finish reason" if self._read_any else "before its first event"
        raise TruncatedError(f"the answer ended {what}{how}", code="no_terminal_event")

    def _read(self, frame: Frame, data: bytes | str, into: list[Chunk]) -> None:
        """Read a frame of any shape."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
        data = data.strip()
        if not data or data == b"[DONE]":  # some gateways end every stream as OpenAI does
            return
        name = getattr(frame, "event", "message") or "message"
        if name == "error":
            self._events.count(into)
        if name == "error" and not data.startswith((b"{", b"[")):
            raise stream_error({"error": {"message": data.decode("utf-8", "replace")}})
        value = parse(data, self._max_depth)
        if value is None:
            return
        self._read_any = True
        for event in value if isinstance(value, list) else [value]:
            self._take(name, event, data, into)

    def _take(self, name: str, event: Json, data: bytes, into: list[Chunk]) -> None:
        if not isinstance(event, dict):
            raise ProtocolError(
                f"an event of the answer is no object: {excerpt(data)}", code="bad_event"
            )
        if name == "error":
            raise stream_error(event if "error" in event else {"error": event})
        if name != "message" and not event.keys() & {"candidates", "error", "promptFeedback"}:
            into.append(ProviderEvent(name, event))
            return
        # Gateways for Google's own clients put the answer below a name of theirs.
        inner = event.get("response")
        if isinstance(inner, dict) and "candidates" not in event:
            into_rest = {key: value for key, value in event.items() if key != "response"}
            if into_rest:
                into.append(ProviderEvent("chunk", into_rest))
            event = inner
        self._events.read(event, into)
        self._last = event.get("responseId"), event.get("modelVersion")


def _asked(request: ChatRequest) -> int:
    """How many candidates the answer is to have."""
    config = request.extra_body.get(CONFIG)
    given = config.get("candidateCount") if isinstance(config, Mapping) else None
    wanted = request.params.get("n") if given is None else given
    return wanted if isinstance(wanted, int) and wanted > 0 else 1
