"""Messages with types, for those who prefer them to dicts of the OpenAI shape; both mix freely."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from msgspec import Struct

from penstock.fields import Raw
from penstock.response import ToolCall  # msgspec reads the annotations

__all__ = [
    "AssistantMessage",
    "Message",
    "Messages",
    "SystemMessage",
    "ToolMessage",
    "UserMessage",
]

# JSON of the OpenAI shape: content parts and whatever a vendor adds to a message.
Json: TypeAlias = Any


class SystemMessage(Struct, frozen=True):
    """What the model is told before the conversation."""

    content: str | list[Json]
    """Text, or content parts of the OpenAI shape."""
    name: str | None = None
    """Who says it, where several do."""
    role: str = "system"
    """``system`` or ``developer``."""

    def to_openai(self) -> dict[str, Json]:
        """Return the message as a dict of the OpenAI shape."""
        return _named({"role": self.role, "content": self.content}, self.name)


class UserMessage(Struct, frozen=True):
    """What the user says."""

    content: str | list[Json]
    """Text, or content parts of the OpenAI shape."""
    name: str | None = None
    """Who says it, where several do."""

    def to_openai(self) -> dict[str, Json]:
        """Return the message as a dict of the OpenAI shape."""
        return _named({"role": "user", "content": self.content}, self.name)


class AssistantMessage(Struct, frozen=True):
    """What the model said."""

    content: str | list[Json] | None = None
    """Text, content parts of the OpenAI shape, or None beside tool calls."""
    tool_calls: tuple[ToolCall, ...] = ()
    """The calls it asked for."""
    refusal: str | None = None
    """Why it declined."""
    name: str | None = None
    """Who says it, where several do."""
    provider_state: dict[str, Json] | None = None
    """What its provider wants back; see `penstock.Reply.message`."""

    def to_openai(self) -> dict[str, Json]:
        """Return the message as a dict of the OpenAI shape."""
        message: dict[str, Json] = {"role": "assistant", "content": self.content}
        if self.tool_calls:
            message["tool_calls"] = [call.to_openai() for call in self.tool_calls]
        if self.refusal is not None:
            message["refusal"] = self.refusal
        if self.provider_state is not None:
            message["provider_state"] = self.provider_state
        return _named(message, self.name)


class ToolMessage(Struct, frozen=True):
    """What a tool answered."""

    content: str | list[Json]
    """The result."""
    tool_call_id: str
    """The id of the call that it answers."""

    def to_openai(self) -> dict[str, Json]:
        """Return the message as a dict of the OpenAI shape."""
        return {"role": "tool", "tool_call_id": self.tool_call_id, "content": self.content}


# Without quotes: pyright takes an alias of several quoted pieces for unknown.
Message: TypeAlias = (
    SystemMessage | UserMessage | AssistantMessage | ToolMessage | Mapping[str, Json] | Raw
)
"""One message: typed, a dict of the OpenAI shape, or such a dict's JSON as `Raw`."""

Messages: TypeAlias = (
    str
    | Iterable[Message]
    | AsyncIterable[Message]
    | Callable[[], Iterable[Message] | AsyncIterable[Message]]
)
"""A conversation: a list, anything that can be iterated again, a factory of iterables (sync or
async), or a one-shot iterator, whose second pass (a retry, a fallback) is refused; a plain ``str``
is one user message."""


def _named(message: dict[str, Json], name: str | None) -> dict[str, Json]:
    if name is not None:
        message["name"] = name
    return message
