"""A conversation that is not what was sent the turn before is noticed, at its first change."""

from __future__ import annotations

import sys
import tracemalloc
from collections import UserDict
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import penstock as ps
from penstock.errors import EncodeError, UsageError
from penstock.prompt_cache import PromptCacheGuard


def say(number: int) -> dict[str, str]:
    """Message number so and so."""
    return {"role": "user" if number % 2 == 0 else "assistant", "content": f"{number}"}


class Awaited:
    """A conversation to be waited for."""

    def __init__(self, messages: list[Any]) -> None:
        self.messages = messages

    async def __aiter__(self) -> AsyncIterator[Any]:
        for message in self.messages:
            yield message


KEPT: list[Callable[[list[Any]], Any]] = [
    list,
    Awaited,
    lambda messages: lambda: iter(messages),
    lambda messages: lambda: aiter(Awaited(messages)),
    iter,
]
TALK = [say(number) for number in range(6)]
CHANGES: dict[str, tuple[list[dict[str, str]], int | None]] = {
    "the same": (TALK, None),
    "more": ([*TALK, say(6), say(7)], None),
    "less": (TALK[:3], None),
    "another first": ([{"role": "user", "content": "x"}, *TALK[1:]], 0),
    "another in the middle": ([*TALK[:3], say(9), *TALK[4:]], 3),
    "one taken out": ([*TALK[:2], *TALK[3:]], 2),
    "one put in": ([TALK[0], say(9), *TALK[1:]], 1),
    "a field more": ([*TALK[:5], TALK[5] | {"name": "n"}], 5),
}

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("keep", KEPT)
@pytest.mark.parametrize(("talk", "expected"), CHANGES.values(), ids=CHANGES)
async def test_a_change_is_told_by_the_reply(
    talk: list[dict[str, str]], expected: int | None, keep: Callable[[list[Any]], Any]
) -> None:
    """However the conversation is kept; the first turn has nothing to compare with."""
    guard = ps.PromptCacheGuard()
    async with ps.Client() as client:
        first = await client.chat("sim/echo", keep(TALK), cache_guard=guard)
        second = await client.chat("sim/echo", keep(talk), cache_guard=guard)

    assert [None, expected] == [first.prompt_changed_at, second.prompt_changed_at]


@pytest.mark.parametrize("kept", [None, "chat.jsonl", "chat.db"])
async def test_a_kept_conversation_is_compared_as_it_is_kept(
    tmp_path: Any, kept: str | None
) -> None:
    """Small and large messages; a redaction is a change."""
    guard = ps.PromptCacheGuard()
    large = {"role": "user", "content": "x" * 100_000}
    async with (
        ps.Client() as client,
        ps.Conversation.open(kept and tmp_path / kept) as conversation,
    ):
        await conversation.extend([*TALK, large])
        seen = []
        for change in (None, conversation.append(say(0)), conversation.redact(6)):
            if change is not None:
                await change
            reply = await client.chat("sim/echo", conversation, cache_guard=guard)
            seen.append(reply.prompt_changed_at)

    assert [None, None, 6] == seen


async def test_each_model_has_its_own_cache() -> None:
    """What was sent to one says nothing of the other; a retry is no turn."""
    guard = ps.PromptCacheGuard()
    async with ps.Client() as client:
        await client.chat("sim/echo", TALK, cache_guard=guard)
        other = await client.chat("sim/text", TALK[1:], cache_guard=guard)
        again = await client.chat(
            "sim/echo?fail=1&status=503&key=guard", TALK, cache_guard=guard, max_retries=1
        )
        back = await client.chat("sim/echo", TALK[1:], cache_guard=guard)

    assert [None, None, 0] == [each.prompt_changed_at for each in (other, again, back)]


