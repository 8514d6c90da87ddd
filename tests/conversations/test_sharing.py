"""One conversation, several who use it: processes, threads, loops; and files of earlier forms."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.dialects.saying import target_at

import penstock as ps
from penstock.conversations import Conversation, SyncConversation, measuring, schema
from penstock.conversations.handles import Handle
from penstock.conversations.lines import LineFile
from penstock.conversations.sidecar import VERSION
from penstock.conversations.stores import Large
from penstock.dialects import dialect
from penstock.encoders import Body
from penstock.errors import ConversationError, EncodeError
from penstock.request import ChatRequest

ON_DISK = ["chat.jsonl", "chat.db"]
on_disk = pytest.mark.parametrize("name", ON_DISK)
everywhere = pytest.mark.parametrize("name", [None, *ON_DISK])


def say(number: int, size: int = 10) -> dict[str, str]:
    """Message number so and so."""
    return {"role": "user", "content": f"{number:0{size}}"}


def opened(tmp_path: Path, name: str | None) -> SyncConversation:
    """A conversation of a kind."""
    return SyncConversation.open(name and tmp_path / name)


@on_disk
def test_a_reader_sees_what_another_has_appended(tmp_path: Path, name: str) -> None:
    """Whether it had opened the conversation before or after there was anything."""
    with opened(tmp_path, name) as reader, opened(tmp_path, name) as writer:
        assert 0 == len(reader)
        for number in range(3):
            writer.extend([say(number), say(number, 70_000)])
            assert say(number, 70_000) == reader[-1]
            assert 2 * number + 2 == len(reader)
        writer.note(title="A chat")
        assert "A chat" == reader.metadata()["title"]
        assert writer.size == reader.size
        writer.redact(0)
        assert "[redacted]" == reader[0]["content"]
        writer.truncate(1)
        assert ["[redacted]"] == [message["content"] for message in reader]


@on_disk
def test_a_reader_sees_a_file_anew_that_was_cut_and_is_no_shorter_now(
    tmp_path: Path, name: str
) -> None:
    """What it knew of places is not true any more, whatever it looked at in between."""
    with opened(tmp_path, name) as writer, opened(tmp_path, name) as reader:
        writer.extend(map(say, range(600)))
        assert say(599) == reader[-1]
        writer.truncate(100)
        writer.extend([say(600, 20_000), say(601)])
        assert {} == reader.metadata()

        assert 102 == len(reader)
        assert [say(601), say(600, 20_000), say(99)] == [reader[n] for n in (-1, 100, 99)]
        assert 102 == len([*reversed(reader)])


def test_a_place_behind_the_last_line_is_an_error_and_not_looked_for_without_end(
    tmp_path: Path,
) -> None:
    """Another program may have made fewer lines of a file."""
    path = tmp_path / "lines"
    path.write_bytes(b"{}\n" * 3)
    lines = LineFile(Handle(os.open(path, os.O_RDONLY), path.name), 9, count=5)

    with pytest.raises(ConversationError, match="was truncated") as caught:
        lines.offset(5)
    assert "changed" == caught.value.code
    path.write_bytes(b"{}\n" * 3 + b"x" * 100)
    with pytest.raises(ConversationError, match="was truncated"):
        list(lines.blocks(9, 50))


def test_lines_that_are_cut_while_they_are_checked_are_checked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of an old one and half of a new one are no damage."""
    real, count = LineFile.read, iter(range(100))
    with opened(tmp_path, "chat.jsonl") as writer, opened(tmp_path, "chat.jsonl") as reader:
        writer.extend(map(say, range(3)))

        def read(self: LineFile, offset: int, size: int) -> bytes:
            if next(count):
                return real(self, offset, size)
            data = real(self, offset, size)
            writer.truncate(1)
            writer.append(say(7, 500))
            return data[:-50] + b"x" * 49 + b"\n"

        monkeypatch.setattr(LineFile, "read", read)
        reader.store.mark()

        assert [say(0), say(7, 500)] == list(reader)
        assert next(count) > 1


@on_disk
@pytest.mark.asyncio
async def test_a_pass_has_the_messages_that_were_there_when_it_began(
    tmp_path: Path, name: str
) -> None:
    """A window too, whoever appends meanwhile; every message of it whole and in order."""
    with opened(tmp_path, name) as sync, opened(tmp_path, name) as reader:
        sync.extend(map(say, range(2000)))
        window = reader.last(5)
        kept = Conversation(reader)
        found = []
        async for message in kept:
            found.append(message)
            if len(found) % 100 == 0:
                sync.extend([say(0)] * 150)  # small runs are put together meanwhile

        assert [say(number) for number in range(2000)] == found
        assert [say(number) for number in range(1995, 2000)] == list(window)
        assert 5000 == await kept.length()


