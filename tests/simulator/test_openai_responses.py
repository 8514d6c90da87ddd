"""The simulator's Responses, read by the openai SDK's types and by plain HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from penstock.simulator import Simulator
from penstock.simulator.intake import Intake
from penstock.simulator.wires.openai_responses import promised
from penstock.simulator.wires.responses_request import read

pytestmark = pytest.mark.asyncio

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@pytest_asyncio.fixture
async def client(sim: Simulator) -> AsyncIterator[openai.AsyncOpenAI]:
    """The SDK's client."""
    async with openai.AsyncOpenAI(base_url=f"{sim.url}/v1", api_key="any", max_retries=0) as client:
        yield client


async def events(sim: Simulator, model: str, **fields: Any) -> list[tuple[str, Any]]:
    """The names and data of a stream's events."""
    body = {"model": model, "input": "one two three", "stream": True, **fields}
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{sim.url}/v1/responses", json=body)
    blocks = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    named = [block for block in blocks if block[0].startswith("event: ")]
    return [(block[0][7:], json.loads(block[1][6:])) for block in named]


MODELS = [
    "echo",
    "reasoning?reasoning=2&tokens=2",
    "reasoning?reasoning=2&tokens=2&shape=reasoning",
    "tools?calls=2",
    "refusal",
    "image?tokens=2",
    "audio?tokens=2",
    "echo?shape=annotations,logprobs,obfuscation,refusal",
    "echo?fault=content-filter-finish",
    "echo?fault=error@1",
]


@pytest.mark.parametrize("model", MODELS)
async def test_every_event_is_one_of_the_sdks(sim: Simulator, model: str) -> None:
    """Its name is its type, its number its place, and the SDK's model of it takes it."""
    found = await events(sim, model, tools=[{"type": "custom", "name": "c"}])

    for number, (name, event) in enumerate(found):
        EVENT.validate_python(event)
        assert name == event["type"]
        assert event["sequence_number"] == number or name == "error"


async def test_a_stream_has_openais_order(sim: Simulator) -> None:
    """Response, item, part, pieces, and all of them closed again."""
    found = await events(sim, "echo")

    assert [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *["output_text.delta"] * 3,
        *("output_text.done", "content_part.done", "output_item.done", "completed"),
    ] == [name.removeprefix("response.") for name, _ in found]


async def test_unknown_fields_are_on_every_event(sim: Simulator) -> None:
    """A shape that clients have to bear."""
    assert all("x_sim" in event for _, event in await events(sim, "echo?shape=unknown-fields"))


USAGE = {"asked": 3, "always": 3, "never": None, "zero": 0}


@pytest.mark.parametrize("usage", USAGE)
async def test_usage_is_what_the_setting_says(client: openai.AsyncOpenAI, usage: str) -> None:
    """A response has its usage unless it is told not to."""
    response = await client.responses.create(model=f"echo?usage={usage}", input="one two three")

    assert USAGE[usage] == (response.usage and response.usage.output_tokens)


async def test_a_result_is_answered_with_text(client: openai.AsyncOpenAI) -> None:
    """The model calls once, and speaks when it has what it asked for."""
    call: Any = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result: Any = {"type": "function_call_output", "call_id": "c", "output": "1"}
    response = await client.responses.create(model="tools", input=[call, result])

    assert ["message"] == [item.type for item in response.output]


async def test_a_limit_is_kept(client: openai.AsyncOpenAI) -> None:
    """`max_output_tokens` ends the answer as incomplete."""
    response = await client.responses.create(model="text", input="x", max_output_tokens=2)

    assert response.incomplete_details is not None
    assert ("incomplete", "max_output_tokens") == (
        response.status,
        response.incomplete_details.reason,
    )


