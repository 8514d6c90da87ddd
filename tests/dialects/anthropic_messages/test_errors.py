"""Errors by type, by cause, and by the few sentences that have neither."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from anthropic.types.shared import error_details
from anthropic.types.shared.error_type import ErrorType

from penstock.dialects.anthropic_messages import AnthropicMessages
from penstock.dialects.anthropic_messages.errors import stream_error
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ConflictError,
    ContentBlockedError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PenstockError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    UnavailableError,
)


def body(kind: str, message: str = "m", **details: Any) -> dict[str, Any]:
    """An error as the SDK's ``ErrorResponse``."""
    inner = {"type": kind, "message": message, **({"details": details} if details else {})}
    return {"type": "error", "error": inner, "request_id": "req_1"}


CASES: list[tuple[int, dict[str, Any], type[ResponseError]]] = [
    (400, body("invalid_request_error"), InvalidRequestError),
    (401, body("authentication_error"), AuthenticationError),
    (402, body("billing_error"), BillingError),
    (403, body("permission_error"), PermissionDeniedError),
    (404, body("not_found_error"), NotFoundError),
    (409, body("conflict_error"), ConflictError),
    (413, body("request_too_large"), InvalidRequestError),
    (429, body("rate_limit_error"), RateLimitError),
    (500, body("api_error"), ServerError),
    (504, body("timeout_error"), UnavailableError),
    (529, body("overloaded_error"), OverloadedError),
    (
        400,
        body("invalid_request_error", "prompt is too long: 200001 tokens > 200000 maximum"),
        ContextLengthError,
    ),
    (
        400,
        body(
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans &"
            " Billing to upgrade or purchase credits.",
        ),
        BillingError,
    ),
    (
        400,
        body("invalid_request_error", "Output blocked by content filtering policy"),
        ContentBlockedError,
    ),
    (429, body("rate_limit_error", error_code="contract_spend_limit_reached"), BillingError),
    (429, body("rate_limit_error", error_code="ramp_limit_exceeded"), RateLimitError),
    (
        400,
        body("invalid_request_error", error_code="organization_on_hold"),
        PermissionDeniedError,
    ),
]


@pytest.mark.parametrize(("status", "said", "kind"), CASES)
def test_an_error_is_what_its_words_say(
    status: int, said: dict[str, Any], kind: type[ResponseError]
) -> None:
    """With a status, and the same inside a stream that began with 200."""
    found = AnthropicMessages().error(status, {}, json.dumps(said).encode())
    event = stream_error(said)

    assert (kind, kind) == (type(found), type(event))
    assert (status, "req_1") == (found.status, found.request_id)
    assert said["error"]["message"] in str(found)
    code = said["error"].get("details", {}).get("error_code", said["error"]["type"])
    assert (code, code) == (found.code, event.code)


@pytest.mark.parametrize("kind", get_args(ErrorType))
def test_every_type_of_the_sdk_has_a_class(kind: str) -> None:
    """Inside a stream, where no status tells."""
    found = stream_error(body(kind))

    assert type(found) is not ResponseError
    assert ("server" == found.kind) == (kind in SERVERS)


SERVERS = {"api_error", "memory_precondition_failed_error", "memory_path_conflict_error"}
"""Types that are a server's fault, or of an API that is none of ours: the memory store's."""


def test_causes_are_the_sdks() -> None:
    """Each cause that is known to be about money is one of the SDK's."""
    from penstock.dialects.anthropic_messages.errors import _UNPAID

    known = set[str]()
    for details in get_args(get_args(error_details.ErrorDetails)[0]):
        known.update(get_args(details.model_fields["error_code"].annotation))
    assert known >= _UNPAID


@pytest.mark.parametrize("kind", ["api_error", "server_error"])
def test_a_gateways_word_does_not_hide_the_status(kind: str) -> None:
    """Copies of the API say api_error of everything."""
    found = AnthropicMessages().error(429, {}, json.dumps(body(kind)).encode())

    assert isinstance(found, RateLimitError)


@pytest.mark.parametrize(
    "said", [None, [], {"error": None}, {"error": {"details": {"error_code": 5}}}]
)
def test_an_error_of_no_shape_is_one_still(said: Any) -> None:
    """Whatever comes, there is an error."""
    assert isinstance(stream_error(said), PenstockError)
    assert isinstance(AnthropicMessages().error(500, {}, json.dumps(said).encode()), ServerError)
