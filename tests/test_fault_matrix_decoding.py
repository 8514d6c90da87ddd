"""Rows 32 to 36 and 40 of the fault matrix, over real HTTP: decoding, and where a key may go."""

from __future__ import annotations

import json

import pytest
from tests.road import KEY, Road, at_rest, fails
from tests.transports.peers import Connection, Peer

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import (
    InvalidHeaderError,
    LimitExceededError,
    PenstockError,
    ProtocolError,
    UsageError,
)
from penstock.limits import Limits

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("look", "jump")
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("alphabet", ["latin", "cjk", "emoji"])
async def test_row_32_no_cut_changes_the_text(road: Road, alphabet: str, size: int) -> None:
    """Row 32: characters that are cut by the network arrive whole."""
    behavior = f"text?tokens=6&alphabet={alphabet}&seed=3"
    client = road.client({"whole": behavior, "cut": f"{behavior}&slice={size}"})

    whole, cut = await client.chat("whole", "hi"), await client.chat("cut", "hi")

    assert not whole.text.isascii()
    assert (whole.text, whole.finish_reason) == (cut.text, cut.finish_reason)


async def test_row_33_data_needs_no_space(road: Road) -> None:
    """Row 33: ``data:`` without a space is data."""
    assert "a b c" == (await road.client("echo?shape=no-space").chat(None, "a b c")).text


@pytest.mark.parametrize(
    "shape",
    [
        *["u2028", "u0085", "cr", "crlf", "bom", "multi-line", "data-null", "comments"],
        *["event-names", "ids", "escaped", "latin-1", "cr&slice=1", "crlf&slice=1", "bom&slice=1"],
    ],
)
async def test_row_34_only_line_ends_end_lines(road: Road, shape: str) -> None:
    """Row 34: CR, LF and CRLF end lines; U+2028, U+2029 and U+0085 are text."""
    text = "a\u2028b c\u2029d \u0085e"

    reply = await road.client(f"echo?shape={shape}").chat(None, text)

    assert "stop" == reply.finish_reason
    assert reply.text.replace("\u2028", " ").split() == text.replace("\u2028", " ").split()


async def test_row_35_a_long_line_is_an_answer(road: Road) -> None:
    """Row 35: a line of 4 MiB, many times what others take, is decoded."""
    client = road.client(f"echo?fault=huge-line&length={4 * MIB}")

    reply = await client.chat(None, "hi")

    assert 4 * MIB == reply.text.count("x")


@pytest.mark.parametrize(
    ("fault", "bound", "limits"),
    [
        ("huge-line", "max_line", Limits(max_line=64 * 1024)),
        ("huge-event", "max_event", Limits(max_event=64 * 1024)),
        ("huge-arguments", "max_tool_arguments", Limits(max_tool_arguments=64 * 1024)),
        ("many-calls&count=200", "max_tool_calls", Limits(max_tool_calls=16)),
        ("huge-header&length=300000", "max_response_headers", Limits()),
        ("many-headers&count=500", "max_response_header_count", Limits()),
        ("gzip-bomb", "max_ratio", Limits()),
        ("endless", "max_answer", Limits(max_answer=256 * 1024)),
    ],
)
async def test_row_35_a_bound_is_named(road: Road, fault: str, bound: str, limits: Limits) -> None:
    """Row 35: what exceeds a bound is an error that names it, its limit and how far it got."""
    client = road.client(f"tools?fault={fault}", limits=limits)
    if fault in ("huge-line", "huge-event", "endless", "gzip-bomb"):
        client = road.client(f"echo?fault={fault}", limits=limits)

    error = await fails(client.chat(None, "hi", tools=TOOLS))

    assert isinstance(error, LimitExceededError)
    assert bound == error.phase
    assert error.limit is not None
    assert error.elapsed is not None
    assert error.elapsed >= error.limit
    await at_rest(client)


async def test_row_35_ignored_lines_keep_nothing(road: Road) -> None:
    """Row 35: a comment of 32 MiB, twice the longest line, is passed over."""
    reply = await road.client(f"echo?fault=huge-comment&length={32 * MIB}").chat(None, "hi")

    assert "hi" == reply.text


