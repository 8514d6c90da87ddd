"""A conversation with tools, parallel calls and thinking, carried from dialect to dialect and back.

Each dialect's turn is an answer of its own vectors: of those that call tools, the one with most of
thinking, state and parallel calls. It is folded into a message, the tools' results follow, and all
is encoded for the next dialect. What is proven for every pair, and over all dialects in a row:

- the calls and their results still belong together, in ids or names that the target takes;
- the other's opaque state is not sent and is the only thing that is reported;
- the first dialect gets its own state back as if nobody else had answered in between.

Dialects are those that there are: a new one is carried along as soon as it has vectors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from penstock.chunks import ReasoningDelta, State, ToolCallDelta
from penstock.dialects import DIALECTS, dialect
from penstock.encoders import encode_json
from penstock.errors import UnsupportedFeatureError
from penstock.interfaces import CallRecord, Target
from penstock.pipeline.fold import Fold
from penstock.request import ChatRequest
from penstock.testing.check_dialect import DialectCase, load_cases

VECTORS = Path(__file__).parents[1] / "vectors"
PAIRS = [(first, second) for first in DIALECTS for second in DIALECTS if first != second]
IDS = ("call_id", "tool_call_id", "tool_use_id", "toolUseId", "id")
"""Keys under which vendors have the id of a call, in the call and in its result."""
ARGUMENTS = ("arguments", "input", "args")
"""Keys under which they have its arguments."""

Json = Any


class Turn(NamedTuple):
    """What a dialect adds to a conversation."""

    messages: list[dict[str, Json]]
    """Its answer, and the results of the calls in it."""
    calls: list[tuple[str, str]]
    """For each call, the tool's name and a text that only its result has."""
    opaque: list[str]
    """Texts of its state that only it can read."""
    tools: list[Json]
    """The tools that it calls."""


def score(case: DialectCase) -> tuple[int, int, int]:
    """How much of what is to be carried is in an answer: thinking, state, parallel calls."""
    chunks = case.chunks
    calls = {chunk.index for chunk in chunks if isinstance(chunk, ToolCallDelta)}
    plain = all(chunk.kind == "function" for chunk in chunks if isinstance(chunk, ToolCallDelta))
    if case.error is not None or not calls or not plain:
        return -1, 0, 0
    thinks = any(isinstance(chunk, ReasoningDelta) for chunk in chunks)
    keeps = any(isinstance(chunk, State) for chunk in chunks)
    return thinks + keeps, len(calls), len(chunks)


@cache
def turn(name: str) -> Turn:
    """The turn of a dialect, from its vectors."""
    cases = list(load_cases(VECTORS / name))
    if name == "openai_chat":  # its providers' thinking and signatures are recorded apart
        cases += [
            case
            for each in ("gemini", "github_copilot", "openrouter")
            for case in load_cases(VECTORS / "providers" / each)
        ]
    assert cases, f"{name} has no vectors"
    best = max(cases, key=score)
    assert score(best)[0] >= 0, f"{name} has no recorded answer that calls a tool"
    fold = Fold()
    fold.add(list(best.chunks))
    reply = fold.reply(CallRecord(dialect=name, origin=origin(name)))
    messages, calls = [reply.message], []
    for number, call in enumerate(reply.tool_calls):
        result = f"result {number} of {name}"
        calls.append((call.name, result))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    state = reply.message.get("provider_state", {})
    told = {key: value for key, value in state.items() if key not in ("dialect", "origin")}
    names = {call.name for call in reply.tool_calls}
    tools = [
        {"type": "function", "function": {"name": each, "parameters": {"type": "object"}}}
        for each in sorted(names)
    ]
    return Turn(messages, calls, sorted(set(texts(told))), tools)


def origin(name: str) -> str:
    """Where a dialect is spoken: each at a place of its own."""
    return f"https://{name.replace('_', '-')}.test"


def sent(name: str, *turns: Turn, dropped: list[str], strict: bool = False) -> Json:
    """The body that a conversation of `turns` becomes in the dialect `name`."""
    messages = [{"role": "system", "content": "Be brief."}]
    for each in turns:
        messages += [{"role": "user", "content": "Go on."}, *each.messages]
    known = {tool["function"]["name"]: tool for each in turns for tool in each.tools}
    request = ChatRequest(model="m", messages=messages, tools=tuple(known.values()), strict=strict)
    target = Target(
        deployment="d",
        provider="p",
        model="claude-sonnet-4-6",
        base_url=f"{origin(name)}/v1",
        origin=origin(name),
        region="us-east-1",
    )
    outgoing = dialect(name).encode(request, target, dropped=dropped)
    return json.loads(b"".join(encode_json(outgoing.fields)))


