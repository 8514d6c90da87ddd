"""What is kept outlives its writer: kills, torn ends, full disks, and other writers."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.conversations import SyncConversation
from penstock.errors import ConversationError

posix = pytest.mark.skipif(sys.platform == "win32", reason="platform: no fork, no limits of size")
SUFFIXES = [".jsonl", ".db"]
ROUNDS = 100


def say(number: int, size: int = 10) -> dict[str, str]:
    """Message number so and so."""
    return {"role": "user", "content": f"{number:0{size}}"}


def run(code: str, *arguments: object) -> str:
    """Run Python `code` in a process of its own, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@posix
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_an_append_told_of_outlives_a_kill(tmp_path: Path, suffix: str, seed: int) -> None:
    """125 kills at random points for each: every acknowledged message or change is there, whole."""
    script = Path(__file__).with_name("killing.py")

    done = subprocess.run(
        [sys.executable, script, tmp_path / f"chat{suffix}", str(ROUNDS), str(seed)],
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith(f"{ROUNDS + ROUNDS // 4} kills")


@pytest.mark.parametrize(
    "torn", [b"{", b'{"role":"user","content":"' + b"x" * 200_000, b"\xff\x00"]
)
def test_a_torn_end_is_set_aside(
    tmp_path: Path, torn: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Readers stop before it, the next writer moves it to a file, and the log says so."""
    path = tmp_path / "chat.jsonl"
    with SyncConversation.open(path) as kept:
        kept.extend(map(say, range(3)))
    with path.open("ab") as file:
        file.write(torn)

    with SyncConversation.open(path) as reader:
        assert [say(n) for n in range(3)] == list(reader)
        assert len(torn) == reader.store.torn  # type: ignore[attr-defined]  # JSONL's own
    with SyncConversation.open(path) as writer:
        writer.append(say(3))
        assert [say(n) for n in range(4)] == list(writer)

    unread = f"chat.jsonl: the {len(torn)} bytes behind its last newline are no whole line"
    aside = f"chat.jsonl: {len(torn)} torn bytes are in chat.jsonl.torn now"
    assert [True, True, True] == [
        line.startswith(said)
        for line, said in zip(caplog.messages, (unread, unread, aside), strict=True)
    ]
    assert torn + b"\n" == path.with_name("chat.jsonl.torn").read_bytes()
    assert [say(n) for n in range(4)] == [*map(json.loads, path.read_bytes().splitlines())]


def test_a_file_that_is_all_torn_is_empty(tmp_path: Path) -> None:
    """As after a kill in the first append."""
    path = tmp_path / "chat.jsonl"
    path.write_bytes(b'{"role":')

    with SyncConversation.open(path) as kept:
        assert 0 == len(kept)
        assert 0 == kept.append(say(0))
        assert [say(0)] == list(kept)


@pytest.mark.parametrize("line", [b"[]\n", b"{}\n", b'{"role": 5}\n', b"\n", b"nonsense\n"])
def test_a_line_that_another_wrote_is_checked(tmp_path: Path, line: bytes) -> None:
    """Before it can be sent; the error says where it is."""
    path = tmp_path / "chat.jsonl"
    with SyncConversation.open(path) as kept:
        kept.append(say(0))
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(line)

    with (
        SyncConversation.open(path) as kept,
        pytest.raises(ConversationError, match=f"begins at byte {size} is no message") as caught,
    ):
        list(kept)
    assert "damaged" == caught.value.code


def test_a_file_of_messages_that_another_wrote_is_a_conversation(tmp_path: Path) -> None:
    """It needs nothing beside it."""
    path = tmp_path / "chat.jsonl"
    path.write_text('{"role": "user", "content": "a"}\n{"role": "user", "content": "b"}\n')

    with SyncConversation.open(path) as kept:
        assert ["a", "b"] == [message["content"] for message in kept]
        assert 2 == kept.append(say(2))


def test_a_jsonl_file_has_one_writer(tmp_path: Path) -> None:
    """The second is told so, and any number may read."""
    path = tmp_path / "chat.jsonl"
    with SyncConversation.open(path) as first, SyncConversation.open(path) as second:
        first.append(say(0))
        with pytest.raises(ConversationError, match="one writer") as caught:
            second.append(say(1))
        assert "locked" == caught.value.code
        with SyncConversation.open(path) as reader:
            assert [say(0)] == list(reader)
    with SyncConversation.open(path) as third:
        assert 1 == third.append(say(1))


@posix
def test_the_lock_is_held_against_other_processes(tmp_path: Path) -> None:
    """And is free once its holder has ended, however it did."""
    path = tmp_path / "chat.jsonl"
    code = """
import sys
from penstock.conversations import SyncConversation
try:
    SyncConversation.open(sys.argv[1]).append({"role": "user", "content": "x"})
    print("kept")
except Exception as error:
    print(error.code)
"""
    with SyncConversation.open(path) as kept:
        kept.append(say(0))
        assert "locked\n" == run(code, path)
    assert "kept\n" == run(code, path)


def test_two_processes_interleave_whole_messages_in_sqlite(tmp_path: Path) -> None:
    """Each one's messages are all there, in its order."""
    path = tmp_path / "chat.db"
    code = """
import sys
from penstock.conversations import SyncConversation
with SyncConversation.open(sys.argv[1]) as kept:
    for number in range(150):
        text = f"{sys.argv[2]}:{number}:" + "x" * (number % 7 * 20_000)
        kept.append({"role": "user", "content": text})
"""
    names = ("a", "b", "c")
    writers = [subprocess.Popen([sys.executable, "-c", code, path, name]) for name in names]
    assert [0, 0, 0] == [writer.wait(timeout=50) for writer in writers]

    with SyncConversation.open(path) as kept:
        found = [message["content"].split(":")[:2] for message in kept]
    assert 450 == len(found)
    for name in names:
        assert [str(n) for n in range(150)] == [number for who, number in found if who == name]


@pytest.mark.parametrize("opens", [SyncConversation.open, SyncConversation.names])
def test_another_use_of_an_sqlite_file_does_not_end_its_locks(
    tmp_path: Path, opens: Callable[[Path], object]
) -> None:
    """Else the next process that closes it removes the log, and what is appended then with it."""
    path = tmp_path / "chat.db"
    code = (
        "import sqlite3, sys; file = sqlite3.connect(sys.argv[1]);"
        " print(len(file.execute('SELECT * FROM runs').fetchall())); file.close()"
    )
    with SyncConversation.open(path, name="one") as kept:
        kept.append(say(0))
        other = opens(path)
        assert "1" == run(code, path).strip()
        kept.append(say(1))

        assert "2" == run(code, path).strip()
        if isinstance(other, SyncConversation):
            other.close()


@posix
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_an_error_and_leaves_what_was_there(tmp_path: Path, suffix: str) -> None:
    """The error is typed, nothing is half written, and with room again it goes on."""
    path = tmp_path / f"chat{suffix}"
    code = """
import resource, signal, sys
from penstock.conversations import SyncConversation
from penstock.errors import ConfigurationError, ConversationError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with SyncConversation.open(sys.argv[1]) as kept:
    kept.append({"role": "user", "content": "0"})
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    count, codes = 1, []
    for size in (100_000, 900_000, 10_000_000):
        try:
            kept.append({"role": "user", "content": str(count) + "x" * size})
            count += 1
        except ConversationError as error:
            codes.append(error.code)
    assert count == len(list(kept)) == len(kept), (count, len(kept))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    kept.append({"role": "user", "content": str(count)})
    print(count, codes)
"""
    assert "2 ['disk_full', 'disk_full']\n" == run(code, path)

    with SyncConversation.open(path) as kept:
        assert ["0", "1x", "2"] == [message["content"][:2] for message in kept]


@posix
def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """With the system's own words."""
    for name in ("no/chat.jsonl", "no/chat.db"):
        with pytest.raises(ConversationError) as caught:
            SyncConversation.open(tmp_path / name).append(say(0))
        assert "io" == caught.value.code


@pytest.mark.parametrize("content", [b"not a database, but long enough to look at" * 100])
def test_what_is_no_store_is_refused(tmp_path: Path, content: bytes) -> None:
    """Another program's file is left alone."""
    path = tmp_path / "chat.db"
    path.write_bytes(content)

    with pytest.raises(ConversationError) as caught:
        SyncConversation.open(path)
    assert "damaged" == caught.value.code
    assert content == path.read_bytes()


@pytest.mark.parametrize("name", ["chat.jsonl", "chat.db"])
def test_a_later_form_is_refused(tmp_path: Path, name: str) -> None:
    """A newer penstock's file is not written by an older one."""
    path = tmp_path / name
    with SyncConversation.open(path) as kept:
        kept.append(say(0))
    if path.suffix == ".db":
        import sqlite3

        database = sqlite3.connect(path)
        database.execute("PRAGMA user_version = 99")
        database.close()
    else:
        path.with_name("chat.jsonl.meta").write_text(json.dumps({"version": 99}))

    with pytest.raises(ConversationError, match="later penstock"):
        SyncConversation.open(path)


@posix
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_files_are_the_owners_only(tmp_path: Path, suffix: str) -> None:
    """A conversation is private, with all that is kept beside it, and stays so when rewritten."""
    path = tmp_path / f"chat{suffix}"
    with SyncConversation.open(path) as kept:
        kept.extend([say(0), say(1)])
        kept.note(title="secret")
        kept.redact(0)
        kept.delete(1)
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()}

    assert {"0o600"} == {*modes.values()}, modes


def test_many_may_make_one_sqlite_file_at_once(tmp_path: Path) -> None:
    """Whoever comes first makes it; the others wait, and find it made."""
    for number in range(4):
        path = tmp_path / f"{number}.db"
        ready = threading.Barrier(6)

        def make(path: Path = path, ready: threading.Barrier = ready) -> int:
            ready.wait(timeout=20)
            with SyncConversation.open(path) as kept:
                return kept.append(say(0))

        with ThreadPoolExecutor(6) as pool:
            made = [pool.submit(make) for _ in range(6)]
        assert [0, 1, 2, 3, 4, 5] == sorted(each.result() for each in made)


FORKED = """
import os, sys
from penstock.conversations import SyncConversation
from penstock.errors import ConfigurationError, ConversationError
kept = SyncConversation.open(sys.argv[1])
kept.append({"role": "user", "content": "first"})
# reopened
if not os.fork():
    try:
        kept.append({"role": "user", "content": "the copy's"})
    except ConversationError as error:
        print(error.code, "before this process was forked" in str(error), flush=True)
    os._exit(0)
os.wait()
kept.append({"role": "user", "content": "second"})
print(*[message["content"] for message in kept])
"""


@posix
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("has_written", [True, False])
def test_a_forked_process_does_not_write_over_its_parent(
    tmp_path: Path, suffix: str, has_written: bool
) -> None:
    """It has the lock's descriptor as well, or would take the lock of both, and is refused."""
    reopened = "" if has_written else "kept.close(); kept = SyncConversation.open(sys.argv[1])"
    code = FORKED.replace("# reopened", reopened)
    assert "locked True\nfirst second\n" == run(code, tmp_path / f"chat{suffix}")


@posix
@pytest.mark.parametrize("name", ["chat.jsonl", "chat.db"])
def test_nothing_is_appended_to_a_file_that_was_removed(tmp_path: Path, name: str) -> None:
    """The message would be nowhere; opened again it begins anew."""
    with SyncConversation.open(tmp_path / name) as kept:
        kept.append(say(0))
        (tmp_path / name).unlink()
        for _ in range(2):
            with pytest.raises(ConversationError, match="removed") as caught:
                kept.append(say(1))
            assert "changed" == caught.value.code


@posix
def test_nothing_is_appended_to_a_jsonl_file_that_an_editor_replaced(tmp_path: Path) -> None:
    """Nor to one that was cut: the first call says so, the next goes on with what is there."""
    path, fresh = tmp_path / "chat.jsonl", tmp_path / "fresh"
    with SyncConversation.open(path) as kept:
        kept.append(say(0))
        fresh.write_text(json.dumps(say(5)) + "\n")
        fresh.replace(path)
        with pytest.raises(ConversationError, match="replaced or cut"):
            kept.append(say(1))
        assert 1 == kept.append(say(1))
        path.write_text(json.dumps(say(6)) + "\n")
        with pytest.raises(ConversationError, match="replaced or cut"):
            kept.append(say(2))
        kept.append(say(2))

        assert [say(6), say(2)] == list(kept)


def test_lines_that_another_program_adds_to_an_open_file_are_not_written_over(
    tmp_path: Path,
) -> None:
    """The lock is advisory: ``>>`` knows nothing of it."""
    path = tmp_path / "chat.jsonl"
    with SyncConversation.open(path) as kept:
        kept.append(say(0))
        with path.open("a") as file:
            file.write(json.dumps(say(1)) + "\n")
        assert 2 == kept.append(say(2))

        assert [say(0), say(1), say(2)] == list(kept)
