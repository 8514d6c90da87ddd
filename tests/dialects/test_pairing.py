"""Calls and results without ids, or with one id for several, reach every vendor in pairs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock.conversations import SyncConversation
from penstock.dialects import DIALECTS, dialect
from penstock.dialects.pairing import Pairs, paired
from penstock.encoders import Body, encode_json
from penstock.fields import Run, Slices, Streamed
from penstock.interfaces import Target
from penstock.request import ChatRequest

Json = Any


def call(name: str, **fields: Json) -> Json:
    """A call of a function."""
    return {"type": "function", "function": {"name": name, "arguments": "{}"}, **fields}


def conversation(calls: list[Json], results: list[Json]) -> list[Json]:
    """A question, two calls and their results, and the same again."""
    turn = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        *({"role": "tool", **each} for each in results),
    ]
    return [*turn, *turn]


ODD: dict[str, list[Json]] = {
    "as Ollama's own": conversation(
        [call("a"), call("b")],
        [{"name": "a", "content": "one"}, {"name": "b", "content": "two"}],
    ),
    "empty ids": conversation(
        [call("a", id=""), call("b", id="")],
        [{"tool_call_id": "", "content": "one"}, {"tool_call_id": "", "content": "two"}],
    ),
    "one id for both": conversation(
        [call("a", id="x"), call("b", id="x")],
        [{"tool_call_id": "x", "content": "one"}, {"tool_call_id": "x", "content": "two"}],
    ),
    "one without": conversation(
        [call("a", id="x"), call("b")],
        [{"tool_call_id": "x", "content": "one"}, {"content": "two"}],
    ),
    "a call of nothing": conversation(
        [call(""), call("b")],
        [{"content": "one"}, {"content": "two"}],
    ),
}
BEFORE = [{"role": "user", "content": "b"}] * 1022
"""So many that the first calls are at the end of what is paired in one go."""
NEEDS_NONE = {"gemini", "ollama"}
"""Their calls and results may have no ids; the names and the order pair them."""


def said(name: str, messages: Json) -> Json:
    """The body that a conversation becomes."""
    return json.loads(b"".join(encode_json(dict(fields_of(name, messages)))))


def fields_of(name: str, messages: Json) -> Mapping[str, Json]:
    """The fields of the body that a conversation becomes."""
    target = Target(
        deployment="d",
        provider="p",
        model="claude-sonnet-4-6",
        base_url="https://x.test/v1",
        origin="https://x.test",
        region="us-east-1",
    )
    request = ChatRequest(model="m", messages=messages)
    return dialect(name).encode(request, target, dropped=[]).fields


def ids(value: Json, keys: tuple[str, ...]) -> Iterator[Json]:
    """What stands under any of `keys`, in order."""
    if isinstance(value, dict):
        if found := [value[key] for key in keys if key in value]:
            yield from found
        for each in value.values():
            yield from ids(each, keys)
    elif isinstance(value, list):
        for each in value:
            yield from ids(each, keys)


def pairs(name: str, body: Json) -> tuple[list[str], list[str]]:
    """The ids of calls and of results."""
    if name == "bedrock_converse":
        uses, results = ids(body, ("toolUse",)), ids(body, ("toolResult",))
        return [e["toolUseId"] for e in uses], [e["toolUseId"] for e in results]
    if name in ("anthropic_messages", "bedrock_invoke"):
        blocks = [block for turn in body["messages"] for block in turn["content"]]
        return (
            [b["id"] for b in blocks if isinstance(b, dict) and b["type"] == "tool_use"],
            [b["tool_use_id"] for b in blocks if isinstance(b, dict) and "tool_use_id" in b],
        )
    if name == "openai_responses":
        items = [item for item in body["input"] if "call_id" in item]
        return (
            [item["call_id"] for item in items if item["type"] == "function_call"],
            [item["call_id"] for item in items if item["type"] == "function_call_output"],
        )
    calls = [each["id"] for found in ids(body, ("tool_calls",)) for each in found]
    return calls, list(ids(body, ("tool_call_id",)))


@pytest.mark.parametrize("messages", ODD.values(), ids=ODD)
@pytest.mark.parametrize("name", sorted(set(DIALECTS) - NEEDS_NONE))
@pytest.mark.parametrize(
    "kind",
    [list, iter, lambda messages: BEFORE + messages],
    ids=["list", "iterator", "long list"],
)
def test_calls_and_results_are_in_pairs(name: str, messages: list[Json], kind: Any) -> None:
    """Each result has the id of its call, no id is there twice in a turn, and no name is empty."""
    body = said(name, kind(messages))
    calls, results = pairs(name, body)

    assert calls == results
    assert 4 == len(calls)
    assert all(calls)
    assert all(len({*turn}) == 2 for turn in (calls[:2], calls[2:]))
    assert "" not in ids(body, ("name",))


@pytest.mark.parametrize("name", sorted(NEEDS_NONE))
def test_no_id_is_said_where_none_is_needed(name: str) -> None:
    """Gemini's and Ollama's results have the names of their calls, by their order."""
    for case in ("as Ollama's own", "empty ids"):
        body = said(name, ODD[case])
        named = list(ids(body, ("tool_name",) if name == "ollama" else ("functionResponse",)))
        names = named if name == "ollama" else [each["name"] for each in named]

        assert ["a", "b", "a", "b"] == names
        assert "made" not in json.dumps(body)


def test_what_pairs_is_left_alone() -> None:
    """A conversation with ids is the object that it was, and costs no more than a look."""
    messages = conversation(
        [call("a", id="1"), call("b", id="2")],
        [{"tool_call_id": "1", "content": "x"}, {"tool_call_id": "2", "content": "y"}],
    )

    assert paired(messages) is messages


class Seen(dict[str, Json]):
    """A message that counts how often somebody looks for calls in it."""

    looks = 0

    def __contains__(self, key: object) -> bool:
        Seen.looks += 1
        return super().__contains__(key)


def test_a_long_list_is_paired_as_it_is_sent() -> None:
    """No more of it is looked at in one go than its next messages, and each only once."""
    found = paired([Seen(role="user", content="x") for _ in range(10_000)])
    looks = [Seen.looks]
    for start in (0, 1000, 500, 3000):
        found[start : start + 1000]
        looks.append(Seen.looks)

    assert [0, 1000, 2000, 2000, 4000] == looks
    assert 10_000 == len(found) == len([*found]) == Seen.looks


def test_plain_messages_of_a_long_list_need_no_look() -> None:
    """Who has seen their keys says so, in their order; others are looked at as always."""
    before = Seen.looks
    found = paired([Seen(role="user", content="x") for _ in range(3000)])
    assert isinstance(found, Slices)

    assert [True, True] == [found.stays(slice(at, at + 1000)) for at in (0, 1000)]
    assert found.given(slice(500, 1500)) == found[500:1500]
    assert 0 == Seen.looks - before
    assert not found.stays(slice(2001, 3000))
    assert 1000 == len(found[2000:3000]) == Seen.looks - before


def test_results_that_wait_for_their_ids_are_looked_for() -> None:
    """Though they have no more keys than a plain message; behind the last of them nobody looks."""
    calls = {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b")]}
    results = [{"role": "tool", "content": str(number)} for number in range(2)]
    plain = [{"role": "user", "content": "x"} for _ in range(3000)]
    found = paired([calls, *results, *plain])
    assert isinstance(found, Slices)
    first, *_ = found[0:1]
    ids = [each["id"] for each in first["tool_calls"]]

    assert not found.stays(slice(1, 9))
    assert ids == [each["tool_call_id"] for each in found[1:3]]
    assert found.stays(slice(3, 1003))
    assert not found.stays(slice(2, 1003))


def test_the_pairing_is_that_of_one_message() -> None:
    """A result that came late, behind another's calls, is not given one of theirs."""
    first = {"role": "assistant", "tool_calls": [call("a")]}
    odd = Pairs()
    odd.paired(first)
    second = odd.paired({"role": "assistant", "tool_calls": [call("b"), call("c")]})
    results = [odd.paired({"role": "tool", "content": str(n)}) for n in range(3)]

    assert [each["id"] for each in second["tool_calls"]] == [
        each["tool_call_id"] for each in results[:2]
    ]
    assert "tool_call_id" not in results[2]


