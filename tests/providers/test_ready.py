"""A body that is ready: bytes in the caller's words, sent as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from penstock.errors import UsageError
from penstock.providers.ready import ReadyBody

pytestmark = pytest.mark.asyncio


async def pieces() -> AsyncIterator[bytes]:
    """Two pieces, and nothing between them."""
    for piece in (b'{"model": ', b"", b'"m"}'):
        yield piece


class Again:
    """An async iterable with any number of passes."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return pieces()


async def read(body: ReadyBody) -> list[bytes]:
    """One pass."""
    return [piece async for piece in body.open()]


@pytest.mark.parametrize("source", [pieces, Again()])
async def test_it_can_be_sent_again(source: object) -> None:
    """A function, or an iterable that begins anew, gives every pass the same."""
    body = ReadyBody(source)  # type: ignore[arg-type]  # two of its kinds

    assert 14 == await body.length()
    assert [b'{"model": ', b'"m"}'] == await read(body) == await read(body)


async def test_an_iterator_has_one_pass() -> None:
    """What is left of one is never sent as if it were the body."""
    body = ReadyBody(pieces())
    first = await read(body)

    assert [b'{"model": ', b'"m"}'] == first
    with pytest.raises(UsageError, match="used up"):
        await read(body)


async def test_a_pass_that_is_left_closes_the_callers_generator() -> None:
    """Its ``finally`` runs then, not when the collector comes by."""
    closed: list[bool] = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"{"
            yield b"}"
        finally:
            closed.append(True)

    body = ReadyBody(source).open()
    await anext(body)
    await body.aclose()

    assert [True] == closed


async def test_text_is_no_bytes() -> None:
    """A ``str`` is refused with its type's name: how to encode it is the caller's to say."""

    async def text() -> AsyncIterator[str]:
        yield "{}"

    with pytest.raises(UsageError, match="not str"):
        await read(ReadyBody(text()))  # type: ignore[arg-type]  # the point
