"""What every store keeps of its promises: order, slices, forks, replacing, and large messages."""

from __future__ import annotations

import json
import os
import sqlite3
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.conversations import SyncConversation
from penstock.conversations.canonical import message_of
from penstock.conversations.sqlite import SQLiteStore
from penstock.conversations.stores import Large
from penstock.errors import ConfigurationError, ConversationError, EncodeError
from penstock.fields import Lines, Raw
from penstock.messages import UserMessage

Open = Callable[[], SyncConversation]
KINDS = ["memory", "jsonl", "sqlite"]
ON_DISK = ["jsonl", "sqlite"]
SUFFIX = {"jsonl": ".jsonl", "sqlite": ".db"}


def say(number: int, size: int = 10) -> dict[str, str]:
    """Message number so and so."""
    return {"role": "user" if number % 2 == 0 else "assistant", "content": f"{number:0{size}}"}


@pytest.fixture
def reopen(tmp_path: Path, request: pytest.FixtureRequest) -> Any:  # a generator of functions
    """A function that opens the same conversation anew; all are closed at the end."""
    kind = request.param
    opened: list[SyncConversation] = []

    def again() -> SyncConversation:
        path = None if kind == "memory" else tmp_path / f"chat{SUFFIX[kind]}"
        opened.append(SyncConversation.open(path))
        return opened[-1]

    yield again
    for each in opened:
        each.close()


everywhere = pytest.mark.parametrize("reopen", KINDS, indirect=True)
on_disk = pytest.mark.parametrize("reopen", ON_DISK, indirect=True)


@everywhere
def test_messages_are_kept_in_order(reopen: Open) -> None:
    """With their indexes, and from either end."""
    kept = reopen()

    assert [0, 1] == [kept.append(say(0)), kept.append(say(1))]
    assert 1500 == kept.extend(say(number) for number in range(2, 1502))
    assert 1502 == len(kept)
    assert [say(number) for number in range(1502)] == list(kept)
    assert [say(number) for number in range(1501, -1, -1)] == list(reversed(kept))


@everywhere
@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, None), (5, None), (3, 9), (-4, None), (-9, -2), (8, 3), (0, 99), (99, 0)],
)
def test_a_slice_is_as_a_lists(reopen: Open, start: int, stop: int | None) -> None:
    """Whatever its bounds."""
    kept = reopen()
    kept.extend(map(say, range(20)))

    assert [say(n) for n in range(20)][start:stop] == list(kept.messages(start, stop))


@everywhere
def test_a_message_is_had_by_its_index(reopen: Open) -> None:
    """Negative ones count from the end, and what is not there is an IndexError."""
    kept = reopen()
    kept.extend(map(say, range(700)))

    assert [say(0), say(699), say(333)] == [kept[0], kept[-1], kept[333]]
    for index in (700, -701):
        with pytest.raises(IndexError, match="of 700"):
            kept[index]


@on_disk
def test_it_is_there_when_it_is_opened_again(reopen: Open) -> None:
    """With what was noted, and more can be appended."""
    first = reopen()
    first.extend(map(say, range(5)))
    first.note(title="A chat", pinned=[1])
    first.note(pinned=None)
    first.close()

    again = reopen()
    again.append(say(5))

    assert [say(n) for n in range(6)] == list(again)
    assert {"title": "A chat"} == again.metadata()


@everywhere
@pytest.mark.parametrize("size", [32_700, 32_728, 32_729, 32_730, 32_731, 32_768, 65_536, 200_000])
def test_large_messages_come_in_pieces(reopen: Open, size: int) -> None:
    """Among small ones, forwards and backwards; one above a block is never whole in a block."""
    kept = reopen()
    messages = [say(0), say(1, size), say(2), say(3, size), say(4, size), say(5)]
    kept.extend(messages)

    assert messages == list(kept)
    assert messages[::-1] == list(reversed(kept))
    assert messages[3] == kept[3]
    for block in kept.kept():
        pieces = [block.data] if isinstance(block, Lines) else list(block.pieces())
        assert block.size == sum(map(len, pieces)) if isinstance(block, Large) else True
        assert max(map(len, pieces)) <= 65_536 + (
            size if kept.store.__class__.__name__[0] == "M" else 0
        )


