"""A Converse request, read as far as an answer needs it, and held to what Bedrock insists on.

Bedrock refuses thinking that was changed, results without their call, calls without tools, blank
text and documents of one name; so does this, so that a client which loses something of an earlier
answer is found out.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from penstock.simulator.answers import Ask
from penstock.simulator.intake import Intake
from penstock.simulator.wires.anthropic_request import Signer

__all__ = ["read", "salvaged"]


class _Message(msgspec.Struct):
    role: str
    content: list[dict[str, Any]]


class _Inference(msgspec.Struct):
    maxTokens: int | None = None


class _Tools(msgspec.Struct):
    tools: list[dict[str, Any]]


class _Request(msgspec.Struct):
    messages: list[_Message]
    inferenceConfig: _Inference | None = None
    toolConfig: _Tools | None = None
    outputConfig: dict[str, Any] | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_ROLES = ("user", "assistant", "system")
_LIMIT = re.compile(rb'"(?:maxTokens|max_tokens)"\s*:\s*(\d{1,9})')
_TEXT = re.compile(rb'"text"\s*:\s*("(?:[^"\\]|\\.)*")\s*\}')


def read(body: Intake, model: str, *, stream: bool) -> Ask:
    """Return what the request asks for.

    Args:
        body: The request's body.
        model: The model, which the address names.
        stream: Whether the operation is a stream's.

    Raises:
        ValueError: It is no request that Bedrock takes.
    """
    if not body.complete:
        return salvaged(body, model, stream=stream)
    try:
        request = _REQUEST.decode(body.head)
    except msgspec.MsgspecError as exc:
        raise ValueError(f"The body is not a Converse request: {exc}") from exc
    if not request.messages:
        raise ValueError("A conversation must start with a user message.")
    _check(request)
    role, text = _last(request.messages)
    specs = [
        each["toolSpec"] for each in (request.toolConfig or _Tools([])).tools if "toolSpec" in each
    ]
    named = [{"name": each["name"], "schema": each["inputSchema"]["json"]} for each in specs]
    return Ask(
        model=model,
        stream=stream,
        text=text,
        last_role=role,
        tools=json.dumps(named) if named else "",
        schema=_schema(request.outputConfig),
        usage=True,
        limit=request.inferenceConfig.maxTokens if request.inferenceConfig else None,
        input_tokens=max(body.length // 4, 1),
    )


def salvaged(body: Intake, model: str, *, stream: bool) -> Ask:
    """Read both ends of a body whose middle was only hashed, Converse's or Anthropic's.

    Args:
        body: The request's body.
        model: The model, which the address names.
        stream: Whether the operation is a stream's.
    """
    limit = _LIMIT.search(bytes(body.head[:4096]))
    texts = _TEXT.findall(bytes(body.tail[-4096:]))
    return Ask(
        model=model,
        stream=stream,
        text=json.loads(texts[-1]) if texts else "",
        usage=True,
        limit=int(limit[1]) if limit else None,
        input_tokens=max(body.length // 4, 1),
    )


def _schema(output: dict[str, Any] | None) -> str:
    wanted = (output or {}).get("textFormat")
    inner = wanted.get("structure", {}).get("jsonSchema") if isinstance(wanted, dict) else None
    return str(inner["schema"]) if inner else ""


def _check(request: _Request) -> None:
    """Refuse what Bedrock refuses of a conversation."""
    asked: set[str] = set()
    names: set[str] = set()
    for number, message in enumerate(request.messages):
        if message.role not in _ROLES:
            raise ValueError(f"messages.{number}.role: {message.role!r} is no role")
        for place, block in enumerate(message.content):
            path = f"messages.{number}.content.{place}"
            _check_tools(block, path, asked, known=request.toolConfig is not None)
            if "text" in block and not str(block["text"]).strip():
                raise ValueError(f"{path}: the text field in the ContentBlock is blank")
            if "document" in block:
                name = str(block["document"]["name"]).casefold()
                if name in names:
                    raise ValueError("Messages can't contain duplicate document names.")
                names.add(name)
            if not _is_signed(block.get("reasoningContent")):
                raise ValueError(f"{path}: Invalid `signature` in `thinking` block")


def _check_tools(block: dict[str, Any], path: str, asked: set[str], *, known: bool) -> None:
    if "toolUse" in block:
        asked.add(block["toolUse"]["toolUseId"])
    if "toolResult" in block and block["toolResult"]["toolUseId"] not in asked:
        raise ValueError(f"{path}: there is no such toolUseId before it")
    if ("toolUse" in block or "toolResult" in block) and not known:
        raise ValueError(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks."
        )


def _is_signed(reasoning: Any) -> bool:  # JSON of the client's
    text = reasoning.get("reasoningText") if isinstance(reasoning, dict) else None
    if not isinstance(text, dict):
        return True
    signer = Signer()
    signer.add(str(text.get("text", "")))
    return bool(text.get("signature") == signer.signature())


def _last(messages: list[_Message]) -> tuple[str, str]:
    """Return the last message's role (``tool`` for results) and the last user text."""
    role = messages[-1].role
    if any("toolResult" in block for block in messages[-1].content):
        role = "tool"
    for message in reversed(messages):
        if message.role == "user" and (text := _text(message.content)):
            return role, text
    return role, ""


def _text(content: list[dict[str, Any]]) -> str:
    return "".join(str(block["text"]) for block in content if "text" in block)
