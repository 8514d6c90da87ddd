"""Calls over real loopback connections: what is sent, what is read, and what is left behind."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

import pytest
from tests.transports.peers import (
    CHUNKED,
    END,
    OK,
    Connection,
    Pieces,
    Request,
    Small,
    Stage,
    always,
    answer,
    call_to,
    chunk,
    once,
    read_all,
    silent_after,
    until,
)

from penstock.errors import (
    ConfigurationError,
    ConnectError,
    EncodeError,
    InternalError,
    InvalidHeaderError,
    LimitExceededError,
    PenstockError,
    PoolError,
    ProtocolError,
    StreamClosedError,
    TransportError,
)
from penstock.interfaces import Ending
from penstock.limits import Limits, Timeouts

pytestmark = pytest.mark.asyncio


async def left(transport: Any) -> tuple[int, int]:
    """Places in use and busy connections, once the loop has had time to tidy up."""
    for _ in range(2000):
        stats = transport.stats()
        found = stats.calls, stats.connections - stats.idle
        if found == (0, 0):
            break
        await asyncio.sleep(0.005)
    return found


async def test_an_answer_is_read_to_its_end(stage: Stage, over: str) -> None:
    """Status, headers, body and a clean ending reach the caller."""
    peer = await stage.peer(always(CHUNKED + chunk(b"one") + chunk(b"two") + END))
    wire = await stage.transport(use=over).open(call_to(peer.url))

    assert (200, "text/event-stream") == (wire.status, wire.headers["content-type"])
    assert None is wire.ending
    assert b"onetwo" == await read_all(wire)
    assert Ending(clean=True) == wire.ending
    assert b"" == await wire.read()


async def test_repeated_headers_are_joined(stage: Stage, over: str) -> None:
    """Fields of one name are one field (RFC 9110 section 5.3)."""
    peer = await stage.peer(always(answer(b"", b"X-One: a", b"x-one: b")))
    wire = await stage.transport(use=over).open(call_to(peer.url))

    assert "a, b" == wire.headers["x-one"]


async def test_a_small_body_has_its_length(stage: Stage, over: str) -> None:
    """A body within the buffer goes out with Content-Length."""
    seen: list[Request] = []

    async def handle(connection: Connection) -> None:
        seen.append(await connection.request())
        await connection.send(answer(b""))

    peer = await stage.peer(handle)
    call = call_to(peer.url, Small(b'{"a":1}'), headers=[("x-key", "secret")])
    await stage.transport(use=over).open(call)

    assert b"POST /v1/chat/completions HTTP/1.1" == seen[0].line
    assert b'{"a":1}' == seen[0].body
    assert (b"7", b"secret") == (seen[0].headers[b"content-length"], seen[0].headers[b"x-key"])
    assert b"identity" == seen[0].headers[b"accept-encoding"]
    assert 7 == call.timings.bytes_sent


@pytest.mark.parametrize(("framing", "passes"), [("auto", 1), ("length", 1)])
async def test_a_large_body_comes_whole(stage: Stage, over: str, framing: str, passes: int) -> None:
    """A body in pieces is chunked, or counted first where the deployment asks for it."""
    seen: list[Request] = []

    async def handle(connection: Connection) -> None:
        seen.append(await connection.request())
        await connection.send(answer(b"ok"))

    peer = await stage.peer(handle)
    body = Pieces(*[bytes([65 + i]) * 50_000 for i in range(20)])
    call = call_to(peer.url, body, framing=framing)
    wire = await stage.transport(use=over).open(call)

    assert b"ok" == await read_all(wire)
    assert b"".join(body.pieces) == seen[0].body
    expected = {"auto": b"transfer-encoding", "length": b"content-length"}[framing]
    assert expected in seen[0].headers
    assert (passes, passes, 1_000_000) == (body.passes, body.closed, call.timings.bytes_sent)


async def test_a_body_that_shrank_is_an_error(stage: Stage, over: str) -> None:
    """A body that is not as long as it was counted breaks no framing and is the caller's error."""

    class Shrunk(Pieces):
        async def length(self) -> int:
            return await super().length() + 1

    peer = await stage.peer(once(answer(b"")))
    transport = stage.transport(use=over)
    with pytest.raises(EncodeError):
        await transport.open(call_to(peer.url, Shrunk(b"x" * 100), framing="length"))

    assert (0, 0) == await left(transport)


