"""Every row of the fault matrix that touches the streaming core is named by a test."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

HERE = [*range(1, 37), 39, 40]
"""37 and 38 are of policies that are not part of the streaming core: budgets and caches."""

ELSEWHERE = {
    12: "Bedrock has no dialect yet; its exception frames are decoded, whole, in "
    "decoders/test_event_stream.py",
}
"""Rows of which only a part is there, and why."""

ROW = re.compile(r"\brows?[ _](\d+)(?:(?:,| and| to)[ ]?(\d+))*", re.IGNORECASE)


@cache
def named_rows() -> set[int]:
    """The rows that names and docstrings of tests have."""
    rows: set[int] = set()
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
                node.name.startswith("test_")
            ):
                said = f"{node.name.removeprefix('test_')} {ast.get_docstring(node)}"
                rows.update(int(n) for found in ROW.finditer(said) for n in _numbers(found[0]))
    return rows


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d+", text)


@pytest.mark.parametrize("row", HERE)
def test_each_row_is_named(row: int) -> None:
    """A test's name or docstring has the row, or the table above says why none has."""
    assert row in named_rows() | ELSEWHERE.keys()
