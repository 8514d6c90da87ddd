"""The cohere SDK as a client of the simulator, beside penstock's own client: they agree."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import cohere
import pytest
from cohere.core.api_error import ApiError
from tests.road import KEY, Road, fails

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import NotFoundError, RateLimitError, ServerError, TruncatedError

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
    calls: list[tuple[str, str, str]]
    reason: str | None
    output_tokens: float | None


async def streamed(client: cohere.AsyncClientV2, model: str, **fields: Any) -> Told:
    """What the SDK's stream says."""
    text = thinking = ""
    calls: dict[int, list[str]] = {}
    reason = tokens = None
    async for event in client.chat_stream(model=model, messages=SAID, **fields):
        if event.type == "content-delta":
            text += event.delta.message.content.text or ""
            thinking += event.delta.message.content.thinking or ""
        elif event.type == "tool-plan-delta":
            thinking += event.delta.message.tool_plan
        elif event.type == "tool-call-start":
            call = event.delta.message.tool_calls
            calls[event.index] = [call.id, call.function.name, call.function.arguments]
        elif event.type == "tool-call-delta":
            calls[event.index][2] += event.delta.message.tool_calls.function.arguments
        elif event.type == "message-end":
            reason = event.delta.finish_reason
            usage = event.delta.usage
            tokens = usage.tokens.output_tokens if usage else None
            if getattr(event.delta, "error", None):
                raise RuntimeError(event.delta.error)
    found = [(id, name, arguments) for id, name, arguments in calls.values()]
    return Told(text, thinking, found, reason, tokens)


async def whole(client: cohere.AsyncClientV2, model: str, **fields: Any) -> Told:
    """What the SDK's whole answer says."""
    answer = await client.chat(model=model, messages=SAID, **fields)
    message = answer.message
    content = message.content or ()
    text = "".join(part.text for part in content if part.type == "text")
    thinking = "".join(part.thinking for part in content if part.type == "thinking")
    calls = [
        (call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()
    ]
    plan = message.tool_plan or ""
    return Told(
        text, plan + thinking, calls, answer.finish_reason, answer.usage.tokens.output_tokens
    )


async def sdks(road: Road, model: str, *, stream: bool, **fields: Any) -> Told:
    """What the SDK reads."""
    import httpx

    async with httpx.AsyncClient() as http:
        client = cohere.AsyncClientV2(KEY, base_url=road.sim.url, httpx_client=http)
        options = {"max_retries": 0}
        read = streamed if stream else whole
        return await read(client, model, request_options=options, **fields)


def client_of(road: Road, model: str, path: str = "") -> Client:
    """Penstock's client of the same simulator."""
    there = Deployment(road.sim.url + path, KEY, model=model, dialect="cohere")
    return road.client(deployments={"there": there})


async def ours(road: Road, model: str, *, stream: bool, **fields: Any) -> Told:
    """What penstock reads."""
    reply = await client_of(road, model).chat("there", SAID, stream=stream, **fields)
    calls = [(call.id, call.name, call.arguments) for call in reply.tool_calls]
    assert reply.usage is not None
    raw = reply.choices[0].finish_raw
    return Told(reply.text, reply.reasoning, calls, raw, reply.usage.output_tokens)


MODELS: dict[str, dict[str, Any]] = {
    "sim/echo": {},
    "sim/text?tokens=40&alphabet=cjk": {},
    "sim/reasoning?tokens=5&reasoning=7": {},
    "sim/tools?calls=3&reasoning=2": {"tools": [WEATHER]},
    "sim/text?finish=length": {},
    "sim/text?shape=unknown-fields,logprobs": {},
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
}


@pytest.mark.parametrize("model", STATUSES)
async def test_errors_have_the_servers_words(road: Road, model: str) -> None:
    """The SDK's error has the status, and what penstock's says."""
    kind, status = STATUSES[model]
    theirs = await fails(sdks(road, model, stream=True))
    mine = await fails(client_of(road, model).chat("there", SAID))

    assert isinstance(theirs, ApiError)
    assert status == theirs.status_code
    assert kind is type(mine)
    assert theirs.body["message"] in str(mine)


@pytest.mark.parametrize("model", ["sim/text?fault=error@3", "sim/text?fault=error"])
async def test_an_error_inside_a_stream_is_one(road: Road, model: str) -> None:
    """It is what the last event says."""
    theirs = await fails(sdks(road, model, stream=True))
    mine = await fails(client_of(road, model).chat("there", SAID))

    assert isinstance(theirs, RuntimeError)
    assert isinstance(mine, ServerError)
    assert str(theirs) in str(mine)


async def test_an_answer_without_its_last_event_is_truncated(road: Road) -> None:
    """The SDK takes it for an answer; penstock does not."""
    error = await fails(client_of(road, "sim/text?fault=no-done").chat("there", SAID))

    assert isinstance(error, TruncatedError)


@pytest.mark.parametrize("path", ["", "/v2"])
async def test_turns_with_tools_and_plans_go_on(road: Road, path: str) -> None:
    """The second turn has the plan and the calls of the first, and their results."""
    client = client_of(road, "sim/tools?calls=2&reasoning=3", path)
    messages: list[Any] = list(SAID)
    reply = await client.chat("there", messages, tools=[WEATHER], strict=True)
    messages.append(reply.message)
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in reply.tool_calls
    ]
    final = await client.chat("there", messages, tools=[WEATHER], strict=True)
    request = road.sim.requests[-1]
    sent = json.loads(request.body)["messages"]

    assert "/v2/chat" == request.path
    assert final.text
    assert reply.reasoning == sent[1]["tool_plan"] != ""
    assert reply.message["tool_calls"] == sent[1]["tool_calls"]
    assert [call.id for call in reply.tool_calls] == [each["tool_call_id"] for each in sent[2:]]


async def test_thinking_goes_back_in_its_place(road: Road) -> None:
    """As a part of the content, before the text."""
    client = client_of(road, "sim/reasoning?tokens=2&reasoning=3")
    reply = await client.chat("there", SAID)
    await client.chat("there", [*SAID, reply.message, *SAID], strict=True)
    sent = json.loads(road.sim.requests[-1].body)["messages"]

    assert [
        {"type": "thinking", "thinking": reply.reasoning},
        {"type": "text", "text": reply.text},
    ] == sent[1]["content"]
