"""The openai SDK as a client of the simulator's Responses, beside penstock's own: they agree."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import openai
import pytest
from openai.types.responses import Response
from tests.road import KEY, Road, fails

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ContextLengthError,
    NotFoundError,
    OverloadedError,
    PenstockError,
    RateLimitError,
    ServerError,
    TruncatedError,
)

pytestmark = pytest.mark.asyncio

SAID = "one two three"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
}
FLAT: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}
NESTED = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
CUSTOM = {"type": "custom", "name": "write"}
NESTED_CUSTOM = {"type": "custom", "custom": {"name": "write"}}


class Told(NamedTuple):
    """What an answer amounts to."""

    text: str
    thinking: str
    calls: list[tuple[str, str, str]]
    reason: str | None
    usage: tuple[int, int, int]


def sdks_client(road: Road) -> openai.AsyncOpenAI:
    """The SDK's client of the simulator."""
    client = openai.AsyncOpenAI(base_url=f"{road.sim.url}/v1", api_key=KEY, max_retries=0)
    road.push_async_callback(client.close)
    return client


def client_of(road: Road, model: str) -> Client:
    """Penstock's client of the same simulator."""
    there = Deployment(f"{road.sim.url}/v1", KEY, model=model, dialect="openai_responses")
    return road.client(deployments={"there": there})


def told(response: Response) -> Told:
    """What the SDK's response amounts to."""
    calls = [
        (item.call_id, item.name, item.arguments if item.type == "function_call" else item.input)
        for item in response.output
        if item.type in ("function_call", "custom_tool_call")
    ]
    thinking = "".join(
        part.text
        for item in response.output
        if item.type == "reasoning"
        for part in [*item.summary, *(item.content or ())]
    )
    refusals = [
        part.refusal
        for item in response.output
        if item.type == "message"
        for part in item.content
        if part.type == "refusal"
    ]
    reason = "tool_calls" if calls else "stop"
    if response.incomplete_details is not None:
        reason = response.incomplete_details.reason or "other"
    assert response.usage is not None
    usage = response.usage
    counts = (
        usage.output_tokens,
        usage.output_tokens_details.reasoning_tokens,
        usage.total_tokens - usage.input_tokens,
    )
    return Told(response.output_text + "".join(refusals), thinking, calls, reason, counts)


async def sdks(road: Road, model: str, how: str, **fields: Any) -> Told:
    """What the SDK reads, by one of its three ways."""
    client = sdks_client(road)
    if how == "whole":
        return told(await client.responses.create(model=model, input=SAID, **fields))
    if how == "stream":
        async with client.responses.stream(model=model, input=SAID, **fields) as stream:
            async for _ in stream:
                pass
            return told(await stream.get_final_response())
    events = [
        event
        async for event in await client.responses.create(
            model=model, input=SAID, stream=True, **fields
        )
    ]
    assert list(range(len(events))) == [event.sequence_number for event in events]
    assert events[-1].type in ("response.completed", "response.incomplete")
    return told(events[-1].response)


async def ours(road: Road, model: str, **fields: Any) -> Told:
    """What penstock reads."""
    reply = await client_of(road, model).chat("there", SAID, **fields)
    usage = reply.usage
    assert usage is not None
    calls = [(call.id, call.name, call.arguments) for call in reply.tool_calls]
    counts = (
        usage.output_tokens,
        usage.reasoning_tokens or 0,
        usage.total_tokens - usage.input_tokens,
    )
    reason = reply.choices[0].finish_raw or reply.finish_reason
    return Told(reply.text + (reply.refusal or ""), reply.reasoning, calls, reason, counts)


CASES: dict[str, tuple[list[Any], list[Any]]] = {
    "sim/echo": ([], []),
    "sim/text?tokens=40&alphabet=cjk": ([], []),
    "sim/reasoning?reasoning=4&tokens=3": ([], []),
    "sim/reasoning?shape=reasoning&reasoning=4&tokens=3": ([], []),
    "sim/tools": ([FLAT], [NESTED]),
    "sim/tools?calls=3&reasoning=2": ([FLAT, CUSTOM], [NESTED, NESTED_CUSTOM]),
    "sim/refusal": ([], []),
    "sim/image?tokens=2": ([], []),
    "sim/echo?shape=annotations,logprobs,obfuscation": ([], []),
    "sim/echo?finish=length": ([], []),
    "sim/echo?fault=content-filter-finish": ([], []),
    "sim/echo?shape=comments,crlf": ([], []),
}


