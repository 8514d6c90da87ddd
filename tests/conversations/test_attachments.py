"""Attachments are read from where they are, and their base64 is made while they are sent."""

from __future__ import annotations

import io
import json
import os
import pickle
import tracemalloc
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.conversations import Conversation, SyncConversation
from penstock.conversations.attachments import decode_data_url, encode_data_url
from penstock.dialects.openai_chat import OpenAIChat
from penstock.encoders import Body, encode_json
from penstock.errors import ConfigurationError, EncodeError, LimitExceededError
from penstock.interfaces import Target
from penstock.request import ChatRequest

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3
TARGET = Target(
    deployment="d",
    provider="p",
    model="m",
    base_url="https://api.example.com/v1",
    origin="https://api.example.com",
)


def message(*parts: Any) -> dict[str, Any]:
    """A user's message of `parts`."""
    return {"role": "user", "content": list(parts)}


WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20)
WEBM = b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm" + bytes(40)


def body_of(*messages: Any, buffer_size: int = 4096) -> Body:
    """The body of a chat completion with `messages`."""
    request = ChatRequest(model="m", messages=list(messages))
    return Body(OpenAIChat().encode(request, TARGET, dropped=[]).fields, buffer_size=buffer_size)


async def sent(body: Body) -> Any:
    """The messages that a pass over `body` sends."""
    return json.loads(b"".join([piece async for piece in body.open()]))["messages"]


SOURCES: dict[str, Callable[[Path], Any]] = {
    "path": lambda path: path,
    "text path": str,
    "file": lambda path: path.open("rb"),
    "bytes": lambda path: path.read_bytes(),
    "buffer": lambda path: io.BytesIO(path.read_bytes()),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [1, 2, 3, 1000, 100_000])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
async def test_an_image_is_sent_as_a_data_url(
    tmp_path: Path, source: Callable[[Path], Any], size: int
) -> None:
    """Whatever it is read from, in every pass, with its length told before."""
    path = tmp_path / "picture.png"
    path.write_bytes((PNG * (size // len(PNG) + 1))[:size])
    given = source(path)
    image = ps.ImageFile(given, media_type="image/png", detail="low")
    expected = {
        "url": f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}",
        "detail": "low",
    }
    body = body_of(message({"type": "text", "text": "Look"}, image))

    length = await body.length()

    for _ in range(2):
        pieces = [piece async for piece in body.open()]
        assert length == sum(map(len, pieces))
        (said,) = json.loads(b"".join(pieces))["messages"]
        assert {"type": "image_url", "image_url": expected} == said["content"][1]
    if hasattr(given, "close"):
        given.close()


@pytest.mark.asyncio
async def test_a_small_attachment_goes_in_one_write() -> None:
    """A body that fits the buffer is known whole before it is sent."""
    body = body_of(message(ps.ImageFile(PNG)))
    await body.prepare()

    assert body.small is not None


@pytest.mark.asyncio
async def test_each_kind_is_the_part_of_its_shape() -> None:
    """As the openai SDK's content parts have them; typed messages take them too."""
    wav = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20)
    pdf = b"%PDF-1.7\n" + bytes(20)
    parts = [
        ps.AudioFile(wav),
        ps.DocumentFile(pdf, filename="a.pdf"),
        ps.VideoFile(b"\x00\x00\x00\x18ftypmp42" + bytes(20)),
        ps.ImageFile.from_url("https://example.com/a.png"),
    ]

    (said,) = await sent(body_of(ps.UserMessage(parts)))

    audio, document, video, image = said["content"]
    assert {"data": b64encode(wav).decode(), "format": "wav"} == audio["input_audio"]
    assert {
        "file_data": f"data:application/pdf;base64,{b64encode(pdf).decode()}",
        "filename": "a.pdf",
    } == document["file"]
    assert video["video_url"]["url"].startswith("data:video/mp4;base64,AAAA")
    assert {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}} == image


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (PNG, "", "image/png"),
        (PNG, "wrong.gif", "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(20), "", "image/jpeg"),
        (b"GIF89a\x01\x00\x01\x00" + bytes(20), "", "image/gif"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(20), "", "image/webp"),
        (b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1" + bytes(20), "", "image/avif"),
        (b"BM\x3c\x00\x00\x00" + bytes(40), "", "image/bmp"),
        (b"<svg></svg>", "drawing.svg", "image/svg+xml"),
        (WAV, "", "audio/wav"),
        (b"ID3\x04" + bytes(40), "", "audio/mpeg"),
        (b"OggS\x00\x02" + bytes(22) + b"\x01\x1eOpusHead", "speech.ogg", "audio/ogg"),
        (WEBM, "", "audio/webm"),
        (WEBM, "", "video/webm"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(20), "", "video/mp4"),
        (b"%PDF-1.7\n", "", "application/pdf"),
        (b"a,b\n1,2\n", "figures.csv", "text/csv"),
    ],
)
def test_the_type_is_what_the_first_bytes_say(head: bytes, name: str, expected: str) -> None:
    """Else what the name says; a container of either is what the part is."""
    kinds = {"image": ps.ImageFile, "audio": ps.AudioFile, "video": ps.VideoFile}
    part = kinds.get(expected.partition("/")[0], ps.DocumentFile)

    assert expected == part(head, filename=name or None).media_type


