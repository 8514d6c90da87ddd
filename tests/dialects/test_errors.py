"""Errors of many vendors, by the bodies of their references, and what they become."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.dialects.errors import event_error, response_error
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ConflictError,
    ContentBlockedError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    UnavailableError,
)


def rejected(status: int, body: Any = b"", **headers: str) -> ResponseError:
    """The error of an answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return response_error(status, names, data)


def openai(message: str = "m", **fields: Any) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": None, "param": None, "code": None, **fields}}


def test_a_redirect_says_that_it_is_not_followed() -> None:
    """Its body mostly says nothing, and what helps is another address."""
    error = rejected(307, location="https://elsewhere.example/v1/chat/completions")

    assert (ResponseError, 307) == (type(error), error.status)
    assert "sends us elsewhere" in str(error)
    assert "check base_url" in str(error)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (302, ResponseError),
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, BillingError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, InvalidRequestError),
        (408, UnavailableError),
        (409, ConflictError),
        (413, InvalidRequestError),
        (422, InvalidRequestError),
        (429, RateLimitError),
        (498, OverloadedError),
        (500, ServerError),
        (501, ServerError),
        (502, UnavailableError),
        (503, UnavailableError),
        (504, UnavailableError),
        (524, UnavailableError),
        (529, OverloadedError),
    ],
)
def test_a_status_has_its_class(status: int, expected: type[ResponseError]) -> None:
    """Without a word of the peer's, the status decides."""
    error = rejected(status)

    assert expected is type(error)
    assert status == error.status
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(
            429,
            openai(type="insufficient_quota", code="insufficient_quota"),
            BillingError,
            id="openai: no credit left",
        ),
        pytest.param(
            429, openai(type="tokens", code="rate_limit_exceeded"), RateLimitError, id="openai: tpm"
        ),
        pytest.param(
            429, openai(type="exceeded_current_quota_error"), BillingError, id="moonshot: no credit"
        ),
        pytest.param(429, openai(type="engine_overloaded_error"), OverloadedError, id="moonshot"),
        pytest.param(
            400, openai(code="billing_hard_limit_reached"), BillingError, id="openai: hard limit"
        ),
        pytest.param(
            400,
            openai(code="context_length_exceeded", type="invalid_request_error"),
            ContextLengthError,
            id="openai: context",
        ),
        pytest.param(
            400,
            {"error": {"code": 400, "type": "exceed_context_size_error", "message": "m"}},
            ContextLengthError,
            id="llama.cpp",
        ),
        pytest.param(
            400,
            openai(
                code="content_filter",
                innererror={"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
            ),
            ContentBlockedError,
            id="azure",
        ),
        pytest.param(
            400, openai(innererror={"code": "ResponsibleAIPolicyViolation"}), ContentBlockedError
        ),
        pytest.param(400, openai(code="content_policy_violation"), ContentBlockedError),
        pytest.param(
            403,
            {
                "error": {
                    "code": 403,
                    "message": "flagged",
                    "metadata": {"reasons": ["violence"], "flagged_input": "secret words"},
                }
            },
            ContentBlockedError,
            id="openrouter: moderation",
        ),
        pytest.param(
            400,
            {"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}},
            ContentBlockedError,
            id="deepseek",
        ),
        pytest.param(
            413,
            openai("Request too large for model", type="tokens", code="rate_limit_exceeded"),
            InvalidRequestError,
            id="groq: larger than the limit itself",
        ),
        pytest.param(503, openai(type="overloaded_error"), OverloadedError),
        pytest.param(401, openai(code="invalid_api_key"), AuthenticationError),
        pytest.param(404, openai(code="model_not_found"), NotFoundError),
    ],
)
def test_a_code_says_more_than_the_status(
    status: int, body: object, expected: type[ResponseError]
) -> None:
    """Machine-readable words decide where a status has several meanings."""
    assert expected is type(rejected(status, body))


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
        "This endpoint's maximum context length is 131,072 tokens. However, you requested about",
        "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
        "request (9412 tokens) exceeds the available context size (8192 tokens)",
        "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000",
    ],
)
@pytest.mark.parametrize(
    "shape",
    [
        lambda message: {"error": {"message": message, "code": 400}},
        lambda message: {"object": "error", "message": message, "code": 400},
        lambda message: {"error": message},
        lambda message: {"detail": message},
    ],
)
def test_a_context_overflow_is_told_by_text_where_vendors_have_no_code(
    message: str, shape: Any
) -> None:
    """vLLM, OpenRouter, xAI, llama.cpp, Mistral, Anthropic, Gemini and TGI say it in a sentence."""
    error = rejected(400, shape(message))

    assert ContextLengthError is type(error)
    assert error.elsewhere


