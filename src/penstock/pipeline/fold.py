"""Chunks to the whole answer, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, TypeAlias

from msgspec.json import encode
from msgspec.structs import replace

from penstock.chunks import (
    AudioDelta,
    Chunk,
    Citation,
    Finish,
    ImageDelta,
    LogProbs,
    Meta,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    State,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock.errors import LimitExceededError
from penstock.interfaces import CallRecord
from penstock.limits import Limits
from penstock.pipeline.choice import CallFold, ChoiceFold, Rest
from penstock.pipeline.pieces import utf8_size
from penstock.response import Reply

__all__ = ["Fold"]

# JSON as the provider sent it.
Json: TypeAlias = Any

_CHOICE = 1024
"""Bytes that an empty choice counts: a peer may name any number of them."""

_UNSAID = Meta()

_OBJECT = 64
"""Bytes that a small JSON value counts besides its JSON: an empty dict of CPython."""


class Fold:
    """Puts an answer together while it streams; `reply` can be asked for at any time.

    What it keeps is bounded by ``Limits.max_answer`` (the UTF-8 bytes of text, reasoning, arguments
    and media; the JSON of everything else, and 64 bytes for each item of it), one call's arguments
    by ``max_tool_arguments``
    and the calls by ``max_tool_calls``. A chunk that would exceed a bound is not kept.
    """

    __slots__ = ("_calls", "_choices", "_extra_sizes", "_limits", "_meta", "size", "usage")

    def __init__(self, limits: Limits | None = None) -> None:
        self.size = 0
        """Bytes kept so far."""
        self.usage: Usage | None = None
        """The last usage that came."""
        self._limits = limits or Limits()
        self._choices: dict[int, ChoiceFold] = {}
        self._meta = _UNSAID
        self._calls = 0
        self._extra_sizes: dict[tuple[int, str], int] = {}

    def add(self, chunks: Sequence[Chunk]) -> None:
        """Take the next chunks, in order.

        Raises:
            LimitExceededError: A bound was met; what came before is kept.
        """
        texts: list[str]
        if chunks and type(chunks[0]) is TextDelta:  # as all are of most batches
            if len(chunks) == 1:  # as in those of a slow answer
                self._text(chunks[0].choice, chunks[0].text)
                return
            texts = [each.text for each in chunks if type(each) is TextDelta and not each.choice]
            if len(texts) == len(chunks):
                self._text(0, "".join(texts))
                return
        texts = []
        try:
            for chunk in chunks:
                kind = type(chunk)
                if kind is TextDelta and not chunk.choice:
                    texts.append(chunk.text)
                elif kind in _TAKE:
                    _TAKE[kind](self, chunk)
                else:
                    raise TypeError(f"not a chunk: {kind.__name__}")
        finally:
            if texts:
                self._text(0, "".join(texts))

    @property
    def text(self) -> str:
        """The first choice's text so far; put together when it is read."""
        first = self._choices.get(0)
        return "" if first is None else first.text.join()

    def reply(self, record: CallRecord) -> Reply:
        """Return the answer as far as it has come, with what `record` knows of the call."""
        folds = self._choices.values() or (ChoiceFold(0),)
        choices = [each.result(record.dialect, record.origin) for each in folds]
        if len(choices) > 1:
            choices.sort(key=attrgetter("index"))
        meta = self._meta
        # Not all at once: of more than 15 named arguments CPython makes a dict first
        # (STACK_USE_GUIDELINE in its compile.c), which costs three times the reply.
        reply = Reply(
            id=meta.id,
            created=meta.created,
            model=meta.model or record.wire_model or record.model,
            provider=record.provider,
            deployment=record.deployment,
            choices=choices,
            usage=self.usage or record.usage,
            system_fingerprint=meta.system_fingerprint or None,
            service_tier=meta.service_tier or None,
            request_id=record.request_id,
            headers=record.headers.copy(),
            rate_limit=record.rate_limit,
            attempts=tuple(record.attempts),
            timings=replace(record.timings),
            command=record.command,
        )
        changed_at = record.prompt_changed_at()
        if changed_at is not None:
            reply.prompt_changed_at = changed_at
        if record.dropped:
            reply.dropped = list(record.dropped)
        if record.metadata:
            reply.metadata = dict(record.metadata)
        if record.raw is not None:
            reply.raw = list(record.raw)
        return reply

    def _begin(self, index: int) -> ChoiceFold:
        """Return the fold of a choice that is new."""
        self._grow(_CHOICE)
        choice = self._choices[index] = ChoiceFold(index)
        return choice

    def _rest(self, index: int) -> Rest:
        choice = self._choices.get(index) or self._begin(index)
        if choice.rest is None:
            choice.rest = Rest()
        return choice.rest

    def _grow(self, size: int) -> None:
        if self.size + size > self._limits.max_answer:
            raise _exceeded("max_answer", self._limits.max_answer, self.size + size)
        self.size += size

    def _text(self, choice: int, text: str) -> None:
        # As `_grow(utf8_size(text))`, which costs a fifth of a small piece in calls.
        reached = self.size + (len(text) if text.isascii() else utf8_size(text))
        if reached > self._limits.max_answer:
            raise _exceeded("max_answer", self._limits.max_answer, reached)
        self.size = reached
        (self._choices.get(choice) or self._begin(choice)).text.add(text)

    def _take_text(self, chunk: TextDelta) -> None:
        self._text(chunk.choice, chunk.text)

    def _take_reasoning(self, chunk: ReasoningDelta) -> None:
        self._grow(utf8_size(chunk.reasoning) + _items_size(chunk.details))
        self._rest(chunk.choice).reason(chunk)

    def _take_refusal(self, chunk: RefusalDelta) -> None:
        self._grow(utf8_size(chunk.refusal))
        self._rest(chunk.choice).refuse(chunk.refusal)

    def _take_call(self, chunk: ToolCallDelta) -> None:
        limits, calls = self._limits, self._rest(chunk.choice).calls
        call = calls.get(chunk.index)
        if call is None and self._calls >= limits.max_tool_calls:
            raise _exceeded("max_tool_calls", limits.max_tool_calls, self._calls + 1)
        size = utf8_size(chunk.arguments)
        reached = size + (call.size if call else 0)
        if reached > limits.max_tool_arguments:
            raise _exceeded("max_tool_arguments", limits.max_tool_arguments, reached)
        self._grow(size + len(chunk.name) + len(chunk.id))
        if call is None:
            self._calls += 1
            call = calls[chunk.index] = CallFold(chunk.kind)
        call.size = reached
        call.id = call.id or chunk.id
        call.name = call.name or chunk.name
        if chunk.arguments:
            call.arguments.add(chunk.arguments)

    def _take_audio(self, chunk: AudioDelta) -> None:
        self._grow(utf8_size(chunk.data) + utf8_size(chunk.transcript))
        self._rest(chunk.choice).speak(chunk)

    def _take_image(self, chunk: ImageDelta) -> None:
        self._grow(utf8_size(chunk.url) + _OBJECT)
        self._rest(chunk.choice).show(chunk)

    def _take_citation(self, chunk: Citation) -> None:
        self._grow(_json_size(chunk.data))
        self._rest(chunk.choice).cite(chunk)

    def _take_logprobs(self, chunk: LogProbs) -> None:
        self._grow(_items_size(chunk.tokens) + _items_size(chunk.refusal))
        self._rest(chunk.choice).measure(chunk)

    def _take_state(self, chunk: State) -> None:
        self._grow(_json_size(chunk.data))
        self._rest(chunk.choice).remember(chunk)

    def _take_usage(self, chunk: Usage) -> None:
        self.usage = chunk

    def _take_finish(self, chunk: Finish) -> None:
        (self._choices.get(chunk.choice) or self._begin(chunk.choice)).finish = chunk

    def _take_meta(self, chunk: Meta) -> None:
        self._meta = chunk if self._meta is _UNSAID else _amended(self._meta, chunk)
        if chunk.role and chunk.choice not in self._choices:
            self._begin(chunk.choice)

    def _take_event(self, chunk: ProviderEvent) -> None:
        """Keep the last of each name; an event's fields stand for themselves where it has any."""
        plain = chunk.name in ("delta", "choice", "chunk") and isinstance(chunk.data, dict)
        fields = chunk.data if plain else {chunk.name: chunk.data}
        for name, value in fields.items():
            size = len(name) + _json_size(value)
            self._grow(size - self._extra_sizes.get((chunk.choice, name), 0))
            self._extra_sizes[chunk.choice, name] = size
            self._rest(chunk.choice).extra[name] = value