async def test_an_error_of_the_body_is_the_callers_own(stage: Stage, over: str) -> None:
    """What a caller's source raises comes out as it is, and nothing is left behind."""

    async def fail() -> None:
        raise ZeroDivisionError

    peer = await stage.peer(once(answer(b"")))
    transport = stage.transport(use=over)
    body = Pieces(b"x", pace=fail)
    with pytest.raises(ZeroDivisionError):
        await transport.open(call_to(peer.url, body))

    assert (0, 0) == await left(transport)
    assert 1 == body.closed


async def test_timings_are_noted(stage: Stage, over: str) -> None:
    """Each step is noted in its order, from the call's beginning."""
    peer = await stage.peer(always(CHUNKED + chunk(b"data") + END))
    call = call_to(peer.url)
    wire = await stage.transport(use=over).open(call)
    await read_all(wire)

    timings = call.timings
    assert None not in (timings.sent, timings.opened, timings.first_byte)
    assert 0 < timings.sent <= timings.opened <= timings.first_byte  # type: ignore[operator]
    assert 4 == timings.bytes_received


@pytest.mark.parametrize("status", [b"301 Moved", b"307 Temporary Redirect"])
async def test_a_redirect_is_an_answer(stage: Stage, over: str, status: bytes) -> None:
    """Row 40: no redirect is followed, so no credential leaves its origin."""
    peer = await stage.peer(always(answer(b"", b"Location: http://127.0.0.1:1/", status=status)))
    wire = await stage.transport(use=over).open(call_to(peer.url))

    assert "http://127.0.0.1:1/" == wire.headers["location"]
    assert int(status[:3]) == wire.status
    assert 1 == peer.opened


async def test_interim_answers_are_passed_over(stage: Stage, over: str) -> None:
    """A 1xx answer is none (RFC 9110 section 15.2)."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    peer = await stage.peer(always(early + answer(b"ok")))
    wire = await stage.transport(use=over).open(call_to(peer.url))

    assert (200, b"ok") == (wire.status, await read_all(wire))


async def test_http_1_0_ends_with_its_connection(stage: Stage, over: str) -> None:
    """An answer without a length ends where the peer hangs up (RFC 9112 section 6.3)."""
    peer = await stage.peer(once(b"HTTP/1.0 200 OK\r\n\r\nold but good"))
    wire = await stage.transport(use=over).open(call_to(peer.url))

    assert b"old but good" == await read_all(wire)
    assert Ending(clean=True) == wire.ending


async def test_no_cookie_goes_to_the_next_call(stage: Stage, over: str) -> None:
    """Row 38: what one account was given is not sent with another's key."""
    seen: list[Request] = []

    async def handle(connection: Connection) -> None:
        while True:
            seen.append(await connection.request())
            await connection.send(answer(b"", b"Set-Cookie: session=1; Path=/"))

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)
    for _ in range(2):
        await (await transport.open(call_to(peer.url))).aclose(reuse=True)

    assert [False, False] == [b"cookie" in request.headers for request in seen]


