"""The quick look at a small body: what it knows, and what it leaves to the thorough one."""

from __future__ import annotations

import json
import sys
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.encoders import Body
from penstock.encoders.backends import BEST, Backend
from penstock.encoders.flat import flat
from penstock.encoders.ways import Way
from penstock.errors import EncodeError
from penstock.fields import Each, Raw

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
MESSAGES = st.lists(st.dictionaries(TEXTS, TEXTS, max_size=3), max_size=9)


class Role(str, Enum):  # noqa: UP042  # many users' enums are still of this kind
    """A text of a kind of its own."""

    USER = "user"


def looked(fields: dict[str, Any], *, depth: int = 256, room: int = 4096) -> Any:
    """What the look finds."""
    return flat(fields, depth=depth, room=room, backend=BEST)


def talk(count: int, text: str) -> list[dict[str, str]]:
    """A conversation whose texts nobody else holds."""
    return [{"role": "user", "content": f"{text} {number}"} for number in range(count)]


def compact(value: object) -> bytes:
    """The bytes that the contract names."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@given(TEXTS, MESSAGES, st.dictionaries(TEXTS, st.none() | st.booleans() | TEXTS, max_size=3))
def test_the_bytes_are_those_of_json_dumps(
    backend: Backend, model: str, messages: list[dict[str, str]], options: dict[str, Any]
) -> None:
    """In any script, with any backend, translated or not."""
    expected = {"model": model, "messages": messages, "stream": True, "options": options}
    for each in (Each(messages), Each(tuple(messages), lambda message: message)):
        made = Body({**expected, "messages": each}, backend=backend)

        assert compact(expected) == made.small


@pytest.mark.parametrize(
    ("fields", "way"),
    [
        ({"a": "x", "b": None, "c": True, "d": 0.7, "e": 0, "f": 0.0, "g": 4096}, Way.PLAIN),
        ({"a": {"b": "x", "c": None, "d": False}}, Way.PLAIN),
        ({"a": "é", "b": Each([{"c": "é"}])}, Way.COPIED),
        ({"é": "a"}, Way.COPIED),
        ({"a": Each([{"b": "é"}])}, Way.PLAIN),  # of copies
    ],
    ids=repr,
)
def test_each_body_has_its_way(fields: dict[str, Any], way: Way) -> None:
    """Messages that are not ASCII are copied here, other fields are copied later."""
    _, found = looked(fields)

    assert way == found


@pytest.mark.parametrize(
    "fields",
    [
        {"a": [1]},
        {"a": Raw(b"1")},
        {"a": b"x"},
        {"a": 1e16},
        {"a": 1e-7},
        {"a": float("nan")},
        {"a": float("-inf")},
        {"a": -1},
        {"a": 2**60},
        {1: "a"},
        {Role.USER: "a"},
        {"a": Role.USER},
        {"a": {"b": 1}},
        {"a": {"b": {}}},
        {"a": {1: "b"}},
        {"a": dict.fromkeys("abcdefghijklmnopq")},
        {str(number): None for number in range(65)},
        {"a": Each([{"b": None}])},
        {"a": Each([{"b": ["c"]}])},
        {"a": Each([{1: "b"}])},
        {"a": Each([{"b": Role.USER}])},
        {"a": Each(["b"])},
        {"a": Each([dict.fromkeys("abcdefghijklmnopq", "")])},
        {"a": Each(iter([]))},
        {"a": Each(talk(65, "x"))},
        {"a": Each(talk(9, "x" * 500))},
        {"a": "x" * 4090},
    ],
    ids=lambda fields: repr(fields)[:40],
)
def test_the_rest_is_left_to_the_thorough_look(fields: dict[Any, Any]) -> None:
    """Whatever is unusual, large, or not JSON."""
    assert looked(fields) is None


def test_levels_are_counted() -> None:
    """A body, its list of messages and a message are three."""
    assert looked({"a": Each([{}])}, depth=3) is not None
    assert looked({"a": Each([{}])}, depth=2) is None


@pytest.mark.parametrize("count", [1, 4, 20, 64, 100])
@pytest.mark.parametrize(
    "text", ["größer", "日本語" * 40, "😀" * 300], ids=["words", "lines", "pages"]
)
def test_no_copy_is_left_in_the_texts(backend: Backend, count: int, text: str) -> None:
    """However many messages there are, and however long: an encoder marks copies of ours."""
    messages = talk(count, text)
    options = {"name": "é" * 9}
    before = [sys.getsizeof(message["content"]) for message in messages]
    for fields in ({}, {"options": options}, {"model": options["name"]}):
        body = Body({**fields, "messages": Each(messages)}, backend=backend, buffer_size=1 << 20)
        assert compact({**fields, "messages": messages}) == body.small

    assert before == [sys.getsizeof(message["content"]) for message in messages]
    assert sys.getsizeof("é" * 9) == sys.getsizeof(options["name"])


@pytest.mark.parametrize("where", ["model", "messages"])
def test_half_of_a_pair_is_refused(backend: Backend, where: str) -> None:
    """With its place, as everywhere."""
    fields = {"model": "x", "messages": Each([{"content": "é"}])}
    half = "\ud800" if where == "model" else Each([{"content": "é"}, {"content": "\ud800"}])
    with pytest.raises(EncodeError, match="surrogate") as caught:
        Body({**fields, where: half}, backend=backend)

    assert caught.value.param in ("model", "messages[1].content")
