"""Images, documents and files of the OpenAI shape, as Anthropic's blocks."""

from __future__ import annotations

import tracemalloc
from base64 import b64encode
from typing import Any

import pytest
from tests.dialects.anthropic_messages.sending import sent, target, turns

from penstock.dialects.anthropic_messages import AnthropicMessages
from penstock.encoders import encode_json
from penstock.errors import EncodeError
from penstock.request import ChatRequest

MARK = {"type": "ephemeral"}
PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQ="
WORDS = b64encode("Grüße".encode()).decode()


def image(**source: str) -> dict[str, Any]:
    """An image block."""
    return {"type": "image", "source": source}


def document(title: str = "", **source: str) -> dict[str, Any]:
    """A document block."""
    titled = {"title": title} if title else {}
    return {"type": "document", "source": source, **titled}


def inline(media: str, data: str) -> dict[str, str]:
    """A source of base64."""
    return {"type": "base64", "media_type": media, "data": data}


def url(address: str, **more: Any) -> dict[str, Any]:
    """An image part."""
    return {"type": "image_url", "image_url": {"url": address, **more}}


PLAIN = {"type": "text", "media_type": "text/plain", "data": "Grüße"}
CASES: list[tuple[Any, Any]] = [
    (url("https://x.test/a.png"), image(type="url", url="https://x.test/a.png")),
    (url("https://x.test/a.png", detail="auto"), image(type="url", url="https://x.test/a.png")),
    (url(f"data:image/png;base64,{PNG}"), image(**inline("image/png", PNG))),
    (url(f"DATA:Image/PNG;charset=x;BASE64,{PNG}"), image(**inline("image/png", PNG))),
    (url(f"data:image/jpg;base64,{PNG}"), image(**inline("image/jpeg", PNG))),
    (url(f"data:application/pdf;base64,{PDF}"), document(**inline("application/pdf", PDF))),
    (url("data:image/svg+xml,%3Csvg%2F%3E"), image(**inline("image/svg+xml", "PHN2Zy8+"))),
    (url("data:,Gr%C3%BC%C3%9Fe"), document(**PLAIN)),
    (
        {"type": "image_url", "image_url": "https://x.test/a"},
        image(type="url", url="https://x.test/a"),
    ),
    (
        {**url(f"data:image/png;base64,{PNG}"), "cache_control": MARK},
        {**image(**inline("image/png", PNG)), "cache_control": MARK},
    ),
    (
        {
            "type": "file",
            "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a"},
        },
        document("a", **inline("application/pdf", PDF)),
    ),
    (
        {"type": "file", "file": {"file_data": f"data:text/csv;base64,{WORDS}", "filename": "a"}},
        document("a", **PLAIN),
    ),
    (
        {"type": "file", "file": {"file_data": f"data:image/png;base64,{PNG}", "filename": "a"}},
        image(**inline("image/png", PNG)),
    ),
    (
        {"type": "file", "file": {"file_id": "file_1"}},
        document(type="file", file_id="file_1"),
    ),
    (
        {"type": "document", "document": {"data": PDF, "media_type": "application/pdf"}},
        document(**inline("application/pdf", PDF)),
    ),
    (
        {"type": "document", "document": {"data": WORDS, "mediaType": "text/plain", "name": "n"}},
        document("n", **PLAIN),
    ),
    (
        {
            "type": "document",
            "document": {"data": "https://x.test/a.pdf"},
            "citations": {"enabled": True},
        },
        {**document(type="url", url="https://x.test/a.pdf"), "citations": {"enabled": True}},
    ),
    (
        document("t", type="url", url="https://x.test/a.pdf"),
        document("t", type="url", url="https://x.test/a.pdf"),
    ),
    (
        {"type": "search_result", "source": "s", "title": "t", "content": []},
        {"type": "search_result", "source": "s", "title": "t", "content": []},
    ),
]


@pytest.mark.parametrize(("part", "expected"), CASES)
def test_a_part_becomes_a_block(part: Any, expected: Any) -> None:
    """In a message, and in the result of a tool."""
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": [part]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t", "content": [part]},
    ]
    found = turns(messages)

    assert [expected] == found[0]["content"] == found[2]["content"][0]["content"]


def test_the_detail_of_an_image_is_lost() -> None:
    """Claude sees every image the same way."""
    found = sent([{"role": "user", "content": [url("https://x.test/a", detail="low")]}])

    assert ["messages[0].content[0].image_url.detail"] == found.dropped


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (url("data:image/png;base64"), "image_url.url"),
        (url("data:text/plain;base64,//79"), "image_url.url"),
        ({"type": "document", "document": 5}, "document"),
    ],
)
def test_what_is_no_data_is_named(part: Any, field: str) -> None:
    """With its path."""
    with pytest.raises(EncodeError) as caught:
        sent([{"role": "user", "content": [part]}])

    assert f"messages[0].content[0].{field}" == caught.value.param


def test_an_image_costs_one_buffer() -> None:
    """Its base64 is cut out of the ``data:`` URL while it is sent, never as a whole."""
    address = "data:image/png;base64," + "A" * (8 * 1024 * 1024)
    messages = [{"role": "user", "content": [url(address)]}]
    request = ChatRequest(model="m", messages=messages)
    tracemalloc.start()
    try:
        outgoing = AnthropicMessages().encode(request, target(), dropped=[])
        size = sum(map(len, encode_json(outgoing.fields)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert size > 8 * 1024 * 1024
    assert peak < 1024 * 1024
