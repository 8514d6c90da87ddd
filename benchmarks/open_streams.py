"""What does an open stream cost in memory, plain and with TLS?

Each peer opens so many streams to one server, reads the first chunk of each and holds them; printed
is the growth of the resident size per stream, after a first few that warm everything up, in a fresh
process each. penstock is measured through its public API, over its own connections and over httpx;
the peers are ``httpx`` and ``asyncio.open_connection`` by hand, whose TLS is asyncio's own, and the
openai SDK.

Not shown: the kernel's socket buffers, and what a stream holds while more arrives than is read.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.fresh import fresh, rss, setting
from benchmarks.rounds import Case, Peer, Report, options, paired, present

__all__ = ["main"]

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
WARM = 20


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    await reader.readexactly(size)
    writer.write(HEAD + b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
    await reader.read()
    writer.close()


async def serve(folder: str) -> None:
    """Serve plain and TLS until the process is ended, after printing both ports."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(Path(folder) / "server.pem"))
    ports = []
    for tls in (None, context):
        server = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=tls, backlog=2048)
        ports.append(str(server.sockets[0].getsockname()[1]))
    print(" ".join(ports), flush=True)
    await asyncio.Event().wait()


@contextmanager
def servers() -> Iterator[tuple[str, dict[str, str]]]:
    """Run both in a process of their own: the authority's file, and an address for each."""
    import trustme

    with tempfile.TemporaryDirectory() as folder:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(f"{folder}/ca.pem")
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            f"{folder}/server.pem"
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.open_streams", "--serve", folder],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            plain, tls = process.stdout.readline().split()
            yield (
                f"{folder}/ca.pem",
                {"plain": f"http://127.0.0.1:{plain}", "TLS": f"https://127.0.0.1:{tls}"},
            )
        finally:
            process.terminate()
            process.wait()


async def _held(open_one: Callable[[AsyncExitStack], Awaitable[None]], streams: int) -> float:
    """Return KiB per stream."""
    async with AsyncExitStack() as stack:
        for _ in range(WARM):
            await open_one(stack)
        gc.collect()
        before = rss()
        for start in range(0, streams, 50):
            await asyncio.gather(*(open_one(stack) for _ in range(min(50, streams - start))))
        gc.collect()
        grown = rss() - before
    return grown / streams / 1024


async def penstock_httpx(url: str, ca: str, streams: int) -> float:
    """Measure the public API over httpx."""
    return await penstock(url, ca, streams, transport="httpx")


async def penstock(url: str, ca: str, streams: int, transport: str = "direct") -> float:
    """Measure the public API."""
    import penstock as ps

    limits = ps.Limits(max_connections=streams + WARM)
    deployments = {"d": ps.Deployment(url)}
    client = ps.Client(deployments=deployments, limits=limits, transport=transport, verify=ca)

    async def open_one(stack: AsyncExitStack) -> None:
        stream = await stack.enter_async_context(client.stream("d", "hi"))
        await anext(aiter(stream))

    async with client:
        return await _held(open_one, streams)


async def bare_httpx(url: str, ca: str, streams: int) -> float:
    """Measure ``httpx`` by hand."""
    import httpx as peer

    limits = peer.Limits(max_connections=None)
    verify = ssl.create_default_context(cafile=ca)
    async with peer.AsyncClient(limits=limits, verify=verify, timeout=None) as client:

        async def open_one(stack: AsyncExitStack) -> None:
            answer = await stack.enter_async_context(client.stream("POST", url, content=b"{}"))
            await anext(answer.aiter_raw())

        return await _held(open_one, streams)


async def openai(url: str, ca: str, streams: int) -> float:
    """Measure ``openai.AsyncOpenAI``."""
    import openai as sdk

    verify = ssl.create_default_context(cafile=ca)
    limits = type(sdk.DEFAULT_CONNECTION_LIMITS)(max_connections=None)
    http = sdk.DefaultAsyncHttpxClient(timeout=None, limits=limits, verify=verify)
    async with sdk.AsyncOpenAI(base_url=url, api_key="none", http_client=http) as client:

        async def open_one(stack: AsyncExitStack) -> None:
            messages: Any = [{"role": "user", "content": "hi"}]
            create = client.chat.completions.create
            stream = await create(model="m", messages=messages, stream=True)
            stack.push_async_callback(stream.close)
            await anext(aiter(stream))

        return await _held(open_one, streams)


async def bare_asyncio(url: str, ca: str, streams: int) -> float:
    """Measure ``asyncio.open_connection``."""
    scheme, _, place = url.partition("://")
    host, _, port = place.partition(":")
    context = ssl.create_default_context(cafile=ca) if scheme == "https" else None

    async def open_one(stack: AsyncExitStack) -> None:
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        stack.callback(writer.transport.abort)
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        await reader.readuntil(b"\n\n")

    return await _held(open_one, streams)


PEERS = {
    "penstock": "penstock",
    "penstock over httpx": "penstock",
    "bare httpx": "httpx",
    "bare asyncio": "penstock",
    "openai": "openai",
}
_FUNCTIONS = {name: name.replace(" over ", "_").replace(" ", "_") for name in PEERS}


def main() -> None:
    """Print KiB per stream for each peer."""
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(sys.argv[2]))
        return
    chosen = options(__doc__, rounds=3)
    streams = 40 if chosen.smoke else 300
    report = Report("open_streams", __doc__ or "")
    peers = present(PEERS, chosen, report)
    print(f"{streams} streams, {chosen.rounds} rounds. {setting()}")
    with servers() as (ca, urls):
        for kind, url in urls.items():

            def once(peer: Peer, url: str = url) -> float:
                found: float = fresh(
                    "benchmarks.open_streams",
                    _FUNCTIONS[peer.name],
                    python=peer.python,
                    url=url,
                    ca=ca,
                    streams=streams,
                )
                return found

            found = paired(peers, chosen.rounds, once, report)
            report.add(Case(kind, "KiB an open stream", "penstock", found))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
