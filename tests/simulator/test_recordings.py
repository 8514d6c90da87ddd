"""Recorded answers are played back as they were."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import ConfigurationError
from penstock.simulator import Simulator, load_recording
from penstock.simulator.steps import End, Event, Wait

HEAD = {
    "recording": 1,
    "status": 200,
    "headers": {"Content-Type": "text/event-stream", "Content-Length": "9", "x-id": "a\r\nb"},
    "request": {"model": "m"},
}
PIECES = [
    {"t": 0.5, "text": 'data: {"choices": [{"index": 0, "delta": {"content": "\u2028'},
    {"t": 0.5, "base64": base64.b64encode("é".encode()[:1]).decode()},
    {"t": 0.75, "base64": base64.b64encode("é".encode()[1:]).decode()},
    {"t": 0.75, "text": '"}}]}\n\ndata: [DONE]\n\n'},
]
BODY = 'data: {"choices": [{"index": 0, "delta": {"content": "\u2028é"}}]}\n\ndata: [DONE]\n\n'
Play = Callable[..., Awaitable[Any]]


def written(path: Path, *lines: Any) -> Path:
    """A file of JSON lines; raw U+2028 stays raw."""
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return path


def clean(path: Path) -> Path:
    """A good recording."""
    return written(path / "good.jsonl", HEAD, *PIECES, {"t": 1.0, "end": "clean"})


def test_a_recording_is_read(tmp_path: Path) -> None:
    """Status, headers without the connection's own, pieces and end."""
    found = load_recording(clean(tmp_path))

    assert (200, (("content-type", "text/event-stream"), ("x-id", "ab"))) == (
        found.status,
        found.headers,
    )
    assert (BODY.encode(), "clean", 1.0, "m") == (
        b"".join(piece.data for piece in found.pieces),
        found.end,
        found.ended,
        found.request["model"],
    )


def test_the_pace_is_the_recorded_one(tmp_path: Path) -> None:
    """Gaps between the pieces, divided by the speed."""
    steps = list(load_recording(clean(tmp_path)).steps(speed=2))
    kinds = [step.seconds if isinstance(step, Wait) else type(step) for step in steps]

    assert [0.25, Event, Event, 0.125, Event, Event, 0.125] == kinds


def test_a_torn_recording_ends_with_a_lost_connection(tmp_path: Path) -> None:
    """Its end is told, or it just stops."""
    told = written(tmp_path / "told", HEAD, PIECES[0], {"t": 1.0, "end": "torn"})
    stopped = written(tmp_path / "stopped", HEAD, PIECES[0])

    assert [End.CLOSE, End.CLOSE] == [
        list(load_recording(path).steps())[-1] for path in (told, stopped)
    ]


BAD: dict[str, tuple[list[Any], str]] = {
    "empty": ([], "line 1"),
    "version": ([{"recording": 2}], "line 1"),
    "list": ([[1]], "line 1"),
    "no time": ([HEAD, {"text": "x"}], "line 2"),
    "no data": ([HEAD, PIECES[0], {"t": 1}], "line 3"),
    "base64": ([HEAD, {"t": 1, "base64": "!"}], "line 2"),
    "end": ([HEAD, {"t": 1, "end": "odd"}], "line 2"),
    "not an object": ([HEAD, 7], "line 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_recording_is_refused(tmp_path: Path, name: str) -> None:
    """The error names the file and the line."""
    lines, place = BAD[name]
    path = written(tmp_path / "bad.jsonl", *lines)

    with pytest.raises(ConfigurationError, match=f"bad.jsonl: {place}"):
        load_recording(path)


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    """So is a file that is missing."""
    path = tmp_path / "bad.jsonl"
    path.write_text('{"recording": 1}\n{"t"\n')

    with pytest.raises(ConfigurationError, match="not JSON lines"):
        load_recording(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        Simulator(recordings={"a": tmp_path / "missing"})


@pytest.fixture
def played(open_client: Callable[[str], Awaitable[Any]]) -> Play:
    """Asks a simulator that has one recording."""

    async def played(path: Path, model: str) -> Any:
        async with Simulator(recordings={"good": path}) as simulator:
            client = await open_client(simulator.url)
            client.send(model)
            return await client.read()

    return played


@pytest.mark.asyncio
async def test_a_recording_is_served(played: Play, tmp_path: Path) -> None:
    """The recorded bytes come under its name."""
    answer = await played(clean(tmp_path), "replay/good?speed=inf")

    assert ("complete", BODY.encode()) == (answer.ended, answer.body)
    assert "text/event-stream" == answer.content_type


@pytest.mark.asyncio
async def test_a_torn_recording_is_torn_again(played: Play, tmp_path: Path) -> None:
    """The connection closes in the middle of the chunked body."""
    path = written(tmp_path / "torn", HEAD, PIECES[0], {"t": 1.0, "end": "torn"})
    answer = await played(path, "sim/replay/good?speed=1000")

    assert ("eof", True) == (answer.ended, "incomplete chunked read" in answer.broken)


@pytest.mark.asyncio
async def test_faults_apply_to_a_recording(played: Play, tmp_path: Path) -> None:
    """A recorded piece counts as a content chunk."""
    answer = await played(clean(tmp_path), "replay/good?speed=inf&fault=reset@1")

    assert ("reset", PIECES[0]["text"]) == (answer.ended, answer.body.decode())


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["nope", "../good", "/etc/passwd", "{path}", "good.jsonl"])
async def test_a_model_names_no_file(played: Play, tmp_path: Path, name: str) -> None:
    """Only the names that were given are known, whatever stands on the disk."""
    path = clean(tmp_path)
    answer = await played(path, f"replay/{name.replace('{path}', str(path))}")

    assert (400, True) == (answer.status, "there are: good" in answer.error["message"])


@pytest.mark.asyncio
async def test_an_unrecorded_content_type_is_guessed(played: Play, tmp_path: Path) -> None:
    """A body that begins as JSON is JSON, another is a stream."""
    bare = HEAD | {"headers": {}}
    stream = written(
        tmp_path / "s", bare, {"t": 0, "text": "data: x\n\n"}, {"t": 0, "end": "clean"}
    )
    whole = written(tmp_path / "j", bare, {"t": 0, "text": " {}"}, {"t": 0, "end": "clean"})
    found = [(await played(path, "replay/good")).content_type for path in (stream, whole)]

    assert ["text/event-stream", "application/json"] == found
