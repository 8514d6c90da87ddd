"""The google-genai SDK as a client of the simulator, beside penstock's own client: they agree."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from google import genai
from google.genai import errors, types
from tests.road import KEY, Road, fails

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import (
    AuthenticationError,
    ContentBlockedError,
    NotFoundError,
    PenstockError,
    RateLimitError,
    ServerError,
    TruncatedError,
    UnavailableError,
)

# Where aiohttp is installed the SDK derives its session from aiohttp's, at which that warns.
pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession"),
]

SAID: list[Any] = [{"role": "user", "content": "one two three"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "n": {"type": "integer"}}}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}


class Told(NamedTuple):
    """What an answer amounts to."""

    text: str
    thoughts: str
    calls: list[tuple[str, Any]]
    images: int
    reason: str | None
    usage: tuple[int, int, int]


def sdk(road: Road, behavior: str) -> genai.Client:
    """The SDK's client; it puts a model's name into the address as it is, so the header asks."""
    headers = {"x-penstock-sim": behavior}
    options = types.HttpOptions(base_url=road.sim.url, headers=headers)
    return genai.Client(api_key=KEY, vertexai=False, http_options=options)


async def theirs(road: Road, behavior: str, *, stream: bool, tools: bool = False) -> Told:
    """What the SDK reads."""
    declared = types.FunctionDeclaration(name="weather", parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])] if tools else None,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    asked: Any = {"model": "echo", "contents": "one two three", "config": config}
    client = sdk(road, behavior)
    try:
        if stream:
            answers = [
                each async for each in await client.aio.models.generate_content_stream(**asked)
            ]
        else:
            answers = [await client.aio.models.generate_content(**asked)]
    finally:
        await client.aio.aclose()
    parts = [part for answer in answers for part in (answer.candidates[0].content.parts or ())]
    counts = answers[-1].usage_metadata
    thought = counts.thoughts_token_count or 0
    return Told(
        "".join(part.text or "" for part in parts if not part.thought),
        "".join(part.text or "" for part in parts if part.thought),
        [
            (part.function_call.name, part.function_call.args)
            for part in parts
            if part.function_call
        ],
        sum(part.inline_data is not None for part in parts),
        answers[-1].candidates[0].finish_reason.value,
        (counts.prompt_token_count, (counts.candidates_token_count or 0) + thought, thought),
    )


def client_of(road: Road, model: str, alt: str = "sse") -> Client:
    """Penstock's client of the same simulator; a stream is events, or with ``json`` an array."""
    query = {"alt": alt}
    there = Deployment(f"{road.sim.url}/v1beta", KEY, model=model, dialect="gemini", query=query)
    client = Client(deployments={"m": there}, default_model="m", max_retries=0)
    road.push_async_callback(client.aclose)
    return client


async def ours(road: Road, model: str, *, stream: bool, tools: bool = False) -> Told:
    """What penstock reads."""
    more = {"tools": [WEATHER]} if tools else {}
    reply = await client_of(road, model).chat("m", SAID, stream=stream, **more)
    usage = reply.usage
    assert usage is not None
    return Told(
        reply.text,
        reply.reasoning,
        [(call.name, json.loads(call.arguments)) for call in reply.tool_calls],
        len(reply.images),
        reply.choices[0].finish_raw,
        (0, usage.output_tokens, usage.reasoning_tokens or 0),
    )


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "behavior",
    [
        "echo",
        "reasoning?tokens=3&reasoning=2",
        "tools?calls=2",
        "image",
        "text?tokens=5&alphabet=emoji",
        "echo?shape=unknown-fields,annotations",
        "text?finish=MAX_TOKENS",
    ],
)
async def test_both_read_the_same(road: Road, behavior: str, stream: bool) -> None:
    """Text, thoughts, calls, images, the reason and the counts."""
    tools = behavior.startswith("tools")
    # The SDK parses into its types, which forbid nothing on the way in.
    found = await theirs(road, behavior, stream=stream, tools=tools)
    taken = found.usage[0]

    assert taken > 0
    expected = found._replace(usage=(0, *found.usage[1:]))
    assert expected == await ours(road, f"sim/{behavior}", stream=stream, tools=tools)


STATUSES: list[tuple[str, type[PenstockError]]] = [
    ("invalid-key", AuthenticationError),
    ("model-not-found", NotFoundError),
    ("rate-limit", RateLimitError),
    ("server-error", ServerError),
    ("unavailable", UnavailableError),
]


