"""What the transports with connections of their own carry, and what httpx carries in their place.

Both are here, our own connections and aiohttp's: neither has a proxy, nor trio.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
from importlib.util import find_spec

import pytest
import trio
import trustme
from tests.transports.authorities import serving
from tests.transports.environment import forget_environment
from tests.transports.peers import Connection, Stage, always, answer, call_to, made, once, read_all
from tests.transports.threads import PeerThread

import penstock as ps
from penstock.errors import ConfigurationError, MissingExtraError
from penstock.transports.direct.transport import proxied

aio = pytest.mark.asyncio


@pytest.fixture(params=["direct", *(["aiohttp"] if find_spec("aiohttp") else [])])
def over(request: pytest.FixtureRequest) -> str:
    """Each of the two."""
    return str(request.param)


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
    forget_environment(monkeypatch)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert expected == proxied(proxy, trust_env=True)
    assert (expected if proxy else set()) == proxied(proxy, trust_env=False)


@aio
async def test_a_proxy_is_httpxs(stage: Stage, over: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the scheme that has a proxy goes through httpx, which `stats` counts too."""
    lines: list[bytes] = []

    async def handle(connection: Connection) -> None:
        while True:
            lines.append((await connection.request()).line)
            await connection.send(answer(b"from the proxy"))

    between = await stage.peer(handle)
    server: ssl.SSLContext = serving("127.0.0.1", authority=trustme.CA())
    peer = await stage.peer(always(answer(b"direct")), tls=server)
    forget_environment(monkeypatch)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{between.port}")
    transport = stage.transport(use=over, verify=False)
    wires = [await transport.open(call_to(url)) for url in ("http://llm.example/", peer.url)]
    found = [await read_all(wire) for wire in wires]
    for wire in wires:
        await wire.aclose(reuse=True)

    assert [b"from the proxy", b"direct"] == found
    assert [b"POST http://llm.example/ HTTP/1.1"] == lines
    assert (2, 2) == (transport.stats().connections, transport.stats().idle)
    await transport.aclose()
    assert 0 == transport.stats().connections


def test_trio_is_httpxs(over: str) -> None:
    """On trio the calls are carried, by httpx."""

    async def run(url: str) -> bytes:
        transport = made(over)
        try:
            return await read_all(await transport.open(call_to(url)))
        finally:
            await transport.aclose()

    with PeerThread(once(answer(b"ok"))) as peer:
        assert b"ok" == trio.run(run, peer.url)


@pytest.mark.parametrize("name", ["curl", "Direct", "", "httpx3"])
def test_other_names_are_refused(name: str) -> None:
    """A transport that there is not is a mistake of the configuration."""
    with pytest.raises(ConfigurationError, match="transport"):
        ps.Client(transport=name)


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the client is made, not in the first call."""
    monkeypatch.setattr("penstock.connections.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"penstock\[httpx2\]"):
        ps.Client(transport="httpx2")


def test_a_client_of_ones_own_is_httpxs(over: str) -> None:
    """Whoever brings a client wants it used: it is not ignored in silence."""
    import httpx

    with pytest.raises(ConfigurationError, match="http_client"):
        ps.Client(http_client=httpx.AsyncClient(), transport=over)


@aio
async def test_a_client_speaks_through_it(stage: Stage, over: str) -> None:
    """One switch, ``Client(transport=…)``: one connection, no coding, and nobody's name."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    heads: list[dict[bytes, bytes]] = []

    async def handle(connection: Connection) -> None:
        while True:
            heads.append((await connection.request()).headers)
            sse = b"Content-Type: text/event-stream"
            await connection.send(answer(event + b"data: [DONE]\n\n", sse))

    peer = await stage.peer(handle)
    deployments = {"d": ps.Deployment(peer.url.removesuffix("/chat/completions"))}
    async with ps.Client(deployments=deployments, transport=over) as client:
        texts = [(await client.chat("d", "hello")).text for _ in range(3)]

    assert (["hi"] * 3, 1) == (texts, peer.opened)
    assert [b"identity"] * 3 == [head[b"accept-encoding"] for head in heads]
    assert not any(b"aiohttp" in b"".join(head.values()).lower() for head in heads)


LOADED = """
import asyncio, sys, penstock as ps
from penstock import errors
client = ps.Client(transport="{over}", deployments={{"d": ps.Deployment("http://127.0.0.1:1")}})
heavy = ("aiohttp", "httpx", "httpx2", "httpcore", "h11", "httptools", "yarl")
print([name for name in heavy if name in sys.modules])
async def call():
    try:
        await client.chat("d", "hi")
    except errors.ConnectError:
        pass
asyncio.run(call())
print([name for name in heavy if name in sys.modules])
"""


def test_nothing_is_loaded_before_the_first_call(over: str) -> None:
    """No HTTP library comes with a client; and to our own connections none with a call either."""
    code = LOADED.format(over=over)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    before, after, *_ = done.stdout.split("\n")

    assert "[]" == before, done.stderr
    assert over == "aiohttp" or "['httptools']" == after
