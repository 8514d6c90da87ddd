"""What a Python function gives as a tool, where that is no plain text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from penstock.agents import FunctionTool, ToolResult
from penstock.agents.functions import result_of
from penstock.errors import ConfigurationError

NAME = b"caf\xe9".decode("utf-8", "surrogateescape")
"""A file's name in Latin-1, as `os.listdir` gives it."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (NAME, ToolResult("caf?")),
        (ToolResult(NAME, is_error=True), ToolResult("caf?", is_error=True)),
        ([NAME, "é"], ToolResult('["caf\\udce9", "\\u00e9"]')),
        ({1: {NAME}}, ToolResult('{"1": ["caf\\udce9"]}')),
        ("é", ToolResult("é")),
        (["é"], ToolResult('["é"]')),
    ],
)
def test_what_utf_8_cannot_say_is_said_as_well_as_it_can_be(
    value: object, expected: ToolResult
) -> None:
    """A name of a file is no reason to end a run: a question mark, or JSON's escape."""
    assert expected == result_of(value)


def steps() -> Iterator[int]:
    """Yield."""
    yield 1


async def later() -> AsyncIterator[int]:
    """Yield."""
    yield 1


@pytest.mark.parametrize("function", [steps, later])
def test_a_function_that_yields_is_refused(function: Callable[..., Any]) -> None:
    """Its result would be the words "<generator object …>"."""
    with pytest.raises(ConfigurationError, match=f"{function.__name__!r} yields"):
        FunctionTool(function)
