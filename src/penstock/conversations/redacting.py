"""What is left of a message that is redacted, and which files messages refer to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.conversations.measuring import each
from penstock.conversations.references import digests_in

if TYPE_CHECKING:
    from penstock.conversations.stores import Store

__all__ = ["redacted", "referred_by"]

# A message of the OpenAI shape, or a call in it.
Json: TypeAlias = Any

_STAYS = ("role", "name", "tool_call_id")


def redacted(message: Mapping[str, Json], content: str) -> Json:
    """Return what is left of a message: who says it, which tools it calls, and `content`."""
    kept = {name: message[name] for name in _STAYS if name in message}
    if calls := message.get("tool_calls"):
        kept["tool_calls"] = [_without_arguments(call) for call in calls]
    if isinstance(called := message.get("function_call"), Mapping):
        kept["function_call"] = {"name": called.get("name", ""), "arguments": "{}"}
    return kept | {"content": content}


def referred_by(store: Store, start: int, stop: int) -> set[str]:
    """Return the digests of the files to which the messages between two numbers refer."""
    return set[str]().union(*map(digests_in, each(store.blocks(start, stop))))


def _without_arguments(call: Mapping[str, Json]) -> Json:
    """Return a call that says which tool, and nothing of what it was told."""
    said = {name: call[name] for name in ("id", "type") if name in call}
    for kind, argument, empty in (("function", "arguments", "{}"), ("custom", "input", "")):
        if isinstance(tool := call.get(kind), Mapping):
            said[kind] = {"name": tool.get("name", ""), argument: empty}
    return said