@pytest.mark.parametrize(("fault", "kind"), STATUSES)
async def test_both_fail_with_the_same_words(
    road: Road, fault: str, kind: type[PenstockError]
) -> None:
    """Status and message; a 429 says when to come back."""
    client = sdk(road, f"echo?fault={fault}")
    theirs = await fails(client.aio.models.generate_content(model="echo", contents="x"))
    await client.aio.aclose()
    error = await fails(client_of(road, f"sim/echo?fault={fault}").chat("m", SAID))

    assert isinstance(theirs, errors.APIError)
    assert isinstance(error, kind)
    assert theirs.code == error.status
    assert str(theirs.message) in str(error)
    assert (7.0 if fault == "rate-limit" else None) == error.retry_after


FAULTS: list[tuple[str, type[PenstockError]]] = [
    ("echo?fault=error", ServerError),
    ("echo?fault=error@1", ServerError),
    ("echo?fault=error-rate-limit@1", RateLimitError),
    ("echo?fault=content-filter-finish", ContentBlockedError),
    ("refusal", ContentBlockedError),
    ("echo?fault=no-finish", TruncatedError),
    ("echo?fault=close@2", TruncatedError),
    ("echo?fault=reset@2", PenstockError),
]


@pytest.mark.parametrize("alt", ["sse", "json"])
@pytest.mark.parametrize(("behavior", "kind"), FAULTS)
async def test_streams_that_fail_are_errors(
    road: Road, behavior: str, kind: type[PenstockError], alt: str
) -> None:
    """In either form of stream: never a normal stop, never an empty success."""
    client = client_of(road, f"sim/{behavior}", alt)

    assert isinstance(await fails(client.chat("m", SAID)), kind)


@pytest.mark.parametrize("behavior", ["echo", "tools", "reasoning?tokens=2"])
async def test_an_array_is_the_same_stream(road: Road, behavior: str) -> None:
    """Chunk by chunk."""
    found = []
    for alt, kind in (("sse", "text/event-stream"), ("json", "application/json")):
        client = client_of(road, f"sim/{behavior}", alt)
        async with client.stream("m", SAID) as stream:
            assert kind == stream.headers["content-type"].partition(";")[0]
            found.append([chunk async for chunk in stream])

    assert found[0] == found[1]


@pytest.mark.parametrize(("fault", "stream"), [("length-short", False), ("cut@1", True)])
async def test_a_cut_answer_is_a_truncation(road: Road, fault: str, stream: bool) -> None:
    """In the middle of its JSON, and in the middle of an HTTP chunk."""
    client = client_of(road, f"sim/echo?fault={fault}")

    assert isinstance(await fails(client.chat("m", SAID, stream=stream)), TruncatedError)


async def test_a_conversation_with_tools_goes_on(road: Road) -> None:
    """The call goes back with its signature, the result with the call's name; the SDK agrees."""
    client = client_of(road, "sim/tools?calls=2")
    messages = list(SAID)
    reply = await client.chat("m", messages, tools=[WEATHER])
    messages.append(reply.message)
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in reply.tool_calls
    ]
    after = await client.chat("m", messages, tools=[WEATHER])
    assert ("stop", []) == (after.finish_reason, after.dropped)
    contents = json.loads(road.sim.requests[-1].body)["contents"]
    for content in contents:
        types.Content.model_validate_json(json.dumps(content))
    model, results = contents[1]["parts"], contents[2]["parts"]

    assert "c2ltdWxhdGVkIHNpZ25hdHVyZQ==" == model[0]["thoughtSignature"]
    assert "thoughtSignature" not in model[1]
    assert ["weather"] * 2 == [part["functionResponse"]["name"] for part in results]
    assert [part["functionCall"]["id"] for part in model] == [
        part["functionResponse"]["id"] for part in results
    ]


async def test_vertex_is_addressed_by_project(road: Road) -> None:
    """As the SDK does for its project and location."""
    there = Deployment(
        f"{road.sim.url}/v1",
        KEY,
        model="echo",
        dialect="gemini",
        project="my-project",
        region="europe-west1",
    )
    async with Client(deployments={"m": there}, max_retries=0) as client:
        reply = await client.chat("m", SAID)

    assert "one two three" == reply.text
    assert (
        "/v1/projects/my-project/locations/europe-west1/publishers/google/models/echo"
        ":streamGenerateContent?alt=sse"
    ) == road.sim.requests[-1].path
