"""A recording plays back to the chunks that were recorded."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.drive import outcome, run

import penstock
from penstock.chunks import (
    AudioDelta,
    Chunk,
    Citation,
    Finish,
    ImageDelta,
    LogProbs,
    Meta,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    State,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock.errors import ConfigurationError, TruncatedError
from penstock.pipeline.recording import record
from penstock.simulator import Simulator, load_recording

pytestmark = pytest.mark.asyncio

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
META = {"id": "a1", "model": "m1", "created": 1_700_000_000, "system_fingerprint": "fp"}
CHUNKS: list[Chunk] = [
    Meta(**META, role="assistant"),
    ReasoningDelta("hm, "),
    ReasoningDelta("yes", spelling="reasoning"),
    TextDelta("Grüße\u2028\n"),
    TextDelta("🙂"),
    LogProbs(tokens=({"token": "a", "logprob": -0.5},)),
    Meta(**META, role="assistant", choice=1),
    RefusalDelta("no", 1),
    ToolCallDelta(0, id="c1", name="f", arguments='{"a'),
    ToolCallDelta(0, arguments='": 1}'),
    ToolCallDelta(1, id="c2", name="g", arguments="free", kind="custom"),
    ImageDelta("data:image/png;base64,AA=="),
    AudioDelta(id="au1", data="AAAA", transcript="hi"),
    Citation({"type": "url_citation", "url": "https://example.org"}),
    State({"blocks": [{"signature": "s"}], "id": "x"}),
    ProviderEvent("delta", {"mood": "fine"}),
    ProviderEvent("ping", {"n": 1}),
    Finish("stop", 1),
    Finish("tool_calls"),
    Meta(**META, service_tier="flex", role="assistant"),
    Usage(input_tokens=3, output_tokens=4, total_tokens=7, raw=USAGE),
]


class Clock:
    """Time that passes by an eighth of a second each time it is asked."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        self.now += 0.125
        return self.now


def lines(text: str) -> list[Any]:
    """The lines of a recording."""
    return [json.loads(line) for line in text.splitlines()]


async def test_a_recording_has_a_head_pieces_and_an_end() -> None:
    """Each chunk is an event of the OpenAI shape with its time; the last is [DONE]."""
    file = io.StringIO()

    seen = await run([["a", Finish("stop")]], record(file, clock=Clock()))

    assert [TextDelta("a"), Finish("stop")] == seen
    head, text, finish, done, end = lines(file.getvalue())
    assert {
        "recording": 1,
        "status": 200,
        "headers": {"content-type": "text/event-stream"},
    } == head
    assert [0.125, 0.25, 0.375, 0.5] == [line["t"] for line in (text, finish, done, end)]
    assert (
        'data: {"object":"chat.completion.chunk","choices":'
        '[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
    ) == text["text"]
    assert "data: [DONE]\n\n" == done["text"]
    assert "clean" == end["end"]


@pytest.mark.parametrize("how", ["error", "stop"])
async def test_an_answer_that_was_not_whole_is_torn(how: str) -> None:
    """A failure, or a reader that leaves, ends the recording as torn."""
    file = io.StringIO()
    if how == "error":
        await outcome(["a", TruncatedError("cut short")], record(file))
    else:
        generator = record(file)(_endless())
        await anext(generator)
        await generator.aclose()  # type: ignore[attr-defined]

    assert "torn" == lines(file.getvalue())[-1]["end"]
    assert "[DONE]" not in file.getvalue()


async def _endless() -> Any:
    while True:
        yield TextDelta("a")


async def replay(path: Path) -> list[Chunk]:
    """What penstock's own client makes of a recording that the simulator plays."""
    async with (
        Simulator(recordings={"it": path}) as simulator,
        penstock.Client(
            deployments={
                "sim/it": penstock.Deployment(
                    base_url=f"{simulator.url}/v1", api_key="x", model="replay/it"
                )
            }
        ) as client,
        client.stream("sim/it", "hello", n=2) as stream,
    ):
        return [chunk async for chunk in stream]


@pytest.mark.parametrize("chunks", [CHUNKS, CHUNKS[:5] + CHUNKS[-3:]], ids=["all", "plain"])
async def test_a_recording_replays_to_identical_chunks(
    chunks: Sequence[Chunk], tmp_path: Path
) -> None:
    """Every kind of chunk survives the file, the simulator, the wire and the dialect."""
    path = tmp_path / "it.jsonl"
    await run([list(chunks)], record(path))

    assert list(chunks) == await replay(path)


async def test_a_torn_recording_replays_torn(tmp_path: Path) -> None:
    """The simulator cuts the connection where the answer was cut."""
    path = tmp_path / "it.jsonl"
    await outcome([CHUNKS[:5], TruncatedError("cut short")], record(path))

    with pytest.raises(penstock.PenstockError) as caught:
        await replay(path)

    assert caught.value.partial is not None
    assert "Grüße\u2028\n🙂" == caught.value.partial.text


def first_texts(folder: Path) -> list[str]:
    """The first delta of each recording in a directory, by the file's name."""
    recordings = [load_recording(path) for path in sorted(folder.iterdir())]
    events = [json.loads(recording.pieces[0].data[6:]) for recording in recordings]
    return [event["choices"][0]["delta"]["content"] for event in events]


async def test_each_stream_can_have_its_file(tmp_path: Path) -> None:
    """In a directory, every stream is recorded by itself."""
    middleware = record(tmp_path)
    for text in ("a", "b"):
        await run([text, Finish("stop")], middleware)

    assert ["a", "b"] == first_texts(tmp_path)


async def test_a_recording_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Beyond its bound it ends as torn with a warning, and the stream goes on."""
    file = io.StringIO()

    seen = await run(["a", "x" * 500, "b"], record(file, max_size=400))

    assert ["a", "x" * 500, "b"] == [chunk.text for chunk in seen]
    assert ["torn"] == [line["end"] for line in lines(file.getvalue()) if "end" in line]
    assert 3 == len(lines(file.getvalue()))
    assert "over its bound" in caplog.text


async def test_a_file_that_cannot_be_opened_is_a_mistake(tmp_path: Path) -> None:
    """The stream fails before its first chunk, with the path and the reason."""
    _, error, _ = await outcome(["a"], record(tmp_path / "none" / "it.jsonl"))

    assert isinstance(error, ConfigurationError)
    assert "it.jsonl cannot be recorded to: No such file" in error.message


async def test_events_without_a_place_have_their_name() -> None:
    """A provider's own event is written as such, its data as it came."""
    file = io.StringIO()
    await run([[ProviderEvent("ping", {"n": 1}), ProviderEvent("note", "text")]], record(file))

    assert ['event: ping\ndata: {"n":1}\n\n', "event: note\ndata: text\n\n"] == [
        line["text"] for line in lines(file.getvalue())[1:3]
    ]
