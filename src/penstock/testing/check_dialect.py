"""The promises of `penstock.interfaces.Dialect` and `Answer`, held against an implementation.

    def test_my_dialect_keeps_the_seam() -> None:
        check_dialect(MyDialect, load_cases(Path("tests/vectors/my_dialect")))

Pure, like what it checks: no loop, no socket.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from penstock.chunks import Chunk, Finish
from penstock.errors import PenstockError, ProtocolError
from penstock.interfaces import Answer, Dialect, Ending, Target
from penstock.limits import Limits
from penstock.providers.source import decoder_for
from penstock.request import ChatRequest
from penstock.testing.cuts import cuts

__all__ = ["DialectCase", "check_case", "check_dialect", "load_cases", "play"]

# JSON of a vector, or a dialect's frame.
Json: TypeAlias = Any

TARGET = Target(
    deployment="check/model",
    provider="check",
    model="model",
    base_url="https://api.example.com/v1",
    origin="https://api.example.com",
)
_CLEAN = Ending(clean=True)
_STATUSES = (300, 400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 502, 503, 504, 529)
_BODIES = (
    b"",
    b"null",
    b"[]",
    b'"text"',
    b'{"error": null}',
    b'{"error": {"message": 5, "code": []}}',
    b'{"error"',
    b"<html><title>Bad Gateway</title></html>",
    b"\xff\xfe\x00",
    b'{"error": {"message": "caf\xe9", "code": "\xff"}}',
    b'{"message": "caf\xe9"}',
    b"[" * 5000,
    b"x" * 70_000,
)


@dataclass(frozen=True, slots=True)
class DialectCase:
    """One recorded answer, and what it amounts to."""

    name: str
    """What the case shows."""
    wire: bytes
    """The answer's bytes."""
    chunks: tuple[Chunk, ...]
    """What it says."""
    error: Mapping[str, Json] | None = None
    """Attributes of the error that it ends with, such as ``kind``; None for a good end."""
    request: ChatRequest = field(default_factory=lambda: ChatRequest(model="m", messages="Hello"))
    """What was asked."""
    content_type: str = "text/event-stream"
    """The answer's ``Content-Type``."""


@dataclass(frozen=True, slots=True)
class _Played:
    """What became of an answer."""

    chunks: list[Chunk]
    error: dict[str, Json] | None

    @property
    def ended_well(self) -> bool:
        return self.error is None


def check_dialect(make: Callable[[], Dialect], cases: Iterable[DialectCase] = ()) -> None:
    """Hold a dialect to its seam, and to its vectors.

    Args:
        make: Returns the dialect.
        cases: Recorded answers.

    Raises:
        AssertionError: It breaks a promise; the message says which.
    """
    dialect = make()
    _check_request(dialect)
    _check_errors(dialect)
    for kind in ("text/html", "image/png"):
        with suppress(ProtocolError):
            dialect.framing(kind)
            raise AssertionError(f"framing({kind!r}) must raise ProtocolError")
    for case in cases:
        check_case(dialect, case)


def check_case(dialect: Dialect, case: DialectCase) -> None:
    """Hold one recorded answer to what it says, however it is cut, batched or ended.

    Raises:
        AssertionError: It amounts to something else.
    """
    whole = play(dialect, case, [case.wire])
    assert list(case.chunks) == whole.chunks, f"{case.name}: {whole.chunks} {whole.error}"
    _check_error(case, whole.error)
    for pieces in cuts(case.wire, samples=8):
        assert whole == play(dialect, case, pieces), f"{case.name}: a cut changes the answer"
    frames = _frames(dialect, case)
    _check_batches(dialect, case, frames, whole)
    _check_truncations(dialect, case, frames, whole)
    _check_chunks(case, whole.chunks)


def play(dialect: Dialect, case: DialectCase, pieces: Sequence[bytes]) -> _Played:
    """Return what `pieces` of an answer to `case` amount to."""
    decoder = decoder_for(dialect.framing(case.content_type), Limits())
    answer = _answer(dialect, case)
    chunks: list[Chunk] = []
    try:
        for piece in pieces:
            answer.feed(decoder.decode(piece), chunks)
            if answer.complete:
                return _Played(chunks, None)
        answer.feed(decoder.flush(), chunks)
        answer.finish(_CLEAN, chunks)
    except PenstockError as error:
        return _Played(chunks, _summary(error))
    assert answer.complete, f"{case.name}: finish() neither raised nor completed the answer"
    return _Played(chunks, None)


def load_cases(folder: Path) -> Iterator[DialectCase]:
    """Yield the vectors of `folder`: in each directory ``request.json``, ``wire``, ``chunks.json``.

    ``request.json`` has ``source`` (where the shape is from), ``request`` (arguments of
    `ChatRequest`) and ``content_type``; ``chunks.json`` has ``chunks`` and ``error``.
    """
    for place in sorted(path.parent for path in folder.glob("*/wire")):
        asked = json.loads((place / "request.json").read_text("utf-8"))
        said = json.loads((place / "chunks.json").read_text("utf-8"))
        assert asked["source"], f"{place.name} names no source"
        yield DialectCase(
            name=place.name,
            wire=(place / "wire").read_bytes(),
            chunks=tuple(msgspec.convert(said["chunks"], list[Chunk])),
            error=said["error"],
            request=ChatRequest(**{"model": "m", "messages": "Hello", **asked["request"]}),
            content_type=asked["content_type"],
        )


