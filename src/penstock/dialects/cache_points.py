"""Where a prompt is to be cached, said as users of Anthropic's and Bedrock's models say it by hand.

The places of `penstock.request.CachePoints` become a ``cache_control`` of a message or tool, which
both dialects put behind its last block. A conversation is pulled through it one message at a time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec.structs import replace

from penstock.dialects.turns import END, NEXT, Steps, driven, driven_async, replayed
from penstock.fields import Raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from penstock.dialects.places import Losses
    from penstock.request import CachePoints, ChatRequest

__all__ = ["cached", "unmarked", "unmarked_tools"]

# JSON of the OpenAI shape, as the caller gives it.
Json: TypeAlias = Any

_SYSTEM = ("system", "developer")
_KEY = "cache_control"
_SHORT = 32
"""Messages of a list that is marked at once."""


def unmarked(tool: Mapping[str, Json], path: str, losses: Losses) -> dict[str, Json]:
    """Return a tool for a vendor that has no ``cache_control``, which is reported.

    Args:
        tool: A tool of the OpenAI shape.
        path: Where it stands.
        losses: Told of the mark.
    """
    if tool.get(_KEY):
        losses.drop(f"{path}.{_KEY}", "nothing is marked for a cache here")
    return {name: value for name, value in tool.items() if name != _KEY}


def unmarked_tools(tools: Sequence[Json], losses: Losses) -> list[Json]:
    """Return `tools` for a vendor that has no ``cache_control``; those without one stay."""
    return [
        unmarked(tool, f"tools[{at}]", losses) if hasattr(tool, "keys") and _KEY in tool else tool
        for at, tool in enumerate(tools)
    ]


def cached(request: ChatRequest) -> ChatRequest:
    """Return `request` with its messages and tools marked as its cache points ask.

    A message that has a ``cache_control`` of its own, or in one of its parts, keeps it. The source
    of the messages can be read as often as before, and is as ready.
    """
    points = request.cache_points
    if points is None:
        return request
    messages: Json = request.messages
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if isinstance(messages, (list, tuple)) and len(messages) <= _SHORT:
        messages = list(_Marking(points).over(iter(messages)))
    else:
        messages = replayed(messages, lambda: _Marking(points))
    tools = request.tools
    if points.tools and tools:
        tools = (*tools[:-1], _marked(tools[-1], points))
    return replace(request, messages=messages, tools=tools)


class _Marking:
    """One pass over a conversation: holds back the messages that may turn out to be the last."""

    def __init__(self, points: CachePoints) -> None:
        self._points = points

    def over(self, messages: Iterator[Json]) -> Iterator[Json]:
        """Return `messages` with marks."""
        return driven(self._steps(), messages)

    def over_async(self, messages: AsyncIterator[Json]) -> AsyncIterator[Json]:
        """Return async `messages` with marks."""
        return driven_async(self._steps(), messages)

    def _steps(self) -> Steps:
        points = self._points
        system: Json = None
        held: deque[Json] = deque()
        leading = True
        while (message := (yield NEXT)) is not END:
            if leading and _role(message) in _SYSTEM:
                if system is not None:
                    yield system
                system = message
                continue
            if leading and system is not None:
                yield _marked(system, points) if points.system else system
            leading, system = False, None
            held.append(message)
            if len(held) > points.turns:
                yield held.popleft()
        if system is not None:
            yield _marked(system, points) if points.system else system
        for message in held:
            yield _marked(message, points)


def _role(message: Json) -> str:
    if isinstance(message, Raw):
        message = msgspec.json.decode(message.data)
    found = message.get("role") if hasattr(message, "get") else getattr(message, "role", "")
    return str(found)


def _marked(value: Json, points: CachePoints) -> Json:
    """Return a message or tool with the mark, unless it has one."""
    if isinstance(value, Raw):
        value = msgspec.json.decode(value.data)
    elif hasattr(value, "to_openai"):
        value = value.to_openai()
    if not hasattr(value, "keys") or _KEY in value:
        return value  # what is no message is refused where messages are opened
    parts = value.get("content")
    if isinstance(parts, (list, tuple)) and any(
        hasattr(part, "keys") and (_KEY in part or "cachePoint" in part) for part in parts
    ):
        return value
    mark = {"type": "ephemeral"} | ({"ttl": points.ttl} if points.ttl else {})
    return {**value, _KEY: mark}
