"""The typed pieces of an answer: what a stream hands out, one by one.

Chunks are frozen, slotted values outside the cycle collector (``gc=False`` saves 0.25 µs each). Six
kinds are *content*: they end the wait for a first token and hold back the progress clock.

`text` is the answer's own text: ``""`` on every chunk that carries none, so that printing
``chunk.text`` prints the answer and nothing else. Thinking is in `ReasoningDelta.reasoning`, a
refusal in `RefusalDelta.refusal`.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

from msgspec import Struct

__all__ = [
    "AudioDelta",
    "Chunk",
    "Citation",
    "Finish",
    "ImageDelta",
    "LogProbs",
    "Meta",
    "ProviderEvent",
    "ReasoningDelta",
    "RefusalDelta",
    "State",
    "TextDelta",
    "ToolCallDelta",
    "Usage",
]

# JSON as a provider sent it, in places that we keep and do not model.
Json: TypeAlias = Any


class _Chunk(Struct, frozen=True, gc=False, tag=True):
    content: ClassVar[bool] = False
    """Whether this kind counts as content for the clocks and for commitment."""

    @property
    def choice(self) -> int:
        """Which of the answer's ``n`` choices it belongs to."""
        return 0

    @property
    def text(self) -> str:
        """The answer's own text, ``""`` where the chunk has none."""
        return ""

    def to_openai(self, *, id: str = "", created: int = 0, model: str = "") -> dict[str, Json]:
        """Return this chunk as a ``chat.completion.chunk`` of the OpenAI API, with one choice.

        Args:
            id: The answer's id.
            created: When the answer was made, Unix time in seconds.
            model: The model that made it.
        """
        event: dict[str, Json] = {
            "id": id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "choices": [
                {"index": self.choice, "delta": self._delta(), "finish_reason": None},
            ],
        }
        self._amend(event, event["choices"][0])
        return event

    def _delta(self) -> dict[str, Json]:
        return {}

    def _amend(self, event: dict[str, Json], choice: dict[str, Json]) -> None:
        """Set what this kind says outside its delta."""


class TextDelta(_Chunk, frozen=True, gc=False, tag=True):
    """A piece of the answer's text."""

    content: ClassVar[bool] = True

    text: str
    """The piece."""
    choice: int = 0
    """Which of the answer's ``n`` choices it belongs to."""

    def _delta(self) -> dict[str, Json]:
        return {"content": self.text}


class ReasoningDelta(_Chunk, frozen=True, gc=False, tag=True):
    """A piece of the model's thinking, in whichever spelling the provider uses."""

    content: ClassVar[bool] = True

    reasoning: str
    """The piece; ``""`` where only opaque details came."""
    choice: int = 0
    """Which of the answer's ``n`` choices it belongs to."""
    spelling: str = "reasoning_content"
    """The wire's name for it: ``reasoning_content``, ``reasoning`` or ``reasoning_details``; ``""``
    where the dialect itself keeps what goes back, as `State`."""
    details: tuple[Json, ...] = ()
    """OpenRouter's ``reasoning_details`` items as they came: signatures, encrypted blocks, ids."""

    def _delta(self) -> dict[str, Json]:
        delta: dict[str, Json] = {}
        if self.spelling != "reasoning_details":
            delta[self.spelling or "reasoning_content"] = self.reasoning
        if self.details:
            delta["reasoning_details"] = list(self.details)
        return delta


class ToolCallDelta(_Chunk, frozen=True, gc=False, tag=True):
    """A piece of a tool call: the first has the name, later ones add to the arguments."""

    content: ClassVar[bool] = True

    index: int
    """The call's place among the choice's calls, counted by us from 0 without gaps."""
    id: str = ""
    """The provider's id for the call, on the call's first piece."""
    name: str = ""
    """The tool's name, on the call's first piece."""
    arguments: str = ""
    """A piece of the arguments' text, JSON once whole (free text for ``custom`` tools)."""
    choice: int = 0
    """Which of the answer's ``n`` choices it belongs to."""
    kind: str = "function"
    """``function``, ``custom``, or ``function_call`` for the deprecated single call."""

    def _delta(self) -> dict[str, Json]:
        if self.kind == "function_call":
            return {"function_call": _named(self.name, "arguments", self.arguments)}
        call: dict[str, Json] = {"index": self.index}
        if self.id:
            call["id"] = self.id
        if self.id or self.name:
            call["type"] = self.kind
        piece = "input" if self.kind == "custom" else "arguments"
        call[self.kind] = _named(self.name, piece, self.arguments)
        return {"tool_calls": [call]}


