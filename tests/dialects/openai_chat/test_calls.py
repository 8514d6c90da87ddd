"""Pieces of tool calls find their call by id, then index, then order, or are refused."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.chunks import Chunk, ToolCallDelta
from penstock.dialects.openai_chat.calls import Calls
from penstock.dialects.tally import Tally
from penstock.errors import LimitExceededError, ProtocolError
from penstock.limits import Limits

Piece = tuple[int | None, str, str, str]
"""Index, id, name, arguments."""


def folded(*pieces: Piece, limits: Limits | None = None) -> list[tuple[str, str, str]]:
    """The calls that `pieces` make, each with id, name and arguments."""
    calls = Calls(0, Tally(limits or Limits()))
    chunks: list[Chunk] = []
    for place, id, name, arguments in pieces:
        calls.add(
            chunks, place=place, id=id, name=name, arguments=arguments, kind="function", alone=True
        )
    calls.check()
    found: dict[int, list[str]] = {}
    for chunk in chunks:
        assert isinstance(chunk, ToolCallDelta)
        call = found.setdefault(chunk.index, ["", "", ""])
        for at, text in enumerate((chunk.id, chunk.name, chunk.arguments)):
            call[at] += text
    assert list(range(len(found))) == list(found)
    return [(call[0], call[1], call[2]) for call in found.values()]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(
            [(0, "a", "f", ""), (0, "", "", "{"), (0, "", "", "}")], [("a", "f", "{}")], id="openai"
        ),
        pytest.param(
            [(5, "a", "f", "{}"), (9, "b", "g", "{}")],
            [("a", "f", "{}"), ("b", "g", "{}")],
            id="indexes with gaps",
        ),
        pytest.param(
            [(0, "a", "f", "{"), (0, "a", "f", "}")], [("a", "f", "{}")], id="id and name repeated"
        ),
        pytest.param(
            [(0, "a", "f", "{"), (0, "", "", "}"), (0, "b", "f", "{"), (0, "", "", "}")],
            [("a", "f", "{}"), ("b", "f", "{}")],
            id="a changed id at the same index",
        ),
        pytest.param(
            [(0, "a", "f", "{"), (1, "a", "", "}")], [("a", "f", "{}")], id="a moving index"
        ),
        pytest.param(
            [(0, "a", "f", "{"), (1, "", "", "}")], [("a", "f", "{}")], id="a moving index, no id"
        ),
        pytest.param(
            [(0, "a", "f", "{"), (1, "b", "g", "["), (0, "", "", "}"), (1, "", "", "]")],
            [("a", "f", "{}"), ("b", "g", "[]")],
            id="in turns",
        ),
        pytest.param(
            [(None, "a", "f", "{"), (None, "", "", "}"), (None, "b", "g", "{}")],
            [("a", "f", "{}"), ("b", "g", "{}")],
            id="no index",
        ),
        pytest.param(
            [(None, "", "f", "{}"), (None, "", "f", "{}")],
            [("", "f", "{}"), ("", "f", "{}")],
            id="neither id nor index, whole",
        ),
        pytest.param(
            [(None, "", "f", "{"), (None, "", "", "}"), (None, "", "g", "{}")],
            [("", "f", "{}"), ("", "g", "{}")],
            id="neither id nor index, in order",
        ),
        pytest.param(
            [(0, "", "f", "{}"), (0, "", "f", "{}")],
            [("", "f", "{}"), ("", "f", "{}")],
            id="index 0 for whole calls",
        ),
        pytest.param(
            [(0, "", "f", "{"), (0, "", "f", "}")], [("", "f", "{}")], id="a repeated name"
        ),
        pytest.param(
            [(0, "", "f", ""), (0, "a", "", "{}")], [("a", "f", "{}")], id="the id comes later"
        ),
        pytest.param(
            [(0, "a", "", ""), (0, "", "f", "{}")], [("a", "f", "{}")], id="the name comes later"
        ),
        pytest.param(
            [(0, "a", "f", "{}"), (0, "a", "f", "{}")], [("a", "f", "{}")], id="repeated whole"
        ),
        pytest.param(
            [(0, "a", "f", ""), (0, "", "", ""), (1, "", "", ""), (0, "", "", "{}")],
            [("a", "f", "{}")],
            id="empty pieces",
        ),
        pytest.param([(0, "a", "ping", "")], [("a", "ping", "")], id="no arguments"),
    ],
)
def test_row_36_a_piece_finds_its_call(
    pieces: list[Piece], expected: list[tuple[str, str, str]]
) -> None:
    """No index merges two calls or splits one; ours are counted from 0 without gaps."""
    assert expected == folded(*pieces)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [(0, "a", "f", "{"), (1, "b", "g", "{"), (7, "", "", "}")], id="an unknown index"
        ),
        pytest.param([(0, "a", "f", "{"), (0, "b", "", "}")], id="a new id without a name"),
        pytest.param([(0, "", "f", "{"), (0, "", "g", "}")], id="another name at the same index"),
        pytest.param([(0, "a", "f", "{"), (0, "a", "g", "}")], id="another name for the same id"),
        pytest.param([(None, "", "f", "{"), (None, "", "f", "}")], id="a name again, in order"),
        pytest.param([(0, "a", "f", "{}"), (0, "a", "f", '{"x":1}')], id="other arguments"),
        pytest.param(
            [(None, "a", "f", ""), (None, "b", "g", ""), (None, "", "", "{}")],
            id="an earlier call without arguments",
        ),
    ],
)
def test_row_36_what_could_be_two_calls_is_an_error(pieces: list[Piece]) -> None:
    """A guess would put together the arguments of two calls."""
    with pytest.raises(ProtocolError) as caught:
        folded(*pieces)

    assert "ambiguous_tool_call" == caught.value.code


def test_a_call_without_a_name_is_an_error() -> None:
    """Nobody could be asked to run it."""
    with pytest.raises(ProtocolError, match="no name"):
        folded((0, "a", "", "{}"))


def test_several_pieces_in_one_list_need_more_than_their_order() -> None:
    """Two nameless pieces side by side could be of any calls."""
    calls = Calls(0, Tally(Limits()))
    piece: dict[str, Any] = {"place": None, "id": "", "kind": None, "alone": False}
    calls.add([], name="f", arguments="{", **piece)

    with pytest.raises(ProtocolError, match="not alone"):
        calls.add([], name="", arguments="}", **piece)


def test_calls_that_began_together_need_more_than_their_order() -> None:
    """A piece that says nothing of itself could go on with either of two open calls."""
    calls = Calls(0, Tally(Limits()))
    for id in ("a", "b"):
        calls.add([], place=None, id=id, name="f", arguments="{", kind=None, alone=False)

    with pytest.raises(ProtocolError, match="began together"):
        calls.add([], place=None, id="", name="", arguments="}", kind=None)


def test_the_last_of_calls_that_began_together_goes_on_where_the_others_are_whole() -> None:
    """Then there is only one that it can belong to."""
    calls = Calls(0, Tally(Limits()))
    chunks: list[Chunk] = []
    calls.add(chunks, place=None, id="a", name="f", arguments="{}", kind=None, alone=False)
    calls.add(chunks, place=None, id="b", name="g", arguments="{", kind=None, alone=False)
    calls.add(chunks, place=None, id="", name="", arguments="}", kind=None)

    assert ToolCallDelta(1, "", "", "}") == chunks[-1]


def test_arguments_of_one_call_are_bounded() -> None:
    """The bound counts bytes, over all pieces of a call."""
    limits = Limits(max_tool_arguments=6)

    with pytest.raises(LimitExceededError) as caught:
        folded((0, "a", "f", "ä"), (0, "", "", "xx"), (0, "", "", "ää"), limits=limits)

    assert ("max_tool_arguments", 6, 8) == (
        caught.value.phase,
        caught.value.limit,
        caught.value.elapsed,
    )


def test_calls_of_all_choices_together_are_bounded() -> None:
    """The bound is the answer's."""
    tally = Tally(Limits(max_tool_calls=3))
    first, second = Calls(0, tally), Calls(1, tally)
    for at, calls in enumerate((first, second, first)):
        calls.add([], place=at, id=f"c{at}", name="f", arguments="", kind=None)

    with pytest.raises(LimitExceededError) as caught:
        second.add([], place=9, id="c9", name="f", arguments="", kind=None)

    assert "max_tool_calls" == caught.value.phase


def test_the_deprecated_call_is_one_of_the_choices_calls() -> None:
    """Beside tool calls it has an index of its own."""
    calls = Calls(2, Tally(Limits()))
    chunks: list[Chunk] = []
    calls.add(chunks, place=0, id="a", name="f", arguments="{}", kind="function")
    calls.add_legacy(chunks, "g", "{")
    calls.add_legacy(chunks, "", "}")

    assert [
        ToolCallDelta(0, "a", "f", "{}", 2),
        ToolCallDelta(1, "", "g", "{", 2, "function_call"),
        ToolCallDelta(1, "", "", "}", 2, "function_call"),
    ] == chunks
