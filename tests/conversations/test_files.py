"""The files of a conversation on disk: forks, what is beside the messages, and who may write."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.conversations import SyncConversation, vouching
from penstock.conversations.chain import Chain
from penstock.conversations.files import MessageFile
from penstock.conversations.jsonl_files import Opened
from penstock.conversations.sidecar import Sidecar
from penstock.conversations.sqlite import SQLiteStore
from penstock.errors import ConfigurationError, ConversationError

posix = pytest.mark.skipif(
    sys.platform == "win32", reason="platform: no limits of size, no folders"
)


def say(number: int, size: int = 10) -> dict[str, str]:
    """Message number so and so."""
    return {"role": "user", "content": f"{number:0{size}}"}


def test_a_fork_of_a_file_that_was_rewritten_says_so(tmp_path: Path) -> None:
    """It is never read as something that it is not."""
    path = tmp_path / "chat.jsonl"
    with SyncConversation.open(path) as kept:
        kept.extend(map(say, range(4)))
        kept.fork(3, "other.jsonl").close()
        kept.append(say(4))
        with SyncConversation.open(tmp_path / "other.jsonl") as fork:
            assert 3 == len(fork)
        kept.redact(0)

    with pytest.raises(
        ConversationError, match=r"fork of chat\.jsonl, which was rewritten"
    ) as error:
        SyncConversation.open(tmp_path / "other.jsonl")
    assert "changed" == error.value.code


def test_a_fork_outlives_changes_behind_what_it_shares(tmp_path: Path) -> None:
    """As a turn that is taken back; not one that reached into it, whatever came after."""
    path = tmp_path / "chat.jsonl"
    with SyncConversation.open(path) as kept:
        kept.extend(map(say, range(6)))
        kept.fork(3, "three.jsonl").close()
        kept.truncate(5)
        kept.fork(4, "four.jsonl").close()
        kept.redact(3)
        kept.extend(map(say, range(10, 14)))
        kept.delete(6)

    with SyncConversation.open(tmp_path / "three.jsonl") as fork:
        assert [say(n) for n in range(3)] == list(fork)
    with pytest.raises(ConversationError, match="was rewritten since"):
        SyncConversation.open(tmp_path / "four.jsonl")


def test_an_open_fork_is_not_read_once_what_it_shares_is_rewritten(tmp_path: Path) -> None:
    """Nor is a pass through it ended as if it were whole, nor anything appended."""
    with (
        SyncConversation.open(tmp_path / "chat.jsonl") as kept,
        SyncConversation.open(tmp_path / "other.jsonl") as other,
    ):
        kept.extend(say(number, 20_000) for number in range(6))
        fork = kept.fork(5, "fork.jsonl")
        other.extend(map(say, range(2)))
        messages = iter(fork)
        kept.truncate(5)
        assert 5 == len(fork)
        kept.truncate(2)
        kept.extend(say(number, 20_000) for number in range(10, 14))

        reads: list[Callable[[], object]] = [
            lambda: list(messages),
            lambda: list(fork),
            lambda: fork[-1],
            lambda: fork.append(say(7)),
        ]
        for read in reads:
            with pytest.raises(ConversationError, match="which was rewritten") as caught:
                read()
            assert "changed" == caught.value.code
        fork.close()


def test_what_a_reader_forks_outlives_the_writer(tmp_path: Path) -> None:
    """Who closes the file first writes beside it."""
    path = tmp_path / "chat.jsonl"
    with SyncConversation.open(path) as kept, SyncConversation.open(path) as reader:
        kept.append(say(0))
        reader.fork(name="fork.jsonl").close()
        kept.append(say(1))

    with SyncConversation.open(tmp_path / "fork.jsonl") as fork:
        assert [say(0)] == list(fork)


def test_what_a_reader_forks_has_what_is_noted_by_then(tmp_path: Path) -> None:
    """By who writes, since the reader has last looked."""
    path = tmp_path / "chat.jsonl"
    with SyncConversation.open(path) as kept, SyncConversation.open(path) as reader:
        kept.extend(map(say, range(3)))
        assert 3 == len(reader)
        kept.pin(1)
        kept.note(title="A chat")
        with reader.fork(2) as fork:
            assert ([1], {"title": "A chat"}) == (fork.pinned(), fork.metadata())


def test_what_a_reader_forks_has_the_pins_of_its_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the writer takes one out between a look at the notes and one at the messages."""
    path, vouch = tmp_path / "chat.jsonl", vouching.vouch
    with SyncConversation.open(path) as kept, SyncConversation.open(path) as reader:
        kept.extend(map(say, range(6)))
        kept.pin(3)

        def meanwhile(opened: Opened) -> None:
            monkeypatch.undo()
            kept.delete(0)
            vouch(opened)

        monkeypatch.setattr(vouching, "vouch", meanwhile)
        with pytest.raises(ConversationError, match="message 4 was taken out"):
            reader.fork(5)
        with reader.fork(5) as fork:
            assert ([say(n) for n in range(1, 6)], [2]) == (list(fork), fork.pinned())
    assert 1 == len([*tmp_path.glob("*fork*.jsonl")])


