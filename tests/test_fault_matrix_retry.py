"""Rows 14 to 21 of the fault matrix, over real HTTP: retry and fallback."""

from __future__ import annotations

import asyncio
import socket
from email.utils import formatdate
from time import time

import pytest
from tests.road import Road, at_rest, clocks, fails, until
from tests.transports.peers import CHUNKED, Connection, Peer, chunk

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import (
    AllProvidersFailedError,
    ConnectError,
    PenstockError,
    PoolError,
    RateLimitError,
    TransportError,
    TruncatedError,
)
from penstock.interfaces import Outcome
from penstock.limits import Limits, Timeouts

pytestmark = pytest.mark.asyncio


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.mark.parametrize("model", ["text?tokens=6", "tools?calls=2"])
async def test_row_14_nothing_is_automatic_after_output(road: Road, model: str) -> None:
    """Row 14: after the first content neither a retry nor a fallback follows."""
    behaviors = {"a": f"{model}&fault=reset@2", "b": "echo"}
    client = road.client(behaviors, fallbacks={"a": ["b"]}, max_retries=3)
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]

    error = await fails(client.chat("a", "hi", tools=tools))

    assert isinstance(error, TruncatedError)
    assert error.committed
    assert [behaviors["a"]] == road.served()


async def test_row_15_connecting_is_inside_the_plan(road: Road) -> None:
    """Row 15: a connection that is refused falls back before ``async with`` is entered."""
    dead = Deployment(f"http://127.0.0.1:{free_port()}/v1", model="echo")
    client = road.client({"b": "echo"}, deployments={"a": dead}, fallbacks={"a": ["b"]})

    async with client.stream("a", "hi") as stream:
        attempts = [(attempt.deployment, attempt.error) for attempt in stream.attempts]

    assert [("a", "ConnectError"), ("b", None)] == attempts


async def test_row_15_a_connection_is_tried_again_in_place() -> None:
    """Row 15: without a list, what cannot connect is tried again and then raised on entering."""
    client = Client(
        deployments={"a": Deployment(f"http://127.0.0.1:{free_port()}/v1")}, max_retries=1
    )
    client._router._random = lambda: 0.0

    async with client:
        error = await fails(client.stream("a", "hi").__aenter__())

    assert isinstance(error, ConnectError)
    assert 2 == len(error.attempts)


async def test_row_16_retries_and_fallbacks_share_one_plan(road: Road) -> None:
    """Row 16: one budget, one list of attempts: the first once, the last as long as it lasts."""
    behaviors = {"a": "echo?fault=unavailable", "b": "echo?fault=unavailable&fail=2"}
    client = road.client(behaviors, fallbacks={"a": ["b"]}, max_retries=3)

    reply = await client.chat("a", "hi")

    assert ["a", "b", "b", "b"] == [attempt.deployment for attempt in reply.attempts]
    assert [503, 503, 503, 200] == [attempt.status for attempt in reply.attempts]


async def test_row_16_the_budget_is_never_smaller_than_the_list(road: Road) -> None:
    """Row 16: without retries each deployment of the list still has its one try."""
    behaviors = dict.fromkeys("abcd", "echo?fault=overloaded")
    client = road.client(behaviors, fallbacks={"a": ["b", "c", "d"]})

    error = await fails(client.chat("a", "hi"))

    assert isinstance(error, AllProvidersFailedError)
    assert list("abcd") == [attempt.deployment for attempt in error.attempts]
    assert 529 == error.status


@pytest.mark.parametrize(
    ("setting", "seconds"),
    [
        ("retry-after=70", 70.0),
        ("retry-after-ms=70500", 70.5),
        ("retry-after=1&retry-after-ms=70500", 70.5),
        ("retry-after=soon", None),
    ],
)
async def test_row_17_retry_after_is_a_field(
    road: Road, setting: str, seconds: float | None
) -> None:
    """Row 17: seconds and milliseconds reach the caller; what is neither does not."""
    error = await fails(road.client(f"echo?fault=rate-limit&{setting}").chat(None, "hi"))

    assert isinstance(error, RateLimitError)
    assert seconds == error.retry_after
    assert seconds == error.attempts[0].retry_after


@pytest.mark.parametrize("form", ["imf", "date:90"])
async def test_row_17_retry_after_may_be_a_date(road: Road, form: str) -> None:
    """Row 17: an HTTP date (RFC 9110 section 5.6.7) is counted from now."""
    when = formatdate(time() + 90, usegmt=True) if form == "imf" else form

    error = await fails(road.client(f"echo?fault=rate-limit&retry-after={when}").chat(None, "hi"))

    assert isinstance(error, RateLimitError)
    assert error.retry_after == pytest.approx(90, abs=30)