# --- what is refused before any socket -----------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        *[("x-a", "b\r\nx-c: d"), ("x-a", "b\nc"), ("x-a", "\x00"), ("x-a", "sk-key\n")],
        *[("x a", "b"), ("", "b"), ("x-a:", "b"), ("x-a", " b"), ("x-a", "kлюч")],
        *[("Content-Length", "3"), ("transfer-encoding", "chunked"), ("Connection", "close")],
        *[("Expect", "100-continue"), ("Upgrade", "h2c"), ("TE", "trailers")],
    ],
)
async def test_bad_headers_reach_no_socket(
    stage: Stage, over: str, header: tuple[str, str]
) -> None:
    """Row 40: control characters, and headers that frame the request, are refused."""
    peer = await stage.peer(always(answer(b"")))
    with pytest.raises(InvalidHeaderError) as caught:
        await stage.transport(use=over).open(call_to(peer.url, headers=[header]))

    assert 0 == peer.opened
    assert "sk-key" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "127.0.0.1:80", "http://[::1", "http://a:b/"])
async def test_what_is_no_address_is_refused(stage: Stage, over: str, url: str) -> None:
    """An address that HTTP cannot call is a mistake in the configuration."""
    with pytest.raises(ConfigurationError):
        await stage.transport(use=over).open(call_to(url))


async def test_a_closed_transport_opens_nothing(stage: Stage, over: str) -> None:
    """After `aclose` every call says so."""
    peer = await stage.peer(always(answer(b"")))
    transport = stage.transport(use=over)
    await transport.aclose()
    with pytest.raises(StreamClosedError):
        await transport.open(call_to(peer.url))

    assert 0 == peer.opened


async def test_a_client_of_neither_package_is_refused() -> None:
    """A user's client is an httpx.AsyncClient or an httpx2.AsyncClient."""
    from penstock.transports import HttpxTransport

    with pytest.raises(ConfigurationError, match=r"httpx\.AsyncClient"):
        HttpxTransport(client=object())


# --- faults --------------------------------------------------------------------------------------


async def test_nobody_listens(stage: Stage, over: str) -> None:
    """A refused connection is a `ConnectError` that names the origin and no more."""
    peer = await stage.peer(once(b""))
    url = peer.url
    await peer.__aexit__()
    transport = stage.transport(use=over)
    with pytest.raises(ConnectError) as caught:
        await transport.open(call_to(url, headers=[("authorization", "Bearer sk-canary")]))

    assert ("connect", True) == (caught.value.phase, caught.value.retryable)
    assert "127.0.0.1" in str(caught.value)
    assert "sk-canary" not in str(caught.value)
    assert (0, 0) == await left(transport)


async def test_no_such_host(stage: Stage, over: str) -> None:
    """A name that does not resolve is a `ConnectError`."""
    with pytest.raises(ConnectError):
        await stage.transport(use=over).open(call_to("http://no-such-host.invalid/"))


async def test_hanging_up_without_an_answer(stage: Stage, over: str) -> None:
    """A fresh connection that ends before an answer is a `TransportError`, and not tried again."""
    peer = await stage.peer(once(b""))
    transport = stage.transport(use=over)
    with pytest.raises(TransportError, match="without an answer") as caught:
        await transport.open(call_to(peer.url))

    assert "response" == caught.value.phase
    assert 1 == peer.opened
    assert (0, 0) == await left(transport)


@pytest.mark.parametrize("after", ["connect", "head", "half a head"])
async def test_a_reset_before_the_answer(stage: Stage, over: str, after: str) -> None:
    """A reset before the headers is a `TransportError` wherever it happens."""

    async def handle(connection: Connection) -> None:
        if after != "connect":
            await connection.request()
        if after == "half a head":
            await connection.send(b"HTTP/1.1 200 O")
            await asyncio.sleep(0.01)
        connection.reset()

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)
    with pytest.raises(TransportError):
        await transport.open(call_to(peer.url))

    assert (0, 0) == await left(transport)


@pytest.mark.parametrize(
    "sent",
    [
        CHUNKED + chunk(b"some"),
        CHUNKED + chunk(b"some") + b"5\r\nhal",
        CHUNKED + chunk(b"some") + b"0\r\n",
        OK + b"Content-Length: 10\r\n\r\nsome",
    ],
)
async def test_a_cut_body_is_torn(stage: Stage, over: str, sent: bytes) -> None:
    """Row 8: what came is delivered, and the ending says that it was cut."""
    peer = await stage.peer(once(sent))
    transport = stage.transport(use=over)
    wire = await transport.open(call_to(peer.url))

    assert (await read_all(wire)).startswith(b"some")
    assert wire.ending is not None
    assert not wire.ending.clean
    assert "peer closed" in wire.ending.detail
    assert (0, 0) == await left(transport)


