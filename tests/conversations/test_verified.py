"""What is sent of a JSONL file is compared with what was appended to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.conversations import Conversation, SyncConversation
from penstock.dialects import dialect as named
from penstock.encoders import Body
from penstock.errors import ConversationError, PenstockError
from penstock.fields import Streamed
from penstock.interfaces import Target
from penstock.request import ChatRequest

HERE = "https://api.example.com"
TARGET = Target(deployment="d", provider="p", model="m", base_url=HERE, origin=HERE)
SHORT = [
    {"role": "user" if number % 2 else "assistant", "content": f"{number:40}x"}
    for number in range(2000)
]
LARGE = {"role": "user", "content": "large " * 20_000}
SENT: dict[str, tuple[list[dict[str, Any]], int]] = {
    "the first": ([*SHORT], 60),
    "the last": ([*SHORT], -10),
    "in a large one": ([*SHORT[:3], LARGE, *SHORT[3:6]], 60_000),
    "in a large one at the end": ([*SHORT[:3], LARGE], 60_000),
    "behind a large one": ([LARGE, *SHORT], -10),
}
"""Messages, and where one of their bytes is changed."""

pytestmark = pytest.mark.asyncio


def body_of(messages: Any, dialect: str = "openai_chat") -> Body:
    """The body of a call with `messages`."""
    request = ChatRequest(model="m", messages=messages)
    fields = named(dialect).encode(request, TARGET, dropped=[]).fields
    return Body(fields, buffer_size=4096)


def change(path: Path, at: int) -> None:
    """Change one byte of a text in place, so that it is JSON all the same."""
    data = bytearray(path.read_bytes())
    data[at] = ord("y")
    path.write_bytes(data)


async def read(body: Body, sent: bytearray | None = None) -> bytes:
    """What is sent; `sent` has it also where there is an error."""
    sent = bytearray() if sent is None else sent
    async for piece in body.open():
        sent += piece
    return bytes(sent)


def written(path: Path, messages: Any) -> None:
    """Keep `messages` at `path`."""
    with SyncConversation.open(path) as kept:
        kept.extend(messages)


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages"])
@pytest.mark.parametrize(("messages", "at"), SENT.values(), ids=SENT)
async def test_bytes_that_another_program_changed_are_not_sent_whole(
    tmp_path: Path, messages: list[dict[str, Any]], at: int, dialect: str
) -> None:
    """The last piece does not go, and the next call checks what is there and sends it."""
    path = tmp_path / "chat.jsonl"
    written(path, messages)
    change(path, at)

    async with Conversation.open(path) as kept:
        sent = bytearray()
        with pytest.raises(ConversationError) as refused:
            await read(body_of(kept.still(), dialect), sent)
        again = await read(body_of(kept.still(), dialect))

    assert "changed" == refused.value.code
    assert not sent.endswith(b"}")
    assert path.read_bytes().count(b"y") > 0
    assert len(again) > len(sent)
    json.loads(again)


@pytest.mark.parametrize("tell", [Body.length, Body.sha256], ids=["length", "sha256"])
async def test_bytes_that_change_once_a_length_is_told_are_not_sent_whole(
    tmp_path: Path, tell: Callable[[Body], Any]
) -> None:
    """The pass that tells takes no checksum, the one that is sent is compared with the file's."""
    path = tmp_path / "chat.jsonl"
    written(path, SHORT)

    async with Conversation.open(path) as kept:
        body = body_of(kept.still())
        await tell(body)
        change(path, -10)
        with pytest.raises(PenstockError) as refused:
            await read(body)

    assert isinstance(refused.value, ConversationError)


async def test_messages_that_moved_between_two_passes_of_a_call_are_not_sent(
    tmp_path: Path,
) -> None:
    """Where the mark is in the middle of a longer message that was appended since."""
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.extend(SHORT[:3])
        still = kept.still()
        first = await read(body_of(still))
        kept.delete(0)
        kept.append(SHORT[3] | {"content": "longer than what was deleted" * 9})
        sent = bytearray()
        with pytest.raises(ConversationError) as refused:
            await read(body_of(still), sent)

    assert SHORT[:3] == json.loads(first)["messages"]
    assert "changed" == refused.value.code
    assert b"longer" not in sent


async def test_a_large_message_that_changes_once_it_was_looked_at_is_not_sent(
    tmp_path: Path,
) -> None:
    """Each time that it is read it is to be what it was the first time, and the next call goes."""
    path = tmp_path / "chat.jsonl"
    written(path, [LARGE, *SHORT[:3]])
    with SyncConversation.open(path) as kept:
        async for block in kept.still().blocks():
            assert isinstance(block, Streamed)
            same = [b"".join([piece async for piece in block.open()]) for _ in range(2)]
            change(path, 60_000)
            with pytest.raises(ConversationError) as refused:
                [piece async for piece in block.open()]
            break
        again = await read(body_of(kept.still()))

    assert [json.dumps(LARGE, separators=(",", ":")).encode()] * 2 == same
    assert "changed" == refused.value.code
    assert 4 == len(json.loads(again)["messages"])


