"""JSON that is still arriving has a value, at linear cost."""

from __future__ import annotations

import json
import math
from typing import Any

import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline.drive import outcome, run

from penstock.chunks import Chunk, Finish, TextDelta, ToolCallDelta
from penstock.errors import LimitExceededError, TruncatedError
from penstock.limits import Limits
from penstock.pipeline.partial import Partial, PartialJSON, partial_json


def values(text: str) -> list[Any]:
    """The values that `text` has, character by character."""
    parser = PartialJSON()
    seen = [parser.value for letter in text if parser.feed(letter)]
    return [*seen, parser.value] if parser.finish() else seen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "hi"}', [{}, {"a": ""}, {"a": "h"}, {"a": "hi"}]),
        ('{"a": [1, 23]}', [{}, {"a": []}, {"a": [1]}, {"a": [1, 2]}, {"a": [1, 23]}]),
        ('{"a": true, "b": null}', [{}, {"a": True}, {"a": True, "b": None}]),
        ('"\\u00e9\\ud83d\\ude00"', ["", "é", "é😀"]),
        ("  [ ]  ", [[]]),
        ("12", [1, 12]),
    ],
)
def test_only_changes_are_told(text: str, expected: list[Any]) -> None:
    """A value is told when it differs from the last; unfinished strings count."""
    assert expected == values(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.integers(1, 40), st.booleans())
def test_the_last_value_is_that_of_the_whole_text(value: Any, size: int, ascii: bool) -> None:
    """Whatever the pieces, `finish` leaves what `json.loads` would give."""
    text = json.dumps(value, ensure_ascii=ascii)
    parser = PartialJSON()
    for start in range(0, len(text), size):
        parser.feed(text[start : start + size])
    parser.finish()

    assert (value, None) == (parser.value, parser.problem)


def test_a_large_text_is_up_to_date_at_its_end() -> None:
    """A value may lag by a sixteenth of a long text; `finish` brings it up to date."""
    whole = list(range(10_000))
    parser = PartialJSON()
    for letter in json.dumps(whole):
        parser.feed(letter)
        if parser.value:
            assert len(parser.value) >= parser.value[-1]

    assert len(parser.value) > 9000
    assert parser.finish()
    assert whole == parser.value


@pytest.mark.parametrize("letters", [25_000, 200_000])
def test_work_is_linear(letters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 31: 200,000 deltas of one character are parsed at most eighteen times over."""
    read = 0

    def counting(data: bytes, **options: Any) -> Any:
        nonlocal read
        read += len(data)
        return parse(data, **options)

    parse = pydantic_core.from_json
    monkeypatch.setattr(pydantic_core, "from_json", counting)
    parser = PartialJSON()
    text = '{"content": "' + "x" * letters + '"}'
    for letter in text:
        parser.feed(letter)
    parser.finish()

    assert letters == len(parser.value["content"])
    assert read <= 19 * len(text) + 1024 * 1024 // 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, b}', {"a": 1}),
        ("hello", None),
        ('{"a": NaN}', {}),
        ('{"a": 1', {"a": 1}),
        ("", None),
        (" ", None),
        ('"\ud800', None),
        ("[" * 1000, None),
    ],
)
def test_what_is_not_json_has_a_problem(text: str, value: Any) -> None:
    """The value stays what it was before, and nothing raises."""
    parser = PartialJSON()
    for letter in text:
        parser.feed(letter)
        if parser.problem is not None:
            assert not parser.feed("{")
            break
    parser.finish()

    assert parser.problem
    if value is not None:
        assert value == parser.value


def test_a_number_keeps_its_kind() -> None:
    """1.0 is not 1, though they are equal."""
    parser = PartialJSON()
    for letter in "[1.0]":
        parser.feed(letter)

    assert not parser.finish()
    assert isinstance(parser.value[0], float)
    assert math.isclose(1.0, parser.value[0])


def test_a_text_is_bounded() -> None:
    """What would exceed the bound is not taken."""
    parser = PartialJSON(max_size=4)
    parser.feed('"é')

    with pytest.raises(LimitExceededError) as caught:
        parser.feed('é"')

    assert ("max_tool_arguments", 4, 6) == (
        caught.value.phase,
        caught.value.limit,
        caught.value.elapsed,
    )
    assert "é" == parser.value


def call(arguments: str, index: int = 0, name: str = "") -> ToolCallDelta:
    """A piece of a tool call."""
    return ToolCallDelta(index, name=name, arguments=arguments)


@pytest.mark.asyncio
async def test_tool_arguments_are_shown() -> None:
    """Each call's values are told apart, and each has an end."""
    seen: list[Partial] = []
    chunks: list[Chunk] = [
        call("", name="f"),
        call('{"a": 1'),
        call("[", index=1, name="g"),
        call("}"),
        call("]", index=1),
        Finish("tool_calls"),
    ]

    assert chunks == await run([chunks], partial_json(seen.append))
    assert [
        Partial({"a": 1}, 0, 0, "f", done=False),
        Partial([], 0, 1, "g", done=False),
        Partial({"a": 1}, 0, 0, "f", done=True),
        Partial([], 0, 1, "g", done=True),
    ] == seen


@pytest.mark.asyncio
async def test_a_structured_answer_is_shown() -> None:
    """With ``of="text"`` the text of each choice is watched, and tool calls are not."""
    seen: list[Partial] = []
    lines = [
        [TextDelta("[1", 1), TextDelta("x"), call("{")],
        [TextDelta("]", 1)],
        Finish("stop", 1),
    ]

    await run(lines, partial_json(seen.append, of="text"))

    assert [([1], 1, False), ([1], 1, True), (None, 0, True)] == [
        (partial.value, partial.choice, partial.done) for partial in seen
    ]
    assert seen[-1].problem


@pytest.mark.asyncio
async def test_a_truncated_call_ends() -> None:
    """A text that no `Finish` ends is done when the stream is, and is not whole."""
    seen: list[Partial] = []

    _, error, _ = await outcome(
        [call('{"a": 1'), TruncatedError("cut short")], partial_json(seen.append)
    )

    assert isinstance(error, TruncatedError)
    assert [False, True] == [partial.done for partial in seen]
    assert seen[-1].problem


@pytest.mark.asyncio
async def test_what_the_callback_raises_ends_the_stream() -> None:
    """The chunk that it was told of is delivered first."""

    def refuse(partial: Partial) -> None:
        raise KeyError(partial.index)

    seen, error, _ = await outcome([[call(""), call("{"), call("}")]], partial_json(refuse))

    assert [call(""), call("{")] == seen
    assert isinstance(error, KeyError)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("limits", "bound"),
    [
        (Limits(max_tool_arguments=2), "max_tool_arguments"),
        (Limits(max_tool_calls=1), "max_tool_calls"),
    ],
)
async def test_watched_calls_are_bounded(limits: Limits, bound: str) -> None:
    """The chunks within the bound are delivered before the error."""
    chunks: list[Chunk] = [call("{"), call("}"), call(" ", index=0 if "arg" in bound else 1)]

    seen, error, _ = await outcome([chunks], partial_json(lambda _: None, limits=limits))

    assert chunks[:2] == seen
    assert isinstance(error, LimitExceededError)
    assert bound == error.phase


@pytest.mark.asyncio
async def test_a_watched_text_is_bounded() -> None:
    """A structured answer is bounded as the answer is."""
    _, error, _ = await outcome(
        ["[", "]]"], partial_json(lambda _: None, of="text", limits=Limits(max_answer=2))
    )

    assert isinstance(error, LimitExceededError)
    assert "max_answer" == error.phase
