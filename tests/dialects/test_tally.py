"""Tool calls are bounded in number and size."""

from __future__ import annotations

import pytest

from penstock.dialects.tally import Tally
from penstock.errors import LimitExceededError
from penstock.limits import Limits


def test_calls_are_counted_to_their_bound() -> None:
    """The call beyond it is an error that says how far it got."""
    tally = Tally(Limits(max_tool_calls=2))
    tally.add()
    tally.add()

    with pytest.raises(LimitExceededError) as caught:
        tally.add()
    assert ("max_tool_calls", 2, 3) == (
        caught.value.phase,
        caught.value.limit,
        caught.value.elapsed,
    )


def test_arguments_are_measured_in_utf8() -> None:
    """A size grows by the bytes of each piece."""
    tally = Tally(Limits(max_tool_arguments=6))

    assert 5 == tally.grow(tally.grow(0, "ab"), "日")
    with pytest.raises(LimitExceededError, match="max_tool_arguments: 8 over 6"):
        tally.grow(5, "日")