LONG = "y" * 70_000
KEPT = {
    **ODD,
    "as is": conversation(
        [call("a", id="1"), call("b", id="2")],
        [{"tool_call_id": "1", "content": "x"}, {"tool_call_id": "2", "content": "y"}],
    ),
    "large results": conversation(
        [call("a"), call("b")], [{"name": "a", "content": LONG}, {"name": "b", "content": LONG}]
    ),
    "a large call": conversation(
        [{"function": {"name": "a", "arguments": json.dumps({"id": LONG})}}, call("b", id="x")],
        [{"content": "one"}, {"tool_call_id": "x", "content": "two"}],
    ),
    "large calls of one id": conversation(
        [call("a", id="x", more=LONG), call("b", id="x")],
        [{"tool_call_id": "x", "content": "one"}, {"tool_call_id": "x", "content": "two"}],
    ),
    "a large call of nothing": conversation(
        [call("", id="x", more=LONG), call("b", id="z")],
        [{"tool_call_id": "x", "content": "one"}, {"tool_call_id": "z", "content": "two"}],
    ),
    "blocks between": [
        {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b")]},
        *({"role": "user", "content": "z" * 20_000} for _ in range(4)),
        {"role": "tool", "content": "one"},
        {"role": "tool", "content": "two"},
    ],
}


@pytest.mark.asyncio
@pytest.mark.parametrize("case", KEPT)
@pytest.mark.parametrize("name", ["openai_chat", "watsonx", "mistral", "anthropic_messages"])
async def test_a_kept_conversation_is_paired_as_a_list(
    name: str, case: str, tmp_path: Path
) -> None:
    """In each pass: what is copied as it is kept is looked at for it."""
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.extend(KEPT[case])
        body = Body(fields_of(name, kept), buffer_size=4096)

        for _ in range(2):
            sent = b"".join([piece async for piece in body.open()])
            assert said(name, KEPT[case]) == json.loads(sent)


@pytest.mark.asyncio
async def test_what_pairs_is_copied(tmp_path: Path) -> None:
    """A kept conversation with ids is not opened, however large its calls are."""
    calls = [call("a", id="1", more=LONG), call("b", id="2")]
    results = [{"tool_call_id": "1", "content": LONG}, {"tool_call_id": "2", "content": "y"}]
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.extend(conversation(calls, results))

        items = [type(item) async for item in fields_of("openai_chat", kept)["messages"].source()]

    assert {Run, Streamed} == {*items}