@pytest.mark.parametrize("content", [b"hello", b"%PDF-1.7\n"])
def test_an_unknown_type_is_refused(content: bytes) -> None:
    """With what to do, before anything is sent."""
    with pytest.raises(ConfigurationError, match="pass media_type="):
        ps.ImageFile(content)
    assert "image/x-own" == ps.ImageFile(content, media_type="image/x-own").media_type


def test_what_is_another_kind_by_its_content_is_refused_whatever_its_name() -> None:
    """The name decides only where the content says nothing."""
    with pytest.raises(ConfigurationError, match="holds application/pdf, which goes in a Document"):
        ps.ImageFile(b"%PDF-1.7\n", filename="scan.png")
    with pytest.raises(ConfigurationError, match="is no image: it goes in a AudioFile"):
        ps.ImageFile(PNG, media_type="audio/wav")
    for junk in ("png", "image/png\r\nX: y", "", 5):
        with pytest.raises(ConfigurationError, match="media_type is one such as image/png"):
            ps.ImageFile(PNG, media_type=junk)  # type: ignore[arg-type]  # that is the point


def test_what_cannot_be_attached_is_refused(tmp_path: Path) -> None:
    """Each with its reason."""
    written = tmp_path / "written.png"
    written.write_bytes(PNG)
    closed = written.open("rb")
    closed.close()
    with written.open("ab") as appending, written.open(encoding="latin-1") as text:
        for source, why in (
            (tmp_path / "none.png", "No such file"),
            (tmp_path, "is no file"),
            ("a\0b", "embedded null"),  # the rest of it is Python's, by version
            ("https://example.com/a.png", r"an address goes in from_url\(\)"),
            (5, "seekable binary file"),
            (closed, "open for reading"),
            (appending, "open for reading"),
            (text, "seekable binary file"),
            (b"", "the attachment is empty"),
        ):
            with pytest.raises(ConfigurationError, match=why):
                ps.ImageFile(source)  # type: ignore[arg-type]  # that is the point
    for address in ("/etc/passwd", "file:///etc/passwd", None):
        with pytest.raises(ConfigurationError, match=r"a path goes in ImageFile\(path\)"):
            ps.ImageFile.from_url(address)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(LimitExceededError, match="max_size is 100"):
        ps.ImageFile(PNG, max_size=100)


def test_an_address_is_a_part_of_each_kind() -> None:
    """With the picture's detail; a sound's is vLLM's part, unless its bytes are in it."""
    picture = ps.ImageFile.from_url("HTTPS://example.com/a.png?key=secret", detail="low")
    assert "low" == picture.to_openai()["image_url"]["detail"]
    assert "secret" not in repr(picture)
    film = ps.VideoFile.from_url("s3://bucket/a.mp4")  # for Bedrock
    assert {"type": "video_url", "video_url": {"url": film.url}} == film.to_openai()
    sound = ps.AudioFile.from_url("https://example.com/a.mp3")
    assert {"type": "audio_url", "audio_url": {"url": sound.url}} == sound.to_openai()
    inside = ps.AudioFile.from_url("data:audio/mpeg;base64,AAAA").to_openai()
    assert {"data": "AAAA", "format": "mp3"} == inside["input_audio"]


def test_a_path_or_bytes_pickle_and_an_open_file_says_so(tmp_path: Path) -> None:
    """A call with them can go to another process, which reads the path there."""
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    for source in (path, PNG):
        again = pickle.loads(pickle.dumps(ps.ImageFile(source)))
        assert PNG == again.source.read(0, len(PNG))
    with path.open("rb") as file, pytest.raises(TypeError, match="does not pickle: give its path"):
        pickle.dumps(ps.ImageFile(file))


