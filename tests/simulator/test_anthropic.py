"""Anthropic's wire: requests read, events written; the SDK is its client in ``tests/sdk``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.shared import ErrorResponse
from pydantic import TypeAdapter

from penstock.simulator.answers import Ask
from penstock.simulator.behavior import parse
from penstock.simulator.intake import HEAD, Intake
from penstock.simulator.problems import PROBLEMS
from penstock.simulator.wires import wire_for
from penstock.simulator.wires.anthropic_messages import AnthropicMessages
from penstock.simulator.wires.anthropic_request import Signer

WIRE = AnthropicMessages()
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
HI = [{"role": "user", "content": "hi"}]


def intake(fields: dict[str, Any]) -> Intake:
    """A body."""
    body = Intake(None)
    body.feed(json.dumps(fields).encode(), True)
    return body


def taken(**fields: Any) -> Ask:
    """The request that a body asks."""
    return WIRE.ask(intake({"model": "m", "max_tokens": 9, "messages": HI, **fields}))


def events(model: str, **ask: Any) -> list[dict[str, Any]]:
    """The events of a streamed answer but for pings, each of its SDK's type and name."""
    found = []
    for event in WIRE.stream(Ask(model=model, text="one two", **ask), parse(model)):
        name, data = event.data.decode().strip().split("\n")
        value = json.loads(data.removeprefix("data: "))
        assert f"event: {value['type']}" == name
        if value["type"] != "ping":
            EVENT.validate_python(value)
            found.append(value)
    return found


def kinds(model: str) -> list[str]:
    """What the events of an answer are: of deltas their own type, of blocks theirs."""
    return [
        each.get("delta", {}).get("type") or each.get("content_block", each)["type"]
        for each in events(model)
    ]


@pytest.mark.parametrize("path", ["/v1/messages", "/anthropic/v1/messages"])
def test_its_path_is_its_own(path: str) -> None:
    """What comes before it does not matter."""
    assert isinstance(wire_for(path), AnthropicMessages)


def test_on_vertex_the_address_has_the_model() -> None:
    """Encoded as one segment, behind it the verb."""
    path = "/v1/projects/p/locations/r/publishers/anthropic/models/sim%2Fecho%3Fsize=1:rawPredict"
    wire = wire_for(path)
    assert wire is not None
    asked = wire.ask(intake({"anthropic_version": "v", "max_tokens": 9, "messages": HI}))

    assert ("sim/echo?size=1", "sim/echo?size=1") == (asked.model, wire.model_in(b""))


def test_a_request_is_read() -> None:
    """The limit, the tools, the schema of the answer, and the last words of the user."""
    tool = {"name": "f", "input_schema": {"type": "object"}}
    search = {"type": "web_search_20250305", "name": "web_search"}
    asked = taken(
        stream=True,
        tools=[tool, search],
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
        messages=[
            *HI,
            {"role": "assistant", "content": "x"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "text", "text": "b"},
                ],
            },
        ],
    )

    assert (
        Ask(
            model="m",
            stream=True,
            text="ab",
            tools=json.dumps([{"name": "f", "schema": {"type": "object"}}]),
            schema=json.dumps({"type": "object"}),
            usage=True,
            limit=9,
            input_tokens=asked.input_tokens,
        )
        == asked
    )


def test_results_are_a_tools_turn() -> None:
    """So that the model of tools answers in text, about what the user said before."""
    used = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "r"}
    turns = [{"role": "assistant", "content": [used]}, {"role": "user", "content": [result]}]
    asked = taken(messages=[*HI, *turns])

    assert ("tool", "hi") == (asked.last_role, asked.text)


def test_a_request_above_the_bound_is_known_by_its_ends() -> None:
    """Its model and its last message are read."""
    body = Intake(1024)
    messages = [{"role": "user", "content": "x" * (HEAD + 10)}, {"role": "user", "content": "end"}]
    body.feed(json.dumps({"model": "sim/echo", "messages": messages}).encode(), True)
    asked = WIRE.ask(body)

    assert ("sim/echo", "end", True) == (asked.model, asked.text, asked.usage)


def of(role: str, *blocks: Any) -> dict[str, Any]:
    """A turn."""
    return {"role": role, "content": list(blocks)}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens"),
    ({"model": ""}, "model"),
    ({"messages": []}, "messages"),
    ({"messages": 5}, "Messages request"),
    ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.role"),
    ({"messages": [of("user", {"type": "text", "text": " "})]}, "non-whitespace"),
    ({"messages": [of("user", {"type": "tool_result", "tool_use_id": "t"})]}, "tool_use_id"),
    (
        {"messages": [of("assistant", {"type": "thinking", "thinking": "a", "signature": "b"})]},
        "signature",
    ),
    ({"messages": [of("assistant", {"type": "thinking", "thinking": "a"})]}, "signature"),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED)
