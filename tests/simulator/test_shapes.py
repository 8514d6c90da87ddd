"""Each shape is on the wire as it is described, seen by a plain socket."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource

from penstock.simulator import shapes, styles
from penstock.simulator.problems import PROBLEMS
from penstock.simulator.wires.openai_errors import error_body

Ask = Callable[..., Awaitable[Any]]


def deltas(answer: Any, field: str) -> list[Any]:
    """The values of one field of the deltas, where it is there."""
    found = [each for part in answer.objects if part for each in part.get("choices") or ()]
    return [each["delta"][field] for each in found if field in each["delta"]]


def choices(answer: Any, field: str) -> list[Any]:
    """One field of every choice."""
    return [each[field] for part in answer.objects for each in part["choices"]]


def call_deltas(answer: Any) -> list[dict[str, Any]]:
    """The tool-call deltas, one after the other."""
    return [call for calls in deltas(answer, "tool_calls") for call in calls]


def names(answer: Any) -> list[Any]:
    """The function names of the tool-call deltas; "-" where there is none."""
    return [call["function"].get("name", "-") for call in call_deltas(answer)]


def usages(answer: Any) -> list[Any]:
    """The usage of each chunk; "-" where there is none."""
    return [part.get("usage", "-") for part in answer.objects]


TOOLS = "tools?calls=2&size=100"
"""Two calls, each with one delta of arguments."""
DETAIL = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
ZERO = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}

# The shape, the model it is asked of, what is looked at, and what is there.
SHAPES: list[tuple[str, str, Callable[[Any], Any], Any]] = [
    (
        "reasoning_content",
        "reasoning?reasoning=1&size=3",
        lambda a: len(deltas(a, "reasoning_content")),
        1,
    ),
    ("reasoning", "reasoning?reasoning=2&size=3", lambda a: len(deltas(a, "reasoning")), 2),
    (
        "reasoning_details",
        "reasoning?reasoning=1&size=1&tokens=1",
        lambda a: [each[0].keys() - DETAIL.keys() for each in deltas(a, "reasoning_details")],
        [{"text"}, {"text", "signature"}],
    ),
    (
        "reasoning_both",
        "reasoning?reasoning=2&tokens=1",
        lambda a: (len(deltas(a, "reasoning")), len(deltas(a, "reasoning_details"))),
        (2, 3),
    ),
    (
        "reasoning_parts",
        "reasoning?reasoning=1&tokens=1",
        lambda a: [each[0]["type"] for each in deltas(a, "content") if isinstance(each, list)],
        ["thinking"],
    ),
    ("no-index", TOOLS, lambda a: [call for call in call_deltas(a) if "index" in call], []),
    ("repeated-index", TOOLS, lambda a: [call["index"] for call in call_deltas(a)], [0, 0, 0, 0]),
    ("changing-index", TOOLS, lambda a: [call["index"] for call in call_deltas(a)], [0, 1, 2, 3]),
    ("empty-name-later", TOOLS, names, ["get_weather", "", "get_weather", ""]),
    ("null-name-later", TOOLS, names, ["get_weather", None, "get_weather", None]),
    ("repeated-id", TOOLS, names, ["get_weather"] * 4),
    ("no-id", TOOLS, lambda a: [call for call in call_deltas(a) if "id" in call], []),
    ("same-id", TOOLS, lambda a: {c["id"] for c in call_deltas(a) if "id" in c}, {"call_sim_same"}),
    (
        "dict-arguments",
        TOOLS,
        lambda a: [call["function"]["arguments"] for call in call_deltas(a)],
        [{"city": "text"}] * 2,
    ),
    (
        "whole-calls",
        "tools?calls=2&size=2",
        lambda a: [json.loads(call["function"]["arguments"]) for call in call_deltas(a)],
        [{"city": "text"}] * 2,
    ),
    ("interleaved", TOOLS, lambda a: [call["index"] for call in call_deltas(a)], [0, 1, 0, 1]),
    (
        "function-call",
        "tools?size=100",
        lambda a: (deltas(a, "function_call"), a.finish),
        (
            [{"name": "get_weather", "arguments": ""}, {"arguments": '{"city": "text"}'}],
            "function_call",
        ),
    ),
    (
        "logprobs",
        "echo",
        lambda a: [each["content"][0]["token"] for each in choices(a, "logprobs") if each],
        ["one ", "two ", "three"],
    ),
    (
        "annotations",
        "echo",
        lambda a: deltas(a, "annotations")[0][0]["url_citation"]["end_index"],
        4,
    ),
    (
        "citations",
        "echo",
        lambda a: {tuple(part["citations"]) for part in a.objects},
        {("https://example.com/penstock",)},
    ),
    (
        "content-parts",
        "echo",
        lambda a: deltas(a, "content")[1],
        [{"type": "text", "text": "one "}],
    ),
    ("null-content", "tools?size=100", lambda a: set(deltas(a, "content")), {None}),
    ("refusal", "echo", lambda a: deltas(a, "refusal"), [None, "No further."]),
    (
        "unknown-fields",
        "echo",
        lambda a: {"x_chunk", "x_choice", "x_delta"} <= set(flat(a.objects[1])),
        True,
    ),
    (
        "usage-details",
        "echo?usage=always",
        lambda a: usages(a)[-1]["prompt_tokens_details"]["cached_tokens"],
        3,
    ),
    (
        "usage-each",
        "echo",
        lambda a: [each["completion_tokens"] for each in usages(a)],
        [0, 1, 2, 3, 3],
    ),
    ("usage-null", "echo?usage=zero", usages, [None] * 5 + [ZERO]),
    ("usage-in-finish", "echo?usage=zero", usages, ["-"] * 4 + [ZERO]),
    ("usage-cost", "echo?usage=always", lambda a: usages(a)[-1]["cost"], 0.00125),
    ("empty-choices", "echo", lambda a: (a.objects[0]["choices"], a.text), ([], "one two three")),
    ("no-choices", "echo", lambda a: ("choices" in a.objects[0], a.text), (False, "one two three")),
    ("role-each", "echo", lambda a: deltas(a, "role"), ["assistant"] * 5),
    (
        "finish-with-content",
        "echo",
        lambda a: (choices(a, "delta")[-1], a.finish),
        ({"content": "three"}, "stop"),
    ),
    (
        "finish-empty",
        "echo",
        lambda a: choices(a, "finish_reason"),
        ["", "", "", "", "stop"],
    ),
    (
        "fingerprint",
        "echo",
        lambda a: {part["system_fingerprint"] for part in a.objects},
        {"fp_sim"},
    ),
    ("obfuscation", "echo", lambda a: {part["obfuscation"] for part in a.objects}, {"aB3x9Q"}),
    ("data-null", "echo", lambda a: a.objects.count(None), 1),
    ("u2028", "echo", lambda a: a.body.count("\u2028".encode()), 3),
    ("u0085", "echo", lambda a: a.body.count("\u0085".encode()), 3),
    ("escaped", "text?alphabet=greek", lambda a: a.body.isascii(), True),
    ("latin-1", "echo", lambda a: a.content_type, "text/event-stream; charset=latin-1"),
]

SPELLED = {
    # the shape: what the bytes of the stream have, and the byte strings that they do not have
    "multi-line": (b'\ndata:  "choices": [\n', b'"choices":['),
    "bom": (b"\xef\xbb\xbfdata:", b"\xef\xbb\xbf\n"),
    "cr": (b"\r\rdata: ", b"\n"),
    "crlf": (b"\r\n\r\ndata: ", b"\n\n"),
    "no-space": (b"data:{", b"data: "),
    "comments": (b": OPENROUTER PROCESSING\n\ndata: ", b"\r"),
    "event-names": (b"event: message\ndata: ", b"\n\ndata"),
    "ids": (b"retry: 3000\n\nid: 0\ndata: ", b"\n\ndata"),
}


def flat(value: Any) -> list[str]:
    """Every key of nested objects."""
    if isinstance(value, list):
        return [key for each in value for key in flat(each)]
    if isinstance(value, dict):
        return [*value, *(key for each in value.values() for key in flat(each))]
    return []


def test_every_shape_has_its_test() -> None:
    """The tables name every shape there is."""
    assert set(shapes()) == {name for name, *_ in SHAPES} | set(SPELLED)


@pytest.mark.asyncio
@pytest.mark.parametrize(("shape", "model", "look", "expected"), SHAPES)
async def test_a_shape_is_as_described(
    ask: Ask, shape: str, model: str, look: Callable[[Any], Any], expected: Any
) -> None:
    """The stream shows what the table says, and ends as a stream does."""
    answer = await ask(f"{model}{'&' if '?' in model else '?'}shape={shape}")

    assert expected == look(answer)
    assert ("complete", True) == (answer.ended, answer.done)


@pytest.mark.asyncio
@pytest.mark.parametrize("shape", SPELLED)
async def test_a_spelling_is_as_described(ask: Ask, shape: str) -> None:
    """The bytes of the stream are spelled as the table says."""
    answer = await ask(f"echo?shape={shape}")
    there, absent = SPELLED[shape]

    assert (True, False) == (there in answer.body, absent in answer.body)


@pytest.mark.asyncio
@pytest.mark.parametrize("shape", sorted(set(SPELLED) - {"bom"}))
async def test_a_spelling_does_not_change_the_events(ask: Ask, shape: str) -> None:
    """httpx-sse reads the same data out of every spelling that it supports."""
    plain = await ask("echo")
    spelled = await ask(f"echo?shape={shape}")

    assert decoded(plain.body) == decoded(spelled.body)


def decoded(body: bytes) -> list[Any]:
    """The events' data by httpx-sse, as JSON where it is."""
    headers = {"content-type": "text/event-stream"}
    events = EventSource(httpx.Response(200, headers=headers, content=body)).iter_sse()
    data = [event.data for event in events if event.data]
    return [json.loads(each) if each != "[DONE]" else each for each in data]


