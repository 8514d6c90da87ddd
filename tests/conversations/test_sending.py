"""A kept conversation is sent as it is kept, whole, through the openai_chat dialect."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import penstock as ps
from penstock.conversations import Conversation
from penstock.dialects.openai_chat import OpenAIChat
from penstock.encoders import Body
from penstock.interfaces import Target
from penstock.request import ChatRequest

TARGET = Target(
    deployment="d",
    provider="p",
    model="m",
    base_url="https://api.example.com/v1",
    origin="https://api.example.com",
)
MINE = {"dialect": "openai_chat", "origin": TARGET.origin, "reasoning_content": "hm"}
OTHER = {"dialect": "gemini", "origin": "https://g.example"}
PDF = {"type": "document", "document": {"data": "AAAA", "media_type": "application/pdf"}}


def say(number: int, size: int = 10) -> dict[str, Any]:
    """Message number so and so."""
    return {"role": "user" if number % 2 == 0 else "assistant", "content": f"{number:0{size}}"}


CASES: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "one": [say(0)],
    "many": [say(number) for number in range(3000)],
    "large": [say(0), say(1, 150_000), say(2), say(3, 66_000)],
    "with state": [say(0), say(1) | {"provider_state": MINE}, say(2)],
    "of another": [say(0), say(1) | {"provider_state": OTHER}, say(2)],
    "large with state": [say(0), say(1, 150_000) | {"provider_state": MINE}, say(2)],
    "document": [{"role": "user", "content": [PDF]}, *map(say, range(1, 300))],
    "marked in text": [{"role": "user", "content": 'a "provider_state" and a\n "document"'}],
}


@pytest_asyncio.fixture(params=["memory", "jsonl", "sqlite"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Conversation]:
    """A conversation in each store."""
    suffix = {"jsonl": "chat.jsonl", "sqlite": "chat.db"}.get(request.param)
    async with Conversation.open(suffix and tmp_path / suffix) as conversation:
        yield conversation


async def sent(messages: Any, dropped: list[str]) -> tuple[bytes, int]:
    """The body that a request with `messages` has, and its length as told before."""
    request = ChatRequest(model="m", messages=messages)
    outgoing = OpenAIChat().encode(request, TARGET, dropped=dropped)
    body = Body(outgoing.fields, buffer_size=4096)
    return b"".join([piece async for piece in body.open()]), await body.length()


pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("messages", CASES.values(), ids=CASES)
async def test_it_is_sent_as_the_list_of_its_messages_is(
    kept: Conversation, messages: list[dict[str, Any]]
) -> None:
    """Byte for byte, in every pass; what is not for this provider is left out and reported."""
    await kept.extend(messages)
    dropped: list[str] = []
    expected: list[str] = []

    body, length = await sent(kept, dropped)

    assert (await sent(messages, expected))[0] == body
    assert len(body) == length
    assert bool(expected) == bool(dropped)


async def test_it_is_the_conversation_of_a_call(kept: Conversation) -> None:
    """The reply is appended, and the next turn sends it."""
    async with ps.Client() as client:
        for turn in ("one", "two"):
            await kept.append({"role": "user", "content": turn})
            reply = await client.chat("sim/echo", kept)
            await kept.append(reply.message)

    assert [
        ("user", "one"),
        ("assistant", "one"),
        ("user", "two"),
        ("assistant", "two"),
    ] == [(message["role"], message["content"]) async for message in kept]


async def test_it_is_sent_in_other_dialects_message_by_message(kept: Conversation) -> None:
    """Whoever only iterates gets the messages as dicts."""
    await kept.extend([say(0), say(1, 70_000)])

    assert [say(0), say(1, 70_000)] == [message async for message in kept]
    assert [say(1, 70_000), say(0)] == [message async for message in kept.backwards()]
    assert json.loads(json.dumps(say(1, 70_000))) == await kept.get(-1)
