"""Proxies and sockets as the environment, or the user, says."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from tests.transports.authorities import Authority
from tests.transports.peers import Connection, Stage, always, answer, call_to, read_all

from penstock.errors import ConfigurationError, ConnectError, MissingExtraError
from penstock.limits import Timeouts

aio = pytest.mark.asyncio
pytestmark = pytest.mark.usefixtures("bare_environment")


class Proxy:
    """A proxy for CONNECT and for absolute addresses (RFC 9110 section 9.3.6, RFC 9112 3.2.2)."""

    def __init__(self, refuse: bytes | None = None) -> None:
        self.lines: list[bytes] = []
        self._refuse = refuse

    async def __call__(self, connection: Connection) -> None:
        """Serve one connection."""
        head = await connection.head()
        self.lines.append(head.line)
        if self._refuse is not None:
            await connection.send(self._refuse)
            return
        method, target, _ = head.line.split(b" ")
        if method != b"CONNECT":
            await connection.reader.readexactly(int(head.headers[b"content-length"]))
            await connection.send(answer(b"from the proxy"))
            return
        host, _, port = target.partition(b":")
        reader, writer = await asyncio.open_connection(host.decode(), int(port))
        await connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        up = asyncio.create_task(pump(connection.reader, writer))
        down = asyncio.create_task(pump(reader, connection.writer))
        try:
            await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.wait([up, down])
            writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes from one side to the other."""
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


# --- proxies -------------------------------------------------------------------------------------


