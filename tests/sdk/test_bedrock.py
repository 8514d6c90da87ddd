"""boto3 and aiobotocore as clients of the simulator, beside penstock's own client: they agree.

The simulator refuses thinking whose signature does not fit, calls without tools and results without
their call, as Bedrock does, so that a turn which loses something of the one before is found out.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote

import boto3
import pytest
from aiobotocore.session import get_session
from botocore.config import Config
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.road import Road, fails

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    PenstockError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TruncatedError,
    UnavailableError,
)
from penstock.simulator.wires.event_stream import message

# botocore leaves the connection of a stream that failed to the collector, which tells of it then.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """Collect what is left here, and not in another module's test."""
    yield
    gc.collect()


SAID: list[Any] = [{"role": "user", "content": "one two three"}]
THEIRS: list[Any] = [{"role": "user", "content": [{"text": "one two three"}]}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
THEIR_WEATHER = {"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}
OPTIONS: dict[str, Any] = {
    "region_name": "us-east-1",
    "aws_access_key_id": "AKIDSIM",
    "aws_secret_access_key": "secret-of-the-simulator",
    "config": Config(retries={"max_attempts": 0}),
}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Credentials for penstock's own signatures, and nothing of this machine's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDSIM")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-simulator")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return


class Told(NamedTuple):
    """What an answer amounts to."""

    text: str
    thinking: str
    signatures: list[str]
    calls: list[tuple[str, str, Any]]
    reason: str | None
    usage: tuple[int, ...]


def counted(usage: dict[str, int]) -> tuple[int, ...]:
    """Tokens as penstock counts them: what the cache read or took is part of the prompt."""
    read, written = usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0)
    return usage["inputTokens"] + read + written, usage["outputTokens"], read, written


def whole(answer: dict[str, Any]) -> Told:
    """What boto3 reads of ``converse``."""
    blocks = answer["output"]["message"]["content"]
    thoughts = [b["reasoningContent"]["reasoningText"] for b in blocks if "reasoningContent" in b]
    calls = [block["toolUse"] for block in blocks if "toolUse" in block]
    return Told(
        "".join(block.get("text", "") for block in blocks),
        "".join(thought["text"] for thought in thoughts),
        [thought["signature"] for thought in thoughts],
        [(call["toolUseId"], call["name"], call["input"]) for call in calls],
        answer["stopReason"],
        counted(answer["usage"]),
    )


def streamed(events: Any) -> Told:
    """What boto3 reads of ``converse_stream``."""
    text = thinking = ""
    signatures: list[str] = []
    calls: dict[int, list[str]] = {}
    reason, usage = None, (0, 0, 0, 0)
    for event in events:
        if start := event.get("contentBlockStart"):
            used = start["start"]["toolUse"]
            calls[start["contentBlockIndex"]] = [used["toolUseId"], used["name"], ""]
        elif grown := event.get("contentBlockDelta"):
            delta = grown["delta"]
            thought = delta.get("reasoningContent", {})
            text += delta.get("text", "")
            thinking += thought.get("text", "")
            signatures += [thought["signature"]] if "signature" in thought else []
            if "toolUse" in delta:
                calls[grown["contentBlockIndex"]][2] += delta["toolUse"]["input"]
        elif "messageStop" in event:
            reason = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            usage = counted(event["metadata"]["usage"])
    found = [(id, name, json.loads(input)) for id, name, input in calls.values()]
    return Told(text, thinking, signatures, found, reason, usage)


def asked(model: str, *, tools: bool, messages: Any = THEIRS) -> dict[str, Any]:
    """boto3's arguments."""
    more = {"toolConfig": {"tools": [THEIR_WEATHER]}} if tools else {}
    return {"modelId": model, "messages": messages, **more}


async def sdks(road: Road, model: str, *, stream: bool, tools: bool = False) -> Told:
    """What boto3 reads, in a thread, as it blocks."""
    client = boto3.client("bedrock-runtime", endpoint_url=road.sim.url, **OPTIONS)

    def call() -> Told:
        if stream:
            return streamed(client.converse_stream(**asked(model, tools=tools))["stream"])
        return whole(client.converse(**asked(model, tools=tools)))

    try:
        return await asyncio.to_thread(call)
    finally:
        client.close()


def client_of(road: Road, model: str, **options: Any) -> Client:
    """Penstock's client of the same simulator."""
    options.setdefault("dialect", "bedrock_converse")
    there = Deployment(road.sim.url, model=model, region="us-east-1", **options)
    return road.client(deployments={"there": there})


async def ours(road: Road, model: str, *, stream: bool, tools: bool = False) -> Told:
    """What penstock reads."""
    fields: dict[str, Any] = {"tools": [WEATHER]} if tools else {}
    reply = await client_of(road, model).chat("there", SAID, stream=stream, **fields)
    counts = reply.usage
    assert counts is not None
    blocks = (reply.message.get("provider_state") or {"blocks": []})["blocks"]
    thoughts = [b["reasoningContent"]["reasoningText"] for b in blocks if "reasoningContent" in b]
    return Told(
        reply.text,
        reply.reasoning,
        [thought["signature"] for thought in thoughts],
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
    "sim/refusal": False,
}


