"""What a server's result says to a model, and the names that its tools get."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_types import CallToolResult

from penstock.agents import MCPServer
from penstock.agents.mcp.content import result_of
from penstock.agents.mcp.server import has_server, server_of
from penstock.agents.mcp.stdio import Ring
from penstock.agents.toolbox import _valid


def text(words: str) -> dict[str, str]:
    """A part of text."""
    return {"type": "text", "text": words}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([text("a"), text("b")], "a\nb"),
        ([], ""),
        (
            [text("a"), {"type": "image", "data": "eA==", "mimeType": "image/png"}],
            [
                text("a"),
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}},
            ],
        ),
        (
            [{"type": "audio", "data": "eA==", "mimeType": "audio/wav"}],
            [{"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}}],
        ),
        (
            [{"type": "audio", "data": "eA==", "mimeType": "audio/odd"}],
            "[content of type audio: audio/odd, not shown]",
        ),
        (
            [{"type": "resource_link", "name": "n", "uri": "file:///n", "description": "d"}],
            "n file:///n d",
        ),
        ([{"type": "resource", "resource": {"uri": "file:///n", "text": "inside"}}], "inside"),
        (
            [{"type": "resource", "resource": {"uri": "file:///n", "blob": "eA=="}}],
            "[a file: file:///n, not shown]",
        ),
    ],
)
def test_content_is_said_in_the_openai_shape(content: list[Any], expected: object) -> None:
    """Text as text, images and audio as parts, the rest by name."""
    answer = CallToolResult.model_validate({"content": content})

    assert expected == result_of(answer).content


def test_structured_content_is_said_where_there_is_no_other() -> None:
    """As JSON; servers say it as text as well."""
    both = {"content": [text("a")], "structuredContent": {"x": 1}}

    assert "a" == result_of(CallToolResult.model_validate(both)).content
    assert '{"x":1}' == result_of(CallToolResult.model_validate(both | {"content": []})).content


@pytest.mark.parametrize(
    ("name", "expected"),
    [("add", "add"), ("a.b/c d", "a_b_c_d"), ("", "tool"), ("x" * 65, "x" * 55 + "_")],
)
def test_names_are_valid(name: str, expected: str) -> None:
    """Letters, digits, underscores and hyphens, 64 at most."""
    assert _valid(name).startswith(expected)
    assert len(_valid(name)) == (64 if len(name) > 64 else len(expected))
    assert _valid("x" * 65) != _valid("x" * 66)


def test_a_server_is_known_by_its_shape() -> None:
    """A name and a URL; a function or a dict is none."""

    class Tool:
        name, mcp_url, headers = "bash", "http://127.0.0.1:8000/mcp", {"x-key": "1"}

    found = server_of(Tool())

    assert ("bash", Tool.mcp_url, Tool.headers) == (found.name, found.url, dict(found.headers))
    assert [True, True, False, False] == [
        has_server(each)
        for each in (Tool(), "https://x/mcp", len, {"name": "x", "url": "http://x"})
    ]
    assert "python" == MCPServer(command=["/bin/python", "x.py"]).name


def test_the_ring_keeps_the_end() -> None:
    """Of what a child says on stderr, however much that is."""
    ring = Ring(8)
    ring.add(b"0123456789")
    ring.add(b"ab")

    assert "456789ab" == ring.tail()
    assert "ab" == ring.tail(2)
