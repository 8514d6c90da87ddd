"""Answers: what the vectors do not say. `penstock.dialects.bedrock_converse.answer`, `.errors`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.bedrock_converse.model import service

from penstock.chunks import ReasoningDelta, TextDelta, ToolCallDelta
from penstock.decoders import EventStreamDecoder
from penstock.dialects import dialect
from penstock.dialects.bedrock_converse.answer import READERS, ConverseAnswer
from penstock.dialects.bedrock_converse.blocks import Blocks
from penstock.dialects.bedrock_converse.errors import KINDS, STATUSES, error, frame_error
from penstock.dialects.bedrock_converse.usage import REASONS
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ContextLengthError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
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
from penstock.simulator.wires.event_stream import event, exception, message

Json = Any


def fed(*events: tuple[str, Json], limits: Limits | None = None) -> list[Any]:
    """The chunks of `events`."""
    data = b"".join(event(name, json.dumps(value).encode()) for name, value in events)
    into: list[Any] = []
    ConverseAnswer(limits or Limits()).feed(EventStreamDecoder().decode(data), into)
    return into


def delta(index: int, **piece: Json) -> tuple[str, Json]:
    """A delta of the block at `index`."""
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": piece}


def begun(index: int, name: str = "f") -> tuple[str, Json]:
    """A call that begins."""
    start = {"toolUse": {"toolUseId": f"id{index}", "name": name}}
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def test_every_event_of_the_service_model_is_read() -> None:
    """An event that the model gains is no longer a stranger."""
    members = service().operation_model("ConverseStream").output_shape.members["stream"].members
    events = {name for name, shape in members.items() if not shape.metadata.get("exception")}
    exceptions = {name.lower() for name in members if name not in events}

    assert READERS.keys() == events
    assert exceptions <= STATUSES.keys()
    stream = service().operation_model("InvokeModelWithResponseStream").output_shape
    more = set(stream.members["body"].members) - {"chunk"}
    assert {name.lower() for name in more} <= STATUSES.keys()


READ: dict[str, dict[str, Json]] = {
    "text": {"text": "x"},
    "toolUse": {"toolUse": {"input": "{}"}},
    "toolResult": {"toolResult": [{"text": "x"}]},
    "reasoningContent": {"reasoningContent": {"text": "x"}},
    "citation": {"citation": {"title": "x"}},
    "image": {"image": {"source": {"bytes": "AA=="}}},
}


def test_every_delta_and_block_of_the_service_model_is_read() -> None:
    """Nothing that it has is a `ProviderEvent` for want of a word."""
    assert set(READ) == set(service().shape_for("ContentBlockDelta").members)
    assert {"toolUse", "toolResult", "image"} == set(
        service().shape_for("ContentBlockStart").members
    )
    for kind, piece in READ.items():
        into: list[Any] = []
        assert Blocks(Limits())._grow_by(0, kind, piece[kind], into), kind


def test_reasons_are_those_of_the_service_model() -> None:
    """Each has a translation of its own."""
    assert set(service().shape_for("StopReason").enum) == set(REASONS)


def test_exceptions_are_those_of_the_service_model() -> None:
    """Each has a class, or is one that may be several things; statuses are the model's."""
    known = {
        name: shape
        for name in service().shape_names
        if (shape := service().shape_for(name)).metadata.get("exception")
    }

    assert {"validationexception"} == {name.lower() for name in known} - KINDS.keys()
    for name, shape in known.items():
        if name.lower() in STATUSES:
            assert shape.metadata["error"]["httpStatusCode"] == STATUSES[name.lower()], name


