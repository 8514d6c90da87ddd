"""The ollama SDK as a client of the simulator, beside penstock's own client: they agree."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import ollama
import pytest
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
    calls: list[tuple[str, Any]]
    reason: str | None
    usage: tuple[int | None, int | None]


async def sdks(road: Road, model: str, *, stream: bool, **fields: Any) -> Told:
    """What the SDK reads."""
    client = ollama.AsyncClient(host=road.sim.url)
    text = thinking = ""
    calls: list[tuple[str, Any]] = []
    try:
        answer = await client.chat(model=model, messages=SAID, stream=stream, **fields)
        parts = [part async for part in answer] if stream else [answer]
    finally:
        await client.close()
    for part in parts:
        text += part.message.content or ""
        thinking += part.message.thinking or ""
        found = part.message.tool_calls or ()
        calls += [(call.function.name, dict(call.function.arguments)) for call in found]
    last = parts[-1]
    usage = (last.prompt_eval_count, last.eval_count)
    return Told(text, thinking, calls, last.done_reason, usage)


def client_of(road: Road, model: str, path: str = "") -> Client:
    """Penstock's client of the same simulator."""
    there = Deployment(road.sim.url + path, KEY, model=model, dialect="ollama")
    return road.client(deployments={"there": there})


async def ours(road: Road, model: str, *, stream: bool, **fields: Any) -> Told:
    """What penstock reads."""
    reply = await client_of(road, model).chat("there", SAID, stream=stream, **fields)
    calls = [(call.name, json.loads(call.arguments)) for call in reply.tool_calls]
    assert len(calls) == len({call.id for call in reply.tool_calls})
    assert reply.usage is not None
    usage = (reply.usage.input_tokens, reply.usage.output_tokens)
    raw = reply.choices[0].finish_raw or reply.finish_reason
    return Told(reply.text, reply.reasoning, calls, raw, usage)


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

    # The prompts are as long as each client writes them.
    assert theirs._replace(usage=()) == mine._replace(usage=())
    assert theirs.usage[1] == mine.usage[1]


ERRORS: dict[str, tuple[type[Exception], int]] = {
    "sim/echo?fault=model-not-found": (NotFoundError, 404),
    "sim/echo?fault=rate-limit": (RateLimitError, 429),
    "sim/echo?fault=server-error": (ServerError, 500),
    "sim/text?fault=error@3": (ServerError, -1),
    "sim/text?fault=error": (ServerError, -1),
}


@pytest.mark.parametrize("model", ERRORS)
async def test_errors_have_the_servers_words(road: Road, model: str) -> None:
    """Of a status and inside a stream: the SDK's error says what penstock's does."""
    kind, status = ERRORS[model]
    theirs = await fails(sdks(road, model, stream=True))
    mine = await fails(client_of(road, model).chat("there", SAID))

    assert isinstance(theirs, ollama.ResponseError)
    assert status == theirs.status_code
    assert kind is type(mine)
    assert theirs.error in str(mine)


async def test_an_answer_without_its_last_line_is_truncated(road: Road) -> None:
    """The SDK takes it for an answer; penstock does not."""
    error = await fails(client_of(road, "sim/text?fault=no-done").chat("there", SAID))

    assert isinstance(error, TruncatedError)


@pytest.mark.parametrize("path", ["/v1", "/api", ""])
async def test_turns_with_tools_and_thinking_go_on(road: Road, path: str) -> None:
    """The second turn has the calls, their results by name, and the thinking of the first."""
    client = client_of(road, "sim/tools?calls=2&reasoning=3", path)
    messages: list[Any] = list(SAID)
    reply = await client.chat("there", messages, tools=[WEATHER], strict=True)
    messages.append(reply.message)
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in reply.tool_calls
    ]
    final = await client.chat("there", messages, tools=[WEATHER], strict=True)
    sent = json.loads(road.sim.requests[-1].body)["messages"]

    assert "/api/chat" == road.sim.requests[-1].path
    assert final.text
    assert [] == final.dropped
    assert reply.reasoning == sent[1]["thinking"] != ""
    assert [{"city": "text", "days": 1}] * 2 == [
        call["function"]["arguments"] for call in sent[1]["tool_calls"]
    ]
    assert ["weather", "weather"] == [message["tool_name"] for message in sent[2:]]
    ollama._types.ChatRequest.model_validate(json.loads(road.sim.requests[-1].body))
