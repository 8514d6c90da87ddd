"""Every fault that the simulator knows, through the client: the right answer or error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import pytest
import pytest_asyncio
from tests.road import TRANSPORTS, Road, at_rest, clocks, fails

from penstock import errors
from penstock.client import Client
from penstock.errors import PenstockError
from penstock.limits import Limits, Timeouts
from penstock.simulator import faults, shapes

pytestmark = pytest.mark.asyncio

TEXT = "ebv ovc smr hxr "
"""What ``text?tokens=4`` says."""
SHORT = 0.4
"""Seconds of a clock that runs out where a peer falls silent."""
LONG = 20.0
"""Seconds of one that no other fault meets."""

WHOLE = frozenset(
    [
        # peers that are odd and mean well
        *["chunk-after-done", "close-idle", "connection-close", "content-filter-finish"],
        *["done-without-finish", "endless-tail", "extensions", "gzip", "http10", "huge-comment"],
        *["informational", "json-answer", "length", "no-done", "no-length", "no-terminator"],
        *["no-type", "slow-read", "stale", "stale-reset", "stall-after-done", "stream-answer"],
        *["tail", "trailers", "unknown-finish"],
        # its terminal event has come
        "gzip-cut",
    ]
)
ODD = frozenset(["bad-utf8", "endless", "huge-line"])
"""Those that change the text itself."""
KINDS = {
    "billing": "BillingError",
    "bad-gateway": "UnavailableError",
    "bad-request": "InvalidRequestError",
    "conflict": "ConflictError",
    "content-filter": "ContentBlockedError",
    "context-length": "ContextLengthError",
    "context-words": "InvalidRequestError",
    "cut": "TruncatedError",
    "early-401": "AuthenticationError",
    "early-413": "InvalidRequestError",
    "early-429": "RateLimitError",
    "empty-error": "ServerError",
    "error": "ServerError",
    "error-overloaded": "OverloadedError",
    "error-quota": "BillingError",
    "error-rate-limit": "RateLimitError",
    "forbidden": "PermissionDeniedError",
    "gateway-timeout": "UnavailableError",
    "gzip-bad": "ProtocolError",
    "gzip-twice": "ProtocolError",
    "hang": "DeadlineError",
    "html": "UnavailableError",
    "html-200": "ProtocolError",
    "huge-header": "LimitExceededError",
    "insufficient-quota": "BillingError",
    "invalid-key": "AuthenticationError",
    "leak": "AuthenticationError",
    "length-short": "TruncatedError",
    "model-not-found": "NotFoundError",
    "no-finish": "TruncatedError",
    "overloaded": "OverloadedError",
    "rate-limit": "RateLimitError",
    "redirect": "ResponseError",
    "server-error": "ServerError",
    "silent": "DeadlineError",
    "too-large": "InvalidRequestError",
    "unavailable": "UnavailableError",
    "unprocessable": "InvalidRequestError",
}
"""What the plain ones are, by name."""


@pytest_asyncio.fixture(params=[*TRANSPORTS, "direct behind httpx"])
async def over(request: pytest.FixtureRequest) -> AsyncIterator[dict[str, Any]]:
    """What makes a client use each transport, also the direct one below a client of the user's."""
    if request.param in TRANSPORTS:
        yield {"transport": request.param}
        return
    http = import_module("httpx")
    transport = import_module("penstock.transports.direct").httpx_transport()
    async with http.AsyncClient(transport=transport, timeout=None) as client:
        yield {"transport": "httpx", "http_client": client}


async def outcome(client: Client, model: str, *, stream: bool = True) -> str | PenstockError:
    """The text that a call gets, or its error; anything else fails the test."""
    try:
        return (await client.chat(model, "hi", stream=stream)).text
    except PenstockError as error:
        return error


def patience(fault: str) -> Timeouts:
    """Clocks that end what `fault` would make endless, and are no part of what it is else."""
    known = fault in WHOLE or (fault in KINDS and KINDS[fault] != "DeadlineError")
    short, total = (LONG, LONG) if known else (SHORT, 2.0)
    return clocks(response=short, ttft=short, idle=short, progress=short, total=total)


@pytest.mark.parametrize("fault", sorted(faults()))
async def test_a_fault_ends_as_it_should(road: Road, over: dict[str, Any], fault: str) -> None:
    """Before the first chunk and in the middle, streamed and whole: never a wrong or endless end.

    What is raised is a `PenstockError` of the right kind, what is answered is the whole answer,
    and afterwards the client holds nothing and goes on.
    """
    base = f"text?tokens=4&length=1500000&interval=0.01&fault={fault}"
    client = road.client(
        {"first": base, "middle": f"{base}@2", "ok": "echo"},
        timeouts=patience(fault),
        limits=Limits(max_line=1 << 20, max_event=1 << 20, max_answer=1 << 20),
        **over,
    )

    first, middle, whole = await asyncio.gather(
        outcome(client, "first"), outcome(client, "middle"), outcome(client, "first", stream=False)
    )

    for found in (first, middle, whole):
        if isinstance(found, str):
            assert TEXT == found or fault in ODD
    if fault in WHOLE:
        assert TEXT == first
    if fault in KINDS:
        assert KINDS[fault] == type(first).__name__
        assert isinstance(first, PenstockError)
        assert first.deployment == "first"
        assert isinstance(getattr(errors, KINDS[fault])(), type(first))
    await at_rest(client)
    assert "hi" == await outcome(client, "ok")


@pytest.mark.parametrize("shape", sorted(shapes()))
async def test_a_shape_says_the_same(road: Road, shape: str) -> None:
    """However vendors write it, the text, the calls' arguments and the reasoning are the same."""
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    behaviors = {"text": "text?tokens=4", "reasoning": "reasoning?tokens=3", "tools": "tools"}
    client = road.client(
        {
            f"{name}{odd}": f"{behavior}{'&' if '?' in behavior else '?'}{odd}"
            for name, behavior in behaviors.items()
            for odd in ("seed=0", f"shape={shape}")
        }
    )

    for name in behaviors:
        plain, odd = [
            await client.chat(f"{name}{form}", "hi", tools=tools if name == "tools" else None)
            for form in ("seed=0", f"shape={shape}")
        ]
        assert plain.text.split() == odd.text.split()
        assert plain.reasoning == odd.reasoning
        assert [call.name for call in plain.tool_calls] == [call.name for call in odd.tool_calls]
        assert plain.finish_reason == odd.finish_reason or shape == "function-call"


@pytest.mark.parametrize("fault", ["early-401", "early-413", "early-429"])
async def test_an_early_answer_ends_a_long_upload(
    road: Road, over: dict[str, Any], fault: str
) -> None:
    """A refusal that comes while the body is being sent is told with its reason."""
    client = road.client("text", timeouts=Timeouts(write=5, total=10), **over)
    headers = {"x-penstock-sim": f"fault={fault}"}

    error = await fails(client.chat(None, "x" * 20_000_000, extra_headers=headers))

    assert isinstance(error, PenstockError)
    assert int(fault[6:9]) == error.status
    await at_rest(client)
