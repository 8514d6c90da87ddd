"""Objects of the same keys, as one text: the same bytes, or nothing."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.encoders.backends import Backend
from penstock.encoders.rows import in_rows
from penstock.encoders.ways import Way

fast = msgspec.json.Encoder().encode

TEXT = st.text(st.sampled_from('\\",é\x7f\x80:{}日'), max_size=4)


def compact(value: object) -> bytes:
    """The bytes that the contract names."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=20))
def test_the_bytes_are_those_of_json_dumps(pairs: list[tuple[str, str]]) -> None:
    """Whatever the texts begin and end with; or it is left to others."""
    values = [{"role": one, "content": other} for one, other in pairs]
    marked = any(mark in text for pair in pairs for text in pair for mark in "\x7f\x80")

    assert (None if marked else compact(values)) == in_rows(values, fast)


@given(st.dictionaries(st.text(st.characters(codec="ascii"), max_size=9), TEXT, max_size=10))
def test_every_key_is_written(value: dict[str, str]) -> None:
    """As many as there are marks, and whatever is in their names."""
    assert in_rows([value, value], fast) in (None, compact([value, value]))


@given(st.lists(st.tuples(TEXT, TEXT), min_size=60, max_size=80))
def test_a_backend_writes_them_all(backend: Backend, pairs: list[tuple[str, str]]) -> None:
    """What cannot be told apart takes another way to the same bytes."""
    values = [{"role": one, "content": other} for one, other in pairs]

    assert compact(values) == backend.encode(values, Way.SHORT)


def test_many_objects_are_encoded() -> None:
    """It is no way that is never taken."""
    values = [{"a": f"é{number}", "b": "", "c": "x"} for number in range(100)]

    assert compact(values) == in_rows(values, fast)


@pytest.mark.parametrize(
    "values",
    [
        ["é"],
        [{}],
        [{"é": "x"}],
        [{"a": "é", "b": ""}, {"b": "é", "a": ""}],
        [{"a": "é"}, {"a": "é", "b": "x"}],
        [{"a": "é", "b": "x"}, {"a": "é"}],
        [{"a": "é"}, "a"],
        [{"a": "é\x7f"}],
        [{"a": "é", "b": "\x80"}],
        [{str(number): "é" for number in range(9)}],
    ],
    ids=repr,
)
def test_what_is_of_another_shape_is_left_to_others(values: list[Any]) -> None:
    """Other keys, other orders, and texts that cannot be told apart again."""
    try:
        assert in_rows(values, fast) is None
    except TypeError:
        assert "a" in values


@pytest.mark.parametrize("value", [1, None, ["é"], {"a": "é"}])
def test_what_is_no_text_is_left_to_others(value: object) -> None:
    """A number among the texts."""
    with pytest.raises(TypeError):
        in_rows([{"a": "é"}, {"a": value}], fast)


def test_half_of_a_pair_is_refused() -> None:
    """As everywhere."""
    with pytest.raises(UnicodeEncodeError):
        in_rows([{"a": "é"}, {"a": "\ud800"}], fast)


def test_no_copy_is_left_in_the_texts() -> None:
    """The encoder marks copies, not what the caller holds."""
    values = [{"role": "ä" * 9, "content": f"日本{number}" * 9} for number in range(50)]
    before = [sys.getsizeof(text) for value in values for text in value.values()]
    in_rows(values, fast)

    assert before == [sys.getsizeof(text) for value in values for text in value.values()]
