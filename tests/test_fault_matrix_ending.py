"""Rows 8 to 13 of the fault matrix, over real HTTP: endings, truncation and errors inside."""

from __future__ import annotations

import pytest
from tests.road import Road, at_rest, fails

from penstock.errors import (
    BillingError,
    OverloadedError,
    PenstockError,
    RateLimitError,
    ServerError,
    TruncatedError,
    UnavailableError,
)

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    "fault", ["reset@3", "close@3", "cut@3", "no-finish", "length-short", "no-length,close@3"]
)
async def test_row_8_an_early_end_is_a_truncation(road: Road, fault: str) -> None:
    """Row 8: bytes that end before the terminal event are an error that has what came."""
    client = road.client(f"text?tokens=6&fault={fault}")
    seen: list[str] = []

    async with client.stream(None, "hi", middleware=[lambda c: seen.append(c.text) or c]) as stream:
        error = await fails(stream.collect())

    assert isinstance(error, TruncatedError)
    partial = error.partial
    assert partial is not None
    assert ("".join(seen), None) == (partial.text, partial.finish_reason)
    assert partial.text
    assert error.committed


@pytest.mark.parametrize("fault", ["close@0", "empty"])
async def test_row_8_an_end_before_content_is_an_error(road: Road, fault: str) -> None:
    """Row 8: an answer that ends before its content is no empty reply; another place may help."""
    error = await fails(road.client(f"echo?fault={fault}").chat(None, "hi"))

    assert isinstance(error, TruncatedError)
    assert not error.committed
    assert error.elsewhere


async def test_row_8_a_truncation_stays_one(road: Road) -> None:
    """Row 8: what reads on after a truncation is told of it again, and no reply is made of it."""
    client = road.client("text?tokens=6&fault=close@3")

    async with client.stream(None, "hi") as stream:
        first = await fails(stream.collect())
        second = await fails(stream.collect())

    assert isinstance(first, TruncatedError)
    assert first is second


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no-done", "stop"),
        ("done-without-finish", "other"),
        ("unknown-finish", "other"),
        ("no-terminator", "stop"),
        ("content-filter-finish", "content_filter"),
    ],
)
async def test_row_9_a_terminal_event_is_enough(road: Road, fault: str, reason: str) -> None:
    """Row 9: ``[DONE]`` or a finish reason ends an answer; one that nobody knows is `other`."""
    reply = await road.client(f"echo?fault={fault}").chat(None, "a b c")

    assert ("a b c", reason) == (reply.text, reply.finish_reason)


async def test_row_10_a_cut_gzip_body_is_a_truncation(road: Road) -> None:
    """Row 10: a compressed body without its end marker is not whole."""
    assert "a b c" == (await road.client("echo?fault=gzip").chat(None, "a b c")).text

    streamed = await fails(road.client("echo?fault=gzip-cut,no-done,no-finish").chat(None, "a b c"))
    whole = await fails(road.client("echo?fault=gzip-cut").chat(None, "a b c", stream=False))

    assert isinstance(streamed, TruncatedError)
    assert isinstance(whole, TruncatedError)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("error-overloaded", OverloadedError),
        ("error-rate-limit", RateLimitError),
        ("error", ServerError),
        ("error-event", ServerError),
        ("error-string", ServerError),
        ("error-openrouter", UnavailableError),
    ],
)
async def test_row_11_an_error_inside_a_200_is_retried(
    road: Road, fault: str, kind: type[PenstockError]
) -> None:
    """Row 11: an error that is the first event of a 200 is retried, like its status."""
    client = road.client(f"echo?fault={fault}&fail=1", max_retries=1)

    reply = await client.chat(None, "hi")

    assert ("hi", 2) == (reply.text, len(reply.attempts))
    assert kind.__name__ == reply.attempts[0].error


async def test_row_11_what_waiting_does_not_cure_is_not_retried(road: Road) -> None:
    """Row 11: a quota that is used up, said inside a 200, is tried elsewhere and not again."""
    behaviors = {"a": "echo?fault=error-quota", "b": "echo"}
    alone = await fails(road.client(behaviors["a"], max_retries=2).chat(None, "hi"))
    reply = await road.client(behaviors, fallbacks={"a": ["b"]}).chat("a", "hi")

    assert isinstance(alone, BillingError)
    assert 1 == len(alone.attempts)
    assert ["a", "b"] == [attempt.deployment for attempt in reply.attempts]


@pytest.mark.parametrize("retries", [0, 1, 4])
async def test_row_13_an_exhausted_plan_raises_once(road: Road, retries: int) -> None:
    """Row 13: a 429 with nowhere to go is tried as often as the budget says, and no more."""
    client = road.client("echo?fault=error-rate-limit", max_retries=retries)

    error = await fails(client.chat(None, "hi"))

    assert isinstance(error, RateLimitError)
    assert retries + 1 == len(road.sim.requests) == len(error.attempts)


async def test_row_13_a_429_in_the_middle_ends_the_stream_once(road: Road) -> None:
    """Row 13: a 429 after output is raised, once, however much is left of the budget."""
    client = road.client("text?tokens=4&fault=error-rate-limit@2", max_retries=5)

    error = await fails(client.chat(None, "hi"))

    assert isinstance(error, RateLimitError)
    assert error.committed
    assert 1 == len(road.sim.requests)
    await at_rest(client)
