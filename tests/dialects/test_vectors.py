"""Recorded answers of many vendors, each with its source, and what they amount to."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.json import encode

from penstock.chunks import Chunk, ProviderEvent
from penstock.dialects import DIALECTS, dialect
from penstock.dialects.openai_chat import OpenAIChat
from penstock.errors import TruncatedError
from penstock.interfaces import Ending
from penstock.limits import Limits
from penstock.request import ChatRequest
from penstock.testing.check_dialect import DialectCase, check_case, check_dialect, load_cases

VECTORS = Path(__file__).parents[1] / "vectors"
CASES = list(load_cases(VECTORS / "openai_chat"))
"""Those of `openai_chat`, whose chunks have an OpenAI form that is read back."""
ALL = [(name, case) for name in DIALECTS for case in load_cases(VECTORS / name)]


def names(case: DialectCase) -> str:
    """Name a test after its case."""
    return case.name


@pytest.mark.parametrize(("name", "case"), ALL, ids=[f"{name}-{case.name}" for name, case in ALL])
def test_a_recorded_answer_gives_its_chunks_however_it_is_cut(name: str, case: DialectCase) -> None:
    """Chunks and error are the vector's, for any cut, any batch and any truncation."""
    check_case(dialect(name), case)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_dialect_keeps_the_seam(name: str) -> None:
    """Requests, framings and errors keep what `Dialect` promises."""
    check_dialect(lambda: dialect(name))


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_has_vectors(name: str) -> None:
    """A dialect without recorded answers is not tested."""
    assert any(each == name for each, _ in ALL)


@pytest.mark.parametrize("case", CASES, ids=names)
def test_chunks_survive_their_openai_form(case: DialectCase) -> None:
    """Each chunk's ``to_openai()`` is read back as an equal chunk: recordings depend on it."""
    # An event of its own name has no place in the OpenAI shape.
    chunks = [
        chunk
        for chunk in case.chunks
        if not isinstance(chunk, ProviderEvent) or chunk.name in ("delta", "choice", "chunk")
    ]

    assert chunks == replayed(chunks)


def replayed(chunks: list[Chunk]) -> list[Chunk]:
    """Say `chunks` as OpenAI does, and read them again."""
    request = ChatRequest(model="m", messages="x", usage=False)
    answer = OpenAIChat().answer(request, "application/x-ndjson", Limits(), origin="")
    into: list[Chunk] = []
    for chunk in chunks:
        answer.feed([encode(chunk.to_openai())], into)
    return into


def test_a_clean_end_of_the_wire_is_no_end_of_the_answer() -> None:
    """A length that was reached says nothing of the answer: only its own end does."""
    answer = OpenAIChat().answer(
        ChatRequest(model="m", messages="x"), "text/event-stream", Limits(), origin=""
    )

    with pytest.raises(TruncatedError, match="before its first event"):
        answer.finish(Ending(clean=True), [])
