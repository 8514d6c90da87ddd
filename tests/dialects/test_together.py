"""From a wire's bytes to chunks: what is read together, and what byte by byte, say the same."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from penstock.chunks import Chunk
from penstock.dialects import dialect
from penstock.interfaces import Ending
from penstock.limits import Limits
from penstock.providers.source import decoder_for
from penstock.request import ChatRequest
from penstock.simulator.wires.event_stream import message

SSE, LINES = "text/event-stream", "application/x-ndjson"
AWS = "application/vnd.amazon.eventstream"
ODD = [
    "",
    'say "a"',
    "\\",
    "\n",
    "é",
    "\N{GRINNING FACE}",
    '","',
    '"},"p":"',
    "null",
    "\x00",
    '\\"',
]
TEXTS = [*"abcdefghijkl", *ODD, *"mnopqrstuv", *[each * 2 for each in ODD], *"wxyz" * 20]


def tight(value: object) -> bytes:
    """Return `value` as most servers write it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def openai(text: str, at: int) -> bytes:
    """An event of OpenAI's, in a second of its own now and then."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return tight({"id": "c", "model": "m", "created": 1 + at // 40, "choices": [choice]})


def watsonx(text: str, at: int) -> bytes:
    """One with a date of its own."""
    return openai(text, 0)[:-1] + b',"created_at":"2026-01-01T00:00:00.%03dZ"}' % at


def anthropic(text: str, _: int) -> bytes:
    """A delta of Anthropic's."""
    delta = {"type": "text_delta", "text": text}
    return tight({"type": "content_block_delta", "index": 0, "delta": delta})


def gemini(text: str, at: int) -> bytes:
    """An event of Gemini's, which counts in each."""
    counts = {"promptTokenCount": 3, "candidatesTokenCount": at, "totalTokenCount": at + 3}
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    said = {"usageMetadata": counts, "modelVersion": "m", "responseId": "r"}
    return tight({"candidates": [candidate], **said})


def ollama(text: str, at: int) -> bytes:
    """A line of Ollama's, which has a date."""
    message = {"role": "assistant", "content": text}
    date = f"2026-01-01T00:00:00.{at}Z"
    return tight({"model": "m", "created_at": date, "message": message, "done": False})


def cohere(text: str, _: int) -> bytes:
    """A delta of Cohere's."""
    delta = {"message": {"content": {"text": text}}}
    return tight({"type": "content-delta", "index": 0, "delta": delta})


def responses(text: str, at: int) -> bytes:
    """A delta of OpenAI's Responses, which are numbered and padded."""
    place = {"item_id": "i", "output_index": 0, "content_index": 0, "delta": text, "logprobs": []}
    said = {"type": "response.output_text.delta", "sequence_number": at + 3, **place}
    return tight({**said, "obfuscation": "abcdefghij"[: at % 11]})


def converse(text: str, at: int) -> bytes:
    """A delta of Converse, which is padded."""
    pad = "abcdefghij"[: at % 11]
    return tight({"delta": {"text": text}, "contentBlockIndex": 0, "p": pad})


def invoke(text: str, at: int) -> bytes:
    """A part of InvokeModel, which has Anthropic's events in base64."""
    coded = b64encode(anthropic(text, at)).decode()
    return tight({"bytes": coded, "p": "abcdefghij"[: at % 11]})


STARTED = tight({"type": "message_start", "message": {"id": "m", "role": "assistant"}})
OPENED = tight(
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
)
ITEM = {"type": "message", "id": "i", "role": "assistant", "content": []}
PART = {"type": "output_text", "text": "", "annotations": []}
CREATED = [
    tight({"type": "response.created", "sequence_number": 0, "response": {"id": "r"}}),
    tight({"type": "response.output_item.added", "output_index": 0, "item": ITEM}),
    tight(
        {
            "type": "response.content_part.added",
            "item_id": "i",
            "output_index": 0,
            "content_index": 0,
            "part": PART,
        }
    ),
]
COHERE = [
    tight({"type": "message-start", "id": "m", "delta": {"message": {"role": "assistant"}}}),
    tight(
        {
            "type": "content-start",
            "index": 0,
            "delta": {"message": {"content": {"type": "text", "text": ""}}},
        }
    ),
]


def plain(data: bytes, _: int) -> bytes:
    """An event without a name."""
    return b"data: " + data + b"\n\n"


def returns(data: bytes, _: int) -> bytes:
    """One whose lines end as Google's do."""
    return b"data: " + data + b"\r\n\r\n"


def dense(data: bytes, _: int) -> bytes:
    """One without a space."""
    return b"data:" + data + b"\n\n"


