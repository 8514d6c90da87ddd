"""One event of any shape to chunks: a ``chat.completion.chunk``, or a whole ``chat.completion``.

Nothing of an event is lost: what has no chunk of its own becomes a `ProviderEvent` of the place
where it stood. Fields that say the same on every event (`_Noted`) are handed on when they change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from penstock.chunks import Chunk, LogProbs, Meta, ProviderEvent, TextDelta
from penstock.dialects.errors import event_error
from penstock.dialects.faults import failure
from penstock.dialects.openai_chat.calls import Calls
from penstock.dialects.openai_chat.delta import read_delta
from penstock.dialects.openai_chat.parameters import NOISE
from penstock.dialects.openai_chat.usage import FAILED, finish, usage
from penstock.dialects.tally import Tally
from penstock.errors import ProtocolError

if TYPE_CHECKING:
    from penstock.dialects.openai_chat.wire import UsualEvent
    from penstock.limits import Limits

__all__ = ["Events", "ReadDelta"]

# JSON as a provider sent it.
Json: TypeAlias = Any

_MOST_CHOICES = 128
"""OpenAI's bound of ``n``."""
_MOST_NOTED = 64
"""Names of fields whose last value is kept, so that a peer cannot make it grow."""

_META = ("id", "model", "system_fingerprint", "service_tier")
_Said: TypeAlias = tuple[str | None, str | None, str | None, str | None, float]
"""What an event says of its answer: `_META`, and when it was made."""
_Known: TypeAlias = tuple[str, str, str, str, int]
"""The same, as far as it is known of the answer; nothing where it is not."""
_CHUNK = frozenset({*_META, *NOISE, "created", "choices", "usage", "error"})
_CHOICE = frozenset({"index", "delta", "message", "finish_reason", "logprobs", "usage", "error"})
_SAME = frozenset({"native_finish_reason", "stop_reason", "content_filter_results"})
"""Fields of a choice that OpenRouter, vLLM and Azure repeat on every event."""


class ReadDelta(Protocol):
    """Reads one delta, or the message of a whole answer; the answer's dialect may have its own."""

    def __call__(
        self, delta: dict[str, Json], choice: int, events: Events, into: list[Chunk], /
    ) -> dict[str, Json]:
        """Append the chunks of `delta`, and return what has no chunk."""
        ...


