"""What does a long prompt cost? CPU of the client above sending bytes that are ready.

A prompt of 16 MiB goes to a server in another process, which only counts it and answers with a few
tokens. Bytes that are ready are sent in three ways: by asyncio's stream, with a length, in pieces
of 64 KiB, which is penstock's buffer (`ready bytes`), or in `one write`; and by ``Client.chat`` as
``body=``, in chunks and with the loop given back after each: the `same transport`.

What an encoder in C and its refusals have to cost is measured beside it. `least` has one call to
orjson for each chunk and nothing else: nothing is refused, and the loop is not given back; `least,
refusing` first looks through the messages with the fewest built-ins that find what JSON cannot say.
That alone is some 1.6 times ready bytes for one text, 1.8 times for messages of 2 KiB and six times
for those of 100 bytes. penstock encodes the caller's messages as it sends them, with orjson (the
extra ``speed``) and without. `json.dumps` makes the body whole for each call.

`resident` is what the first such prompt makes the process grow by, above the caller's messages: its
high-water mark (``VmHWM``), reset before, once what is imported for it is there.

Not shown: TLS, which costs all of them the same for each byte. `least` is one call to orjson for
each chunk, which refuses nothing and keeps the loop; `same transport` sends ready bytes through
penstock. The kernel does a part of the receiving in the sender's time. In some processes bytes that
are ready take twice as long (9 to 10 ms for 16 MiB, not 5), which halves every ratio of that round:
where a spread begins at half of its end, its end is what to go by.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from benchmarks.body_memory import OTHER, one
from benchmarks.call_memory import conversation
from benchmarks.fresh import fresh, installed, setting
from benchmarks.rounds import Case, Peer, Report, note_own_versions, options, paired

__all__ = ["least", "main", "penstock", "ready"]

# A conversation, and JSON of any shape.
Json = Any

KIB, MIB = 1024, 1024 * 1024
BUFFER = 64 * KIB
"""What `penstock.Limits` has by default."""
SHAPES = {
    "string": "one text",
    "other": "one text, not ASCII",
    "2048": "messages of 2 KiB",
    "100": "messages of 100 B",
}
_EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":"stop"}]}\n\n'
_BODY = _EVENT + b"data: [DONE]\n\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)
_REPEATS = 9
"""Calls that are measured in a process, after two that are not."""


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


def messages_of(shape: str, size: int) -> list[dict[str, Json]]:
    """Return about `size` bytes of messages."""
    return one(size, OTHER) if shape == "other" else conversation(shape, size)


async def _measured(call: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Return milliseconds of CPU for a call, and the KiB that the first one takes."""
    gc.collect()
    before = _reset()
    await call()
    grown = (_high_water() - before) / KIB
    found = []
    for _ in range(_REPEATS):
        began = time.process_time()
        await call()
        found.append((time.process_time() - began) * 1000)
    return median(found), grown


async def penstock(
    url: str, shape: str, size: int, orjson: bool = True, made: bool = False
) -> tuple[float, float]:
    """Measure penstock, as users call it.

    Without `orjson` it is as without the extra ``speed``; what is `made` is bytes that are ready.
    """
    if not orjson:
        sys.modules["orjson"] = None  # type: ignore[assignment]  # as where it is not installed
    from anyio import move_on_after

    import penstock as ps
    from penstock.encoders.backends import BEST

    if orjson is not (BEST.name == "orjson"):
        raise RuntimeError(f"this would be measured with {BEST.name}")
    messages = messages_of(shape, size)
    body = _compact({"model": "m", "messages": messages}) if made else b""
    pieces = [body[at : at + BUFFER] for at in range(0, len(body), BUFFER)]

    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    deployment = ps.Deployment(f"{url}/v1", "none", model="m")
    limits = ps.Limits(body_buffer=BUFFER)
    async with ps.Client(
        deployments={"d": deployment}, limits=limits, transport="direct"
    ) as client:
        with move_on_after(None):  # it loads what it needs on asyncio, as for a large body
            await client.chat("d", "Hi")
        if made:
            return await _measured(lambda: client.chat("d", body=source))
        return await _measured(lambda: client.chat("d", messages))


