"""Answers of Gemini: when they are complete, that nothing is lost, errors, bounds, made ids."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from google.genai import types

from penstock.chunks import Chunk, Finish, TextDelta, ToolCallDelta, Usage
from penstock.dialects.gemini import Gemini
from penstock.dialects.gemini.answer import GeminiAnswer
from penstock.dialects.gemini.usage import BLOCKED, EMPTY, FAILED, REASONS
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ContentBlockedError,
    ContextLengthError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    OverloadedError,
    PenstockError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitError,
    ServerError,
    TruncatedError,
    UnavailableError,
)
from penstock.interfaces import Ending
from penstock.limits import Limits
from penstock.request import ChatRequest

CLEAN = Ending(clean=True)


def answering(limits: Limits | None = None, **request: Any) -> GeminiAnswer:
    """An answer that has not begun."""
    asked = ChatRequest(**{"model": "m", "messages": "x", **request})
    return Gemini().answer(asked, "", limits or Limits(), origin="")


def event(*parts: Any, finish: str | None = None, **more: Any) -> bytes:
    """One event with one candidate."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return msgspec.json.encode({"candidates": [candidate], "responseId": "r", **more})


def read(*frames: bytes, **request: Any) -> list[Chunk]:
    """The chunks of a whole answer."""
    answer, into = answering(**request), list[Chunk]()
    answer.feed(frames, into)
    answer.finish(CLEAN, into)
    assert answer.complete
    return into


def calls(chunks: list[Chunk]) -> list[ToolCallDelta]:
    """The pieces of tool calls."""
    return [chunk for chunk in chunks if isinstance(chunk, ToolCallDelta)]


def test_an_answer_is_complete_when_its_bytes_end() -> None:
    """The reason settles it; what still comes is read."""
    answer, into = answering(), list[Chunk]()
    answer.feed([event({"text": "a"})], into)
    assert (False, False) == (answer.settled, answer.complete)
    answer.feed([event(finish="STOP")], into)
    assert (True, False) == (answer.settled, answer.complete)
    answer.feed([msgspec.json.encode({"usageMetadata": {"promptTokenCount": 3}})], into)
    answer.finish(CLEAN, into)

    assert answer.complete
    assert 3 == next(chunk for chunk in into if isinstance(chunk, Usage)).input_tokens


@pytest.mark.parametrize(
    ("frames", "message"),
    [([], "before its first event"), ([event({"text": "a"})], "without a finish reason")],
)
def test_an_end_without_a_reason_is_a_truncation(frames: list[bytes], message: str) -> None:
    """However clean the wire's end."""
    answer = answering()
    answer.feed(frames, [])

    with pytest.raises(TruncatedError, match=message):
        answer.finish(CLEAN, [])


def test_a_candidate_that_never_came_is_a_truncation() -> None:
    """Of a stream; a whole answer may have fewer."""
    with pytest.raises(TruncatedError):
        read(event({"text": "a"}, finish="STOP"), params={"n": 2})
    with pytest.raises(TruncatedError):
        read(
            event({"text": "a"}, finish="STOP"),
            extra_body={"generationConfig": {"candidateCount": 2}},
        )

    assert [0] == [
        chunk.choice
        for chunk in read(event({"text": "a"}, finish="STOP"), params={"n": 2}, stream=False)
        if isinstance(chunk, Finish)
    ]


WORDS = {reason.value for reason in types.FinishReason} - {"FINISH_REASON_UNSPECIFIED"}


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_reason_of_the_sdk_has_its_meaning(word: str) -> None:
    """An end, a filter's refusal, or a failure: never an empty success of anything but ends."""
    ends = [*REASONS]
    assert (word in ends) + (word in BLOCKED) + (word in FAILED) + (word in EMPTY) == 1
    if word in ends:
        finish = read(event(finish=word))[-1]
        assert REASONS.get(word, "other") == getattr(finish, "reason", "")
        assert word == getattr(finish, "raw", "")
        return
    with pytest.raises(PenstockError, match=word) as caught:
        read(event(finish=word))
    assert word == caught.value.code
    assert (word in BLOCKED) == isinstance(caught.value, ContentBlockedError)


