"""A chat-completions request, read as far as an answer needs it.

A body within the intake's bound is decoded whole. Of a longer one only both ends are there: its
scalars, its last message and what else stands in them are found by their keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.simulator.answers import Ask
from penstock.simulator.intake import Intake

__all__ = ["model_in", "read"]


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Request(msgspec.Struct):
    model: str
    messages: list[msgspec.Raw] = []
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    tools: list[dict[str, Any]] | None = None
    functions: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


class _Message(msgspec.Struct):
    role: str = ""
    content: str | list[Any] | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_MESSAGE = msgspec.json.Decoder(_Message)
_SEARCHED = 64
"""Messages looked at, from the last, for the user's text; keys of a long body's end, too."""

_SCALARS = 64 * 1024
"""Bytes of a long body's start that are searched."""

_SCALAR = rb'\s*"(?:[^"\\]|\\.)*"\s*:\s*(?:"(?:[^"\\]|\\.)*"|[-+.\deE]+|true|false|null)\s*,'
_FIRST_MODEL = re.compile(rb'\A\s*\{(?:%b)*?\s*"model"\s*:\s*("(?:[^"\\]|\\.)*")' % _SCALAR)
_TAIL_KEY = re.compile(
    rb'"(?:model|stream|stream_options|n|max_tokens|max_completion_tokens|tools|response_format)"\s*:'
)
_TAIL_MESSAGE = re.compile(rb'\{\s*"(?:role|content)"\s*:')


def model_in(head: bytes) -> str | None:
    """Return the model from the start of a body, if only scalars stand before it."""
    found = _FIRST_MODEL.match(head)
    return str(json.loads(found[1])) if found else None


def read(body: Intake) -> Ask:
    """Return what the request asks for.

    Raises:
        ValueError: It is no JSON object with a model and messages.
    """
    if not body.complete:
        return _salvage(body)
    try:
        request = _REQUEST.decode(body.head)
    except msgspec.MsgspecError as exc:
        raise ValueError(f"The body is not a chat completion request: {exc}") from exc
    return _ask(request, body.length, *_last(reversed(request.messages)))


def _ask(request: _Request, length: int, role: str, text: str) -> Ask:
    options = request.stream_options
    tools = [tool.get("function", tool) for tool in request.tools or request.functions or ()]
    named = [
        {"name": tool["name"], "schema": tool.get("parameters") or {}}
        for tool in tools
        if isinstance(tool, dict) and isinstance(tool.get("name"), str)
    ]
    return Ask(
        model=request.model,
        stream=bool(request.stream),
        text=text,
        last_role=role,
        tools=json.dumps(named) if named else "",
        schema=_schema(request.response_format),
        choices=min(max(request.n or 1, 1), 128),  # OpenAI's own bound on n
        usage=bool(options and options.include_usage),
        limit=request.max_completion_tokens or request.max_tokens,
        input_tokens=max(length // 4, 1),
    )


def _schema(wanted: dict[str, Any] | None) -> str:
    inner = (wanted or {}).get("json_schema")
    schema = inner.get("schema") if isinstance(inner, dict) else None
    return json.dumps(schema) if isinstance(schema, dict) else ""


def _last(messages: Iterator[msgspec.Raw]) -> tuple[str, str]:
    """Return the last message's role and the last user text."""
    role = ""
    for _, raw in zip(range(_SEARCHED), messages, strict=False):
        try:
            message = _MESSAGE.decode(raw)
        except msgspec.MsgspecError:
            continue
        role = role or message.role
        if message.role == "user":
            return role, _text(message.content)
    return role, ""


def _text(content: str | list[Any] | None) -> str:
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return content or ""


def _salvage(body: Intake) -> Ask:
    """Read both ends of a body whose middle was only hashed."""
    head, tail = bytes(body.head[:_SCALARS]), bytes(body.tail)
    found = _head_scalars(head) | _tail_fields(tail)
    if "model" not in found:
        raise ValueError("No model at either end of a body that is longer than the simulator keeps")
    starts = [match.start() for match in _TAIL_MESSAGE.finditer(tail)][-_SEARCHED:]
    pieces = (piece for start in reversed(starts) if (piece := _value(tail, start)) is not None)
    role, text = _last(msgspec.Raw(json.dumps(piece).encode()) for piece in pieces)
    return _ask(msgspec.convert(found, _Request), body.length, role, text)


def _tail_fields(tail: bytes) -> dict[str, Any]:
    """Return the object's last keys: those from which the rest of the body is balanced."""
    found: dict[str, Any] = {}
    for match in list(_TAIL_KEY.finditer(tail))[: -_SEARCHED - 1 : -1]:
        try:
            found = json.loads(b"{" + tail[match.start() :])
        except ValueError:
            continue  # a key of a message or a tool
    return found


def _head_scalars(head: bytes) -> dict[str, Any]:
    start = re.match(rb"\A\s*\{((?:%b)*)" % _SCALAR, head)
    inner = start[1].rstrip().rstrip(b",") if start else b""
    found: dict[str, Any] = json.loads(b"{" + inner + b"}")
    return found


def _value(tail: bytes, start: int) -> Any:  # any JSON value
    try:
        return json.JSONDecoder().raw_decode(tail[start:].decode("utf-8", "replace"))[0]
    except ValueError:
        return None