@pytest.mark.parametrize(
    "message",
    [
        "temperature is not supported with a 1M context window",
        "the context window parameter is unknown",
        "'max_tokens' is too large: 9000. This model's maximum context length is 4096 tokens",
        "Invalid context length",
    ],
)
def test_a_400_that_speaks_of_a_context_window_is_no_overflow(message: str) -> None:
    """Another model would not help, so none is tried (exoclaw, fault 9)."""
    assert InvalidRequestError is type(rejected(400, openai(message)))


def test_an_overflow_in_a_server_error_is_a_server_error() -> None:
    """The status decides where it says that the peer is to blame."""
    assert ServerError is type(rejected(500, openai("maximum context length is 4096 tokens")))


def test_the_servers_reason_is_in_the_error() -> None:
    """Message, code and field reach the caller (exoclaw, fault 8)."""
    error = rejected(
        400,
        openai("Invalid 'temperature': too large.", code="decimal_above_max", param="temperature"),
    )

    assert "HTTP 400: Invalid 'temperature': too large." == str(error)
    assert ("decimal_above_max", "temperature") == (error.code, error.param)
    assert "Invalid 'temperature': too large." == error.body


@pytest.mark.parametrize("name", ["x-request-id", "request-id", "apim-request-id", "cf-ray"])
def test_the_peers_name_for_the_request_is_kept(name: str) -> None:
    """Support asks for it."""
    assert "req_1" == response_error(500, {name: "req_1"}, b"").request_id


@pytest.mark.parametrize(
    ("status", "advice", "expected"),
    [(400, "true", True), (500, "false", False), (500, "", True), (400, "perhaps", False)],
)
def test_the_peer_may_say_whether_to_retry(status: int, advice: str, *, expected: bool) -> None:
    """``x-should-retry`` overrides the class, as in OpenAI's SDK."""
    assert expected == rejected(status, x_should_retry=advice).retryable


def test_a_body_too_large_for_one_server_may_suit_another() -> None:
    """413 speaks of the server's own bound."""
    error = rejected(413)

    assert (True, False) == (error.elsewhere, error.retryable)


@pytest.mark.parametrize(
    ("event", "expected", "status"),
    [
        (openai(type="server_error"), ServerError, None),
        ({"error": {"code": 502, "message": "m"}}, UnavailableError, 502),
        ({"error": {"code": "429", "message": "m"}}, RateLimitError, 429),
        (openai(type="rate_limit_error"), RateLimitError, 429),
        (openai(code="insufficient_quota"), BillingError, None),
        (openai(type="invalid_request_error"), InvalidRequestError, 400),
        (openai(code="context_length_exceeded"), ContextLengthError, None),
        (openai(type="overloaded_error"), OverloadedError, 529),
        ({"error": "something broke"}, ServerError, None),
        ([{"error": {"code": 401, "message": "m"}}], AuthenticationError, 401),
        (
            {"error": {"code": 400, "message": "m", "metadata": {"error_type": "refusal"}}},
            ContentBlockedError,
            400,
        ),
        ({"message": "over capacity"}, ServerError, None),
        ("text", ServerError, None),
        (None, ServerError, None),
    ],
)
def test_an_error_in_a_stream_is_classified_like_its_status(
    event: object, expected: type[ResponseError], status: int | None
) -> None:
    """Row 11: from its number, its code or its type; without any the peer failed."""
    error = event_error(event)

    assert expected is type(error)
    assert status == error.status