@pytest.mark.parametrize("reason", [reason.value for reason in types.BlockedReason])
def test_every_blocked_prompt_is_an_error(reason: str) -> None:
    """Its code is Gemini's word; another model may answer."""
    blocked = msgspec.json.encode({"promptFeedback": {"blockReason": reason}})
    with pytest.raises(ContentBlockedError, match="the prompt was blocked") as caught:
        read(blocked)

    assert (reason, True, False) == (
        caught.value.code,
        caught.value.elsewhere,
        caught.value.retryable,
    )


def test_a_blocked_answer_keeps_what_came_before_it() -> None:
    """Text that was shown is not taken back, and the error is raised whatever came."""
    answer, into = answering(), list[Chunk]()
    with pytest.raises(ContentBlockedError):
        answer.feed([event({"text": "a"}), event({"text": "b"}, finish="SAFETY")], into)

    assert ["a", "b"] == [chunk.text for chunk in into if isinstance(chunk, TextDelta)]


def leaves(value: Any) -> set[Any]:
    """Every text and number in a JSON value."""
    if isinstance(value, dict):
        return set().union(*map(leaves, value.values())) if value else set()
    if isinstance(value, (list, tuple)):
        return set().union(*map(leaves, value)) if value else set()
    return {value}


SAMPLES: dict[str, Any] = {
    "text": "some text",
    "function_call": {"name": "f", "args": {"a": "argued"}, "id": "i"},
    "inline_data": {"mimeType": "image/png", "data": "AAAA"},
    "file_data": {"mimeType": "image/png", "fileUri": "gs://x"},
    "thought_signature": "c2ln",
}
BESIDE = {"thought", "thought_signature"}


@pytest.mark.parametrize("name", sorted(types.Part.model_fields))
def test_every_kind_of_part_reaches_the_caller(name: str) -> None:
    """Each field of the SDK's `Part` is in a chunk, as content or by its name."""
    alias = types.Part.model_fields[name].alias or name
    sample = SAMPLES.get(name, {"someField": f"of {name}"})
    part = {"text": "x", alias: True if name == "thought" else sample}
    if name not in BESIDE:
        del part["text"]
        part[alias] = sample
    told = leaves([msgspec.to_builtins(chunk) for chunk in read(event(part, finish="STOP"))])
    told |= {"AAAA", "image/png"} if "data:image/png;base64,AAAA" in told else set()
    told |= {"argued"} if '{"a":"argued"}' in told else set()
    # Its type is in the state that goes back.
    assert leaves(part) - {True} <= told


@pytest.mark.parametrize("name", sorted(types.Candidate.model_fields))
def test_every_field_of_a_candidate_reaches_the_caller(name: str) -> None:
    """Known ones have chunks of their own, others go by their name."""
    alias = types.Candidate.model_fields[name].alias or name
    values: dict[str, Any] = {
        "content": {"parts": [{"text": "said"}], "role": "model", "extra": "more"},
        "finish_reason": "STOP",
        "index": 0,
        "citation_metadata": {"citations": [{"uri": "u", "title": "t", "endIndex": 4}]},
        "logprobs_result": {
            "chosenCandidates": [{"token": "tok", "logProbability": -1.5, "tokenId": 7}],
            "logProbabilitySum": -9.5,
        },
        "grounding_metadata": {"groundingChunks": [{"web": {"uri": "u", "title": "t"}}]},
    }
    value = values.get(name, f"value of {name}")
    candidate = {"index": 0, "finishReason": "STOP", "content": {}, alias: value}
    frame = msgspec.json.encode({"candidates": [candidate]})
    told = leaves([msgspec.to_builtins(chunk) for chunk in read(frame)])

    assert leaves(value) - {"model"} <= told


@pytest.mark.parametrize("name", sorted(types.GenerateContentResponse.model_fields))
def test_every_field_of_an_event_reaches_the_caller(name: str) -> None:
    """What the SDK adds itself is of no server."""
    if name in ("candidates", "parsed", "automatic_function_calling_history", "sdk_http_response"):
        return
    alias = types.GenerateContentResponse.model_fields[name].alias or name
    values: dict[str, Any] = {
        "usage_metadata": {"promptTokenCount": 4321},
        "create_time": "2025-11-05T17:20:13Z",
        "prompt_feedback": {"safetyRatings": [{"category": "c"}]},
    }
    value = values.get(name, f"value of {name}")
    candidate = {"finishReason": "STOP", "content": {"parts": [{"text": "a"}]}}
    frame = msgspec.json.encode({"candidates": [candidate], alias: value})
    told = leaves([msgspec.to_builtins(chunk) for chunk in read(frame)])

    assert ({1762363213} if name == "create_time" else leaves(value)) <= told


