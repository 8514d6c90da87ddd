"""Runs of an SQLite file that are known to be only texts are sent without a look at them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from penstock.conversations import Conversation, SyncConversation, schema
from penstock.dialects import dialect as named
from penstock.encoders import Body
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


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("messages", "plain"), CASES.values(), ids=CASES)
async def test_texts_are_known_and_sent_as_a_lists(
    tmp_path: Path, messages: list[dict[str, Any]], plain: bool, dialect: str
) -> None:
    """The same bytes as for the list, whether or not the file knows that they are only texts."""
    path = tmp_path / "chat.db"
    async with Conversation.open(path) as kept:
        await kept.extend(messages)
        assert await sent(messages, dialect) == await sent(kept.still(), dialect)

    assert [int(plain)] == flags(path)


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
        assert 2 == schema.VERSION == database.execute("PRAGMA user_version").fetchone()[0]
