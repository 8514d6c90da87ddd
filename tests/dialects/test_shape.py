"""Events that differ in a text alone, read together."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.chunks import Chunk
from penstock.decoders import EventStreamFrame, SSEFrame
from penstock.decoders.alike import Alike
from penstock.dialects import dialect
from penstock.dialects.shape import Sample, Shape, shape_of
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
        event("a\\"),
        event('","'),
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


def test_quotes_in_a_text_are_read() -> None:
    """Code is full of them."""
    assert SHAPE is not None

    assert ['say "a"', '"', '""', "a"] == SHAPE.texts([*map(event, ['say "a"', '"', '""', "a"])])


def numbered(text: str, at: int, pad: str) -> bytes:
    """Return an event with a number and padding of its own around `text`."""
    return b'{"pad":"%b","at":%d,"n":1,"text":"%b"}' % (pad.encode(), at, text.encode())


@pytest.mark.parametrize("free", [(b"pad",), (b"at",), (b"pad", b"at"), (b"at", b"pad", b"none")])
def test_what_else_differs_is_passed_over(free: tuple[bytes, ...]) -> None:
    """A date, a number, padding: where the dialect says so, and nowhere else."""
    shape = shape_of(numbered("a", 1, "x"), b"text", "a", free=free)
    pads = ["x", "y", ""] if b"pad" in free else ["x"] * 3
    counts = [1, 22, 333] if b"at" in free else [1] * 3

    assert shape is not None
    assert ["b", "", 'c"'] == shape.texts([*map(numbered, ["b", "", r"c\""], counts, pads)])
    assert shape.texts([*map(numbered, "bcd", [1, 2, 3], "xyz")]) in (None, ["b", "c", "d"])
    assert (shape.texts([*map(numbered, "bcd", [1, 2, 3], "xyz")]) is None) == (len(free) < 2)


@pytest.mark.parametrize(
    "other",
    [
        b'{"pad":"x","n":1,"text":"b"}',
        b'{"pad":"x","at":1,"n":1,"text":"b","at":2,"n":1,"text":"c"}',
        b'{"pad":"x","text":"b"}',
        b'{"pad":"x","at":"1","n":1,"text":"b"}',
        b'{"pad":"x","at":1,2,"n":1,"text":"b"}',
        b'{"pad":"x",0,1,1,"b"}',
        b'{"pad":"x\\","at":1,"n":1,"text":"b"}',
        b'{"pad":"x","at":1,"n":1,"text":"b\\"}',
    ],
)
def test_what_lacks_a_place_is_of_another_shape(other: bytes) -> None:
    """Also where another event has one too many, so that the sums are right."""
    shape = shape_of(numbered("a", 1, "x"), b"text", "a", free=(b"pad", b"at"))
    twice = b'{"pad":"x","at":1,"n":1,"text":"b","at":2,"n":1,"text":"c"}'

    assert shape is not None
    assert shape.texts([numbered("a", 1, "x"), other, twice, numbered("a", 1, "x")]) is None
    assert shape.texts([numbered("a", 1, "x"), other, numbered("a", 1, "x")]) is None


def test_places_that_have_changed_theirs_are_of_another_shape() -> None:
    """The text would be taken from where something else stands."""
    shape = shape_of(b'{"a":"1","b":"2","c":"3"}', b"c", "3", free=(b"a", b"b"))

    assert shape is not None
    assert ["6"] == shape.texts([b'{"a":"4","b":"5","c":"6"}'])
    assert shape.texts([b'{"a":"4","c":"5","b":"6"}']) is None


def test_base64_is_decoded() -> None:
    """As Bedrock has events of other vendors in its own."""
    shape = shape_of(b'{"bytes":"YQ==","p":"x"}', b"bytes", "YQ==", free=(b"p",), kind=bytes)

    assert shape is not None
    assert [b"b", b"ab"] == shape.texts([b'{"bytes":"Yg==","p":"xyz"}', b'{"bytes":"YWI=","p":""}'])
    assert shape.texts([b'{"bytes":"Yg=","p":"xyz"}']) is None


@pytest.mark.parametrize(
    "odd",
    [
        b'{"content":"a","content":"a"}',
        b'{"content":"a","content" :"a"}',
        b'{"content" :"a","content":"a"}',
        b'{"content":"a","content"\t\n:"a"}',
        b'{"content":"a","conten\\u0074":"a"}',
        b'{"content":"a\\n"}',
        b'{"content":["a"]}',
        b'{"other":"a"}',
    ],
)
def test_what_is_not_plain_has_no_shape(odd: bytes) -> None:
    """A name twice, or escapes around the text, could make another event say something else."""
    assert shape_of(odd, b"content", "a") is None


def test_a_name_may_be_a_value_too() -> None:
    """It names one text nevertheless."""
    shape = shape_of(b'{"type":"content","content":"a"}', b"content", "a")

    assert shape is not None
    assert ["b"] == shape.texts([b'{"type":"content","content":"b"}'])


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


def gemini(text: str, at: int) -> dict[str, Any]:
    """Return an event of Gemini's, which counts in each."""
    counts = {"promptTokenCount": 3, "candidatesTokenCount": at, "totalTokenCount": at + 3}
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    said = {"usageMetadata": counts, "modelVersion": "m", "responseId": "r"}
    return {"candidates": [candidate], **said}