async def test_a_reset_in_the_body_is_torn(stage: Stage, over: str) -> None:
    """A reset after the headers is an ending too, so that the partial answer is not lost."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + chunk(b"some"))
        await asyncio.sleep(0.05)
        connection.reset()

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)
    wire = await transport.open(call_to(peer.url))

    assert b"some" == await read_all(wire)
    assert wire.ending is not None
    assert (False, True) == (wire.ending.clean, "broke" in wire.ending.detail)
    assert (0, 0) == await left(transport)


@pytest.mark.parametrize("sent", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
async def test_what_is_not_http(stage: Stage, over: str, sent: bytes) -> None:
    """A peer that speaks something else is a `ProtocolError`."""
    peer = await stage.peer(once(sent))
    with pytest.raises(ProtocolError):
        await stage.transport(use=over).open(call_to(peer.url))


async def test_broken_chunking_is_an_error(stage: Stage, over: str) -> None:
    """Framing that breaks in the middle is told after what came before it."""
    peer = await stage.peer(once(CHUNKED + chunk(b"some") + b"zz\r\nmore\r\n"))
    transport = stage.transport(use=over)
    wire = await transport.open(call_to(peer.url))

    assert b"some" == await wire.read()
    for _ in range(2):
        with pytest.raises(ProtocolError):
            await wire.read()
    assert (0, 0) == await left(transport)


# --- bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "head"),
    [
        ("max_response_header_count", b"".join(b"X-%d: 1\r\n" % i for i in range(200))),
        ("response header field", b"X-Long: " + b"x" * 20_000 + b"\r\n"),
        ("max_response_headers", b"".join(b"X-%d: %b\r\n" % (i, b"x" * 9000) for i in range(11))),
        ("max_response_headers", b"X-Huge: " + b"x" * 300_000 + b"\r\n"),
    ],
)
async def test_headers_have_bounds(stage: Stage, over: str, bound: str, head: bytes) -> None:
    """The header block, a field and their number are bounded, and the error names which."""
    peer = await stage.peer(silent_after(OK + head + b"Content-Length: 0\r\n\r\n"))
    transport = stage.transport(use=over)
    limits = Limits(max_response_headers=90_000)
    with pytest.raises(LimitExceededError) as caught:
        await transport.open(call_to(peer.url, limits=limits))

    assert bound == caught.value.phase
    assert (0, 0) == await left(transport)


def packed(data: bytes, coding: str) -> bytes:
    """`data`, compressed."""
    window = {"gzip": 31, "deflate": 15, "raw deflate": -15}[coding]
    packer = zlib.compressobj(wbits=window)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_compressed_answer_is_decoded(
    stage: Stage, over: str, coding: str, size: int
) -> None:
    """A peer that compresses unasked is understood, however the network cuts it."""
    text = b"data: the same line again and again\n\n" * 200
    body = packed(text, coding)
    chunks = b"".join(chunk(body[i : i + size]) for i in range(0, len(body), size))
    name = coding.split()[-1].encode()
    head = OK + b"Content-Encoding: " + name + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    peer = await stage.peer(always(head + chunks + END))
    wire = await stage.transport(use=over).open(call_to(peer.url))

    assert text == await read_all(wire)
    assert Ending(clean=True) == wire.ending


async def test_a_cut_gzip_answer_is_torn(stage: Stage, over: str) -> None:
    """Row 10: a compressed body without its end marker is cut, though its framing is whole."""
    body = packed(b"data: something\n\n" * 100, "gzip")[:-9]
    peer = await stage.peer(always(answer(body, b"Content-Encoding: gzip")))
    wire = await stage.transport(use=over).open(call_to(peer.url))
    await read_all(wire)

    assert Ending(clean=False, detail="the compressed answer is cut") == wire.ending


async def test_a_bomb_is_defused(stage: Stage, over: str) -> None:
    """An answer that grows beyond 100:1 ends in an error, long before it is unpacked."""
    body = packed(bytes(16 * 1024 * 1024), "gzip")
    peer = await stage.peer(always(answer(body, b"Content-Encoding: gzip")))
    transport = stage.transport(use=over)
    wire = await transport.open(call_to(peer.url))
    read = 0

    async def read_on() -> None:
        nonlocal read
        while True:
            read += len(await wire.read())

    with pytest.raises(LimitExceededError) as caught:
        await read_on()
    assert ("max_ratio", 100) == (caught.value.phase, caught.value.limit)
    assert read < 8 * 1024 * 1024
    assert (0, 0) == await left(transport)


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"compress"])
async def test_other_codings_are_refused(stage: Stage, over: str, coding: bytes) -> None:
    """One coding, gzip or deflate; ``identity`` was asked for."""
    peer = await stage.peer(always(answer(b"...", b"Content-Encoding: " + coding)))
    transport = stage.transport(use=over)
    with pytest.raises(ProtocolError, match="identity was asked for"):
        await transport.open(call_to(peer.url))

    assert (0, 0) == await left(transport)


async def test_an_unread_answer_stays_with_the_peer(stage: Stage, over: str) -> None:
    """Back-pressure is by pull: a consumer that does not ask leaves the bytes in the kernel."""
    sent = 0

    async def handle(connection: Connection) -> None:
        nonlocal sent
        await connection.request()
        await connection.send(CHUNKED)
        for _ in range(2000):
            await connection.send(chunk(b"x" * 32_768))
            sent += 1

    peer = await stage.peer(handle)
    wire = await stage.transport(use=over).open(call_to(peer.url))
    previous = -1
    while sent != previous:
        previous = sent
        await asyncio.sleep(0.1)

    assert sent < 1000
    assert wire.buffered <= 64 * 1024
    await wire.aclose()


# --- connections ---------------------------------------------------------------------------------


async def test_ten_calls_use_one_connection(stage: Stage, over: str) -> None:
    """Row 22, and fault 14 of exoclaw: a finished call gives its connection to the next."""
    peer = await stage.peer(always(CHUNKED + chunk(b"data: [DONE]\n\n") + END))
    transport = stage.transport(use=over)
    for _ in range(10):
        wire = await transport.open(call_to(peer.url))
        await wire.read()
        await wire.aclose(reuse=True)

    assert 1 == peer.opened
    stats = transport.stats()
    assert (0, 1, 1) == (stats.calls, stats.connections, stats.idle)


async def test_a_terminator_that_comes_late_is_drained(stage: Stage, over: str) -> None:
    """The rest of an answer may come a little after its last event."""

    async def handle(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(CHUNKED + chunk(b"data: [DONE]\n\n"))
            await asyncio.sleep(0.01)
            await connection.send(chunk(b": bye\n\n") + END)

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)
    for _ in range(3):
        wire = await transport.open(call_to(peer.url))
        await wire.read()
        await wire.aclose(reuse=True)

    assert 1 == peer.opened


@pytest.mark.parametrize("rest", [b"", b"x" * 200_000], ids=["in time", "in bytes"])
async def test_a_rest_that_is_too_long_is_not_awaited(
    stage: Stage, over: str, rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Draining is bounded in time and bytes; past them the connection is closed."""
    if not rest:
        for room in ("exchange", "direct.draining"):
            monkeypatch.setattr(f"penstock.transports.{room}._DRAIN", 0.1)
    peer = await stage.peer(silent_after(CHUNKED + chunk(b"data") + (rest and chunk(rest))))
    transport = stage.transport(use=over)
    wire = await transport.open(call_to(peer.url))
    await wire.read()
    await wire.aclose(reuse=True)

    assert (0, 0) == await left(transport)
    assert 0 == transport.stats().connections


