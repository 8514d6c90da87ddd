"""Clients that are not ours: plain sockets, with h11 as the judge of what is on them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import h11
import pytest
import pytest_asyncio

from penstock.simulator import Simulator

PATIENCE = 10.0
"""Seconds for what is sure to come."""
SILENCE = 0.1
"""Seconds that count as silence, after what was to come has come."""


@dataclass
class Answer:
    """What a plain socket has read."""

    data: bytes = b""
    """Every byte."""
    ended: str = ""
    """complete (as h11 sees it), eof, reset or silence."""
    broken: str = ""
    """What h11 objects to."""
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    """The HTTP chunks, or the pieces of a body that has none."""
    informational: list[int] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)
    _starts: bool = True

    @property
    def body(self) -> bytes:
        """The body without its framing."""
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def data_lines(self) -> list[str]:
        """The data of events that have one line of it."""
        lines = self.body.decode().split("\n")
        return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]

    @property
    def done(self) -> bool:
        """Whether [DONE] came."""
        return "[DONE]" in self.data_lines

    @property
    def objects(self) -> list[Any]:
        """The chunks of a healthy stream."""
        return [json.loads(line) for line in self.data_lines if line != "[DONE]"]

    @property
    def text(self) -> str:
        """The text of the first choice, as far as it came whole."""
        choices = [choice for each in self.objects for choice in each.get("choices") or ()]
        return "".join(choice["delta"].get("content") or "" for choice in choices)

    @property
    def finish(self) -> str | None:
        """The finish reason."""
        choices = [choice for each in self.objects for choice in each.get("choices") or ()]
        return next((c["finish_reason"] for c in reversed(choices) if c.get("finish_reason")), None)

    @property
    def error(self) -> Any:
        """The error object, of a stream's chunk or of a whole body."""
        if not self.data_lines:
            return self.json["error"]
        return next((each["error"] for each in self.objects if "error" in each), None)

    @property
    def content_type(self) -> str | None:
        """The content type."""
        return self.headers.get("content-type")


class Client:
    """One plain connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, url: str) -> Client:
        """Connect."""
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port, limit=2**20))

    def send(self, model: str, *, headers: dict[str, str] | None = None, **fields: Any) -> None:
        """Send a request; it streams and its user says `one two three` unless told otherwise."""
        body = json.dumps(
            {
                "model": model,
                "messages": [{"role": "user", "content": "one two three"}],
                "stream": True,
                **fields,
            }
        ).encode()
        self.send_bytes(body, headers)

    def send_bytes(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send a ready body."""
        fields = {"host": "simulator", "content-length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.writer.write(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + body)

    async def read(
        self, *, until: bytes | None = None, patience: float = PATIENCE, most: int = 2**30
    ) -> Answer:
        """Read one answer until it is complete, the connection ends, or nothing more comes.

        With `until`, silence is judged once that has been seen; `most` ends an endless answer.
        """
        answer = Answer()
        judge = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**22)
        judge.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
        judge.send(h11.EndOfMessage())
        kept = bytearray()
        while True:
            try:
                wait = SILENCE if until is not None and until in kept else patience
                data = await asyncio.wait_for(self.reader.read(2**18), wait)
            except TimeoutError:
                answer.ended = "silence"
                break
            except ConnectionResetError:
                answer.ended = "reset"
                break
            kept += data
            complete = _judge(judge, data, answer)
            if complete or not data or len(kept) > most:
                answer.ended = "eof" if not data else "complete" if complete else "more"
                break
        answer.data = bytes(kept)
        return answer

    def close(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()


def _judge(judge: h11.Connection, data: bytes, answer: Answer) -> bool:
    """Let h11 read `data`; tell whether the answer is complete."""
    if answer.broken:
        return False
    try:
        judge.receive_data(data)
        while True:
            event = judge.next_event()
            if isinstance(event, h11.InformationalResponse):
                answer.informational.append(event.status_code)
            elif isinstance(event, h11.Response):
                answer.status = event.status_code
                answer.headers = {key.decode(): value.decode() for key, value in event.headers}
            elif isinstance(event, h11.Data):
                if event.chunk_start or not answer.chunks:
                    answer.chunks.append(b"")
                answer.chunks[-1] += event.data
            elif isinstance(event, h11.EndOfMessage):
                answer.trailers = {key.decode(): value.decode() for key, value in event.headers}
                return "connection" not in answer.headers
            else:
                return False
    except h11.RemoteProtocolError as exc:
        answer.broken = str(exc)
        return False


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[Simulator]:
    """A running simulator."""
    async with Simulator() as simulator:
        yield simulator


@pytest_asyncio.fixture
async def open_client() -> AsyncIterator[Callable[[str], Awaitable[Client]]]:
    """Opens plain connections and drops them behind the test."""
    opened = []

    async def open_client(url: str) -> Client:
        opened.append(await Client.open(url))
        return opened[-1]

    yield open_client
    for client in opened:
        client.close()


@pytest.fixture
def connect(
    sim: Simulator, open_client: Callable[[str], Awaitable[Client]]
) -> Callable[[], Awaitable[Client]]:
    """Opens plain connections to the simulator."""
    return lambda: open_client(sim.url)


@pytest_asyncio.fixture
async def ask(connect: Callable[[], Awaitable[Client]]) -> Callable[..., Awaitable[Answer]]:
    """Sends one request on a connection of its own and reads its answer."""

    async def ask(
        model: str,
        *,
        until: bytes | None = None,
        most: int = 2**30,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> Answer:
        client = await connect()
        client.send(model, headers=headers, **fields)
        return await client.read(until=until, most=most)

    return ask
