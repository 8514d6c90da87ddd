"""A Responses request, read as far as an answer needs it.

Shapes follow ``ResponseCreateParams`` of the openai SDK 3.57. Of a body above the intake's bound
only both ends are there, as in `penstock.simulator.wires.openai_request`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import msgspec

from penstock.simulator.answers import Ask
from penstock.simulator.intake import Intake
from penstock.simulator.wires import openai_request

__all__ = ["read"]

_SEARCHED = 64
"""Items looked at, from the last, for the user's text."""
_RESULTS = ("function_call_output", "custom_tool_call_output")
_SILENT_TYPES = ("message", "")


class _Text(msgspec.Struct):
    format: dict[str, Any] | None = None


class _Request(msgspec.Struct):
    model: str
    input: str | list[msgspec.Raw] = ""
    stream: bool | None = None
    background: bool | None = None
    tools: list[dict[str, Any]] | None = None
    text: _Text | None = None
    max_output_tokens: int | None = None


class _Item(msgspec.Struct):
    type: str = ""
    role: str = ""
    content: Any = None  # text or parts of a message; items of other types have what they like


_REQUEST = msgspec.json.Decoder(_Request)
_ITEM = msgspec.json.Decoder(_Item)


def read(body: Intake) -> Ask:
    """Return what the request asks for.

    Raises:
        ValueError: It is no JSON object with a model.
    """
    if not body.complete:
        return _salvaged(body)
    try:
        request = _REQUEST.decode(body.head)
    except msgspec.MsgspecError as exc:
        raise ValueError(f"The body is not a request for a response: {exc}") from exc
    role, text = _last(request.input)
    named = list(_named(request.tools or ()))
    return Ask(
        model=request.model,
        stream=bool(request.stream),
        text=text,
        last_role=role,
        tools=json.dumps(named) if named else "",
        schema=_schema(request.text),
        usage=True,
        limit=request.max_output_tokens,
        input_tokens=max(body.length // 4, 1),
        background=bool(request.background),
    )


def _named(tools: Iterable[dict[str, Any]], namespace: str = "") -> Iterator[dict[str, Any]]:
    """Produce the tools that can be called, those in namespaces with its name."""
    for tool in tools:
        kind, name = tool.get("type"), tool.get("name")
        if not isinstance(name, str):
            continue
        if kind == "namespace":
            yield from _named(tool.get("tools") or (), name)
        elif kind in ("function", "custom"):
            schema = tool.get("parameters") or {}
            yield {"name": name, "schema": schema, "kind": kind, "namespace": namespace}


def _salvaged(body: Intake) -> Ask:
    """Read both ends of a body whose middle was only hashed: it has the keys of Chat's."""
    ask = replace(openai_request.read(body), usage=True)
    tail = bytes(body.tail)
    if max(tail.rfind(f'"{name}"'.encode()) for name in _RESULTS) > tail.rfind(b'"role"'):
        return replace(ask, last_role="tool")
    return ask


def _schema(text: _Text | None) -> str:
    schema = (text.format or {}).get("schema") if text else None
    return json.dumps(schema) if isinstance(schema, dict) else ""


def _last(given: str | list[msgspec.Raw]) -> tuple[str, str]:
    """Return the last item's role and the last user text."""
    if isinstance(given, str):
        return "user", given
    role = ""
    for item in _items(given):
        if item.type in _SILENT_TYPES:
            role = role or item.role
            if item.role == "user":
                return role, _text(item.content)
        else:
            role = role or ("tool" if item.type in _RESULTS else item.type)
    return role, ""


def _items(given: list[msgspec.Raw]) -> Iterator[_Item]:
    for _, raw in zip(range(_SEARCHED), reversed(given), strict=False):
        try:
            yield _ITEM.decode(raw)
        except msgspec.MsgspecError:
            continue


def _text(content: Any) -> str:  # JSON of any shape
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""
