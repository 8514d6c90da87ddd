"""A conversation can refer to files: lines name no paths, and a changed file is an error."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.conversations import Conversation, SyncConversation
from penstock.dialects import dialect
from penstock.encoders import Body
from penstock.errors import ConfigurationError, ConversationError, EncodeError
from penstock.fields import Lines, Raw
from penstock.interfaces import Target
from penstock.request import ChatRequest

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300
URL = f"data:image/png;base64,{b64encode(PNG).decode()}"
STORES = [None, "chat.jsonl", "chat.db"]
everywhere = pytest.mark.parametrize("name", STORES)
TARGET = Target(
    deployment="d",
    provider="p",
    model="m",
    base_url="https://api.example.com/v1",
    origin="https://api.example.com",
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A file of 75 KiB."""
    path = tmp_path / "secret-name.png"
    path.write_bytes(PNG)
    return path


def asking(picture: Path, text: str = "What is it?") -> dict[str, Any]:
    """A message that refers to a file."""
    image = ps.ImageFile(picture, keep="reference", detail="low", filename="a.png")
    return {"role": "user", "content": [{"type": "text", "text": text}, image]}


def opened(tmp_path: Path, name: str | None) -> SyncConversation:
    """A conversation of a kind."""
    return SyncConversation.open(name and tmp_path / name)


def meet(picture: Path, fate: str) -> None:
    """Change a file."""
    if fate == "gone":
        picture.unlink()
    else:
        picture.write_bytes(PNG[::-1] if fate == "edited" else PNG + b"more")


async def sent(messages: Any, name: str = "openai_chat") -> Any:
    """The body that a request with `messages` has."""
    request = ChatRequest(model="m", messages=messages)
    body = Body(dialect(name).encode(request, TARGET, dropped=[]).fields, buffer_size=4096)
    return json.loads(b"".join([piece async for piece in body.open()]))


@everywhere
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_line_has_the_digest_and_no_path(
    tmp_path: Path, picture: Path, name: str | None, size: int
) -> None:
    """Beside small messages or in a large one; iterating gives the typed part again."""
    with opened(tmp_path, name) as kept:
        kept.append({"role": "user", "content": "before"})
        kept.append(asking(picture, "x" * size))
        kept.append({"role": "user", "content": "after"})

        lines = b"".join(
            block.data if isinstance(block, Lines) else b"".join(block.pieces())
            for block in kept.kept()
        )
        assert b"secret" not in lines
        assert len(lines) < size + 600
        said = kept[1]
        assert ["role", "content"] == list(said)
        assert isinstance(said["content"][1], ps.ImageFile)
        expected = {"type": "image_url", "image_url": {"url": URL, "detail": "low"}}
        assert expected == _said(said["content"][1])
        assert ["before", said["content"][0], "after"] == [
            each["content"] if isinstance(each["content"], str) else each["content"][0]
            for each in kept
        ]
        assert said["content"][0] == next(iter(kept.last(2)))["content"][0]
        assert 765 < kept.tokens() - size // 4


def _said(part: Any) -> Any:
    from penstock.encoders import encode_json

    return json.loads(b"".join(encode_json(part.to_openai())))


@pytest.mark.asyncio
@everywhere
@pytest.mark.parametrize("size", [10, 100_000])
async def test_it_is_sent_whole(tmp_path: Path, picture: Path, name: str | None, size: int) -> None:
    """In every dialect, in each pass, from a window, and from a fork."""
    with opened(tmp_path, name) as sync:
        kept = Conversation(sync)
        await kept.extend([{"role": "user", "content": "before"}, asking(picture, "x" * size)])
        await kept.append({"role": "user", "content": "after"})
        fork = await kept.fork(2)
        os.utime(picture)  # its bytes are what they were

        for messages in (kept, fork, await kept.last(2), sync):
            said = (await sent(messages))["messages"]
            (found,) = [each["content"] for each in said if not isinstance(each["content"], str)]
            assert {"url": URL, "detail": "low"} == found[1]["image_url"]
        (turn,) = (await sent(kept, "anthropic_messages"))["messages"]
        assert URL.endswith(turn["content"][2]["source"]["data"])
        await fork.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["chat.jsonl", "chat.db"])
async def test_it_outlives_its_process(tmp_path: Path, picture: Path, name: str) -> None:
    """Opened again, the conversation still knows where the file is."""
    with opened(tmp_path, name) as kept:
        kept.append(asking(picture))

    async with Conversation.open(tmp_path / name) as again:
        assert URL == (await sent(again))["messages"][0]["content"][1]["image_url"]["url"]


