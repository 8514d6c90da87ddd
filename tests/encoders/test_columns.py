"""Many objects of texts, looked at together."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.encoders.columns import MOST_ITEMS, Columns, columns
from penstock.encoders.survey import Look
from penstock.encoders.ways import SINGLY, Way

MANY = 20
ROOM = 4096


def found(values: list[Any]) -> Columns:
    """The columns of objects that have them."""
    made = columns(values)
    assert made is not None
    return made


def said(*texts: str, role: str = "user") -> list[dict[str, str]]:
    """A message for each text."""
    return [{"role": role, "content": text} for text in texts]


def cuts(values: list[Any], room: int = ROOM, *, surrogates: bool = True) -> list[tuple[int, int]]:
    """How `values` are written in as few calls as there may be."""
    return [*found(values).cuts(room, surrogates=surrogates)]


def size_of(values: list[dict[str, str]]) -> int:
    """Bytes with a comma each, but for escapes and for UTF-8."""
    parts = [part for value in values for pair in value.items() for part in pair]
    return sum(map(len, parts)) + len(values) * len('{"":"","":""},')


@pytest.mark.parametrize(
    "values",
    [
        [{"a": "x"}, {"b": "x"}],
        [{"a": "x"}, {"a": "x", "b": "x"}],
        [{"a": 1}, {"a": 1}],
        [{"a": "x"}, "a"],
        [{"é": "x"}, {"é": "x"}],
        [{}, {}],
        [{"role": "x"}, {"role": 1}],
        [{"role": "x"}, {"role": ["x"]}],
        [{1: "x"}, {1: "x"}],
        [{str(number): "x" for number in range(9)}] * 2,
    ],
    ids=repr,
)
def test_columns_are_for_objects_of_one_kind(values: list[Any]) -> None:
    """Everything else is looked at one by one."""
    assert columns(values) is None


@pytest.mark.parametrize("value", [1, None, ["x"], {"x": "y"}, b"x"])
def test_a_value_that_is_no_text_is_found_later(value: object) -> None:
    """When its objects are to be written; sooner nobody has to know."""
    values = [{"a": "x"}] * MANY + [{"a": value}]

    with pytest.raises(TypeError):
        cuts(values)
    with pytest.raises(TypeError):
        found(values).whole(ROOM, surrogates=True)


@pytest.mark.parametrize("text", ["x", "é", "日" * 50, "x" * 900, "é" * 900])
@pytest.mark.parametrize("role", ["user", "é"])
def test_columns_and_single_looks_agree(text: str, role: str) -> None:
    """On what is to be done; their sizes differ by a few bytes a value."""
    values = said(*[text] * MANY, role=role)
    look = Look(256, surrogates=True)
    single = sum(look.size(value, 256, ROOM) for value in values)
    size, foreign, characters = found(values).whole(100_000, surrogates=True)

    assert size_of(values) == size
    assert single == pytest.approx(size, abs=4 * 4 * MANY)
    assert (not (text + role).isascii()) == bool(foreign)
    assert (text.isascii() and role.isascii()) == (characters == 0)


def test_what_is_above_the_room_is_not_looked_at() -> None:
    """It costs no memory to know that it is."""
    values = said(*["\ud800" * 500] * MANY)

    assert (size_of(values), 0, 0) == found(values).whole(ROOM, surrogates=True)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=60), st.sampled_from("xé"))
def test_cuts_are_as_many_as_fit(lengths: list[int], character: str) -> None:
    """Every object is in one, and a neighbour would not have fit unless a guess was too low."""
    values = said(*[character * length for length in lengths])
    most = ROOM if character == "x" else ROOM // 2
    found_cuts = cuts(values)

    assert len(values) == sum(count for count, _ in found_cuts)
    start = 0
    for count, way in found_cuts:
        size = size_of(values[start : start + count])
        assert (way == SINGLY) == (size > most)
        assert way != SINGLY or count == 1
        start += count


def test_cuts_of_like_objects_fill_the_room() -> None:
    """The first look goes over all, and the next ones begin with what fit."""
    values = said(*["x" * 100] * MOST_ITEMS)
    counts = [count for count, _ in cuts(values)]
    each = size_of(values[:1])

    assert ROOM // each == counts[0]
    assert all(one == other for one, other in pairwise(counts[:-1]))


@pytest.mark.parametrize(
    ("texts", "way"),
    [
        (["x"], Way.PLAIN),
        (["x", "é"], Way.SHORT),
        (["x", "é" * 900], Way.COPIED),
        (["x" * 900, "é" * 900], Way.COPIED),
    ],
)
def test_a_cut_has_its_way(texts: list[str], way: Way) -> None:
    """One text that is not ASCII is enough, read or asked."""
    assert [(len(texts), way)] == cuts(said(*texts))


@pytest.mark.parametrize("text", ["x", "x" * 900])
@pytest.mark.parametrize("key", ["role", "content"])
def test_half_of_a_pair_is_found_where_it_is_looked_for(text: str, key: str) -> None:
    """An encoder finds it by itself; a check has none."""
    values = said(*[text] * 3)
    values[-1][key] += "\udc00"

    assert sum(count for count, _ in cuts(values, 8192, surrogates=False)) == len(values)
    with pytest.raises(UnicodeEncodeError):
        cuts(values, 8192)