async def test_closing_early_closes_the_connection(stage: Stage, over: str) -> None:
    """Row 23: a call that is given up leaves no connection behind, and reads say it is closed."""
    peer = await stage.peer(silent_after(CHUNKED + chunk(b"data")))
    transport = stage.transport(use=over)
    wire = await transport.open(call_to(peer.url))
    await wire.read()
    for _ in range(2):
        await wire.aclose()
    with pytest.raises(StreamClosedError):
        await wire.read()

    assert (0, 0, 0) == (*await left(transport), transport.stats().connections)


async def test_abort_ends_a_pending_read(stage: Stage, over: str) -> None:
    """`abort` is synchronous; the read raises the given error, and so do later ones."""
    peer = await stage.peer(silent_after(CHUNKED))
    transport = stage.transport(use=over)
    wire = await transport.open(call_to(peer.url))
    reading = asyncio.create_task(wire.read())
    await asyncio.sleep(0.01)
    error = PenstockError("enough")
    wire.abort(error)
    wire.abort()
    with pytest.raises(PenstockError, match="enough") as caught:
        await reading

    assert error is caught.value
    with pytest.raises(PenstockError, match="enough"):
        await wire.read()
    await wire.aclose()
    assert (0, 0) == await left(transport)


async def test_two_reads_at_once_are_refused(stage: Stage, over: str) -> None:
    """An answer has one reader."""
    peer = await stage.peer(silent_after(CHUNKED))
    wire = await stage.transport(use=over).open(call_to(peer.url))
    reading = asyncio.create_task(wire.read())
    await asyncio.sleep(0)
    with pytest.raises(InternalError):
        await wire.read()
    await wire.aclose()
    with pytest.raises(StreamClosedError):
        await reading