class RefusalDelta(_Chunk, frozen=True, gc=False, tag=True):
    """A piece of the model's refusal."""

    content: ClassVar[bool] = True

    refusal: str
    """The piece."""
    choice: int = 0
    """Which of the answer's ``n`` choices it belongs to."""

    def _delta(self) -> dict[str, Json]:
        return {"refusal": self.refusal}


class AudioDelta(_Chunk, frozen=True, gc=False, tag=True):
    """A piece of spoken answer, of its transcript, or both."""

    content: ClassVar[bool] = True

    data: str = ""
    """Audio bytes in base64, as sent."""
    transcript: str = ""
    """What is said."""
    id: str = ""
    """The provider's id for the audio, with which a later turn can refer to it."""
    expires_at: int | None = None
    """Until when the provider keeps it, Unix time in seconds."""
    choice: int = 0
    """Which of the answer's ``n`` choices it belongs to."""

    def _delta(self) -> dict[str, Json]:
        audio: dict[str, Json] = {}
        for name in ("id", "data", "transcript", "expires_at"):
            if value := getattr(self, name):
                audio[name] = value
        return {"audio": audio}


class ImageDelta(_Chunk, frozen=True, gc=False, tag=True):
    """An image of the answer."""

    content: ClassVar[bool] = True

    url: str
    """Where the image is, often a ``data:`` URL."""
    index: int = 0
    """The image's place among the choice's images."""
    choice: int = 0
    """Which of the answer's ``n`` choices it belongs to."""

    def _delta(self) -> dict[str, Json]:
        image = {"type": "image_url", "index": self.index, "image_url": {"url": self.url}}
        return {"images": [image]}


class Citation(_Chunk, frozen=True, gc=False, tag=True):
    """A source of the answer: one of OpenAI's ``annotations``, as it came."""

    data: Json
    """The annotation."""
    choice: int = 0
    """Which of the answer's ``n`` choices it belongs to."""

    def _delta(self) -> dict[str, Json]:
        return {"annotations": [self.data]}


class LogProbs(_Chunk, frozen=True, gc=False, tag=True):
    """Log probabilities of tokens, in the OpenAI shape."""

    tokens: tuple[Json, ...] = ()
    """One mapping for each token of text: ``token``, ``logprob``, ``bytes``, ``top_logprobs``."""
    refusal: tuple[Json, ...] = ()
    """The same for the tokens of a refusal."""
    choice: int = 0
    """Which of the answer's ``n`` choices it belongs to."""

    def _amend(self, event: dict[str, Json], choice: dict[str, Json]) -> None:
        choice["logprobs"] = {
            "content": list(self.tokens) or None,
            "refusal": list(self.refusal) or None,
        }


class State(_Chunk, frozen=True, gc=False, tag=True):
    """What the provider wants back with the next turn, and nobody else can read.

    It becomes ``provider_state`` of the reply's message: lists are added to, other values replace
    earlier ones of their name.
    """

    data: dict[str, Json]
    """Signatures, encrypted thinking, ids, by the names that the dialect gives them."""
    choice: int = 0
    """Which of the answer's ``n`` choices it belongs to."""

    def _delta(self) -> dict[str, Json]:
        return {"provider_state": self.data}


