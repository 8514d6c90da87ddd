"""The direct transport below other people's clients: httpx's own words, from our connections."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import pytest
from tests.transports.direct.test_parser import REFUSED, TAKEN
from tests.transports.peers import (
    CHUNKED,
    Connection,
    Request,
    Stage,
    always,
    answer,
    chunk,
    once,
    silent_after,
    until,
)

from penstock.limits import Limits
from penstock.transports.direct import httpx_transport

pytestmark = pytest.mark.asyncio


async def client_of(stage: Stage, use: Any, *, limits: Limits | None = None, **options: Any) -> Any:
    """A client of either package over our connections."""
    transport = httpx_transport(use, limits=limits)
    client = import_module(use).AsyncClient(transport=transport, **options)
    stage.push_async_callback(client.aclose)
    return client


async def test_one_connection_serves_many_requests(stage: Stage, use: str) -> None:
    """Requests with and without a body arrive whole, their own headers once."""
    seen: list[Request] = []

    async def handle(connection: Connection) -> None:
        while True:
            seen.append(await connection.request())
            await connection.send(answer(b"ok", b"Set-Cookie: a=1", b"Set-Cookie: b=2"))

    peer = await stage.peer(handle)
    client = await client_of(stage, use)
    got = await client.get(peer.url, params={"q": "ü"})
    posted = await client.post(peer.url, json={"a": 1})
    empty = await client.post(peer.url)

    assert [b"ok"] * 3 == [each.content for each in (got, posted, empty)]
    assert {"a": "1", "b": "2"} == dict(client.cookies)
    assert [b"", b'{"a":1}', b""] == [each.body for each in seen]
    lengths = [each.headers.get(b"content-length") for each in seen]
    assert [None, b"7", b"0"] == lengths
    assert b"?q=%C3%BC HTTP/1.1" in seen[0].line
    assert [1, 1, 1] == [each.head.lower().count(b"host:") for each in seen]
    assert 1 == peer.opened


async def test_answers_are_read_as_the_suite_has_them(stage: Stage, use: str) -> None:
    """Every framing that transports take is taken, every other one is a `RemoteProtocolError`."""
    wires = {name: wire for name, (wire, *_) in TAKEN.items()} | REFUSED
    sent = iter(wires.values())

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(next(sent))

    peer = await stage.peer(handle)
    client = await client_of(stage, use)
    found: dict[str, Any] = {}
    for name in wires:
        try:
            response = await client.post(peer.url, content=b"{}", headers={"Connection": "close"})
            found[name] = response.status_code, response.content
        except import_module(use).HTTPError as error:
            found[name] = type(error).__name__

    assert {name: (status, body) for name, (_, status, body, _) in TAKEN.items()} == {
        name: found[name] for name in TAKEN
    }
    assert {"RemoteProtocolError"} == {found[name] for name in REFUSED}


@pytest.mark.parametrize("length", [True, False])
async def test_a_streamed_body_is_sent_as_it_comes(stage: Stage, use: str, length: bool) -> None:
    """An async iterator goes out chunked, or with the length that the client says."""
    seen: list[Request] = []

    async def handle(connection: Connection) -> None:
        seen.append(await connection.request())
        await connection.send(answer(b"ok"))

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 1000

    peer = await stage.peer(handle)
    headers = {"Content-Length": "5000"} if length else {}
    client = await client_of(stage, use)
    response = await client.post(peer.url, content=pieces(), headers=headers)

    assert (b"ok", b"x" * 5000) == (response.content, seen[0].body)
    framed = b"content-length" if length else b"transfer-encoding"
    assert framed in seen[0].headers


async def test_the_client_decompresses(stage: Stage, use: str) -> None:
    """Answers come as they are on the wire, which is what the client's headers ask for."""
    body = gzip.compress(b"hello " * 100)
    peer = await stage.peer(always(answer(body, b"Content-Encoding: gzip")))
    client = await client_of(stage, use)
    async with client.stream("GET", peer.url) as response:
        raw = b"".join([piece async for piece in response.aiter_raw()])

    assert body == raw
    assert "hello " * 100 == (await client.get(peer.url)).text


async def test_head_and_redirects_are_the_clients(stage: Stage, use: str) -> None:
    """A HEAD's answer has no body; redirects are followed where the client follows them."""
    moved = answer(b"", b"Location: /there", status=b"302 Found")
    turn = iter([answer(b"")[:-4] + b"\r\n\r\n", moved, answer(b"there")])

    async def handle(connection: Connection) -> None:
        for data in turn:
            await connection.request()
            await connection.send(data)

    peer = await stage.peer(handle)
    client = await client_of(stage, use, follow_redirects=True)

    assert b"" == (await client.head(peer.url)).content
    assert b"there" == (await client.get(peer.url)).content