async def test_other_tools_change_all_of_it() -> None:
    """They are before the first message."""
    guard = ps.PromptCacheGuard()
    tools = [{"type": "function", "function": {"name": name}} for name in "fg"]
    async with ps.Client() as client:
        seen = [
            (await client.chat("sim/echo", TALK, cache_guard=guard, tools=given)).prompt_changed_at
            for given in (tools, tools, tools[:1], tools[:1], None)
        ]

    assert [None, None, 0, None, 0] == seen


@pytest.mark.parametrize("wrap", [dict, lambda message: ps.UserMessage(message["content"])])
async def test_a_file_is_told_by_what_it_is(wrap: Callable[[Any], Any]) -> None:
    """Another picture of the same size is a change, and the same one is none."""
    guard = ps.PromptCacheGuard()
    seen = []
    async with ps.Client() as client:
        for last in b"aab":
            picture = ps.ImageFile(b"\x89PNG\r\n\x1a\n" + bytes([last]))
            message = wrap({"role": "user", "content": [picture, "What is it?"]})
            reply = await client.chat("sim/text", [message], cache_guard=guard)
            seen.append(reply.prompt_changed_at)

    assert [None, None, 0] == seen


@pytest.mark.parametrize("letter", ["x", "\xe9", "\u65e5"])
async def test_a_large_text_is_told_in_the_memory_of_a_slice(letter: str) -> None:
    """Any change of it is found, and nothing of it is left with the caller's text."""
    guard = PromptCacheGuard()
    text = letter * (1 << 20)
    size = sys.getsizeof(text)
    changed = text[:-1] + "y"
    seen, peaks = [], []
    for said in (text, text, changed):
        watched: Any = guard.watch([{"role": "user", "content": [said]}], "m")
        tracemalloc.start()
        list(watched)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        seen.append(watched.change.at)

    assert [None, None, 0] == seen
    assert max(peaks) < 256 * 1024
    assert size == sys.getsizeof(text)


def nested(levels: int) -> Any:
    """Lists in each other."""
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "field",
    [
        {"content": "x\ud800"},
        {"content": "x", "n": float("nan")},
        {"n": nested(3000)},
        {(1, 2): ""},
    ],
    ids=["half a pair", "nan", "too deep", "no name"],
)
async def test_what_has_no_json_form_is_refused_as_without_a_guard(field: dict[Any, Any]) -> None:
    """In the words of the encoder, which knows where it is."""
    said = []
    async with ps.Client() as client:
        for more in ({}, {"cache_guard": ps.PromptCacheGuard()}):
            with pytest.raises(EncodeError) as refused:
                await client.chat("sim/echo", [{"role": "user"} | field], **more)  # type: ignore[arg-type]
            said.append(str(refused.value))

    assert said[0] == said[1]


class Closed(UserDict[str, str]):
    """A mapping that does not show what is in it."""

    __repr__ = object.__repr__


async def test_a_mapping_is_told_by_what_is_in_it() -> None:
    """Another that says the same is no change, and one that says something else is."""
    guard = ps.PromptCacheGuard()
    message = Closed(say(0))
    seen = []
    async with ps.Client() as client:
        for content in ("0", "0", "1"):
            message["content"] = content
            for given in (message, Closed(message)):
                reply = await client.chat("sim/text", [given], cache_guard=guard)
                seen.append(reply.prompt_changed_at)

    assert [None, None, None, None, 0, None] == seen


async def test_what_is_no_guard_is_refused() -> None:
    """Before anything is sent."""
    async with ps.Client() as client:
        with pytest.raises(UsageError, match="PromptCacheGuard"):
            await client.chat("sim/echo", "hi", cache_guard=True)  # type: ignore[arg-type]


async def test_a_guard_keeps_eight_bytes_a_message() -> None:
    """And nothing of the conversation."""
    guard = PromptCacheGuard()
    list(guard.watch(TALK * 1000, "m"))  # type: ignore[call-overload]  # a list is iterated

    assert 48_000 == sum(each.itemsize * len(each) for each in guard._sent.values())
