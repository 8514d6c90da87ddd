"""Cohere's wire: requests read, events written; the SDK is its client in ``tests/sdk``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.simulator.answers import Ask
from penstock.simulator.behavior import parse
from penstock.simulator.intake import HEAD, Intake
from penstock.simulator.problems import PROBLEMS
from penstock.simulator.wires import wire_for
from penstock.simulator.wires.cohere import Cohere

WIRE = Cohere()


def taken(**fields: Any) -> Ask:
    """The request that a body asks."""
    intake = Intake(None)
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    intake.feed(json.dumps(body).encode(), True)
    return WIRE.ask(intake)


def events(model: str, **ask: Any) -> list[dict[str, Any]]:
    """The events of a streamed answer; each is named after its type."""
    found = []
    for event in WIRE.stream(Ask(model=model, text="one two", **ask), parse(model)):
        name, data = event.data.decode().removesuffix("\n\n").split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert f"event: {found[-1]['type']}" == name
    return found


def kinds(model: str) -> list[str]:
    """The types of an answer's events, neighbours of a type once."""
    found: list[str] = []
    for event in events(model):
        if not found or found[-1] != event["type"]:
            found.append(event["type"])
    return found


def test_its_path_is_its_own() -> None:
    """What comes before it does not matter."""
    assert isinstance(wire_for("/below/v2/chat"), Cohere)


def test_the_schema_is_within_the_format() -> None:
    """And a request does not stream unless it says so."""
    schema = {"type": "object"}
    asked = taken(response_format={"type": "json_object", "json_schema": schema}, max_tokens=3)

    assert (json.dumps(schema), 3, False) == (asked.schema, asked.limit, asked.stream)
    with pytest.raises(ValueError, match="not a chat completion request"):
        taken(response_format=5)


def test_a_request_above_the_bound_is_known_by_its_ends() -> None:
    """Its model and its last message are read."""
    intake = Intake(1024)
    messages = [{"role": "user", "content": "x" * (HEAD + 10)}, {"role": "user", "content": "end"}]
    intake.feed(json.dumps({"model": "echo", "stream": True, "messages": messages}).encode(), True)
    asked = WIRE.ask(intake)

    assert ("echo", "end", True) == (asked.model, asked.text, asked.stream)


BLOCK = ["content-start", "content-delta", "content-end"]
CALL = ["tool-call-start", "tool-call-delta", "tool-call-end"]


@pytest.mark.parametrize(
    ("model", "between"),
    [
        ("echo", BLOCK),
        ("reasoning?tokens=2&reasoning=2", [*BLOCK, *BLOCK]),
        ("tools?calls=2&reasoning=1", ["tool-plan-delta", *CALL, *CALL]),
        ("refusal", BLOCK),
    ],
)
def test_answers_are_blocks(model: str, between: list[str]) -> None:
    """Each has a start and an end; thinking comes first, a plan where there are calls."""
    assert ["message-start", *between, "message-end"] == kinds(model)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("echo", "COMPLETE"),
        ("echo?finish=length", "MAX_TOKENS"),
        ("echo?finish=STOP_SEQUENCE", "STOP_SEQUENCE"),
        ("tools", "TOOL_CALL"),
        ("echo?fault=unknown-finish", "WEATHER_CHANGED"),
        ("echo?fault=done-without-finish", None),
    ],
)
def test_reasons_are_coheres(model: str, reason: str | None) -> None:
    """OpenAI's words are translated, others said as they are."""
    assert reason == events(model)[-1]["delta"].get("finish_reason")


def test_the_last_event_can_be_left_out_and_its_usage() -> None:
    """Then the answer ends in the middle, or does not count."""
    assert "content-end" == kinds("echo?fault=no-done")[-1]
    assert "usage" not in events("echo?usage=never")[-1]["delta"]
    assert 0 == events("echo?usage=zero")[-1]["delta"]["usage"]["tokens"]["output_tokens"]


def test_a_refusal_has_a_message() -> None:
    """Other styles say it as their servers do."""
    problem = PROBLEMS["rate-limit"]

    assert problem.message == json.loads(WIRE.error_body(problem, "openai")[1])["message"]
    assert "detail" in json.loads(WIRE.error_body(problem, "fastapi")[1])
