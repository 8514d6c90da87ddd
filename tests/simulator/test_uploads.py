"""What happens while a body is still being sent, with plain sockets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from penstock.simulator import Simulator

MIB = 1024 * 1024
Connect = Callable[[], Awaitable[Any]]
Open = Callable[[str], Awaitable[Any]]
BIG = 32 * MIB
"""More than the socket buffers of both sides take."""


def head(model: str | None = None, length: int = BIG, header: str = "") -> bytes:
    """The header block, and the start of the body if the model is in it."""
    control = f"x-penstock-sim: {header}\r\n" if header else ""
    block = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
    block += f"content-length: {length}\r\n{control}\r\n"
    start = f'{{"stream": true, "model": {json.dumps(model)}, "messages": [' if model else ""
    return block.encode() + start.encode()


async def begun(sim: Simulator) -> None:
    """Wait until the simulator has acted on the start of a body."""
    while not sim.requests or not sim.requests[0].behavior:  # noqa: ASYNC110  nothing tells
        await asyncio.sleep(0.001)


@pytest_asyncio.fixture
async def uploading() -> AsyncIterator[Callable[[Any], None]]:
    """Keeps sending on a connection until its test ends."""
    tasks = []

    def start(client: Any) -> None:
        async def send() -> None:
            piece = b" " * MIB
            for _ in range(BIG // MIB):
                client.writer.write(piece)
                await client.writer.drain()

        tasks.append(asyncio.create_task(send()))

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


EARLY = {"early-401": 401, "early-413": 413, "early-429": 429}


@pytest.mark.asyncio
@pytest.mark.parametrize("by", ["model", "header"])
@pytest.mark.parametrize("fault", EARLY)
async def test_an_early_answer_comes_while_the_body_is_sent(
    connect: Connect, uploading: Callable[[Any], None], sim: Simulator, fault: str, by: str
) -> None:
    """The refusal is complete, the connection stays open, and the body is never read."""
    client = await connect()
    asked = f"echo?fault={fault}"
    client.writer.write(head(asked) if by == "model" else head(header=asked))
    uploading(client)
    answer = await client.read(until=b"}}")

    assert ("complete", EARLY[fault]) == (answer.ended, answer.status)
    assert (True, 1, None) == (
        sim.requests[0].length < BIG // 2,
        sim.connections.open,
        sim.requests[0].received,
    )


@pytest.mark.asyncio
async def test_an_early_answer_may_reset(connect: Connect, sim: Simulator) -> None:
    """The reset follows the refusal at once."""
    client = await connect()
    client.writer.write(head("echo?fault=early-413-reset"))
    answer = await client.read()
    while answer.ended == "complete":
        try:
            ended = await client.reader.read(1)
        except ConnectionResetError:
            answer.ended = "reset"
        else:
            assert ended

    assert (413, "reset") == (answer.status, answer.ended)
    assert "fault" == sim.requests[0].outcome


@pytest.mark.asyncio
@pytest.mark.parametrize("by", ["model", "header"])
async def test_no_read_leaves_the_body_with_the_sender(
    connect: Connect, sim: Simulator, by: str
) -> None:
    """The sender cannot go on, and gets no answer."""
    client = await connect()
    client.writer.write(
        head("echo?fault=no-read") if by == "model" else head(header="fault=no-read")
    )
    client.writer.write(b" " * BIG)
    await begun(sim)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.writer.drain(), 0.2)

    assert (True, None) == (sim.requests[0].length < MIB, sim.requests[0].answered)


@pytest.mark.asyncio
@pytest.mark.parametrize("sent", [1000, BIG])
@pytest.mark.parametrize("fault", ["no-read", "early-413"])
async def test_a_client_that_leaves_is_noticed_though_its_bytes_are_not_read(
    connect: Connect, sim: Simulator, fault: str, sent: int
) -> None:
    """A FIN that gets through, or a reset, ends the connection."""
    client = await connect()
    client.writer.write(head(f"echo?fault={fault}"))
    client.writer.write(b" " * sent)
    await begun(sim)
    if sent == BIG:  # the FIN would wait behind these bytes
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    await asyncio.wait_for(sim.idle(connections=True), 5)

    assert (0, "left") == (sim.connections.open, sim.requests[0].outcome)


@pytest.mark.asyncio
async def test_slow_read_takes_everything(connect: Connect, sim: Simulator) -> None:
    """The upload is slow, but it moves, and the answer is whole."""
    client = await connect()
    start = '{"model": "echo?fault=slow-read&upload-rate=8e6", "messages": ['
    said = '{"role": "user", "content": "one two three"}], "stream": true}'
    body = (start + " " * 2 * MIB + said).encode()
    client.writer.write(head(length=len(body)) + body[:1000])
    await begun(sim)
    client.writer.write(body[1000:])
    answer = await client.read()

    assert ("one two three", len(body)) == (answer.text, sim.requests[0].length)
    assert sim.requests[0].pieces > 4


@pytest.mark.asyncio
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_record_tells_length_digest_and_framing(
    connect: Connect, sim: Simulator, chunked: bool
) -> None:
    """Of a long body the count and the digest are those of every byte; only its start is kept."""
    said = '{"role": "user", "content": "one two"}'
    filler = '{"role": "assistant", "content": "' + "y" * 5000 + '"},'
    body = ('{"model": "echo", "stream": true, "messages": [' + filler * 500 + said + "]}").encode()
    client = await connect()
    if chunked:
        pieces = [body[i : i + 65536] for i in range(0, len(body), 65536)]
        wire = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        client.writer.write(
            head(length=0).replace(b"content-length: 0", b"transfer-encoding: chunked")
        )
        client.writer.write(wire)
    else:
        client.send_bytes(body)
    answer = await client.read()
    record = sim.requests[0]

    assert "one two" == answer.text
    assert (len(body), hashlib.sha256(body).hexdigest()) == (record.length, record.sha256)
    assert (body[: 64 * 1024], "chunked" if chunked else "length") == (record.body, record.framing)
    assert record.pieces == len(pieces) if chunked else record.pieces > 0


TOOL = '{"type": "function", "function": {"name": "f", "parameters": {"n": {"model": "x"}}}}'
LONG = [
    # where the fields of a body stand that is longer than what is kept
    '{"model": "echo", "stream": true, "messages": [M]}',
    '{"messages": [M], "model": "echo", "stream": true}',
    '{"stream": true, "n": 1, "messages": [M], "stream_options": {}, "model": "echo"}',
    '{"model": "echo", "messages": [M], "stream": true, "tools": [T]}',
]


@pytest.mark.asyncio
@pytest.mark.parametrize("shape", LONG)
async def test_a_long_conversation_is_echoed(connect: Connect, shape: str) -> None:
    """Wherever model and stream stand, the last user text of a long body is found."""
    old = '{"role": "user", "content": "old \\"model\\": \\"text\\""},' * 60_000
    last = '{"role": "user", "content": [{"type": "text", "text": "one \\"two\\" three"}]}'
    client = await connect()
    client.send_bytes(shape.replace("T", TOOL).replace("M", old + last).encode())
    answer = await client.read()

    assert (200, 'one "two" three') == (answer.status, answer.text)


@pytest.mark.asyncio
async def test_all_of_a_body_is_kept_on_demand(open_client: Open) -> None:
    """With keep_body=None the record has every byte."""
    async with Simulator(keep_body=None) as simulator:
        client = await open_client(simulator.url)
        body = json.dumps(
            {"model": "echo", "messages": [{"role": "user", "content": "x" * 3 * MIB}]}
        ).encode()
        client.send_bytes(body)
        await client.read()

    assert body == simulator.requests[0].body


@pytest.mark.asyncio
async def test_an_unknown_early_behavior_is_refused_with_the_body(
    connect: Connect, sim: Simulator
) -> None:
    """Nothing is decided by a header that says nothing."""
    client = await connect()
    body = b'{"model": "echo", "messages": []}'
    client.writer.write(head(length=len(body), header="fault=early-418"))
    while not sim.requests:  # noqa: ASYNC110  nothing tells
        await asyncio.sleep(0.001)
    client.writer.write(body)
    answer = await client.read()

    assert (400, "fault") == (answer.status, answer.error["param"])


@pytest.mark.asyncio
async def test_expect_100_continue_is_answered(connect: Connect) -> None:
    """A client that waits for leave to send gets it."""
    client = await connect()
    body = b'{"model": "echo", "messages": [{"role": "user", "content": "one"}]}'
    block = head(length=len(body)).replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n")
    client.writer.write(block)
    leave = await client.reader.readuntil(b"\r\n\r\n")
    client.writer.write(body)
    answer = await client.read()

    assert (b"HTTP/1.1 100 Continue\r\n\r\n", 200) == (leave, answer.status)