@pytest.mark.asyncio
@everywhere
@pytest.mark.parametrize("fate", ["edited", "grown", "gone"])
async def test_a_changed_file_is_an_error(
    tmp_path: Path, picture: Path, name: str | None, fate: str
) -> None:
    """Never a silent difference; the error names the file and not its folder."""
    with opened(tmp_path, name) as kept:
        kept.append(asking(picture))
        meet(picture, fate)

        for dialect_name in ("openai_chat", "gemini"):
            with pytest.raises(ConversationError, match=r"secret-name\.png") as caught:
                await sent(Conversation(kept), dialect_name)
            assert "changed" == caught.value.code
            assert str(tmp_path) not in str(caught.value)
        with pytest.raises(ConversationError):
            kept.export(tmp_path / "out.jsonl")
        assert 1 == len(list(kept))  # what is there can still be looked at


def test_a_file_whose_time_was_set_back_is_looked_at(tmp_path: Path, picture: Path) -> None:
    """As ``cp -p`` does; one that was touched and is the same is sent."""
    long_ago = 1_500_000_000_000_000_000
    os.utime(picture, ns=(long_ago, long_ago))
    with opened(tmp_path, "chat.db") as kept:
        kept.append(asking(picture))
        os.utime(picture)
        assert 1 == kept.export(tmp_path / "out.jsonl")
        picture.write_bytes(PNG[:-1] + b"y")
        os.utime(picture, ns=(long_ago, long_ago))
        with pytest.raises(ConversationError, match="not what it was"):
            kept.export(tmp_path / "other.jsonl")


@everywhere
def test_an_export_needs_nothing_beside_it(tmp_path: Path, picture: Path, name: str | None) -> None:
    """The file is inside, as any reader of the OpenAI shape knows it."""
    with opened(tmp_path, name) as kept:
        kept.extend([{"role": "user", "content": "before"}, asking(picture), asking(picture)])

        assert 3 == kept.export(tmp_path / "out.jsonl")

    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert {"url": URL, "detail": "low"} == lines[2]["content"][1]["image_url"]
    with SyncConversation.open() as other:
        other.load(tmp_path / "out.jsonl")
        assert lines == list(other)


@everywhere
def test_nobody_else_can_name_a_file(tmp_path: Path, picture: Path, name: str | None) -> None:
    """A message that says itself that it refers to one is refused, from wherever it comes."""
    with opened(tmp_path, name) as kept, SyncConversation.open() as other:
        kept.append(asking(picture))
        (line,) = b"".join(block.data for block in kept.kept()).splitlines()  # type: ignore[union-attr]
        forged = json.loads(line)
        (tmp_path / "forged.jsonl").write_bytes(line + b"\n")

        for message in (forged, Raw(line)):
            with pytest.raises(EncodeError, match="typed parts"):
                other.append(message)
        with pytest.raises(EncodeError, match="line 1"):
            other.load(tmp_path / "forged.jsonl")
    with (
        SyncConversation.open(tmp_path / "forged.jsonl") as found,
        pytest.raises(ConversationError, match="was not given"),
    ):
        found.export(tmp_path / "out.jsonl")


def test_notes_of_two_writers_are_all_kept(tmp_path: Path, picture: Path) -> None:
    """Neither forgets where the other's file is."""
    second = tmp_path / "second.png"
    second.write_bytes(PNG[:-1])
    with opened(tmp_path, "chat.db") as one, opened(tmp_path, "chat.db") as other:
        one.metadata()
        other.append(asking(second))
        one.append(asking(picture))

        assert 2 == one.export(tmp_path / "out.jsonl")


def test_a_redacted_message_refers_to_nothing(tmp_path: Path, picture: Path) -> None:
    """And a message that came out of one conversation can go into another."""
    with opened(tmp_path, "chat.jsonl") as kept, SyncConversation.open() as other:
        kept.append(asking(picture))
        other.append(kept[0])
        kept.redact(0)

        assert [{"role": "user", "content": "[redacted]"}] == list(kept)
        assert 1 == other.export(tmp_path / "out.jsonl")
        assert "data:image" in (tmp_path / "out.jsonl").read_text()
        picture.write_bytes(PNG[::-1])
        with pytest.raises(ConversationError, match="is not what it was"):
            kept.append(other[0])


@everywhere
def test_where_a_file_is_is_forgotten_with_the_last_message_that_refers_to_it(
    tmp_path: Path, picture: Path, name: str | None
) -> None:
    """Redacted or deleted; an earlier one still finds it."""
    with opened(tmp_path, name) as kept:
        kept.extend([asking(picture), {"role": "user", "content": "hi"}, asking(picture)])
        kept.redact(2)
        assert str(picture) in str(kept.store.metadata())
        assert 3 == kept.export(tmp_path / "out.jsonl")
        kept.delete(0)
        assert str(picture) not in str(kept.store.metadata())


