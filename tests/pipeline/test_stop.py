"""An answer ends at a pattern, however the network cut it."""

from __future__ import annotations

import re

import pytest
from tests.pipeline.drive import cut, outcome, run

from penstock.chunks import Chunk, Finish, LogProbs, Meta, TextDelta, ToolCallDelta, Usage
from penstock.errors import ConfigurationError, TruncatedError
from penstock.pipeline.stop import stop_at

pytestmark = pytest.mark.asyncio

USAGE = Usage(output_tokens=9)


def text_of(chunks: list[Chunk], choice: int = 0) -> str:
    """The text of a choice."""
    return "".join(chunk.text for chunk in chunks if chunk.choice == choice)


def finishes(chunks: list[Chunk]) -> list[Chunk]:
    """The ends in `chunks`."""
    return [chunk for chunk in chunks if isinstance(chunk, Finish)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("batch", [1, 2, 100])
@pytest.mark.parametrize(
    ("patterns", "answer", "kept"),
    [
        (["STOP"], "one STOP two", "one "),
        (["STOP"], "one STO two", None),
        (["STOP"], "one STSTOP", "one ST"),
        (["aab"], "aaab", "a"),
        (["abab", "b"], "aab", "aa"),
        (["abcd", "c"], "abcd", "ab"),
        (["cd", "abcd"], "abcd", ""),
        (["\n\n", "END"], "a\nb\n\nc", "a\nb"),
        (["ééé"], "aéébéééb", "aééb"),
        ([re.compile("E[N]+D")], "one ENNND two", "one "),
        ([re.compile("E[N]+D")], "one ENNN two", None),
        ([re.compile("a{1,3}")], "xaaaay", "x"),
        ([re.compile("abcd|c")], "xabcd", "x"),
        ([re.compile("abcd|c")], "xabce", "xab"),
        ([re.compile("c"), "abcd"], "xabcd", "x"),
        (["x" * 20, re.compile("c")], "abc", "ab"),
        ([re.compile("end$")], "the end", "the "),
    ],
    ids=str,
)
async def test_cuts_do_not_matter(
    patterns: list[str | re.Pattern[str]], answer: str, kept: str | None, size: int, batch: int
) -> None:
    """Whatever the pieces and the batches, the text before the match is what comes out."""
    deltas = [TextDelta(answer[start : start + size]) for start in range(0, len(answer), size)]
    chunks: list[Chunk] = [*deltas, Finish("length")]

    seen = await run(cut(chunks, batch), stop_at(*patterns, max_length=8))

    assert (answer if kept is None else kept) == text_of(seen)
    assert [Finish("length" if kept is None else "stop")] == finishes(seen)


@pytest.mark.parametrize("pattern", ["STOP", re.compile("S.OP")])
async def test_the_match_can_be_included(pattern: str | re.Pattern[str]) -> None:
    """With `include` the match is the last of the text."""
    seen = await run(
        ["one ST", "OP two", Finish("stop")], stop_at(pattern, include=True, max_length=4)
    )

    assert "one STOP" == text_of(seen)


async def test_the_connection_is_cut_at_the_match() -> None:
    """Nothing after the match is asked for, and the stream ends normally."""
    seen, error, stream = await outcome(["a STOP b", 3600.0], stop_at("STOP"))

    assert [TextDelta("a "), Finish("stop")] == seen
    assert error is None
    assert stream.released


async def test_the_rest_can_be_read_for_its_usage() -> None:
    """With `read_on` the rest is dropped but for usage and metadata, and the end is reached."""
    lines = ["a STOP", ["b", LogProbs(), Finish("length")], [Meta(service_tier="flex"), USAGE]]

    seen = await run(lines, stop_at("STOP", read_on=True))

    assert [TextDelta("a "), Finish("stop"), Meta(service_tier="flex"), USAGE] == seen


async def test_no_more_is_held_back_than_could_match() -> None:
    """Text is passed on as soon as it cannot be part of a match."""
    stage = stop_at("abcd").begin()

    assert [TextDelta("xxa")] == stage([TextDelta("xxaab")])
    assert [] == stage([TextDelta("c")])
    assert [TextDelta("abcx")] == stage([TextDelta("x")])


async def test_an_expression_holds_back_its_longest_match() -> None:
    """One character less than `max_length`, whatever it is."""
    stage = stop_at(re.compile("zz"), max_length=4).begin()

    assert [TextDelta("ab")] == stage([TextDelta("abcde")])


@pytest.mark.parametrize("pattern", ["STOP", re.compile("STOP")])
async def test_a_text_ends_with_the_next_kind_of_content(pattern: str | re.Pattern[str]) -> None:
    """A tool call comes after the text before it, and joins no two texts to a match."""
    call = ToolCallDelta(0, id="c1", name="f")

    assert [TextDelta("ST"), call, TextDelta("OP"), Finish("stop")] == await run(
        ["ST", call, "OP", Finish("stop")], stop_at(pattern)
    )


async def test_log_probabilities_are_not_held_back() -> None:
    """What belongs to no content of its own does not end a text."""
    seen = await run(["ST", LogProbs(), "OP", LogProbs()], stop_at("STOP"))

    assert [LogProbs(), Finish("stop")] == seen


async def test_choices_end_each_for_itself() -> None:
    """A choice that has met the pattern is over; the stream is once all are."""
    lines = [
        [TextDelta("a STOP"), TextDelta("b ", 1)],
        [TextDelta("more"), USAGE, TextDelta("ST", 1)],
        TextDelta("OP", 1),
        TextDelta("never", 1),
    ]

    seen = await run(lines, stop_at("STOP", choices=2))

    assert ["a ", "b "] == [text_of(seen), text_of(seen, 1)]
    assert [Finish("stop"), Finish("stop", 1)] == finishes(seen)
    assert USAGE in seen


async def test_a_choice_that_ended_by_itself_counts() -> None:
    """With one choice finished and the other stopped, there is nothing to wait for."""
    lines = [[TextDelta("a"), Finish("length")], [TextDelta("b STOP", 1)], TextDelta("never", 1)]

    seen = await run(lines, stop_at("STOP", choices=2))

    assert [Finish("length"), Finish("stop", 1)] == finishes(seen)
    assert "never" not in text_of(seen, 1)


async def test_a_truncation_loses_no_text() -> None:
    """What was held back comes before the error."""
    seen, error, _ = await outcome(["a ST", TruncatedError("cut short")], stop_at("STOP"))

    assert "a ST" == text_of(seen)
    assert isinstance(error, TruncatedError)


async def test_an_end_without_a_finish_loses_no_text() -> None:
    """Each choice's text is released in order, and an expression is decided."""
    seen = await run(
        [[TextDelta("ab", 1), TextDelta("cz")]], stop_at(re.compile("z"), choices=2, max_length=9)
    )

    assert [TextDelta("c"), Finish("stop"), TextDelta("ab", 1)] == seen


async def test_empty_text_is_passed_on() -> None:
    """A delta without text is not swallowed."""
    assert [TextDelta("")] == await run([TextDelta("")], stop_at("STOP"))


@pytest.mark.parametrize("patterns", [[], [""], [re.compile("a*")]])
async def test_patterns_must_not_be_empty(patterns: list[str | re.Pattern[str]]) -> None:
    """A pattern that matches nothing would end every answer at once."""
    with pytest.raises(ConfigurationError, match="empty"):
        stop_at(*patterns)
