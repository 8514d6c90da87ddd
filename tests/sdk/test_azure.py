"""The openai SDK's Azure client at the simulator, beside penstock's own by the catalogue's row.

They agree on the address, on how the key is sent and on what the answer amounts to. The SDK is the
source for Azure's two addresses: deployments with ``api-version``, and ``/openai/v1``.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import openai
import pytest
from tests.road import KEY, Road, fails

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import ContentBlockedError, RateLimitError, ServerError

pytestmark = pytest.mark.asyncio

SAID: Any = [{"role": "user", "content": "one two three"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
VERSION = "2024-10-21"


class Told(NamedTuple):
    """What an answer amounts to."""

    text: str
    calls: list[tuple[str, str, Any]]
    reason: str | None
    usage: tuple[int, int]


async def sdks(road: Road, model: str, *, v1: bool, **fields: Any) -> Told:
    """What the SDK reads of a stream."""
    client = (
        openai.AsyncOpenAI(base_url=f"{road.sim.url}/openai/v1", api_key=KEY, max_retries=0)
        if v1
        else openai.AsyncAzureOpenAI(
            azure_endpoint=road.sim.url, api_version=VERSION, api_key=KEY, max_retries=0
        )
    )
    async with client:
        options: Any = {"include_usage": True}
        stream = await client.chat.completions.create(
            model=model, messages=SAID, stream=True, stream_options=options, **fields
        )
        events = [event async for event in stream]
    text, reason, usage = "", None, (0, 0)
    calls: dict[int, list[str]] = {}
    for event in events:
        if event.usage:
            usage = (event.usage.prompt_tokens, event.usage.completion_tokens)
        for choice in event.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
            for call in choice.delta.tool_calls or ():
                found = calls.setdefault(call.index, ["", "", ""])
                named = call.function
                found[0] += call.id or ""
                found[1] += (named and named.name) or ""
                found[2] += (named and named.arguments) or ""
    return Told(text, [(a, b, json.loads(c)) for a, b, c in calls.values()], reason, usage)


def client_of(road: Road, model: str, *, v1: bool) -> Client:
    """Penstock's client of the same simulator, whose address stands for the resource's."""
    if v1:
        there = Deployment(f"{road.sim.url}/openai/v1", KEY, model=model)
        return road.client(deployments={"azure/there": there})
    return road.client()


async def ours(road: Road, model: str, *, v1: bool, **fields: Any) -> Told:
    """What penstock reads of a stream."""
    name = "azure/there" if v1 else f"azure/{model}"
    reply = await client_of(road, model, v1=v1).chat(name, SAID, **fields)
    assert reply.usage is not None
    calls = [(call.id, call.name, json.loads(call.arguments)) for call in reply.tool_calls]
    usage = (reply.usage.input_tokens, reply.usage.output_tokens)
    return Told(reply.text, calls, reply.finish_reason, usage)


@pytest.fixture
def at_home(road: Road, monkeypatch: pytest.MonkeyPatch) -> Road:
    """The simulator as the resource of ``azure/…``."""
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", road.sim.url)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    return road


@pytest.mark.parametrize("v1", [False, True], ids=["deployments", "v1"])
@pytest.mark.parametrize(
    ("model", "fields"), [("echo", {}), ("tools", {"tools": TOOLS})], ids=["text", "tools"]
)
async def test_they_agree_on_address_key_and_answer(
    at_home: Road, model: str, fields: dict[str, Any], v1: bool
) -> None:
    """Path, query, header of the key; text, calls, finish reason and usage."""
    theirs = await sdks(at_home, model, v1=v1, **fields)
    found = await ours(at_home, model, v1=v1, **fields)

    assert theirs._replace(usage=(0, 0)) == found._replace(usage=(0, 0))
    assert theirs.usage[1] == found.usage[1]
    sdk, own = at_home.sim.requests
    assert sdk.path == own.path
    for name in ("api-key", "authorization"):
        assert sdk.headers.get(name) == own.headers.get(name)


@pytest.mark.parametrize(
    ("fault", "theirs", "kind"),
    [
        ("content-filter", openai.BadRequestError, ContentBlockedError),
        ("rate-limit", openai.RateLimitError, RateLimitError),
        ("server-error", openai.InternalServerError, ServerError),
    ],
)
async def test_they_agree_on_what_failed(
    road: Road, fault: str, theirs: type[Exception], kind: type[Exception]
) -> None:
    """By status; a blocked prompt is an error of its own, with Azure's ``innererror`` in it."""
    model = f"sim/echo?fault={fault}&style=azure"

    assert isinstance(await fails(sdks(road, model, v1=True)), theirs)
    assert isinstance(await fails(ours(road, model, v1=True)), kind)
