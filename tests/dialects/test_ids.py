"""Ids of tool calls are kept where they are valid, and made of what they were where not."""

from __future__ import annotations

from re import compile as pattern

import pytest

from penstock.dialects.ids import valid_id

NINE = pattern(r"[A-Za-z0-9]{9}")


def test_a_valid_id_is_kept() -> None:
    """Nothing is done to what the vendor takes."""
    assert "abcDEF123" == valid_id("abcDEF123", NINE, length=9)


@pytest.mark.parametrize("given", ["call_1", "toolu_01", "", "call 1 \ud800", "abcDEF123x"])
def test_another_id_becomes_a_valid_one_always_the_same(given: str) -> None:
    """So that the result finds its call, in every process."""
    made = valid_id(given, NINE, length=9)

    assert NINE.fullmatch(made)
    assert made == valid_id(given, NINE, length=9)
    assert made != valid_id(given + "x", NINE, length=9)


def test_a_made_id_is_known() -> None:
    """It is part of what may be stored elsewhere, so it must not change with a version."""
    assert "call_lNJTE" == valid_id(
        "a b", pattern(r"call_[A-Za-z0-9]{5}"), length=10, prefix="call_"
    )
