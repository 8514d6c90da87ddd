"""Lines of other programs are checked to be messages, large ones a block at a time."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from penstock.conversations.checking import checked
from penstock.conversations.jsonl import JSONLStore
from penstock.errors import ConversationError

BASE64 = b64encode(bytes(range(256)) * 200)
GOOD = {
    "base64": BASE64,
    "words": b"a few words, " * 4_000,
    "other scripts": "\u65e5\u672c".encode() * 9_000,
    "signs": "\U0001f600\xe9 ".encode() * 6_000,
    "escapes": rb"\ud83d\ude00\u65e5\\\"\n" * 2_000,
    "backslashes": b"\\\\" * 30_000,
    "quotes": rb"a\"" * 20_000,
}
BAD = {
    "a control character": b"\x01",
    "no escape": rb"\x",
    "half an escape": rb"\u12g",
    "half a pair": rb"\ud83d",
    "a wrong pair": rb"\ud83d\u0041",
    "a quote": b'"',
}
HEAD, END = b'{"role":"user","content":[{"a":"', b'"},{"b":"b"}]}'


def cut(line: bytes, size: int) -> Iterator[bytes]:
    """A line in pieces."""
    return (line[start : start + size] for start in range(0, len(line), size))


@pytest.mark.parametrize("size", [4_099, 32_768, 1 << 20])
@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_large_message_is_one(text: bytes, size: int) -> None:
    """Whatever is in its texts, and wherever its pieces end; one text says nothing of the next."""
    line = HEAD + text + END.replace(b'"b"}', b'"' + text + b'"}')

    assert json.loads(line)
    assert (len(line), False) == checked(cut(line, size))


@pytest.mark.parametrize("size", [4_099, 32_768, 1 << 20])
@pytest.mark.parametrize("fault", BAD.values(), ids=BAD)
@pytest.mark.parametrize("name", ["base64", "other scripts", "escapes"])
def test_a_fault_in_a_large_message_is_found(name: str, fault: bytes, size: int) -> None:
    """In the middle and at the end of a text."""
    text = GOOD[name]
    for line in (HEAD + text + fault + text + END, HEAD + text + fault + END):
        with pytest.raises(msgspec.MsgspecError):
            msgspec.json.decode(line)
        with pytest.raises(msgspec.MsgspecError):
            checked(cut(line, size))


def test_a_large_line_without_a_role_is_no_message() -> None:
    """As a small one is none."""
    for line in (b'{"content":"%b"}' % BASE64, b'"%b"' % BASE64, b'{"role":"a"' + BASE64):
        with pytest.raises(msgspec.MsgspecError):
            checked(cut(line, 32_768))


def test_lines_of_others_are_checked_in_the_memory_of_a_block(tmp_path: Path) -> None:
    """Also one with an image inside, as it is after a writer was killed."""
    path = tmp_path / "chat.jsonl"
    url = f"data:image/png;base64,{BASE64.decode() * 60}"
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    path.write_text("".join(json.dumps(each) + "\n" for each in [image, {"role": "user"}]))
    with closing(JSONLStore(path)) as kept:
        tracemalloc.start()
        mark = kept.mark()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        data = path.read_bytes()

    assert peak < 512 * 1024 < len(data) == mark.at

    path.write_bytes(data.replace(b"base64,", b"base64,\\x"))
    with closing(JSONLStore(path)) as kept, pytest.raises(ConversationError) as refused:
        kept.mark()
    assert "damaged" == refused.value.code
