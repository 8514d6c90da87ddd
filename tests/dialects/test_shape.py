"""Events that differ in a text alone, read together."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.chunks import Chunk
from penstock.dialects import dialect
from penstock.dialects.shape import Shape, shape_of
from penstock.interfaces import Ending
from penstock.limits import Limits
from penstock.request import ChatRequest


def event(text: str, **more: object) -> bytes:
    """Return an event of OpenAI's with `text` in it."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return json.dumps({"id": "c", "model": "m", "choices": [choice], **more}).encode()


SHAPE = shape_of(event("a"), b"content", "a")


def test_texts_of_one_shape() -> None:
    """Every event's own text, with its escapes."""
    assert SHAPE is not None

    assert ["a", "", "é\n", "d"] == SHAPE.texts([*map(event, ["a", "", "é\n", "d"])])


@pytest.mark.parametrize(
    "other",
    [
        event("a", usage={"total_tokens": 1}),
        event("a").replace(b'"m"', b'"n"'),
        event('say "a"'),
        event("a\\"),
        event("a")[:-1],
        event("a") + b"\n",
        event("a").replace(b'"a"', b'"\x01"'),
        event("a").replace(b'"a"', b'"\\ud83d"'),
        event("a").replace(b'"a"', b'"a","role":"tool"'),
        event("a").replace(b'"a"', b'"a\\"'),
        b"[DONE]",
        b"",
    ],
)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_an_event_of_another_shape_is_left_to_the_dialect(other: bytes, place: int) -> None:
    """One among many is enough: none of them is read here."""
    events = [*map(event, "abcd")]
    events.insert(place, other)

    assert SHAPE is not None
    assert SHAPE.texts(events) is None


@pytest.mark.parametrize(
    "odd",
    [
        b'{"content":"a","content":"a"}',
        b'{"content":"a","conten\\u0074":"a"}',
        b'{"content":"a\\n"}',
        b'{"content":["a"]}',
        b'{"other":"a"}',
    ],
)
def test_what_is_not_plain_has_no_shape(odd: bytes) -> None:
    """A name twice, or escapes around the text, could make another event say something else."""
    assert shape_of(odd, b"content", "a") is None


def test_spaces_behind_the_name_are_a_shape_of_their_own() -> None:
    """As servers in Python write them, and others do not."""
    tight = shape_of(b'{"content":"a"}', b"content", "a")

    assert isinstance(tight, Shape)
    assert tight.texts([b'{"content": "a"}']) is None
    assert ["b"] == tight.texts([b'{"content":"b"}'])


@given(st.lists(st.text(max_size=6), min_size=1, max_size=40), st.integers(1, 12))
def test_batches_change_no_answer(texts: list[str], size: int) -> None:
    """Whatever comes in one read, the chunks are those of every event read by itself."""
    frames = [event("a"), *map(event, texts)]

    assert chunks(frames, 1) == chunks(frames, size)


def chunks(frames: list[bytes], size: int) -> list[Chunk]:
    """Return what the answer makes of `frames`, so many at a time."""
    request = ChatRequest(model="m", messages="hi")
    answer = dialect("openai_chat").answer(request, "text/event-stream", Limits(), origin="o")
    found: list[Chunk] = []
    for start in range(0, len(frames), size):
        answer.feed(frames[start : start + size], found)
    answer.feed([b"[DONE]"], found)
    answer.finish(Ending(clean=True), found)
    return found