def ollama(text: str, at: int) -> dict[str, Any]:
    """Return a line of Ollama's, which has a date."""
    message = {"role": "assistant", "content": text}
    return {"model": "m", "created_at": f"2026-01-01T00:00:00.{at}Z", "message": message} | {
        "done": False
    }


def converse(text: str, at: int) -> dict[str, Any]:
    """Return a delta of Converse, which is padded."""
    return {"delta": {"text": text}, "contentBlockIndex": 0, "p": "abcdefghij"[: at % 11]}


def invoke(text: str, at: int) -> dict[str, Any]:
    """Return a part of InvokeModel, which has Anthropic's events in base64."""
    inner: dict[str, Any] = {"type": "content_block_delta", "index": 0}
    inner["delta"] = {"type": "text_delta", "text": text}
    return {"bytes": b64encode(tight(inner)).decode(), "p": "abcdefghij"[: at % 11]}


def mistral(text: str, at: int) -> dict[str, Any]:
    """Return an event of Mistral's."""
    choice = {"index": 0, "delta": {"content": text}}
    return {"id": "c", "model": "m", "choices": [choice], "p": "abcdefghij"[: at % 11]}


def tight(value: object) -> bytes:
    """Return `value` as most servers write it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def sse(data: bytes) -> SSEFrame:
    """Return an event without a name."""
    return SSEFrame("message", data)


def message(kind: str) -> Callable[[bytes], EventStreamFrame]:
    """Return what makes messages of that kind."""
    headers: Any = {":event-type": kind, ":message-type": "event"}
    return lambda payload: EventStreamFrame(headers.copy(), payload)


STARTED = tight({"type": "message_start", "message": {"id": "m", "role": "assistant"}})
OPENED = tight(
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
)
KINDS: dict[str, tuple[str, Callable[[str, int], dict[str, Any]], Callable[[bytes], Any], Any]] = {
    "gemini": ("text/event-stream", gemini, sse, []),
    "mistral": ("text/event-stream", mistral, sse, []),
    "ollama": ("application/x-ndjson", ollama, bytes, []),
    "bedrock_converse": (
        "application/vnd.amazon.eventstream",
        converse,
        message("contentBlockDelta"),
        [],
    ),
    "bedrock_invoke": (
        "application/vnd.amazon.eventstream",
        invoke,
        message("chunk"),
        [tight({"bytes": b64encode(each).decode()}) for each in (STARTED, OPENED)],
    ),
}
ODD = ["", 'say "a"', "\\", "\n", "é", "\N{GRINNING FACE}", '","', '"},"p":"', "null", "\x00"]


@pytest.mark.parametrize("name", KINDS)
def test_no_cut_changes_the_answer_of_a_dialect(name: str) -> None:
    """With what each event has of its own beside the text, and texts that look like JSON."""
    content_type, make, frame, first = KINDS[name]
    texts = [*"abcdefghijkl", *ODD, *"mnopqrstuv", *[each * 2 for each in ODD], *"wxyz" * 20]
    lines = [*first, *(tight(make(text, at)) for at, text in enumerate(texts))]

    def read(size: int) -> list[Chunk]:
        request = ChatRequest(model="m", messages="hi")
        answer = dialect(name).answer(request, content_type, Limits(), origin="o")
        found: list[Chunk] = []
        for start in range(0, len(lines), size):
            some = lines[start : start + size]
            frames: Sequence[Any] = [*map(frame, some)]
            answer.feed(Alike(some, frame) if size > 1 and frame is not bytes else frames, found)
        return found

    alone = read(1)

    assert "".join(texts) == "".join(getattr(each, "text", "") for each in alone)
    for size in (4, 5, 13, 32, 50, len(lines)):
        assert alone == read(size)


def test_a_sample_knows_what_its_shape_does() -> None:
    """Its shape is found with the first events that are compared; where it has none, none is like
    it.
    """
    sample = Sample(b'{"t":"a","p":"x"}', b"t", "a", (b"p",))
    odd = Sample(b'{"t":"a\\n"}', b"t", "a\n")

    assert ["b", "c"] == sample.texts([b'{"t":"b","p":"yy"}', b'{"t":"c","p":""}'])
    assert sample.texts([b'{"u":"b","p":""}']) is None
    assert ["d"] == sample.texts([b'{"t":"d","p":""}'])
    assert odd.texts([b'{"t":"a\\n"}']) is None


@pytest.mark.parametrize("text", ["", "b", "é", "a b", 'say "a"', "\n", "\\"])
def test_one_event_like_the_sample_has_a_text(text: str) -> None:
    """As it stands in the JSON, with its escapes, behind a space or none."""
    tight = [each.replace(b": ", b":") for each in (event("a"), event(text))]

    assert text == Sample(event("a"), b"content", "a").text_of(event(text))
    assert text == Sample(tight[0], b"content", "a").text_of(tight[1])


@pytest.mark.parametrize(
    "other",
    [
        event("a", usage={"total_tokens": 1}),
        event("a").replace(b'"m"', b'"n"'),
        event("a")[:-1],
        event("a") + b"\n",
        event("a").replace(b'"a"', b'"\x01"'),
        event("a").replace(b'"a"', b'"\\ud83d"'),
        event("a").replace(b'"a"', b'"\xff"'),
        event("a").replace(b'"a"', b'"a","role":"tool"'),
        event("a").replace(b'"a"', b'"a\\"'),
        event("a").replace(b'"a"', b"null"),
        event("a").replace(b'"a"', b""),
        b"[DONE]",
        b"",
    ],
)
def test_one_event_unlike_the_sample_has_none(other: bytes) -> None:
    """It is left to the dialect."""
    assert Sample(event("a"), b"content", "a").text_of(other) is None


@pytest.mark.parametrize(
    ("sample", "text"),
    [
        (event("a\n"), "a\n"),
        (event("a", more={"content": "a"}), "a"),
        (event("a", more="\\"), "a"),
        (event("a"), "b"),
        (b'{"content":"a","content" :"a"}', "a"),
        (b'{"a":1}', "a"),
    ],
)
def test_a_sample_that_is_not_plain_is_like_nothing(sample: bytes, text: str) -> None:
    """Not even itself: where its text is cannot be said."""
    assert Sample(sample, b"content", text).text_of(sample) is None
    assert Sample(sample, b"content", text).text_of(b"") is None
