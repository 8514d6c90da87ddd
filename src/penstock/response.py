"""The whole answer: what a stream amounts to once it is folded."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct, field, to_builtins

from penstock.chunks import Usage  # msgspec reads the annotations
from penstock.errors import Attempt  # msgspec reads the annotations

__all__ = ["Audio", "Choice", "RateLimit", "Reply", "Timings", "ToolCall"]

# JSON as a provider sent it, in places that we keep and do not model.
Json: TypeAlias = Any


class ToolCall(Struct, frozen=True):
    """A call that the model asks for."""

    id: str
    """The provider's id, to be given back with the result."""
    name: str
    """The tool's name."""
    arguments: str
    """The arguments as text: JSON for functions, anything for ``custom`` tools."""
    kind: str = "function"
    """``function``, ``custom``, or ``function_call`` for the deprecated single call."""

    def to_openai(self) -> dict[str, Json]:
        """Return the call as it stands in an assistant message's ``tool_calls``."""
        piece = "input" if self.kind == "custom" else "arguments"
        kind = "custom" if self.kind == "custom" else "function"
        return {"id": self.id, "type": kind, kind: {"name": self.name, piece: self.arguments}}


class Audio(Struct, frozen=True):
    """A spoken answer."""

    data: str
    """The audio in base64."""
    transcript: str = ""
    """What is said."""
    id: str = ""
    """The provider's id, with which a later turn can refer to it."""
    expires_at: int | None = None
    """Until when the provider keeps it, Unix time in seconds."""

    def to_openai(self) -> dict[str, Json]:
        """Return the audio as it stands in an OpenAI answer."""
        return to_builtins(self)  # type: ignore[no-any-return]  # a Struct becomes a dict


class RateLimit(Struct, frozen=True):
    """What the provider says is left, from its answer's headers; None where it says nothing."""

    remaining_requests: int | None = None
    """Requests left in the window."""
    remaining_tokens: int | None = None
    """Tokens left in the window."""
    limit_requests: int | None = None
    """Requests in a window."""
    limit_tokens: int | None = None
    """Tokens in a window."""
    reset_requests: float | None = None
    """Seconds until the window of requests starts again."""
    reset_tokens: float | None = None
    """Seconds until the window of tokens starts again."""


class Timings(Struct):
    """When things happened, in seconds from the start of the call; None where they did not."""

    opened: float | None = None
    """The wire was up: status and headers had come."""
    sent: float | None = None
    """The last byte of the body was sent."""
    first_byte: float | None = None
    """The first byte of the answer's body came."""
    ttft: float | None = None
    """The first content came."""
    total: float | None = None
    """The stream ended or was closed."""
    bytes_sent: int = 0
    """Bytes of the request's body."""
    bytes_received: int = 0
    """Bytes of the answer's body, decompressed."""


class Choice(Struct):
    """One of the answer's ``n`` choices."""

    index: int = 0
    """Its place."""
    text: str = ""
    """The answer's text."""
    reasoning: str = ""
    """The model's thinking."""
    refusal: str | None = None
    """Why the model declines; None where it does not."""
    tool_calls: list[ToolCall] = field(default_factory=list)
    """The calls that the model asks for."""
    audio: Audio | None = None
    """The spoken answer."""
    images: list[str] = field(default_factory=list)
    """URLs of the answer's images, often ``data:`` URLs."""
    citations: list[Json] = field(default_factory=list)
    """Sources, as OpenAI's ``annotations``."""
    logprobs: Json = None
    """Log probabilities in the OpenAI shape; None where none were asked for."""
    finish_reason: str | None = None
    """``stop``, ``length``, ``tool_calls``, ``content_filter``, ``function_call``, ``other``."""
    finish_raw: str | None = None
    """The provider's own word where `finish_reason` translates it."""
    state: dict[str, Json] = field(default_factory=dict)
    """What the provider wants back with the next turn: becomes ``provider_state``."""
    extra: dict[str, Json] = field(default_factory=dict)
    """Fields that penstock does not model, the last of each name."""

    @property
    def message(self) -> dict[str, Json]:
        """The choice as a message of the OpenAI shape, ready to be appended to the conversation."""
        message: dict[str, Json] = {"role": "assistant", "content": self.text or None}
        if self.refusal is not None:
            message["refusal"] = self.refusal
        calls = [call for call in self.tool_calls if call.kind != "function_call"]
        if calls:
            message["tool_calls"] = [call.to_openai() for call in calls]
        for call in self.tool_calls:
            if call.kind == "function_call":
                message["function_call"] = {"name": call.name, "arguments": call.arguments}
        if self.audio is not None and self.audio.id:
            message["audio"] = {"id": self.audio.id}
        if self.state:
            message["provider_state"] = dict(self.state)
        return message

    def to_openai(self) -> dict[str, Json]:
        """Return the choice as it stands in a ``chat.completion``."""
        message = self.message
        message.pop("provider_state", None)
        message.setdefault("refusal", None)
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if self.audio is not None:
            message["audio"] = self.audio.to_openai()
        if self.citations:
            message["annotations"] = self.citations
        if self.images:
            message["images"] = [
                {"type": "image_url", "image_url": {"url": url}} for url in self.images
            ]
        reason = self.finish_raw or self.finish_reason
        return {
            "index": self.index,
            "message": message,
            "finish_reason": reason,
            "logprobs": self.logprobs,
        }


