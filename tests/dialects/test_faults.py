"""What is kept of a vendor's error, and what is not repeated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.dialects.errors import event_error, response_error
from penstock.dialects.faults import failure, fault_of, page_title, redacted

KEY = "sk-proj-Canary0123456789abcdefghij"
PROMPT = "the canary sings at midnight"


def shown(body: object, status: int = 400) -> str:
    """Everything of an error that could be printed."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = response_error(status, {"content-type": "application/json"}, data)
    return f"{error!r} {error} {error.__dict__}"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"error": {"message": f"Incorrect API key provided: {KEY}."}}, id="openai"),
        pytest.param({"error": {"message": f"Bad header: Bearer {KEY}"}}, id="bearer"),
        pytest.param({"error": {"message": f"api_key={KEY} is disabled"}}, id="assignment"),
        pytest.param({"error": {"message": "no", "code": KEY, "param": KEY}}, id="other fields"),
        pytest.param({"detail": f"token {KEY} unknown"}, id="fastapi"),
        pytest.param(f"invalid key {KEY}".encode(), id="text"),
        pytest.param(f"<title>invalid key {KEY}</title>".encode(), id="page"),
    ],
)
def test_row_39_a_key_that_the_peer_echoes_is_not_repeated(body: object) -> None:
    """Vendors put the wrong key into the text of a 401."""
    assert "Canary" not in shown(body, 401)


@pytest.mark.parametrize(
    "key",
    [
        "gsk_Canary0123456789",
        "xai-Canary0123456789",
        "AIzaCanary0123456789",
        "hf_Canary0123456789",
        "Canary0123456789Canary0123456789",
        "sk-Cana********************ry12",
    ],
)
def test_keys_of_many_vendors_are_known(key: str) -> None:
    """By prefix, or as a long random word."""
    assert "bad key [redacted], sorry" == redacted(f"bad key {key}, sorry")


@pytest.mark.parametrize(
    "word",
    [
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "claude-sonnet-4-6-20260929-v1:0",
        "max_completion_tokens",
        "context_length_exceeded",
        "task-based",
        "internationalization",
    ],
)
def test_names_are_no_keys(word: str) -> None:
    """A reason without its model or field says little."""
    assert f"about {word} only" == redacted(f"about {word} only")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            {"detail": [{"loc": ["body", "messages", 0], "msg": "bad", "input": PROMPT}]},
            id="fastapi",
        ),
        pytest.param(
            {
                "object": "error",
                "code": 400,
                "message": "[{'type': 'missing', 'loc': ('body', 'model'), 'msg': 'Field required',"
                f" 'input': {{'messages': [{{'content': '{PROMPT}'}}]}}}}]",
            },
            id="vllm",
        ),
        pytest.param(
            {"error": {"message": f"1 error [type=x, input_value='{PROMPT}', input_type=str]"}},
            id="pydantic",
        ),
        pytest.param(
            {"error": {"code": 403, "message": "no", "metadata": {"flagged_input": PROMPT}}},
            id="openrouter moderation",
        ),
        pytest.param(
            {"error": {"code": 400, "message": "no", "metadata": {"raw": PROMPT}}},
            id="openrouter upstream",
        ),
        pytest.param({"error": {"message": "no", "failed_generation": PROMPT}}, id="groq"),
        pytest.param({"messages": [{"content": PROMPT}]}, id="the request itself"),
        pytest.param({"error": {"request": {"content": PROMPT}}}, id="an unknown shape"),
        pytest.param(f'{{"messages": "{PROMPT}'.encode(), id="torn json"),
        pytest.param(f"<html><body>{PROMPT}</body></html>".encode(), id="page"),
    ],
)
def test_row_39_what_was_sent_is_not_repeated(body: object) -> None:
    """Only what is said about the request is kept, never the request."""
    assert PROMPT not in shown(body)


def test_fastapis_places_and_messages_are_kept() -> None:
    """They are what the caller needs."""
    body = {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Field required"}]}

    assert "body.messages.0.role: Field required" == fault_of(body).message


def test_a_message_is_bounded() -> None:
    """512 characters, on one line."""
    message = fault_of({"error": {"message": "word\n" * 10_000}}).message

    assert 512 == len(message)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("body", "message", "code", "status"),
    [
        ({"error": {"message": "m", "code": "c", "type": "t"}}, "m", "c", None),
        ({"error": {"message": "m", "type": "t"}}, "m", "t", None),
        ({"error": {"message": "m", "code": 503}}, "m", "503", 503),
        ({"error": {"message": "m", "code": 429, "type": "t"}}, "m", "t", 429),
        ({"code": "c", "error": "m"}, "m", "c", None),
        ({"error": "m"}, "m", None, None),
        (
            {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
            "m",
            "x",
            400,
        ),
        ({"message": "m", "code": "c"}, "m", "c", None),
        ({"errors": [{"code": 10000, "message": "m"}]}, "m", "10000", None),
        ([{"error": {"code": 429, "message": "m", "status": "EXHAUSTED"}}], "m", "EXHAUSTED", 429),
        ({"error": {"error": {"message": "m", "code": "c"}}}, "m", "c", None),
        ({"type": "error", "error": {"type": "t", "message": "m"}}, "m", "t", None),
        ({"error": {"message": {"detail": [{"msg": "m"}]}}}, "m", None, None),
        ({"error": []}, "", None, None),
        (5, "", None, None),
    ],
)
def test_known_shapes(body: Any, message: str, code: str | None, status: int | None) -> None:
    """The words of each vendor are found where it has them."""
    found = fault_of(body)

    expected = "BadRequestError" if code == "x" else code
    assert (message, expected, status) == (found.message, found.code, found.status)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"choices": []}, False),
        ({"choices": [], "error": None}, False),
        ({"choices": [], "error": {}}, False),
        ({"choices": [{"error": None}]}, False),
        ({"type": "ping"}, False),
        ({"usage": {}, "message": "x"}, False),
        ({"choices": [], "error": "x"}, True),
        ({"choices": [{"error": {"code": 1}}]}, True),
        ({"object": "error"}, True),
        ({"detail": "x"}, True),
        ({"message": "x", "code": "y"}, True),
        ({"choices": [], "x_groq": {"error": "x"}}, True),
        ({"choices": [], "detail": "x"}, False),
    ],
)
def test_an_event_is_an_error_or_not(event: dict[str, Any], *, expected: bool) -> None:
    """Empty errors are none; an event with choices says so by name only."""
    assert expected == (failure(event) is not None)


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<html><head><TITLE>502 Bad\n Gateway</TITLE>", "502 Bad Gateway"),
        ("<title lang='en'>a &amp; b</title>", "a & b"),
        ("<html>nothing", ""),
    ],
)
def test_of_a_page_the_title_is_kept(page: str, title: str) -> None:
    """A gateway's page says its reason there, and nothing else worth keeping."""
    assert title == page_title(page)


def test_the_error_of_an_event_is_redacted_too() -> None:
    """A stream echoes like a status does."""
    error = event_error({"error": {"message": f"Incorrect API key provided: {KEY}"}})

    assert "Canary" not in f"{error} {error.__dict__}"