async def test_what_is_no_json_any_more_is_found_by_the_next_call(tmp_path: Path) -> None:
    """A line that another program broke is an error in the call that reads it and in the next."""
    path = tmp_path / "chat.jsonl"
    written(path, SHORT)
    data = bytearray(path.read_bytes())
    data[0:1] = b"!"
    path.write_bytes(data)

    async with Conversation.open(path) as kept:
        codes = []
        for _ in range(2):
            with pytest.raises(ConversationError) as refused:
                await read(body_of(kept.still()))
            codes.append(refused.value.code)

    assert ["changed", "damaged"] == codes


@pytest.mark.parametrize("said", ["longer than it was", "s"])
async def test_a_file_that_was_edited_by_hand_is_checked_and_goes_on(
    tmp_path: Path, said: str
) -> None:
    """Where lines that were vouched for have moved, all are checked and counted anew."""
    path = tmp_path / "chat.jsonl"
    first = {"role": "user", "content": "short"}
    written(path, [first, *SHORT[:3]])
    path.write_bytes(path.read_bytes().replace(b"short", said.encode()))

    with SyncConversation.open(path) as kept:
        kept.append(first)
        assert [first | {"content": said}, *SHORT[:3], first] == [*kept]
        assert 5 == len(kept)
    async with Conversation.open(path) as opened:
        assert 5 == len(json.loads(await read(body_of(opened.still())))["messages"])


@pytest.mark.parametrize(
    "edit",
    [
        lambda kept: kept.append(SHORT[0]),
        lambda kept: kept.redact(3),
        lambda kept: kept.delete(3),
        lambda kept: kept.truncate(1000),
        lambda kept: kept.fork(1000, "fork.jsonl").append(SHORT[0]),
    ],
    ids=["append", "redact", "delete", "truncate", "fork"],
)
async def test_what_penstock_changes_is_known(
    tmp_path: Path, edit: Callable[[SyncConversation], object]
) -> None:
    """After each way to change a conversation it is sent, in this process and in another."""
    path = tmp_path / "chat.jsonl"
    written(path, SHORT)
    with SyncConversation.open(path) as kept:
        edit(kept)
        expected = [*kept]
        here = await read(body_of(Conversation(kept).still()))
    async with Conversation.open(path) as opened:
        there = await read(body_of(opened.still()))

    assert [expected] * 2 == [json.loads(each)["messages"] for each in (here, there)]


async def test_a_checksum_that_nobody_noted_is_taken_once(tmp_path: Path) -> None:
    """A sidecar of the form before it had one vouches for the lines all the same."""
    path = tmp_path / "chat.jsonl"
    written(path, SHORT)
    beside = path.with_name("chat.jsonl.meta")
    noted = json.loads(beside.read_text("utf-8"))
    checksum = noted.pop("checksum")
    beside.write_text(json.dumps(noted | {"version": 1}), "utf-8")

    async with Conversation.open(path) as kept:
        sent = await read(body_of(kept.still()))
        await kept.append(SHORT[0])
        await kept.truncate(len(SHORT))
        await read(body_of(kept.still()))

    assert SHORT == json.loads(sent)["messages"]
    assert (3, checksum) == (lambda found: (found["version"], found["checksum"]))(
        json.loads(beside.read_text("utf-8"))
    )


async def test_a_fork_and_lines_of_others_are_sent(tmp_path: Path) -> None:
    """What nobody has a checksum of is compared between the passes of a body, as always."""
    path = tmp_path / "chat.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in SHORT), "utf-8")
    async with Conversation.open(path) as kept, await kept.fork(1500) as fork:
        bodies = [body_of(each.still()) for each in (kept, fork)]
        lengths = [await each.length() for each in bodies]
        sent = [await read(each) for each in bodies]

    assert lengths == [*map(len, sent)]
    assert [SHORT, SHORT[:1500]] == [json.loads(each)["messages"] for each in sent]


async def test_a_fork_that_changes_once_a_length_is_told_is_not_sent(tmp_path: Path) -> None:
    """Nobody vouches for it, so that its bytes are compared with those that were counted."""
    path = tmp_path / "chat.jsonl"
    written(path, SHORT)
    async with Conversation.open(path) as kept, await kept.fork(1500) as fork:
        body = body_of(fork.still())
        await body.length()
        change(path, 60)
        with pytest.raises(PenstockError, match="edited after its length"):
            await read(body)


async def test_a_file_that_changes_once_its_length_is_told_is_an_error(tmp_path: Path) -> None:
    """The base64 is counted by the file's size, and read by who compares size and time."""
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(60_000))
    body = body_of([{"role": "user", "content": [ps.ImageFile(path)]}])
    length = await body.length()
    assert length == len(await read(body))

    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(60_001))
    with pytest.raises(PenstockError, match="was changed since"):
        await read(body)


async def test_an_open_file_that_changes_once_its_length_is_told_is_an_error() -> None:
    """Nobody compares an open file, so that its base64 is summed up in each pass."""
    from io import BytesIO

    file = BytesIO(b"\x89PNG\r\n\x1a\n" + bytes(60_000))
    body = body_of([{"role": "user", "content": [ps.ImageFile(file)]}])
    assert await body.length() == len(await read(body))

    file.seek(30_000)
    file.write(b"other")
    with pytest.raises(PenstockError, match="edited after its length"):
        await read(body)
