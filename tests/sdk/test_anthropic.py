"""The anthropic SDK as a client of the simulator, beside penstock's own client: they agree.

The simulator refuses thinking whose signature does not fit and results without their call, as the
API does, so that a turn which loses something of the one before is found out.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import anthropic
import pytest
from pydantic import BaseModel
from tests.road import KEY, Road, fails

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ContentBlockedError,
    ContextLengthError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    ServerError,
    TruncatedError,
)

pytestmark = pytest.mark.asyncio

SAID: list[Any] = [{"role": "user", "content": "one two three"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
THEIR_WEATHER: Any = {"name": "weather", "input_schema": SCHEMA}


class Told(NamedTuple):
    """What an answer amounts to."""

    text: str
    thinking: str
    signatures: list[str]
    calls: list[tuple[str, str, Any]]
    reason: str | None
    usage: tuple[int, ...]


async def sdks(road: Road, model: str, *, stream: bool, tools: bool = False) -> Told:
    """What the SDK reads."""
    fields: dict[str, Any] = {"model": model, "messages": SAID, "max_tokens": 1000}
    fields |= {"tools": [THEIR_WEATHER]} if tools else {}
    async with anthropic.AsyncAnthropic(
        base_url=road.sim.url, api_key=KEY, max_retries=0
    ) as client:
        if stream:
            async with client.messages.stream(**fields) as answer:
                message: Any = await answer.get_final_message()
        else:
            message = await client.messages.create(**fields)
    blocks = message.content
    counts = message.usage
    read, written = counts.cache_read_input_tokens or 0, counts.cache_creation_input_tokens or 0
    return Told(
        "".join(block.text for block in blocks if block.type == "text"),
        "".join(block.thinking for block in blocks if block.type == "thinking"),
        [block.signature for block in blocks if block.type == "thinking"],
        [(block.id, block.name, block.input) for block in blocks if block.type == "tool_use"],
        message.stop_reason,
        (counts.input_tokens + read + written, counts.output_tokens, read, written),
    )


def client_of(road: Road, model: str, path: str = "") -> Client:
    """Penstock's client of the same simulator."""
    there = Deployment(road.sim.url + path, KEY, model=model, dialect="anthropic_messages")
    return road.client(deployments={"there": there})


async def ours(road: Road, model: str, *, stream: bool, tools: bool = False) -> Told:
    """What penstock reads."""
    fields: dict[str, Any] = {"max_tokens": 1000} | ({"tools": [WEATHER]} if tools else {})
    reply = await client_of(road, model).chat("there", SAID, stream=stream, **fields)
    counts = reply.usage
    assert counts is not None
    blocks = reply.message.get("provider_state", {}).get("blocks", [])
    return Told(
        reply.text,
        reply.reasoning,
        [block["signature"] for block in blocks if block["type"] == "thinking"],
        [(call.id, call.name, json.loads(call.arguments)) for call in reply.tool_calls],
        reply.choices[0].finish_raw,
        (
            counts.input_tokens,
            counts.output_tokens,
            counts.cached_tokens or 0,
            counts.cache_write_tokens or 0,
        ),
    )


