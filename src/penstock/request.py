"""A request as the onion of providers sees it: what is asked, and how the call may be made."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypedDict, TypeVar

from msgspec import Struct

from penstock.chunks import Chunk
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.limits import Timeouts
    from penstock.messages import Messages

__all__ = [
    "CachePoints",
    "ChatParams",
    "ChatRequest",
    "ItemT",
    "ReadySource",
    "RecallRequest",
    "Request",
]

ItemT = TypeVar("ItemT")
"""What an answer is made of: chunks of a chat, bytes of a download, one value of a one-shot."""

# JSON as the caller gives it, in the vendor's shape.
Json: TypeAlias = Any

ReadySource: TypeAlias = "AsyncIterable[bytes] | Callable[[], AsyncIterable[bytes]]"
"""A whole request body that the caller made: bytes, or a function that returns a pass of them."""


class ChatParams(TypedDict, total=False):
    """The parameters of a chat, by their names in OpenAI's ``CompletionCreateParams``.

    What penstock sets itself is not among them (``model``, ``messages``, ``stream``), nor what has
    an argument of its own (``tools``, ``response_format``). OpenAI's ``metadata`` goes in
    ``extra_body``: penstock's own never leaves the process.
    """

    audio: Json
    frequency_penalty: float | None
    function_call: Json
    functions: Iterable[Json]
    logit_bias: Mapping[str, int] | None
    logprobs: bool | None
    max_completion_tokens: int | None
    max_tokens: int | None
    modalities: list[str] | None
    moderation: Json
    n: int | None
    parallel_tool_calls: bool
    prediction: Json
    presence_penalty: float | None
    prompt_cache_key: str
    prompt_cache_options: Json
    prompt_cache_retention: str | None
    reasoning_effort: str | None
    safety_identifier: str
    seed: int | None
    service_tier: str | None
    stop: str | list[str] | None
    store: bool | None
    stream_options: Json
    temperature: float | None
    tool_choice: Json
    top_logprobs: int | None
    top_p: float | None
    user: str
    verbosity: str | None
    web_search_options: Json


class CachePoints(Struct, frozen=True, kw_only=True):
    """Where Anthropic and Bedrock cache a prompt: up to four places, the fewer the cheaper.

    Gateways that document Anthropic's marks get them, too: OpenRouter, LiteLLM and others whose row
    of the catalogue has ``cache_marks``. For the rest they are reported on ``dropped``.

    Sources: Anthropic, "Prompt caching" (``cache_control``); AWS, "Prompt caching for faster model
    inference" (``cachePoint``).
    """

    tools: bool = True
    """Behind the last tool."""
    system: bool = True
    """Behind the last of the system's messages."""
    turns: int = 1
    """Behind so many of the last turns, 0 to 2."""
    ttl: str | None = None
    """``"5m"`` or ``"1h"``; None is the provider's own, five minutes."""

    def __post_init__(self) -> None:
        """Look whether there can be such points.

        Raises:
            ConfigurationError: There cannot.
        """
        if self.turns not in (0, 1, 2):
            raise ConfigurationError(
                f"CachePoints(turns={self.turns!r}): 0, 1 or 2, as a prompt has four points at most"
                " and two are behind the tools and the system's messages",
                param="turns",
            )
        if self.ttl not in (None, "5m", "1h"):
            raise ConfigurationError(
                f'CachePoints(ttl={self.ttl!r}): "5m", "1h" or None', param="ttl"
            )


class Request(Struct, Generic[ItemT], frozen=True, kw_only=True):
    """What every endpoint's request has: the model, and how the call may be made."""

    model: str
    """The model as the caller names it."""
    timeouts: Timeouts | None = None
    """Clocks of this call; those not named follow the deployment's and the client's."""
    max_retries: int | None = None
    """Tries after the first, in place; None follows the client's."""
    fallbacks: tuple[str, ...] | None = None
    """The models to try next, in order; None follows the client's list for the model."""
    fallback_on: frozenset[str] | None = None
    """The kinds of error (``PenstockError.kind``) that lead to a fallback; None: as each says."""
    strict: bool = False
    """Whether what a dialect cannot say is an error instead of a report on ``dropped``."""
    extra_body: Mapping[str, Json] = {}
    """More fields of the body: shallow, and stronger than ours."""
    extra_headers: Mapping[str, str] = {}
    """More headers."""
    metadata: Mapping[str, Json] = {}
    """The caller's own mapping: carried to the reply, errors, hooks and logs, never sent."""
    tenant: str | None = None
    """On whose behalf: part of every policy's key."""
    tags: tuple[str, ...] = ()
    """The caller's labels, for hooks and logs."""
    keep_raw: bool = False
    """Whether the provider's events are kept on the reply as they came."""
    started: float | None = None
    """When the call began, on `time.monotonic`, as its ``total`` clock covers every attempt; None
    where it begins now."""

    def __repr__(self) -> str:
        # Prompts and headers must not reach a traceback with locals or a log (fault matrix, 39).
        return f"{type(self).__name__}(model={self.model!r}, ...)"


class ChatRequest(Request[Chunk], frozen=True, kw_only=True):
    """A chat: a conversation, and the parameters of the answer."""

    messages: Messages
    """The conversation."""
    params: Mapping[str, Json] = {}
    """Parameters by their OpenAI names, as in `ChatParams`; None values are sent as null."""
    tools: tuple[Json, ...] = ()
    """Tools in the OpenAI shape."""
    response_format: Json = None
    """The shape of the answer, in the OpenAI shape."""
    stream: bool = True
    """Whether the answer is streamed on the wire; False where a provider or proxy forbids it."""
    usage: bool = True
    """Whether a streamed answer is asked to end with its usage (``stream_options``)."""
    body: ReadySource | None = None
    """A whole body in the vendor's words, sent instead of the conversation and the parameters."""
    cache_points: CachePoints | None = None
    """Where the prompt is to be cached, for dialects that want to be told."""
    capture: str | None = None
    """A file that takes the exchange as it is on the wire, for the simulator to replay."""

    @property
    def bare(self) -> bool:
        """Whether the provider is told nothing but the conversation, and all else is as usual."""
        return (
            self.stream
            and self.usage
            and not (self.params or self.tools or self.extra_body or self.extra_headers)
            and self.response_format is None
            and self.cache_points is None
            and self.body is None
        )

    @property
    def media(self) -> bool:
        """Whether the answer may hold images or audio."""
        if not self.params:
            return False
        asked = self.params.get("modalities")
        return bool(self.params.get("audio")) or (
            isinstance(asked, (list, tuple)) and any(kind != "text" for kind in asked)
        )


class RecallRequest(ChatRequest, frozen=True, kw_only=True):
    """An answer that the provider keeps, asked for again: no conversation, only its id."""

    messages: Messages = ()
    """Nothing."""
    id: str
    """The provider's id of the answer."""
    action: Literal["retrieve", "cancel"] = "retrieve"
    """Whether it is asked for, or told to stop."""
    starting_after: int | None = None
    """The number of the last event that is known, where a stream is taken up again."""