WHOLE: list[tuple[str, str, Callable[[Any], Any], Any]] = [
    # shapes of an answer that is not streamed
    ("reasoning", "reasoning", lambda m: "reasoning" in m, True),
    (
        "reasoning_details",
        "reasoning",
        lambda m: m["reasoning_details"][0]["type"],
        "reasoning.text",
    ),
    (
        "dict-arguments",
        "tools",
        lambda m: m["tool_calls"][0]["function"]["arguments"],
        {"city": "text"},
    ),
    ("function-call", "tools", lambda m: m["function_call"]["name"], "get_weather"),
    ("annotations", "echo", lambda m: m["annotations"][0]["type"], "url_citation"),
    ("content-parts", "echo", lambda m: m["content"][0]["type"], "text"),
    ("unknown-fields", "echo", lambda m: m["x_delta"], {"deep": {"er": 1.5}}),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("shape", "model", "look", "expected"), WHOLE)
async def test_a_whole_answer_has_the_shape(
    ask: Ask, shape: str, model: str, look: Callable[[Any], Any], expected: Any
) -> None:
    """The message shows what the table says."""
    answer = await ask(f"{model}?shape={shape}", stream=False)

    assert expected == look(answer.json["choices"][0]["message"])


@pytest.mark.asyncio
async def test_shapes_combine(ask: Ask) -> None:
    """Several shapes of one request all apply, in any order."""
    answer = await ask("echo?shape=no-choices,unknown-fields,data-null,usage-each,crlf,refusal")

    assert b"x_delta" in answer.body
    assert b"data: null\r\n" in answer.body


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [1, 3, 50])
async def test_a_slice_cuts_anywhere(ask: Ask, size: int) -> None:
    """slice=N makes HTTP chunks of N bytes, through characters and lines."""
    answer = await ask(f"text?tokens=5&alphabet=cjk&slice={size}")
    whole = await ask("text?tokens=5&alphabet=cjk")

    assert {size} == set(map(len, answer.chunks[:-1]))
    assert whole.body == answer.body