@pytest.mark.parametrize("name", sorted(types.GenerateContentResponseUsageMetadata.model_fields))
def test_every_count_is_kept(name: str) -> None:
    """In `raw`, whatever we make of it."""
    alias = types.GenerateContentResponseUsageMetadata.model_fields[name].alias or name
    found = read(event(finish="STOP", usageMetadata={alias: 7}))[-1]

    assert {alias: 7} == getattr(found, "raw", None)


def test_thoughts_are_output_and_results_of_tools_input() -> None:
    """As `Usage` documents: reasoning is part of the answer's tokens."""
    counts = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 2,
        "totalTokenCount": 20,
    }
    found = read(event(finish="STOP", usageMetadata=counts))[-1]

    assert Usage(15, 5, 20, 4, None, 2, None, counts) == found


def function(**call: Any) -> dict[str, Any]:
    """A part that calls."""
    return {"functionCall": call}


def test_made_ids_are_the_same_each_time_and_no_others() -> None:
    """Two equal calls differ, two answers differ, one answer read twice does not."""
    twice = [function(name="f", args={"a": 1}), function(name="f", args={"a": 1})]
    first = [piece.id for piece in calls(read(event(*twice, finish="STOP")))]
    again = [piece.id for piece in calls(read(event(*twice, finish="STOP")))]
    other = [piece.id for piece in calls(read(event(*twice, finish="STOP", responseId="q")))]

    assert first == again
    assert 4 == len({*first, *other})
    assert all(id.startswith("call_") and id[5:].isalnum() for id in first)


def test_an_id_of_gemini_stays() -> None:
    """What the API gave is given back."""
    found = calls(read(event(function(name="f", id="xyz"), finish="STOP")))

    assert [ToolCallDelta(0, "xyz", "f", "{}")] == found


PATHS: list[tuple[list[Any], Any]] = [
    ([("$.a", "stringValue", "x"), ("$.a", "stringValue", "y")], {"a": "xy"}),
    ([("$['a b'][0].c", "numberValue", 1.5)], {"a b": [{"c": 1.5}]}),
    ([('$["q\\"q"]', "boolValue", True)], {'q"q': True}),
    ([("$.a[0]", "stringValue", "x"), ("$.a[1]", "stringValue", "y")], {"a": ["x", "y"]}),
    ([("$.n", "nullValue", "NULL_VALUE")], {"n": None}),
]


@pytest.mark.parametrize(("pieces", "expected"), PATHS)
def test_arguments_by_paths_become_an_object(pieces: Any, expected: Any) -> None:
    """RFC 9535's names, places and quoted names."""
    frames = [event(function(name="f", id="i", willContinue=True))]
    for path, kind, value in pieces:
        piece = {"jsonPath": path, kind: value}
        frames.append(event(function(partialArgs=[piece], willContinue=True)))
    found = calls(read(*frames, event(function()), event(finish="STOP")))

    assert expected == msgspec.json.decode("".join(piece.arguments for piece in found))


@pytest.mark.parametrize("path", ["", "$", "$.a[5]", "$..a", "a b", "$.a.b"])
def test_a_path_that_leads_nowhere_is_an_error(path: str) -> None:
    """Arguments are not guessed."""
    begun = event(
        function(name="f", partialArgs=[{"jsonPath": "$.a", "stringValue": "x"}], willContinue=True)
    )
    with pytest.raises(ProtocolError, match="has the path"):
        read(begun, event(function(partialArgs=[{"jsonPath": path, "stringValue": "y"}])))


def test_calls_are_bounded() -> None:
    """In their number and in the bytes of their arguments, whole or by paths."""
    small = Limits(max_tool_calls=2, max_tool_arguments=64)
    many = event(*(function(name="f") for _ in range(3)))
    long = event(function(name="f", args={"a": "x" * 80}))
    piece = {"jsonPath": "$.a", "stringValue": "x" * 40, "willContinue": True}
    dripped = [event(function(name="f", willContinue=True))] + [
        event(function(partialArgs=[piece], willContinue=True))
    ] * 2
    for frames, bound in (([many], "max_tool_calls"), ([long], "max_tool_arguments")):
        with pytest.raises(LimitExceededError, match=bound):
            answering(small).feed(frames, [])
    with pytest.raises(LimitExceededError, match="max_tool_arguments"):
        answering(small).feed(dripped, [])