def foreign(name: str, turns: list[tuple[str, Turn]]) -> list[str]:
    """The reports that `turns` of several dialects give in the dialect `name`."""
    reports, place = [], 1
    for whose, each in turns:
        if whose != name and "provider_state" in each.messages[0]:
            reports.append(f"messages[{place + 1}].provider_state")
        place += 1 + len(each.messages)
    # From the fourth on all are one.
    return reports[:3] + (["messages[...].provider_state"] if len(reports) > 3 else [])


def texts(value: Json) -> Iterator[str]:
    """The texts in a JSON value."""
    if isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str) and len(value) > 3:
        yield value


def walked(value: Json, above: tuple[Json, ...] = ()) -> Iterator[tuple[Json, tuple[Json, ...]]]:
    """Every value in a JSON value, with those that it stands in, the nearest last."""
    yield value, above
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from walked(each, (*above, value))


def key_of(node: dict[str, Json]) -> str | None:
    """The id of a call or a result."""
    found = (node[name] for name in IDS if isinstance(node.get(name), str))
    return next(found, None)


def called(body: Json, name: str) -> list[str | None]:
    """For each call of the tool `name` in `body`, its id; None for a vendor without them."""
    found = []
    for node, above in walked(body):
        if (
            isinstance(node, dict)
            and node.get("name") == name
            and any(a in node for a in ARGUMENTS)
        ):
            around = [node, *(each for each in reversed(above) if isinstance(each, dict))][:2]
            found.append(next((key for each in around if (key := key_of(each))), None))
    return found


def answered(body: Json, result: str) -> str | None:
    """The id of the call that has the result `result`; None for a vendor without them."""
    for node, above in walked(body):
        if isinstance(node, str) and result in node:
            around = (each for each in reversed(above) if isinstance(each, dict))
            return next((key for each in around if (key := key_of(each))), None)
    raise AssertionError(f"{result!r} is not sent")


def check_calls(name: str, body: Json, turns: list[Turn]) -> None:
    """Hold every result in `body` to the call that it is of."""
    for each in turns:
        for tool, result in each.calls:
            answer, ids = answered(body, result), called(body, tool)
            assert ids, f"{name}: the call of {tool} is not sent"
            assert answer is None or answer in ids, (
                f"{name}: {result!r} answers {answer}, not {ids}"
            )
            if None not in ids:
                assert len(set(ids)) == len(ids), f"{name}: two calls have one id: {ids}"


@pytest.mark.parametrize("name", DIALECTS)
def test_its_own_state_goes_back(name: str) -> None:
    """What a dialect keeps of its answer is in the next request to it, with nothing reported."""
    dropped: list[str] = []

    body = sent(name, turn(name), dropped=dropped, strict=True)

    assert [] == dropped
    check_calls(name, body, [turn(name)])
    said = json.dumps(body, ensure_ascii=False)
    lost = [
        text for text in turn(name).opaque if json.dumps(text, ensure_ascii=False)[1:-1] not in said
    ]
    assert [] == [text for text in lost if len(text) > 12], "opaque texts do not go back"


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
def test_a_conversation_goes_there_and_back(first: str, second: str) -> None:
    """A -> B: calls stay whole, A's state is reported and not sent. B -> A: it is there again."""
    there, back = turn(first), turn(second)
    dropped: list[str] = []

    body = sent(second, there, dropped=dropped)

    assert foreign(second, [(first, there)]) == dropped
    check_calls(second, body, [there])
    said = set(texts(body))
    assert not {text for text in there.opaque if len(text) > 12} & said, "another's state is sent"

    alone = sent(first, there, dropped=[])
    dropped = []
    body = sent(first, there, back, dropped=dropped)

    assert foreign(first, [(first, there), (second, back)]) == dropped
    check_calls(first, body, [there, back])
    kept = set(texts(alone)) & set(there.opaque)
    assert kept <= set(texts(body)), "its own state is not what it was before the other answered"


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
def test_a_strict_conversation_keeps_its_state_or_is_refused(first: str, second: str) -> None:
    """Another's state is a loss that a strict request does not take."""
    if "provider_state" in turn(first).messages[0]:
        with pytest.raises(UnsupportedFeatureError) as caught:
            sent(second, turn(first), dropped=[], strict=True)
        assert "messages[2].provider_state" == caught.value.param
    else:
        sent(second, turn(first), dropped=[], strict=True)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_conversation_goes_through_all_and_comes_home(name: str) -> None:
    """After every other dialect has had its turn, the first still gets its own state back."""
    turns = [(each, turn(each)) for each in (name, *(other for other in DIALECTS if other != name))]
    dropped: list[str] = []

    body = sent(name, *(each for _, each in turns), dropped=dropped)

    assert foreign(name, turns) == dropped
    check_calls(name, body, [each for _, each in turns])
    alone = sent(name, turn(name), dropped=[])
    kept = set(texts(alone)) & set(turn(name).opaque)
    assert kept <= set(texts(body))
