"""A conversation is written to a file that needs nothing beside it, and read from any."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.conversations import SyncConversation, exports
from penstock.conversations.unmoved import Unmoved as Compared
from penstock.errors import ConversationError, EncodeError

posix = pytest.mark.skipif(sys.platform == "win32", reason="platform: no limits of size, no modes")


def say(number: int, size: int = 10) -> dict[str, str]:
    """Message number so and so."""
    return {"role": "user", "content": f"{number:0{size}}"}


@posix
def test_an_export_is_there_once_it_is_whole(tmp_path: Path) -> None:
    """A disk that is full leaves nothing, and what is written is its owner's."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with SyncConversation.open() as kept:
        kept.extend(say(number, 1000) for number in range(100))
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        try:
            with pytest.raises(ConversationError, match="free room and try again") as caught:
                kept.export(tmp_path / "out.jsonl")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

        assert ("disk_full", []) == (caught.value.code, list(tmp_path.iterdir()))
        assert 100 == kept.export(tmp_path / "out.jsonl")
        assert 0o600 == stat.S_IMODE((tmp_path / "out.jsonl").stat().st_mode)


def test_an_export_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    """A file that is referred to has changed; a folder is not there."""
    picture = tmp_path / "dam.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    with SyncConversation.open() as kept:
        kept.append({"role": "user", "content": [ps.ImageFile(picture, keep="reference")]})
        picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(999) + b"x")
        with pytest.raises(ConversationError, match="not what it was"):
            kept.export(tmp_path / "out.jsonl")
        with pytest.raises(ConversationError, match="cannot export to"):
            kept.export(tmp_path / "none" / "out.jsonl")

    assert [picture] == list(tmp_path.iterdir())


def test_what_another_program_changed_is_not_exported_unseen(tmp_path: Path) -> None:
    """It is told, and the next export is of what is there then."""
    path, out = tmp_path / "chat.jsonl", tmp_path / "out.jsonl"
    with SyncConversation.open(path) as kept:
        kept.extend(map(say, range(3)))
    path.write_bytes(path.read_bytes().replace(b"0000000001", b"0000000009"))
    with SyncConversation.open(path) as kept:
        with pytest.raises(ConversationError, match="is not what was appended") as caught:
            kept.export(out)
        assert ("changed", False) == (caught.value.code, out.exists())
        assert 3 == kept.export(out)
        assert path.read_bytes() == out.read_bytes()


def test_of_two_exports_to_one_file_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, and the other is told; also where the file system has no links."""
    path = tmp_path / "out.jsonl"

    class Meanwhile(Compared):
        """Another export of the same process, begun and ended during one."""

        def __next__(self) -> Any:
            block = super().__next__()
            if not path.exists():
                with SyncConversation.open() as other:
                    other.append(say(1))
                    monkeypatch.setattr(exports, "Unmoved", Compared)
                    assert 1 == other.export(path)
            return block

    def no_links(*_: object) -> None:
        raise PermissionError

    for _ in range(2):
        monkeypatch.setattr(exports, "Unmoved", Meanwhile)
        with SyncConversation.open() as kept:
            kept.append(say(0))
            with pytest.raises(FileExistsError, match="there is a file"):
                kept.export(path)
        assert [say(1)] == [json.loads(line) for line in path.read_text().splitlines()]
        assert [path] == list(tmp_path.iterdir())
        path.unlink()
        monkeypatch.setattr(os, "link", no_links)


def test_a_conversation_may_be_loaded_into_itself(tmp_path: Path) -> None:
    """What is read is what was there; it does not go on with what it appends."""
    path = tmp_path / "chat.jsonl"
    with SyncConversation.open(path) as kept:
        kept.extend(map(say, range(600)))
        assert 600 == kept.load(path)
        (tmp_path / "chat.jsonl.meta").unlink(missing_ok=True)
        assert 1200 == kept.load(path)
        assert 2400 == len(kept)


def test_lines_of_others_are_loaded_however_they_are_written(tmp_path: Path) -> None:
    """A carriage return between two tokens is white space, and ends no line."""
    path = tmp_path / "chat.jsonl"
    path.write_bytes(b'{"role":"user",\r"content":"a"}\r\n{"role":"user","content":"b"}\n')
    with SyncConversation.open(path) as kept:
        kept.note(title="A chat")
    with SyncConversation.open() as other:
        assert 2 == other.load(path)
        assert ["a", "b"] == [message["content"] for message in other]


def test_a_conversations_file_is_loaded_as_the_conversation_that_it_is(tmp_path: Path) -> None:
    """A fork's with what it begins with, and files that are referred to inside."""
    picture = tmp_path / "dam.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(10))
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.append(say(0))
        kept.append({"role": "user", "content": [ps.ImageFile(picture, keep="reference")]})
        with kept.fork(name="fork.jsonl") as fork:
            fork.append(say(2, 100_000))
    with SyncConversation.open() as other:
        assert 3 == other.load(tmp_path / "fork.jsonl")
        assert [say(0), say(2, 100_000)] == [other[0], other[2]]
        assert other[1]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,iVBO")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (json.dumps([say(0)]), "line 1: there is a list of messages: put each on a line"),
        ('{"role": "user", "content": ""}\n{"messages": []}', "line 2: there is a list"),
        ("[\n", "line 1: .*each line is to be one message's JSON"),
        ('{"role": "user", "penstock_files": []}', "line 1: .*attach files as typed parts"),
    ],
)
def test_what_is_no_file_of_messages_is_refused(tmp_path: Path, text: str, error: str) -> None:
    """With the line, and what is wanted."""
    (tmp_path / "in.jsonl").write_text(text)
    with SyncConversation.open() as kept, pytest.raises(EncodeError, match=error):
        kept.load(tmp_path / "in.jsonl")


def test_a_byte_order_mark_is_no_part_of_a_message(tmp_path: Path) -> None:
    """Editors of Windows put one there."""
    (tmp_path / "in.jsonl").write_text(json.dumps(say(0)), "utf-8-sig")
    with SyncConversation.open() as kept:
        assert 1 == kept.load(tmp_path / "in.jsonl")
        assert [say(0)] == list(kept)