MODELS = {
    "sim/echo": False,
    "sim/text?tokens=40&alphabet=cjk": False,
    "sim/text?shape=usage-details": False,
    "sim/reasoning?tokens=5&reasoning=7": False,
    "sim/tools": True,
    "sim/tools?calls=3&reasoning=2": True,
    "sim/text?finish=length": False,
    "sim/text?shape=unknown-fields": False,
    "sim/refusal": False,
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", MODELS)
async def test_both_read_the_same(road: Road, model: str, stream: bool) -> None:
    """Text, thinking, signatures, calls, reason and usage: the SDK's are penstock's."""
    theirs = await sdks(road, model, stream=stream, tools=MODELS[model])
    mine = await ours(road, model, stream=stream, tools=MODELS[model])

    # The prompts are as long as each client writes them.
    assert theirs._replace(usage=()) == mine._replace(usage=())
    assert theirs.usage[1:] == mine.usage[1:]


ERRORS: dict[str, tuple[type[Exception], type[Exception], int]] = {
    "sim/echo?fault=invalid-key": (AuthenticationError, anthropic.AuthenticationError, 401),
    "sim/echo?fault=billing": (BillingError, anthropic.APIStatusError, 402),
    "sim/echo?fault=model-not-found": (NotFoundError, anthropic.NotFoundError, 404),
    "sim/echo?fault=rate-limit": (RateLimitError, anthropic.RateLimitError, 429),
    "sim/echo?fault=insufficient-quota": (BillingError, anthropic.RateLimitError, 429),
    "sim/echo?fault=context-length": (ContextLengthError, anthropic.BadRequestError, 400),
    "sim/echo?fault=content-filter": (ContentBlockedError, anthropic.BadRequestError, 400),
    "sim/echo?fault=server-error": (ServerError, anthropic.InternalServerError, 500),
    "sim/echo?fault=overloaded": (OverloadedError, anthropic.APIStatusError, 529),
    "sim/text?fault=error": (ServerError, anthropic.APIStatusError, 200),
    "sim/text?fault=error-overloaded": (OverloadedError, anthropic.APIStatusError, 200),
    "sim/text?fault=error-overloaded@3": (OverloadedError, anthropic.APIStatusError, 200),
    "sim/text?fault=error-rate-limit@3": (RateLimitError, anthropic.APIStatusError, 200),
    "sim/text?fault=error-quota@3": (BillingError, anthropic.APIStatusError, 200),
    "sim/text?fault=error-string@3": (ServerError, anthropic.APIStatusError, 200),
}


@pytest.mark.parametrize("model", ERRORS)
async def test_errors_have_the_vendors_words(road: Road, model: str) -> None:
    """Of a status and inside a stream: both clients fail, with the same words."""
    kind, their_kind, status = ERRORS[model]
    theirs = await fails(sdks(road, model, stream=True))
    mine = await fails(client_of(road, model).chat("there", SAID))

    assert isinstance(theirs, their_kind)
    assert status == getattr(theirs, "status_code", None)
    assert kind is type(mine)
    body = getattr(theirs, "body", None)
    said = body["error"]["message"] if isinstance(body, dict) else str(body)
    assert said in str(mine)


@pytest.mark.parametrize("fault", ["no-done", "no-finish", "close@3", "cut@2"])
async def test_an_answer_without_its_last_event_is_truncated(road: Road, fault: str) -> None:
    """Whatever the SDK makes of it: penstock does not take it for an answer."""
    error = await fails(client_of(road, f"sim/text?fault={fault}").chat("there", SAID))

    assert isinstance(error, TruncatedError)


@pytest.mark.parametrize("path", ["/v1", "", "/anthropic"])
async def test_turns_with_tools_and_thinking_go_on(road: Road, path: str) -> None:
    """The second turn has the thinking with its signature, the calls, and their results."""
    client = client_of(road, "sim/tools?calls=2&reasoning=3", path)
    messages = list(SAID)
    reply = await client.chat("there", messages, tools=[WEATHER], strict=True)
    messages.append(json.loads(json.dumps(reply.message)))
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in reply.tool_calls
    ]
    final = await client.chat("there", messages, tools=[WEATHER], strict=True)
    sent = json.loads(road.sim.requests[-1].body)["messages"]

    assert road.sim.requests[-1].path.endswith("/v1/messages")
    assert final.text
    assert [] == final.dropped
    assert ["user", "assistant", "user"] == [turn["role"] for turn in sent]
    assert ["thinking", "tool_use", "tool_use"] == [block["type"] for block in sent[1]["content"]]
    assert reply.reasoning == sent[1]["content"][0]["thinking"] != ""
    assert [block["id"] for block in sent[1]["content"][1:]] == [
        block["tool_use_id"] for block in sent[2]["content"]
    ]


async def test_what_the_sdk_sends_back_is_what_penstock_sends_back(road: Road) -> None:
    """The blocks of an answer go back as the SDK's ``to_param`` has them."""
    model = "sim/tools?calls=2&reasoning=3"
    async with anthropic.AsyncAnthropic(base_url=road.sim.url, api_key=KEY) as client:
        answer = await client.messages.create(
            model=model, messages=SAID, max_tokens=1000, tools=[THEIR_WEATHER]
        )
    theirs = [block.model_dump(exclude_none=True) for block in answer.content]
    penstock = client_of(road, model)
    reply = await penstock.chat("there", SAID, tools=[WEATHER])
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in reply.tool_calls
    ]
    await penstock.chat("there", [*SAID, reply.message, *results], tools=[WEATHER])

    assert theirs == json.loads(road.sim.requests[-1].body)["messages"][1]["content"]