@on_disk
def test_a_pass_goes_on_when_a_message_is_redacted(tmp_path: Path, name: str) -> None:
    """A file that is written anew stays open for who reads it."""
    with opened(tmp_path, name) as kept:
        kept.extend(say(number, 1000) for number in range(200))
        messages = iter(kept)
        first = next(messages)
        for _ in range(3):
            kept.redact(150)

        assert [say(number, 1000) for number in range(100)] == [
            first,
            *(next(messages) for _ in range(99)),
        ]
        assert "[redacted]" == kept[150]["content"]


@on_disk
def test_a_pass_over_messages_that_are_taken_out_is_an_error(tmp_path: Path, name: str) -> None:
    """It never ends early as if it were whole."""
    with opened(tmp_path, name) as kept:
        kept.extend(say(number, 1000) for number in range(3000))
        messages = iter(kept)
        next(messages)
        kept.truncate(100)

        with pytest.raises(ConversationError, match="while it was read") as caught:
            list(messages)
        assert "changed" == caught.value.code


@everywhere
def test_a_pass_tells_that_messages_moved_under_it(tmp_path: Path, name: str | None) -> None:
    """Where one is less, or others are in their place, what was read is not what was there."""
    changes: list[Callable[[SyncConversation], object]] = [
        lambda kept: kept.delete(0),
        lambda kept: (kept.truncate(2000), kept.extend(say(n, 100) for n in range(5000, 7000))),
    ]
    for number, change in enumerate(changes):
        with opened(tmp_path, name and f"{number}{name}") as kept:
            kept.extend(say(number, 100) for number in range(3000))
            messages, backwards = iter(kept), reversed(kept)
            next(messages)
            next(backwards)
            change(kept)

            with pytest.raises(ConversationError, match="while it was read"):
                list(backwards)
            with pytest.raises(ConversationError, match="while it was read") as caught:
                list(messages)
            assert "changed" == caught.value.code


@everywhere
@pytest.mark.parametrize("again", [1, 2])
def test_a_large_message_is_read_as_it_was_or_not_at_all(
    tmp_path: Path, name: str | None, again: int
) -> None:
    """Also where what takes its place is as large, and would have its row in SQLite."""
    size = 100_000
    with opened(tmp_path, name) as kept:
        kept.append(say(0, size))
        (found,) = measuring.each(kept.kept())
        assert name is None or isinstance(found, Large)
        pieces = found.pieces() if isinstance(found, Large) else iter([found])
        said = next(pieces)
        for number in range(again):
            kept.redact(0, str(number) * size)

        codes = []
        try:
            said += b"".join(pieces)
            assert say(0, size) == json.loads(said)
        except ConversationError as error:
            codes.append(error.code)
        assert (["changed"] if name == "chat.db" else []) == codes