@pytest.mark.asyncio
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", MODELS)
async def test_boto3_agrees_with_penstock(road: Road, model: str, stream: bool) -> None:
    """On the text, the thinking and its signature, the calls, the stop reason and the usage."""
    tools = MODELS[model]
    theirs = await sdks(road, model, stream=stream, tools=tools)
    found = await ours(road, model, stream=stream, tools=tools)

    assert theirs[:5] == found[:5]
    # The bodies differ by what is said of no parameter, and tokens are counted by their length.
    assert theirs.usage[1:] == found.usage[1:]
    assert abs(theirs.usage[0] - found.usage[0]) <= 8


@pytest.mark.asyncio
async def test_aiobotocore_agrees_too(road: Road) -> None:
    """The asynchronous parser of the same frames."""
    model = "sim/tools?calls=2&reasoning=2"
    async with get_session().create_client(
        "bedrock-runtime", endpoint_url=road.sim.url, **OPTIONS
    ) as client:
        answer = await client.converse_stream(**asked(model, tools=True))
        events = [event async for event in answer["stream"]]

    assert streamed(events)[:5] == (await ours(road, model, stream=True, tools=True))[:5]


ERRORS: dict[str, tuple[str, type[PenstockError]]] = {
    "bad-request": ("ValidationException", InvalidRequestError),
    "invalid-key": ("UnrecognizedClientException", AuthenticationError),
    "forbidden": ("AccessDeniedException", PermissionDeniedError),
    "model-not-found": ("ResourceNotFoundException", NotFoundError),
    "rate-limit": ("ThrottlingException", RateLimitError),
    "insufficient-quota": ("ServiceQuotaExceededException", BillingError),
    "context-length": ("ValidationException", ContextLengthError),
    "server-error": ("InternalServerException", ServerError),
    "unavailable": ("ServiceUnavailableException", UnavailableError),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ERRORS)
async def test_a_refusal_has_the_same_name_for_both(road: Road, fault: str) -> None:
    """boto3's error code is our `code`, and its message stands in ours."""
    code, kind = ERRORS[fault]
    theirs = await fails(sdks(road, f"sim/echo?fault={fault}", stream=True))
    found = await fails(ours(road, f"sim/echo?fault={fault}", stream=True))

    assert isinstance(theirs, ClientError)
    assert isinstance(found, kind)
    assert code == theirs.response["Error"]["Code"] == found.code
    assert theirs.response["Error"]["Message"] in found.message


STREAM_ERRORS: dict[str, tuple[str, type[PenstockError]]] = {
    "error": ("internalServerException", ServerError),
    "error-rate-limit": ("throttlingException", RateLimitError),
    "error-overloaded": ("serviceUnavailableException", UnavailableError),
    "error-openrouter": ("modelStreamErrorException", ServerError),
    "error-string": ("InternalFailure", ServerError),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ["", "@2"])
@pytest.mark.parametrize("fault", STREAM_ERRORS)
async def test_an_exception_in_a_stream_is_an_error_for_both(
    road: Road, fault: str, place: str
) -> None:
    """Row 12: at once and after two chunks, of which what came is kept."""
    code, kind = STREAM_ERRORS[fault]
    model = f"sim/text?tokens=5&fault={fault}{place}"
    theirs = await fails(sdks(road, model, stream=True))
    found = await fails(ours(road, model, stream=True))

    assert isinstance(theirs, EventStreamError)
    assert isinstance(found, kind)
    assert code == theirs.response["Error"]["Code"]
    assert code.lower() == (found.code or "").lower()
    if place:
        assert found.partial is not None
        assert found.partial.text


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ["close@2", "no-finish"])
async def test_a_cut_answer_is_truncated(road: Road, fault: str) -> None:
    """boto3 takes it for a whole one, or breaks on its bytes; here it is a `TruncatedError`."""
    error = await fails(ours(road, f"sim/text?tokens=5&fault={fault}", stream=True))

    assert isinstance(error, TruncatedError)
    assert error.partial is not None


@pytest.mark.asyncio
async def test_an_answer_without_its_metadata_is_whole(road: Road) -> None:
    """The stop reason is the end; only the counts are missing."""
    reply = await client_of(road, "sim/text?tokens=5&fault=no-done").chat("there", SAID)

    assert ("stop", None) == (reply.finish_reason, reply.usage)


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["bedrock_converse", "bedrock_invoke"])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_second_turn_keeps_what_the_first_thought(
    road: Road, dialect: str, stream: bool
) -> None:
    """Thinking goes back with its signature, results with their calls, and without tools, too."""
    client = client_of(road, "sim/tools?calls=2&reasoning=3", dialect=dialect)
    messages = list(SAID)
    reply = await client.chat("there", messages, tools=[WEATHER], stream=stream)
    messages.append(reply.message)
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in reply.tool_calls
    ]
    last = await client.chat("there", messages, stream=stream, strict=True)

    assert 2 == len(reply.tool_calls)
    assert "stop" == last.finish_reason
    sent = json.loads(road.sim.requests[-1].body)
    first = sent["messages"][1]["content"][0]
    assert "thinking" in first or "reasoningContent" in first


