"""What exoclaw's provider is given and gives back, from and to penstock's own values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import DecodeError
from msgspec.json import decode

from penstock.errors import OutputTruncatedError, StructuredOutputError

if TYPE_CHECKING:
    from penstock.messages import Messages
    from penstock.response import Reply, ToolCall

__all__ = ["LLMResponse", "ToolCallRequest", "conversation", "response"]

# JSON of the OpenAI shape.
Json: TypeAlias = Any


@dataclass
class ToolCallRequest:
    """A call that the model asks for."""

    id: str
    """The provider's id for it; made here where the provider gave none."""
    name: str
    """The tool's name."""
    arguments: dict[str, Json]
    """The arguments."""


@dataclass
class LLMResponse:
    """A whole answer."""

    content: str | None
    """The text, or None."""
    tool_calls: list[ToolCallRequest] = field(default_factory=list)
    """The calls that the model asks for."""
    finish_reason: str = "stop"
    """Why the answer ended, in the provider's word."""
    usage: dict[str, int] = field(default_factory=dict)
    """``prompt_tokens``, ``completion_tokens``, ``total_tokens``; ``cached_tokens`` and
    ``reasoning_tokens`` where the provider counts them."""
    reasoning_content: str | None = None
    """The model's thinking, in whichever spelling it came."""
    thinking_blocks: list[dict[str, Json]] | None = None
    """OpenRouter's ``reasoning_details``; sent back as such with the next turn."""
    cost: float | None = None
    """The provider's own figure, US dollars."""
    service_tier: str | None = None
    """The tier that served the request."""
    refusal: str | None = None
    """Why the model declines; the other library has no field for it."""

    @property
    def has_tool_calls(self) -> bool:
        """Whether the model asks for any call."""
        return bool(self.tool_calls)


for _shape in (LLMResponse, ToolCallRequest):  # where pickles and pages look for them
    _shape.__module__ = "penstock.sync.exoclaw"


def response(reply: Reply) -> LLMResponse:
    """Return an answer by the other library's names.

    Raises:
        OutputTruncatedError: The token limit cut the arguments of a tool call.
        StructuredOutputError: The arguments of a tool call are no JSON object.
    """
    first = reply.choices[0]
    details = first.state.get("reasoning_details")
    return LLMResponse(
        content=reply.text or None,
        tool_calls=[_call(call, reply) for call in reply.tool_calls],
        finish_reason=first.finish_raw or first.finish_reason or "stop",
        usage=_usage(reply),
        reasoning_content=reply.reasoning or None,
        thinking_blocks=list(details) if details else None,
        cost=reply.cost,
        service_tier=reply.service_tier,
        refusal=reply.refusal,
    )


def _usage(reply: Reply) -> dict[str, int]:
    usage = reply.usage
    if usage is None:
        return {}
    counts = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    if usage.cached_tokens is not None:
        counts["cached_tokens"] = usage.cached_tokens
    if usage.reasoning_tokens is not None:
        counts["reasoning_tokens"] = usage.reasoning_tokens
    return counts


def _call(call: ToolCall, reply: Reply) -> ToolCallRequest:
    """Return a call that can be dispatched; half of one, or a repaired one, must not be."""
    # Nine letters and digits: Mistral takes no other ids.
    id_ = call.id or token_hex(5)[:9]
    arguments = _object(call.arguments) if call.arguments.strip() else {}
    if arguments is not None:
        return ToolCallRequest(id_, call.name, arguments)
    if reply.finish_reason == "length":
        raise OutputTruncatedError(
            f"the answer ended at its token limit amid the arguments of {call.name!r}",
            deployment=reply.deployment,
            dropped=reply.dropped,
            partial=reply,
        )
    raise StructuredOutputError(
        f"the arguments of {call.name!r} are no JSON object",
        text=call.arguments,
        deployment=reply.deployment,
        dropped=reply.dropped,
        partial=reply,
    )


def _object(text: str) -> dict[str, Json] | None:
    try:
        value = decode(text)
    except (DecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def conversation(messages: Messages) -> Messages:
    """Return `messages` without what is the caller's own; a list that has none of it, itself."""
    if isinstance(messages, Iterator):
        return map(_sent, messages)
    if isinstance(messages, AsyncIterator):
        return _sent_async(messages)
    if isinstance(messages, Sequence) and not isinstance(messages, str):
        if all(_sent(message) is message for message in messages):
            return messages
        kept: Iterable[Json] = messages
        return lambda: map(_sent, kept)
    return messages


async def _sent_async(messages: AsyncIterator[Json]) -> AsyncIterator[Json]:
    async for message in messages:
        yield _sent(message)


def _sent(message: Json) -> Json:
    """Return the message as it is sent, itself where that is the same."""
    if not isinstance(message, dict):
        return message
    blocks = message.get("thinking_blocks")
    if not blocks and not any(type(key) is str and key[:1] == "_" for key in message):
        return message
    sent = {key: value for key, value in message.items() if not str(key).startswith("_")}
    # Items of reasoning_details are told by their type (OpenRouter, "Reasoning tokens").
    if blocks and all(str(block.get("type", "")).startswith("reasoning.") for block in blocks):
        sent.setdefault("reasoning_details", sent.pop("thinking_blocks"))
    return sent