async def test_a_stale_connection_is_replaced(stage: Stage, over: str) -> None:
    """Row 21: a pooled connection that dies before a byte of an answer is tried once more."""
    first: list[Connection] = []

    async def handle(connection: Connection) -> None:
        first.append(connection)
        await connection.request()
        await connection.send(answer(b"first" if len(first) == 1 else b"fresh"))
        if len(first) == 1:
            await connection.head()
            # The peer's idle limit and our next request cross on the way.
            connection.reset()
        else:
            await connection.closed()

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)
    await (await transport.open(call_to(peer.url))).aclose(reuse=True)
    body = Pieces(b"a" * 70_000, b"b" * 70_000)
    wire = await transport.open(call_to(peer.url, body))

    assert b"fresh" == await read_all(wire)
    assert (2, 2, 2) == (peer.opened, body.passes, body.closed)


async def test_a_stale_connection_is_replaced_once(stage: Stage, over: str) -> None:
    """Row 21: the fresh connection is the last try."""
    count = 0

    async def handle(connection: Connection) -> None:
        nonlocal count
        count += 1
        await connection.request()
        if count == 1:
            await connection.send(answer(b"first"))
            await connection.head()
        connection.reset()

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)
    await (await transport.open(call_to(peer.url))).aclose(reuse=True)
    with pytest.raises(TransportError):
        await transport.open(call_to(peer.url))

    assert 2 == count
    assert (0, 0) == await left(transport)