@pytest.mark.asyncio
async def test_chunks_joins_events(ask: Ask) -> None:
    """chunks=N puts N events into one HTTP chunk; 1 is the default."""
    single = await ask("text?tokens=8")
    joined = await ask("text?tokens=8&chunks=4")

    assert ([1] * 11, [4, 4, 3]) == (
        [chunk.count(b"data:") for chunk in single.chunks],
        [chunk.count(b"data:") for chunk in joined.chunks],
    )


STYLES: dict[str, Callable[[Any], Any]] = {
    # the style, and where its message stands
    "azure": lambda body: body["error"]["message"],
    "fastapi": lambda body: body["detail"][0]["msg"],
    "gateway": lambda body: body["message"],
    "google": lambda body: body[0]["error"]["message"],
    "ollama": lambda body: body["error"],
    "openai": lambda body: body["error"]["message"],
    "openrouter": lambda body: body["error"]["message"],
    "text": lambda body: body,
    "vllm": lambda body: body["message"],
}


@pytest.mark.parametrize("style", styles())
def test_a_style_says_the_same_elsewhere(style: str) -> None:
    """Every style has the message where its servers put it."""
    problem = PROBLEMS["rate-limit"]
    content_type, body = error_body(problem, style)
    plain = content_type.startswith("text/plain")

    assert problem.message == STYLES[style](body.decode() if plain else json.loads(body))


@pytest.mark.asyncio
async def test_azure_names_the_filter(ask: Ask) -> None:
    """A blocked prompt has Azure's inner error."""
    answer = await ask("echo?fault=content-filter&style=azure")

    assert (400, "ResponsibleAIPolicyViolation") == (
        answer.status,
        answer.error["innererror"]["code"],
    )