class Events(msgspec.Struct, eq=False):
    """What the events of one answer have said so far.

    Args:
        limits: The bounds of its tool calls.
        read_delta: How its deltas are read.
    """

    _limits: Limits
    _read_delta: ReadDelta = read_delta
    said: _Known = ("", "", "", "", 0)
    """What the events have said of the answer so far."""
    roles: dict[int, str] = {}
    """The choices that any event spoke of, and each one's role; ``""`` where none was said."""
    calls: dict[int, Calls] = {}
    """Each choice's tool calls."""
    finished: dict[int, str] = {}
    """The choices that have ended, and the provider's word for why."""
    thinking: set[int] = set()
    """The choices whose text is a thought until it is marked otherwise (Gemini)."""
    thought: dict[int, int] = {}
    """Characters of each choice's thinking that are not signed yet (Databricks)."""
    _tally: Tally | None = None
    _images: dict[int, int] = {}
    _noted: dict[tuple[int, str], Json] = {}
    _usage: Json = None

    def read(self, event: dict[str, Json], into: list[Chunk]) -> bool:
        """Append the chunks of `event`; return whether it has the usage.

        Raises:
            PenstockError: It is an error, or breaks the dialect.
        """
        fault = failure(event)
        if fault is not None:
            self._count(event.get("usage"), into)
            raise event_error(fault)
        choices = event.get("choices")
        if choices is not None and not isinstance(choices, list):
            raise ProtocolError("choices is no list", code="bad_event")
        counted = False
        said = _said(event)
        for place, choice in enumerate(choices or ()):
            counted |= self._read_choice(said, choice, place, into)
        if not choices:
            self._introduce(said, None, 0, into)
        counted |= self._count(event.get("usage"), into)
        return self._read_rest(event, into) or counted

    def read_usual(self, event: UsualEvent, news: bool, into: list[Chunk]) -> bool:
        """Do what `read` does to an event that has only what such an event may have.

        Args:
            event: The event.
            news: Whether it says anything else of the answer than the last one.
            into: Takes its chunks.
        """
        said: _Said | None = None
        if news:
            fingerprint, tier = event.system_fingerprint, event.service_tier
            said = event.id, event.model, fingerprint, tier, event.created
        for place, choice in enumerate(event.choices):
            delta, word, index = choice.delta, choice.finish_reason, choice.index
            if index is None or index not in self.roles:
                index = self._index(index, place)
            if said or delta.role:
                self._introduce(said, delta.role, index, into)
            if delta.content:
                into.append(TextDelta(delta.content, index))
            if word:
                self.end_choice(index, word, into)
        if said and not event.choices:
            self._introduce(said, None, 0, into)
        return bool(event.usage) and self._count(event.usage, into)

    def end(self, into: list[Chunk]) -> None:
        """Append the end of every choice that has none, as ``[DONE]`` without a reason means."""
        for index in self.roles:
            if index not in self.finished:
                self.end_choice(index, "other", into)

    def end_choice(self, index: int, word: str, into: list[Chunk]) -> None:
        """Append the end of a choice for the provider's `word`, where that is news.

        Raises:
            PenstockError: It means that the answer failed, or a tool call is not whole.
        """
        if self.finished.get(index) == word:
            return
        if word in FAILED:
            raise event_error({"message": f"the answer ended with {word!r}", "type": word})
        if index in self.calls:
            self.calls[index].check()
        self.finished[index] = word
        # "other" is our own word for an end without a reason, as a recording has it.
        into.append(finish(word, index))

    def image(self, choice: int, given: Json) -> int:
        """Return an image's place among those of its choice."""
        index = given if type(given) is int and given >= 0 else self._images.get(choice, 0)
        self._images[choice] = index + 1
        return index

    def in_channel(self, choice: int, name: str) -> bool:
        """Whether a choice's last event was of that channel (Groq, for models that have some)."""
        return self._noted.get((choice, "channel")) == name

    def calls_of(self, choice: int) -> Calls:
        """Return the tool calls of `choice`."""
        calls = self.calls.get(choice)
        if calls is None:
            if self._tally is None:
                self._tally = Tally(self._limits)
            calls = self.calls[choice] = Calls(choice, self._tally)
        return calls

    def _read_choice(self, said: _Said, choice: Json, place: int, into: list[Chunk]) -> bool:
        if not isinstance(choice, dict):
            raise ProtocolError("a choice is no object", code="bad_event")
        index = self._index(choice.get("index"), place)
        # Perplexity sends the text so far as `message` beside each delta: the delta is the news.
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice.get("message")
        delta = delta if isinstance(delta, dict) else {}
        self._introduce(said, delta.get("role"), index, into)
        if delta:
            rest = self._read_delta(delta, index, self, into)
            if "channel" in rest and not self._changes(index, "channel", rest["channel"]):
                del rest["channel"]
            if rest:
                into.append(ProviderEvent("delta", rest, index))
        self._read_logprobs(choice.get("logprobs"), index, into)
        self._read_choice_rest(choice, index, into)
        word = choice.get("finish_reason")
        if isinstance(word, str) and word:
            self.end_choice(index, word, into)
        return self._count(choice.get("usage"), into)  # Moonshot has it here

    def _index(self, given: Json, place: int) -> int:
        index = place if given is None else given
        if type(index) is not int or not 0 <= index < 2**31:
            raise ProtocolError(f"a choice has the index {index!r:.40}", code="bad_event")
        if index not in self.roles:
            if len(self.roles) >= _MOST_CHOICES:
                raise ProtocolError(
                    f"the answer has more than {_MOST_CHOICES} choices", code="bad_event"
                )
            self.roles[index] = ""
        return index

    def _introduce(self, said: _Said | None, role: Json, index: int, into: list[Chunk]) -> None:
        """Append what the answer says of itself, where that is news; None is nothing."""
        known = self.said
        if said is not None:
            self.said = (
                said[0] or known[0],
                said[1] or known[1],
                said[2] or known[2],
                said[3] or known[3],
                # llama.cpp and Ollama date every event anew: the first date is the answer's.
                known[4] or int(said[4]),
            )
        news = self.said != known
        if role and isinstance(role, str) and self.roles.get(index) != role:
            self.roles[index] = role
            news = True
        if news:
            id, model, fingerprint, tier, created = self.said
            role = self.roles.get(index, "")
            into.append(Meta(id, model, created, role, fingerprint, tier, index))

    def _read_logprobs(self, logprobs: Json, index: int, into: list[Chunk]) -> None:
        if logprobs is None:
            return
        rest = logprobs
        if isinstance(logprobs, dict):
            tokens, refusal = logprobs.get("content"), logprobs.get("refusal")
            rest = {
                name: value
                for name, value in logprobs.items()
                if value is not None
                and not (name in ("content", "refusal") and isinstance(value, list))
            }
            tokens = tuple(tokens) if isinstance(tokens, list) else ()
            refusal = tuple(refusal) if isinstance(refusal, list) else ()
            if tokens or refusal:
                into.append(LogProbs(tokens, refusal, index))
        if rest:
            into.append(ProviderEvent("choice", {"logprobs": rest}, index))

    def _read_choice_rest(self, choice: dict[str, Json], index: int, into: list[Chunk]) -> None:
        if choice.keys() <= _CHOICE:
            return
        rest = {}
        for name, value in choice.items():
            if name in _CHOICE or value is None:
                continue
            if name not in _SAME or self._changes(index, name, value):
                rest[name] = value
        if rest:
            into.append(ProviderEvent("choice", rest, index))

    def _read_rest(self, event: dict[str, Json], into: list[Chunk]) -> bool:
        """Append the event's unknown fields; return whether Groq's have the usage."""
        if event.keys() <= _CHUNK:
            return False
        # Groq has the usage in `x_groq.usage` of its last chunk (groq SDK, XGroq).
        groq = event.get("x_groq")
        counted = isinstance(groq, dict) and self._count(groq.get("usage"), into)
        rest = {}
        for name, value in event.items():
            if name in _CHUNK or value is None:
                continue
            # watsonx dates every event anew, too, in words.
            if name == "created_at" and (-1, name) in self._noted:
                continue
            kept = value
            if name == "x_groq" and isinstance(value, dict):
                kept = {key: field for key, field in value.items() if key != "usage"}
            if (kept or kept == value) and self._changes(-1, name, kept):
                rest[name] = kept
        if rest:
            into.append(ProviderEvent("chunk", rest))
        return counted

    def _changes(self, choice: int, name: str, value: Json) -> bool:
        """Whether a field says something else than the last time."""
        key = choice, name
        if key in self._noted and self._noted[key] == value:
            return False
        if key in self._noted or len(self._noted) < _MOST_NOTED:
            self._noted[key] = value
        return True

    def _count(self, raw: Json, into: list[Chunk]) -> bool:
        """Append the usage, where it is news; return whether there is one."""
        if not isinstance(raw, dict) or not raw:
            return False
        if raw != self._usage:
            self._usage = raw
            into.append(usage(raw))
        return True


def _said(event: dict[str, Json]) -> _Said:
    """Return what `event` says of its answer."""
    id, model, fingerprint, tier = map(event.get, _META)
    created = event.get("created")
    return (
        id if isinstance(id, str) else None,
        model if isinstance(model, str) else None,
        fingerprint if isinstance(fingerprint, str) else None,
        tier if isinstance(tier, str) else None,
        created if isinstance(created, (int, float)) else 0,
    )