async def test_a_bad_request_is_one(sim: Simulator) -> None:
    """A body that is none is refused as OpenAI does."""
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{sim.url}/v1/responses", content=b"{")

    assert (400, "invalid_json") == (answer.status_code, answer.json()["error"]["code"])


async def test_a_promise_is_kept_when_it_is_retrieved(client: openai.AsyncOpenAI) -> None:
    """The id has all that the answer needs, so that nothing is kept."""
    promise = await client.responses.create(
        model="echo", input="one two three", background=True, store=True
    )
    kept = await client.responses.retrieve(promise.id)

    assert ("queued", "completed") == (promise.status, kept.status)
    assert (promise.id, "one two three") == (kept.id, kept.output_text)


async def test_a_kept_stream_goes_on_behind_any_event(client: openai.AsyncOpenAI) -> None:
    """`starting_after` leaves out what has come."""
    stream = await client.responses.create(
        model="echo", input="one two three", background=True, stream=True
    )
    whole = [event async for event in stream]
    rest = await client.responses.retrieve(whole[0].response.id, stream=True, starting_after=5)  # type: ignore[union-attr]

    assert whole[6:] == [event async for event in rest]
    assert "response.queued" == whole[1].type


async def test_a_promise_can_be_cancelled(client: openai.AsyncOpenAI) -> None:
    """The response then says so, and has no output."""
    promise = await client.responses.create(model="echo", input="x", background=True)
    cancelled: Response = await client.responses.cancel(promise.id)

    assert ("cancelled", []) == (cancelled.status, cancelled.output)


@pytest.mark.parametrize("name", ["resp_x", "resp_sim_bg_x", "resp_sim_bg_eJw="])
async def test_an_unknown_response_is_not_found(client: openai.AsyncOpenAI, name: str) -> None:
    """Whatever the id looks like."""
    assert promised(name) is None
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(name)


async def test_a_kept_response_can_fail(client: openai.AsyncOpenAI) -> None:
    """The model's faults hold for what is asked of it later, too."""
    model = "echo?fault=rate-limit&fail=1"  # the first request has it, and so has what is kept
    with pytest.raises(openai.RateLimitError):
        await client.responses.create(model=model, input="x", background=True)
    promise = await client.responses.create(model=model, input="x", background=True)
    with pytest.raises(openai.RateLimitError):
        await client.responses.retrieve(promise.id)


def intake(body: Any) -> Intake:
    """A body that has arrived."""
    taken = Intake(0)
    taken.feed(json.dumps(body).encode(), True)
    return taken


ASKED: list[tuple[Any, str, str]] = [
    ("Hello", "user", "Hello"),
    ([{"role": "user", "content": "a"}], "user", "a"),
    ([{"role": "user", "content": [{"type": "input_text", "text": "a"}]}], "user", "a"),
    ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "assistant", "a"),
    ([{"role": "user", "content": "a"}, {"type": "function_call_output"}], "tool", "a"),
    ([{"role": "user", "content": "a"}, {"type": "custom_tool_call_output"}], "tool", "a"),
    ([{"role": "user", "content": "a"}, {"type": "reasoning", "content": None}], "reasoning", "a"),
    ([], "", ""),
]


@pytest.mark.parametrize(("given", "role", "text"), ASKED)
async def test_the_last_item_and_the_last_user_are_found(given: Any, role: str, text: str) -> None:
    """Whatever the input is made of."""
    ask = read(intake({"model": "m", "input": given}))

    assert (role, text) == (ask.last_role, ask.text)


async def test_a_body_above_the_bound_is_known_by_its_ends() -> None:
    """Its model, its last user and whether a result comes last."""
    filler = [{"role": "user", "content": "x" * 1000}] * 2000
    user = {"role": "user", "content": "the end"}
    result = {"type": "function_call_output", "call_id": "c", "output": "1"}

    ask = read(intake({"model": "m", "stream": True, "input": [*filler, user]}))
    assert ("m", True, "user", "the end") == (ask.model, ask.stream, ask.last_role, ask.text)
    assert "tool" == read(intake({"model": "m", "input": [*filler, user, result]})).last_role


async def test_tools_in_a_namespace_are_called_with_it(client: openai.AsyncOpenAI) -> None:
    """Codex has an MCP server's tools in one; ``tool`` says which of all tools is called."""
    function: Any = {"type": "function", "name": "f", "strict": False, "parameters": {}}
    inner: Any = [{**function, "name": "add"}, {**function, "name": "big"}]
    space: Any = {"type": "namespace", "name": "mcp__x", "description": "", "tools": inner}
    tools: Any = [function, space]
    called = []
    for model in ("tools", "tools?tool=big", "tools?tool=nothing"):
        response = await client.responses.create(model=model, input="x", tools=tools)
        called += [(i.name, i.namespace) for i in response.output if i.type == "function_call"]

    assert [("f", None), ("big", "mcp__x"), ("f", None)] == called
