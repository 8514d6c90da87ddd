"""Answers in the background, over the whole road: promised, retrieved, taken up again, stopped."""

from __future__ import annotations

from typing import Any

import pytest
from tests.road import KEY, Road, fails

from penstock.chunks import ProviderEvent
from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import (
    NotFoundError,
    RateLimitError,
    UnknownModelError,
    UnsupportedFeatureError,
    UsageError,
)

pytestmark = pytest.mark.asyncio

SAID = "one two three"
BACKGROUND: dict[str, Any] = {"extra_body": {"background": True}}


def client_of(road: Road, model: str = "sim/echo", **options: Any) -> Client:
    """A client with a deployment of the dialect, and one of another."""
    there = Deployment(f"{road.sim.url}/v1", KEY, model=model, dialect="openai_responses")
    return road.client(deployments={"there": there}, **options)


async def test_an_answer_is_promised_and_then_there(road: Road) -> None:
    """`chat` gives the promise, `retrieve` the answer; a GET has no body."""
    client = client_of(road)
    promise = await client.chat("there", SAID, stream=False, **BACKGROUND)
    kept = await client.responses.retrieve(promise.id, model="there")
    asked = road.sim.requests[-1]

    assert ("", "other", "queued") == (
        promise.text,
        promise.finish_reason,
        promise.choices[0].finish_raw,
    )
    assert (promise.id, "completed", True, SAID) == (
        kept.id,
        kept.status,
        kept.done,
        kept.reply.text,
    )
    assert ("GET", b"") == (asked.method, asked.body)


async def test_an_answer_that_was_cut_short_is_incomplete(road: Road) -> None:
    """Its reply says why."""
    client = client_of(road, "sim/echo?finish=length")
    promise = await client.chat("there", SAID, stream=False, **BACKGROUND)
    kept = await client.responses.retrieve(promise.id, model="there")

    assert ("incomplete", "length") == (kept.status, kept.reply.finish_reason)


async def test_an_answer_can_be_stopped(road: Road) -> None:
    """It is then done, and no error."""
    client = client_of(road)
    promise = await client.chat("there", SAID, stream=False, **BACKGROUND)
    stopped = await client.responses.cancel(promise.id, model="there")

    assert ("cancelled", True, "") == (stopped.status, stopped.done, stopped.reply.text)
    assert "POST" == road.sim.requests[-1].method


async def test_a_stream_is_taken_up_behind_any_event(road: Road) -> None:
    """Each event says its number, and what follows it is handed out once more, no less."""
    client = client_of(road)
    heard: list[tuple[str, int]] = []
    text, id = "", ""
    async with client.stream("there", SAID, **BACKGROUND) as stream:
        async for chunk in stream:
            text += chunk.text
            if isinstance(chunk, ProviderEvent) and chunk.name == "sequence":
                heard.append((text, chunk.data["sequence_number"]))
        id = stream.response.id

    assert SAID == text
    assert [number for _, number in heard] == list(range(len(heard)))
    for before, number in heard:
        async with client.responses.stream(id, model="there", starting_after=number) as rest:
            assert SAID == before + "".join([piece async for piece in rest.text()])


async def test_a_stream_from_its_beginning_is_the_whole_answer(road: Road) -> None:
    """Its reply goes back like any other."""
    client = client_of(road, "sim/tools?reasoning=2")
    promise = await client.chat("there", SAID, stream=False, **BACKGROUND)
    async with client.responses.stream(promise.id, model="there") as stream:
        reply = await stream.collect()
    kept = await client.responses.retrieve(promise.id, model="there")

    assert reply.message == kept.reply.message
    assert "tool_calls" == reply.finish_reason


async def test_no_other_deployment_is_asked(road: Road) -> None:
    """An answer is where it was asked for: a fallback would not know it."""
    client = client_of(road, fallbacks={"there": ["m"]})
    error = await fails(client.responses.retrieve("resp_x", model="there"))

    assert isinstance(error, NotFoundError)
    assert ("there", 1) == (error.deployment, len(road.sim.requests))


async def test_a_failure_is_the_error_that_it_always_is(road: Road) -> None:
    """By status, with what the provider says."""
    client = client_of(road, "sim/echo?fault=rate-limit&fail=1")
    await fails(client.chat("there", SAID, stream=False, **BACKGROUND))
    promise = await client.chat("there", SAID, stream=False, **BACKGROUND)
    error = await fails(client.responses.retrieve(promise.id, model="there"))

    assert isinstance(error, RateLimitError)


async def test_another_dialect_keeps_nothing(road: Road) -> None:
    """It is refused before a byte leaves; so are a missing id and an unknown model."""
    client = client_of(road)
    for model, id, kind in (
        ("m", "resp_1", UnsupportedFeatureError),
        ("there", "", UsageError),
        ("nowhere", "resp_1", UnknownModelError),
    ):
        assert kind is type(await fails(client.responses.retrieve(id, model=model)))
    assert [] == list(road.sim.requests)


async def test_an_id_is_one_segment_of_the_address(road: Road) -> None:
    """Whatever stands in it."""
    await fails(client_of(road).responses.retrieve("a/../b?c", model="there"))

    assert "/v1/responses/a%2F..%2Fb%3Fc" == road.sim.requests[-1].path