def test_a_large_message_of_sqlite_is_found_once_a_pass(tmp_path: Path) -> None:
    """Going to a place in a BLOB goes over what is before it; what others append is seen, too."""
    opened = []

    class Counted(sqlite3.Connection):
        def blobopen(self, *arguments: Any, **named: Any) -> sqlite3.Blob:
            opened.append(arguments)
            return super().blobopen(*arguments, **named)

    with (
        SyncConversation.open(tmp_path / "chat.db") as kept,
        SyncConversation.open(tmp_path / "chat.db") as other,
    ):
        kept.append(say(0, 1_000_000))
        store = kept.store
        assert isinstance(store, SQLiteStore)
        store._file.connection.close()
        store._file.connection = store._database = sqlite3.connect(
            tmp_path / "chat.db", isolation_level=None, factory=Counted
        )
        (block,) = store.blocks(0, 1)
        assert isinstance(block, Large)
        assert 1_000_000 < sum(map(len, block.pieces()))
        assert 1 == len(opened)

        pieces = block.pieces()
        read = [next(pieces)]
        other.append(say(1))
        assert 2 == len(kept)
        assert 2 == kept.append(say(2))
        read += pieces
        assert (1_000_000, 3) == (len(json.loads(b"".join(read))["content"]), len(opened))

        pieces = block.pieces()
        next(pieces)
        kept.redact(0)
        with pytest.raises(ConversationError, match="while it was read") as caught:
            list(pieces)
        assert "changed" == caught.value.code


def test_a_large_message_of_sqlite_that_another_takes_out_says_so(tmp_path: Path) -> None:
    """At whatever moment before it is read, as no lock holds it until then."""
    path = tmp_path / "chat.db"

    class Late(sqlite3.Connection):
        def blobopen(self, *arguments: Any, **named: Any) -> sqlite3.Blob:
            other.truncate(0)
            return super().blobopen(*arguments, **named)

    with SyncConversation.open(path) as kept, SyncConversation.open(path) as other:
        kept.append(say(0, 100_000))
        store = kept.store
        assert isinstance(store, SQLiteStore)
        (block,) = store.blocks(0, 1)
        assert isinstance(block, Large)
        store._file.connection.close()
        store._file.connection = sqlite3.connect(path, isolation_level=None, factory=Late)
        with pytest.raises(ConversationError, match="while it was read") as caught:
            next(block.pieces())
        assert "changed" == caught.value.code


@everywhere
def test_messages_may_be_typed_or_ready(reopen: Open) -> None:
    """As everywhere."""
    kept = reopen()
    kept.append(UserMessage("a"))
    kept.append(Raw(b'{ "role": "user",\n "content": "b\\n" }'))

    assert [{"role": "user", "content": "a"}, {"role": "user", "content": "b\n"}] == list(kept)
    assert [b'{"role":"user","content":"b\\n"}'] == [
        block.data for block in kept.kept(1) if isinstance(block, Lines)
    ]


@everywhere
@pytest.mark.parametrize(
    "message", [5, {"content": "x"}, {"role": 5}, {"role": "user", "content": "\ud800"}, Raw(b"{")]
)
def test_what_is_no_message_is_refused_and_nothing_is_kept(reopen: Open, message: Any) -> None:
    """It is checked before it is written."""
    kept = reopen()
    kept.append(say(0))

    with pytest.raises(EncodeError):
        kept.append(message)
    with pytest.raises(EncodeError):
        kept.extend([say(1), message])
    assert [say(0)] == list(kept)


@everywhere
def test_a_fork_goes_its_own_way(reopen: Open) -> None:
    """It shares the beginning, and neither sees what the other appends."""
    kept = reopen()
    kept.extend(map(say, range(6)))
    fork = kept.fork(4)
    with fork:
        fork.append(say(100))
        kept.append(say(6))
        again = fork.fork(2)
        with again, fork.fork() as whole:
            again.append(say(200))

            assert [say(n) for n in (0, 1, 2, 3, 100)] == list(fork)
            assert [say(n) for n in (100, 3, 2, 1, 0)] == list(reversed(fork))
            assert [say(3), say(100)] == list(fork.messages(3))
            assert [say(n) for n in range(7)] == list(kept)
            assert [say(n) for n in (0, 1, 200)] == list(again)
            assert list(fork) == list(whole)
            assert 5 == len(fork)