def test_what_the_api_refuses_is_refused(fields: dict[str, Any], words: str) -> None:
    """A client that loses a signature or a call is found out."""
    with pytest.raises(ValueError, match=words):
        taken(**fields)


def test_its_own_thinking_is_taken_back() -> None:
    """With the signature that came with it."""
    found = events("sim/reasoning?reasoning=3")
    thinking = "".join(
        each["delta"]["thinking"] for each in found if "thinking" in each.get("delta", {})
    )
    signature = next(
        each["delta"]["signature"] for each in found if "signature" in each.get("delta", {})
    )
    signer = Signer()
    signer.add(thinking)

    assert signer.signature() == signature
    block = {"type": "thinking", "thinking": thinking, "signature": signature}
    assert "hi" == taken(messages=[*HI, of("assistant", block)]).text


STREAMS: dict[str, list[str]] = {
    "sim/echo": [
        "message_start",
        "text",
        *["text_delta"] * 2,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ],
    "sim/tools?calls=2&reasoning=1&size=100": [
        "message_start",
        "thinking",
        "thinking_delta",
        "signature_delta",
        "content_block_stop",
        *["tool_use", "input_json_delta", "content_block_stop"] * 2,
        "message_delta",
        "message_stop",
    ],
    "sim/refusal": ["message_start", "message_delta", "message_stop"],
    "sim/echo?fault=no-done": [
        "message_start",
        "text",
        *["text_delta"] * 2,
        "content_block_stop",
        "message_delta",
    ],
    "sim/echo?fault=no-finish": [
        "message_start",
        "text",
        *["text_delta"] * 2,
        "content_block_stop",
    ],
}


@pytest.mark.parametrize("model", STREAMS)
def test_events_come_in_order(model: str) -> None:
    """Each of its type in the SDK, blocks one after the other."""
    assert STREAMS[model] == kinds(model)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("sim/echo", "end_turn"),
        ("sim/tools", "tool_use"),
        ("sim/echo?finish=length", "max_tokens"),
        ("sim/echo?finish=pause_turn", "pause_turn"),
        ("sim/echo?finish=none", None),
        ("sim/refusal", "refusal"),
        ("sim/echo?fault=content-filter-finish", "refusal"),
    ],
)
def test_reasons_are_anthropics(model: str, reason: str | None) -> None:
    """OpenAI's words in its own; others as they are."""
    ends = [each for each in events(model) if each["type"] == "message_delta"]

    assert [reason] == [each["delta"]["stop_reason"] for each in ends]


MODELS = ["sim/echo", "sim/tools?calls=2&reasoning=2", "sim/refusal", "sim/echo?usage=zero"]


@pytest.mark.parametrize("model", MODELS)
def test_a_whole_answer_is_a_message(model: str) -> None:
    """Of the SDK's type, with the counts of the stream."""
    whole = json.loads(WIRE.whole(Ask(model=model, text="one two"), parse(model)))
    Message.model_validate(whole)
    counts = [each["usage"] for each in events(model) if each["type"] == "message_delta"]

    assert counts == [whole["usage"]]


@pytest.mark.parametrize("name", PROBLEMS)
def test_refusals_are_of_the_sdks_type(name: str) -> None:
    """By status; money has a cause."""
    content_type, body = WIRE.error_body(PROBLEMS[name], "openai")
    said = json.loads(body)

    assert "application/json" == content_type
    if said["error"]["type"] not in ("request_too_large", "conflict_error"):
        ErrorResponse.model_validate(said)
    assert ("contract_spend_limit_reached" in str(said)) == (name == "insufficient-quota")


def test_another_servers_words_may_be_asked_for() -> None:
    """A gateway in front of the API answers in its own."""
    assert ("text/plain; charset=utf-8", b"The server had an error.") == WIRE.error_body(
        PROBLEMS["server-error"], "text"
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error", "api_error"),
        ("error-overloaded", "overloaded_error"),
        ("error-rate-limit", "rate_limit_error"),
        ("error-quota", "billing_error"),
    ],
)
def test_errors_inside_a_stream_are_named_events(name: str, kind: str) -> None:
    """As the API sends them."""
    event, data = WIRE.error_event(name, "m").decode().strip().split("\n")

    assert "event: error" == event
    assert kind == ErrorResponse.model_validate_json(data.removeprefix("data: ")).error.type
