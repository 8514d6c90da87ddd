"""What the models say, before anybody's wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.simulator.answers import Ask, Tokens, answer, cut
from penstock.simulator.behavior import parse


def said(ask: Ask, behavior: str, choice: int = 0) -> str:
    """The text of an answer."""
    return "".join(answer(ask, parse(behavior), choice).text)


@given(st.text())
def test_words_lose_nothing(text: str) -> None:
    """The pieces of an echo are the text, whatever spaces it has."""
    assert text == "".join(cut(text, None))


@given(st.text(), st.integers(1, 9))
def test_pieces_lose_nothing(text: str, size: int) -> None:
    """The same by characters."""
    assert text == "".join(cut(text, size))


def test_words_keep_their_space() -> None:
    """Each word but the last has the space behind it."""
    assert ["one ", "two ", "three"] == list(cut("one two three", None))


@pytest.mark.parametrize("size", [1, 2, 7])
def test_tokens_have_their_size(size: int) -> None:
    """Every piece has as many characters as asked, and more pieces cost no memory."""
    tokens = Tokens(10**12, size)

    assert {size} == {len(piece) for piece, _ in zip(tokens, range(1000), strict=False)}


def test_tokens_can_be_read_again() -> None:
    """Several choices and two passes read the same text."""
    tokens = Tokens(100, 4, seed=3)

    assert list(tokens) == list(tokens) == list(Tokens(100, 4, seed=3))


SCHEMAS: list[tuple[Any, Any]] = [
    ({"type": "string"}, "text"),
    ({"type": "integer", "minimum": 18}, 18),
    ({"type": "number"}, 1),
    ({"type": "boolean"}, True),
    ({"type": "null"}, None),
    ({"type": ["integer", "null"]}, 1),
    ({"enum": ["a", "b"]}, "a"),
    ({"const": 7}, 7),
    ({"type": "array", "items": {"type": "string"}, "minItems": 2}, ["text", "text"]),
    ({"properties": {"a": {"type": "object", "properties": {}}}}, {"a": {}}),
    ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, 1),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}}, 1),
    ({"$ref": "#/$defs/none"}, "text"),
    ({"type": "array", "items": True}, [None]),
]


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS)
def test_a_schema_is_filled(schema: Any, expected: Any) -> None:
    """The JSON fits the schema."""
    ask = Ask(model="json", schema=json.dumps(schema))

    assert expected == json.loads(said(ask, "json"))


def test_a_schema_that_contains_itself_ends() -> None:
    """Recursion stops at a depth."""
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    text = said(Ask(model="json", schema=json.dumps(node)), "json")

    assert 9 == text.count("next")  # a reference and an object are one step each


def test_an_explicit_reasoning_is_as_long_as_asked() -> None:
    """reasoning=N puts N thoughts before any model's text."""
    found = answer(Ask(model="echo", text="a b"), parse("echo?reasoning=3"))

    assert (3, "a b") == (len(list(found.reasoning)), "".join(found.text))


def test_an_image_has_its_data() -> None:
    """The picture is a data URL."""
    assert answer(Ask(model="image"), parse("image")).image.startswith("data:image/png;base64,")
