"""An exception between any two lines, such as Ctrl-C: a call is done or not, the next one goes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import pytest

from penstock import conversations
from penstock.conversations import SyncConversation, lines
from penstock.conversations.sqlite import SQLiteStore
from penstock.errors import ConversationError

OURS = Path(conversations.__file__).parent
State: TypeAlias = "tuple[list[str], list[int]]"
Call: TypeAlias = "Callable[[SyncConversation], object]"

CHANGED = ("rewriting", "files")
ALL = (*CHANGED, "jsonl_files", "sidecar", "atomic")
CALLS: dict[str, tuple[str, tuple[str, ...], Call]] = {
    "appended": (
        ".jsonl",
        ("jsonl", "lines", "jsonl_files"),
        lambda kept: kept.extend([say("new"), say("newer" * 9000)]),
    ),
    "deleted": (".jsonl", ALL, lambda kept: kept.delete(2)),
    "as large as before": (".jsonl", CHANGED, lambda kept: kept.redact(2, "m2")),
    "cut": (".jsonl", CHANGED, lambda kept: kept.truncate(3)),
    "counted": (".jsonl", ("lines",), lambda kept: (len(kept), kept[-1])),
    "noted": (".jsonl", ("jsonl",), lambda kept: kept.pin(3)),
    "in SQLite": (".db", ("sqlite", "database"), lambda kept: kept.delete(2)),
}
"""What is broken off: a file's suffix, in the lines of which modules, and a call."""


def say(content: str) -> dict[str, str]:
    """A message."""
    return {"role": "user", "content": content}


def state_of(kept: SyncConversation) -> State:
    """What is there, however it is asked for."""
    said = [message["content"] for message in kept]
    assert said == [kept[index]["content"] for index in range(len(kept))]
    assert said[::-1] == [message["content"] for message in reversed(kept)]
    assert kept.size == sum(len(each) + len('{"role":"user","content":""}\n') for each in said)
    return said, kept.pinned()


@contextmanager
def broken_off(number: int, modules: Sequence[str]) -> Iterator[list[bool]]:
    """Raise when that many lines of modules have been come to; tell whether there were as many."""
    files = {str((OURS / f"{module}.py").resolve(strict=True)) for module in modules}
    seen: set[tuple[object, int]] = set()
    left, done = number, [False]

    def trace(frame: FrameType, event: str, _: object) -> Any:  # Any: itself
        nonlocal left
        code = frame.f_code
        if code.co_filename not in files:
            return None
        if event == "line" and not done[0] and (code, frame.f_lineno) not in seen:
            seen.add((code, frame.f_lineno))
            left -= 1
            if left < 0:
                done[0] = True
                raise KeyboardInterrupt
        return trace

    old = sys.gettrace()
    sys.settrace(trace)
    try:
        yield done
    finally:
        sys.settrace(old)


def made(folder: Path, name: str) -> dict[str, bytes]:
    """The files of a conversation with pins, and a fork where that is a file."""
    folder.mkdir()
    with SyncConversation.open(folder / name) as kept:
        kept.extend(say(f"m{number}") for number in range(6))
        kept.pin(1)
        kept.pin(4)
        if name == "chat.jsonl":
            kept.fork(5, "fork.jsonl").close()
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# An exception between a file's opening and its `with` leaves it to the collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("suffix", "modules", "call"), CALLS.values(), ids=CALLS)
def test_a_call_that_is_broken_off_anywhere_is_done_or_not(
    tmp_path: Path,
    suffix: str,
    modules: tuple[str, ...],
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its pins with it; in the same process and in the next, and forks are what they were."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(lines, "_FIRST_STEP", 1)  # that few messages have an index, and that it
    monkeypatch.setattr(lines, "_MOST_MARKS", 4)  # is halved
    name = f"chat{suffix}"
    files = made(tmp_path / "made", name)
    with SyncConversation.open(tmp_path / "made" / name) as kept:
        before = state_of(kept)
        call(kept)
        expected = [before, state_of(kept)]

    for number in range(1000):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file, data in files.items():
            (folder / file).write_bytes(data)
        with SyncConversation.open(folder / name) as kept:
            with suppress(KeyboardInterrupt), broken_off(number, modules) as done:
                call(kept)
            if not done[0]:
                break
            found = state_of(kept)
            assert found in expected
            kept.append(say("next"))
        with SyncConversation.open(folder / name) as kept:
            assert ([*found[0], "next"], found[1]) == state_of(kept)
        assert not [*folder.glob("*.new")]
        if suffix == ".jsonl":
            _check_fork(folder / "fork.jsonl", before)
    gc.collect()  # it says so now, and not in another test
    assert number > 10


def _check_fork(path: Path, before: State) -> None:
    """It is what it was, or it says that it cannot be read."""
    codes = []
    try:
        with SyncConversation.open(path) as fork:
            assert before[0][:5] == [message["content"] for message in fork]
    except ConversationError as error:
        codes.append(error.code)
    assert {"changed"} >= {*codes}


def test_what_an_exception_left_half_done_in_sqlite_is_undone_by_the_next_call(
    tmp_path: Path,
) -> None:
    """As one that came amid the undoing; others need not wait for it any longer."""
    path = tmp_path / "chat.db"
    with SyncConversation.open(path) as kept, SyncConversation.open(path) as other:
        kept.append(say("m0"))
        store = kept.store
        assert isinstance(store, SQLiteStore)
        store._file.connection.execute("BEGIN IMMEDIATE")
        store._file.connection.execute("UPDATE conversations SET length = 0")

        assert 1 == len(kept)
        assert 1 == other.append(say("m1"))
        assert (["m0", "m1"], []) == state_of(kept)
