"""Rows of the fault matrix on time, ending, retry and decoding, in every dialect over its own wire.

`tests/test_fault_matrix_*` hold each row in one dialect and in all its forms; here each dialect
shows the rows that its own frames, events and errors could break.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.road import KEY, Road

import penstock as ps
from penstock.dialects import DIALECTS
from penstock.errors import (
    AuthenticationError,
    ContextLengthError,
    DeadlineError,
    NotFoundError,
    PenstockError,
    ProtocolError,
    RateLimitError,
    ServerError,
    TruncatedError,
)

pytestmark = pytest.mark.asyncio
every = pytest.mark.parametrize("dialect", DIALECTS)
TEXT = "sim/text?tokens=6&size=4&seed=1"


def client_of(road: Road, dialect: str, model: str, **more: Any) -> ps.Client:
    """A client whose model "m" is the simulator's `model` in `dialect`, and "b" a healthy one."""

    def place(name: str) -> ps.Deployment:
        return ps.Deployment(
            f"{road.sim.url}/v1",
            KEY,
            dialect=dialect,
            model=name,
            region="us-east-1" if dialect.startswith("bedrock") else None,
            auth="bearer",
        )

    return road.client(deployments={"m": place(model), "b": place(TEXT)}, **more)


@every
async def test_silence_is_ended_by_the_first_token_clock(road: Road, dialect: str) -> None:
    """Rows 1 and 3: headers and framing are no content, and the clock needs no byte to ring."""
    client = client_of(road, dialect, "sim/echo?fault=hang@0", timeouts=ps.Timeouts(ttft=0.3))

    with pytest.raises(DeadlineError) as caught:
        await client.chat("m", "Hello", max_retries=0)

    assert "ttft" == caught.value.phase
    assert not caught.value.committed


@every
async def test_silence_in_the_middle_is_a_truncation_with_what_came(
    road: Road, dialect: str
) -> None:
    """Rows 5 and 8: the error has the partial answer, and nothing is tried again (row 14)."""
    client = client_of(
        road,
        dialect,
        f"{TEXT}&fault=hang@3",
        timeouts=ps.Timeouts(idle=0.3),
        fallbacks={"m": ["b"]},
    )

    with pytest.raises(DeadlineError) as caught:
        await client.chat("m", "Hello")

    assert caught.value.committed
    assert caught.value.partial is not None
    assert caught.value.partial.text
    assert 1 == len(caught.value.attempts)


@every
@pytest.mark.parametrize("fault", ["close", "reset", "cut"])
async def test_an_end_before_the_terminal_event_is_no_end(
    road: Road, dialect: str, fault: str
) -> None:
    """Row 8: an answer that breaks off is never a finished one."""
    client = client_of(road, dialect, f"{TEXT}&fault={fault}@3")

    with pytest.raises(PenstockError) as caught:
        await client.chat("m", "Hello", max_retries=0)

    assert isinstance(caught.value, TruncatedError), caught.value
    assert caught.value.partial is not None
    assert caught.value.partial.finish_reason is None


@every
async def test_an_error_in_a_stream_that_began_with_200_is_one_before_it(
    road: Road, dialect: str
) -> None:
    """Row 11: overloaded as the first event leads to the fallback, which answers."""
    client = client_of(road, dialect, "sim/echo?fault=error-overloaded", fallbacks={"m": ["b"]})

    reply = await client.chat("m", "Hello")

    assert "b" == reply.deployment
    first, second = reply.attempts
    # Google and AWS have no word of their own for it, Cohere and Ollama no status in a stream.
    assert first.error in ("OverloadedError", "UnavailableError", "ServerError")
    assert second.error is None


@every
async def test_an_error_behind_content_is_told_once(road: Road, dialect: str) -> None:
    """Rows 12 and 14: typed like its status, with what had come, and never retried."""
    client = client_of(road, dialect, f"{TEXT}&fault=error-rate-limit@3", fallbacks={"m": ["b"]})

    with pytest.raises(PenstockError) as caught:
        await client.chat("m", "Hello")

    wordless = dialect in ("cohere", "ollama")  # an error in their streams is a sentence
    assert (ServerError if wordless else RateLimitError) is type(caught.value)
    assert caught.value.committed
    assert caught.value.partial is not None
    assert caught.value.partial.text


@every
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("rate-limit", RateLimitError),
        ("invalid-key", AuthenticationError),
        ("model-not-found", NotFoundError),
        ("context-length", ContextLengthError),
        ("server-error", ServerError),
    ],
)
async def test_a_refusal_is_the_same_class_with_the_vendors_words(
    road: Road, dialect: str, fault: str, kind: type[PenstockError]
) -> None:
    """Whatever the shape of the vendor's error body."""
    client = client_of(road, dialect, f"sim/echo?fault={fault}")

    with pytest.raises(kind) as caught:
        await client.chat("m", "Hello", max_retries=0)

    assert kind is type(caught.value)
    assert caught.value.request_id
    assert "no reason given" not in str(caught.value)


@every
async def test_retry_after_is_heeded(road: Road, dialect: str) -> None:
    """Row 17: seconds in the header are a field of the error; a second try answers."""
    model = f"{TEXT}&fault=rate-limit&retry-after=0&fail=1&key={dialect}"
    client = client_of(road, dialect, model, max_retries=1)

    reply = await client.chat("m", "Hello")

    assert "stop" == reply.finish_reason
    assert [0.0, None] == [attempt.retry_after for attempt in reply.attempts]


@every
@pytest.mark.parametrize("slice", [1, 7])
async def test_no_cut_changes_the_answer(road: Road, dialect: str, slice: int) -> None:
    """Row 32: HTTP chunks of a byte cut characters, lines and frames."""
    whole = "sim/text?tokens=8&size=3&alphabet=emoji&reasoning=2"
    client = client_of(road, dialect, whole)
    cut = client_of(road, dialect, f"{whole}&slice={slice}")

    expected = await client.chat("m", "Hello")
    found = await cut.chat("m", "Hello")

    assert (expected.text, expected.reasoning) == (found.text, found.reasoning)
    assert expected.text
    assert expected.finish_reason == found.finish_reason == "stop"


@every
async def test_a_cancelled_call_leaves_nothing(road: Road, dialect: str) -> None:
    """Rows 24 and 27: cancelled while it streams, at once and with its connection closed."""
    client = client_of(road, dialect, "sim/text?tokens=1000&rate=50")

    async def read() -> None:
        async with client.stream("m", "Hello") as stream:
            async for _ in stream:
                started.set()

    started = asyncio.Event()
    task = asyncio.create_task(read())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await client.aclose()

    assert 0 == client.stats().open_streams


@every
async def test_what_is_no_answer_is_an_error(road: Road, dialect: str) -> None:
    """A page of HTML with status 200, and an event that is no JSON."""
    for fault in ("html-200", "bad-json"):
        client = client_of(road, dialect, f"{TEXT}&fault={fault}")
        with pytest.raises(PenstockError) as caught:
            await client.chat("m", "Hello", max_retries=0)
        assert isinstance(caught.value, (ProtocolError, TruncatedError)), (fault, caught.value)
