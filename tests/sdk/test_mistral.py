"""The mistralai SDK as a client of the simulator, beside penstock's own client: they agree."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from mistralai.client import Mistral
from mistralai.client.errors import HTTPValidationError, MistralError
from mistralai.client.models import ChatCompletionStreamRequest
from tests.road import KEY, Road, fails

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import (
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    ServerError,
    TruncatedError,
)

pytestmark = pytest.mark.asyncio

SAID = [{"role": "user", "content": "one two three"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        },
    },
}


class Told(NamedTuple):
    """What an answer amounts to."""

    text: str
    thinking: str
    calls: list[tuple[str, str, Any]]
    reason: str | None
    output_tokens: int | None


def parts_of(content: Any) -> tuple[str, str]:
    """The text and the thinking of a content, which is text or chunks."""
    text = thinking = ""
    for part in [content] if isinstance(content, str) else content or ():
        if isinstance(part, str):
            text += part
        elif part.type == "text":
            text += part.text
        else:
            thinking += "".join(thought.text for thought in part.thinking)
    return text, thinking


async def sdks(road: Road, model: str, *, stream: bool, **fields: Any) -> Told:
    """What the SDK reads."""
    async with Mistral(api_key=KEY, server_url=f"{road.sim.url}/mistral") as client:
        if stream:
            events = await client.chat.stream_async(model=model, messages=SAID, **fields)
            chunks = [event.data async for event in events]
            pieces = [(chunk.choices[0].delta, chunk.choices[0].finish_reason) for chunk in chunks]
            usage = chunks[-1].usage
        else:
            answer = await client.chat.complete_async(model=model, messages=SAID, **fields)
            pieces = [(answer.choices[0].message, answer.choices[0].finish_reason)]
            usage = answer.usage
    text = thinking = ""
    calls = []
    for piece, _ in pieces:
        more, thoughts = parts_of(piece.content)
        text, thinking = text + more, thinking + thoughts
        calls += [
            (call.id, call.function.name, json.loads(call.function.arguments))
            for call in piece.tool_calls or ()
        ]
    return Told(text, thinking, calls, pieces[-1][1], usage.completion_tokens)


def client_of(road: Road, model: str) -> Client:
    """Penstock's client of the same simulator."""
    there = Deployment(f"{road.sim.url}/mistral/v1", KEY, model=model, dialect="mistral")
    return road.client(deployments={"there": there})


async def ours(road: Road, model: str, *, stream: bool, **fields: Any) -> Told:
    """What penstock reads."""
    reply = await client_of(road, model).chat("there", SAID, stream=stream, **fields)
    calls = [(call.id, call.name, json.loads(call.arguments)) for call in reply.tool_calls]
    assert reply.usage is not None
    raw = reply.choices[0].finish_raw or reply.finish_reason
    return Told(reply.text, reply.reasoning, calls, raw, reply.usage.output_tokens)


MODELS: dict[str, dict[str, Any]] = {
    "sim/echo": {},
    "sim/text?tokens=40&alphabet=cjk": {},
    "sim/reasoning?tokens=5&reasoning=7": {},
    "sim/tools?calls=3&reasoning=2": {"tools": [WEATHER]},
    "sim/text?finish=model_length": {},
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", MODELS)
async def test_both_read_the_same(road: Road, model: str, stream: bool) -> None:
    """Text, thinking, calls, reason and usage are the same for the SDK and for penstock."""
    theirs = await sdks(road, model, stream=stream, **MODELS[model])
    mine = await ours(road, model, stream=stream, **MODELS[model])

    assert theirs == mine


STATUSES: dict[str, tuple[type[Exception], int]] = {
    "sim/echo?fault=model-not-found": (NotFoundError, 404),
    "sim/echo?fault=rate-limit": (RateLimitError, 429),
    "sim/echo?fault=server-error": (ServerError, 500),
    "sim/echo?fault=unprocessable": (InvalidRequestError, 422),
}


@pytest.mark.parametrize("model", STATUSES)
async def test_errors_have_the_servers_words(road: Road, model: str) -> None:
    """The SDK's error has the status, and the body that penstock's is made of."""
    kind, status = STATUSES[model]
    theirs = await fails(sdks(road, model, stream=True))
    mine = await fails(client_of(road, model).chat("there", SAID))

    if status == 422:
        # The SDK knows FastAPI's list of details, which the API has within its message.
        assert isinstance(theirs, (HTTPValidationError, MistralError))
    else:
        assert isinstance(theirs, MistralError)
    assert status == theirs.status_code
    assert kind is type(mine)
    said = json.loads(theirs.body)["message"]
    assert (said["detail"][0]["msg"] if status == 422 else said) in str(mine)


IN_STREAM = {
    "sim/text?fault=error@3": ServerError,
    "sim/text?fault=error": ServerError,
    "sim/text?fault=error-overloaded@2": OverloadedError,
    "sim/text?finish=error": ServerError,
    "sim/text?fault=no-finish": TruncatedError,
}


@pytest.mark.parametrize("model", IN_STREAM)
async def test_errors_inside_a_stream_are_errors(road: Road, model: str) -> None:
    """Classified like their status; an answer without its end is cut short."""
    error = await fails(client_of(road, model).chat("there", SAID))

    assert IN_STREAM[model] is type(error)


async def test_turns_with_tools_go_on(road: Road) -> None:
    """The second turn has the calls of the first, their results, and its thinking as a chunk."""
    client = client_of(road, "sim/tools?calls=2&reasoning=3")
    messages: list[Any] = list(SAID)
    reply = await client.chat("there", messages, tools=[WEATHER], strict=True)
    messages.append(reply.message)
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in reply.tool_calls
    ]
    final = await client.chat("there", messages, tools=[WEATHER], strict=True)
    body = json.loads(road.sim.requests[-1].body)
    asked, *results = body["messages"][1:]

    assert final.text
    assert [{"type": "thinking", "thinking": [{"type": "text", "text": reply.reasoning}]}] == asked[
        "content"
    ]
    assert [call.id for call in reply.tool_calls] == [each["id"] for each in asked["tool_calls"]]
    assert [call.id for call in reply.tool_calls] == [each["tool_call_id"] for each in results]
    ChatCompletionStreamRequest.model_validate(body, extra="forbid")


async def test_a_conversation_from_elsewhere_goes_on(road: Road) -> None:
    """Another vendor's ids become Mistral's; its state is left out and reported."""
    asked = {
        "role": "assistant",
        "content": "Looking.",
        "tool_calls": [
            {
                "id": "toolu_01A09q90qw90lq917835lq9",
                "type": "function",
                "function": {"name": "weather", "arguments": "{}"},
            }
        ],
        "provider_state": {"dialect": "anthropic_messages", "origin": "https://a.example"},
    }
    result = {"role": "tool", "tool_call_id": "toolu_01A09q90qw90lq917835lq9", "content": "sunny"}
    reply = await client_of(road, "sim/tools").chat(
        "there", [*SAID, asked, result], tools=[WEATHER]
    )
    body = json.loads(road.sim.requests[-1].body)

    assert reply.text
    assert ["messages[1].provider_state"] == reply.dropped
    assert body["messages"][1]["tool_calls"][0]["id"] == body["messages"][2]["tool_call_id"]
    ChatCompletionStreamRequest.model_validate(body, extra="forbid")