def test_a_fork_of_what_cannot_be_read_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be a conversation without messages."""

    def refused(*_: object) -> Any:
        raise ConversationError("was truncated while it was read", code="changed")

    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.extend(map(say, range(6)))
        kept.pin(3)
        files = {*tmp_path.iterdir()}
        monkeypatch.setattr(Chain, "until", refused)
        with pytest.raises(ConversationError, match="was truncated"):
            kept.fork(5, "fork.jsonl")

        assert files == {*tmp_path.iterdir()}


def test_a_reader_that_forks_takes_nothing_from_what_the_writer_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When both are the first to write beside the messages."""
    path, dumps = tmp_path / "chat.jsonl", json.dumps
    with SyncConversation.open(path) as kept, SyncConversation.open(path) as reader:
        kept.extend(map(say, range(3)))

        def meanwhile(*arguments: Any, **named: Any) -> str:
            monkeypatch.undo()
            kept.pin(1)
            return dumps(*arguments, **named)

        monkeypatch.setattr(json, "dumps", meanwhile)
        with reader.fork(2) as fork:
            assert ([1], [1]) == (kept.pinned(), fork.pinned())
    assert [1] == _state(path)[1]


@posix
def test_a_file_system_without_locks_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not that another process writes: nobody would find it."""
    import fcntl

    def refused(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        monkeypatch.setattr(fcntl, "flock", refused)
        with pytest.raises(ConversationError, match=r"cannot lock chat\.jsonl: No locks") as caught:
            kept.append(say(0))
        assert "io" == caught.value.code


def test_a_message_that_is_taken_out_of_the_end_is_cut_off(tmp_path: Path) -> None:
    """A turn that is taken back costs no other file."""
    path = tmp_path / "chat.jsonl"
    with SyncConversation.open(path) as kept:
        kept.extend(map(say, range(3)))
        kept.pin(2)
        there = path.stat().st_ino
        kept.delete(-1)

        assert (there, [say(0), say(1)], []) == (path.stat().st_ino, list(kept), kept.pinned())


def test_closing_that_was_broken_off_is_done_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is free then."""
    path = tmp_path / "chat.jsonl"
    kept = SyncConversation.open(path)
    kept.append(say(0))

    def refused(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MessageFile, "close", refused)
    with pytest.raises(KeyboardInterrupt):
        kept.close()
    monkeypatch.undo()
    kept.close()

    with SyncConversation.open(path) as again:
        assert 1 == again.append(say(1))


def _state(path: Path) -> Any:
    with SyncConversation.open(path) as kept:
        return list(kept), kept.pinned(), list(kept.summarised())


@pytest.mark.parametrize("change", ["delete", "redact", "truncate"])
def test_a_change_that_was_killed_is_done_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """At each step pins and summaries are where they were, or where they are to be.

    The folder is copied before and after each: that is what a killed process leaves.
    """
    path = tmp_path / "chat" / "chat.jsonl"
    path.parent.mkdir()
    copies: list[Path] = []

    def copied(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            for call in (lambda: None, lambda: real(*arguments)):
                found = call()
                copies.append(tmp_path / str(len(copies)))
                shutil.copytree(path.parent, copies[-1])
            return found

        return step

    with SyncConversation.open(path) as kept:
        kept.extend(say(number, 15) for number in range(9))
        kept.pin(5)
        kept.compact(lambda _, messages: f"{len(messages)} messages", keep=3)
    before = _state(path)
    monkeypatch.setattr(Path, "replace", copied(Path.replace))
    monkeypatch.setattr(os, "ftruncate", copied(os.ftruncate))
    with SyncConversation.open(path) as kept:
        getattr(kept, change)(3)
        monkeypatch.undo()
    after = _state(path)

    assert [before] * 3 + [after] * 3 == [_state(copy / path.name) for copy in copies]
    for copy in copies:
        messages, pinned, sent = _state(copy / path.name)
        with SyncConversation.open(copy / path.name) as kept:
            kept.append(say(9))
        assert ([*messages, say(9)], pinned, [*sent, say(9)]) == _state(copy / path.name)


@pytest.mark.parametrize("name", ["../other.jsonl", "other", "other.db", "a/b.jsonl"])
def test_a_fork_is_a_file_that_can_be_opened_again(tmp_path: Path, name: str) -> None:
    """In the same folder; it is there at once, and its name is taken then."""
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.append(say(0))
        with pytest.raises(ConfigurationError, match="in its folder, not"):
            kept.fork(name=name)
        kept.fork(name="fork.jsonl").close()
        with pytest.raises(ConversationError, match="there is a file fork") as caught:
            kept.fork(name="fork.jsonl")
        assert "exists" == caught.value.code

    assert (tmp_path / "fork.jsonl").exists()


@pytest.mark.parametrize(
    "found",
    ["", "[]", "{}", '{"version": 2, "checked": "x"}', '{"version": 2, "shared": [["a", "b"]]}'],
)
def test_a_damaged_sidecar_says_what_to_do(tmp_path: Path, found: str) -> None:
    """The messages are all there without it."""
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps(say(0)) + "\n")
    beside = tmp_path / "chat.jsonl.meta"
    beside.write_text(found)

    with pytest.raises(ConversationError, match="move it away to go on") as caught:
        SyncConversation.open(path)
    beside.unlink()

    assert "damaged" == caught.value.code
    with SyncConversation.open(path) as kept:
        assert [say(0)] == list(kept)


