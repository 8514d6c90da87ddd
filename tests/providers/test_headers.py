"""What headers say, and which are refused: `penstock.providers.headers` and `redact`."""

from __future__ import annotations

import pytest

from penstock.errors import InvalidHeaderError
from penstock.providers.headers import check_headers, rate_limit, request_id, selected
from penstock.providers.redact import masked, redact, secrets_of
from penstock.response import RateLimit


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "one\r\nx-b: two"),
        ("x-a", "one\ntwo"),
        ("x-a", "\x00"),
        ("x-a", " padded"),
        ("x-a", "naïve"),
        ("x a", "v"),
        ("x-a\r\nx-b", "v"),
        ("", "v"),
        ("x-a", 5),
    ],
)
def test_row_40_control_characters_are_refused(name: str, value: str) -> None:
    """Row 40: CR, LF and their like never reach a socket, and the value is not shown."""
    with pytest.raises(InvalidHeaderError) as caught:
        check_headers([(name, value)])

    assert "two" not in caught.value.message


def test_ordinary_headers_pass() -> None:
    """Tokens and visible ASCII, tabs and spaces inside (RFC 9110)."""
    check_headers([("authorization", "Bearer sk-1"), ("X-Title", "a b\tc"), ("x-empty", "")])


def test_what_openai_says_of_its_limits() -> None:
    """The example of OpenAI's guide "Rate limits", section "Rate limits in headers"."""
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-reset-tokens": "6m0s",
    }

    assert RateLimit(59, 149984, 60, 150000, 1.0, 360.0) == rate_limit(headers)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("7.66", 7.66),
        ("-3", 0.0),
        ("soon", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_durations(value: str, seconds: float | None) -> None:
    """Go's durations and plain seconds; anything else says nothing."""
    found = rate_limit({"x-ratelimit-reset-tokens": value, "x-ratelimit-limit-tokens": "x"})

    assert found is not None
    assert seconds == found.reset_tokens


NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z


def anthropic(kind: str, limit: int, remaining: int, reset: str) -> dict[str, str]:
    """The headers of one of Anthropic's limits."""
    said = {"limit": str(limit), "remaining": str(remaining), "reset": reset}
    return {f"anthropic-ratelimit-{kind}-{name}": value for name, value in said.items()}


def test_what_anthropic_says_of_its_limits() -> None:
    """Times of RFC 3339 become seconds; ``tokens`` is the strictest limit of those of tokens."""
    headers = {
        **anthropic("requests", 1000, 999, "2026-01-01T12:00:01Z"),
        **anthropic("input-tokens", 450000, 450000, "2026-01-01T12:00:30Z"),
        **anthropic("output-tokens", 90000, 89000, "2026-01-01T12:02:00Z"),
    }
    strictest = anthropic("tokens", 540000, 539000, "2026-01-01T14:01:00+02:00")

    found = rate_limit(headers | strictest, now=NOON)
    assert RateLimit(999, 539000, 1000, 540000, 1.0, 60.0) == found
    assert RateLimit(999, 450000, 1000, 450000, 1.0, 30.0) == rate_limit(headers, now=NOON)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2026-01-01T11:59:00Z", 0.0),
        ("2026-01-01T12:00:00.250Z", 0.25),
        ("2026-01-01T12:00:05", 5.0),
        ("soon", None),
        ("", None),
        ("9" * 5000, None),
        ("9999-12-31T23:59:59-23:00", 253_402_383_599.0 - NOON),
        ("0001-01-01T00:00:00", 0.0),
    ],
)
def test_times_of_reset(value: str, seconds: float | None) -> None:
    """One that is past is now, and what is no time says nothing."""
    found = rate_limit({"anthropic-ratelimit-requests-reset": value}, now=NOON)

    assert found is not None
    assert seconds == found.reset_requests


def test_no_limits_are_none() -> None:
    """A provider that says nothing has no `RateLimit`."""
    assert rate_limit({"content-type": "application/json"}) is None


def test_the_requests_id() -> None:
    """OpenAI's header comes before the proxy's."""
    assert "req_1" == request_id({"cf-ray": "ray", "x-request-id": "req_1"})
    assert request_id({}) is None


def test_cookies_are_not_kept() -> None:
    """Only what says something about the answer is on the reply."""
    headers = {"set-cookie": "s", "x-request-id": "r", "x-ratelimit-limit-tokens": "1"}

    assert {"x-request-id": "r", "x-ratelimit-limit-tokens": "1"} == selected(headers)


def test_secrets_are_masked_wherever_they_stand() -> None:
    """The key, and whatever a header of a telling name holds."""
    headers = [("authorization", "Bearer sk-canary-1"), ("x-goog-api-key", "canary-2")]
    secrets = secrets_of(headers, "sk-canary-1")

    text = redact("key sk-canary-1 and canary-2 and Bearer sk-canary-1", secrets)

    assert "canary" not in text
    assert ("Bearer ***", "***", "plain") == (
        masked("Authorization", "Bearer sk-canary-1"),
        masked("x-goog-api-key", "canary-2"),
        masked("x-title", "plain"),
    )


@pytest.mark.parametrize(
    "name", ["content-type", "User-Agent", "x-title", "http-referer", "openai-beta", "api-version"]
)
def test_what_says_nothing_secret_is_shown(name: str) -> None:
    """Names that are known to be harmless, and no others."""
    assert "plain value" == masked(name, "plain value")
    assert () == secrets_of([(name, "plain value")], None)


@pytest.mark.parametrize("name", ["x-corp", "x-gateway-pass", "x-tenant", "auth-version"])
def test_the_value_of_any_other_header_is_hidden(name: str) -> None:
    """A gateway may call its secret as it likes; one of few characters is masked only."""
    assert "***" == masked(name, "two words")
    assert "Bearer ***" == masked(name, "Bearer canary-3")
    assert "" == redact("canary-3", secrets_of([(name, "Bearer canary-3")], None)).strip("*")
    assert () == secrets_of([(name, "eu")], None)


@pytest.mark.parametrize(
    "name",
    [
        *["request-id", "apim-request-id", "x-generation-id", "x-amzn-requestid"],
        *["x-github-request-id", "x-global-transaction-id", "cf-ray"],
    ],
)
def test_every_vendors_name_for_a_request_is_known(name: str) -> None:
    """The id is read, and the header is kept: support asks for it."""
    assert "r-1" == request_id({name: "r-1"})
    assert {name: "r-1"} == selected({name: "r-1"})