class Sender:
    """Writes requests to one connection, a piece at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Sender]:
        """Connect."""
        where = urlsplit(url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    async def send(self, framing: str, pieces: Iterable[bytes | memoryview]) -> None:
        """Send one request, and read its answer."""
        self._writer.write(f"POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())
        for piece in pieces:
            self._writer.write(piece)
            if self._writer.transport.get_write_buffer_size():
                await self._writer.drain()
        await self._reader.readexactly(len(ANSWER))


def _compact(request: Json) -> bytes:
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()


async def ready(
    url: str, shape: str, size: int, anew: bool = False, at_once: bool = False
) -> tuple[float, float]:
    """Measure bytes that are there, or are made `anew` for each call."""
    request = {"model": "m", "messages": messages_of(shape, size)}
    made = _compact(request)
    step = len(made) if at_once else BUFFER

    async def send() -> None:
        body = memoryview(_compact(request) if anew else made)
        pieces = (body[at : at + step] for at in range(0, len(body), step))
        await sender.send(f"Content-Length: {len(body)}", pieces)

    async with Sender.to(url) as sender:
        await send()
        return await _measured(send)


async def least(url: str, shape: str, size: int, refusing: bool = False) -> tuple[float, float]:
    """Measure one call of an encoder for each piece, and nothing but that and sending it."""
    from orjson import dumps

    messages = messages_of(shape, size)
    whole: Json = messages[0]["content"] if len(messages) == 1 else messages
    step = max(BUFFER * len(whole) // size, 1)

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(whole), step):
            inside = memoryview(dumps(whole[at : at + step]))[1:-1]
            yield b"".join((b"%x\r\n" % len(inside), inside, b"\r\n"))
        yield b"0\r\n\r\n"

    ascii_text = type(whole) is str and whole.isascii()  # it knows

    async def send() -> None:
        if refusing and not ascii_text:
            for at in range(0, len(whole), step):
                look(whole[at : at + step])
        await sender.send("Transfer-Encoding: chunked", pieces())

    async with Sender.to(url) as sender:
        await send()
        return await _measured(send)


def look(group: Json) -> None:
    """Refuse what is no JSON in a text, or in messages of a role and a text, and find ASCII."""
    if type(group) is str:
        group.encode("utf-16")
        return
    assert {*map(type, group)} == {dict}
    assert {*map(len, group)} == {2}
    for key in ("role", "content"):
        texts = [*map(itemgetter(key), group)]
        assert "".join(texts).isascii() if len(group) > 100 else all(map(str.isascii, texts))


_WAYS: dict[str, tuple[str, dict[str, bool]]] = {
    "ready bytes": ("ready", {}),
    "one write": ("ready", {"at_once": True}),
    "same transport": ("penstock", {"made": True}),
    "least": ("least", {}),
    "least, refusing": ("least", {"refusing": True}),
    "penstock": ("penstock", {}),
    "penstock, no orjson": ("penstock", {"orjson": False}),
    "json.dumps": ("ready", {"anew": True}),
}


def main() -> None:
    """Measure all of them for every shape of prompt, and print ratios to ready bytes."""
    if "--serve" in sys.argv:
        asyncio.run(serve())
        return
    chosen = options(__doc__, rounds=3)
    size = MIB if chosen.smoke else 16 * MIB
    report = Report("prompt", __doc__ or "", seconds=chosen.seconds)
    if not chosen.smoke:
        note_own_versions(report, "msgspec", "orjson")
    lacking = () if installed("orjson") else ("least", "least, refusing", "penstock")
    peers = [Peer(name, "penstock") for name in _WAYS if name not in lacking]
    print(f"A prompt of {size // MIB} MiB, buffer {BUFFER // KIB} KiB. {setting()}")
    with server() as url:
        for shape, words in SHAPES.items():

            def once(peer: Peer, shape: str = shape) -> list[float]:
                function, more = _WAYS[peer.name]
                given: dict[str, Json] = {"url": url, "shape": shape, "size": size, **more}
                found: list[float] = fresh("benchmarks.prompt", function, **given)
                return found

            rows = paired(peers, chosen.rounds, once, report)
            cpu = {name: [values[0] for values in row] for name, row in rows.items()}
            grown = {
                name: [values[1] for values in row]
                for name, row in rows.items()
                if name.startswith("penstock")  # what they are measured by has no bound to hold
            }
            report.add(Case(f"{size // MIB} MiB, {words}", "ms CPU", "ready bytes", cpu))
            report.add(Case(f"{size // MIB} MiB, {words}, memory", "KiB resident", "", grown))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
