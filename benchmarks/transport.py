"""What does the transport cost above bare httpx: per chunk, and with 200 streams at once?

`dense` reads one answer of 20,000 HTTP chunks of 110 bytes and prints microseconds of CPU per
chunk; `paced` sends the same answer a chunk at a time; `crowd` keeps 200 calls under way, each with
an answer of 10 chunks 2 ms apart, and prints calls per second. The peers are one
``AsyncClient.stream().aiter_raw()`` of the same package, without limits, and a session of aiohttp
with ``content.iter_any()``; `direct` has none. The server is a raw asyncio protocol in a process of
its own; each figure is from a fresh process.

Not shown: TLS, DNS and real networks, which cost all of them the same.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.fresh import fresh, installed, median, setting

__all__ = ["main"]

CHUNK = b"data: " + b"x" * 102 + b"\n\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FRAMED = b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK)
END = b"0\r\n\r\n"


class Server(asyncio.Protocol):
    """Answers every request as its path says: ``/<chunks>/<milliseconds between them>``."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """Take a request with a length."""
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        if len(body) < size:
            return
        self._data = body[size:]
        _, chunks, pause = head.split(b" ", 2)[1].split(b"/")
        self._transport.write(HEAD)
        if pause == b"0":
            self._transport.write(FRAMED * int(chunks) + END)
        else:
            self._send(int(chunks), int(pause) / 1000)

    def _send(self, left: int, pause: float) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(FRAMED if left else END)
        if left:
            loop = asyncio.get_running_loop()
            loop.call_later(pause, self._send, left - 1, pause)


async def serve() -> None:
    """Serve until the process is ended, after printing the address."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


@contextmanager
def server() -> Iterator[str]:
    """Run the server in a process of its own; the value is its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.transport", "--serve"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


Once = Callable[[str], Awaitable[int]]


async def _bare(use: str, measure: Callable[[Once], Awaitable[list[float]]]) -> list[float]:
    if use == "aiohttp":
        return await _bare_aiohttp(measure)
    http: Any = __import__(use)
    limits = http.Limits(max_connections=None, max_keepalive_connections=None)
    async with http.AsyncClient(limits=limits, timeout=None, trust_env=False) as client:

        async def once(url: str) -> int:
            count = 0
            async with client.stream("POST", url, content=b"{}") as answer:
                async for _ in answer.aiter_raw():
                    count += 1
            return count

        return await measure(once)


async def _bare_aiohttp(measure: Callable[[Once], Awaitable[list[float]]]) -> list[float]:
    import aiohttp

    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def once(url: str) -> int:
            size = 0
            async with session.post(url, data=b"{}") as answer:
                async for piece in answer.content.iter_any():
                    size += len(piece)
            return size // len(CHUNK)

        return await measure(once)


def _transport(use: Any, limits: Any) -> Any:  # Any: the transports share no base
    if use == "direct":
        from penstock.transports.direct import DirectTransport

        return DirectTransport(limits=limits, trust_env=False)
    if use == "aiohttp":
        from penstock.transports.aiohttp import AiohttpTransport

        return AiohttpTransport(limits=limits, trust_env=False)
    from penstock.transports import HttpxTransport

    return HttpxTransport(limits=limits, use=use, trust_env=False)


async def _ours(use: Any, measure: Callable[[Once], Awaitable[list[float]]]) -> list[float]:
    from penstock.interfaces import HttpCall
    from penstock.limits import Limits, Timeouts
    from penstock.transports import Watchdog

    limits, timeouts = Limits(), Timeouts()
    transport = _transport(use, limits)

    class Body:
        small: bytes | None = b"{}"

        async def length(self) -> int:
            return 2

        def open(self) -> Any:
            raise NotImplementedError

    async def once(url: str) -> int:
        watch = Watchdog(timeouts, limits=limits)
        call = HttpCall(method="POST", url=url, headers=[], body=Body(), watch=watch, limits=limits)
        wire = await transport.open(call)
        while await wire.read():
            watch.content()
        await wire.aclose(reuse=True)
        return call.timings.bytes_received // len(CHUNK)

    result = await measure(once)
    await transport.aclose()
    return result


async def chunks(url: str, use: str, ours: bool, count: int, pause: int) -> list[float]:
    """Return microseconds of CPU per chunk of one answer: the best of five."""

    async def measure(once: Once) -> list[float]:
        best = float("inf")
        for attempt in range(6):
            before = time.process_time()
            seen = await once(f"{url}/{count}/{pause}")
            assert seen >= count or not ours
            if attempt:
                best = min(best, (time.process_time() - before) / count)
        return [best * 1e6]

    return await (_ours if ours else _bare)(use, measure)


async def crowd(url: str, use: str, ours: bool, calls: int, at_once: int) -> list[float]:
    """Return calls per second, and milliseconds of CPU per call."""

    async def measure(once: Once) -> list[float]:
        left = iter(range(calls))

        async def worker() -> None:
            for _ in left:
                await once(f"{url}/10/2")

        await once(f"{url}/10/2")
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        return [calls / took, cpu / calls * 1e3]

    return await (_ours if ours else _bare)(use, measure)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--smoke", action="store_true", help="one short round")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    rounds, calls, count = options.rounds, options.calls, 20_000
    if options.smoke:
        rounds, calls, count = 1, 100, 1000
    print(f"Median of {rounds} rounds. {setting()}")
    with server() as url:
        packages = {
            "httpx": "httpx",
            "httpx2": "httpx2",
            "aiohttp": "aiohttp",
            "direct": "httptools",
        }
        for use in [name for name, package in packages.items() if installed(package)]:
            found: dict[bool, list[list[float]]] = {True: []}
            if use != "direct":
                found[False] = []
            for _ in range(rounds):
                for ours, rows in found.items():
                    same: dict[str, Any] = {"url": url, "use": use, "ours": ours}
                    row: list[float] = fresh(_HERE, "chunks", **same, count=count, pause=0)
                    row += fresh(_HERE, "chunks", **same, count=count // 40, pause=1)
                    row += fresh(_HERE, "crowd", **same, calls=calls, at_once=options.at_once)
                    rows.append(row)
            for ours, rows in found.items():
                who = f"penstock over {use}" if ours else f"bare {use}"
                dense, paced, rate, cpu = (
                    median(list(column))[0] for column in zip(*rows, strict=True)
                )
                print(
                    f"{who:22} dense {dense:6.2f} µs/chunk   paced {paced:6.1f} µs/chunk   "
                    f"crowd {rate:6.0f} calls/s, {cpu:5.2f} ms CPU/call"
                )


_HERE = "benchmarks.transport"
_PACKAGES = {"httpx": "httpx", "httpx2": "httpx2", "aiohttp": "aiohttp", "direct": "httptools"}

if __name__ == "__main__":
    main()