@everywhere
def test_a_message_can_be_redacted_and_deleted(reopen: Open) -> None:
    """A redaction keeps what holds the conversation together; deleting moves the rest up."""
    kept = reopen()
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    kept.extend(
        [
            say(0),
            {"role": "assistant", "content": "secret", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "secret"},
            say(3),
        ]
    )

    kept.redact(1)
    kept.redact(2, "gone")
    kept.delete(0)
    kept.delete(-1)

    call["function"] = {"name": "f", "arguments": "{}"}
    assert [
        {"role": "assistant", "tool_calls": [call], "content": "[redacted]"},
        {"role": "tool", "tool_call_id": "c1", "content": "gone"},
    ] == list(kept)
    kept.append(say(9))
    assert 3 == len(kept)
    assert say(9) == kept[2]


@on_disk
def test_what_is_redacted_is_gone_from_the_disk(reopen: Open, tmp_path: Path) -> None:
    """After a vacuum no file has it."""
    kept = reopen()
    kept.extend([say(0), {"role": "user", "content": "hunter2 " * 100}, say(2)])
    kept.redact(1)
    kept.vacuum()
    kept.close()

    assert not [path for path in tmp_path.iterdir() if b"hunter2" in path.read_bytes()]


@everywhere
def test_nothing_of_what_a_call_was_told_is_left_when_it_is_redacted(reopen: Open) -> None:
    """Which tool it was stays, as its result needs a call."""
    kept = reopen()
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": "secret"}'}},
        {"id": "b", "type": "custom", "custom": {"name": "g", "input": "secret"}, "x": "secret"},
    ]
    kept.append({"role": "assistant", "content": "secret", "tool_calls": calls, "x": "secret"})
    kept.redact(-1)

    assert [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "custom", "custom": {"name": "g", "input": ""}},
    ] == kept[0]["tool_calls"]
    assert "secret" not in str(kept[0])


@on_disk
def test_a_large_message_is_taken_out_without_being_held(reopen: Open) -> None:
    """Redacted, deleted or cut off; what stays of it stays."""
    large = say(1, 3_000_000)
    kept = reopen()
    tracemalloc.start()
    for take_out in (kept.redact, kept.delete, kept.truncate):
        kept.extend([say(0), large | {"name": "n"}])
        tracemalloc.reset_peak()
        take_out(-1)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()

    assert {"role": "assistant", "name": "n", "content": "[redacted]"} == kept[1]
    assert [say(0), say(0), say(0)] == [kept[0], kept[2], kept[3]]
    assert 4 == len(kept)


@everywhere
def test_a_note_that_is_no_json_is_refused_and_nothing_is_noted(reopen: Open) -> None:
    """Nor may its name be one of penstock's own; what is handed out is a copy."""
    kept = reopen()
    kept.note(title=["A", "chat"])
    for value in (float("nan"), object(), {1: 2}):
        with pytest.raises(EncodeError):
            kept.note(more=1, value=value)
    with pytest.raises(ConfigurationError, match="are penstock's"):
        kept.note(**{"penstock:pinned": [1]})
    kept.metadata()["title"].append("changed")

    assert {"title": ["A", "chat"]} == kept.metadata()


@everywhere
@pytest.mark.parametrize("size", [100, 200_000])
def test_a_message_that_changes_while_it_is_kept_is_not_kept(reopen: Open, size: int) -> None:
    """Nothing of it is, whatever it was measured at; and nothing else with it."""
    content = [{"type": "text", "text": "x" * 100_000}, {"type": "text", "text": "y" * 100_000}]
    kept = reopen()
    kept.append(say(0))
    message = message_of({"role": "user", "content": content})
    content[1]["text"] = "z" * size

    with pytest.raises(ConversationError, match="was changed while it was kept") as caught:
        kept.store.append([message])
    assert "changed" == caught.value.code
    kept.append(say(1))
    assert [say(0), say(1)] == list(kept)


@everywhere
def test_a_summary_that_is_no_text_is_refused_and_nothing_is_noted(
    reopen: Open, tmp_path: Path
) -> None:
    """Half of a surrogate pair has no UTF-8 form; nothing is left of the attempt."""
    kept = reopen()
    kept.extend(map(say, range(5)))
    files = {*tmp_path.iterdir()}

    with pytest.raises(EncodeError, match="surrogate"):
        kept.compact(lambda *_: "\ud800", keep=2)
    assert {} == kept.store.metadata()
    assert files == {*tmp_path.iterdir()}


def test_a_part_is_not_had_by_a_slice() -> None:
    """It would be a list in memory; the error says what to call."""
    with (
        SyncConversation.open() as kept,
        pytest.raises(TypeError, match="messages\\(start, stop\\)"),
    ):
        kept[0:1]


