"""The conformance check passes what keeps the seam, and says what does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from penstock.chunks import Chunk, Finish, ProviderEvent, TextDelta
from penstock.dialects.openai_chat import OpenAIChat
from penstock.dialects.openai_chat.answer import ChatAnswer
from penstock.errors import PenstockError, TruncatedError
from penstock.interfaces import Ending, Framing, Outgoing, Target
from penstock.limits import Limits
from penstock.request import ChatRequest
from penstock.testing.check_dialect import DialectCase, check_dialect, load_cases

VECTORS = Path(__file__).parents[1] / "vectors" / "openai_chat"
CASES = {case.name: case for case in load_cases(VECTORS)}


class Answers(OpenAIChat):
    """A dialect whose answers differ in one thing."""

    kind: type[ChatAnswer] = ChatAnswer

    def answer(
        self, request: ChatRequest, content_type: str, limits: Limits, *, origin: str
    ) -> ChatAnswer:
        """Return the other answer."""
        return self.kind(request, self.framing(content_type), limits)


class TakesAnyEnd(ChatAnswer):
    """Takes the end of the bytes for the end of the answer (fault matrix, row 8)."""

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """End normally."""
        try:
            super().finish(ending, into)
        except TruncatedError:
            into.append(Finish("stop"))
            self.complete = True


class EndsTwice(ChatAnswer):
    """Adds a chunk when the bytes end."""

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Say more than the frames did."""
        super().finish(ending, into)
        into.append(Finish("stop"))


class TellsBatches(ChatAnswer):
    """Lets the network's cuts show."""

    def feed(self, frames: Sequence[Any], into: list[Chunk]) -> None:
        """Mark each batch."""
        super().feed(frames, into)
        into.append(TextDelta("|"))


class LosesWhatItDoesNotKnow(ChatAnswer):
    """Drops unknown fields."""

    def feed(self, frames: Sequence[Any], into: list[Chunk]) -> None:
        """Keep what has a kind."""
        super().feed(frames, into)
        into[:] = [chunk for chunk in into if not isinstance(chunk, ProviderEvent)]


class ReadsOn(ChatAnswer):
    """Goes on behind the terminal event."""

    def feed(self, frames: Sequence[Any], into: list[Chunk]) -> None:
        """Begin again where it is over."""
        if self.complete:
            into.append(TextDelta("more"))
        super().feed(frames, into)


class SwallowsErrors(ChatAnswer):
    """Takes an error in a stream for its end (exoclaw, fault 1)."""

    def feed(self, frames: Sequence[Any], into: list[Chunk]) -> None:
        """End where it should fail."""
        try:
            super().feed(frames, into)
        except PenstockError:
            into.append(Finish("stop"))
            self.complete = True


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (TakesAnyEnd, "truncated", "truncated"),
        (TakesAnyEnd, "plain", "cut at"),
        (EndsTwice, "no_done", "no_done"),
        (TellsBatches, "plain", "plain"),
        (LosesWhatItDoesNotKnow, "unknown_fields", "unknown_fields"),
        (ReadsOn, "plain", "reads on after its terminal event"),
        (SwallowsErrors, "error_mid", "error_mid"),
    ],
)
def test_an_answer_that_breaks_the_seam_is_found(
    kind: type[ChatAnswer], name: str, message: str
) -> None:
    """The message says which case and, where it is not the case itself, what broke."""
    dialect = Answers()
    dialect.kind = kind

    with pytest.raises(AssertionError, match=message):
        check_dialect(lambda: dialect, [CASES[name]])


class ReadsTheConversation(OpenAIChat):
    """Pulls the conversation before anything is sent."""

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Read it once too often."""
        messages: Any = request.messages
        list(messages())
        return super().encode(request, target, dropped=dropped)


class KnowsTheKey(OpenAIChat):
    """Sets a credential, which is its provider's to set."""

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Say more than a dialect knows."""
        outgoing = super().encode(request, target, dropped=dropped)
        return structs.replace(outgoing, headers={"Authorization": "Bearer x"})


class GoesElsewhere(OpenAIChat):
    """Leaves the deployment's address."""

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Go to another one."""
        outgoing = super().encode(request, target, dropped=dropped)
        return structs.replace(outgoing, url="https://elsewhere.test/v1")


class ReadsPages(OpenAIChat):
    """Takes a page for an answer."""

    def framing(self, content_type: str) -> Framing:
        """Take anything."""
        return "sse"


class KeepsBodies(OpenAIChat):
    """Keeps an error's body whole."""

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> PenstockError:
        """Repeat everything."""
        return PenstockError("failed", status=status, body=body.decode("latin-1"))


class ForgetsTheStatus(OpenAIChat):
    """Says nothing of the status."""

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> PenstockError:
        """Forget it."""
        return PenstockError("failed")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (ReadsTheConversation, "leave the conversation"),
        (KnowsTheKey, "credentials"),
        (GoesElsewhere, "is not the deployment's"),
        (ReadsPages, "text/html"),
        (KeepsBodies, "keeps"),
        (ForgetsTheStatus, "has the status None"),
    ],
)
def test_a_dialect_that_breaks_the_seam_is_found(make: type[OpenAIChat], message: str) -> None:
    """The message says what broke."""
    with pytest.raises(AssertionError, match=message):
        check_dialect(make)


def test_a_vector_needs_its_source(tmp_path: Path) -> None:
    """A shape from nowhere proves nothing."""
    case = tmp_path / "case"
    case.mkdir()
    (case / "wire").write_bytes(b"")
    (case / "request.json").write_text('{"source": "", "content_type": "", "request": {}}')
    (case / "chunks.json").write_text('{"chunks": [], "error": null}')

    with pytest.raises(AssertionError, match="case names no source"):
        list(load_cases(tmp_path))


def test_a_wrong_expectation_is_told() -> None:
    """The check fails on its vector, whoever is right."""
    wrong = replace(CASES["plain"], chunks=())

    with pytest.raises(AssertionError, match="plain"):
        check_dialect(OpenAIChat, [wrong])


def test_an_error_that_does_not_come_is_told() -> None:
    """A case that must fail has to."""
    wrong: DialectCase = replace(CASES["plain"], error={"kind": "protocol"})

    with pytest.raises(AssertionError, match="must end with"):
        check_dialect(OpenAIChat, [wrong])
