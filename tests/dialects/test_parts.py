"""Content parts, opened: texts, addresses, what a ``data:`` URL holds."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.dialects.parts import Data, address_of, data_of, parts_of, text_of
from penstock.dialects.places import Losses, Place
from penstock.errors import EncodeError
from penstock.fields import Joined


class Typed:
    """A part that says itself."""

    def to_openai(self) -> dict[str, Any]:
        """Return it."""
        return {"type": "text", "text": "typed"}


def place() -> Place:
    """The place of message number 0."""
    found = Place(Losses("d", [], strict=False))
    found.index = 0
    return found


CONTENTS: list[tuple[Any, list[tuple[str, dict[str, Any]]]]] = [
    (None, []),
    ("a", [("content", {"type": "text", "text": "a"})]),
    (
        ["a", Typed(), {"type": "x"}],
        [
            ("content[0]", {"type": "text", "text": "a"}),
            ("content[1]", {"type": "text", "text": "typed"}),
            ("content[2]", {"type": "x"}),
        ],
    ),
]


@pytest.mark.parametrize(("content", "parts"), CONTENTS)
def test_contents_are_parts_with_their_paths(content: Any, parts: list[Any]) -> None:
    """Text is one part, and may stand among others."""
    assert parts == list(parts_of(content, place()))


@pytest.mark.parametrize("content", [5, [5], [{"text": "a"}], [{"type": 5}]])
def test_what_is_no_part_is_an_error(content: Any) -> None:
    """With its path."""
    with pytest.raises(EncodeError, match=r"messages\[0\].content"):
        list(parts_of(content, place()))


def test_texts_and_addresses_are_found() -> None:
    """By the part's own name; an address may be in an object or alone."""
    assert "a" == text_of({"type": "refusal", "refusal": "a"}, place(), "p")
    assert "u" == address_of({"type": "x", "x": {"url": "u"}}, "x", place(), "p")
    assert "u" == address_of({"type": "x", "x": "u"}, "x", place(), "p")
    with pytest.raises(EncodeError, match=r"p\.text"):
        text_of({"type": "text"}, place(), "p")
    with pytest.raises(EncodeError, match="needs a url"):
        address_of({"type": "x", "x": {}}, "x", place(), "p")


URLS: list[tuple[Any, Data | None]] = [
    ("https://e.com/a.png", None),
    ("data:image/png", None),
    ("DATA:image/png;base64,AA==", Data("image/png", Joined(("DATA:image/png;base64,AA==",), 22))),
    ("data:;base64,AA==", Data("", Joined(("data:;base64,AA==",), 13))),
    ("data:text/plain;charset=utf-8,a%20b", Data("text/plain", "YSBi")),
    ("data:,a", Data("text/plain", "YQ==")),
    (Joined(("data:a/b;base64,", "AA==")), Data("a/b", Joined(("data:a/b;base64,", "AA=="), 16))),
]


@pytest.mark.parametrize(("url", "data"), URLS, ids=lambda each: str(each)[:40])
def test_data_urls_hold_base64(url: Any, data: Data | None) -> None:
    """It is the end of the URL, uncopied; what is in percent signs is translated."""
    assert data == data_of(url)
