"""What an MCP server's result says, in the OpenAI shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.agents.tools import ToolResult

if TYPE_CHECKING:
    from mcp_types import CallToolResult

__all__ = ["result_of"]

# Content parts of the OpenAI shape, and blocks of MCP's.
Json: TypeAlias = Any

_AUDIO = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
"""The formats that OpenAI's ``input_audio`` has words for."""


def result_of(answer: CallToolResult) -> ToolResult:
    """Return a server's answer as a result: text where all of it is text, else parts.

    Structured content is said as JSON where there is no other content; the specification has
    servers say it as text as well (MCP 2025-06-18, "Structured Content").
    """
    parts = [_part(block) for block in answer.content]
    if not parts and answer.structured_content is not None:
        parts = [_text(msgspec.json.encode(answer.structured_content).decode())]
    if all(part["type"] == "text" for part in parts):
        return ToolResult("\n".join(part["text"] for part in parts), answer.is_error)
    return ToolResult(parts, answer.is_error)


def _part(block: Json) -> dict[str, Json]:
    if block.type == "text":
        return _text(block.text)
    if block.type == "image":
        url = f"data:{block.mime_type};base64,{block.data}"
        return {"type": "image_url", "image_url": {"url": url}}
    if block.type == "audio" and block.mime_type in _AUDIO:
        sound = {"data": block.data, "format": _AUDIO[block.mime_type]}
        return {"type": "input_audio", "input_audio": sound}
    if block.type == "resource_link":
        words = [block.name, block.uri, block.mime_type, block.description]
        return _text(" ".join(str(word) for word in words if word))
    if block.type == "resource":
        text = getattr(block.resource, "text", None)
        return _text(text if isinstance(text, str) else _unsaid(block.resource, "a file"))
    return _text(_unsaid(block, f"content of type {block.type}"))


def _text(text: str) -> dict[str, Json]:
    return {"type": "text", "text": text}


def _unsaid(block: Json, what: str) -> str:
    """Return what stands in the place of content that a message has no words for."""
    facts = [getattr(block, name, None) for name in ("uri", "mime_type")]
    known = ", ".join(str(fact) for fact in facts if fact)
    return f"[{what}{': ' + known if known else ''}, not shown]"
