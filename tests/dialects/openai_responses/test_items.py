"""What an answer had goes back whole: the same items, or plain words where it was edited."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter
from tests.dialects.saying import say, target_at

from penstock.dialects.openai_responses import OpenAIResponses
from penstock.dialects.openai_responses.items import kept
from penstock.interfaces import CallRecord, Quirks
from penstock.pipeline.fold import Fold
from penstock.request import ChatRequest
from penstock.response import Reply
from penstock.testing.check_dialect import DialectCase, load_cases, play

ORIGIN = "https://api.example.com"
VECTORS = Path(__file__).parents[2] / "vectors" / "openai_responses"
CASES = {case.name: case for case in load_cases(VECTORS)}
WELL = [
    case
    for case in CASES.values()
    if case.error is None and case.content_type == "text/event-stream"
]
SDK: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
NOT_THE_SDKS = {
    *("unknown", "shell_and_patch", "ids_that_rotate", "texts_interleaved"),
    "web_search",  # OpenAI's wire begins a search without the action that the SDK's type needs
}
"""Vectors with what the SDK does not have, or whose events and response differ."""


def reply_of(case: DialectCase) -> Reply:
    """The answer of a vector, folded."""
    fold = Fold()
    fold.add(play(OpenAIResponses(), case, [case.wire]).chunks)
    return fold.reply(CallRecord(dialect="openai_responses", origin=ORIGIN))


def sent(message: dict[str, Any], **request: Any) -> tuple[list[Any], list[str]]:
    """The items that a message of the assistant becomes, and what it loses."""
    found = say("openai_responses", [message], **request)
    return found.body["input"], found.dropped


def events(case: DialectCase) -> list[dict[str, Any]]:
    """The events of a recorded stream."""
    lines = case.wire.decode().split("\n")
    datas = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(data) for data in datas if data != "[DONE]"]


def whole(event: dict[str, Any]) -> dict[str, Any]:
    """An event with what the vectors leave out of a response: what the request had said."""
    if "response" not in event:
        return event
    echoed = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {**event, "response": echoed | event["response"]}


def output(case: DialectCase) -> list[dict[str, Any]]:
    """The output of the terminal event, as a request takes it back."""
    items: list[dict[str, Any]] = copy.deepcopy(events(case)[-1]["response"]["output"])
    for item in items:
        item.pop("created_by", None)
        for part in item.get("content") or ():
            part.pop("logprobs", None)
    needed = ("result", "code", "outputs")
    return [
        {name: value for name, value in item.items() if value is not None or name in needed}
        for item in items
    ]


@pytest.mark.parametrize("case", WELL, ids=lambda case: case.name)
def test_an_answer_goes_back_item_by_item(case: DialectCase) -> None:
    """Ids, phases, encrypted reasoning, built-in tools, annotations: all of it, in order."""
    items, dropped = sent(reply_of(case).message, strict=True)
    expected = output(case)
    if case.name == "ids_that_rotate":
        expected = [{**expected[1], "id": "capture-9", "phase": "final_answer"}]
    if case.name == "incomplete_filter":
        text = {"type": "output_text", "annotations": [], "text": "Once upon"}
        expected = [
            {
                "id": "msg_01",
                "type": "message",
                "status": "incomplete",
                "content": [text],
                "role": "assistant",
            }
        ]

    assert (expected, []) == (items, dropped)


@pytest.mark.parametrize("case", WELL, ids=lambda case: case.name)
def test_the_sdk_reads_the_same_answer(case: DialectCase) -> None:
    """Each event is one of the SDK's, and its response has the same text, calls and counts."""
    if case.name in NOT_THE_SDKS:
        return
    read = [SDK.validate_python(whole(event)) for event in events(case)]
    response, reply = read[-1].response, reply_of(case)

    if case.name != "incomplete_filter":  # whose text is in its deltas only
        assert response.output_text == reply.text
    calls = [item for item in response.output if item.type in ("function_call", "custom_tool_call")]
    assert [(call.call_id, call.name) for call in calls] == [
        (call.id, call.name) for call in reply.tool_calls
    ]
    assert [getattr(call, "arguments", None) or call.input for call in calls] == [
        call.arguments for call in reply.tool_calls
    ]
    assert reply.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (
        reply.usage.input_tokens,
        reply.usage.output_tokens,
    )
    assert response.id == reply.id


def test_nothing_is_kept_twice() -> None:
    """The state refers to text and arguments; what it has of its own is nowhere else."""
    reply = reply_of(CASES["reasoning_tools"])
    state = json.dumps(reply.message["provider_state"])

    assert "Ulm" not in state
    assert "get_weather" not in state
    assert "Planning" in state
    assert "wörld" not in json.dumps(reply_of(CASES["plain"]).message["provider_state"])