_TAKE: dict[type, Callable[[Fold, Any], None]] = {  # Any: each takes the kind of its key
    TextDelta: Fold._take_text,
    ReasoningDelta: Fold._take_reasoning,
    ToolCallDelta: Fold._take_call,
    RefusalDelta: Fold._take_refusal,
    AudioDelta: Fold._take_audio,
    ImageDelta: Fold._take_image,
    Citation: Fold._take_citation,
    LogProbs: Fold._take_logprobs,
    State: Fold._take_state,
    Usage: Fold._take_usage,
    Finish: Fold._take_finish,
    Meta: Fold._take_meta,
    ProviderEvent: Fold._take_event,
}


def _amended(said: Meta, news: Meta) -> Meta:
    return Meta(
        id=news.id or said.id,
        model=news.model or said.model,
        created=news.created or said.created,
        system_fingerprint=news.system_fingerprint or said.system_fingerprint,
        service_tier=news.service_tier or said.service_tier,
    )


def _json_size(value: Json) -> int:
    return len(encode(value)) + _OBJECT


def _items_size(values: tuple[Json, ...]) -> int:
    return len(encode(values)) + _OBJECT * len(values) if values else 0


def _exceeded(name: str, limit: int, reached: int) -> LimitExceededError:
    return LimitExceededError(
        f"the answer exceeds Limits.{name}: {reached} over {limit}",
        phase=name,
        limit=limit,
        elapsed=reached,
    )
