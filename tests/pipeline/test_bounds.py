"""Buffers say how large they may become."""

from __future__ import annotations

import pytest

from penstock.chunks import (
    AudioDelta,
    Chunk,
    Citation,
    ImageDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
)
from penstock.errors import LimitExceededError
from penstock.pipeline.bounds import check_bound, chunk_size


@pytest.mark.parametrize(("current", "incoming"), [(0, 0), (41, 1), (0, 42), (42, 0)])
def test_reaching_a_bound_is_fine(current: int, incoming: int) -> None:
    """The seeds' rule: the sum must not exceed the limit."""
    check_bound("value", current, incoming, 42)


def test_exceeding_a_bound_is_an_error_and_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The error names the context, the limit and how far it got."""
    with pytest.raises(LimitExceededError) as caught:
        check_bound("tool arguments", 42, 42, 42)

    assert ("tool arguments", 42, 84) == (
        caught.value.phase,
        caught.value.limit,
        caught.value.elapsed,
    )
    assert "tool arguments exceeds its bound: 84 over 42" in caplog.text


@pytest.mark.parametrize(
    ("chunk", "text"),
    [
        (TextDelta("é" * 100), 200),
        (ToolCallDelta(0, arguments="x" * 200), 200),
        (ReasoningDelta("x" * 200), 200),
        (RefusalDelta("x" * 200), 200),
        (ImageDelta("x" * 200), 200),
        (AudioDelta(data="x" * 100, transcript="x" * 100), 200),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_chunk_is_as_large_as_its_text(chunk: Chunk, text: int) -> None:
    """The text counts in UTF-8, and 64 bytes for the object."""
    assert text + 64 == chunk_size(chunk)


@pytest.mark.parametrize(
    "chunk", [Citation({"quote": "x" * 200}), ReasoningDelta("", details=({"data": "x" * 200},))]
)
def test_other_chunks_are_as_large_as_their_json(chunk: Chunk) -> None:
    """What is kept as it came counts as its JSON."""
    assert 264 < chunk_size(chunk) < 400
