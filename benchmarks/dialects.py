"""What does a dense chunk cost in each dialect, beside OpenAI's chat in the same run?

Run as ``python -m benchmarks.dialects [--chunks 20000] [--rounds 7]``.

Each dialect encodes one request, the simulator's wire of its address answers it with so many chunks
of text (and, in the second table, of a tool call's arguments), and the answer's frames are fed in
reads of 40. Each line is the median of the rounds in microseconds of CPU per chunk, the spread from
the fastest to the slowest round, and the ratio to `openai_chat`. Beside it stands what `json.loads`
takes for the same frames, which is where a client begins that builds dicts of them. The dialects
take turns in each round, so that a busy machine is busy for all.

What the numbers do not show: the network, the decoder (`benchmarks.decoders`) and the pipeline
(`benchmarks.pipeline`); events of the real vendors that are longer than the simulator's, and those
with a field that no typed decode knows, which cost about four times as much.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks.fresh import setting
from penstock.chunks import TextDelta, ToolCallDelta
from penstock.dialects import DIALECTS, dialect
from penstock.encoders import encode_json
from penstock.interfaces import Target
from penstock.limits import Limits
from penstock.providers.source import decoder_for
from penstock.request import ChatRequest
from penstock.simulator.behavior import parse
from penstock.simulator.intake import Intake
from penstock.simulator.wires import wire_for

READ = 40
"""Frames of one network read of a dense answer."""
ORIGIN = "https://x.test"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
# Frames of any decoder.
Frame = Any


class Answered(NamedTuple):
    """A dialect's answer as the simulator sends it."""

    request: ChatRequest
    content_type: str
    reads: list[list[Frame]]
    chunks: int
    """Pieces of text or arguments in it."""


def answered(name: str, chunks: int, *, tools: bool) -> Answered | None:
    """The answer of a dialect's wire; None where the simulator does not speak it."""
    model = f"sim/{'tools' if tools else 'text'}?tokens={chunks}&size=4&alphabet=ascii"
    fields: dict[str, Any] = {"tools": (TOOL,)} if tools else {}
    request = ChatRequest(model="m", messages="Hello", **fields)
    target = Target(
        deployment="d",
        provider="p",
        model=model,
        base_url=f"{ORIGIN}/v1",
        origin=ORIGIN,
        region="us-east-1",
    )
    outgoing = dialect(name).encode(request, target, dropped=[])
    address = urlsplit(outgoing.url)
    path = f"{address.path}?{address.query}" if address.query else address.path
    wire = wire_for(address.path, path)
    if wire is None:
        return None
    body = Intake(None)
    for piece in encode_json(outgoing.fields):
        body.feed(piece, starts_piece=True)
    ask = wire.ask(body)
    behavior = parse(ask.model)
    content_type = wire.content_type(behavior)
    decoder = decoder_for(dialect(name).framing(content_type), Limits())
    frames: list[Frame] = []
    for event in wire.stream(ask, behavior):
        frames += decoder.decode(event.data)
    frames += decoder.flush()
    reads = [frames[start : start + READ] for start in range(0, len(frames), READ)]
    found = read(name, Answered(request, content_type, reads, 0))
    return Answered(request, content_type, reads, found)


def read(name: str, answer: Answered) -> int:
    """Read an answer; return how many pieces of text or arguments came."""
    state = dialect(name).answer(answer.request, answer.content_type, Limits(), origin=ORIGIN)
    count = 0
    for frames in answer.reads:
        into: list[Any] = []
        state.feed(frames, into)
        count += sum(1 for chunk in into if type(chunk) in (TextDelta, ToolCallDelta))
    return count


def timed(run: Callable[[], object]) -> float:
    """The CPU seconds that `run` takes."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def feed(name: str, answer: Answered) -> Callable[[], None]:
    """A run of the dialect and nothing else."""

    def run() -> None:
        state = dialect(name).answer(answer.request, answer.content_type, Limits(), origin=ORIGIN)
        for frames in answer.reads:
            state.feed(frames, [])

    return run


def load(answer: Answered) -> Callable[[], None]:
    """A run of `json.loads` over the same frames."""
    texts = [data for frames in answer.reads for frame in frames if (data := data_of(frame))]

    def run() -> None:
        for text in texts:
            json.loads(text)

    return run


def data_of(frame: Frame) -> bytes:
    """The JSON of a frame: an event's data, a message's payload, or the frame itself."""
    data = getattr(frame, "data", None) or getattr(frame, "payload", frame)
    return data if isinstance(data, bytes) and data.startswith(b"{") else b""


def table(chunks: int, rounds: int, *, tools: bool) -> None:
    """Print one table."""
    print(
        f"\n{'arguments of a tool call' if tools else 'text'}, us of CPU per chunk, reads of {READ}"
    )
    answers = dict(spoken(chunks, tools=tools))
    times: dict[str, list[float]] = {name: [] for name in answers}
    loads: dict[str, list[float]] = {name: [] for name in answers}
    for _ in range(rounds):
        for name, answer in answers.items():
            times[name].append(timed(feed(name, answer)) / answer.chunks * 1e6)
            loads[name].append(timed(load(answer)) / answer.chunks * 1e6)
    base = median(times["openai_chat"])
    for name, each in times.items():
        middle = median(each)
        print(
            f"  {name:<20} {middle:7.3f}  ({min(each):.3f} to {max(each):.3f})"
            f"  {middle / base:5.2f}x   json.loads {median(loads[name]):6.3f}"
            f"   {answers[name].chunks} chunks"
        )


def spoken(chunks: int, *, tools: bool) -> Iterator[tuple[str, Answered]]:
    """Every dialect's answer."""
    for name in DIALECTS:
        answer = answered(name, chunks, tools=tools)
        if answer is None:
            print(f"  {name}: the simulator does not speak it")
        elif answer.chunks >= chunks:
            yield name, answer
        else:
            print(f"  {name}: its calls come whole")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--smoke", action="store_true", help="a small, quick run")
    options = parser.parse_args()
    print(setting())
    chunks, rounds = (200, 1) if options.smoke else (options.chunks, options.rounds)
    table(chunks, rounds, tools=False)
    table(chunks, rounds, tools=True)


if __name__ == "__main__":
    main()
