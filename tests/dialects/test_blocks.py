"""Blocks of an answer: counted while they come, cut again from the texts that they were."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.dialects.blocks import Blocks, pieces

SOURCES = {"content": ("text",), "reasoning": ("thinking", "plan")}


def test_blocks_are_counted_in_their_order() -> None:
    """Neighbours of a kind are one block, unless another was begun between them."""
    blocks = Blocks()
    blocks.add("text", 2)
    blocks.add("text", 3)
    blocks.open("thinking", signature="s")
    blocks.add("thinking", 4)
    blocks.open("thinking")
    blocks.add("thinking", 1)

    assert [
        {"kind": "text", "size": 5},
        {"kind": "thinking", "size": 4, "signature": "s"},
        {"kind": "thinking", "size": 1},
    ] == blocks.told()


@pytest.mark.parametrize(("plain", "told"), [(False, []), (True, [{"kind": "text", "size": 5}])])
def test_text_alone_needs_no_blocks(plain: bool, told: list[Any]) -> None:
    """Unless they are what says that it is still the same."""
    blocks = Blocks()
    blocks.add("text", 5)

    assert told == blocks.told(plain=plain)


KEPT = [
    {"kind": "thinking", "size": 3},
    {"kind": "text", "size": 2},
    {"kind": "plan", "size": 1},
    {"kind": "part", "size": 0, "part": {}},
]


def test_pieces_are_what_the_blocks_were() -> None:
    """Each kind is taken from the text that holds it."""
    found = pieces(KEPT, SOURCES, {"content": "ab", "reasoning": "xyzp"})

    assert found is not None
    assert ["xyz", "ab", "p", ""] == [piece for _, piece in found]


UNFIT: list[tuple[Any, str, str]] = [
    (KEPT, "abc", "xyzp"),
    (KEPT, "a", "xyzp"),
    (KEPT, "ab", "xyz"),
    (None, "", ""),
    ([5], "", ""),
    ([{"kind": "text", "size": -1}], "", ""),
    ([{"kind": "text", "size": "2"}], "ab", ""),
    ([{"kind": "other", "size": 2}], "", ""),
]


@pytest.mark.parametrize(("blocks", "content", "reasoning"), UNFIT)
def test_texts_that_were_edited_do_not_fit(blocks: Any, content: str, reasoning: str) -> None:
    """Then there are no pieces, rather than wrong ones."""
    assert pieces(blocks, SOURCES, {"content": content, "reasoning": reasoning}) is None
