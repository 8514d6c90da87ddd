"""The conversation of a run: what is asked of a kept one, and what is noted for a crash."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.errors import UsageError
from penstock.response import ToolCall

if TYPE_CHECKING:
    from penstock.conversations import Conversation

__all__ = ["History", "Pending"]

# A message of the OpenAI shape.
Json: TypeAlias = Any

_NOTE = "tool_loop"
"""The name under which a conversation's metadata has what was begun."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A call that has no result yet."""

    at: int
    """Its place in the message."""
    call: ToolCall
    """The call."""
    begun: bool = False
    """Whether it may have run already, in a run that did not see its end."""


class History:
    """A run's conversation.

    Args:
        conversation: It.
        kept: Whether it outlives the run, so that what is begun is noted.
        strict: Whether a message may have no field that some dialect does not know.
    """

    def __init__(self, conversation: Conversation, *, kept: bool, strict: bool = False) -> None:
        self.conversation = conversation
        """The conversation."""
        self._kept, self._strict = kept, strict
        self._message = 0
        self._begun: list[int] = []
        self._noting = asyncio.Lock()

    async def add(self, messages: object) -> None:
        """Append what a run begins with: a text, a message, or several.

        Raises:
            UsageError: It is none of them.
        """
        if isinstance(messages, str):
            await self.conversation.append({"role": "user", "content": messages})
        elif isinstance(messages, Mapping):
            await self.conversation.append(messages)
        elif isinstance(messages, (Iterable, AsyncIterable)):
            await self.conversation.extend(messages)
        elif messages is not None:
            raise UsageError(f"a run begins with text or messages, not {type(messages).__name__}")

    async def pending(self) -> list[Pending]:
        """Return the calls of the last assistant message that have no result."""
        answered: Counter[str] = Counter()
        length = await self.conversation.length()
        messages = self.conversation.backwards()
        try:
            async for message in messages:
                length -= 1
                if message.get("role") not in ("tool", "function"):
                    return await self._unanswered(message, answered, length)
                answered[message.get("tool_call_id") or message.get("name") or ""] += 1
        finally:
            await messages.aclose()
        return []

    async def _unanswered(self, message: Json, answered: Counter[str], index: int) -> list[Pending]:
        if message.get("role") != "assistant":
            return []
        noted = (await self.conversation.metadata()).get(_NOTE) or {}
        begun = noted.get("begun", []) if noted.get("message") == index else []
        self._message, self._begun = index, list(begun)
        pending = []
        for at, call in enumerate(_calls(message)):
            if answered[call.id or call.name]:
                answered[call.id or call.name] -= 1
            else:
                pending.append(Pending(at, call, at in begun))
        return pending

    async def ask(self, message: Json) -> None:
        """Keep the model's message; its calls come next."""
        self._message = await self.conversation.append(message)
        self._begun = []

    async def begin(self, at: int) -> None:
        """Note that call number `at` of the last message is about to be made."""
        if not self._kept:
            return
        async with self._noting:  # notes are kept in threads, where a later one may be first
            self._begun = sorted({*self._begun, at})
            noted = {"message": self._message, "begun": self._begun}
            await self.conversation.note(**{_NOTE: noted})

    async def answer(self, call: ToolCall, content: str | list[Json], *, is_error: bool) -> None:
        """Keep a call's result."""
        if call.kind == "function_call":
            message: Json = {"role": "function", "name": call.name, "content": content}
        else:
            message = {"role": "tool", "tool_call_id": call.id, "content": content}
        if is_error and not self._strict:  # its text says so as well
            message["is_error"] = True
        await self.conversation.append(message)


def _calls(message: Json) -> list[ToolCall]:
    """Return the calls of a kept assistant message."""
    calls = []
    for call in message.get("tool_calls") or ():
        kind = "custom" if call.get("type") == "custom" else "function"
        said = call.get(kind) or {}
        text = said.get("input" if kind == "custom" else "arguments", "")
        calls.append(ToolCall(call.get("id", ""), said.get("name", ""), text, kind))
    if old := message.get("function_call"):
        calls.append(ToolCall("", old.get("name", ""), old.get("arguments", ""), "function_call"))
    return calls
