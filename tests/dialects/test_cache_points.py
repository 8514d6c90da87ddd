"""Where a prompt is to be cached reaches who can be told, whatever the conversation is in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

import penstock as ps
from penstock.dialects import dialect
from penstock.encoders import Body, Raw
from penstock.errors import ConfigurationError, UnsupportedFeatureError, UsageError
from penstock.interfaces import Target
from penstock.providers.catalogue import ProviderRow, find_row
from penstock.request import CachePoints, ChatRequest

TARGET = Target(
    deployment="d",
    provider="p",
    model="claude-x",
    base_url="https://api.example.com",
    origin="https://api.example.com",
)
TOOLS = tuple(
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in "ab"
)


def say(role: str, content: str) -> dict[str, str]:
    """A message."""
    return {"role": role, "content": content}


TALK = [
    say("system", "s0"),
    say("system", "s1"),
    say("user", "u2"),
    say("assistant", "a3"),
    say("user", "u4"),
]


class Awaited:
    """A conversation to be waited for."""

    def __init__(self, messages: list[Any]) -> None:
        self.messages = messages

    async def __aiter__(self) -> AsyncIterator[Any]:
        for message in self.messages:
            yield message


KEPT: list[Callable[[list[Any]], Any]] = [
    list,
    lambda messages: lambda: iter(messages),
    Awaited,
    iter,
    lambda messages: [Raw(json.dumps(message).encode()) for message in messages],
]


MARK = {"cache_control": {"type": "ephemeral"}}


async def fields(
    name: str,
    messages: Any,
    points: CachePoints | None,
    *,
    dropped: list[str] | None = None,
    strict: bool = False,
    row: ProviderRow | None = None,
) -> Any:
    """The body that is sent."""
    request = ChatRequest(
        model="m", messages=messages, tools=TOOLS, cache_points=points, strict=strict
    )
    there = TARGET if row is None else replace(TARGET, quirks=row.quirks_of("m"))
    said = dialect(name).encode(request, there, dropped=[] if dropped is None else dropped)
    body = Body(said.fields, buffer_size=64)
    return json.loads(b"".join([piece async for piece in body.open()]))


@pytest.mark.asyncio
@pytest.mark.parametrize("keep", KEPT)
async def test_anthropic_is_told_where_to_cache(keep: Callable[[list[Any]], Any]) -> None:
    """Behind the last tool, the system and the last turns: four places and no more."""
    points = CachePoints(turns=2, ttl="1h")
    mark = {"type": "ephemeral", "ttl": "1h"}

    body = await fields("anthropic_messages", keep(TALK), points)

    assert [None, mark] == [tool.get("cache_control") for tool in body["tools"]]
    assert [None, mark] == [part.get("cache_control") for part in body["system"]]
    assert [None, mark, mark] == [
        turn["content"][-1].get("cache_control") if isinstance(turn["content"], list) else None
        for turn in body["messages"]
    ]


@pytest.mark.asyncio
async def test_bedrock_is_told_where_to_cache() -> None:
    """By points behind what is cached (``CachePointBlock`` of its service model)."""
    body = await fields("bedrock_converse", TALK, CachePoints())

    point = {"cachePoint": {"type": "default"}}
    assert point == body["toolConfig"]["tools"][-1]
    assert point == body["system"][-1]
    assert [False, False, True] == [point in turn["content"] for turn in body["messages"]]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["anthropic_messages", "bedrock_converse"])
async def test_what_is_not_wanted_is_not_marked(name: str) -> None:
    """And nothing is without cache points."""
    none = await fields(name, TALK, CachePoints(tools=False, system=False, turns=0))

    assert await fields(name, TALK, None) == none
    assert "cache" not in json.dumps(none)


@pytest.mark.asyncio
async def test_a_mark_of_ones_own_is_kept() -> None:
    """On a message, and on one of its parts."""
    own = {"type": "ephemeral", "ttl": "5m"}
    part = {"type": "text", "text": "u", "cache_control": own}
    talk = [{"role": "user", "content": [part, {"type": "text", "text": "v"}]}]

    body = await fields("anthropic_messages", talk, CachePoints(ttl="1h"))

    assert [own, None] == [each.get("cache_control") for each in body["messages"][0]["content"]]


OTHERS = ["openai_chat", "gemini", "mistral", "cohere", "ollama", "openai_responses", "watsonx"]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", OTHERS)
async def test_others_are_sent_nothing_of_it_and_it_is_said(name: str) -> None:
    """A provider that caches by itself would refuse the word."""
    dropped: list[str] = []
    body = await fields(name, TALK, CachePoints(), dropped=dropped)

    assert await fields(name, TALK, None) == body
    assert ["cache_points"] == dropped
    with pytest.raises(UnsupportedFeatureError, match="cache_points"):
        await fields(name, TALK, CachePoints(), strict=True)


@pytest.mark.asyncio
@pytest.mark.parametrize("keep", KEPT)
async def test_a_gateway_that_documents_marks_is_told_in_the_parts(
    keep: Callable[[list[Any]], Any],
) -> None:
    """OpenRouter's ``ChatContentText`` and ``ChatFunctionTool`` have them, not its messages."""
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    row = find_row("openrouter")
    assert row is not None
    dropped: list[str] = []

    body = await fields(
        "openai_chat", keep(TALK), CachePoints(turns=2, ttl="1h"), dropped=dropped, row=row
    )

    marked = [{"type": "text", "text": "s1", **mark}]
    assert [
        TALK[0],
        {"role": "system", "content": marked},
        TALK[2],
        *({**each, "content": [{**marked[0], "text": each["content"]}]} for each in TALK[3:]),
    ] == body["messages"]
    assert [TOOLS[0], {**TOOLS[1], **mark}] == body["tools"]
    assert [] == dropped


@pytest.mark.asyncio
async def test_a_part_of_ones_own_and_calls_alone_stay_as_they_are_at_a_gateway() -> None:
    """A mark by hand wins; where there is no part, there is nothing to mark."""
    row = find_row("litellm_proxy")
    image = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
    call = {"id": "1", "type": "function", "function": {"name": "a", "arguments": "{}"}}
    own = {"type": "text", "text": "q", "cache_control": {"type": "ephemeral"}}
    talk = [
        {"role": "system", "content": [own, {"type": "text", "text": "r"}]},
        {"role": "user", "content": [{"type": "text", "text": "u"}, image]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]

    body = await fields("openai_chat", talk, CachePoints(turns=2), row=row)

    user = {**talk[1], "content": [talk[1]["content"][0], {**image, **MARK}]}
    assert [talk[0], user, talk[2]] == body["messages"]


@pytest.mark.asyncio
async def test_system_messages_alone_are_marked_too() -> None:
    """A conversation may be nothing else."""
    body = await fields("anthropic_messages", TALK[:2], CachePoints())

    assert "cache_control" in body["system"][-1]


@pytest.mark.asyncio
async def test_it_is_an_argument_of_a_call() -> None:
    """What is none is refused before anything is sent."""
    async with ps.Client() as client:
        reply = await client.chat("sim/echo", "hi", cache_points=ps.CachePoints())
        assert ("hi", ["cache_points"]) == (reply.text, reply.dropped)
        with pytest.raises(UsageError, match="CachePoints"):
            await client.chat("sim/echo", "hi", cache_points=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"turns": 3}, {"turns": -1}, {"turns": "1"}, {"ttl": "2h"}])
def test_points_that_there_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """When they are made: a provider would refuse the fifth, or the time."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        CachePoints(**wrong)
