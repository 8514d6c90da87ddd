"""A Messages request, read as far as an answer needs it, and held to what the API insists on.

The API refuses thinking that was changed, results without their call and requests without a limit;
so does this, so that a client which loses something of an earlier answer is found out.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import msgspec

from penstock.simulator.answers import Ask
from penstock.simulator.intake import Intake
from penstock.simulator.wires import openai_request

__all__ = ["Signer", "read"]


class _Format(msgspec.Struct):
    schema: dict[str, Any] | None = None


class _Output(msgspec.Struct):
    format: _Format | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[dict[str, Any]]


class _Request(msgspec.Struct):
    messages: list[_Message]
    model: str = ""
    max_tokens: int | None = None
    stream: bool = False
    tools: list[dict[str, Any]] = []
    output_config: _Output | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_ROLES = ("user", "assistant", "system")


class Signer:
    """Signs thinking while it is produced; the same thinking has the same signature."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256(b"penstock")

    def add(self, piece: str) -> None:
        """Take the next piece."""
        self._hash.update(piece.encode())

    def signature(self) -> str:
        """Return the signature of all pieces so far."""
        return b64encode(self._hash.digest()).decode()


def read(body: Intake, model: str = "") -> Ask:
    """Return what the request asks for.

    Args:
        body: The request's body.
        model: The model, where the address names it.

    Raises:
        ValueError: It is no request that the API takes.
    """
    if not body.complete:
        found = replace(openai_request.read(body), usage=True)
        return replace(found, model=model) if model else found
    try:
        request = _REQUEST.decode(body.head)
    except msgspec.MsgspecError as exc:
        raise ValueError(f"The body is not a Messages request: {exc}") from exc
    if not (model or request.model):
        raise ValueError("model: Field required")
    if request.max_tokens is None:
        raise ValueError("max_tokens: Field required")
    if not request.messages:
        raise ValueError("messages: at least one message is required")
    _check(request.messages)
    role, text = _last(request.messages)
    wanted = request.output_config.format if request.output_config else None
    named = [
        {"name": tool["name"], "schema": tool["input_schema"]}
        for tool in request.tools
        if "name" in tool and "input_schema" in tool
    ]
    return Ask(
        model=model or request.model,
        stream=request.stream,
        text=text,
        last_role=role,
        tools=json.dumps(named) if named else "",
        schema=json.dumps(wanted.schema) if wanted and wanted.schema else "",
        usage=True,
        limit=request.max_tokens,
        input_tokens=max(body.length // 4, 1),
    )


def _check(messages: list[_Message]) -> None:
    """Refuse what the API refuses of a conversation."""
    asked: set[str] = set()
    for number, message in enumerate(messages):
        if message.role not in _ROLES:
            raise ValueError(f'messages.{number}.role: unexpected role "{message.role}"')
        blocks = message.content if isinstance(message.content, list) else []
        for place, block in enumerate(blocks):
            path = f"messages.{number}.content.{place}"
            kind = block.get("type")
            if kind == "tool_use":
                asked.add(block.get("id", ""))
            elif kind == "tool_result" and block.get("tool_use_id") not in asked:
                raise ValueError(f"{path}: unexpected tool_use_id: there is no such tool_use")
            elif kind == "thinking" and not _is_signed(block):
                raise ValueError(f"{path}: Invalid `signature` in `thinking` block")
            elif kind == "text" and not str(block.get("text", "")).strip():
                raise ValueError(f"{path}: text content blocks must contain non-whitespace text")


def _is_signed(block: dict[str, Any]) -> bool:
    signer = Signer()
    signer.add(str(block.get("thinking", "")))
    return bool(block.get("signature") == signer.signature())


def _last(messages: list[_Message]) -> tuple[str, str]:
    """Return the last message's role (``tool`` for results) and the last user text."""
    role = messages[-1].role
    content = messages[-1].content
    if isinstance(content, list) and any(part.get("type") == "tool_result" for part in content):
        role = "tool"
    for message in reversed(messages):
        if message.role == "user" and (text := _text(message.content)):
            return role, text
    return role, ""


def _text(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type") == "text")