@pytest.mark.parametrize("setting", ["retry-after=-5", "retry-after-ms=-1", "retry-after=0"])
async def test_row_18_a_negative_wait_is_none(road: Road, setting: str) -> None:
    """Row 18: a peer's negative wait is clamped at zero, and the retry goes out."""
    client = road.client(f"echo?fault=rate-limit&{setting}&fail=1", max_retries=1)

    reply = await client.chat(None, "hi")

    assert [0.0, None] == [attempt.retry_after for attempt in reply.attempts]


@pytest.mark.parametrize("where", ["cap", "client", "call"])
async def test_row_18_a_wait_beyond_the_deadline_fails_at_once(road: Road, where: str) -> None:
    """Row 18: a wait over the cap, or the ``total`` of client or call, is the caller's to make."""
    seconds = 3600 if where == "cap" else 30
    client = road.client(
        f"echo?fault=rate-limit&retry-after={seconds}",
        max_retries=3,
        timeouts=clocks(total=25.0 if where == "client" else None),
    )

    error = await fails(
        client.chat(None, "hi", timeouts=Timeouts(total=25.0) if where == "call" else None)
    )

    assert isinstance(error, RateLimitError)
    assert (seconds, 1) == (error.retry_after, len(road.sim.requests))


async def test_row_20_our_own_pool_is_not_the_peers_fault(road: Road) -> None:
    """Row 20: no place in our own limits blames no provider, and is tried nowhere else."""
    client = road.client(
        {"a": "text?tokens=3&fault=hang@1", "b": "echo"},
        fallbacks={"a": ["b"]},
        limits=Limits(max_connections=1),
        timeouts=clocks(pool=0.1),
    )
    async with client.stream("a", "hi"):
        error = await fails(client.chat("b", "hi"))

    assert isinstance(error, PoolError)
    assert (False, False) == (error.peer_fault, error.retryable)


async def test_row_20_a_caller_who_leaves_is_no_failure(road: Road) -> None:
    """Row 20: a cancelled or abandoned stream ends as such, never as the provider's error."""
    client = road.client("text?tokens=3&fault=hang@1")
    outcomes: list[Outcome] = []

    async def read() -> None:
        async with client.stream(None, "hi") as stream:
            assert stream._stream is not None
            stream._stream.on_close.append(outcomes.append)
            async for _ in stream:
                pass

    task = asyncio.create_task(read())
    await until(lambda: bool(road.sim.requests) and client.stats().open_streams == 1)
    await asyncio.sleep(0.05)  # into the silence; where it is cancelled does not matter
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with client.stream(None, "hi") as stream:
        assert stream._stream is not None
        stream._stream.on_close.append(outcomes.append)

    assert ["cancel", "abandon"] == [outcome.kind for outcome in outcomes]
    assert [None, None] == [outcome.error for outcome in outcomes]


@pytest.mark.parametrize("fault", ["stale", "stale-reset"])
async def test_row_21_a_stale_connection_is_replaced(road: Road, fault: str) -> None:
    """Row 21: a reused connection that is dead before a byte is replaced, as part of one try."""
    client = road.client(f"echo?fault={fault}")
    await client.chat(None, "one")

    reply = await client.chat(None, "two")

    assert ("two", 1) == (reply.text, len(reply.attempts))
    assert [1, 1, 2] == [request.connection for request in road.sim.requests]


async def test_row_21_a_fresh_connection_is_not_replaced(road: Road) -> None:
    """Row 21: what fails on a fresh connection is an error: the request may have been read."""
    error = await fails(road.client("echo?fault=close").chat(None, "hi"))

    assert isinstance(error, TransportError)
    assert 1 == len(road.sim.requests)


async def test_row_21_a_byte_of_an_answer_forbids_the_replay() -> None:
    """Row 21: a reused connection that answered a byte is not replaced."""
    served = []

    async def handle(connection: Connection) -> None:
        await connection.request()
        served.append("whole")
        done = chunk(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n')
        await connection.send(CHUNKED + done + b"0\r\n\r\n")
        await connection.request()
        served.append("torn")
        await connection.send(b"HTTP/1.1 2")

    async with Peer(handle) as peer:
        base = peer.url.removesuffix("/chat/completions")
        async with Client(deployments={"m": Deployment(base)}, max_retries=0) as client:
            await client.chat("m", "one")
            error = await fails(client.chat("m", "two"))
            await at_rest(client)

    assert isinstance(error, PenstockError)
    assert ["whole", "torn"] == served
