"""What stands for a JSON value, and how a refusal names its place."""

from __future__ import annotations

import pytest
from msgspec import Struct

from penstock.encoders.values import path_of, refused, simpler


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], ""),
        (["messages"], "messages"),
        (["messages", 3, "content", 0, "text"], "messages[3].content[0].text"),
        ([0, 1], "[0][1]"),
        (["a", "\ud800é"], "a.\\ud800\\xe9"),
        (["x" * 100], "x" * 64 + "..."),
    ],
)
def test_a_path_is_written_as_in_python(keys: list[str | int], expected: str) -> None:
    """A reader finds the value by it; a key of any length or script is safe to show."""
    assert expected == path_of(keys)


def test_a_refusal_names_its_place() -> None:
    """The path is in the message, and by itself in ``param``."""
    error = refused(["messages", 0], "no")

    assert "messages[0]: no" == str(error)
    assert "messages[0]" == error.param


def test_a_refusal_of_the_whole_has_no_place() -> None:
    """There is nothing before the reason."""
    assert "no" == str(refused([], "no"))
    assert refused([], "no").param is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"x", "base64"),
        (bytearray(b"x"), "base64"),
        (memoryview(b"x"), "base64"),
        (frozenset(), "make it a list"),
        (iter([]), "make it a list"),
        (object(), "object has no JSON form"),
        (Struct, "has no JSON form"),
        (print, "has no JSON form"),
    ],
)
def test_a_value_without_a_form_gets_advice(value: object, words: str) -> None:
    """The error says what to do about it, where that is known."""
    with pytest.raises(TypeError, match=words):
        simpler(value)
