"""One pass costs the buffer, whatever is sent: the promise that the project is named after."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import anyio
import pytest

from penstock.encoders import Body, Raw
from penstock.fields import Each, Joined

Runner: TypeAlias = "Callable[[Callable[[], Awaitable[Any]]], Any]"

BUFFER = 16 * 1024
MOST = 192 * 1024
"""Bytes above what the caller holds: 12 buffers. Bodies here are 1 MiB."""
TOTAL = 1024 * 1024


def messages(size: int, text: str) -> list[dict[str, str]]:
    """1 MiB of messages of one size."""
    return [
        {"role": "user", "content": f"{number} {text * (size // len(text.encode()))}"}
        for number in range(TOTAL // size)
    ]


def generated(count: int) -> Iterator[dict[str, str]]:
    """Messages that nobody holds."""
    for number in range(count):
        yield {"role": "user", "content": f"{number}" * 100}


async def waited(count: int) -> AsyncIterator[dict[str, str]]:
    """The same, to be waited for."""
    for message in generated(count):
        yield message


CASES: dict[str, Callable[[], Any]] = {
    "100 B": lambda: messages(100, "x"),
    "100 B, not ASCII": lambda: messages(100, "é"),
    "2 KiB": lambda: messages(2048, "x"),
    "2 KiB, not ASCII": lambda: messages(2048, "日"),
    "one text": lambda: [{"content": "x" * TOTAL}],
    "one text, not ASCII": lambda: [{"content": "日" * (TOTAL // 3)}],
    "one text of escapes": lambda: [{"content": "\x00" * (TOTAL // 6)}],
    "one text, latin": lambda: [{"content": "é" * (TOTAL // 2)}],
    "one text in pieces": lambda: [{"content": Joined(("data:", "x" * TOTAL))}],
    "the end of a text": lambda: [{"content": Joined(("data:" + "x" * TOTAL,), 5)}],
    "one role": lambda: [{"role": "x" * TOTAL, "content": ""}, *messages(100, "x")[:20]],
    "one key": lambda: [{"x" * TOTAL: ""}],
    "one fragment": lambda: [Raw(b'"' + b"x" * TOTAL + b'"')],
    "fragments": lambda: [Raw(b'"' + b"x" * 100 + b'"') for _ in range(TOTAL // 103)],
    "parts of one message": lambda: [{"content": [{"text": "x" * 80} for _ in range(10_000)]}],
    "fields of one message": lambda: [{str(number): "x" * 80 for number in range(10_000)}],
    "lengths that vary": lambda: [{"content": "x" * (10 ** (n % 6))} for n in range(60)],
    "generator": lambda: lambda: generated(4_000),
    "async generator": lambda: lambda: waited(4_000),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("translate", [None, lambda item: item], ids=["as is", "translated"])
def test_a_pass_costs_the_buffer(case: str, translate: Any) -> None:
    """However the conversation is cut, checked and sent."""
    source = CASES[case]()

    async def check() -> int:
        gc.collect()
        tracemalloc.start()
        try:
            base = tracemalloc.get_traced_memory()[0]
            size = 0
            body = Body({"messages": Each(source, translate)}, buffer_size=BUFFER)
            async for piece in body.open():
                size += len(piece)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert size > TOTAL // 2
        return peak - base

    anyio.run(check)  # imports and caches, once
    assert anyio.run(check) <= MOST


def test_spool_keeps_memory_in_the_file(run: Runner) -> None:
    """Several passes over a one-shot source cost a buffer, and the disk."""

    async def check() -> None:
        gc.collect()
        tracemalloc.start()
        try:
            base = tracemalloc.get_traced_memory()[0]
            body = Body({"a": Each(generated(4_000))}, buffer_size=BUFFER, spool=True)
            size = await body.length()
            async for _ in body.open():
                pass
            await body.aclose()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert size > TOTAL // 2
        assert peak - base <= MOST + 64 * 1024

    run(check)


@pytest.mark.parametrize("sign", ["é", "日", "😀"])
def test_a_check_costs_less_than_sending(sign: str, run: Runner) -> None:
    """A text is looked at as UTF-16, twice as large, and in so small slices: at most 2.5 buffers.

    The peak of a call is what it holds while it sends, with the buffer that most callers have.
    """
    body = Body({"messages": [{"role": "user", "content": sign * TOTAL}]})

    async def check() -> int:
        gc.collect()
        tracemalloc.start()
        try:
            await body.prepare()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert run(check) <= 160 * 1024