def _answer(dialect: Dialect, case: DialectCase) -> Answer[Any]:  # Any: the dialect's own frames
    return dialect.answer(case.request, case.content_type, Limits(), origin=TARGET.origin)


def _frames(dialect: Dialect, case: DialectCase) -> list[Json]:
    decoder = decoder_for(dialect.framing(case.content_type), Limits())
    return [*decoder.decode(case.wire), *decoder.flush()]


def _feed(dialect: Dialect, case: DialectCase, batches: Iterable[Sequence[Json]]) -> _Played:
    answer = _answer(dialect, case)
    chunks: list[Chunk] = []
    try:
        for batch in batches:
            answer.feed(batch, chunks)
        answer.finish(_CLEAN, chunks)
    except PenstockError as error:
        return _Played(chunks, _summary(error))
    return _Played(chunks, None)


def _check_error(case: DialectCase, error: Mapping[str, Json] | None) -> None:
    if case.error is None:
        assert error is None, f"{case.name}: {error}"
        return
    assert error is not None, f"{case.name}: the answer must end with {case.error}"
    found = {name: error.get(name) for name in case.error}
    assert dict(case.error) == found, f"{case.name}: {error}"


def _check_batches(dialect: Dialect, case: DialectCase, frames: list[Json], whole: _Played) -> None:
    """How many frames come together, and what comes after the end, changes nothing."""
    alone = _feed(dialect, case, ([frame] for frame in frames))
    assert whole == alone, f"{case.name}: frames one by one give another answer"
    if whole.ended_well:
        twice = _feed(dialect, case, chain([frames], [frames]))
        complete = _completes_by_frames(dialect, case, frames)
        assert not complete or whole == twice, f"{case.name}: it reads on after its terminal event"


def _completes_by_frames(dialect: Dialect, case: DialectCase, frames: list[Json]) -> bool:
    answer = _answer(dialect, case)
    answer.feed(frames, [])
    return answer.complete


def _check_truncations(
    dialect: Dialect, case: DialectCase, frames: list[Json], whole: _Played
) -> None:
    """A cut at any event is an error, unless every choice that was begun has its end by then."""
    for count in range(len(frames)):
        cut = _feed(dialect, case, [frames[:count]])
        begun = cut.chunks[: len(whole.chunks)]
        assert begun == whole.chunks[: len(begun)], f"{case.name}: cut at {count}: other chunks"
        if cut.ended_well:
            ended = {chunk.choice for chunk in cut.chunks if isinstance(chunk, Finish)}
            seen = {chunk.choice for chunk in cut.chunks if chunk.content}
            assert ended, f"{case.name}: cut at {count}: a normal end without a finish"
            assert seen <= ended, f"{case.name}: cut at {count}: a choice without its finish"


def _check_chunks(case: DialectCase, chunks: list[Chunk]) -> None:
    for chunk in chunks:
        assert chunk == pickle.loads(pickle.dumps(chunk)), f"{case.name}: {chunk} does not pickle"
        event = chunk.to_openai(id="id", created=1, model="m")
        assert len(event["choices"]) == 1, f"{case.name}: {chunk} is an event with empty choices"
        json.dumps(event)


def _check_request(dialect: Dialect) -> None:
    """Encoding pulls no message, says the same each time, and knows no credential."""
    pulled: list[int] = []

    def conversation() -> Iterator[dict[str, str]]:
        pulled.append(1)
        yield {"role": "user", "content": "Hello"}

    request = ChatRequest(model="m", messages=conversation, params={"temperature": 0.5})
    dropped: list[str] = []
    first = dialect.encode(request, TARGET, dropped=dropped)
    again = dialect.encode(request, TARGET, dropped=[])
    assert not pulled, "encode must leave the conversation to the encoder"
    assert list(first.fields) == list(again.fields), "encode must give fields in a stable order"
    # Not always below base_url: of one server's several APIs an address may name another.
    assert first.url.startswith(f"{TARGET.origin}/"), f"{first.url} is not the deployment's"
    names = {name.lower() for name in first.headers}
    assert not names & {"authorization", "x-api-key", "api-key"}, "credentials are the provider's"


def _check_errors(dialect: Dialect) -> None:
    """Whatever the status and the body, there is an error, and it is bounded."""
    for status in _STATUSES:
        for body in _BODIES:
            error = dialect.error(status, {"content-type": "application/json"}, body)
            assert isinstance(error, PenstockError), f"error({status}) returned {error!r}"
            assert status == error.status, f"error({status}) has the status {error.status}"
            assert len(error.body or "") <= 512, f"error({status}) keeps {len(error.body or '')}"
            assert len(str(error)) <= 700, f"error({status}) has a message of {len(str(error))}"


def _summary(error: PenstockError) -> dict[str, Json]:
    fields = {name: getattr(error, name) for name in ("kind", "status", "code", "param", "phase")}
    return {**fields, "message": str(error)}
