"""A turn is appended and taken back by one who writes, while others read, export or call again."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.dialects.saying import target_at

from penstock.conversations import SyncConversation, exports
from penstock.conversations.sending import messages_of
from penstock.dialects import dialect
from penstock.encoders import Body
from penstock.errors import ConversationError
from penstock.request import ChatRequest

NAMES = ["chat.jsonl", "fork.jsonl", "chat.db"]
everywhere = pytest.mark.parametrize("name", NAMES)


def say(number: int, size: int = 600) -> dict[str, str]:
    """Message number so and so."""
    return {"role": "user", "content": f"{number:0{size}}"}


KEPT = [say(number) for number in range(200)]
TURN = [say(1000, 900), say(1001, 40_000)]


@pytest.fixture
def both(tmp_path: Path, name: str) -> Iterator[tuple[SyncConversation, SyncConversation]]:
    """One who writes a conversation of several blocks, and one who reads it."""
    path = tmp_path / name
    if name == "fork.jsonl":
        with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
            kept.extend(KEPT[:90])
            kept.fork(80, name).close()
    with SyncConversation.open(path) as writer, SyncConversation.open(path) as reader:
        writer.extend(KEPT[len(writer) :])
        yield writer, reader


def taken_back(kept: SyncConversation) -> None:
    """What a chat does whose call fails."""
    kept.extend(TURN)
    kept.truncate(-len(TURN))


def at_each_block(monkeypatch: pytest.MonkeyPatch, do: Callable[[int], object]) -> None:
    """Have something done behind each block of an export; it is told which."""
    lines = exports.whole_lines

    def meanwhile(*arguments: Any) -> Iterator[Any]:
        for number, block in enumerate(lines(*arguments)):
            yield block
            do(number)

    monkeypatch.setattr(exports, "whole_lines", meanwhile)


def sent(body: Body) -> list[Any]:
    """The messages of one pass."""
    pass_over = body.open()

    async def read() -> bytes:
        return b"".join([piece async for piece in pass_over])

    with asyncio.Runner() as runner:
        found: list[Any] = json.loads(runner.run(read()))["messages"]
    return found


def body_of(kept: SyncConversation) -> Body:
    """The body of a call, each of whose passes has what was there when the first began."""
    request = ChatRequest(model="m", messages=kept.still())
    target = target_at("https://api.example.com")
    return Body(dialect("openai_chat").encode(request, target, dropped=[]).fields)


@everywhere
def test_a_turn_behind_what_is_exported_is_none_of_its_business(
    tmp_path: Path,
    both: tuple[SyncConversation, SyncConversation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is exported at once, as it was when it began."""
    writer, reader = both
    began = []
    at_each_block(monkeypatch, lambda number: began.append(number) or taken_back(writer))

    assert len(KEPT) == reader.export(tmp_path / "out.jsonl")
    assert KEPT == [*map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())]
    assert 1 == began.count(0)


@everywhere
def test_a_turn_that_is_taken_back_under_an_export_is_not_in_it(
    tmp_path: Path,
    both: tuple[SyncConversation, SyncConversation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It begins anew, and has what is there then."""
    writer, reader = both
    writer.extend(TURN)
    at_each_block(monkeypatch, lambda _: writer.truncate(len(KEPT)))

    assert len(KEPT) == reader.export(tmp_path / "out.jsonl")
    assert KEPT == [*map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())]


@everywhere
def test_an_export_under_which_messages_are_taken_out_without_end_is_an_error(
    tmp_path: Path,
    both: tuple[SyncConversation, SyncConversation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says what to do, and leaves no file."""
    writer, reader = both

    def cut(number: int) -> None:
        if number == 0:
            writer.truncate(-1)
            writer.append(say(next(others), 900))

    others = iter(range(10))
    at_each_block(monkeypatch, cut)
    with pytest.raises(ConversationError, match=r"again|the next call") as caught:
        reader.export(tmp_path / "out.jsonl")

    assert "changed" == caught.value.code
    assert not [*tmp_path.glob("out*")]


@everywhere
def test_a_turn_behind_what_is_read_is_none_of_its_business(
    both: tuple[SyncConversation, SyncConversation],
) -> None:
    """A pass over all goes to its end; one over a part as well, and one from the last."""
    writer, reader = both
    passes = [iter(reader), reader.messages(1), reader.messages(0, 200), iter(reader.last(199))]
    found = [[next(each)] for each in passes]
    taken_back(writer)
    for each, messages in zip(passes, found, strict=True):
        messages += each

    assert [KEPT, KEPT[1:], KEPT, KEPT[1:]] == found


@everywhere
def test_a_call_is_made_again_whatever_was_taken_back_behind_it(
    both: tuple[SyncConversation, SyncConversation],
) -> None:
    """A retry sends what the first attempt sent."""
    writer, reader = both
    body = body_of(reader)
    first = sent(body)
    taken_back(writer)

    assert [KEPT, KEPT] == [first, sent(body)]


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_reader_is_told_of_what_an_append_took_back_that_failed(
    both: tuple[SyncConversation, SyncConversation], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it has seen a part of that, it does not go on with what is appended then.

    SQLite shows nothing before it is all there.
    """
    writer, reader = both
    write, passes = os.pwrite, []

    def full(*arguments: Any) -> int:
        if not passes:
            written = write(*arguments)
            passes.append(iter(reader))
            assert (KEPT[0], len(KEPT) + 1) == (next(passes[0]), len(reader))
            return written
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(ConversationError, match="free room"):
        writer.extend(say(number, 20_000) for number in range(1000, 1004))
    monkeypatch.undo()
    writer.append(say(2000, 20_000))

    with pytest.raises(ConversationError, match="while it was read") as caught:
        list(passes[0])
    assert "changed" == caught.value.code
    assert [*KEPT, say(2000, 20_000)] == list(reader)


@everywhere
@pytest.mark.parametrize(
    "change",
    [
        lambda kept: (kept.redact(150), kept.extend(TURN)),
        lambda kept: (kept.delete(150), kept.extend(TURN)),
        lambda kept: (kept.truncate(150), kept.extend(TURN * 50)),
    ],
    ids=["redact", "delete", "truncate"],
)
def test_a_call_is_not_made_again_with_others_in_a_messages_place(
    name: str,
    both: tuple[SyncConversation, SyncConversation],
    change: Callable[[SyncConversation], object],
) -> None:
    """Nor with what was appended since: it is an error that says to make another call."""
    writer, reader = both
    still = reader.still()
    assert KEPT == [*messages_of(still._kept(), reader.store.metadata)]
    change(writer)
    if name == "chat.db" and len(reader) == len(KEPT) + len(TURN):  # a redaction moves nothing
        assert len(KEPT) == len([*messages_of(still._kept(), reader.store.metadata)])
        return

    with pytest.raises(ConversationError) as caught:
        list(still._kept())
    assert "changed" == caught.value.code
