"""Mistral's wire: OpenAI's below ``/mistral``; the SDK is its client in ``tests/sdk``."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from penstock.simulator.answers import Ask
from penstock.simulator.behavior import parse
from penstock.simulator.intake import Intake
from penstock.simulator.problems import PROBLEMS
from penstock.simulator.wires import wire_for
from penstock.simulator.wires.mistral import Mistral
from penstock.simulator.wires.openai_chat import OpenAIChat

WIRE = Mistral()


def chunks(model: str) -> list[dict[str, Any]]:
    """The chunks of a streamed answer."""
    ask = Ask(model=model, text="one two", usage=True)
    found = [event.data.decode().strip() for event in WIRE.stream(ask, parse(model))]
    assert "data: [DONE]" == found[-1]
    return [json.loads(data.removeprefix("data: ")) for data in found[:-1]]


def test_its_address_tells_it_from_openais() -> None:
    """The path is the same but for what comes before it."""
    assert isinstance(wire_for("/mistral/v1/chat/completions"), Mistral)
    assert isinstance(wire_for("/v1/chat/completions"), OpenAIChat)


def test_thinking_is_a_chunk_of_the_content() -> None:
    """Text is text; the last chunk has the usage."""
    first, *thoughts, text, last = chunks("reasoning?tokens=1&reasoning=2")

    assert "" == first["choices"][0]["delta"]["content"]
    assert ["thinking", "thinking"] == [
        chunk["choices"][0]["delta"]["content"][0]["type"] for chunk in thoughts
    ]
    assert isinstance(text["choices"][0]["delta"]["content"], str)
    assert ("stop", 3) == (
        last["choices"][0]["finish_reason"],
        last["usage"]["completion_tokens"],
    )


@pytest.mark.parametrize("whole", [True, False])
def test_calls_are_whole_and_have_short_ids(whole: bool) -> None:
    """Nine letters and digits, each its own."""
    model = "tools?calls=2"
    if whole:
        said = json.loads(WIRE.whole(Ask(model=model), parse(model)))["choices"][0]["message"]
        calls = said["tool_calls"]
    else:
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks(model)]
        calls = [call for delta in deltas for call in delta.get("tool_calls", ())]

    assert 2 == len({call["id"] for call in calls}) == len(calls)
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", call["id"]) for call in calls)
    assert all(json.loads(call["function"]["arguments"]) for call in calls)


def test_a_whole_answer_has_chunks_where_it_thought() -> None:
    """Else its content is text; a refusal is text, too."""
    contents = {}
    for model in ("echo", "reasoning", "refusal"):
        body = json.loads(WIRE.whole(Ask(model=model, text="a"), parse(model)))
        contents[model] = body["choices"][0]["message"]["content"]

    assert "a" == contents["echo"]
    assert ["thinking", "text"] == [part["type"] for part in contents["reasoning"]]
    assert contents["refusal"].startswith("This simulator declines")


def test_requests_are_read_as_openais() -> None:
    """Usage is told without being asked for."""
    intake = Intake(None)
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
    intake.feed(json.dumps(body).encode(), True)
    asked = WIRE.ask(intake)

    assert ("hi", 3, True, False) == (asked.text, asked.limit, asked.usage, asked.stream)
    assert "m" == WIRE.model_in(json.dumps(body).encode())


def test_refusals_are_error_objects() -> None:
    """What is wrong with a request is a list of places; other styles are their servers'."""
    plain = json.loads(WIRE.error_body(PROBLEMS["rate-limit"], "openai")[1])
    listed = json.loads(WIRE.error_body(PROBLEMS["unprocessable"], "openai")[1])

    assert ("error", 429) == (plain["object"], plain["raw_status_code"])
    assert ["body", "messages"] == listed["message"]["detail"][0]["loc"]
    assert "detail" in json.loads(WIRE.error_body(PROBLEMS["rate-limit"], "fastapi")[1])
