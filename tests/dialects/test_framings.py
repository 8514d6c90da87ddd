"""How an answer is framed, by its type."""

from __future__ import annotations

import pytest

from penstock.dialects.framings import framed
from penstock.errors import ProtocolError
from penstock.interfaces import Framing

KNOWN: dict[str, Framing] = {"application/json": "json", "": "sse"}


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", "json"),
        ("Application/JSON; charset=utf-8", "json"),
        ("application/problem+json", "json"),
        ("", "sse"),
    ],
)
def test_what_is_known(content_type: str, expected: str) -> None:
    """Parameters and case do not matter, and a suffix says that it is JSON."""
    assert expected == framed(content_type, KNOWN, otherwise="no JSON")


def test_what_is_not() -> None:
    """Another type is named, in bounds, with what to look at."""
    with pytest.raises(ProtocolError, match=r"the answer is 'x+', no JSON$") as caught:
        framed("x" * 1000, KNOWN, otherwise="no JSON")

    assert "content_type" == caught.value.code
    assert len(caught.value.message) < 120