async def test_half_an_answer_is_not_repeated(stage: Stage, over: str) -> None:
    """Row 21: once a byte of an answer came, the request may have been acted on."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer(b"first"))
        await connection.request()
        await connection.send(b"HTTP/1.1 2")

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)
    await (await transport.open(call_to(peer.url))).aclose(reuse=True)
    with pytest.raises(TransportError):
        await transport.open(call_to(peer.url))

    assert 1 == peer.opened


async def test_calls_beyond_the_bound_wait(stage: Stage, over: str) -> None:
    """`Limits.max_connections` is ours: a call waits for a place and gets it when one is free."""
    peer = await stage.peer(silent_after(CHUNKED))
    transport = stage.transport(use=over, limits=Limits(max_connections=2))
    wires = [await transport.open(call_to(peer.url)) for _ in range(2)]
    waiting = asyncio.create_task(transport.open(call_to(peer.url)))
    await until(lambda: transport.stats().waiting == 1)

    assert (2, 1) == (transport.stats().calls, transport.stats().waiting)
    assert not waiting.done()
    await wires[0].aclose()
    await (await waiting).aclose()
    await wires[1].aclose()
    assert (0, 0) == await left(transport)


async def test_a_place_that_does_not_come(stage: Stage, over: str) -> None:
    """The ``pool`` clock ends the wait with an error that blames nobody else (row 20)."""
    peer = await stage.peer(silent_after(CHUNKED))
    transport = stage.transport(use=over, limits=Limits(max_connections=1))
    wire = await transport.open(call_to(peer.url))
    with pytest.raises(PoolError) as caught:
        await transport.open(call_to(peer.url, timeouts=Timeouts(pool=0.02)))

    assert ("pool", 0.02, False) == (
        caught.value.phase,
        caught.value.limit,
        caught.value.peer_fault,
    )
    assert (1, 0) == (transport.stats().calls, transport.stats().waiting)
    await wire.aclose()


async def test_a_cancelled_wait_gives_its_place_up(stage: Stage, over: str) -> None:
    """Whoever waits for a place and goes leaves the queue as it was."""
    peer = await stage.peer(silent_after(CHUNKED))
    transport = stage.transport(use=over, limits=Limits(max_connections=1))
    wire = await transport.open(call_to(peer.url))
    waiting = [asyncio.create_task(transport.open(call_to(peer.url))) for _ in range(3)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    await wire.aclose()
    waiting[1].cancel()
    last = await waiting[2]
    await last.aclose()

    await asyncio.wait(waiting)
    assert (0, 0) == await left(transport)
    assert 0 == transport.stats().waiting


async def test_streams_spread_over_shards(stage: Stage, use: str) -> None:
    """Many streams at once use several clients, and later ones the first again."""
    peer = await stage.peer(silent_after(CHUNKED))
    transport = stage.transport(use=use)
    wires = await asyncio.gather(*(transport.open(call_to(peer.url)) for _ in range(30)))

    assert (30, 30, 4) == (peer.opened, transport.stats().calls, transport.stats().shards)
    await asyncio.gather(*(wire.aclose() for wire in wires))
    assert (0, 0) == await left(transport)


async def test_errors_hold_no_connection(stage: Stage, over: str) -> None:
    """Row 23: 300 answers of 429, read or not, leave zero in use."""
    body = b'{"error":{"message":"slow down"}}'
    peer = await stage.peer(always(answer(body, b"Retry-After: 1", status=b"429 Too Many")))
    transport = stage.transport(use=over)

    async def one(index: int) -> None:
        wire = await transport.open(call_to(peer.url))
        assert 429 == wire.status
        if index % 3 == 1:
            await wire.read()
        if index % 3 == 2:
            await read_all(wire)
        await wire.aclose(reuse=index % 2 == 0)

    for start in range(0, 300, 50):
        await asyncio.gather(*(one(start + i) for i in range(50)))

    assert (0, 0) == await left(transport)


async def test_the_transport_closes_what_is_open(stage: Stage, over: str) -> None:
    """`aclose` ends pending reads and waiting calls, and leaves no task and no connection."""
    peer = await stage.peer(silent_after(CHUNKED))
    transport = stage.transport(use=over, limits=Limits(max_connections=3))
    wires = [await transport.open(call_to(peer.url)) for _ in range(3)]
    reads = [asyncio.create_task(wire.read()) for wire in wires]
    waiting = asyncio.create_task(transport.open(call_to(peer.url)))
    await asyncio.sleep(0.01)
    await transport.aclose()
    results = await asyncio.gather(*reads, waiting, return_exceptions=True)

    assert [StreamClosedError] * 4 == [type(result) for result in results]
    await until(lambda: not peer.open)


class Busy:
    """A connection that a pool has forgotten: busy for ever."""

    def is_idle(self) -> bool:
        """It never is."""
        return False

    def is_closed(self) -> bool:
        """Nor this."""
        return False


async def test_a_leaking_shard_is_retired(
    stage: Stage, use: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard with more busy connections than streams takes no new ones, and is closed in time."""
    count = 0

    async def handle(connection: Connection) -> None:
        nonlocal count
        count += 1
        first = silent_after(CHUNKED + chunk(b"data"))
        await (first if count == 1 else always(answer(b"ok")))(connection)

    peer = await stage.peer(handle)
    transport = stage.transport(use=use)
    kept = await transport.open(call_to(peer.url))
    (shard,) = transport._loops[asyncio.get_running_loop()].pool._shards["http", ""]
    leaked = [Busy()]
    real = type(shard).connections.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(
        type(shard),
        "connections",
        property(lambda self: real(self) + (leaked if self is shard else [])),
    )
    for _ in range(2):
        await (await transport.open(call_to(peer.url))).aclose(reuse=True)

    assert (1, 1) == (transport.stats().shards, transport.stats().connections)
    assert not shard.client.is_closed
    assert b"data" == await kept.read()
    await kept.aclose()
    await until(lambda: shard.client.is_closed)


