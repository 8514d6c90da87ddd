"""What does a long prompt cost? CPU of the client above sending bytes that are ready.

A prompt of 16 MiB goes to a server that only counts it and answers with a few tokens. `ready bytes`
is asyncio, a head and the body as one `bytes`, made beforehand, which is written in pieces of the
size of penstock's buffer: what the interpreter and the kernel take to send it at all. `json.dumps`
does the same with bytes that it makes for each call, whole. penstock encodes the caller's messages
as it sends them, through ``Client.chat`` over its own connections.

`resident` is what the process grows by while it sends, above the caller's messages: its high-water
mark (``VmHWM``), reset before.

Not shown: TLS, which costs both of them the same for each byte.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.call_memory import conversation
from benchmarks.fresh import fresh, setting
from benchmarks.rounds import Case, Peer, Report, options, paired

__all__ = ["main", "ready"]

KIB, MIB = 1024, 1024 * 1024
BUFFER = 64 * KIB
"""What `penstock.Limits` has by default."""
SHAPES = {"100": "messages of 100 B", "2048": "messages of 2 KiB", "string": "one text"}
_EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":"stop"}]}\n\n'
_BODY = _EVENT + b"data: [DONE]\n\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)
_REPEATS = 5
"""Calls that are measured in a process, after one that is not."""


class Server(asyncio.BufferedProtocol):
    """Takes a request to its end, counted or in chunks, and answers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = memoryview(bytearray(256 * KIB))
        self._head, self._left, self._tail = b"", -1, b""

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes are there; which ones is not looked at, but for the request's head and end."""
        data = self._buffer[:nbytes]
        if self._left < 0:
            self._head += bytes(data)
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            self._left, self._chunked = (int(length) - len(body), False) if length else (1, True)
            self._tail = body[-5:]
        elif not self._chunked:
            self._left -= nbytes
        else:
            self._tail = (self._tail + bytes(data[-5:]))[-5:]
        if self._tail == b"0\r\n\r\n" if self._chunked else self._left <= 0:
            self._head, self._left, self._tail = b"", -1, b""
            self._transport.write(ANSWER)


async def serve() -> None:
    """Serve until the process is ended, after printing the address."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


@contextmanager
def server() -> Iterator[str]:
    """Run the server in a process of its own; the value is its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.prompt", "--serve"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def _high_water() -> int:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * KIB


def _reset() -> int:
    """Lower the high-water mark to what is resident now; return it."""
    Path("/proc/self/clear_refs").write_text("5")
    return _high_water()


async def _measured(call: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Return milliseconds of CPU for each call, and the KiB that the first one takes."""
    gc.collect()
    before = _reset()
    await call()
    grown = (_high_water() - before) / KIB
    began = time.process_time()
    for _ in range(_REPEATS):
        await call()
    return (time.process_time() - began) / _REPEATS * 1000, grown


async def penstock(url: str, shape: str, size: int) -> tuple[float, float]:
    """Measure penstock, as users call it."""
    import penstock as ps

    messages = conversation(shape, size)
    some = conversation(shape, MIB)
    deployment = ps.Deployment(f"{url}/v1", "none", model="m")
    limits = ps.Limits(body_buffer=BUFFER)
    async with ps.Client(
        deployments={"d": deployment}, limits=limits, transport="direct"
    ) as client:
        await client.chat("d", some)
        return await _measured(lambda: client.chat("d", messages))


async def ready(url: str, shape: str, size: int, anew: bool = False) -> tuple[float, float]:
    """Measure a stream of asyncio and bytes that are there, or are made `anew` for each call."""
    request = {"model": "m", "messages": conversation(shape, size)}
    made = json.dumps(request).encode()
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)

    async def send() -> None:
        body = json.dumps(request).encode() if anew else made
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        view = memoryview(body)
        for at in range(0, len(body), BUFFER):
            writer.write(view[at : at + BUFFER])
            await writer.drain()
        await reader.readexactly(len(ANSWER))

    try:
        await send()
        return await _measured(send)
    finally:
        writer.close()


_WAYS: dict[str, tuple[str, dict[str, bool]]] = {
    "ready bytes": ("ready", {}),
    "json.dumps": ("ready", {"anew": True}),
    "penstock": ("penstock", {}),
}


def main() -> None:
    """Measure all of them for every shape of prompt, and print ratios to ready bytes."""
    if "--serve" in sys.argv:
        asyncio.run(serve())
        return
    chosen = options(__doc__, rounds=3)
    size = MIB if chosen.smoke else 16 * MIB
    report = Report("prompt", __doc__ or "")
    peers = [Peer(name, "penstock") for name in _WAYS]
    print(f"A prompt of {size // MIB} MiB, buffer {BUFFER // KIB} KiB. {setting()}")
    with server() as url:
        for shape, words in SHAPES.items():

            def once(peer: Peer, shape: str = shape) -> list[float]:
                function, more = _WAYS[peer.name]
                found: list[float] = fresh(
                    "benchmarks.prompt", function, url=url, shape=shape, size=size, **more
                )
                return found

            rows = paired(peers, chosen.rounds, once, report)
            cpu = {name: [values[0] for values in row] for name, row in rows.items()}
            grown = {"penstock": [values[1] for values in rows["penstock"]]}
            report.add(Case(f"{size // MIB} MiB, {words}", "ms CPU", "ready bytes", cpu))
            report.add(Case(f"{size // MIB} MiB, {words}, resident", "KiB", "", grown))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
