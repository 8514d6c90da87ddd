"""Numbers of tokens as providers send them: what is one, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.dialects.counts import count


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[(0, 0), (7, 7), (7.0, 7), (-1, None), (True, None), ("7", None), (None, None)],
        *[([7], None), (1e30, None), (float("nan"), None), (float("inf"), None)],
    ],
)
def test_what_is_a_count(value: Any, expected: int | None) -> None:
    """Whole numbers of 0 or more, also as floats; whatever else a gateway sends is none."""
    assert expected == count(value)
