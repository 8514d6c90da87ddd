"""JSON on its way in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.reading import excerpt, parse
from penstock.errors import LimitExceededError, ProtocolError, TruncatedError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=JSON, ascii=st.booleans())
def test_json_is_what_the_standard_library_reads(value: object, *, ascii: bool) -> None:
    """Escaped or not."""
    assert value == parse(json.dumps(value, ensure_ascii=ascii).encode(), 256)


@given(value=JSON)
def test_depth_is_the_nesting_of_the_value(value: object) -> None:
    """The bound refuses exactly what is nested deeper, brackets in texts not counted."""
    data = json.dumps(value).encode()

    assert value == parse(data, max(depth(value), 1))
    if depth(value) > 1:
        with pytest.raises(LimitExceededError):
            parse(data, depth(value) - 1)


def test_what_is_no_utf_8_becomes_a_replacement_character() -> None:
    """A proxy that speaks Latin-1, or a text cut within a character, costs no answer."""
    assert {"a": "caf\ufffd \u00e9"} == parse(b'{"a": "caf\xe9 \xc3\xa9"}', 256)
    with pytest.raises(TruncatedError):
        parse(b'{"a": "caf\xc3', 256, whole=True)


def depth(value: object) -> int:
    """How many arrays and objects stand in each other."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"a\ud83d", "a\ufffd"),
        (r"\ude00b", "\ufffdb"),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\\ud83d\ud83d", "\\ud83d\ufffd"),
        (r"\u00e9\ud83d\n", "\xe9\ufffd\n"),
    ],
)
def test_half_of_a_surrogate_pair_becomes_a_replacement_character(text: str, expected: str) -> None:
    """A gateway that cuts text by UTF-16 units sends halves; the text around them is kept."""
    assert expected == parse(f'"{text}"'.encode(), 256)


def test_a_body_that_stops_is_a_truncation() -> None:
    """A whole answer that was cut is no fault of its JSON."""
    with pytest.raises(TruncatedError):
        parse(b'{"choices": [', 256, whole=True)


def test_an_event_that_stops_is_a_fault() -> None:
    """An event has its end by its framing: what is missing was never sent."""
    with pytest.raises(ProtocolError) as caught:
        parse(b'{"choices": [', 256)

    assert "not_json" == caught.value.code


def test_a_string_without_an_end_is_scanned_once() -> None:
    """A torn string full of escaped quotes costs no more than its length."""
    torn = b"[" * 300 + b'"' + rb"\"" * 200_000

    with pytest.raises(LimitExceededError):
        parse(torn, 256)
    with pytest.raises(ProtocolError):
        parse(b'["' + b"[" * 300 + rb"\"" * 200_000, 256)


def test_an_excerpt_is_short_and_on_one_line() -> None:
    """It tells a proxy's page from a cut event, and no more."""
    assert 90 > len(excerpt(b"<html>\n" + b"x" * 1000))
    assert "\n" not in excerpt(b"<html>\n\xff")
