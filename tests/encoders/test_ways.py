"""What is refused, whichever way a text is encoded."""

from __future__ import annotations

import pytest

from penstock.encoders.ways import find_surrogates, may_have_surrogates


@pytest.mark.parametrize("length", [0, 1, 40, 56, 57, 72, 73, 74, 75, 80, 200, 5000])
@pytest.mark.parametrize("code", [0xD800, 0xDFFF])
def test_half_of_a_pair_is_found_in_a_text_of_any_length(length: int, code: int) -> None:
    """A text in Latin-1 is not searched, and is told from others by how much it takes."""
    half = chr(code)
    find_surrogates("é" * length)
    find_surrogates("日" * length)
    for text in (half + "x" * length, "é" * length + half, "😀" * length + half):
        with pytest.raises(UnicodeEncodeError):
            find_surrogates(text)


@pytest.mark.parametrize(
    ("text", "may"),
    [("x" * 200, False), ("é" * 200, False), ("日" * 200, True), ("x" * 200 + "😀", True)],
)
def test_a_text_in_latin_1_has_no_halves(text: str, may: bool) -> None:
    """A long one need not be gone over, nor copied slice by slice."""
    assert may == may_have_surrogates(text)