@pytest.mark.parametrize(
    "frame",
    [
        b"[]x",
        b'"text"',
        b'{"candidates": 5}',
        b'{"candidates": [5]}',
        b'{"candidates": [{"index": -1}]}',
        b'{"candidates": [{"index": 1000}]}',
    ],
)
def test_what_is_no_event_is_an_error(frame: bytes) -> None:
    """Of the protocol; nothing else is raised."""
    with pytest.raises(ProtocolError):
        answering().feed([frame], [])


@pytest.mark.parametrize("place", ["usageMetadata", "candidates", "new"])
def test_depth_is_bounded(place: str) -> None:
    """Brackets without end are a bound's matter, wherever they stand."""
    deep = b"[" * 100_000 + b"]" * 100_000
    frame = event({"text": "a"})[:-1] + b', "' + place.encode() + b'": ' + deep + b"}"
    answer, into = answering(), list[Chunk]()
    answer.feed([event({"text": "a"})], into)

    with pytest.raises(LimitExceededError, match="max_json_depth"):
        answer.feed([frame], into)


def status(code: int, word: str, message: str = "No.", *details: Any) -> bytes:
    """An error as Google's APIs have it."""
    inner = {"code": code, "message": message, "status": word, "details": list(details)}
    return msgspec.json.encode({"error": inner})


def info(reason: str) -> dict[str, Any]:
    """A detail that names a reason."""
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
LONG = "The input token count (1300000) exceeds the maximum number of tokens allowed (1048576)."
# Status, body, class and code.
ERRORS: list[tuple[int, bytes, type[PenstockError], str]] = [
    (400, status(400, "INVALID_ARGUMENT"), InvalidRequestError, "INVALID_ARGUMENT"),
    (
        400,
        status(400, "INVALID_ARGUMENT", "API key not valid.", info("API_KEY_INVALID")),
        AuthenticationError,
        "API_KEY_INVALID",
    ),
    (400, status(400, "INVALID_ARGUMENT", LONG), ContextLengthError, "INVALID_ARGUMENT"),
    (400, status(400, "FAILED_PRECONDITION"), InvalidRequestError, "FAILED_PRECONDITION"),
    (401, status(401, "UNAUTHENTICATED"), AuthenticationError, "UNAUTHENTICATED"),
    (403, status(403, "PERMISSION_DENIED"), PermissionDeniedError, "PERMISSION_DENIED"),
    (
        403,
        status(403, "PERMISSION_DENIED", "Enable billing.", info("BILLING_DISABLED")),
        BillingError,
        "BILLING_DISABLED",
    ),
    (404, status(404, "NOT_FOUND"), NotFoundError, "NOT_FOUND"),
    (429, status(429, "RESOURCE_EXHAUSTED", "Quota.", RETRY), RateLimitError, "RESOURCE_EXHAUSTED"),
    (500, status(500, "INTERNAL"), ServerError, "INTERNAL"),
    (503, status(503, "UNAVAILABLE"), UnavailableError, "UNAVAILABLE"),
    (
        503,
        status(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
        OverloadedError,
        "UNAVAILABLE",
    ),
    (504, status(504, "DEADLINE_EXCEEDED"), UnavailableError, "DEADLINE_EXCEEDED"),
]


@pytest.mark.parametrize(
    ("code", "body", "kind", "word"), ERRORS, ids=lambda value: str(value)[:60]
)
def test_errors_are_what_google_says(
    code: int, body: bytes, kind: type[PenstockError], word: str
) -> None:
    """By status word and details; the same inside a stream, and in a list around it."""
    for error in (
        Gemini().error(code, {"content-type": "application/json"}, body),
        Gemini().error(code, {}, b"[" + body + b"]"),
    ):
        assert (kind, code, word) == (type(error), error.status, error.code)
        assert (34.5 if b"retryDelay" in body else None) == error.retry_after
    with pytest.raises(kind) as caught:
        answering().feed([body], [])
    assert (type(caught.value), word) == (kind, caught.value.code)
    assert (34.5 if b"retryDelay" in body else None) == caught.value.retry_after
