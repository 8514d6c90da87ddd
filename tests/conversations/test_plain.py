"""What is known to be only texts is sent without a look at it, from JSONL and from SQLite."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.conversations import Conversation, SyncConversation, schema
from penstock.conversations.plain import Spans, covers, extend, is_plain_line, without
from penstock.dialects import dialect as named
from penstock.encoders import Body
from penstock.errors import ConversationError, PenstockError
from penstock.interfaces import Target
from penstock.request import ChatRequest

HERE = "https://api.example.com"
TARGET = Target(deployment="d", provider="p", model="m", base_url=HERE, origin=HERE)
ASK = {"role": "user", "content": 'say "\\" and \\\\" twice'}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "done"}
STATE = {"provider_state": {"dialect": "gemini", "origin": "https://g.example"}}
CASES: dict[str, tuple[list[dict[str, Any]], bool]] = {
    "texts": ([ASK, {"role": "assistant", "content": " é\n"}] * 40, True),
    "one side": ([ASK] * 3, True),
    "a blank": ([ASK, {"role": "assistant", "content": " \n"}, ASK], False),
    "an empty one": ([ASK, {"role": "assistant", "content": ""}, ASK], False),
    "a system's": ([{"role": "system", "content": "be kind"}, ASK], False),
    "a name": ([ASK | {"name": "Ada"}, ASK], False),
    "another order": ([{"content": "a", "role": "user"}, ASK], False),
    "parts": ([{"role": "user", "content": [{"type": "text", "text": "a"}]}, ASK], False),
    "calls": ([ASK, CALL, RESULT, ASK], False),
    "state": ([ASK, {"role": "assistant", "content": "a", **STATE}, ASK], False),
}
"""Messages, and whether they are only texts of the two sides."""
DIALECTS = ["openai_chat", "anthropic_messages", "gemini", "bedrock_converse", "mistral"]


async def sent(messages: Any, dialect: str) -> bytes:
    """What is sent for `messages`."""
    request = ChatRequest(model="m", messages=messages)
    body = Body(named(dialect).encode(request, TARGET, dropped=[]).fields, buffer_size=1024)
    return b"".join([piece async for piece in body.open()])


def flags(path: Path) -> list[int]:
    """What the runs of a file are noted to be."""
    with closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute("SELECT plain FROM runs ORDER BY first")]


def spans(path: Path) -> Spans:
    """Where the lines of a file are noted to be only texts."""
    beside = json.loads(path.with_name("chat.jsonl.meta").read_bytes())
    return [(start, stop) for start, stop in beside["plain"]]


@pytest.mark.asyncio
@pytest.mark.parametrize("suffix", ["db", "jsonl"])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("messages", "plain"), CASES.values(), ids=CASES)
async def test_texts_are_known_and_sent_as_a_lists(
    tmp_path: Path, messages: list[dict[str, Any]], plain: bool, dialect: str, suffix: str
) -> None:
    """The same bytes as for the list, whether or not the file knows that they are only texts."""
    path = tmp_path / f"chat.{suffix}"
    async with Conversation.open(path) as kept:
        await kept.extend(messages)
        assert await sent(messages, dialect) == await sent(kept.still(), dialect)

    if suffix == "db":
        assert [int(plain)] == flags(path)
    else:
        assert plain == covers(spans(path), 0, path.stat().st_size)


MESSAGES = st.lists(
    st.tuples(st.sampled_from([ASK, ASK, ASK, CALL, RESULT]), st.integers(1, 3000)), max_size=40
)


@settings(max_examples=25)
@given(MESSAGES, st.integers(0, 39), st.sampled_from(["append", "redact", "delete", "truncate"]))
@pytest.mark.asyncio
async def test_lines_are_sent_as_a_lists_after_every_change(
    messages: list[tuple[dict[str, Any], int]], at: int, change: str
) -> None:
    """Byte for byte, in this process and in the next; and what is noted is so."""
    side = 0
    said: list[dict[str, Any]] = []
    for message, size in messages:
        side = side if size % 5 == 0 else 1 - side
        text = {"role": ("user", "assistant")[side], "content": f"{size} " * (size // 4 + 1)}
        said.append(text if message is ASK else message)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chat.jsonl"
        with SyncConversation.open(path) as kept:
            kept.extend(said)
            if change != "append" and at < len(said):
                {"redact": kept.redact, "delete": kept.delete, "truncate": kept.truncate}[change](
                    at
                )
            kept.append(ASK)
            expected = [*kept]
            found = [await sent(Conversation(kept).still(), "anthropic_messages")]
        async with Conversation.open(path) as again:
            found.append(await sent(again.still(), "anthropic_messages"))
        noted, start = spans(path), 0
        for line in path.read_bytes().split(b"\n")[:-1]:
            stop = start + len(line) + 1
            assert is_plain_line(line) or not covers(noted, start, stop)
            start = stop

    assert [await sent(expected, "anthropic_messages")] * 2 == found


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_lines_that_are_plain_no_more_are_refused(tmp_path: Path, dialect: str) -> None:
    """Whatever another program makes of them, without changing how long they are."""
    path = tmp_path / "chat.jsonl"
    with SyncConversation.open(path) as kept:
        kept.extend([ASK, {"role": "assistant", "content": "well, yes"}] * 2000)
    data = path.read_bytes()
    for old, new in ((b'"user"', b'"tool"'), (b"\n", b" "), (b'"}', b"!}"), (b"{", b"!")):
        path.write_bytes(data.replace(old, new, 1))
        async with Conversation.open(path) as again:
            with pytest.raises(PenstockError) as refused:
                await sent(again.still(), dialect)
        if old != b'"user"':  # what is a message all the same may be one that nobody can say
            assert isinstance(refused.value, ConversationError)
            assert "changed" == refused.value.code


def test_what_was_not_told_of_is_found_when_it_is_checked(tmp_path: Path) -> None:
    """Another program's lines, and those of a process that was killed."""
    path = tmp_path / "chat.jsonl"
    lines = [json.dumps(each, separators=(",", ":")) for each in [ASK, CALL, ASK, ASK]]
    path.write_text("\n".join([*lines, json.dumps(ASK), ""]), "utf-8")
    with SyncConversation.open(path) as kept:
        kept.append(ASK)
        assert 6 == len([*kept])

    size = path.stat().st_size
    assert [(size - len(lines[0]) - 1, size)] == spans(path)  # the others are too short to note


