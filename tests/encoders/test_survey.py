"""The look before the encoding: sizes, ways and what is left to the walk."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.encoders.survey import Look
from penstock.encoders.ways import Way

MANY = 20


def look(value: Any, *, depth: int = 256, room: int = 4096) -> tuple[int, Way]:
    """The size of `value` and its way."""
    made = Look(depth, surrogates=True)
    size = made.size(value, depth, room)
    return size, Way(made.way)


@pytest.mark.parametrize(
    ("value", "way"),
    [
        ("x", Way.PLAIN),
        ([1, None, True, 0.5, {"a": "b"}], Way.PLAIN),
        ("é", Way.SHORT),
        (["é"] * 16, Way.SHORT),
        (["é" * 200] * 16, Way.COPIED),
        (["é" * 300] * 17, Way.COPIED),
        ({"é" * 300: 1}, Way.COPIED),
        (["é" * 6000, *["é"] * 20], Way.COPIED),
        (["é" * 300, *["é"] * 20], Way.SHORT),
        ([{"a": "é" * 300}] * MANY, Way.COPIED),
        ([{"a": "é", "b": "x"}] * MANY, Way.SHORT),
        (1e16, Way.EXACT),
        (1e-5, Way.EXACT),
        (2**63, Way.EXACT),
        (-(2**63), Way.EXACT),
        ([1e16, "é" * 300], Way.EXACT),
    ],
    ids=lambda part: str(part)[:20],
)
def test_each_value_has_its_way(value: Any, way: Way) -> None:
    """Only what all encoders write alike, and leave alone, is plain."""
    assert way == look(value, room=100_000)[1]


def test_very_deep_values_are_left_to_the_exact_encoder() -> None:
    """orjson refuses 255 levels, which are allowed."""
    value: Any = []
    for _ in range(250):
        value = [value]

    assert Way.EXACT == look(value)[1]


@pytest.mark.parametrize(
    "value",
    [
        {1: "x"},
        [{1: "x"}] * MANY,
        [{"a": "x"}] * MANY + [{1: "x"}],
        [{"a": "x"}] * MANY + [{"a": b"x"}],
        b"x",
        {"a": ()}.keys(),
        float("nan"),
        2**1025,
        "\ud800",
        ["\ud800"] * MANY,
        [{"a": "\ud800"}] * MANY,
        {"\ud800": 1},
    ],
    ids=lambda part: repr(part)[:20],
)
def test_what_is_not_json_is_left_to_the_walk(value: Any) -> None:
    """The walk finds the place, or a form."""
    with pytest.raises((TypeError, UnicodeEncodeError)):
        look(value, room=100_000)


@pytest.mark.parametrize(
    "value",
    ["x" * 5000, ["x" * 50] * 100, {"a" * 5000: 1}, [[]] * 5000, [{"a": "x" * 500}] * MANY],
    ids=lambda part: repr(part)[:20],
)
def test_a_large_value_is_seen_to_be_large(value: Any) -> None:
    """Above the room, whatever makes it so."""
    assert look(value)[0] > 4096


def test_the_look_ends_when_there_is_no_more_room() -> None:
    """A list of any length costs the room, not its length."""
    seen = []

    class Item(dict[str, str]):
        pass

    value: list[Any] = ["x" * 100] * 50 + [Item()]
    assert look(value, room=1000)[0] > 1000  # the odd one at its end would have been refused
    assert [] == seen


@pytest.mark.parametrize("text", ["x", "x" * 900])
def test_half_of_a_pair_is_found_among_many(text: str) -> None:
    """Whether the texts are read together or asked one by one."""
    values = [{"role": "user", "content": text} for _ in range(MANY)]
    values[-1]["content"] += "\udc00"

    with pytest.raises(UnicodeEncodeError):
        look(values, room=100_000)
