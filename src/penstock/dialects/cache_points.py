"""Where a prompt is to be cached, said as users of Anthropic's and Bedrock's models say it by hand.

The places of `penstock.request.CachePoints` become a ``cache_control`` of a message or tool, which
both dialects put behind its last block; gateways of OpenAI's shape have it in the last part of a
message. A conversation is pulled through it one message at a time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec.structs import replace

from penstock.dialects.replays import END, NEXT, Steps, driven, driven_async, replayed
from penstock.fields import Raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from penstock.dialects.places import Losses
    from penstock.request import CachePoints, ChatRequest

__all__ = ["cached", "unmarked", "unmarked_tools", "unpointed"]

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


def unpointed(request: ChatRequest, losses: Losses) -> None:
    """Report cache points for a vendor that is not told where to cache.

    Raises:
        UnsupportedFeatureError: The request is strict, and has some.
    """
    if request.cache_points is not None:
        losses.drop("cache_points", "nothing is marked for a cache here")


def cached(request: ChatRequest, *, in_parts: bool = False) -> ChatRequest:
    """Return `request` with its messages and tools marked as its cache points ask.

    A message that has a ``cache_control`` of its own, or in one of its parts, keeps it. The source
    of the messages can be read as often as before, and is as ready.

    Args:
        request: The request.
        in_parts: Whether the mark of a message goes into its last part, as the types of OpenRouter
            have it (``ChatContentText``, ``ChatFunctionTool``: ``cache_control``); text becomes
            a part. One without a part, such as calls alone, stays as it is.
    """
    points = request.cache_points
    if points is None:
        return request
    messages: Json = request.messages
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if isinstance(messages, (list, tuple)) and len(messages) <= _SHORT:
        messages = list(_Marking(points, in_parts=in_parts).over(iter(messages)))
    else:
        messages = replayed(messages, lambda: _Marking(points, in_parts=in_parts))
    tools = request.tools
    if points.tools and tools:
        tools = (*tools[:-1], _marked(tools[-1], points))
    return replace(request, messages=messages, tools=tools)


class _Marking:
    """One pass over a conversation: holds back the messages that may turn out to be the last."""

    def __init__(self, points: CachePoints, *, in_parts: bool) -> None:
        self._points = points
        self._in_parts = in_parts

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
                yield self._marked(system) if points.system else system
            leading, system = False, None
            held.append(message)
            if len(held) > points.turns:
                yield held.popleft()
        if system is not None:
            yield self._marked(system) if points.system else system
        for message in held:
            yield self._marked(message)

    def _marked(self, message: Json) -> Json:
        marked = _marked(message, self._points)
        return _in_last_part(marked) if self._in_parts and marked is not message else marked


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


def _in_last_part(message: Json) -> Json:
    """Return a message of OpenAI's shape with its mark in its last part."""
    if not hasattr(message, "keys") or _KEY not in message:
        return message
    bare = {name: each for name, each in message.items() if name != _KEY}
    parts = bare.get("content")
    if isinstance(parts, str) and parts:
        parts = [{"type": "text", "text": parts}]
    if not isinstance(parts, (list, tuple)) or not parts or not hasattr(parts[-1], "keys"):
        return bare
    return {**bare, "content": [*parts[:-1], {**parts[-1], _KEY: message[_KEY]}]}