async def test_closing_a_stream_early_closes_its_connection(stage: Stage, use: str) -> None:
    """A response that is left leaves nothing."""
    peer = await stage.peer(silent_after(CHUNKED + chunk(b"data")))
    client = await client_of(stage, use)
    async with client.stream("GET", peer.url) as response:
        assert b"data" == await anext(response.aiter_bytes())

    await until(lambda: not peer.open)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", "RemoteProtocolError"),
        (b"SSH-2.0-OpenSSH\r\n", "RemoteProtocolError"),
        (CHUNKED + chunk(b"some"), "RemoteProtocolError"),
        (CHUNKED + b"zz\r\n", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "ReadError"),
    ],
)
async def test_faults_have_the_clients_names(
    stage: Stage, use: str, sent: bytes, expected: str
) -> None:
    """What goes wrong is raised in the words of the client's package, with the request."""
    peer = await stage.peer(once(sent))
    client = await client_of(stage, use)
    with pytest.raises(getattr(import_module(use), expected)) as caught:
        await client.get(peer.url)

    assert peer.url == str(caught.value.request.url)


async def test_a_reset_in_the_body_is_a_read_error(stage: Stage, use: str) -> None:
    """What no peer has ended is told apart from what it has ended too early."""
    read = asyncio.Event()

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + chunk(b"some"))
        await read.wait()
        connection.reset()

    peer = await stage.peer(handle)
    client = await client_of(stage, use)
    async with client.stream("GET", peer.url) as response:
        pieces = response.aiter_bytes()
        assert b"some" == await anext(pieces)
        read.set()
        with pytest.raises(import_module(use).ReadError, match="the connection broke"):
            await anext(pieces)


@pytest.mark.parametrize("length", ["4", "6"])
async def test_a_body_that_is_not_as_long_as_said(stage: Stage, use: str, length: str) -> None:
    """A client that counts wrong is told that it is its own fault, as by its own transport."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"five!"

    peer = await stage.peer(once(answer(b"ok")))
    client = await client_of(stage, use)
    with pytest.raises(import_module(use).LocalProtocolError, match=f"than {length} bytes"):
        await client.post(peer.url, content=pieces(), headers={"Content-Length": length})


async def test_a_client_may_have_its_connection_ended(stage: Stage, use: str) -> None:
    """``Connection: close`` goes to the peer; other words on the connection are ours."""
    seen: list[Request] = []

    async def handle(connection: Connection) -> None:
        seen.append(await connection.request())
        await connection.send(answer(b"ok"))

    peer = await stage.peer(handle)
    client = await client_of(stage, use)
    for word in ("close", "keep-alive"):
        await client.get(peer.url, headers={"Connection": word})

    assert [b"close", None] == [each.headers.get(b"connection") for each in seen]


async def test_headers_that_break_a_request_reach_no_socket(stage: Stage, use: str) -> None:
    """A client's headers are held to the grammar, whatever the client lets through."""
    http: Any = import_module(use)
    peer = await stage.peer(always(answer(b"ok")))
    client = await client_of(stage, use)
    for name, value in ((b"x", b"a\r\ny: b"), (b"x y", b"a"), (b"x", b"a\x00")):
        with pytest.raises(http.LocalProtocolError):
            await client.get(peer.url, headers=[(name, value)])

    assert 0 == peer.opened


async def test_timeouts_are_the_clients(stage: Stage, use: str) -> None:
    """``connect``, ``read`` and ``pool`` hold, each under its own name."""
    http: Any = import_module(use)
    peer = await stage.peer(silent_after(b""))
    client = await client_of(stage, use, limits=Limits(max_connections=1))
    with pytest.raises(http.ReadTimeout):
        await client.get(peer.url, timeout=http.Timeout(5, read=0.05))
    mute = peer.url.replace("http:", "https:")
    with pytest.raises(http.ConnectTimeout):
        await client.get(mute, timeout=http.Timeout(5, connect=0.05))
    streaming = await stage.peer(silent_after(CHUNKED + chunk(b"one")))
    async with client.stream("GET", streaming.url, timeout=http.Timeout(5, read=0.5)) as response:
        with pytest.raises(http.PoolTimeout):
            await client.get(peer.url, timeout=http.Timeout(5, pool=0.05))
        read = response.aiter_bytes()
        assert b"one" == await anext(read)
        with pytest.raises(http.ReadTimeout):
            await anext(read)
    with pytest.raises(http.ConnectError):
        await client.get("http://127.0.0.1:1/")
    with pytest.raises(http.UnsupportedProtocol):
        await client.get("ftp://127.0.0.1/")


async def test_a_vendors_sdk_runs_on_it(stage: Stage) -> None:
    """The openai SDK, given such a client, streams through our connections."""
    import httpx
    import openai

    event = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
    sse = (b"Content-Type: text/event-stream",)
    peer = await stage.peer(always(answer(event * 3 + b"data: [DONE]\n\n", *sse)))
    http = httpx.AsyncClient(transport=httpx_transport())
    base = peer.url.removesuffix("/chat/completions")
    async with openai.AsyncOpenAI(base_url=base, api_key="none", http_client=http) as client:
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        texts = [chunk.choices[0].delta.content async for chunk in stream]

    assert ["hi"] * 3 == texts