def edit(message: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy of `message` with some fields changed."""
    return {**copy.deepcopy(message), **changes}


def test_an_edited_text_of_the_same_length_goes_into_its_item() -> None:
    """The references still fit: the new words are sent under the old ids."""
    message = edit(reply_of(CASES["phases"]).message, content="LET ME look. FOUND.")
    items, dropped = sent(message)

    assert ["LET ME look. ", "FOUND."] == [
        item["content"][0]["text"] for item in items if item["type"] == "message"
    ]
    assert [] == dropped


EDITS: dict[str, dict[str, Any]] = {
    "shorter text": {"content": "Found."},
    "no text": {"content": None},
    "parts": {"content": [{"type": "text", "text": "Let me look. Found."}]},
    "no calls": {"tool_calls": []},
    "another call": {
        "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "c", "input": "x"}}]
    },
    "a refusal": {"refusal": "No."},
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_answer_is_said_in_plain_words(name: str) -> None:
    """Where the references no longer fit, nothing of the state is sent, and that is reported."""
    message = edit(reply_of(CASES["phases"]).message, **EDITS[name])
    items, dropped = sent(message)
    plain = {key: value for key, value in message.items() if key != "provider_state"}

    assert sent(plain)[0] == items
    assert ["messages[0].provider_state"] == dropped
    assert "msg_01" not in json.dumps(items)


@pytest.mark.parametrize(
    "state",
    [
        {"items": "x"},
        {"items": []},
        {"items": [{}]},
        {"items": [5]},
        {"items": [{"type": "message", "content": [{"type": "output_text", "span": "x"}]}]},
        {"items": [{"type": "function_call", "call": 7}]},
    ],
)
def test_a_broken_state_is_no_error(state: dict[str, Any]) -> None:
    """It comes from a store that anybody may have written to."""
    around = {"dialect": "openai_responses", "origin": ORIGIN}
    message = {"role": "assistant", "content": "Hi", "provider_state": {**around, **state}}

    assert ([{"role": "assistant", "content": "Hi"}], ["messages[0].provider_state"]) == sent(
        message
    )


@pytest.mark.parametrize(
    "other", [{"dialect": "openai_chat"}, {"origin": "https://other.example.com"}]
)
def test_the_state_goes_to_nobody_else(other: dict[str, str]) -> None:
    """Ids and encrypted reasoning are of one origin and dialect."""
    message = reply_of(CASES["reasoning_tools"]).message
    message["provider_state"] |= other
    items, dropped = sent(message)

    assert ["function_call", "function_call"] == [item["type"] for item in items]
    assert not any("id" in item for item in items)
    assert ["messages[0].provider_state"] == dropped


def test_a_message_survives_json_and_pickle() -> None:
    """A store keeps it, and it goes back all the same."""
    message = reply_of(CASES["web_search"]).message

    assert sent(message) == sent(json.loads(json.dumps(message)))
    assert sent(message) == sent(pickle.loads(pickle.dumps(message)))


def test_results_find_the_calls_that_went_back() -> None:
    """Those of custom tools have a type of their own, and an id that is too long is made to fit."""
    message = reply_of(CASES["custom_tool"]).message
    message["tool_calls"][0]["id"] = "c" * 70
    found = say(
        "openai_responses",
        [message, {"role": "tool", "tool_call_id": "c" * 70, "content": "1"}],
    ).body["input"]

    assert ["custom_tool_call", "custom_tool_call_output"] == [item["type"] for item in found]
    assert found[0]["call_id"] == found[1]["call_id"] != "c" * 70


def test_items_may_go_back_without_ids() -> None:
    """A flag of providers that keep none; an approval is answered by its id, which stays."""
    quirks = Quirks(flags=frozenset({"no_item_ids"}))
    target = target_at(f"{ORIGIN}/v1", quirks=quirks)
    for name, ids in (("reasoning_tools", []), ("mcp", ["mcpr_01"])):
        asked = ChatRequest(model="m", messages=[reply_of(CASES[name]).message])
        fields = OpenAIResponses().encode(asked, target, dropped=[]).fields
        assert ids == [item["id"] for item in fields["input"] if "id" in item]


def test_reasoning_that_nobody_keeps_is_not_sent_back() -> None:
    """Without its encrypted form, and not stored, it would be refused as not found."""
    wire = CASES["reasoning_tools"].wire.replace(b'"encrypted_content"', b'"x"')
    stored = wire.replace(b'"store":false', b'"store":true')
    silent = wire.replace(b',"store":false', b"")

    def types(data: bytes) -> list[str]:
        case = DialectCase("x", data, ())
        return [item["type"] for item in sent(reply_of(case).message)[0]]

    calls = ["function_call", "function_call"]
    assert (calls, ["reasoning", *calls]) == (types(wire), types(stored))
    assert ["reasoning", *calls] == types(silent)


def test_a_text_that_others_came_between_is_kept_itself() -> None:
    """Its place in the message is more than one."""
    part = {"type": "output_text", "text": "ab", "annotations": []}

    assert part in kept({"type": "message", "content": [part]}, call=None, spans=[None])["content"]
