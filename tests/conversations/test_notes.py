"""A note that is added costs what it costs where nothing is noted, and is there whole or not."""

from __future__ import annotations

import gc
import json
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.conversations.test_interrupted import broken_off, say, state_of

import penstock as ps
from penstock.conversations import SyncConversation, jsonl_notes, schema, sqlite_notes
from penstock.conversations.jsonl import JSONLStore
from penstock.conversations.sqlite import SQLiteStore
from penstock.errors import ConversationError, EncodeError

NAMES = ["chat.jsonl", "chat.db"]
on_disk = pytest.mark.parametrize("name", NAMES)
posix = pytest.mark.skipif(os.name == "nt", reason="platform: no file is gone while it is open")


def noted(count: int) -> dict[str, Any]:
    """That many notes, each as large as one of a file that is referred to."""
    note = {"path": "/" + "x" * 40, "stamp": [1, 2, 3, 4]}
    return {f"penstock:file:{number:064}": note for number in range(count)}


def referring(folder: Path, number: int) -> dict[str, Any]:
    """A message that refers to a file of its own."""
    path = folder / f"{number}.png"
    path.write_bytes(b"\x89PNG" + str(number).encode())
    os.utime(path, ns=(1, 1))
    image = ps.ImageFile(path, keep="reference")
    return {"role": "user", "content": [{"type": "text", "text": "?"}, image]}


def beside(folder: Path) -> Path:
    """Where notes of a JSONL conversation are."""
    return folder / "chat.jsonl.meta"


def lines_beside(folder: Path) -> list[bytes]:
    """The lines of notes that were added."""
    return beside(folder).read_bytes().splitlines()[1:]


@pytest.mark.parametrize("count", [0, 1000])
def test_a_reference_is_noted_in_a_line_however_many_there_are(tmp_path: Path, count: int) -> None:
    """The file beside the messages stays, and has grown by that line alone."""
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.store.add(noted(count))
        kept.append(referring(tmp_path, 0))
        before = beside(tmp_path).stat()
        kept.append(referring(tmp_path, 1))
        kept.append(say("text"))
        kept.append(referring(tmp_path, 1))  # that file is noted already
        after = beside(tmp_path).stat()
        (*_, line) = lines_beside(tmp_path)

        assert before.st_ino == after.st_ino
        assert before.st_size + len(line) + 1 == after.st_size
        (note,) = json.loads(line).values()
        assert str(tmp_path / "1.png") == note["path"]
        assert 4 == kept.export(tmp_path / "out.jsonl")


