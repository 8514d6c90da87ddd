"""Conversations on the command line: begun, gone on with, shown, moved and summed up."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer  # noqa: F401  # what a bare installation leaves out, and this module with it

import penstock as ps
from penstock.cli.chat import Options, _turn, converse
from penstock.cli.conversation import compact, export, load, show
from penstock.conversations import Conversation, SyncConversation
from penstock.errors import (
    ConfigurationError,
    ConversationError,
    EncodeError,
    ResponseError,
    UsageError,
)

ROOT = Path(__file__).parents[2]


def run(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command to its end, without a key."""
    env = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL"))}
    return subprocess.run(
        [sys.executable, "-m", "penstock", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=50,
        env=env | {"PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", "COLUMNS": "200"},
        check=False,
    )


def contents(path: Path) -> list[tuple[str, str]]:
    """Who said what."""
    with SyncConversation.open(path) as kept:
        return [(message["role"], message["content"]) for message in kept]


@pytest.mark.parametrize("name", ["chat.jsonl", "chat.db"])
def test_chat_goes_on_with_a_conversation(tmp_path: Path, name: str) -> None:
    """The first call begins it, the next resumes it and says how large it is."""
    path = tmp_path / name
    first = run("chat", "-m", "sim/echo", "-c", path, "-s", "Be brief.", "one")
    second = run("chat", "-m", "sim/echo", "-c", path, "--json", "two")

    assert (0, "one\n") == (first.returncode, first.stdout)
    assert f"{path}: 0 messages, 0 bytes" in first.stderr
    assert f"{path}: 3 messages" in second.stderr
    assert "two" == json.loads(second.stdout)["choices"][0]["message"]["content"]
    assert [
        ("system", "Be brief."),
        ("user", "one"),
        ("assistant", "one"),
        ("user", "two"),
        ("assistant", "two"),
    ] == contents(path)


def test_a_turn_without_an_answer_is_taken_back(tmp_path: Path) -> None:
    """So is nothing kept of a dry run, which shows the whole conversation."""
    path = tmp_path / "chat.jsonl"
    run("chat", "-q", "-m", "sim/echo", "-c", path, "one")

    failed = run("chat", "-q", "-m", "sim/echo?status=400", "-c", path, "two")
    shown = run("chat", "-m", "sim/echo", "-c", path, "--dry-run", "three")

    assert (1, 0) == (failed.returncode, shown.returncode)
    assert [("user", "one"), ("assistant", "one")] == contents(path)
    assert ["one", "one", "three"] == [
        message["content"]
        for message in json.loads(shown.stdout[shown.stdout.index("{") :])["messages"]
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["chat.jsonl", "chat.db"])
async def test_what_failed_can_be_tried_again_as_it_is(tmp_path: Path, name: str) -> None:
    """The system's words are taken back with the turn, and a dry run keeps none."""
    path = str(tmp_path / name)

    def options(model: str, *, dry_run: bool = False) -> Options:
        return Options("one", model, "Be brief.", False, dry_run, True, path)

    await converse(options("sim/echo", dry_run=True))
    with pytest.raises(ResponseError):
        await converse(options("sim/echo?status=400"))
    await converse(options("sim/echo"))

    expected = [("system", "Be brief."), ("user", "one"), ("assistant", "one")]
    assert expected == contents(tmp_path / name)


@pytest.mark.asyncio
async def test_what_another_program_changed_is_not_sent_unseen(tmp_path: Path) -> None:
    """It is told, the turn is taken back, and the next one sends what is there then."""
    path = tmp_path / "chat.jsonl"
    options = Options("one", "sim/echo", None, False, False, True, str(path))
    await converse(options)
    path.write_bytes(path.read_bytes().replace(b"one", b"two"))
    with pytest.raises(ConversationError, match="is not what was appended") as caught:
        await converse(options)
    assert "changed" == caught.value.code
    await converse(options)

    assert ["two", "two", "one", "one"] == [content for _, content in contents(path)]


@pytest.mark.asyncio
async def test_an_import_that_fails_makes_no_conversation(tmp_path: Path) -> None:
    """Neither a file nor a name in one."""
    (tmp_path / "in.jsonl").write_text('{"role": "user", "content": ""}\n{}\n')
    there = str(tmp_path / "there.db")
    SyncConversation.open(there, name="ann").close()
    for file, name in ((str(tmp_path / "new.db"), ""), (there, "bob")):
        with pytest.raises(EncodeError, match="line 2"):
            await load(str(tmp_path / "in.jsonl"), file, name)

    assert ["ann"] == SyncConversation.names(there)
    assert not (tmp_path / "new.db").exists()


def test_system_begins_a_conversation_only(tmp_path: Path) -> None:
    """It cannot be said later, and a wrong file is a mistake without a traceback."""
    path = tmp_path / "chat.jsonl"
    run("chat", "-q", "-m", "sim/echo", "-c", path, "one")

    again = run("chat", "-q", "-m", "sim/echo", "-c", path, "-s", "Be brief.", "two")
    wrong = run("chat", "-q", "-m", "sim/echo", "-c", tmp_path / "chat.txt", "one")

    assert (2, 2) == (again.returncode, wrong.returncode)
    assert "has 2 messages already" in again.stderr
    assert "a conversation is kept in a .jsonl, .db or .sqlite file" in wrong.stderr
    assert "Traceback" not in again.stderr + wrong.stderr


def test_a_conversation_is_shown_exported_and_imported(tmp_path: Path) -> None:
    """As a person reads it, and a message a line."""
    path, lines, other = tmp_path / "chat.db", tmp_path / "out.jsonl", tmp_path / "other.jsonl"
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    with SyncConversation.open(path) as kept:
        kept.append({"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "file"}]})
        kept.append({"role": "assistant", "content": None, "tool_calls": [call]})
        kept.append({"role": "tool", "tool_call_id": "c", "content": "done"})

    shown = run("conversation", "show", path)
    assert "user: hi [file]\nassistant:\n  calls f({})\ntool: done\n" == shown.stdout
    assert "3 messages" in shown.stderr
    last = run("conversation", "show", path, "--last", "1", "--json")
    assert ["assistant", "tool"] == [json.loads(line)["role"] for line in last.stdout.splitlines()]
    assert 0 == run("conversation", "export", path, lines).returncode
    assert 2 == run("conversation", "export", path, lines).returncode
    assert "3 messages added, 3 in" in run("conversation", "import", lines, other).stderr
    assert lines.read_text() == other.read_text()
    missing = run("conversation", "show", tmp_path / "none.db")
    assert (2, False) == (missing.returncode, (tmp_path / "none.db").exists())


def test_a_conversation_is_compacted_and_goes_on(tmp_path: Path) -> None:
    """What is sent then is the summary and what came after; the log keeps everything."""
    path = tmp_path / "chat.db"
    with SyncConversation.open(path) as kept:
        kept.extend({"role": "user", "content": f"message {number}"} for number in range(8))

    done = run("conversation", "compact", path, "-m", "sim/text?tokens=3", "--keep", "2")
    shown = run("chat", "-m", "sim/echo", "-c", path, "--dry-run", "next")

    assert (0, 0) == (done.returncode, shown.returncode)
    assert "3 messages are sent for 8" in done.stderr
    assert 8 == len(contents(path))
    messages = json.loads(shown.stdout[shown.stdout.index("{") :])["messages"]
    assert messages[0]["content"].startswith("Summary of the conversation so far:\n")
    assert ["message 6", "message 7", "next"] == [each["content"] for each in messages[1:]]


@pytest.mark.asyncio
async def test_looking_makes_no_conversation(tmp_path: Path) -> None:
    """A name that is mistyped is told, with those that are there; nothing is written."""
    path, empty = str(tmp_path / "chats.db"), tmp_path / "empty.db"
    empty.touch()
    for number in range(23):
        SyncConversation.open(path, name=f"n{number}").close()
    for call in (
        show(path, "m", None, False),
        export(path, "m", str(tmp_path / "out.jsonl")),
        compact(path, "m", "sim/echo", 10),
    ):
        with pytest.raises(UsageError, match=r"no conversation 'm'; there are 'n0', .* and 3 more"):
            await call
    with pytest.raises(UsageError, match="give --name; there are 'n0'"):
        await show(path, "", None, False)
    with pytest.raises(UsageError, match="has no conversation yet"):
        await show(str(empty), "", None, False)
    with pytest.raises(UsageError, match="give --conversation"):
        await converse(Options("hi", None, None, False, False, True, name="ann"))

    assert (23, 0) == (len(SyncConversation.names(path)), empty.stat().st_size)
    assert ([], [""]) == (SyncConversation.names(tmp_path / "none.db"), _names_of_lines(tmp_path))


def _names_of_lines(tmp_path: Path) -> list[str]:
    (tmp_path / "chat.jsonl").touch()
    return SyncConversation.names(tmp_path / "chat.jsonl")


@pytest.mark.asyncio
async def test_a_model_that_says_nothing_sums_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says why; the next run begins there."""
    monkeypatch.chdir(tmp_path)  # no settings of ours
    with SyncConversation.open(tmp_path / "chat.db") as kept:
        kept.extend({"role": "user", "content": f"{number}"} for number in range(4))
    with pytest.raises(ConversationError, match=r"without a summary \(stop\)") as caught:
        await compact(str(tmp_path / "chat.db"), "", "sim/text?tokens=0", 2)

    assert "summary" == caught.value.code
    with SyncConversation.open(tmp_path / "chat.db") as kept:
        assert 4 == len(kept.summarised())


@pytest.mark.asyncio
async def test_an_import_is_of_a_file_of_messages_or_nothing_is_kept(tmp_path: Path) -> None:
    """One whose last line is torn is found out before the first is appended."""
    source, into = tmp_path / "in.jsonl", str(tmp_path / "chat.jsonl")
    source.write_text('{"role": "user", "content": "a"}\n' * 600 + '{"role"')
    with pytest.raises(EncodeError, match="line 601"):
        await load(str(source), into, "")
    with pytest.raises(UsageError, match="there is no file"):
        await load(str(tmp_path / "none.jsonl"), into, "")
    with SyncConversation.open(tmp_path / "chats.db") as kept:
        kept.append({"role": "user", "content": "a"})
    with pytest.raises(ConfigurationError, match="is an SQLite file: export"):
        await load(str(tmp_path / "chats.db"), into, "")

    assert [] == contents(Path(into))


@pytest.mark.asyncio
async def test_a_file_that_is_referred_to_is_shown_as_what_is_kept_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no path, and not as if it were said."""
    picture = tmp_path / "dam.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.append({"role": "user", "content": [ps.ImageFile(picture, keep="reference")]})
    await show(str(tmp_path / "chat.jsonl"), "", None, True)

    (part,) = json.loads(capsys.readouterr().out)["content"]
    assert ("attachment", "image", 8) == (part["type"], part["kind"], part["size"])
    assert str(tmp_path) not in str(part)


@pytest.mark.asyncio
async def test_a_turn_is_taken_back_from_what_another_has_appended_to(tmp_path: Path) -> None:
    """Theirs stays."""
    path = tmp_path / "chats.db"
    async with Conversation.open(path) as kept, Conversation.open(path) as other:

        async def fail() -> None:
            async with _turn(kept, "mine"):
                await other.append({"role": "user", "content": "theirs"})
                raise KeyError

        with pytest.raises(KeyError):
            await fail()

    assert [("user", "theirs")] == contents(path)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["chat.jsonl", "chat.db"])
@pytest.mark.parametrize(
    ("amid", "expected"),
    [
        ("system", []),
        ("user", []),
        ("assistant", [("system", "Be brief."), ("user", "one"), ("assistant", "one")]),
    ],
)
async def test_ctrl_c_amid_an_append_keeps_no_half_of_a_turn(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    amid: str,
    expected: list[tuple[str, str]],
) -> None:
    """A turn is kept whole or not at all, whichever of its messages was being written."""
    path = tmp_path / name
    append = SyncConversation.append
    loop = asyncio.get_running_loop()

    def interrupted(kept: SyncConversation, message: Any) -> int:
        number = append(kept, message)
        if message["role"] == amid:
            loop.call_soon_threadsafe(chatting.cancel)
        return number

    monkeypatch.setattr(SyncConversation, "append", interrupted)
    options = Options("one", "sim/echo", "Be brief.", False, False, True, str(path))
    chatting = asyncio.create_task(converse(options))
    with pytest.raises(asyncio.CancelledError):
        await chatting

    assert expected == contents(path)