def named(data: bytes, _: int) -> bytes:
    """One with its type as its name."""
    return b"event: %b\ndata: %b\n\n" % (json.loads(data).get("type", "message").encode(), data)


def numbered(data: bytes, at: int) -> bytes:
    """One with a number and a name, as watsonx has them."""
    return b"id: %d\nevent: message\ndata: %b\n\n" % (at, data)


def served(data: bytes, at: int) -> bytes:
    """One of sse-starlette, with a comment now and then."""
    ping = b": ping - 2026\r\n\r\n" if at % 50 == 49 else b""
    return ping + b"id: %d\r\nevent: message\r\ndata: %b\r\n\r\n" % (at, data)


def commented(data: bytes, at: int) -> bytes:
    """One of a router that says now and then that it lives."""
    return (b": PROCESSING\n\n" if at % 30 == 29 else b"") + plain(data, at)


def line(data: bytes, _: int) -> bytes:
    """A line."""
    return data + b"\n"


def framed(kind: str) -> Callable[[bytes, int], bytes]:
    """Return what makes messages of AWS of a kind."""
    headers = {":event-type": kind, ":message-type": "event"}
    return lambda data, _: message(headers, data)


Make = Callable[[str, int], bytes]
ROADS: dict[str, tuple[str, str, Make, Callable[[bytes, int], bytes], list[bytes]]] = {
    "openai": ("openai_chat", SSE, openai, plain, []),
    "openai over CRLF": ("openai_chat", SSE, openai, returns, []),
    "openai without spaces": ("openai_chat", SSE, openai, dense, []),
    "openai behind a router": ("openai_chat", SSE, openai, commented, []),
    "openai in lines": ("openai_chat", LINES, openai, line, []),
    "openai of sse-starlette": ("openai_chat", SSE, openai, served, []),
    "mistral": ("mistral", SSE, openai, plain, []),
    "watsonx": ("watsonx", SSE, watsonx, numbered, []),
    "anthropic": ("anthropic_messages", SSE, anthropic, named, [STARTED, OPENED]),
    "gemini": ("gemini", SSE, gemini, returns, []),
    "ollama": ("ollama", LINES, ollama, line, []),
    "cohere": ("cohere", SSE, cohere, named, COHERE),
    "responses": ("openai_responses", SSE, responses, named, CREATED),
    "converse": ("bedrock_converse", AWS, converse, framed("contentBlockDelta"), []),
    "invoke": (
        "bedrock_invoke",
        AWS,
        invoke,
        framed("chunk"),
        [tight({"bytes": b64encode(each).decode()}) for each in (STARTED, OPENED)],
    ),
}


def pieces(wire: bytes, places: list[int]) -> Iterator[bytes]:
    """Return `wire` cut at those places."""
    for start, end in zip([0, *places], [*places, len(wire)], strict=True):
        yield wire[start:end]


@pytest.mark.parametrize("name", ROADS)
def test_no_cut_of_the_bytes_changes_the_chunks(name: str) -> None:
    """As many as a read may bring, and texts among them that look like JSON or like lines."""
    use, content_type, make, frame, first = ROADS[name]
    events = [*first, *(make(text, at) for at, text in enumerate(TEXTS))]
    wire = b"".join(frame(event, at) for at, event in enumerate(events))

    def read(places: list[int]) -> tuple[list[Chunk], int]:
        talk = dialect(use)
        request = ChatRequest(model="m", messages="hi", stream=True)
        decoder = decoder_for(talk.framing(content_type), Limits())
        answer = talk.answer(request, content_type, Limits(), origin="o")
        found: list[Chunk] = []
        for piece in pieces(wire, places):
            frames: Any = decoder.decode(piece)  # Any: each decoder has its own
            if frames:
                answer.feed(frames, found)
        return found, decoder.ignored

    alone = read([*range(1, len(wire))])

    assert "".join(TEXTS) == "".join(each.text for each in alone[0])
    chance = Random(name)
    for count in (0, 1, 1, 2, 3, 5, 8, 13, 21, 34):
        assert alone == read(sorted(chance.sample(range(len(wire)), count)))


def test_what_follows_the_end_is_not_read() -> None:
    """Not even what is like all before it, in the same read."""
    talk = dialect("openai_chat")
    answer = talk.answer(ChatRequest(model="m", messages="hi"), SSE, Limits(), origin="o")
    found: list[Chunk] = []
    events = [openai("a", 0)] * 40
    answer.feed([*events, b"[DONE]", *events], found)
    answer.feed(events, found)
    answer.finish(Ending(clean=True), found)

    assert "a" * 40 == "".join(each.text for each in found)
