"""One answer as it arrives: frames to chunks, and whether it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Chunk, ProviderEvent, ReasoningDelta, TextDelta
from penstock.dialects import together
from penstock.dialects.errors import event_error
from penstock.dialects.framings import framed
from penstock.dialects.openai_chat.events import Events
from penstock.dialects.openai_chat.request import asked
from penstock.dialects.openai_chat.wire import PlainChoice, plain, usual
from penstock.dialects.reading import UNREADABLE, excerpt, parse
from penstock.dialects.shape import Sample
from penstock.errors import ProtocolError, TruncatedError

if TYPE_CHECKING:
    from penstock.interfaces import Ending, Framing
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["ChatAnswer", "framing"]

# A frame: an SSE frame with `event` and `data`, or the bytes of one JSON value.
Frame: TypeAlias = Any
# JSON as a provider sent it.
Json: TypeAlias = Any

_DONE = b"[DONE]"
# Padding, and a date of each event (watsonx): `plain` reads them and nothing is made of them.
_FREE = (b"obfuscation", b"p", b"created_at")
_NEVER = object()
"""What no event has as its id."""
_FRAMINGS: dict[str, Framing] = {
    "text/event-stream": "sse",
    "text/plain": "sse",  # some self-made servers
    "": "sse",
    "application/json": "json",
    "text/json": "json",
    "application/x-ndjson": "json_lines",
    "application/jsonl": "json_lines",
}


@lru_cache(maxsize=64)
def framing(content_type: str) -> Framing:
    """Say how an answer of `content_type` is framed.

    Raises:
        ProtocolError: It is neither an event stream nor JSON.
    """
    otherwise = "neither an event stream nor JSON: is base_url the API's address?"
    return framed(content_type, _FRAMINGS, otherwise=otherwise)


class ChatAnswer:
    """One answer to a chat.

    It is complete with ``[DONE]``, or with the usage that was asked for once every choice has its
    finish reason. Where the bytes end without either, every choice needs its finish reason; what
    comes after (a vendor's own last events) is read as long as it comes.

    Args:
        request: What was asked.
        framed: How its bytes are cut.
        limits: Its bounds.
        events: Where its events are read, for a dialect that reads some of them otherwise.
    """

    __slots__ = (
        "_choices",
        "_events",
        "_last",
        "_max_depth",
        "_read_any",
        "_sample",
        "_shaped",
        "_steady",
        "_usage_ends",
        "_whole",
        "complete",
        "settled",
    )

    def __init__(
        self,
        request: ChatRequest,
        framed: Framing,
        limits: Limits,
        *,
        events: Events | None = None,
    ) -> None:
        self.complete = False
        """Whether the terminal event has been seen."""
        self.settled = False
        """Whether every choice has its finish reason."""
        self._events = events or Events(limits)
        self._max_depth = limits.max_json_depth
        self._whole = framed == "json"
        self._choices, self._usage_ends = asked(request)
        self._read_any = False
        # What plain events look like around their text, and whose that is.
        self._sample: Sample | None = None
        self._shaped = 0
        # Whether nothing else in them is another each time.
        self._steady = False
        # What the last event that was not plain said of itself: plain ones that say the same are
        # no news, nor are their dates behind the first.
        self._last: tuple[Json, ...] = (None, None, None, None, None)

    feed = together.feed

    def read_each(self, frames: Sequence[Frame], into: list[Chunk]) -> None:
        """Read frames of any shape, until one is the terminal event."""
        for frame in frames:
            data = frame if type(frame) is bytes else frame.data
            sample = self._sample
            if sample is not None and self._steady and type(data) is bytes:
                text = sample.text_of(data)
                if text is not None:
                    if text:
                        into.append(TextDelta(text, self._shaped))
                    continue
            # What says who answers, and what comes behind the last reason, is no plain event: to
            # find that out for each of them takes as long as to read it.
            if self._read_any and not self.settled and self._read_plain(data, into):
                continue
            self._sample = None
            if not self._read_usual(frame, data, into):
                self._read(frame, data, into)
            if self.complete:
                return

    def read_alike(self, frames: Sequence[Frame], into: list[Chunk]) -> bool:
        """Read frames that all are like an earlier one but for their text; False for others."""
        texts = None if self._sample is None else self._sample.texts(frames)
        if texts is None:
            return False
        choice = self._shaped
        if choice:
            into += [TextDelta(text, choice) for text in texts if text]
        else:
            into += map(TextDelta, filter(None, texts))
        return True

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge an answer whose bytes have ended.

        Raises:
            TruncatedError: A choice has no finish reason, and ``[DONE]`` did not come.
        """
        if self.complete:
            return
        if self.settled:
            self.complete = True
            return
        how = f" ({ending.detail})" if ending.detail else ""
        what = "before its first event" if not self._read_any else "without [DONE] or a reason"
        raise TruncatedError(f"the answer ended {what}{how}", code="no_terminal_event")

    def _read_plain(self, data: bytes | str, into: list[Chunk]) -> bool:
        """Read an event in the midst of an answer; False for any other."""
        try:
            event = plain(data)
        except UNREADABLE:
            return False
        said = event.id, event.model, event.system_fingerprint, event.service_tier, event.provider
        if said != self._last or (event.created and not self._events.said[4]):
            return False
        (choice,) = event.choices
        text, index, word = choice.delta.content, choice.index, choice.finish_reason
        if not self._read_piece(choice, into):
            return False
        self._sample = None
        if word:
            self._events.end_choice(index, word, into)
            self._settle(False, into)
        elif text and type(data) is bytes:
            self._sample = Sample(data, b"content", text, _FREE)
            self._shaped = index
            self._steady = event.obfuscation is event.p is event.created_at is None
        return True

    def _read_piece(self, choice: PlainChoice, into: list[Chunk]) -> bool:
        """Append the only piece of a plain event; False where there is more to it than that."""
        delta, index, roles = choice.delta, choice.index, self._events.roles
        if index not in roles or (delta.role is not None and delta.role != roles[index]):
            return False
        if delta.channel is not None and not self._events.in_channel(index, delta.channel):
            return False
        text, content, thought = delta.content, delta.reasoning_content, delta.reasoning
        if delta.tool_calls is not None:
            calls = self._events.calls.get(index)
            if calls is None or text or content or thought or delta.reasoning_details:
                return False
            piece = delta.tool_calls[0]
            return calls.continue_at(piece.index, piece.function.arguments, into)
        if not content and not thought:
            if delta.reasoning_details:
                return False
            if text:
                into.append(TextDelta(text, index))
            return True
        if text or (content and thought):
            return False
        details = delta.reasoning_details or ()
        spelling = "reasoning_content" if content else "reasoning"
        into.append(ReasoningDelta(content or thought or "", index, spelling, details))
        return True

    def _read_usual(self, frame: Frame, data: bytes | str, into: list[Chunk]) -> bool:
        """Read an event that begins or ends an answer as most do; False for any other."""
        events = self._events
        if data == _DONE or self._whole or events.thinking:
            return False
        if type(frame) is not bytes and frame.event != "message":
            return False
        try:
            event = usual(data)
        except UNREADABLE:
            return False
        self._read_any = True
        said = event.id, event.model, event.system_fingerprint, event.service_tier, None
        news = said != self._last or (event.created != 0 and not events.said[4])
        self._last = said
        counted = events.read_usual(event, news, into)
        if events.finished:  # without any, nothing is settled
            self._settle(counted, into)
        return True

    def _read(self, frame: Frame, data: bytes | str, into: list[Chunk]) -> None:
        """Read a frame of any shape."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
        data = data.strip()
        if not data:
            return
        name = getattr(frame, "event", "message") or "message"
        if data == _DONE:
            self._end(into)
            return
        if name not in ("message", "error") and not data.startswith((b"{", b"[")):
            into.append(ProviderEvent(name, data.decode("utf-8", "replace")))
            return
        if name == "error" and not data.startswith((b"{", b"[")):
            raise event_error({"message": data.decode("utf-8", "replace")})
        self._take(name, parse(data, self._max_depth, whole=self._whole), data, into)

    def _take(self, name: str, value: Json, data: bytes, into: list[Chunk]) -> None:
        if value is None:
            return
        self._read_any = True
        if name == "error":
            raise event_error(value)
        # Gemini puts a list around its errors, and around everything where it is asked for JSON.
        for event in value if isinstance(value, list) else [value]:
            if not isinstance(event, dict):
                raise ProtocolError(
                    f"an event of the answer is no object: {excerpt(data)}", code="bad_event"
                )
            if name != "message" and "choices" not in event and "error" not in event:
                into.append(ProviderEvent(name, event))
                continue
            counted = self._events.read(event, into)
            self._last = (
                event.get("id"),
                event.get("model"),
                event.get("system_fingerprint"),
                event.get("service_tier"),
                event.get("provider"),
            )
            if self._events.thinking:  # the next text may have the end of a thought before it
                self._last = (_NEVER, None, None, None, None)
            self._settle(counted, into)

    def _settle(self, counted: bool, into: list[Chunk]) -> None:
        """Note whether the answer is complete with the event that was just read."""
        events = self._events
        finished = len(events.finished)
        self.settled = finished >= self._choices and finished >= len(events.roles)
        if self._whole:
            self._end(into)
        elif counted and self._usage_ends:
            self.complete = self.settled

    def _end(self, into: list[Chunk]) -> None:
        """End the answer; one without any choice was none."""
        if not self._events.roles:
            raise ProtocolError("the answer ended without a choice in it", code="empty_answer")
        self._events.end(into)
        self.complete = True