def test_a_reference_in_sqlite_reads_and_writes_no_other_note(tmp_path: Path) -> None:
    """Nor does text: the same statements, which log as many pages, but for a deeper tree's."""
    found, pages = [], []
    for count in (0, 1000):
        path = tmp_path / f"{count}.db"
        with SyncConversation.open(path) as kept:
            kept.store.add(noted(count))
            kept.extend([referring(tmp_path, 0), say("text")])
            assert isinstance(kept.store, SQLiteStore)
            database = kept.store._file.connection
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            said: list[str] = []
            database.set_trace_callback(said.append)
            for message in (referring(tmp_path, 1), say("text")):
                said.clear()
                kept.append(message)
                changes = [each.split("'")[0] for each in said if "INTO notes" in each]
                found.append((len(said), len(changes), any("FROM notes" in each for each in said)))
            database.set_trace_callback(None)
            pages.append(path.with_name(f"{count}.db-wal").stat().st_size // schema._PAGE)

    assert pages[1] <= pages[0] + 2, pages
    assert found[:2] == found[2:]
    assert [(1, False), (0, False)] == [each[1:] for each in found[:2]]


def test_a_view_in_sqlite_reads_no_note_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only those that say something of messages by their numbers."""
    with SyncConversation.open(tmp_path / "chat.db") as kept:
        kept.append(referring(tmp_path, 0))
        kept.extend(say(f"{number}") for number in range(4))
        kept.pin(2)
        monkeypatch.delattr(sqlite_notes, "read")

        assert ["1", "3"] == [message["content"] for message in kept.last(1)]
        assert ["3", "2", "1"] == [kept[index]["content"] for index in (-1, -2, -3)]
        assert ["0", "1"] == [message["content"] for message in kept.messages(1, 3)]
        assert [2] == kept.pinned()


@on_disk
def test_notes_that_were_added_are_noted(tmp_path: Path, name: str) -> None:
    """Here, in another that reads, in a fork and in the next process; 1 and true are two values."""
    with SyncConversation.open(tmp_path / name) as kept:
        for number in range(5):
            kept.note(**{f"n{number}": number, "gone": None})
        kept.note(n1=True, n2=None)
        expected = [("n0", 0), ("n1", True), ("n3", 3), ("n4", 4)]
        with SyncConversation.open(tmp_path / name) as reader, kept.fork() as fork:
            for each in (kept, reader, fork):
                assert str(expected) == str([*each.metadata().items()])
            kept.note(n5=5)
            assert 5 == reader.metadata()["n5"]
            assert "n5" not in fork.metadata()
        with pytest.raises(EncodeError):
            kept.note(bad="\ud800")
    with SyncConversation.open(tmp_path / name) as again:
        assert str([*expected, ("n5", 5)]) == str([*again.metadata().items()])


def test_a_line_that_is_torn_is_not_read_and_is_cut_by_the_next_writer(tmp_path: Path) -> None:
    """A killed writer leaves any number of its bytes; its message came after it."""
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.append(referring(tmp_path, 0))
        kept.note(one=1)
        kept.append(say("text"))
        kept.note(two="zwölf")
        whole, files = beside(tmp_path).read_bytes(), (tmp_path / "chat.jsonl").read_bytes()
    line = whole.splitlines(keepends=True)[-1]

    for left in range(len(line) + 1):
        folder = tmp_path / str(left)
        folder.mkdir()
        (folder / "chat.jsonl").write_bytes(files)
        beside(folder).write_bytes(whole[: len(whole) - len(line) + left])
        expected = {"one": 1} | ({"two": "zwölf"} if left == len(line) else {})
        with SyncConversation.open(folder / "chat.jsonl") as kept:
            assert expected == kept.metadata()
            kept.note(three=3)
        with SyncConversation.open(folder / "chat.jsonl") as kept:
            assert {**expected, "three": 3} == kept.metadata()
            assert 2 == kept.export(folder / "out.jsonl")
        assert b"\n" not in beside(folder).read_bytes()[:-1]


def test_what_is_replaced_or_ended_is_gone_from_the_file(tmp_path: Path) -> None:
    """No line keeps what it was."""
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.append(referring(tmp_path, 0))
        for name in ("first", "second"):
            kept.note(**{name: "a secret"})
        assert lines_beside(tmp_path)
        kept.note(first=None, second="nothing")
        assert b"secret" not in beside(tmp_path).read_bytes()
        kept.append(referring(tmp_path, 1))
        assert b"1.png" in b"".join(lines_beside(tmp_path))
        kept.redact(1)
        assert b"1.png" not in beside(tmp_path).read_bytes()


def test_lines_are_never_more_than_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is written anew as a whole then, ever less often."""
    monkeypatch.setattr(jsonl_notes, "_LEAST", 1024)
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        files = set()
        for name in noted(400):
            kept.store.add({name: "x" * 100})
            data = beside(tmp_path).read_bytes()
            first = data.index(b"\n") + 1
            assert len(data) - first <= max(first, 1024)
            files.add(first)

    assert 5 < len(files) < 12


@on_disk
def test_a_reference_that_is_broken_off_anywhere_is_noted_or_not(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its message is never there without it; the next one goes, in this process and the next."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    modules = ("jsonl", "jsonl_notes", "jsonl_files", "sqlite", "sqlite_notes", "database")
    for number in range(1000):
        folder = tmp_path / str(number)
        folder.mkdir()
        with SyncConversation.open(folder / name, fsync=True) as kept:
            kept.append(referring(tmp_path, 0))
            with suppress(KeyboardInterrupt), broken_off(number, modules) as done:
                kept.append(referring(tmp_path, 1))
            there = len(kept)
            assert there in ((1, 2) if done[0] else (2,))
            kept.append(referring(tmp_path, 2))
            assert there + 1 == kept.export(folder / "out.jsonl")
        with SyncConversation.open(folder / name) as kept:
            assert there + 1 == kept.export(folder / "again.jsonl")
        if not done[0]:
            break
    gc.collect()  # what was broken off between a file's opening and its `with`
    assert number > 20


def test_a_line_that_cannot_be_written_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its error; the next note writes all of them."""
    with SyncConversation.open(tmp_path / "chat.jsonl", fsync=True) as kept:
        kept.append(say("text"))
        kept.note(one=1)
        before = beside(tmp_path).read_bytes()

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ConversationError) as caught:
            kept.note(two=2)
        monkeypatch.undo()

        assert "disk_full" == caught.value.code
        assert before == beside(tmp_path).read_bytes()
        assert {"one": 1} == kept.metadata()
        kept.note(three=3)
        assert {"one": 1, "three": 3} == kept.metadata()
        assert (["text"], []) == state_of(kept)


@posix
@pytest.mark.parametrize("fate", ["gone", "another", "longer"])
def test_a_line_goes_into_no_file_that_was_not_written_here(tmp_path: Path, fate: str) -> None:
    """It is written as a whole there, as before."""
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        assert isinstance(kept.store, JSONLStore)
        kept.append(say("text"))
        kept.note(one=1)
        path = beside(tmp_path)
        if fate == "gone":
            path.unlink()
        elif fate == "another":
            (tmp_path / "fresh").write_bytes(path.read_bytes())
            (tmp_path / "fresh").replace(path)
        else:
            path.write_bytes(path.read_bytes() + b'{"torn"')
        kept.note(two=2)

        assert [] == lines_beside(tmp_path)
        assert {"one": 1, "two": 2} == json.loads(path.read_bytes())["metadata"]


@pytest.mark.parametrize("line", [b"{", b"[]", b"7", b"\xff", b""])
def test_a_whole_line_that_is_no_notes_is_told(tmp_path: Path, line: bytes) -> None:
    """Another program has written it."""
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.append(say("text"))
        kept.note(one=1)
    with beside(tmp_path).open("ab") as file:
        file.write(b'{"two":2}\n' + line + b"\n")

    with pytest.raises(ConversationError, match="is damaged") as caught:
        SyncConversation.open(tmp_path / "chat.jsonl")
    assert "damaged" == caught.value.code


def test_lines_of_a_later_form_are_not_looked_at(tmp_path: Path) -> None:
    """It is told which form it is."""
    beside(tmp_path).write_bytes(b'{"version":99}\n\x00\n')
    with pytest.raises(ConversationError, match="later penstock"):
        SyncConversation.open(tmp_path / "chat.jsonl")


def test_notes_of_the_form_before_are_rows(tmp_path: Path) -> None:
    """Of each conversation of the file, with their values as they were."""
    path, notes = tmp_path / "chat.db", {"a": [1, {"b": 0.1}], "c": "ö", "d": True}
    with closing(sqlite3.connect(path)) as database:
        for step in schema._STEPS[:2]:
            database.executescript(step)
        for name, noted in (("", notes), ("other", {"e": 2**70})):
            database.execute(
                "INSERT INTO conversations (name, metadata) VALUES (?, ?)",
                (name, json.dumps(noted)),
            )
        database.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        database.execute("PRAGMA user_version = 2")
        database.commit()

    for name, expected in (("", notes), ("other", {"e": 2**70})):
        with SyncConversation.open(path, name=name) as kept:
            assert expected == kept.metadata()