ERRORS = [
    ("AccessDeniedException", 403, PermissionDeniedError, False),
    ("ConflictException", 400, PenstockError, None),
    ("InternalServerException", 500, ServerError, True),
    ("ModelErrorException", 424, ServerError, True),
    ("ModelNotReadyException", 429, UnavailableError, True),
    ("ModelStreamErrorException", 424, ServerError, True),
    ("ModelTimeoutException", 408, UnavailableError, True),
    ("ResourceNotFoundException", 404, NotFoundError, False),
    ("ServiceQuotaExceededException", 400, BillingError, False),
    ("ServiceUnavailableException", 503, UnavailableError, True),
    ("ThrottlingException", 429, RateLimitError, True),
    ("ValidationException", 400, InvalidRequestError, False),
    ("UnrecognizedClientException", 403, AuthenticationError, False),
    ("ExpiredTokenException", 403, AuthenticationError, False),
    ("InvalidSignatureException", 403, AuthenticationError, False),
    ("SomethingNew", 503, UnavailableError, True),
]


@pytest.mark.parametrize(("name", "status", "kind", "retryable"), ERRORS)
@pytest.mark.parametrize("how", ["header", "short", "body", "coral"])
def test_an_exception_is_typed_by_its_name(
    name: str, status: int, kind: type[PenstockError], retryable: bool | None, how: str
) -> None:
    """In the header with or without the address behind it, or in the body."""
    headers = {"x-amzn-requestid": "r-1", "content-type": "application/json"}
    said: dict[str, Json] = {"message": "Sorry."}
    if how in ("header", "short"):
        tail = ":http://internal.amazon.com/coral/com.amazon.bedrock/" if how == "header" else ""
        headers["x-amzn-errortype"] = name + tail
    else:
        said["__type"] = name if how == "body" else f"com.amazon.coral.service#{name}"
    found = error(status, headers, json.dumps(said).encode())

    assert isinstance(found, kind)
    assert (name, status, "r-1") == (found.code, found.status, found.request_id)
    assert found.message.endswith("Sorry.")
    if retryable is not None:
        assert retryable == found.retryable


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"message": "Input is too long for requested model."}, ContextLengthError),
        ({"message": "prompt is too long: 9 tokens > 8 maximum"}, ContextLengthError),
        ({"message": "The toolConfig field must be defined"}, InvalidRequestError),
        ({"Message": "User is not authorized"}, InvalidRequestError),
    ],
)
def test_a_validation_may_be_about_the_context(
    said: dict[str, str], kind: type[PenstockError]
) -> None:
    """By the text, as there is no code for it; in a frame as well as by a status."""
    payload = json.dumps(said).encode()
    whole = error(400, {"x-amzn-errortype": "ValidationException"}, payload)
    framed = frame_error({":exception-type": "validationException"}, payload)

    assert (kind, kind) == (type(whole), type(framed))
    assert ("ValidationException", 400) == (framed.code, framed.status)


def test_an_unknown_operation_is_not_found() -> None:
    """What the service's front says of a path that it does not have."""
    said = b'{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"}}'

    assert isinstance(error(404, {}, said), NotFoundError)


@pytest.mark.parametrize(
    ("status", "retryable", "elsewhere"),
    [(400, False, True), (429, True, None), (500, True, None), (None, True, None)],
)
def test_a_models_own_refusal_is_not_sent_again(
    status: int | None, retryable: bool, elsewhere: bool | None
) -> None:
    """Whatever the exception's status says: the model's own is beside it."""
    said = {"message": "The model failed.", "originalMessage": "bad", "originalStatusCode": status}
    found = frame_error({":exception-type": "modelStreamErrorException"}, json.dumps(said).encode())

    assert retryable == found.retryable
    assert "The model failed.: bad" in found.message
    if elsewhere is not None:
        assert elsewhere == found.elsewhere


@pytest.mark.parametrize(
    ("headers", "code", "kind"),
    [
        (
            {":error-code": "InternalFailure", ":error-message": "oh"},
            "InternalFailure",
            ServerError,
        ),
        ({":error-code": "ThrottlingException"}, "ThrottlingException", RateLimitError),
        ({":exception-type": "newException"}, "NewException", ServerError),
        ({}, "Unknown", ServerError),
    ],
)
def test_a_frame_that_is_no_event_is_an_error(
    headers: dict[str, str], code: str, kind: type[PenstockError]
) -> None:
    """Row 12: whatever its name is, and whether or not it has a payload."""
    wire = message({**headers, ":message-type": "error"}, b"")
    with pytest.raises(kind) as caught:
        ConverseAnswer(Limits()).feed(EventStreamDecoder().decode(wire), [])

    assert code == caught.value.code