async def test_what_is_idle_is_closed(
    stage: Stage, over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a burst opened is closed when it has been idle for long, and a call opens anew."""
    for module in ("direct.pool", "pools", *(["aiohttp.connecting"] if over == "aiohttp" else [])):
        # Longer than a burst takes on a busy machine.
        monkeypatch.setattr(f"penstock.transports.{module}.KEEPALIVE", 1.0)
    peer = await stage.peer(always(answer(b"ok")))
    transport = stage.transport(use=over)
    wires = await asyncio.gather(*(transport.open(call_to(peer.url)) for _ in range(20)))
    await asyncio.gather(*(wire.aclose(reuse=True) for wire in wires))
    assert 20 == transport.stats().idle
    await until(lambda: not peer.open)

    assert (0, 0) == (transport.stats().connections, transport.stats().idle)
    assert b"ok" == await read_all(await transport.open(call_to(peer.url)))


async def test_cancelled_before_its_owner_runs(stage: Stage) -> None:
    """A call that is given up in the turn it was made gives its place back."""
    peer = await stage.peer(always(answer(b"ok")))
    transport = stage.transport()
    # The first call makes the pool; from then on nothing stands before the owner's start.
    await (await transport.open(call_to(peer.url))).aclose(reuse=True)
    task = asyncio.create_task(transport.open(call_to(peer.url)))
    await asyncio.sleep(0)
    (exchange,) = transport._loops[asyncio.get_running_loop()].exchanges
    exchange.abort()
    with pytest.raises(StreamClosedError):
        await task

    assert exchange.owner.cancelled()
    assert (0, 0) == await left(transport)


async def test_a_place_given_to_a_cancelled_call_is_not_lost(
    stage: Stage, use: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that is cancelled in the turn in which it gets its place passes it on."""
    peer = await stage.peer(silent_after(CHUNKED))
    transport = stage.transport(use=use, limits=Limits(max_connections=1))
    wire = await transport.open(call_to(peer.url))
    waiting = asyncio.create_task(transport.open(call_to(peer.url)))
    await asyncio.sleep(0.01)
    pool = transport._loops[asyncio.get_running_loop()].pool
    give_back = pool.give_back

    def give_and_cancel() -> None:
        monkeypatch.setattr(pool, "give_back", give_back)
        give_back()
        waiting.cancel()

    monkeypatch.setattr(pool, "give_back", give_and_cancel)
    await wire.aclose()
    await asyncio.wait([waiting])

    assert waiting.cancelled()
    assert (0, 0) == await left(transport)
    await (await transport.open(call_to(peer.url))).aclose()
