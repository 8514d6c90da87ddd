"""Ollama's wire: requests read, lines written; the SDK is its client in ``tests/sdk``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.simulator.answers import Ask
from penstock.simulator.behavior import parse
from penstock.simulator.intake import HEAD, Intake
from penstock.simulator.problems import PROBLEMS
from penstock.simulator.respond import StepCache, respond
from penstock.simulator.steps import Event, Raw
from penstock.simulator.wires import wire_for
from penstock.simulator.wires.ollama import Ollama

WIRE = Ollama()


def taken(**fields: Any) -> Ask:
    """The request that a body asks."""
    intake = Intake(None)
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    intake.feed(json.dumps(body).encode(), True)
    return WIRE.ask(intake)


def lines(model: str, **ask: Any) -> list[dict[str, Any]]:
    """The lines of a streamed answer."""
    events = WIRE.stream(Ask(model=model, text="one two", **ask), parse(model))
    return [json.loads(event.data) for event in events]


@pytest.mark.parametrize("path", ["/api/chat", "/below/api/chat"])
def test_its_path_is_its_own(path: str) -> None:
    """What comes before it does not matter."""
    assert isinstance(wire_for(path), Ollama)


def test_a_request_streams_unless_told_otherwise() -> None:
    """As Ollama does; the limit is among the options, the schema is the format."""
    schema = {"type": "object"}
    asked = taken(format=schema, options={"num_predict": 3})

    assert (True, 3, json.dumps(schema)) == (asked.stream, asked.limit, asked.schema)
    assert not taken(stream=False).stream
    assert "" == taken(format="json").schema


def test_a_request_above_the_bound_is_known_by_its_ends() -> None:
    """Its model and its last message are read."""
    intake = Intake(1024)
    messages = [{"role": "user", "content": "x" * (HEAD + 10)}, {"role": "user", "content": "end"}]
    intake.feed(json.dumps({"model": "sim/echo", "messages": messages}).encode(), True)
    asked = WIRE.ask(intake)

    assert ("sim/echo", "end", True) == (asked.model, asked.text, asked.stream)


def test_a_body_that_is_no_request_is_refused() -> None:
    """The error says why."""
    with pytest.raises(ValueError, match="not a chat request"):
        taken(options=[])


def test_the_last_line_is_done() -> None:
    """It has the reason, the counts and the durations."""
    *first, last = lines("echo")

    assert ["one ", "two"] == [line["message"]["content"] for line in first]
    assert [False, False, True] == [line["done"] for line in (*first, last)]
    assert ("stop", 2) == (last["done_reason"], last["eval_count"])


@pytest.mark.parametrize(
    ("model", "reason"),
    [("echo?finish=load", "load"), ("echo?fault=unknown-finish", "weather_changed"),
     ("echo?finish=none", None), ("echo?fault=done-without-finish", None)],
)  # fmt: skip
def test_reasons_can_be_asked_for(model: str, reason: str | None) -> None:
    """Those of Ollama, others, and none."""
    assert reason == lines(model)[-1].get("done_reason")


@pytest.mark.parametrize("fault", ["no-done", "no-finish"])
def test_the_last_line_can_be_left_out(fault: str) -> None:
    """Then the answer ends in the middle."""
    assert [False, False] == [line["done"] for line in lines(f"echo?fault={fault}")]


def test_usage_can_be_left_out_or_zero() -> None:
    """A server may not count, or count nothing."""
    assert "eval_count" not in lines("echo?usage=never")[-1]
    assert 0 == lines("echo?usage=zero")[-1]["prompt_eval_count"]


def test_a_refusal_is_a_text() -> None:
    """Other styles say it as their servers do."""
    problem = PROBLEMS["rate-limit"]

    assert {"error": problem.message} == json.loads(WIRE.error_body(problem, "openai")[1])
    assert "detail" in json.loads(WIRE.error_body(problem, "fastapi")[1])


def test_an_error_is_a_whole_answer_too() -> None:
    """Where the answer is not streamed, the error is the object."""
    behavior = parse("echo?fault=error")
    response = respond(WIRE, Ask(model="echo", text="x"), behavior, cache=StepCache())
    data = b"".join(step.data for step in response.steps if isinstance(step, (Event, Raw)))

    assert {"error": "The server had an error."} == json.loads(data[data.index(b"{") :])
