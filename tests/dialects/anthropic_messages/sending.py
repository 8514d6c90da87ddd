"""What a request is on the wire, for the tests of this dialect."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from penstock.dialects.anthropic_messages import AnthropicMessages
from penstock.encoders import encode_json
from penstock.interfaces import Target
from penstock.request import ChatRequest

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
ORIGIN = "https://api.anthropic.com"


class Sent(NamedTuple):
    """A request on the wire."""

    url: str
    headers: dict[str, str]
    body: dict[str, Any]
    dropped: list[str]


def target(**more: Any) -> Target:
    """Anthropic's own API."""
    fields = {
        "deployment": "anthropic/claude",
        "provider": "anthropic",
        "model": "claude-opus-4-6",
        "base_url": ORIGIN,
        "origin": ORIGIN,
    }
    return Target(**{**fields, **more})


def sent(messages: Any = HELLO, *, to: Target | None = None, **request: Any) -> Sent:
    """Encode a request to its last byte."""
    dropped: list[str] = []
    chat = ChatRequest(model="m", messages=messages, **request)
    outgoing = AnthropicMessages().encode(chat, to or target(), dropped=dropped)
    body = json.loads(b"".join(encode_json(outgoing.fields)))
    return Sent(outgoing.url, dict(outgoing.headers), body, dropped)


def turns(messages: Any, **request: Any) -> Any:
    """The turns of a conversation in which nothing is lost."""
    return sent(messages, strict=True, **request).body["messages"]
