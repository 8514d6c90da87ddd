"""What is aiohttp's alone; the rest of its road is in the suite that all transports pass."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import trio
from tests.transports.peers import (
    CHUNKED,
    END,
    Connection,
    Stage,
    always,
    answer,
    call_to,
    chunk,
    once,
    read_all,
    silent_after,
)
from tests.transports.threads import PeerThread

import penstock as ps
from penstock.errors import ConfigurationError, LimitExceededError, MissingExtraError
from penstock.limits import Limits
from penstock.transports.aiohttp import AiohttpTransport

aio = pytest.mark.asyncio


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the client is made, not in the first call."""
    monkeypatch.setattr("penstock.connections.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"penstock\[fast\]"):
        ps.Client(transport="aiohttp")

    monkeypatch.setattr("penstock.transports.aiohttp.transport.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"penstock\[fast\]"):
        AiohttpTransport()


def test_a_client_of_ones_own_is_httpxs() -> None:
    """Whoever brings a client wants it used: it is not ignored in silence."""
    import httpx

    with pytest.raises(ConfigurationError, match="http_client"):
        ps.Client(http_client=httpx.AsyncClient(), transport="aiohttp")


def test_nothing_is_loaded_before_the_first_call() -> None:
    """Neither aiohttp nor httpx comes with a client."""
    code = """
import sys, penstock as ps
client = ps.Client(transport="aiohttp", deployments={"d": ps.Deployment("http://127.0.0.1:1")})
print([name for name in ("aiohttp", "httpx", "httpx2", "yarl") if name in sys.modules])
"""
    found: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "[]" == found.stdout.strip(), found.stderr


@aio
async def test_a_client_speaks_through_it(stage: Stage) -> None:
    """One switch: ``Client(transport="aiohttp")``."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    heads: list[dict[bytes, bytes]] = []

    async def handle(connection: Connection) -> None:
        while True:
            heads.append((await connection.request()).headers)
            await connection.send(
                answer(event + b"data: [DONE]\n\n", b"Content-Type: text/event-stream")
            )

    peer = await stage.peer(handle)
    deployments = {"d": ps.Deployment(peer.url.removesuffix("/chat/completions"))}
    async with ps.Client(deployments=deployments, transport="aiohttp") as client:
        texts = [(await client.chat("d", "hello")).text for _ in range(3)]

    assert (["hi"] * 3, 1) == (texts, peer.opened)
    assert [b"identity"] * 3 == [head[b"accept-encoding"] for head in heads]
    assert not any(b"aiohttp" in b"".join(head.values()).lower() for head in heads)


@aio
async def test_a_call_without_a_body_is_sent_at_once(stage: Stage) -> None:
    """What is left to wait for is the answer: the clock of writing does not run."""
    peer = await stage.peer(silent_after(b""))
    call = call_to(peer.url, timeouts=ps.Timeouts(write=0.2, response=0.2))
    call.body = None
    call.method = "GET"
    with pytest.raises(ps.errors.DeadlineError) as caught:
        await stage.transport(use="aiohttp").open(call)

    assert "response" == caught.value.phase


@aio
async def test_a_proxy_is_httpxs(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the scheme that has a proxy goes through httpx, which `stats` counts too."""
    lines: list[bytes] = []

    async def handle(connection: Connection) -> None:
        while True:
            lines.append((await connection.request()).line)
            await connection.send(answer(b"ok"))

    peer = await stage.peer(handle)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{peer.port}")
    transport = stage.transport(use="aiohttp")
    wire = await transport.open(call_to("http://llm.example/v1"))

    assert b"ok" == await read_all(wire)
    assert [b"POST http://llm.example/v1 HTTP/1.1"] == lines
    assert (0, 1) == (len(transport._loops), transport.stats().connections)


def test_trio_is_httpxs() -> None:
    """aiohttp knows asyncio alone; a program on trio is carried all the same."""

    async def run(url: str) -> bytes:
        transport = AiohttpTransport()
        try:
            return await read_all(await transport.open(call_to(url)))
        finally:
            await transport.aclose()

    with PeerThread(once(answer(b"ok"))) as peer:
        assert b"ok" == trio.run(run, peer.url)


@aio
async def test_a_heads_bound_is_aiohttps_above_100_kib(stage: Stage) -> None:
    """A call may ask for less; what it allows beyond is refused all the same."""
    many = b"".join(b"X-%d: %b\r\n" % (count, b"x" * 1000) for count in range(120))
    peer = await stage.peer(always(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + many + b"\r\n"))
    limits = Limits(max_response_headers=1_000_000, max_response_header_count=1000)
    with pytest.raises(LimitExceededError) as caught:
        await stage.transport(use="aiohttp").open(call_to(peer.url, limits=limits))

    assert ("max_response_headers", 100 * 1024) == (caught.value.phase, caught.value.limit)


@aio
async def test_what_nobody_asked_for_ends_a_connection(stage: Stage) -> None:
    """Bytes that come while a connection waits are not the next call's answer."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer(b"first"))
        await connection.send(answer(b"forged"))
        await connection.closed()

    peer = await stage.peer(handle)
    transport = stage.transport(use="aiohttp")
    await (await transport.open(call_to(peer.url))).aclose(reuse=True)
    peer.handle = always(CHUNKED + chunk(b"second") + END)

    assert b"second" == await read_all(await transport.open(call_to(peer.url)))