@posix
def test_what_cannot_be_rewritten_stays_as_it_was(tmp_path: Path) -> None:
    """Its pins, its summaries and its forks with it."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.extend(say(number, 1000) for number in range(100))
        kept.pin(50)
        kept.fork(60, "fork.jsonl").close()
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        try:
            with pytest.raises(ConversationError, match="cannot rewrite"):
                kept.delete(2)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert ([50], 100) == (kept.pinned(), len(kept))
    with SyncConversation.open(tmp_path / "fork.jsonl") as fork:
        assert (60, [50]) == (len(fork), fork.pinned())


@pytest.mark.parametrize("fault", [OSError(errno.EACCES, "denied"), KeyboardInterrupt()])
def test_a_rewriting_that_is_broken_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """No copy of the messages, no open file, no lock: the next one goes through."""
    replace, opened, numbers = Path.replace, os.open, []

    def refused(self: Path, target: Path) -> Path:
        if target.suffix == ".jsonl":
            raise fault
        return replace(self, target)

    def noted(*arguments: Any, **named: Any) -> int:
        numbers.append(opened(*arguments, **named))
        return numbers[-1]

    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.extend(map(say, range(4)))
        kept.note(title="A chat")
        files = {*tmp_path.iterdir()}
        monkeypatch.setattr(Path, "replace", refused)
        monkeypatch.setattr(os, "open", noted)
        with pytest.raises((ConversationError, KeyboardInterrupt)):
            kept.delete(1)
        monkeypatch.undo()

        assert files == {*tmp_path.iterdir()}
        assert numbers
        for number in numbers:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(number)
        kept.delete(1)
        assert [say(0), say(2), say(3)] == list(kept)


@pytest.mark.parametrize("change", ["delete", "redact", "truncate"])
def test_what_cannot_be_noted_of_a_change_is_noted_before_anything_else_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The messages are changed by then, and their pins with them."""
    write, path, count = Sidecar.write, tmp_path / "chat.jsonl", iter(range(9))

    def refused(self: Sidecar, messages: Path, *, sync: bool = False) -> None:
        if next(count) in (1, 2):
            raise ConversationError("no room", code="disk_full")
        write(self, messages, sync=sync)

    with SyncConversation.open(path) as kept:
        kept.extend(map(say, range(6)))
        kept.pin(5)
        kept.pin(1)
        monkeypatch.setattr(Sidecar, "write", refused)
        for call in (lambda: getattr(kept, change)(2), lambda: kept.append(say(6))):
            with pytest.raises(ConversationError, match="no room"):
                call()
        kept.append(say(6))
        found = list(kept), kept.pinned()
        assert _state(path)[:2] == found

    expected = {"delete": (6, [1, 4]), "redact": (7, [1, 5]), "truncate": (3, [1])}
    assert expected[change] == (len(found[0]), found[1])


@pytest.mark.parametrize("fault", [OSError(errno.EACCES, "denied"), KeyboardInterrupt()])
def test_a_note_that_is_broken_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """What was noted before stays."""
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.append(say(0))
        kept.note(title="A chat")
        files = {*tmp_path.iterdir()}

        def refused(*_: Path) -> Path:
            raise fault

        monkeypatch.setattr(Path, "replace", refused)
        with pytest.raises((ConversationError, KeyboardInterrupt)):
            kept.note(title="Another")
        monkeypatch.undo()

        assert files == {*tmp_path.iterdir()}
        assert {"title": "A chat"} == kept.metadata()