class Usage(_Chunk, frozen=True, gc=False, tag=True):
    """What the answer cost in tokens, as the provider counts; later ones replace earlier ones."""

    input_tokens: int = 0
    """Tokens of the prompt, cached ones included."""
    output_tokens: int = 0
    """Tokens of the answer, reasoning included."""
    total_tokens: int = 0
    """The provider's own sum."""
    cached_tokens: int | None = None
    """Prompt tokens read from the provider's cache; None where it does not say."""
    cache_write_tokens: int | None = None
    """Prompt tokens written to the provider's cache; None where it does not say."""
    reasoning_tokens: int | None = None
    """Answer tokens spent on thinking; None where the provider does not say."""
    cost: float | None = None
    """The provider's own figure, US dollars; None where it names none."""
    raw: Json = None
    """The provider's mapping, whole."""
    provenance: str = "reported"
    """``reported`` by the provider, ``estimated`` by us, or ``none``."""

    def to_dict(self) -> dict[str, Json]:
        """Return the OpenAI ``usage`` mapping: the provider's own where it has that shape."""
        if isinstance(self.raw, dict) and "prompt_tokens" in self.raw:
            return self.raw
        counts: dict[str, Json] = {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.total_tokens,
        }
        if self.cached_tokens is not None:
            counts["prompt_tokens_details"] = {"cached_tokens": self.cached_tokens}
        if self.reasoning_tokens is not None:
            counts["completion_tokens_details"] = {"reasoning_tokens": self.reasoning_tokens}
        return counts

    def _amend(self, event: dict[str, Json], choice: dict[str, Json]) -> None:
        event["usage"] = self.to_dict()


class Finish(_Chunk, frozen=True, gc=False, tag=True):
    """A choice is complete."""

    reason: str
    """``stop``, ``length``, ``tool_calls``, ``content_filter``, ``function_call`` or ``other``."""
    choice: int = 0
    """Which of the answer's ``n`` choices it belongs to."""
    raw: str | None = None
    """The provider's own word where `reason` is a translation of it."""

    def _amend(self, event: dict[str, Json], choice: dict[str, Json]) -> None:
        choice["finish_reason"] = self.raw or self.reason


class Meta(_Chunk, frozen=True, gc=False, tag=True):
    """What the answer says of itself: sent when first known, and again when it changes."""

    id: str = ""
    """The provider's id for the answer."""
    model: str = ""
    """The model that answers, as the provider names it."""
    created: int = 0
    """When, Unix time in seconds."""
    role: str = ""
    """The role of the message, ``assistant``."""
    system_fingerprint: str = ""
    """The provider's name for its configuration."""
    service_tier: str = ""
    """The tier that served the request."""
    choice: int = 0
    """Which of the answer's ``n`` choices the role belongs to."""

    def _delta(self) -> dict[str, Json]:
        return {"role": self.role} if self.role else {}

    def _amend(self, event: dict[str, Json], choice: dict[str, Json]) -> None:
        for name in ("id", "model", "created", "system_fingerprint", "service_tier"):
            if value := getattr(self, name):
                event[name] = value


class ProviderEvent(_Chunk, frozen=True, gc=False, tag=True):
    """Something that a dialect knows of and penstock does not model, kept as it came."""

    name: str
    """Where it stood: ``delta``, ``choice``, ``chunk``, or the event's own name."""
    data: Json
    """The unknown fields, or the event's data."""
    choice: int = 0
    """Which of the answer's ``n`` choices it belongs to."""

    def _delta(self) -> dict[str, Json]:
        return dict(self.data) if self.name == "delta" and isinstance(self.data, dict) else {}

    def _amend(self, event: dict[str, Json], choice: dict[str, Json]) -> None:
        if isinstance(self.data, dict) and self.name in ("choice", "chunk"):
            (choice if self.name == "choice" else event).update(self.data)


Chunk: TypeAlias = (
    TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | RefusalDelta
    | AudioDelta
    | ImageDelta
    | Citation
    | LogProbs
    | State
    | Usage
    | Finish
    | Meta
    | ProviderEvent
)
"""Any piece of an answer."""


def _named(name: str, piece: str, text: str) -> dict[str, Json]:
    function: dict[str, Json] = {"name": name} if name else {}
    if text or not name:
        function[piece] = text
    return function