@everywhere
def test_truncating_lets_go_of_the_end(reopen: Open) -> None:
    """And what comes next takes its place."""
    kept = reopen()
    kept.extend(map(say, range(600)))
    kept.truncate(300)
    kept.truncate(-50)
    kept.append(say(999))

    assert [*(say(n) for n in range(250)), say(999)] == list(kept)
    assert 251 == len(kept)


@on_disk
def test_what_a_fork_shares_cannot_be_changed_in_it(reopen: Open) -> None:
    """The error says whose it is."""
    kept = reopen()
    kept.extend(map(say, range(4)))
    with kept.fork(2) as fork:
        fork.append(say(9))
        with pytest.raises(ConversationError) as caught:
            fork.redact(1)
        assert "shared" == caught.value.code
        with pytest.raises(ConversationError):
            fork.truncate(1)
        fork.redact(2)
        assert "[redacted]" == fork[2]["content"]


@everywhere
def test_the_size_is_that_of_the_lines(reopen: Open) -> None:
    """Newlines included, forks too."""
    kept = reopen()
    kept.extend(map(say, range(10)))
    line = len(b'{"role":"user","content":"0000000000"}\n')
    assert 10 * line + 5 * (len("assistant") - len("user")) == kept.size
    with kept.fork(1) as fork:
        assert line == fork.size


@everywhere
def test_export_and_load_are_lines_of_messages(reopen: Open, tmp_path: Path) -> None:
    """What is exported is loaded as it was, and a bad line is named."""
    kept = reopen()
    messages = [say(0), say(1, 100_000), say(2)]
    kept.extend(messages)

    assert 3 == kept.export(tmp_path / "out.jsonl")
    with SyncConversation.open() as other:
        assert 3 == other.load(tmp_path / "out.jsonl")
        assert messages == list(other)
        (tmp_path / "bad.jsonl").write_text('{"role": "user"}\n\n{"rule": 1}\n')
        with pytest.raises(EncodeError, match="line 3"):
            other.load(tmp_path / "bad.jsonl")
    with pytest.raises(FileExistsError):
        kept.export(tmp_path / "out.jsonl")


@on_disk
def test_a_closed_conversation_says_so(reopen: Open) -> None:
    """Closing twice is fine."""
    kept = reopen()
    kept.append(say(0))
    kept.close()
    kept.close()

    with pytest.raises(ConversationError, match="closed") as caught:
        kept.append(say(1))
    assert "closed" == caught.value.code
    with pytest.raises(ConversationError, match="closed"):
        list(kept)


@pytest.mark.parametrize("name", ["chat", "chat.txt", "chat.json"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    """The error says which there are."""
    with pytest.raises(ConfigurationError, match="a conversation is kept in"):
        SyncConversation.open(tmp_path / name)


def test_a_system_that_cannot_keep_one_in_lines_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows; SQLite works there."""
    monkeypatch.delattr(os, "pread")
    with pytest.raises(ConfigurationError, match=r"keep the conversation in SQLite \(\.db\)"):
        SyncConversation.open(tmp_path / "chat.jsonl")
    with SyncConversation.open(tmp_path / "chat.db") as kept:
        assert 0 == kept.append(say(0))


def test_what_is_no_name_or_number_is_refused(tmp_path: Path) -> None:
    """A user's name that is not known is not the name of everybody's conversation."""
    with pytest.raises(ConfigurationError, match="name= is text, not NoneType"):
        SyncConversation.open(tmp_path / "chat.db", name=None)  # type: ignore[arg-type]
    with SyncConversation.open() as kept:
        kept.append(say(0))
        with pytest.raises(TypeError, match="integer"):
            kept.pin(0.5)  # type: ignore[arg-type]
        assert [] == kept.pinned()


def test_only_sqlite_has_names(tmp_path: Path) -> None:
    """A JSONL file is one conversation; an SQLite file has many."""
    with pytest.raises(ConfigurationError, match="name= is for SQLite"):
        SyncConversation.open(tmp_path / "chat.jsonl", name="a")
    with (
        SyncConversation.open(tmp_path / "chat.db", name="a") as one,
        SyncConversation.open(tmp_path / "chat.db", name="b") as other,
    ):
        one.append(say(0))
        other.append(say(1))
        one.append(say(2))

        assert [say(0), say(2)] == list(one)
        assert [say(1)] == list(other)