async def test_an_answer_of_another_dialect_goes_on_here(road: Road) -> None:
    """A conversation with tools begins with OpenAI's chat and ends with Anthropic's."""
    client = road.client("sim/tools?calls=2&reasoning=3")
    reply = await client.chat(messages=SAID, tools=[WEATHER])
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in reply.tool_calls
    ]
    messages = [*SAID, reply.message, *results]
    final = await client_of(road, "sim/tools").chat("there", messages, tools=[WEATHER])

    assert final.text
    assert ["messages[1].provider_state"] == final.dropped


class Trip(BaseModel):
    """What is asked for."""

    city: str
    days: int | None


@pytest.mark.parametrize("stream", [True, False])
async def test_structured_output_is_the_models(road: Road, stream: bool) -> None:
    """A pydantic model is a schema in ``output_config``, and the answer an instance."""
    client = client_of(road, "sim/json")
    reply = await client.chat("there", SAID, response_format=Trip, stream=stream)

    assert Trip(city="text", days=1) == reply.parsed
    assert (
        "json_schema" == json.loads(road.sim.requests[-1].body)["output_config"]["format"]["type"]
    )


async def test_betas_and_the_version_are_headers(road: Road) -> None:
    """As in the SDK, ``betas`` is no field of the body."""
    client = client_of(road, "sim/echo")
    extra = {"betas": ["context-1m-2025-08-07", "x-2026-01-01"], "top_k": 5}
    await client.chat("there", SAID, extra_body=extra)
    sent = road.sim.requests[-1]

    assert "context-1m-2025-08-07,x-2026-01-01" == sent.headers["anthropic-beta"]
    assert "2023-06-01" == sent.headers["anthropic-version"]
    assert {"top_k"} == json.loads(sent.body).keys() & {"top_k", "betas"}


async def test_an_overload_before_any_content_is_tried_again(road: Road) -> None:
    """An error event inside a 200 is retried like its status (fault matrix, row 11)."""
    model = "sim/text?tokens=3&fault=error-overloaded&fail=1"
    there = Deployment(road.sim.url, KEY, model=model, dialect="anthropic_messages")
    client = road.client(deployments={"there": there}, max_retries=1)
    reply = await client.chat("there", SAID)

    assert reply.text
    assert ["OverloadedError", None] == [attempt.error for attempt in reply.attempts]


async def test_an_overload_behind_content_is_not(road: Road) -> None:
    """The caller has seen some of it (fault matrix, row 14); what came is on the error."""
    model = "sim/text?tokens=9&fault=error-overloaded@3&fail=1"
    there = Deployment(road.sim.url, KEY, model=model, dialect="anthropic_messages")
    client = road.client(deployments={"there": there}, max_retries=1)
    error = await fails(client.chat("there", SAID))

    assert isinstance(error, OverloadedError)
    assert error.committed
    assert error.partial is not None
    assert error.partial.text
    assert 1 == len(road.sim.requests)


VERTEX_MODELS = ["sim/echo", "sim/tools?calls=2&reasoning=3"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", VERTEX_MODELS)
async def test_vertex_is_called_as_the_sdk_calls_it(road: Road, model: str, stream: bool) -> None:
    """The same address and the same body, but for the version that each sends; one answer."""
    async with anthropic.AsyncAnthropicVertex(
        base_url=f"{road.sim.url}/v1",
        region="us-east5",
        project_id="my-project",
        access_token=KEY,
        max_retries=0,
    ) as client:
        fields: dict[str, Any] = {"model": model, "messages": SAID, "max_tokens": 1000}
        if stream:
            async with client.messages.stream(**fields) as answer:
                message: Any = await answer.get_final_message()
        else:
            message = await client.messages.create(**fields)
    theirs = road.sim.requests[-1]
    there = Deployment(
        f"{road.sim.url}/v1",
        KEY,
        model=model,
        dialect="anthropic_messages",
        project="my-project",
        region="us-east5",
    )
    penstock = road.client(deployments={"there": there})
    reply = await penstock.chat("there", SAID, max_tokens=1000, stream=stream)
    mine = road.sim.requests[-1]

    # The SDK leaves `=` and `&` of a segment as they are (RFC 3986, 3.3: sub-delims).
    assert theirs.path.replace("=", "%3D").replace("&", "%26") == mine.path
    assert "anthropic-version" not in mine.headers
    assert json.loads(mine.body) == json.loads(theirs.body) | {
        "anthropic_version": "vertex-2023-10-16",
        "messages": [{"role": "user", "content": [{"type": "text", "text": SAID[0]["content"]}]}],
        "stream": stream,
    }
    assert message.stop_reason == reply.choices[0].finish_raw
    assert [block.text for block in message.content if block.type == "text"] == (
        [reply.text] if reply.text else []
    )