@pytest.mark.asyncio
async def test_a_summary_is_told_of_the_part(tmp_path: Path, picture: Path) -> None:
    """As a typed part, which a model can be sent."""
    async with Conversation.open(tmp_path / "chat.db") as kept:
        await kept.extend([asking(picture), {"role": "user", "content": "go on"}])

        async def summarise(so_far: str, messages: Sequence[Any]) -> str:
            assert isinstance(messages[0]["content"][1], ps.ImageFile)
            return so_far + "a picture"

        assert 2 == len(await kept.compact(summarise, keep=1))


@pytest.mark.asyncio
async def test_the_prompts_guard_takes_it_for_what_it_is(picture: Path) -> None:
    """The same turn is the same, with a file in it."""
    async with Conversation.open() as kept, ps.Client() as client:
        await kept.append(asking(picture))
        await kept.append({"role": "user", "content": "hello"})
        guard = ps.PromptCacheGuard()
        for _ in range(2):
            reply = await client.chat("sim/echo", kept, cache_guard=guard)
            assert reply.prompt_changed_at is None


@pytest.mark.parametrize("source", [PNG, "file"])
def test_only_a_path_can_be_referred_to(picture: Path, source: Any) -> None:
    """The error says so."""
    with picture.open("rb") as file, pytest.raises(ConfigurationError, match="of a path"):
        ps.ImageFile(file if source == "file" else source, keep="reference")
    with pytest.raises(ConfigurationError, match="keep is"):
        ps.ImageFile(picture, keep="outside")  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("kind", [ps.AudioFile, ps.DocumentFile, ps.VideoFile])
def test_each_kind_is_itself_again(tmp_path: Path, kind: Any) -> None:
    """With its type and name."""
    path = tmp_path / "a.bin"
    path.write_bytes(PNG)
    media = "application/pdf" if kind is ps.DocumentFile else f"{kind.__name__[:5].lower()}/x"
    part = kind(path, media_type=media, filename="b.bin", keep="reference")
    with SyncConversation.open() as kept:
        kept.append({"role": "user", "content": [part]})
        (found,) = kept[0]["content"]

    assert kind is type(found)
    assert (media, "b.bin", len(PNG)) == (found.media_type, found.filename, found.size)
    assert _said(part) == _said(found)
    os.utime(path, ns=(1, 1))
    assert _said(kind(path, media_type=media, filename="b.bin")) == _said(found)


@pytest.mark.parametrize(
    "line",
    [
        b'{"role":"user","con\x00"{xy',
        b'{"role":"user","content":"\xff"}',
        b'["role","user"]',
        b'{"role":7}',
        b'{"role":"user","content":"' + b"x" * 40_000 + b'",}',
        b'\t{"role":"user","content":[],"penstock_files":[{"part":9}]}',
        b'\t{"role":"user","content":[],"penstock_files":7}',
        b'\t{"role":"user","content":[],"penstock_files":[{"part":9,"kind":"image","sha256":"a",'
        b'"size":1,"media_type":"image/png","filename":""}]}',
    ],
)
def test_a_line_that_another_program_broke_is_told(tmp_path: Path, line: bytes) -> None:
    """Whatever is read, and not with the error of a parser; it can be taken out."""
    path = tmp_path / "chat.jsonl"
    with SyncConversation.open(path) as kept:
        kept.extend([{"role": "user", "content": "x" * len(line)}, {"role": "user", "content": ""}])
    with path.open("r+b") as file:
        length = len(file.readline())
        file.seek(0)
        file.write(line.ljust(length - 1))
    reads: list[Callable[[SyncConversation], object]] = [
        list,
        lambda kept: list(reversed(kept)),
        lambda kept: kept[0],
        lambda kept: kept.tokens(),
        lambda kept: kept.within_tokens(10),
        lambda kept: kept.compact(lambda *_: "summary", keep=1),
    ]
    for read in reads:
        with (
            SyncConversation.open(path) as kept,
            pytest.raises(ConversationError, match="another program") as caught,
        ):
            read(kept)
        assert "changed" == caught.value.code
    with SyncConversation.open(path) as kept:
        kept.delete(0)
        assert [{"role": "user", "content": ""}] == list(kept)


@pytest.mark.parametrize("name", STORES[1:])
def test_what_is_noted_is_looked_at_once_a_pass(
    tmp_path: Path, picture: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not for each message: a pass would cost the square of how many refer to files."""
    with opened(tmp_path, name) as kept:
        kept.extend(asking(picture, f"{number}") for number in range(40))
        store, looked = type(kept.store), []
        metadata = store.metadata
        monkeypatch.setattr(store, "metadata", lambda self: looked.append(1) or metadata(self))
        passes: list[Callable[[], object]] = [
            lambda: list(kept),
            lambda: list(reversed(kept)),
            lambda: list(kept.last(40)),
            lambda: kept.tokens(),
            lambda: kept.within_tokens(1_000_000),
            lambda: kept.export(tmp_path / "out.jsonl"),
        ]
        counts = []
        for each in passes:
            looked.clear()
            each()
            counts.append(len(looked))

    assert max(counts) < 10, counts
