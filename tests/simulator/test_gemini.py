"""Gemini's wire of the simulator, seen by plain requests: addresses, framings, shapes, errors."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from penstock.simulator import Simulator
from penstock.simulator.wires import wire_for
from penstock.simulator.wires.gemini import Gemini, GeminiArray

pytestmark = pytest.mark.asyncio

SAID = {"contents": [{"role": "user", "parts": [{"text": "one two"}]}]}


async def post(sim: Simulator, path: str, **body: Any) -> httpx.Response:
    """One answer."""
    async with httpx.AsyncClient() as client:
        return await client.post(f"{sim.url}{path}", json=SAID | body)


def events(answer: httpx.Response) -> list[Any]:
    """The events of a stream."""
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


# The end of a path, its wire, and the model that it names.
PATHS: list[tuple[str, str, type[Gemini], str]] = [
    ("/v1beta/models/echo:streamGenerateContent", "?alt=sse", Gemini, "echo"),
    ("/v1beta/models/echo:streamGenerateContent", "", GeminiArray, "echo"),
    ("/v1beta/models/sim%2Fecho%3Fa%3D1:generateContent", "", Gemini, "sim/echo?a=1"),
    (
        "/v1/projects/p/locations/us/publishers/google/models/echo:streamGenerateContent",
        "?a=b&alt=sse",
        Gemini,
        "echo",
    ),
]


@pytest.mark.parametrize(("path", "query", "kind", "model"), PATHS)
async def test_the_address_has_the_model(
    path: str, query: str, kind: type[Gemini], model: str
) -> None:
    """And says whether the answer is a stream, and of which form."""
    wire = wire_for(path, path + query)

    assert kind is type(wire)
    assert wire is not None
    assert model == wire.model_in(b"")


@pytest.mark.parametrize("path", ["/v1beta/models/echo", "/v1beta/models/echo:countTokens", "/"])
async def test_other_addresses_are_not_its_own(path: str) -> None:
    """Counting and listing are other calls."""
    assert wire_for(path) is None


async def test_a_stream_is_events_or_an_array(sim: Simulator) -> None:
    """The same pieces in either form."""
    path = "/v1beta/models/echo:streamGenerateContent"
    sse, array = await post(sim, f"{path}?alt=sse"), await post(sim, path)

    assert "text/event-stream" == sse.headers["content-type"]
    assert "application/json; charset=UTF-8" == array.headers["content-type"]
    assert events(sse) == array.json()
    assert ["one ", "two", ""] == [
        part["text"]
        for event in array.json()
        for part in event["candidates"][0]["content"]["parts"]
    ]
    assert "STOP" == array.json()[-1]["candidates"][0]["finishReason"]


@pytest.mark.parametrize("query", ["", "?alt=sse"])
@pytest.mark.parametrize("at", ["", "@1"])
async def test_an_error_may_be_in_either(sim: Simulator, query: str, at: str) -> None:
    """As the only thing, or behind what was said."""
    model = f"sim%2Fecho%3Ffault%3Derror{at.replace('@', '%40')}"
    answer = await post(sim, f"/v1beta/models/{model}:streamGenerateContent{query}")

    assert '"status":"INTERNAL"' in answer.text.replace(" ", "")
    assert ("one " in answer.text) == bool(at)


async def test_tools_limits_and_schemas_are_read(sim: Simulator) -> None:
    """In the SDK's capitals and in JSON Schema's names."""
    path = "/v1beta/models/tools:generateContent"
    upper = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}}
    tools = [{"functionDeclarations": [{"name": "f", "parameters": upper}]}]
    called = (await post(sim, path, tools=tools)).json()["candidates"][0]
    part = called["content"]["parts"][0]
    assert ("f", {"n": 1}) == (part["functionCall"]["name"], part["functionCall"]["args"])
    assert part["thoughtSignature"]

    config = {"responseJsonSchema": {"type": "object", "properties": {"a": {"const": "b"}}}}
    path = "/v1beta/models/json:generateContent"
    found = (await post(sim, path, generationConfig=config)).json()
    assert '{"a": "b"}' == found["candidates"][0]["content"]["parts"][0]["text"]

    path = "/v1beta/models/text:generateContent"
    config = {"maxOutputTokens": 2, "candidateCount": 2}
    found = (await post(sim, path, generationConfig=config)).json()
    assert ["MAX_TOKENS"] * 2 == [each["finishReason"] for each in found["candidates"]]


async def test_results_end_the_calls(sim: Simulator) -> None:
    """Behind the result of a tool comes text."""
    contents = [
        *SAID["contents"],
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
    ]
    found = (await post(sim, "/v1beta/models/tools:generateContent", contents=contents)).json()

    assert ["text"] == list(found["candidates"][0]["content"]["parts"][0])


SHAPES: list[tuple[str, Any]] = [
    ("unknown-fields", lambda event: event["candidates"][0]["xCandidate"] is True),
    ("annotations", lambda event: "groundingMetadata" in event["candidates"][0]),
]


@pytest.mark.parametrize(("shape", "there"), SHAPES)
async def test_shapes_are_on_the_wire(sim: Simulator, shape: str, there: Any) -> None:
    """Those that exist on this wire."""
    model = f"echo%3Fshape%3D{shape}"
    answer = await post(sim, f"/v1beta/models/{model}:streamGenerateContent?alt=sse")

    assert there(events(answer)[-1])


async def test_calls_may_have_no_id(sim: Simulator) -> None:
    """As before Gemini 3."""
    path = "/v1beta/models/tools%3Fshape%3Dno-id:generateContent"
    part = (await post(sim, path)).json()["candidates"][0]["content"]["parts"][0]

    assert ["name", "args"] == list(part["functionCall"])


async def test_a_refusal_is_a_blocked_prompt(sim: Simulator) -> None:
    """Gemini refuses in no words of its own."""
    for path in ("generateContent", "streamGenerateContent"):
        found = (await post(sim, f"/v1beta/models/refusal:{path}")).json()
        found = found[0] if isinstance(found, list) else found
        assert "PROHIBITED_CONTENT" == found["promptFeedback"]["blockReason"]


@pytest.mark.parametrize(
    ("fault", "code", "word"),
    [
        ("invalid-key", 401, "UNAUTHENTICATED"),
        ("model-not-found", 404, "NOT_FOUND"),
        ("rate-limit", 429, "RESOURCE_EXHAUSTED"),
        ("unavailable", 503, "UNAVAILABLE"),
    ],
)
async def test_refusals_have_googles_words(
    sim: Simulator, fault: str, code: int, word: str
) -> None:
    """Status, word and message, and details where Google has them."""
    answer = await post(sim, f"/v1beta/models/echo%3Ffault%3D{fault}:generateContent")
    error = answer.json()["error"]

    assert (code, code, word) == (answer.status_code, error["code"], error["status"])
    assert ("details" in error) == (code in (401, 429))


async def test_a_body_that_is_none_is_refused(sim: Simulator) -> None:
    """With a 400 in Google's shape."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{sim.url}/v1/models/echo:generateContent", content=b"[]")

    assert (400, "INVALID_ARGUMENT") == (answer.status_code, answer.json()["error"]["status"])
