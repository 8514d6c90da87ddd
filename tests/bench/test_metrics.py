"""Which chunk ends which clock, on a clock that the test moves."""

from __future__ import annotations

import pytest

from penstock import (
    AudioDelta,
    Chunk,
    Finish,
    ImageDelta,
    Meta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock.bench.metrics import Measurement


def measured(*reads: list[Chunk], keep_text: bool = False) -> Measurement:
    """Return what is noted of reads that come at 1, 2, 3, ... seconds."""
    times = iter(range(1, 100))
    measurement = Measurement(keep_text=keep_text, clock=lambda: next(times))
    stage = measurement.begin()
    for read in reads:
        assert [] == stage(read)
    return measurement


FIRSTS: dict[str, tuple[Chunk, bool, bool]] = {
    # the first chunk: it ends TTFT, and TTFOT
    "role": (Meta(role="assistant"), False, False),
    "empty text": (TextDelta(""), False, False),
    "empty thinking": (ReasoningDelta(""), False, False),
    "an id of a call alone": (ToolCallDelta(0, id="call_1"), False, False),
    "text": (TextDelta("a"), True, True),
    "thinking": (ReasoningDelta("a"), True, False),
    "hidden thinking": (ReasoningDelta("", details=({"data": "x"},)), True, False),
    "a tool call": (ToolCallDelta(0, name="get"), True, False),
    "arguments": (ToolCallDelta(0, arguments="{"), True, False),
    "a refusal": (RefusalDelta("no"), True, True),
    "audio": (AudioDelta(data="UklG"), True, True),
    "an image": (ImageDelta("data:,"), True, True),
}


@pytest.mark.parametrize("case", FIRSTS)
def test_what_ends_the_wait(case: str) -> None:
    """TTFT ends at the first content, TTFOT at the first of the answer itself."""
    chunk, content, output = FIRSTS[case]
    found = measured([chunk], [TextDelta("later")])

    assert (1 if content else 2, 1 if output else 2) == (found.first, found.first_output)


def test_gaps_are_between_chunks_with_content() -> None:
    """Chunks of one read have no gap; the finish and the usage make none."""
    found = measured(
        [Meta(role="assistant")],
        [TextDelta("a"), TextDelta("b")],
        [Meta(id="x")],
        [TextDelta("c")],
        [Finish("stop")],
        [Usage(output_tokens=3)],
    )

    assert [0, 2] == list(found.gaps)
    assert (3, 2, 6) == (found.chunks, found.decoding, found.last)
    assert ("stop", 3) == (found.finish_reason, found.streamed_tokens)


def test_only_the_first_choices_reason_counts() -> None:
    """A second choice that ends otherwise changes nothing."""
    found = measured([TextDelta("a")], [Finish("stop")], [Finish("length", choice=1)])

    assert "stop" == found.finish_reason


@pytest.mark.parametrize(
    ("usage", "shown", "tokens"),
    [
        (None, False, 2),  # nobody counts: a chunk for a token
        (Usage(output_tokens=0), False, 2),
        (Usage(output_tokens=8), False, 8),
        (Usage(output_tokens=8, reasoning_tokens=5), False, 3),  # thinking that was not shown
        (Usage(output_tokens=8, reasoning_tokens=5), True, 8),
    ],
)
def test_tokens_are_the_providers(usage: Usage | None, shown: bool, tokens: int) -> None:
    """Those that came with the chunks: thinking counts where it was shown."""
    first: Chunk = ReasoningDelta("a") if shown else TextDelta("a")
    found = measured([first], [TextDelta("b")], [] if usage is None else [usage])

    assert tokens == found.streamed_tokens


def test_text_is_kept_where_a_next_turn_needs_it() -> None:
    """The first choice's alone; else nothing is."""
    reads: list[list[Chunk]] = [[TextDelta("a"), TextDelta("x", choice=1)], [TextDelta("b")]]

    assert ("ab", "") == (measured(*reads, keep_text=True).text, measured(*reads).text)


def test_no_content_is_no_time() -> None:
    """An empty answer has a last chunk, and neither first token nor pace."""
    found = measured([Meta(role="assistant")], [Finish("stop")])

    assert (None, None, None, 0) == (found.first, found.first_output, found.decoding, found.chunks)
    assert 2 == found.last
