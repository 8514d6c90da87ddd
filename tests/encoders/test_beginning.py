"""Bodies that begin alike: the same bytes as of a body that is made from all its fields."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.encoders import Body
from penstock.encoders.backends import Backend
from penstock.encoders.beginning import Beginning, SmallBody
from penstock.fields import Each

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
MESSAGES = st.lists(st.fixed_dictionaries({"role": TEXTS, "content": TEXTS}), max_size=9)


class Role(str, Enum):  # noqa: UP042  # many users' enums are still of this kind
    """A text of a kind of its own."""

    USER = "user"


def beginning(fields: dict[str, Any], *, size: int = 4096, depth: int = 256) -> Beginning:
    """What comes before ``messages``."""
    return Beginning(fields, "messages", buffer_size=size, max_depth=depth)


@given(TEXTS, st.lists(MESSAGES, min_size=1, max_size=3))
def test_the_bytes_are_those_of_all_the_fields(
    backend: Backend, model: str, conversations: list[list[dict[str, str]]]
) -> None:
    """In any script, with any backend, for one conversation after the other."""
    fields = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
    begun = Beginning(fields, "messages", buffer_size=4096, max_depth=256, backend=backend)
    for messages in conversations:
        whole = Body({**fields, "messages": Each(messages)}, backend=backend)

        assert SmallBody(whole.small or b"") == begun.followed_by(messages)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "hi", "name": "x"}],
        [{"role": "user"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": ["hi"]}],
        [{"role": Role.USER, "content": "hi"}],
        [{"role": "user", "content": "\ud800"}],
        [{"role": "user", "content": "hi"}] * 65,
        [{"role": "user", "content": "x" * 4096}],
        [{"role": "user", "content": "\0" * 1000}],
        [{"role": "user", "content": "日" * 2000}],
        ["hi"],
        [None],
    ],
    ids=repr,
)
def test_the_rest_is_left_to_a_body(messages: list[Any]) -> None:
    """Whatever is unusual, large, or not JSON."""
    assert beginning({"model": "m"}).followed_by(messages) is None


@pytest.mark.parametrize(
    ("fields", "size", "depth"),
    [({"n": 1e300}, 4096, 256), ({"model": "m"}, 4096, 2), ({"model": "m" * 90}, 80, 256)],
)
def test_unusual_fields_are_left_to_a_body(fields: dict[str, Any], size: int, depth: int) -> None:
    """So is what comes after them."""
    messages = [{"role": "user", "content": "hi"}]

    assert beginning(fields, size=size, depth=depth).followed_by(messages) is None


def test_a_body_takes_the_buffer_and_no_more() -> None:
    """The last byte that fits does."""
    messages = [{"role": "user", "content": "hi" * 40}]
    whole = Body({"model": "m", "messages": Each(messages)}).small or b""
    fits = [
        size
        for size in range(len(whole) - 3, len(whole) + 40)
        if beginning({"model": "m"}, size=size).followed_by(messages) is not None
    ]

    # Up to 25 bytes less than a buffer are left to `Body`, which counts exactly.
    assert len(whole) <= fits[0] <= len(whole) + 25
    assert list(range(fits[0], len(whole) + 40)) == fits


def test_no_copy_is_left_in_the_texts() -> None:
    """An encoder marks copies of ours."""
    messages = [{"role": "user", "content": f"größer {9}"}]
    before = sys.getsizeof(messages[0]["content"])
    assert beginning({"model": "m"}).followed_by(messages) is not None

    assert before == sys.getsizeof(messages[0]["content"])


@pytest.mark.asyncio
async def test_a_small_body_can_be_had_again() -> None:
    """In one piece, whose length is known; what is said does not show."""
    body = SmallBody(b"{}")

    assert [b"{}", b"{}"] == [piece for _ in range(2) async for piece in body.open()]
    assert await body.length() == 2
    assert repr(body) == "SmallBody()"