@pytest.mark.asyncio
async def test_boto3_reads_invokemodel_as_penstock_does(road: Road) -> None:
    """Anthropic's events, each in a frame of AWS's."""
    model = "sim/reasoning?tokens=4&reasoning=3"
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 100,
        "messages": SAID,
    }
    client = boto3.client("bedrock-runtime", endpoint_url=road.sim.url, **OPTIONS)

    def call() -> list[dict[str, Any]]:
        answer = client.invoke_model_with_response_stream(modelId=model, body=json.dumps(body))
        return [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]

    events = await asyncio.to_thread(call)
    client.close()
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    reply = await client_of(road, model, dialect="bedrock_invoke").chat("there", SAID)

    assert "".join(delta.get("text", "") for delta in deltas) == reply.text
    assert "".join(delta.get("thinking", "") for delta in deltas) == reply.reasoning
    assert "message_stop" == events[-1]["type"]


@pytest.mark.asyncio
async def test_the_simulator_refuses_what_bedrock_refuses(road: Road) -> None:
    """For boto3 as well: results of no call, calls without tools, changed thinking."""
    used = {"toolUse": {"toolUseId": "a", "name": "weather", "input": {}}}
    result = {"toolResult": {"toolUseId": "a", "content": [{"text": "x"}]}}
    forged = {"reasoningContent": {"reasoningText": {"text": "x", "signature": "y"}}}
    document = {"document": {"format": "txt", "name": "a", "source": {"bytes": b"x"}}}
    client = boto3.client("bedrock-runtime", endpoint_url=road.sim.url, **OPTIONS)

    def refused(*turns: Any, tools: bool = False) -> str:
        roles = ["user", "assistant"]
        messages = [
            {"role": roles[number % 2], "content": [block] if isinstance(block, dict) else block}
            for number, block in enumerate(turns)
        ]
        with pytest.raises(ClientError) as caught:
            client.converse(**asked("sim/echo", tools=tools, messages=messages))
        return str(caught.value)

    def all_refused() -> list[str]:
        return [
            refused(result, tools=True),
            refused({"text": "hi"}, used, result),
            refused({"text": "hi"}, forged),
            refused({"text": " "}),
            refused([document, document, {"text": "x"}]),
        ]

    told = await asyncio.to_thread(all_refused)
    client.close()
    words = ["no such toolUseId", "toolConfig", "signature", "blank", "duplicate document names"]

    assert all(word in said for word, said in zip(words, told, strict=True)), told


names = st.text("abcdefghijklmnopqrstuvwxyz:-", min_size=1, max_size=20)


@given(
    headers=st.dictionaries(names, st.text(max_size=30), max_size=5),
    payload=st.binary(max_size=200),
)
@settings(deadline=None, max_examples=60)
def test_a_frame_is_botocores(headers: dict[str, str], payload: bytes) -> None:
    """The simulator's frames are read by botocore's own decoder."""
    buffer = EventStreamBuffer()
    buffer.add_data(message(headers, payload))
    (read,) = list(buffer)

    assert (headers, payload) == (read.headers, read.payload)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("model", "region"),
    [
        ("sim/text?tokens=2", "eu-central-1"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6",
            "us-east-1",
        ),
    ],
)
@pytest.mark.parametrize("key", [None, "bedrock-api-key-canary"])
async def test_a_model_is_reached_by_its_name(
    road: Road, monkeypatch: pytest.MonkeyPatch, model: str, region: str, key: str | None
) -> None:
    """``bedrock/<id or ARN>``: address, key or signature of the environment, region of the ARN."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", road.sim.url)
    if key is not None:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", key)
    async with Client(max_retries=0) as client:
        with suppress(PenstockError):  # the simulator has no model that is called by an ARN
            await client.chat(f"bedrock/{model}", SAID)
    request = road.sim.requests[-1]
    sent = request.headers["authorization"]

    assert request.path.endswith(f"/model/{quote(model, safe='')}/converse-stream")
    assert (f"Bearer {key}" == sent) if key else (f"/{region}/bedrock/aws4_request" in sent)


@pytest.mark.asyncio
async def test_the_region_fills_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_REGION, AWS_DEFAULT_REGION, or the deployment's own."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"):
        monkeypatch.delenv(name, raising=False)
    base = "https://bedrock-runtime.{region}.amazonaws.com"
    own = Deployment(base, dialect="bedrock_converse", region="sa-east-1")
    async with Client(deployments={"own": own}) as client:
        preview = await client.preview("own", SAID)
    found = [preview.url.split("/")[2]]
    for name, region in (("AWS_DEFAULT_REGION", "eu-west-3"), ("AWS_REGION", "ap-south-1")):
        monkeypatch.setenv(name, region)
        async with Client() as client:
            found.append(
                (await client.preview("bedrock/amazon.nova-pro-v1:0", SAID)).url.split("/")[2]
            )

    assert [
        f"bedrock-runtime.{r}.amazonaws.com" for r in ("sa-east-1", "eu-west-3", "ap-south-1")
    ] == found
    assert "***" == preview.headers["authorization"]
