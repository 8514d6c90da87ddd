"""What is read of a request's body, whole or only its two ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.simulator.answers import Ask
from penstock.simulator.intake import HEAD, TAIL, Intake
from penstock.simulator.wires.openai_request import model_in, read

USER = {"role": "user", "content": "hi"}


def taken(body: bytes, keep: int | None = 1000, piece: int = 65536) -> Intake:
    """A body as it arrives."""
    intake = Intake(keep)
    for start in range(0, len(body), piece):
        intake.feed(body[start : start + piece], True)
    return intake


def asked(**fields: Any) -> Ask:
    """What is read of a request with these fields."""
    return read(taken(json.dumps({"model": "m", "messages": [USER], **fields}).encode()))


READ: list[tuple[dict[str, Any], str, Any]] = [
    ({}, "text", "hi"),
    ({}, "stream", False),
    ({"stream": True}, "stream", True),
    ({"stream": None}, "stream", False),
    ({"n": 3}, "choices", 3),
    ({"n": 10**9}, "choices", 128),
    ({"n": 0}, "choices", 1),
    ({"stream_options": {"include_usage": True}}, "usage", True),
    ({"max_tokens": 5}, "limit", 5),
    ({"max_tokens": 5, "max_completion_tokens": 7}, "limit", 7),
    ({"messages": [USER, {"role": "assistant", "content": "x"}]}, "text", "hi"),
    ({"messages": [USER, {"role": "tool", "content": "x"}]}, "last_role", "tool"),
    ({"messages": [{"role": "system", "content": "x"}]}, "text", ""),
    ({"messages": [7, "x", None]}, "text", ""),
    ({"messages": [{"role": "user", "content": None}]}, "text", ""),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}, 7]}]}, "text", ""),
    ({"functions": [{"name": "f"}]}, "tools", '[{"name": "f", "schema": {}}]'),
    ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools", ""),
    ({"response_format": {"type": "json_object"}}, "schema", ""),
    ({"unknown": {"deep": [1]}}, "model", "m"),
]


@pytest.mark.parametrize(("fields", "name", "expected"), READ)
def test_a_field_is_read(fields: dict[str, Any], name: str, expected: Any) -> None:
    """Odd values do not stop an answer where OpenAI's own schema is not the question."""
    assert expected == getattr(asked(**fields), name)


EARLY = [
    (b'{"model": "a?b", "messages": [', "a?b"),
    (b' {"stream":true,"n":1,"user":"a\\"b", "model" : "m\\u00e9" ', "m\u00e9"),
    (b'{"messages": [], "model": "m"', None),
    (b'{"x": "\\"model\\": ", "y', None),
    (b'{"model": "cut', None),
    (b"", None),
]


@pytest.mark.parametrize(("head", "expected"), EARLY)
def test_the_model_is_seen_early(head: bytes, expected: str | None) -> None:
    """Only where nothing but scalars stands before it."""
    assert expected == model_in(head)


def test_long_bodies_keep_their_ends() -> None:
    """The head is 1 MiB, the tail at least 256 KiB, and neither grows."""
    intake = taken(b"a" * (8 * HEAD) + b"z")

    assert (HEAD, 8 * HEAD + 1, False) == (len(intake.head), intake.length, intake.complete)
    assert TAIL <= len(intake.tail) <= 2 * TAIL + 65536
    assert (b"z", 1000) == (intake.tail[-1:], len(intake.kept()))


def test_a_long_body_without_a_model_is_refused() -> None:
    """Between its ends a model cannot be found."""
    filler = b'{"messages": [' + b" " * 3 * HEAD + b'], "model": 7, "messages": [' + b" " * 3 * HEAD

    with pytest.raises(ValueError, match="longer than the simulator keeps"):
        read(taken(filler + b"]}"))


def test_quoted_fields_of_a_long_body_are_no_fields() -> None:
    """What a message says about models does not choose one."""
    text = '"}, "model": "text", "stream": false, "x": {"'
    messages = [{"role": "user", "content": text}] * 40_000
    body = json.dumps({"model": "echo", "stream": True, "messages": messages}).encode()
    found = read(taken(body))

    assert ("echo", True, text) == (found.model, found.stream, found.text)


def test_a_broken_end_does_not_break_the_reader() -> None:
    """A long body that is no JSON is read as far as it goes."""
    found = read(taken(b'{"model": "echo", "messages": [' + b'{"role": ' * 200_000))

    assert ("echo", "") == (found.model, found.text)
