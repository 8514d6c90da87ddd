"""The pages beside the models, and the headers that every answer has."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import TYPE_CHECKING

from penstock.simulator.background import kept_response
from penstock.simulator.behavior import Behavior
from penstock.simulator.framing import Head
from penstock.simulator.pages import Page
from penstock.simulator.respond import Response, page_response
from penstock.simulator.steps import Event
from penstock.simulator.wires.anthropic_messages import AnthropicMessages
from penstock.simulator.wires.mistral import Mistral
from penstock.simulator.wires.openai_chat import OpenAIChat
from penstock.simulator.wires.openai_responses import OpenAIResponses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.simulator.connection import Incoming
    from penstock.simulator.wires import Wire

__all__ = ["addressed", "not_http", "site_response"]

# The names of OpenAI's rate-limit headers: platform.openai.com/docs/guides/rate-limits.
_RATE_LIMITS = (
    ("x-ratelimit-limit-requests", "500"),
    ("x-ratelimit-remaining-requests", "499"),
    ("x-ratelimit-reset-requests", "120ms"),
    ("x-ratelimit-limit-tokens", "30000"),
    ("x-ratelimit-remaining-tokens", "29000"),
    ("x-ratelimit-reset-tokens", "6m0s"),
)


_ANTHROPIC = "anthropic-ratelimit-"
"""The names are Anthropic's: API reference, rate limits, "Response headers"; its times are of RFC
3339."""


def addressed(head: Head, behavior: Behavior, number: int, wire: Wire | None = None) -> Head:
    """Return `head` with the headers that every answer has.

    Args:
        head: The header block so far.
        behavior: What the answer is to be like.
        number: That of its request.
        wire: What is spoken, None for a page.
    """
    head = head.plus(
        ("date", formatdate(usegmt=True)),
        ("server", "penstock-simulator"),
        ("x-request-id", f"req_sim_{number}"),
    )
    return head.plus(*_left(wire)) if behavior.rate_limits else head


def _left(wire: Wire | None) -> Iterable[tuple[str, str]]:
    """Return what a vendor says is left; Google, AWS, IBM, Cohere and Ollama do not."""
    if isinstance(wire, (OpenAIChat, OpenAIResponses, Mistral)):
        return _RATE_LIMITS
    if not isinstance(wire, AnthropicMessages):
        return ()
    now = datetime.now(UTC)
    counts = (("requests", "500", "499", 1), ("tokens", "30000", "29000", 360))
    return [
        field
        for kind, limit, left, seconds in counts
        for field in (
            (f"{_ANTHROPIC}{kind}-limit", limit),
            (f"{_ANTHROPIC}{kind}-remaining", left),
            (f"{_ANTHROPIC}{kind}-reset", (now + timedelta(seconds=seconds)).isoformat()),
        )
    ]


def site_response(incoming: Incoming, names: Iterable[str]) -> Response:
    """Return the answer to what is no call of a model: models, health, kept responses, or a 404."""
    path = incoming.path.rstrip("/")
    if (page := kept_response(incoming.method, incoming.target)) is not None:
        return page_response(page, Behavior())
    if incoming.method == "GET" and path.endswith("/models"):
        return _json({"object": "list", "data": [_model(name) for name in names]})
    if incoming.method == "GET" and path.endswith("/health"):
        return _json({"status": "ok"})
    return _json(_error(f"There is nothing at {incoming.method} {path or '/'} here."), 404)


def not_http(reason: str) -> bytes:
    """Return the answer to bytes that are no HTTP request."""
    body = json.dumps(_error(reason)).encode()
    fields = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close"
    return f"HTTP/1.1 400 Bad Request\r\n{fields}\r\n\r\n".encode() + body


def _error(message: str) -> dict[str, object]:
    fields = {"type": "invalid_request_error", "param": None, "code": None}
    return {"error": {"message": message, **fields}}


def _model(name: str) -> dict[str, object]:
    """The openai SDK's ``types.Model``."""
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "penstock"}


def _json(value: object, status: int = 200) -> Response:
    head = Head(status, (("content-type", "application/json"),))
    return page_response(Page(head, [Event(json.dumps(value).encode())]), Behavior())
