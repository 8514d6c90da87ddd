"""Answers that are not as the vendor says: each ends in chunks or in a `PenstockError`.

Recorded answers, in which something is another, gone, or there twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.dialects.test_odd_requests import ODD, ways

from penstock.decoders import EventStreamFrame, SSEFrame
from penstock.dialects import DIALECTS, dialect
from penstock.errors import PenstockError
from penstock.interfaces import CallRecord, Ending
from penstock.limits import Limits
from penstock.pipeline.fold import Fold
from penstock.providers.source import decoder_for
from penstock.request import ChatRequest
from penstock.testing.check_dialect import TARGET, DialectCase, load_cases

VECTORS = Path(__file__).parents[1] / "vectors"
Json = Any
PLAIN = [each for each in ODD if not isinstance(each, bytes) and each != {1: 2}]


def framed(name: str) -> Iterator[tuple[DialectCase, list[Json]]]:
    """The recorded answers of a dialect, as frames."""
    for case in load_cases(VECTORS / name):
        decoder = decoder_for(dialect(name).framing(case.content_type), Limits())
        try:
            yield case, [*decoder.decode(case.wire), *decoder.flush()]
        except PenstockError:
            continue


def spoiled(frame: Json, random: Random) -> Json:
    """A frame with something in it that is another, or gone; or with a byte that is no UTF-8."""
    data = frame.payload if isinstance(frame, EventStreamFrame) else frame
    data = data.data if isinstance(data, SSEFrame) else data
    if isinstance(data, str):
        data = data.encode()
    try:
        value = json.loads(data)
    except ValueError:
        return frame
    if not isinstance(value, (dict, list)) or not value:
        return frame
    value = deepcopy(value)
    *way, last = random.choice(ways(value))
    node = value
    for step in way:
        node = node[step]
    if random.random() < 0.2:
        del node[last]
    else:
        node[last] = random.choice(PLAIN)
    data = json.dumps(value, ensure_ascii=False).encode()
    if random.random() < 0.1:
        data = data.replace(b"e", b"\xe9", 1)
    if isinstance(frame, EventStreamFrame):
        return EventStreamFrame(frame.headers, data)
    return (
        SSEFrame(frame.event, data, frame.id, frame.retry) if isinstance(frame, SSEFrame) else data
    )


@pytest.mark.parametrize("name", DIALECTS)
def test_odd_answers_are_chunks_or_errors_of_ours(name: str) -> None:
    """And what became a message can be folded, told and sent again, or is refused as ours."""
    random = Random(name)
    cases = list(framed(name))
    for _ in range(400):
        case, frames = random.choice(cases)
        frames = list(frames)
        for _ in range(random.choice([1, 1, 2]) if frames else 0):
            place = random.randrange(len(frames))
            frames[place] = spoiled(frames[place], random)
        chunks: list[Json] = []
        answer = dialect(name).answer(case.request, case.content_type, Limits(), origin="o")
        try:
            answer.feed(frames, chunks)
            answer.finish(Ending(clean=True), chunks)
            fold = Fold()
            fold.add(chunks)
            reply = fold.reply(CallRecord(dialect=name, origin=TARGET.origin))
            request = ChatRequest(
                model="m", messages=[{"role": "user", "content": "q"}, reply.message]
            )
            dialect(name).encode(request, replace(TARGET, region="r"), dropped=[])
        except PenstockError:
            pass
