"""A kept conversation is sent as it is kept, whole, through the openai_chat dialect."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from threading import current_thread
from typing import Any

import anyio
import pytest
import pytest_asyncio

import penstock as ps
from penstock.conversations import Conversation, runs
from penstock.conversations.numbered import sums_up
from penstock.dialects.openai_chat import OpenAIChat
from penstock.encoders import Body
from penstock.errors import ConversationError, UsageError
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


def body_of(messages: Any) -> Body:
    """The body of a request with `messages`."""
    request = ChatRequest(model="m", messages=messages)
    return Body(OpenAIChat().encode(request, TARGET, dropped=[]).fields, buffer_size=4096)


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


async def test_what_is_told_is_what_is_sent(kept: Conversation) -> None:
    """A digest and a length, of all of it, of a view, and of what a guard watches; and again."""
    await kept.extend([say(0), say(1, 150_000), *map(say, range(2, 3000))])
    guard = ps.PromptCacheGuard()

    for messages in (kept, await kept.last(700), guard.watch(kept, "m"), kept.sync):
        body = body_of(messages)
        digest, length = await body.sha256(), await body.length()
        for _ in range(2):
            sent = b"".join([piece async for piece in body.open()])
            assert (sha256(sent).hexdigest(), len(sent)) == (digest, length)


async def test_a_call_sends_what_was_there_when_it_began(kept: Conversation) -> None:
    """Whoever appends between its passes; the next call has it."""
    await kept.extend(map(say, range(3000)))
    body = body_of(kept.still())
    length = await body.length()
    await kept.append(say(3000))

    sent = b"".join([piece async for piece in body.open()])
    assert length == len(sent)
    assert 3000 == len(json.loads(sent)["messages"])
    assert 3000 == len([message async for message in kept.still()]) - 1


async def test_a_retry_sends_what_the_call_sent_or_fails(kept: Conversation) -> None:
    """A turn that comes and is taken back is not part of it; a message that is taken out is."""
    await kept.extend(map(say, range(5)))
    call = kept.still()
    first = [message async for message in call]
    await kept.append(say(5))
    again = aiter(call)
    assert say(0) == await anext(again)
    await kept.truncate(5)
    assert first[1:] == [message async for message in again]
    assert first == [message async for message in call]
    await kept.delete(0)
    await kept.extend(map(say, range(5, 8)))

    with pytest.raises(ConversationError) as caught:
        [message async for message in call]
    assert "changed" == caught.value.code


async def test_what_is_changed_between_passes_is_noticed(kept: Conversation) -> None:
    """Before the last byte, even where the length stays."""
    await kept.extend(map(say, range(3000)))
    body = body_of(kept)
    length = await body.length()
    await kept.redact(1, f"{7:010}")

    seen: list[int] = []

    async def take() -> None:
        async for piece in body.open():
            seen.append(len(piece))  # noqa: PERF401  # what came before it fails counts

    with pytest.raises(UsageError, match="edited"):
        await take()
    assert sum(seen) < length


async def test_telling_can_be_broken_off(kept: Conversation) -> None:
    """A call that is cancelled while its body is counted leaves nothing, and can be made again."""
    await kept.extend(map(say, range(20_000)))
    body = body_of(kept)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await body.length()

    assert scope.cancelled_caught
    assert await body.length() == len(b"".join([piece async for piece in body.open()]))


async def test_no_disk_is_waited_for_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of SQLite are read in worker threads, between summaries and at every end, too."""
    own, where = current_thread(), set()
    read = runs.read

    def noted(*arguments: Any) -> Any:
        where.add(current_thread())
        return read(*arguments)

    monkeypatch.setattr(runs, "read", noted)
    async with Conversation.open(tmp_path / "chat.db") as kept:
        await kept.extend(map(say, range(5000)))
        kept.sync.store.note(sums_up(2, 4, say(2)))
        for messages in (kept, await kept.summarised(), kept.still()):
            async for _ in body_of(messages).open():
                pass
            _ = [message async for message in messages]

    assert where
    assert own not in where