@given(
    st.lists(st.tuples(st.booleans(), st.integers(5, 60_000)), max_size=60),  # one is never empty
    st.integers(0, 59),
    st.integers(-3, 3),
)
def test_spans_cover_nothing_that_is_not_noted(
    lines: list[tuple[bool, int]], at: int, moved: int
) -> None:
    """As lines are added, and once one of them is another."""
    noted: Spans = []
    places: list[tuple[int, int, bool]] = []
    end = 0
    for plain, size in lines:
        places.append((end, end + size, plain))
        end += size
        if plain:
            extend(noted, *places[-1][:2])
    for start, stop, plain in places:
        assert plain or not covers(noted, start, stop)

    if at < len(places):
        start, stop, _ = places[at]
        left = without(noted, start, stop, moved=moved)
        assert not covers(left, start, stop + moved + 1)
        for first, last, plain in places[at + 1 :]:
            assert covers(left, first + moved, last + moved) == covers(noted, first, last)
            assert plain or not covers(left, first + moved, last + moved)


def test_few_spans_are_kept_and_the_longest() -> None:
    """However often a conversation goes from texts to calls and back."""
    noted: Spans = []
    for number in range(5000):
        extend(noted, number * 1_000_000, number * 1_000_000 + 70_000 + number % 7)

    assert len(noted) <= 256
    assert {6} == {(stop - start) % 10_000 for start, stop in noted[:64]}


def test_runs_know_what_they_are_after_every_change(tmp_path: Path) -> None:
    """Put together, redacted, taken out of and cut, runs are plain if all their messages are."""
    path = tmp_path / "chat.db"
    found = []
    with SyncConversation.open(path) as kept:
        for _ in range(128):
            kept.append(ASK)
        found.append(flags(path))
        kept.redact(5)
        found.append(flags(path))
        kept.append(CALL)
        kept.delete(0)
        kept.truncate(3)
        found.append(flags(path))
        for _ in range(60):
            kept.extend([ASK, CALL, RESULT])
            kept.append(ASK)
            kept.append(ASK)
        found.append(flags(path))

    assert [[1], [1, 1, 1], [1]] == found[:3]
    assert 0 in found[3]


def test_a_file_of_the_first_form_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its runs are looked at as before, what is added is noted, and the later form stays."""
    path = tmp_path / "chat.db"
    line = json.dumps(ASK, separators=(",", ":")).encode() + b"\n"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(schema._STEPS[0])
        database.execute("INSERT INTO conversations (name, length) VALUES ('', 2)")
        database.execute(
            "INSERT INTO runs (conversation, first, count, data) VALUES (1, 0, 2, ?)", (2 * line,)
        )
        database.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        database.execute("PRAGMA user_version = 1")
        database.commit()

    with SyncConversation.open(path) as kept:
        kept.append(ASK)
        assert [ASK] * 3 == [*kept]

    assert [0, 1] == flags(path)
    with closing(sqlite3.connect(path)) as database:
        assert 3 == schema.VERSION == database.execute("PRAGMA user_version").fetchone()[0]