class Reply(Struct):
    """A whole answer, or with a truncation what came of it.

    The properties without an index (`text`, `tool_calls`, ...) speak of the first choice.
    """

    id: str = ""
    """The provider's id for the answer."""
    created: int = 0
    """When it was made, Unix time in seconds."""
    model: str = ""
    """The model that answered, as the provider names it."""
    provider: str = ""
    """The provider's name."""
    deployment: str = ""
    """The key of the deployment that answered."""
    choices: list[Choice] = field(default_factory=lambda: [Choice()])
    """The choices, at least one."""
    usage: Usage | None = None
    """The tokens, where the provider counts them."""
    system_fingerprint: str | None = None
    """The provider's name for its configuration."""
    service_tier: str | None = None
    """The tier that served the request."""
    request_id: str | None = None
    """The provider's name for the request, from its headers."""
    headers: dict[str, str] = field(default_factory=dict)
    """The answer's headers that say something about it; cookies and the like are left out."""
    rate_limit: RateLimit | None = None
    """What the provider says is left."""
    attempts: tuple[Attempt, ...] = ()
    """Every try of this call, the one that answered last."""
    timings: Timings = field(default_factory=Timings)
    """When things happened."""
    dropped: list[str] = field(default_factory=list)
    """Fields and parameters that the dialect could not say, as paths."""
    metadata: dict[str, Json] = field(default_factory=dict)
    """The caller's own mapping."""
    prompt_changed_at: int | None = None
    """With a ``cache_guard=``, the number of the first message that is not what was sent the turn
    before: from there on the provider's prompt cache is lost. None where nothing changed."""
    parsed: Json = None
    """The answer as an instance of the model given as ``response_format``, else None."""
    raw: list[Json] | None = None
    """The provider's events as they came, with ``keep_raw=True``."""
    command: str | None = None
    """The request as a ``curl`` command, the key masked; see `curl`."""

    @property
    def _first(self) -> Choice:
        return self.choices[0]

    @property
    def text(self) -> str:
        """The answer's text, ``""`` where it has none."""
        return self._first.text

    @property
    def reasoning(self) -> str:
        """The model's thinking, ``""`` where it shows none."""
        return self._first.reasoning

    @property
    def refusal(self) -> str | None:
        """Why the model declines; None where it does not."""
        return self._first.refusal

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls that the model asks for."""
        return self._first.tool_calls

    @property
    def images(self) -> list[str]:
        """URLs of the answer's images, often ``data:`` URLs."""
        return self._first.images

    @property
    def audio(self) -> Audio | None:
        """The spoken answer."""
        return self._first.audio

    @property
    def citations(self) -> list[Json]:
        """Sources, as OpenAI's ``annotations``."""
        return self._first.citations

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended: ``stop``, ``length``, ``tool_calls``, ``content_filter``, ..."""
        return self._first.finish_reason

    @property
    def message(self) -> dict[str, Json]:
        """The answer as a plain dict of the OpenAI shape, ready to be appended to `messages`."""
        return self._first.message

    @property
    def cost(self) -> float | None:
        """The provider's own figure, US dollars; None where it names none (see `cost_reason`)."""
        return None if self.usage is None else self.usage.cost

    @property
    def cost_reason(self) -> str | None:
        """Why there is no `cost`; None where there is one."""
        if self.usage is None:
            return "the provider reported no usage"
        return "the provider reports no cost" if self.usage.cost is None else None

    def curl(self) -> str:
        """Return the request as a ``curl`` command: the key a variable, a large body by size."""
        return self.command or ""

    def to_openai(self) -> dict[str, Json]:
        """Return the answer as a ``chat.completion`` of the OpenAI API."""
        answer: dict[str, Json] = {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [choice.to_openai() for choice in self.choices],
            "usage": None if self.usage is None else self.usage.to_dict(),
        }
        if self.system_fingerprint is not None:
            answer["system_fingerprint"] = self.system_fingerprint
        if self.service_tier is not None:
            answer["service_tier"] = self.service_tier
        return answer
