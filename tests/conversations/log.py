"""What was said, in the tests of views and summaries."""

from __future__ import annotations

from typing import Any

__all__ = ["LOG", "call", "say"]


def say(role: str, content: str) -> dict[str, Any]:
    """A message."""
    return {"role": role, "content": content}


def call(*ids: str) -> dict[str, Any]:
    """A turn that asks for tools."""
    calls = [
        {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id in ids
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


LOG = [
    say("system", "s0"),
    say("developer", "s1"),
    say("user", "u2"),
    say("assistant", "a3"),
    say("user", "u4"),
    call("c5", "d5"),
    {"role": "tool", "tool_call_id": "c5", "content": "t6"},
    {"role": "tool", "tool_call_id": "d5", "content": "t7"},
    say("assistant", "a8"),
    say("user", "u9"),
]