def test_two_who_note_at_once_write_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads, or containers that share a folder, whose processes have one number."""
    path, dumps = tmp_path / "chat.jsonl", json.dumps

    def meanwhile(*arguments: Any, **named: Any) -> str:
        monkeypatch.undo()
        Sidecar(metadata={"who": 2}).write(path)
        return dumps(*arguments, **named)

    monkeypatch.setattr(json, "dumps", meanwhile)
    Sidecar(metadata={"who": 1}).write(path)

    assert {"who": 1} == Sidecar.of(path).metadata
    assert ["chat.jsonl.meta"] == [each.name for each in tmp_path.iterdir()]


def test_what_a_killed_writer_left_is_gone_once_a_message_is_redacted(tmp_path: Path) -> None:
    """It has what is redacted; files of others stay, whatever they are called."""
    mark = "0123456789abcdef" * 2
    left = {f"chat.jsonl.{mark}.new", f"chat.jsonl.meta.{mark}.new"}
    others = {"chat.jsonl.new", f"a.chat.jsonl.{mark}.new", f"chat.jsonl.{mark}.newer"}
    for name in left | others:
        (tmp_path / name).write_text(json.dumps(say(0)))
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.extend(map(say, range(2)))
        kept.redact(0)

    assert {*others, "chat.jsonl", "chat.jsonl.meta"} == {each.name for each in tmp_path.iterdir()}


@posix
@pytest.mark.parametrize("fsync", [True, False])
def test_a_durable_append_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: bool
) -> None:
    """The file's bytes, and once the name of a new one; SQLite is told to."""
    waited: list[bool] = []

    def noted(descriptor: int) -> None:
        waited.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(os, "fsync", noted)
    with SyncConversation.open(tmp_path / "chat.jsonl", fsync=fsync) as kept:
        kept.append(say(0))
        kept.append(say(1))
        assert ([False, True, False] if fsync else []) == waited
    with SyncConversation.open(tmp_path / "chat.db", fsync=fsync) as kept:
        assert isinstance(kept.store, SQLiteStore)
        (synchronous,) = kept.store._database.execute("PRAGMA synchronous").fetchone()
        assert (2 if fsync else 1) == synchronous  # FULL, NORMAL


@posix
def test_closing_on_a_full_disk_is_no_error(tmp_path: Path) -> None:
    """What is noted then only spares checking the lines again."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = SyncConversation.open(tmp_path / "chat.jsonl")
    kept.append(say(0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        kept.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    with SyncConversation.open(tmp_path / "chat.jsonl") as again:
        assert [say(0)] == list(again)
    assert ["chat.jsonl"] == [path.name for path in tmp_path.iterdir() if path.suffix != ".meta"]


@posix
def test_a_file_that_may_only_be_read_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is appended is refused in words; tests may run as root, whom no mode stops."""
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps(say(0)) + "\n")
    opens = os.open

    def refused(name: Any, flags: int, mode: int = 0o777) -> int:
        if name == path and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opens(name, flags, mode)

    monkeypatch.setattr(os, "open", refused)
    with SyncConversation.open(path) as kept:
        with pytest.raises(ConversationError, match="may be read, and not written") as caught:
            kept.append(say(1))
        assert ("io", [say(0)]) == (caught.value.code, list(kept))


def test_a_database_in_a_folder_that_may_only_be_read_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would make files beside it; tests may run as root, whom no mode stops."""
    path, access = tmp_path / "chat.db", os.access
    with SyncConversation.open(path, name="ann") as kept:
        kept.extend([say(0), say(1, 100_000)])

    def refused(name: Any, mode: int) -> bool:
        return access(name, mode) and not (name == tmp_path and mode & os.W_OK)

    monkeypatch.setattr(os, "access", refused)
    with SyncConversation.open(path, name="ann") as kept:
        assert ([say(0), say(1, 100_000)], ["ann"]) == (list(kept), SyncConversation.names(path))
        assert [path] == [*tmp_path.iterdir()]
        with pytest.raises(ConversationError, match="readonly") as caught:
            kept.append(say(2))
        assert "io" == caught.value.code

        monkeypatch.undo()  # who may write does, and takes no lock of this one for one
        with SyncConversation.open(path, name="ann") as other:
            other.append(say(2))
        with pytest.raises(ConversationError, match="was written to while it was read") as caught:
            list(kept)
        assert "changed" == caught.value.code
    with SyncConversation.open(path, name="ann") as kept:
        assert 3 == len(kept)
