"""A kept message with an attachment inside is sent in every dialect in the memory of a block."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.dialects.saying import target_at

import penstock as ps
from penstock.conversations import Conversation
from penstock.dialects import DIALECTS, dialect
from penstock.dialects.large import opened_large
from penstock.encoders import Body
from penstock.errors import PenstockError
from penstock.fields import Joined, Streamed
from penstock.request import ChatRequest

SAID = [
    {"role": "user", "content": "Look."},
    {"role": "assistant", "content": "Yes?"},
    {"role": "user", "content": "Thanks."},
]
BASE64 = b64encode(bytes(range(256)) * 200).decode()
MESSAGES: dict[str, dict[str, Any]] = {
    "an image": {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": f"data:a/b;base64,{BASE64}"}}],
    },
    "two": {"content": [{"a": f"data:a/b;base64,{BASE64}"}, f"data:;base64,{BASE64}", "x"]},
    "audio": {"content": [{"input_audio": {"data": BASE64, "format": "wav"}}]},
    "a long text": {"content": "data: is not what it is" + "y" * 100_000},
    "text as a file": {"content": [f"data:text/plain;base64,{BASE64}"]},
    "escapes": {"content": ['a"b\\', "\\" * 40_000, '"data":' + '"' * 40_000, "\\\\"]},
    "in its place": {
        "content": [
            {"image_url": f"data:a/b;base64,{BASE64}"},
            {"file": {"file_data": f"data:a/b;name=c;base64,{BASE64}"}},
        ]
    },
    "an escape at the end": {"data": "z" * 40_000 + '\\"'},
}


TEXT = b64encode(b"some text, " * 4_000).decode()
MEMBERS: dict[str, dict[str, Any]] = {
    "events": {"type": "text", "text": 'data: {"id": 1}\n\n' * 3_000},
    "an address as text": {"type": "text", "text": f"data:image/png;base64,{BASE64}"},
    "an image": {"type": "image_url", "image_url": f"DATA:image/png;a=b;base64,{BASE64}"},
    "a text": {"type": "file", "file": {"file_data": f"data: Text/plain;base64,{TEXT}"}},
    "no type": {"type": "file", "file": {"file_data": f"data:;base64,{TEXT}"}},
    "no base64": {"type": "file", "file": {"file_data": "data:a/b," + "%20" * 20_000}},
    "a document": {"type": "document", "document": {"data": BASE64}},
    "a text document": {"type": "document", "document": {"data": TEXT, "media_type": "text/a"}},
    "a sound": {"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}},
}
"""Parts, some of them with what only looks like a file, or has to be had as text."""


def streamed(data: bytes, size: int) -> Streamed:
    """`data`, in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    return Streamed(pieces, len(data))


async def whole(value: Any) -> Any:
    """`value` with all that is still to be read, read."""
    if isinstance(value, dict):
        return {name: await whole(each) for name, each in value.items()}
    if isinstance(value, list):
        return [await whole(each) for each in value]
    if not isinstance(value, Joined):
        return value
    assert value.start == 0
    text = ""
    for part in value.parts:
        assert isinstance(part, (str, Streamed))
        if isinstance(part, str):
            text += part
        else:
            inner = b"".join([piece async for piece in part.open()])
            assert len(inner) == part.size
            text += json.loads(b'"%s"' % inner)
    return text


@pytest.mark.asyncio
@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("size", [7, 1000, 32_768, 1 << 20])
async def test_nothing_is_lost_however_it_is_cut(name: str, size: int) -> None:
    """Whatever the pieces are, and whatever is in them."""
    message = MESSAGES[name]
    data = json.dumps(message, separators=(",", ":")).encode()

    assert message == await whole(await opened_large(streamed(data, size)))


@pytest.mark.asyncio
@pytest.mark.parametrize("store", ["chat.jsonl", "chat.db"])
@pytest.mark.parametrize(
    "name",
    ["anthropic_messages", "gemini", "bedrock_converse", "mistral", "ollama", "openai_responses"],
)
async def test_an_image_that_is_kept_inside_costs_a_block(
    tmp_path: Path, store: str, name: str
) -> None:
    """One of 1.5 MiB no more than one of half a MiB, with messages before and behind it."""
    peaks = []
    for size in (1 << 19, 3 << 19):
        talk = with_image(tmp_path / f"{size}.png", size)
        async with Conversation.open(tmp_path / f"{size}{store}") as kept:
            await kept.extend(talk)
            tracemalloc.start()
            sent = [hash(piece) async for piece in body_of(name, kept.still()).open()]
            peaks.append(tracemalloc.get_traced_memory()[1] - 100 * len(sent))
            tracemalloc.stop()

    assert peaks[1] < peaks[0] + 64 * 1024
    assert peaks[1] < 400 * 1024


@pytest.mark.asyncio
@pytest.mark.parametrize("store", ["chat.jsonl", "chat.db", None])
async def test_an_image_that_is_kept_inside_is_the_typed_part(
    tmp_path: Path, store: str | None
) -> None:
    """In every dialect, as clients send it: the bytes are the same."""
    talk = with_image(tmp_path / "a.png", 60_000)
    async with Conversation.open(store and tmp_path / store) as kept:
        await kept.extend(talk)
        for name in DIALECTS:
            for body in [body_of(name, kept.still())] * 2:  # a call may be sent again
                assert await read(body_of(name, talk)) == await read(body), name


@pytest.mark.asyncio
@pytest.mark.parametrize("part", MEMBERS.values(), ids=MEMBERS)
async def test_what_is_in_a_large_message_makes_no_difference(
    tmp_path: Path, part: dict[str, Any]
) -> None:
    """It is said, or refused, as a small one in a list, also where others spelled its JSON."""
    arguments = {"content": [part], "url": f"data:image/png;base64,{BASE64}"}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    for message in (
        {"role": "user", "content": [part, {"type": "text", "text": "?"}]},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ):
        talk = [SAID[0], message]
        path = tmp_path / f"{message['role']}.jsonl"
        path.write_text("".join(json.dumps(each).replace("/", "\\/") + "\n" for each in talk))
        async with Conversation.open(path) as others, Conversation.open(None) as kept:
            await kept.extend(talk)
            for name in DIALECTS:
                expected = await said(name, talk)
                assert expected == await said(name, kept.still())
                assert expected == await said(name, others.still())


async def said(name: str, messages: Any) -> Any:
    """What a dialect makes of messages: the value, or the error in words."""
    try:
        return json.loads(await read(body_of(name, messages)))
    except PenstockError as error:
        return str(error)


def with_image(path: Path, size: int) -> list[dict[str, Any]]:
    """A conversation with an image in the middle."""
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * (size // 256))
    question = {"role": "user", "content": [ps.ImageFile(path), {"type": "text", "text": "?"}]}
    return [*SAID[:2], question, *SAID[1:]]


async def read(body: Body) -> bytes:
    """The bytes of a body."""
    return b"".join([piece async for piece in body.open()])


def body_of(name: str, messages: Any) -> Body:
    """What the dialect `name` makes of `messages`."""
    request = ChatRequest(model="m", messages=messages)
    outgoing = dialect(name).encode(request, target_at("https://api.example.com"), dropped=[])
    return Body(outgoing.fields, buffer_size=16 * 1024)