@pytest.mark.asyncio
async def test_a_dict_can_name_no_file(tmp_path: Path) -> None:
    """Only a typed part can: what a user of a service sends is never opened."""
    path = tmp_path / "secret"
    path.write_text("hunter2")
    part = {"type": "image_file", "path": str(path), "source": str(path)}

    (said,) = await sent(body_of(message(part)))

    assert [part] == said["content"]


@pytest.mark.asyncio
async def test_a_file_that_changes_is_an_error(tmp_path: Path) -> None:
    """It is never sent as something that it was not."""
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    image = ps.ImageFile(path)
    os.utime(path, ns=(1, 1))

    with pytest.raises(ConfigurationError, match=r"a\.png was changed"):
        await sent(body_of(message(image)))


@pytest.mark.asyncio
async def test_an_open_file_that_shrinks_is_an_error() -> None:
    """The error says how far it got."""
    file = io.BytesIO(PNG * 20)
    body = body_of(message(ps.ImageFile(file)))
    file.truncate(100)

    with pytest.raises(EncodeError, match="15520 bytes were there"):
        await sent(body)


@pytest.mark.asyncio
@pytest.mark.timeout(180)  # a thread for each block: on a busy machine it waits its turn
async def test_memory_is_the_buffers(tmp_path: Path) -> None:
    """A file of 8 MiB costs no more than one of 1 MiB."""
    peaks = []
    for size in (1 << 20, 8 << 20):
        path = tmp_path / f"{size}.png"
        path.write_bytes(PNG + bytes(size - len(PNG)))
        body = body_of(message(ps.ImageFile(path)))
        tracemalloc.start()
        try:
            sizes = [len(piece) async for piece in body.open()]
            peaks.append(tracemalloc.get_traced_memory()[1] - len(sizes) * 40)
        finally:
            tracemalloc.stop()
        assert sum(sizes) > size * 4 // 3

    assert peaks[1] < peaks[0] + 64 * 1024


def test_without_a_loop_it_is_read_at_once(tmp_path: Path) -> None:
    """The incremental encoder by itself takes them too."""
    path = tmp_path / "a.png"
    path.write_bytes(PNG)

    made = b"".join(encode_json(ps.ImageFile(path).to_openai(), buffer_size=64))

    url = json.loads(made)["image_url"]["url"]
    assert PNG == b64decode(url.removeprefix("data:image/png;base64,"))


@pytest.mark.asyncio
@pytest.mark.parametrize("name", [None, "chat.jsonl", "chat.db"])
async def test_a_conversation_keeps_it_inside(tmp_path: Path, name: str | None) -> None:
    """It is read once, when the message is appended."""
    path = tmp_path / "a.png"
    path.write_bytes(PNG * 100)
    async with Conversation.open(name and tmp_path / name) as kept:
        await kept.append(message(ps.ImageFile(path)))
        path.unlink()

        request = ChatRequest(model="m", messages=kept)
        body = Body(OpenAIChat().encode(request, TARGET, dropped=[]).fields, buffer_size=4096)
        (said,) = await sent(body)
        assert said == await kept.get(0)
        assert encode_data_url(PNG * 100) == said["content"][0]["image_url"]["url"]


def test_keeping_a_large_one_holds_a_block(tmp_path: Path) -> None:
    """Appending a file of 8 MiB costs a few blocks."""
    path = tmp_path / "a.png"
    path.write_bytes(PNG + bytes(8 << 20))
    for name in ("chat.jsonl", "chat.db"):
        with SyncConversation.open(tmp_path / name) as kept:
            kept.append({"role": "user", "content": "warm"})
            tracemalloc.start()
            kept.append(message(ps.ImageFile(path)))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 512 * 1024


@pytest.mark.parametrize("mime", [None, "", "image/gif", "application/x-a+b"])
def test_a_data_url_is_what_was_encoded(mime: str | None) -> None:
    """As in the seeds: the type as it stands, ``image/png`` by default."""
    decoded = decode_data_url(encode_data_url(PNG, mime))

    assert ("image/png" if mime is None else mime, PNG) == decoded


@pytest.mark.parametrize(
    "url",
    [
        *("https://example.com/a.png", "data:image/png,abc", "data:image/png;base64,@@", "data:"),
        *("", "data:a;base64,ZGF0YQ", "data:a;base64,Zh=="),
    ],
)
def test_what_is_no_base64_data_url_is_none(url: str) -> None:
    """As in the seeds."""
    assert decode_data_url(url) is None