@pytest.mark.parametrize("how", ["create", "stream", "whole"])
@pytest.mark.parametrize("model", CASES)
async def test_both_read_the_same_answer(road: Road, model: str, how: str) -> None:
    """Text, thinking, calls, reason and counts, streamed and whole."""
    if how == "stream" and "finish" in model:
        how = "create"  # the SDK's own fold knows only responses that are completed
    flat, nested = CASES[model]
    expected = await sdks(road, model, how, **({"tools": flat} if flat else {}))

    assert expected == await ours(road, model, tools=nested, stream=how != "whole")


ERRORS: dict[str, tuple[type[PenstockError], type[Exception]]] = {
    "invalid-key": (AuthenticationError, openai.AuthenticationError),
    "model-not-found": (NotFoundError, openai.NotFoundError),
    "context-length": (ContextLengthError, openai.BadRequestError),
    "rate-limit": (RateLimitError, openai.RateLimitError),
    "insufficient-quota": (BillingError, openai.RateLimitError),
    "server-error": (ServerError, openai.InternalServerError),
    "overloaded": (OverloadedError, openai.InternalServerError),
    "error-event@1": (ServerError, openai.APIError),
    "error-string@1": (ServerError, openai.APIError),
}


@pytest.mark.parametrize("fault", ERRORS)
async def test_both_see_the_same_error(road: Road, fault: str) -> None:
    """By status before the answer, and inside of it."""
    kind, theirs = ERRORS[fault]
    model = f"sim/echo?fault={fault}"
    with pytest.raises(theirs):
        await sdks(road, model, "create")

    error = await fails(client_of(road, model).chat("there", SAID))
    assert kind is type(error)


IN_STREAM: dict[str, type[PenstockError]] = {
    "error@2": ServerError,
    "error-quota": BillingError,
    "error-rate-limit@1": RateLimitError,
    "error-overloaded": OverloadedError,
    "no-done": TruncatedError,
    "no-finish": TruncatedError,
    "done-without-finish": TruncatedError,
    "close@2": TruncatedError,
}


@pytest.mark.parametrize("fault", IN_STREAM)
async def test_an_answer_that_fails_never_passes_for_whole(road: Road, fault: str) -> None:
    """The SDK hands on its own error event, and ends a torn stream in silence; penstock raises."""
    error = await fails(client_of(road, f"sim/echo?fault={fault}").chat("there", SAID))

    assert IN_STREAM[fault] is type(error)


async def test_a_conversation_with_tools_goes_on(road: Road) -> None:
    """The reply goes back with its reasoning and ids, and its result finds its call."""
    client = client_of(road, "sim/tools?reasoning=2&calls=2")
    messages: list[Any] = [{"role": "user", "content": SAID}]
    first = await client.chat("there", messages, tools=[NESTED], strict=True)
    messages.append(first.message)
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in first.tool_calls
    ]
    second = await client.chat("there", messages, tools=[NESTED], strict=True)

    body = json.loads(road.sim.requests[-1].body)
    sdk = await sdks_client(road).responses.create(
        model="sim/tools?reasoning=2&calls=2", input=SAID, tools=[FLAT]
    )
    output = json.loads(sdk.to_json())["output"]
    assert output == body["input"][1:4]
    assert ["function_call_output"] * 2 == [item["type"] for item in body["input"][4:]]
    assert ("stop", []) == (second.finish_reason, second.dropped)
    assert second.text


async def test_an_image_and_its_sources_are_the_callers(road: Road) -> None:
    """An image is one, a citation is one, and both go back with the next turn."""
    reply = await client_of(road, "sim/image?tokens=2&shape=annotations").chat("there", SAID)

    assert ["data:image/png;base64,"] == [url[:22] for url in reply.images]
    assert ["https://example.com/penstock"] == [each["url"] for each in reply.citations]
    kinds = [item["type"] for item in reply.message["provider_state"]["items"]]
    assert ["web_search_call", "image_generation_call", "message"] == kinds


async def test_structured_answers_are_asked_for_as_the_sdk_does(road: Road) -> None:
    """``text.format`` has the schema, and the answer fits it."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    reply = await client_of(road, "sim/json").chat("there", SAID, response_format=wanted)

    assert {"city": "text"} == json.loads(reply.text)