def test_keys_in_an_exception_are_not_repeated() -> None:
    """Row 39: what AWS echoes of a signature."""
    said = {"message": "The security token AKIAIOSFODNN7EXAMPLE is invalid"}
    found = error(403, {"x-amzn-errortype": "InvalidSignatureException"}, json.dumps(said).encode())

    assert "AKIA" not in str(found)


def test_what_an_answer_keeps_has_bounds() -> None:
    """Thinking, tools' inputs, calls and open blocks."""
    small = Limits(max_tool_arguments=10, max_tool_calls=2, max_answer=10)
    for events in (
        [begun(0), delta(0, toolUse={"input": "x" * 11})],
        [begun(0), begun(1), begun(2)],
        [delta(0, reasoningContent={"text": "x" * 11})],
        [
            delta(0, reasoningContent={"text": "x" * 6}),
            delta(0, reasoningContent={"text": "y" * 6}),
        ],
        [delta(0, image={"source": {"bytes": "A" * 20}})],
    ):
        with pytest.raises(LimitExceededError):
            fed(*events, limits=small)
    with pytest.raises(ProtocolError, match="over 64 content blocks"):
        fed(*(delta(number, text="x") for number in range(65)))


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([("contentBlockStart", {"contentBlockIndex": "x", "start": {}})], "has no block"),
        ([("contentBlockDelta", {"contentBlockIndex": 0})], "has no delta"),
    ],
)
def test_what_breaks_the_shapes_is_an_error(events: list[Any], message: str) -> None:
    """A server that is not Bedrock."""
    with pytest.raises(ProtocolError, match=message):
        fed(*events)


def test_a_block_that_begins_again_is_another() -> None:
    """A stop that was left out: indexes of calls have no gaps."""
    chunks = fed(begun(0), delta(0, toolUse={"input": "{}"}), begun(0, "g"))

    assert [0, 0, 1] == [c.index for c in chunks if isinstance(c, ToolCallDelta)]


def test_a_block_may_begin_with_an_empty_start() -> None:
    """Some send a start for text and thinking, too, though the model has none."""
    start = ("contentBlockStart", {"contentBlockIndex": 0, "start": {}})
    chunks = fed(start, delta(0, reasoningContent={"text": "Hm"}), delta(1, text="Hi"))

    assert [ReasoningDelta("Hm", 0, ""), TextDelta("Hi")] == chunks


def test_an_answer_without_its_stop_is_truncated() -> None:
    """Clean or torn; with the stop only counts are missing."""
    for began in (False, True):
        answer = ConverseAnswer(Limits())
        if began:
            answer.feed(EventStreamDecoder().decode(event("messageStart", b"{}")), [])
        with pytest.raises(TruncatedError):
            answer.finish(Ending(clean=True), [])


def test_framing_is_by_the_content_type() -> None:
    """AWS's event stream, JSON, or what does not say."""
    found = dialect("bedrock_converse").framing

    assert "event_stream" == found("application/vnd.amazon.eventstream")
    assert "event_stream" == found("")
    assert "json" == found("application/json; charset=utf-8")
    with pytest.raises(ProtocolError):
        found("text/event-stream")


def test_nothing_follows_the_end() -> None:
    """Frames behind the metadata are not read."""
    stop = ("messageStop", {"stopReason": "end_turn"})
    meta = ("metadata", {"usage": {"inputTokens": 1}, "metrics": {}})

    assert [] == [c for c in fed(stop, meta, delta(0, text="late")) if isinstance(c, TextDelta)]


def test_an_exception_after_content_is_after_content() -> None:
    """What came before it is there."""
    wire = event("contentBlockDelta", json.dumps(delta(0, text="Hi")[1]).encode())
    wire += exception("throttlingException", b'{"message": "x"}')
    into: list[Any] = []
    with pytest.raises(RateLimitError):
        ConverseAnswer(Limits()).feed(EventStreamDecoder().decode(wire), into)

    assert [TextDelta("Hi")] == into
