"""What does a transport cost above bare HTTP clients: per chunk, and with 200 streams at once?

One answer of 20,000 HTTP chunks of 110 bytes as fast as they come; the same a chunk at a time, a
millisecond apart; and 200 calls kept under way, each with an answer of 10 chunks 2 ms apart.
penstock is a `Transport` alone, its own connections and the three packages it can use; the peers
are one ``AsyncClient.stream().aiter_raw()`` of httpx and of httpx2, without limits, and a session
of aiohttp with ``content.iter_any()``. The server is a raw asyncio protocol in a process of its
own; each figure is from a fresh process.

Not shown: TLS, DNS and real networks, which cost all of them the same.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.best import best_async
from benchmarks.fresh import fresh, setting
from benchmarks.rounds import Case, Peer, Report, options, paired, present

__all__ = ["main", "measure"]

CHUNK = b"data: " + b"x" * 102 + b"\n\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FRAMED = b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK)
END = b"0\r\n\r\n"
AT_ONCE = 200


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
Use = Callable[[Once], Awaitable[dict[str, float]]]


async def _bare(use: str, use_it: Use) -> dict[str, float]:
    if use == "aiohttp":
        return await _bare_aiohttp(use_it)
    http: Any = __import__(use)
    limits = http.Limits(max_connections=None, max_keepalive_connections=None)
    async with http.AsyncClient(limits=limits, timeout=None, trust_env=False) as client:

        async def once(url: str) -> int:
            size = 0
            async with client.stream("POST", url, content=b"{}") as answer:
                async for piece in answer.aiter_raw():
                    size += len(piece)
            return size // len(CHUNK)

        return await use_it(once)


async def _bare_aiohttp(use_it: Use) -> dict[str, float]:
    import aiohttp

    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def once(url: str) -> int:
            size = 0
            async with session.post(url, data=b"{}") as answer:
                async for piece in answer.content.iter_any():
                    size += len(piece)
            return size // len(CHUNK)

        return await use_it(once)


def _transport(use: Any, limits: Any) -> Any:  # Any: the transports share no base
    if use == "direct":
        from penstock.transports.direct import DirectTransport

        return DirectTransport(limits=limits, trust_env=False)
    if use == "aiohttp":
        from penstock.transports.aiohttp import AiohttpTransport

        return AiohttpTransport(limits=limits, trust_env=False)
    from penstock.transports import HttpxTransport

    return HttpxTransport(limits=limits, use=use, trust_env=False)


async def _ours(use: Any, use_it: Use) -> dict[str, float]:
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

    result = await use_it(once)
    await transport.aclose()
    return result


async def measure(
    peer: str, url: str, chunks: int, paced: int, calls: int, repeats: int
) -> dict[str, float]:
    """Return the figures of one peer, by the names of `_UNITS`."""
    ours, _, use = peer.rpartition(" ")

    async def all_of_them(once: Once) -> dict[str, float]:
        return {
            "dense": await best_async(lambda: once(f"{url}/{chunks}/0"), repeats, at_least=chunks),
            "paced": await best_async(lambda: once(f"{url}/{paced}/1"), 1, at_least=paced),
            "crowd": await _crowd(once, url, calls),
        }

    if ours.startswith("penstock") or peer == "penstock":
        return await _ours("direct" if peer == "penstock" else use, all_of_them)
    return await _bare(use, all_of_them)


async def _crowd(once: Once, url: str, calls: int) -> float:
    """Return microseconds of CPU per call, with `AT_ONCE` under way."""
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            await once(f"{url}/10/2")

    await once(f"{url}/10/2")
    cpu = time.process_time()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return (time.process_time() - cpu) / calls * 1e6


PEERS = {
    "penstock": "penstock",
    "penstock over httpx": "penstock",
    "penstock over httpx2": "penstock-httpx2",
    "penstock over aiohttp": "penstock-fast",
    "bare httpx": "httpx",
    "bare httpx2": "httpx2",
    "bare aiohttp": "aiohttp",
}
_UNITS = {
    "dense": ("one answer, as fast as it comes", "µs CPU a chunk"),
    "paced": ("one answer, a chunk each millisecond", "µs CPU a chunk"),
    "crowd": (f"{AT_ONCE} calls of 10 chunks at once", "µs CPU a call"),
}


def main() -> None:
    """Measure every transport, and print ratios to httpx alone."""
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve())
        return
    chosen = options(__doc__)
    chunks, paced, calls = (1_000, 25, 200) if chosen.smoke else (20_000, 500, 1_000)
    report = Report("transport", __doc__ or "")
    peers = present(PEERS, chosen, report)
    print(f"{chosen.rounds} rounds. {setting()}")
    with server() as url:

        def once(peer: Peer) -> dict[str, float]:
            sizes = {"chunks": chunks, "paced": paced, "calls": calls}
            found: dict[str, float] = fresh(
                "benchmarks.transport",
                "measure",
                python=peer.python,
                peer=peer.name,
                url=url,
                repeats=1 if chosen.smoke else 3,
                **sizes,
            )
            return found

        rows = paired(peers, chosen.rounds, once, report)
    for kind, (name, unit) in _UNITS.items():
        found = {peer: [each[kind] for each in values] for peer, values in rows.items()}
        report.add(Case(name, unit, "bare httpx", found))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