@pytest.mark.parametrize(
    "shape",
    [
        *["no-index", "repeated-index", "changing-index", "repeated-id", "empty-name-later"],
        *["null-name-later", "whole-calls", "interleaved", "dict-arguments"],
    ],
)
async def test_row_36_calls_are_told_apart(road: Road, shape: str) -> None:
    """Row 36: two calls stay two, whatever their indexes say, with arguments that are JSON."""
    client = road.client({"plain": "tools?calls=2", "odd": f"tools?calls=2&shape={shape}"})

    plain = await client.chat("plain", "hi", tools=TOOLS)
    odd = await client.chat("odd", "hi", tools=TOOLS)

    assert 2 == len(odd.tool_calls)
    assert [(call.id, call.name) for call in plain.tool_calls] == [
        (call.id, call.name) for call in odd.tool_calls
    ]
    assert [json.loads(call.arguments) for call in plain.tool_calls] == [
        json.loads(call.arguments) for call in odd.tool_calls
    ]


@pytest.mark.parametrize("shape", ["no-id,no-index,interleaved", "same-id"])
async def test_row_36_what_may_be_two_calls_is_an_error(road: Road, shape: str) -> None:
    """Row 36: pieces that could belong to two calls are an error, not a merge."""
    client = road.client(f"tools?calls=2&shape={shape}")

    error = await fails(client.chat(None, "hi", tools=TOOLS))

    assert isinstance(error, ProtocolError)


async def test_row_40_a_redirect_gets_no_key(road: Road) -> None:
    """Row 40: no redirect is followed, so that none carries the key to another origin."""
    other = await road.simulator()
    client = road.client(f"echo?fault=redirect&location={other.url}/v1/chat/completions")

    error = await fails(client.chat(None, "hi"))

    assert isinstance(error, PenstockError)
    assert 307 == error.status
    assert [] == list(other.requests)


async def test_row_40_each_origin_has_its_own_key(road: Road) -> None:
    """Row 40: a fallback to another origin goes with that origin's key, or with none."""
    second, third = await road.simulator(), await road.simulator()
    client = road.client(
        "echo?fault=unavailable",
        deployments={
            "b": Deployment(f"{second.url}/v1", "sk-of-the-second", model="echo?status=503"),
            "c": Deployment(f"{third.url}/v1", model="echo"),
        },
        fallbacks={"m": ["b", "c"]},
    )

    assert "hi" == (await client.chat(None, "hi")).text

    sent = [simulator.requests[0].headers for simulator in (road.sim, second, third)]
    keys = [headers.get("authorization") for headers in sent]
    assert [f"Bearer {KEY}", "Bearer sk-of-the-second", None] == keys


@pytest.mark.parametrize(
    "model", ["../../admin", "a/b?c#d", "a%2f..%2fb", "m\r\nx-evil: 1", "m\x00", "模型"]
)
async def test_row_40_a_model_id_stays_in_its_place(model: str) -> None:
    """Row 40: an id of any characters is a value in the body, and never walks the path."""
    seen: list[tuple[bytes, str]] = []

    async def handle(connection: Connection) -> None:
        request = await connection.request()
        seen.append((request.line, json.loads(request.body)["model"]))
        await connection.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")

    async with Peer(handle) as peer:
        base = peer.url.removesuffix("/chat/completions")
        deployments = {"m": Deployment(base, KEY, model=model)}
        async with Client(deployments=deployments) as client:
            await fails(client.chat("m", "hi"))

    assert [(b"POST /v1/chat/completions HTTP/1.1", model)] == seen


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\x00b", "a\x7f", "é"])
@pytest.mark.parametrize("place", ["call", "client", "deployment", "key"])
async def test_row_40_control_characters_meet_no_socket(road: Road, value: str, place: str) -> None:
    """Row 40: a header that would break its line is refused before anything is sent."""
    header = {"x-mine": value}

    async def call() -> None:
        deployment = road.deployment(
            api_key=value if place == "key" else KEY,
            headers=header if place == "deployment" else None,
        )
        client = road.client(
            deployments={"d": deployment}, headers=header if place == "client" else None
        )
        await client.chat("d", "hi", extra_headers=header if place == "call" else None)

    error = await fails(call())

    assert isinstance(error, InvalidHeaderError)
    assert 0 == road.sim.connections.total
    assert value not in str(error)


async def test_row_40_the_conversation_cannot_be_replaced(road: Road) -> None:
    """Row 40: what a caller merges into the body cannot take the place of what was checked."""
    client = road.client()

    for field in ("messages", "stream"):
        error = await fails(client.chat(None, "hi", extra_body={field: []}))
        assert isinstance(error, UsageError)

    assert 0 == road.sim.connections.total
