"""What does an open stream cost in memory, plain and with TLS?

Each peer opens so many streams to one server, reads the first chunk of each and holds them; printed
is the growth of the resident size per stream, after a first few that warm everything up, in a fresh
process each. penstock is measured through its public API (`direct` and `httpx` are its transports);
the peers are ``httpx`` by hand and ``asyncio.open_connection``, whose TLS is asyncio's own.

Not shown: the kernel's socket buffers, and what a stream holds while more arrives than is read.
"""

from __future__ import annotations

import argparse
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

from benchmarks.fresh import fresh, installed, median, rss, setting

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


async def _held(open_one: Callable[[AsyncExitStack], Awaitable[None]], streams: int) -> list[float]:
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
    return [grown / streams / 1024]


async def direct(url: str, ca: str, streams: int) -> list[float]:
    """Measure the public API over connections of its own."""
    return await httpx(url, ca, streams, transport="direct")


async def httpx(url: str, ca: str, streams: int, transport: str = "httpx") -> list[float]:
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


async def bare_httpx(url: str, ca: str, streams: int) -> list[float]:
    """Measure ``httpx`` by hand."""
    import httpx as peer

    limits = peer.Limits(max_connections=None)
    verify = ssl.create_default_context(cafile=ca)
    async with peer.AsyncClient(limits=limits, verify=verify, timeout=None) as client:

        async def open_one(stack: AsyncExitStack) -> None:
            answer = await stack.enter_async_context(client.stream("POST", url, content=b"{}"))
            await anext(answer.aiter_raw())

        return await _held(open_one, streams)


async def bare_asyncio(url: str, ca: str, streams: int) -> list[float]:
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


PEERS: dict[str, Any] = {  # Any: what has to be installed for each
    "direct": "httptools",
    "httpx": "httpx",
    "bare_httpx": "httpx",
    "bare_asyncio": "asyncio",
}


def main() -> None:
    """Print KiB per stream for each peer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="a small, quick run")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    streams, rounds = (40, 1) if options.smoke else (300, 3)
    print(f"KiB per open stream, {streams} streams, median of {rounds} rounds. {setting()}")
    with servers() as (ca, urls):
        for kind, url in urls.items():
            for name in [each for each, package in PEERS.items() if installed(package)]:
                values: list[float] = []
                for _ in range(rounds):
                    values += fresh(
                        "benchmarks.open_streams", name, url=url, ca=ca, streams=streams
                    )
                middle, spread = median(values)
                print(f"{kind:6} {name:14} {middle:7.1f} KiB  (spread {spread:.0%})")


if __name__ == "__main__":
    main()
