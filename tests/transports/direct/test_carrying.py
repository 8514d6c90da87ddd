"""What the direct transport carries itself, and what httpx carries in its place."""

from __future__ import annotations

import ssl
import subprocess
import sys
from typing import Any

import pytest
import trio
import trustme
from tests.transports.direct.own import own
from tests.transports.peers import Connection, Stage, always, answer, call_to, once, read_all
from tests.transports.threads import PeerThread

import penstock as ps
from penstock.errors import ConfigurationError
from penstock.transports.direct import DirectTransport
from penstock.transports.direct.transport import proxied

aio = pytest.mark.asyncio


@pytest.mark.parametrize(
    ("proxy", "environment", "expected"),
    [
        (None, {}, set()),
        (None, {"HTTPS_PROXY": "http://p"}, {"https"}),
        (None, {"http_proxy": "http://p", "NO_PROXY": "*"}, {"http"}),
        (None, {"all_proxy": "socks5://p"}, {"all"}),
        (None, {"HTTP_PROXY": ""}, set()),
        ("http://p", {}, {"all"}),
    ],
)
def test_which_schemes_may_have_a_proxy(
    proxy: str | None,
    environment: dict[str, str],
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a proxy may hold, httpx decides; nothing of the environment's holds without trust."""
    monkeypatch.setattr(sys, "platform", "linux")
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_PROXY".upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert expected == proxied(proxy, trust_env=True)
    assert (expected if proxy else set()) == proxied(proxy, trust_env=False)


@aio
async def test_a_proxy_is_httpxs(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the scheme that has a proxy goes through httpx, with the transport's own limits."""
    lines: list[bytes] = []

    async def handle(connection: Connection) -> None:
        while True:
            lines.append((await connection.request()).line)
            await connection.send(answer(b"from the proxy"))

    between = await stage.peer(handle)
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    peer = await stage.peer(always(answer(b"direct")), tls=server)
    transport = own(stage, verify=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{between.port}")
    assert b"from the proxy" == await read_all(await transport.open(call_to("http://llm.example/")))
    assert b"direct" == await read_all(await transport.open(call_to(peer.url)))

    assert [b"POST http://llm.example/ HTTP/1.1"] == lines
    assert (2, 2) == (transport.stats().connections, transport.stats().idle)
    await transport.aclose()
    assert 0 == transport.stats().connections


def test_trio_is_httpxs() -> None:
    """On trio the calls are carried, by httpx."""

    async def run(url: str) -> bytes:
        transport = DirectTransport()
        try:
            return await read_all(await transport.open(call_to(url)))
        finally:
            await transport.aclose()

    with PeerThread(once(answer(b"ok"))) as peer:
        assert b"ok" == trio.run(run, peer.url)


@pytest.mark.parametrize("name", ["curl", "Direct", "", "httpx2"])
def test_other_names_are_refused(name: str) -> None:
    """A transport that there is not is a mistake of the configuration."""
    with pytest.raises(ConfigurationError, match="transport"):
        ps.Client(transport=name)


def test_a_client_of_ones_own_is_httpxs() -> None:
    """Whoever brings a client wants it used: it is not ignored in silence."""
    import httpx

    with pytest.raises(ConfigurationError, match="http_client"):
        ps.Client(http_client=httpx.AsyncClient(), transport="direct")


@aio
async def test_a_client_speaks_through_it(stage: Stage) -> None:
    """One switch: ``Client(transport="direct")``."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    sse = (b"Content-Type: text/event-stream",)
    peer = await stage.peer(always(answer(event + b"data: [DONE]\n\n", *sse)))
    deployments = {"d": ps.Deployment(peer.url.removesuffix("/chat/completions"))}
    async with ps.Client(deployments=deployments, transport="direct") as client:
        texts = [(await client.chat("d", "hello")).text for _ in range(3)]

    assert (["hi"] * 3, 1) == (texts, peer.opened)


def test_nothing_is_loaded_before_the_first_call() -> None:
    """Neither httpx nor anyio nor the parser comes with a client; httpx not with a call either."""
    code = """
import asyncio, sys, penstock as ps
from penstock import errors
client = ps.Client(transport="direct", deployments={"d": ps.Deployment("http://127.0.0.1:1")})
heavy = ("httpx", "httpcore", "h11", "httptools")
print([name for name in heavy if name in sys.modules])
async def call():
    try:
        await client.chat("d", "hi")
    except errors.ConnectError:
        pass
asyncio.run(call())
print([name for name in heavy if name in sys.modules])
"""
    found: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ["[]", "['httptools']"] == found.stdout.split("\n")[:2], found.stderr
