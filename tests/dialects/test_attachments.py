"""Attachments through every dialect: each in its own shape, read while it is sent."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.dialects.saying import target_at

import penstock as ps
from penstock.dialects import DIALECTS, dialect
from penstock.encoders import Body
from penstock.errors import EncodeError, UnsupportedFeatureError
from penstock.request import ChatRequest

HEADS = {
    "image": b"\x89PNG\r\n\x1a\n",
    "audio": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "document": b"%PDF-1.7\n",
    "video": b"\x00\x00\x00\x18ftypmp42",
    "text": "Größe: 日本語\n".encode(),
}
MAKERS: dict[str, Callable[[Path], Any]] = {
    "image": ps.ImageFile,
    "audio": ps.AudioFile,
    "document": ps.DocumentFile,
    "video": ps.VideoFile,
    "text": lambda path: ps.DocumentFile(path, media_type="text/plain"),
}
LOST = "dropped"

# Where the base64 stands in the first message, or turn; "~" before it is behind a data: URL's head.
_OPENAI = {
    "image": "~content.0.image_url.url",
    "audio": "content.0.input_audio.data",
    "document": "~content.0.file.file_data",
    "video": "~content.0.video_url.url",
    "text": "~content.0.file.file_data",
}
_ANTHROPIC = {
    "image": "content.0.source.data",
    "audio": LOST,
    "document": "content.0.source.data",
    "video": LOST,
    "text": "=content.0.source.data",
}
WHERE: dict[str, dict[str, str]] = {
    "openai_chat": _OPENAI,
    "watsonx": _OPENAI,
    "openai_responses": {
        "image": "~content.0.image_url",
        "audio": "content.0.input_audio.data",
        "document": "~content.0.file_data",
        "video": LOST,
        "text": "~content.0.file_data",
    },
    "anthropic_messages": _ANTHROPIC,
    "bedrock_invoke": _ANTHROPIC,
    "bedrock_converse": {
        "image": "content.0.image.source.bytes",
        "audio": "content.0.audio.source.bytes",
        "document": "content.0.document.source.bytes",
        "video": "content.0.video.source.bytes",
        "text": "content.0.document.source.bytes",
    },
    "gemini": dict.fromkeys(HEADS, "parts.0.inlineData.data"),
    "mistral": {
        "image": "~content.0.image_url.url",
        "audio": "content.0.input_audio",
        "document": "~content.0.document_url",
        "video": LOST,
        "text": "~content.0.document_url",
    },
    "cohere": {
        "image": "~content.0.image_url.url",
        "audio": LOST,
        "document": LOST,
        "video": LOST,
        "text": LOST,
    },
    "ollama": {
        "image": "images.0",
        "audio": LOST,
        "document": LOST,
        "video": LOST,
        "text": LOST,
    },
}
"""For each dialect. "=" is the text itself; `LOST` is what it has no words for."""

NAMES = {"document": "a.pdf", "text": "a.txt", "image": "a.png", "audio": "a.wav", "video": "a.mp4"}
CASES = [(name, kind) for name in DIALECTS for kind in HEADS]
SAID = [(name, kind) for name, kind in CASES if WHERE[name][kind] != LOST]
each_said = pytest.mark.parametrize(("name", "kind"), SAID)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Callable[[str, int], Path]]:
    """A function that makes a file of a kind and size."""

    def made(kind: str, size: int) -> Path:
        path = tmp_path / NAMES[kind]
        head = HEADS[kind]
        fill = head if kind == "text" else head + bytes(range(256))
        path.write_bytes((head + fill * (size // len(fill) + 1))[:size])
        return path

    return made


def body_of(name: str, part: Any, *, dropped: list[str], strict: bool = False) -> Body:
    """What the dialect `name` makes of a message with `part`."""
    message = {"role": "user", "content": [part, {"type": "text", "text": "What is it?"}]}
    request = ChatRequest(model="m", messages=[message], strict=strict)
    outgoing = dialect(name).encode(request, target_at("https://api.example.com"), dropped=dropped)
    return Body(outgoing.fields, buffer_size=16 * 1024)


def at(value: Any, path: str) -> str:
    """What stands at `path` in a message."""
    for step in path.split("."):
        value = value[int(step) if step.isdigit() else step]
    assert isinstance(value, str)
    return value


@pytest.mark.asyncio
@each_said
@pytest.mark.parametrize("size", [100, 50_000])
async def test_the_bytes_arrive_in_the_vendors_shape(
    name: str, kind: str, size: int, file: Callable[[str, int], Path]
) -> None:
    """Small and large; nothing is dropped."""
    path = file(kind, size - size % len(HEADS["text"]))
    dropped: list[str] = []
    body = body_of(name, MAKERS[kind](path), dropped=dropped)

    sent = json.loads(b"".join([piece async for piece in body.open()]))

    (message,) = sent.get("messages") or sent.get("contents") or sent["input"]
    where = WHERE[name][kind]
    found = at(message, where.lstrip("~="))
    if where[0] == "=":
        assert path.read_bytes().decode() == found
    else:
        head, comma, data = found.rpartition(",")
        assert (where[0] == "~") == head.startswith("data:") == bool(comma)
        assert path.read_bytes() == b64decode(data, validate=True)
    assert [] == dropped


@pytest.mark.parametrize(("name", "kind"), [case for case in CASES if case not in SAID])
def test_what_a_dialect_has_no_words_for_is_reported(
    name: str, kind: str, file: Callable[[str, int], Path]
) -> None:
    """And refused of a strict request."""
    part = MAKERS[kind](file(kind, 100))
    dropped: list[str] = []
    body_of(name, part, dropped=dropped)

    assert ["messages[0].content[0]"] == dropped
    with pytest.raises(UnsupportedFeatureError):
        body_of(name, part, dropped=[], strict=True)


@pytest.mark.asyncio
@each_said
async def test_memory_is_the_buffers(
    name: str, kind: str, file: Callable[[str, int], Path]
) -> None:
    """A file of 2 MiB costs no more than one of a quarter MiB."""
    peaks = []
    for size in (1 << 18, 2 << 20):
        body = body_of(name, MAKERS[kind](file(kind, size - size % len(HEADS["text"]))), dropped=[])
        tracemalloc.start()
        sent = 0
        async for piece in body.open():
            sent += len(piece)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert sent > size

    assert peaks[1] < peaks[0] + 32 * 1024
    assert peaks[1] < 256 * 1024


@pytest.mark.asyncio
async def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Where it would be sent as text."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xff" * 10_000)
    body = body_of("anthropic_messages", MAKERS["text"](path), dropped=[])

    with pytest.raises(EncodeError, match="no text in UTF-8"):
        async for _ in body.open():
            pass