@everywhere
def test_a_fork_of_messages_that_are_taken_out_meanwhile_is_not_made(
    tmp_path: Path, name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have others, or those that the parent is told later, and its pins with others."""
    with opened(tmp_path, name) as kept, opened(tmp_path, name) as other:
        parent = kept if name is None else other
        kept.extend(map(say, range(6)))
        kept.pin(3)
        length = type(parent.store).length

        def meanwhile(store: Any) -> int:
            monkeypatch.undo()
            found = length(store)
            kept.delete(0)
            kept.truncate(4)
            return found

        monkeypatch.setattr(type(parent.store), "length", meanwhile)
        with pytest.raises(ConversationError, match="message 5 was taken out") as caught:
            parent.fork(6)

        assert "changed" == caught.value.code
        assert not [*tmp_path.glob("*fork*")]
        with parent.fork(4) as fork:
            kept.append(say(9))
            assert ([say(number) for number in range(1, 5)], [2]) == (list(fork), fork.pinned())


@everywhere
@pytest.mark.parametrize("change", ["redact", "delete", "pin"])
def test_nothing_befalls_another_message_than_was_meant(
    tmp_path: Path, name: str | None, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another takes out an earlier message meanwhile, the number is that of another."""
    index_of = SyncConversation._index
    with opened(tmp_path, name) as kept:
        other = opened(tmp_path, name) if name == "chat.db" else kept
        kept.extend(map(say, range(4)))

        def moved(self: SyncConversation, index: int) -> int:
            monkeypatch.undo()
            found = index_of(self, index)
            other.delete(0)
            return found

        monkeypatch.setattr(SyncConversation, "_index", moved)
        with pytest.raises(ConversationError, match="message 1 was taken out") as caught:
            getattr(kept, change)(1)

        assert "changed" == caught.value.code
        assert ([say(1), say(2), say(3)], []) == (list(kept), kept.pinned())
        other.close()


@on_disk
def test_it_stays_the_same_file_when_the_program_changes_its_folder(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever has that name in the other folder."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, number in ((here, 0), (there, 100)):
        folder.mkdir()
        monkeypatch.chdir(folder)
        with SyncConversation.open(name) as kept:
            kept.extend([say(number), say(number + 1)])
    monkeypatch.chdir(here)
    with SyncConversation.open(name) as kept:
        monkeypatch.chdir(there)
        assert 2 == kept.append(say(2))
        kept.redact(1)
        with kept.fork() as fork:
            assert 3 == len(fork)

    found = []
    for folder in (here, there):
        with SyncConversation.open(folder / name) as kept:
            found.append([message["content"] for message in kept])
    assert [say(0)["content"], "[redacted]", say(2)["content"]] == found[0]
    assert [say(100)["content"], say(101)["content"]] == found[1]


@everywhere
def test_a_pass_goes_on_where_a_truncation_lets_go_of_nothing(
    tmp_path: Path, name: str | None
) -> None:
    """Nothing has moved."""
    with opened(tmp_path, name) as kept:
        kept.extend(map(say, range(3)))
        messages = iter(kept)
        kept.truncate(3)

        assert [say(n) for n in range(3)] == list(messages)


def test_backwards_over_messages_that_are_taken_out_is_an_error(tmp_path: Path) -> None:
    """Of ours, at whatever place the reading is."""
    with opened(tmp_path, "chat.db") as kept, opened(tmp_path, "chat.db") as other:
        kept.extend(say(number, 3000) for number in range(100))
        messages = reversed(kept)
        next(messages)
        other.truncate(0)

        with pytest.raises(ConversationError, match="while it was read") as caught:
            list(messages)
        assert "changed" == caught.value.code


def test_who_waited_for_a_file_that_was_rewritten_writes_to_the_new_one(tmp_path: Path) -> None:
    """Not to the one that nobody else sees any more; and knows what was noted meanwhile."""
    with opened(tmp_path, "chat.jsonl") as second:
        with opened(tmp_path, "chat.jsonl") as first:
            first.extend(map(say, range(3)))
            len(second)
            first.note(title="A chat")
            first.redact(1)
        assert 3 == second.append(say(3))

        assert {"title": "A chat"} == second.metadata()
    with opened(tmp_path, "chat.jsonl") as again:
        assert [say(0)["content"], "[redacted]", *(say(n)["content"] for n in (2, 3))] == [
            message["content"] for message in again
        ]


@everywhere
def test_threads_may_share_a_conversation(tmp_path: Path, name: str | None) -> None:
    """Each one's messages are there in its order, and those who read see whole messages."""
    with opened(tmp_path, name) as kept, ThreadPoolExecutor(4) as pool:

        def write(who: int) -> None:
            for number in range(60):
                kept.append({"role": "user", "content": f"{who}:{number}"})

        def read(_: int) -> None:
            for _ in range(20):
                assert all(":" in message["content"] for message in kept)

        list(pool.map(lambda job: job[0](job[1]), [(write, 0), (write, 1), (read, 0), (read, 1)]))

        found = [message["content"].split(":") for message in kept]
        for who in "01":
            assert [str(number) for number in range(60)] == [n for w, n in found if w == who]


def test_where_messages_are_is_found_while_no_other_thread_does_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass from the last counts no lines later: what two count at once, they count twice."""

    def counted(*_: object) -> int:
        raise AssertionError("lines are counted outside of the store's lock")

    with opened(tmp_path, "chat.jsonl") as kept:
        kept.extend(map(say, range(600)))
        with kept.fork(500) as fork:
            fork.append(say(500))
            backwards = fork.store.backwards(501)
            monkeypatch.setattr(LineFile, "_scan", counted)
            monkeypatch.setattr(LineFile, "count", counted)
            found = [json.loads(line) for line in backwards]
            monkeypatch.undo()

    assert [say(number) for number in range(500, -1, -1)] == found


@everywhere
def test_a_conversation_outlives_its_loop(tmp_path: Path, name: str | None) -> None:
    """What one ``asyncio.run`` began, the next goes on with, and trio after it."""
    conversation = Conversation(opened(tmp_path, name))

    async def turn(text: str) -> str:
        async with ps.Client() as client:
            await conversation.append({"role": "user", "content": text})
            reply = await client.chat("sim/echo", conversation)
            await conversation.append(reply.message)
            return reply.text

    assert ["one", "two"] == [_run(turn, "one"), _run(turn, "two")]
    assert 4 == trio.run(conversation.length)
    conversation.sync.close()


def _run(turn: Callable[[str], Any], text: str) -> Any:
    runner = asyncio.Runner()
    with runner:
        return runner.run(turn(text))


@everywhere
def test_a_conversation_works_on_trio(tmp_path: Path, name: str | None) -> None:
    """Appended to, iterated, windowed and sent, there too."""
    large = say(1, 100_000)

    async def main() -> None:
        from penstock.simulator import Simulator

        with Simulator().thread() as server:
            there = ps.Deployment(f"{server.url}/v1", model="echo")
            async with (
                Conversation.open(name and tmp_path / name) as kept,
                ps.Client(deployments={"m": there}) as client,
            ):
                assert 0 == await kept.append(say(0))
                assert 1 == await kept.extend([large])
                assert [say(0), large] == [message async for message in kept]
                assert [large] == [message async for message in await kept.last(1)]
                reply = await client.chat("m", kept)
                assert large["content"] == reply.text

    trio.run(main)


@everywhere
def test_a_batch_is_kept_whole_or_not_at_all(tmp_path: Path, name: str | None) -> None:
    """512 messages each; what came before a bad one's batch is there."""
    with opened(tmp_path, name) as kept:
        with pytest.raises(EncodeError):
            kept.extend([*map(say, range(1030)), {"role": 5}])  # type: ignore[dict-item]
        assert 1024 == len(kept)

        async def some() -> Any:
            for number in range(600):
                yield say(number)
            yield {"role": 5}

        with pytest.raises(EncodeError):
            _run(lambda _: Conversation(kept).extend(some()), "")
        assert 1024 + 512 == len(kept)


@on_disk
def test_a_window_costs_its_index(tmp_path: Path, name: str) -> None:
    """Deciding one of 4 MiB takes no more memory than one of half a MiB."""
    with opened(tmp_path, name) as kept:
        peaks = []
        for size in (512 * 1024, 4 << 20):
            kept.extend(say(number, 1000) for number in range(size // 1000 - len(kept)))
            kept.last(1)
            tracemalloc.start()
            kept.within_tokens(size)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

        assert peaks[1] < peaks[0] + 64 * 1024


def test_a_database_without_tables_becomes_a_conversation(tmp_path: Path) -> None:
    """Version 0: what SQLite makes of an empty file, as one that was killed early leaves it."""
    path = tmp_path / "chat.db"
    sqlite3.connect(path).close()
    path.touch()
    with opened(tmp_path, "chat.db") as kept:
        kept.append(say(0))

    assert schema.VERSION == _version(path)


def test_an_earlier_form_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step by step, with the messages in it; the earlier penstock then leaves it alone."""
    path = tmp_path / "chat.db"
    with opened(tmp_path, "chat.db") as kept:
        kept.extend(map(say, range(5)))
    with monkeypatch.context() as later:
        step = "ALTER TABLE conversations ADD COLUMN title TEXT NOT NULL DEFAULT ''"
        later.setattr(schema, "_STEPS", (*schema._STEPS, step))
        later.setattr(schema, "VERSION", schema.VERSION + 1)
        with opened(tmp_path, "chat.db") as kept:
            assert [say(number) for number in range(5)] == list(kept)
        assert schema.VERSION == _version(path)

    with pytest.raises(ConversationError, match="later penstock"):
        opened(tmp_path, "chat.db")


def test_a_sidecar_of_an_earlier_form_is_written_anew(tmp_path: Path) -> None:
    """Keys that it has not are made; lines that it does not vouch for are checked."""
    path = tmp_path / "chat.jsonl"
    beside = tmp_path / "chat.jsonl.meta"
    path.write_text('{"role":"user","content":"a"}\n')
    beside.write_text(json.dumps({"version": 0, "metadata": {"title": "A chat"}}))
    with opened(tmp_path, "chat.jsonl") as kept:
        kept.append(say(1))
        assert ["a", say(1)["content"]] == [message["content"] for message in kept]

    found = json.loads(beside.read_text())
    assert (VERSION, 2, "A chat") == (found["version"], found["count"], found["metadata"]["title"])
    assert path.stat().st_size == found["checked"]


def _version(path: Path) -> Any:
    database = sqlite3.connect(path)
    try:
        return database.execute("PRAGMA user_version").fetchone()[0]
    finally:
        database.close()


@on_disk
def test_a_body_is_told_and_sent_on_trio(tmp_path: Path, name: str) -> None:
    """As on asyncio."""

    async def check() -> tuple[int, int]:
        async with Conversation.open(tmp_path / name) as kept:
            await kept.extend(say(number, 1000) for number in range(300))
            request = ChatRequest(model="m", messages=kept)
            target = target_at("https://api.example.com")
            body = Body(dialect("anthropic_messages").encode(request, target, dropped=[]).fields)
            return await body.length(), len(b"".join([piece async for piece in body.open()]))

    told, sent = trio.run(check)
    assert told == sent