@aio
@pytest.mark.parametrize("given", ["proxy=", "HTTP_PROXY", "ALL_PROXY"])
async def test_a_proxy_is_used(
    stage: Stage, over: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy of the environment's, or of one's own, gets the absolute address."""
    proxy = Proxy()
    peer = await stage.peer(proxy)
    address = f"http://127.0.0.1:{peer.port}"
    if given != "proxy=":
        monkeypatch.setenv(given.lower(), address)
    transport = stage.transport(use=over, proxy=address if given == "proxy=" else None)
    wire = await transport.open(call_to("http://llm.example/v1/chat"))

    assert b"from the proxy" == await read_all(wire)
    assert [b"POST http://llm.example/v1/chat HTTP/1.1"] == proxy.lines


@aio
async def test_tls_goes_through_a_tunnel(
    stage: Stage, over: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS goes through CONNECT, and the certificate is the server's."""
    proxy = Proxy()
    peer = await stage.peer(always(answer(b"inside")), tls=authority.server)
    between = await stage.peer(proxy)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{between.port}")
    transport = stage.transport(use=over, verify=str(authority.file))
    for _ in range(3):
        wire = await transport.open(call_to(peer.url))
        assert b"inside" == await read_all(wire)
        await wire.aclose(reuse=True)

    assert [b"CONNECT 127.0.0.1:%d HTTP/1.1" % peer.port] == proxy.lines
    assert 1 == transport.stats().connections


@aio
async def test_no_proxy_is_honoured(
    stage: Stage, over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts of ``NO_PROXY`` are called directly."""
    peer = await stage.peer(always(answer(b"direct")))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    wire = await stage.transport(use=over).open(call_to(peer.url))

    assert b"direct" == await read_all(wire)


@aio
async def test_the_environment_can_be_ignored(
    stage: Stage, over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``trust_env=False`` no proxy of the environment's is used."""
    peer = await stage.peer(always(answer(b"direct")))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    wire = await stage.transport(use=over, trust_env=False).open(call_to(peer.url))

    assert b"direct" == await read_all(wire)


@aio
async def test_a_proxy_that_refuses(stage: Stage, over: str) -> None:
    """A proxy's refusal is a `ConnectError` that does not blame the provider."""
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    between = await stage.peer(Proxy(refusal))
    transport = stage.transport(use=over, proxy=f"http://user:sk-canary@127.0.0.1:{between.port}")
    with pytest.raises(ConnectError, match="407") as caught:
        await transport.open(call_to("https://llm.example/v1"))

    assert ("connect", False) == (caught.value.phase, caught.value.peer_fault)
    assert "canary" not in repr(caught.value)
    assert (0, 0) == (transport.stats().calls, transport.stats().connections)


@aio
async def test_a_tunnel_is_part_of_connecting(stage: Stage, over: str) -> None:
    """A proxy that takes CONNECT and says nothing meets the ``connect`` clock."""
    from penstock.errors import DeadlineError

    async def mute(connection: Connection) -> None:
        await connection.closed()

    between = await stage.peer(mute)
    transport = stage.transport(use=over, proxy=f"http://127.0.0.1:{between.port}")
    clocks = Timeouts(connect=0.1, write=5, response=5)
    with pytest.raises(DeadlineError) as caught:
        await transport.open(call_to("https://llm.example/v1", timeouts=clocks))

    assert "connect" == caught.value.phase


# --- sockets -------------------------------------------------------------------------------------


@aio
async def test_a_unix_socket(stage: Stage, over: str, tmp_path: Path) -> None:
    """``http+unix`` calls a socket in the file system, past any proxy, and uses it again."""
    path = tmp_path / "llm.sock"
    peer = await stage.peer(always(answer(b"local")), unix=str(path))
    transport = stage.transport(use=over, proxy="http://127.0.0.1:1")
    url = f"http+unix://{str(path).replace('/', '%2F')}/v1/chat"
    for _ in range(3):
        wire = await transport.open(call_to(url))
        assert b"local" == await read_all(wire)
        await wire.aclose(reuse=True)

    assert 1 == peer.opened


@aio
async def test_a_unix_socket_that_is_not_there(stage: Stage, over: str) -> None:
    """A socket that nobody listens on is a `ConnectError`."""
    with pytest.raises(ConnectError):
        await stage.transport(use=over).open(call_to("http+unix://%2Fno%2Fsuch.sock/v1"))


@aio
async def test_tcp_keepalive_is_on(stage: Stage, over: str) -> None:
    """Row 5: the kernel asks a silent peer whether it is still there."""
    peer = await stage.peer(always(answer(b"")))
    await (await stage.transport(use=over).open(call_to(peer.url))).aclose(reuse=True)
    # Off the loop, which is not to be kept while all objects are gone over.
    (ours,) = await asyncio.to_thread(_leading_to, peer.port)

    assert 1 == ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def _leading_to(port: int) -> list[socket.socket]:
    """The sockets of this process that are connected to that port."""
    made = [each for each in gc.get_objects() if isinstance(each, socket.socket)]
    return [each for each in made if _leads_to(each, port)]


def _leads_to(found: socket.socket, port: int) -> bool:
    """Tell whether `found` is connected to that port of this machine."""
    try:
        return bool(found.getpeername()[1:2] == (port,))
    except OSError:  # it listens, or is closed
        return False


@aio
async def test_http2_is_off_by_default(stage: Stage, over: str, authority: Authority) -> None:
    """Row 25: HTTP/1.1 is spoken even with a peer that offers more."""
    authority.server.set_alpn_protocols(["h2", "http/1.1"])
    spoken: list[str | None] = []

    async def handle(connection: Connection) -> None:
        tls = connection.writer.get_extra_info("ssl_object")
        spoken.append(tls.selected_alpn_protocol())
        await always(answer(b""))(connection)

    peer = await stage.peer(handle, tls=authority.server)
    await stage.transport(use=over, verify=str(authority.file)).open(call_to(peer.url))

    assert ["http/1.1"] == spoken


@aio
async def test_a_missing_package_names_its_extra(
    stage: Stage, over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SOCKS proxy without its package says what to install."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    transport = stage.transport(use=over, proxy="socks5://127.0.0.1:1")
    with pytest.raises(MissingExtraError, match="socks"):
        await transport.open(call_to("http://llm.example/"))

    assert 0 == transport.stats().calls


@aio
async def test_a_proxy_of_an_unknown_kind(stage: Stage, over: str) -> None:
    """A proxy's address that cannot be used is a mistake in the configuration."""
    transport = stage.transport(use=over, proxy="gopher://user:sk-canary@127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="proxy") as caught:
        await transport.open(call_to("http://llm.example/"))

    assert 0 == transport.stats().calls
    assert "canary" not in repr(caught.value)
