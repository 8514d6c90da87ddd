"""What does a dense chunk cost in each dialect, beside OpenAI's chat?

Each dialect encodes one request, the simulator's wire of its address answers it with 20,000 chunks
of text (and, in the second comparison, of a tool call's arguments), and the answer's frames are fed
in reads of 40, in a fresh process for each. Beside it stands what `json.loads` takes for the same
frames, which is where a client begins that builds dicts of them. Where a dialect has no row its
vendor's calls come whole, or the simulator does not speak it.

Not shown: the network and the decoder (`wires` and `decoders`), and the pipeline (`pipeline`);
events of the real vendors that are longer than the simulator's, and those with a field that no
typed decode knows, which cost about four times as much.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks.best import best
from benchmarks.fresh import fresh, setting
from benchmarks.rounds import Case, Peer, Report, by_case, options, paired, present
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

__all__ = ["main", "measure"]

READ = 40
"""Frames of one network read of a dense answer."""
CASES = {"text": False, "arguments of a tool call": True}
"""What is in the answer, and whether it is a call's."""
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


def feed(name: str, answer: Answered) -> Callable[[], int]:
    """A run of the dialect and nothing else."""

    def run() -> int:
        state = dialect(name).answer(answer.request, answer.content_type, Limits(), origin=ORIGIN)
        for frames in answer.reads:
            state.feed(frames, [])
        return answer.chunks

    return run


def load(answer: Answered) -> Callable[[], int]:
    """A run of `json.loads` over the same frames."""
    texts = [data for frames in answer.reads for frame in frames if (data := data_of(frame))]

    def run() -> int:
        for text in texts:
            json.loads(text)
        return answer.chunks

    return run


def data_of(frame: Frame) -> bytes:
    """The JSON of a frame: an event's data, a message's payload, or the frame itself."""
    data = getattr(frame, "data", None) or getattr(frame, "payload", frame)
    return data if isinstance(data, bytes) and data.startswith(b"{") else b""


def measure(dialect: str, chunks: int, repeats: int) -> dict[str, float]:
    """Return microseconds of CPU per chunk by the names of the comparisons; none where it has none.

    A dialect lacks one that the simulator does not speak, or whose calls come whole.
    """
    found = {}
    for case, tools in CASES.items():
        answer = answered(dialect, chunks, tools=tools)
        if answer is not None and answer.chunks >= chunks:
            found[case] = best(feed(dialect, answer), repeats)
            found[f"{case}, json.loads of the same"] = best(load(answer), repeats)
    return found


def main() -> None:
    """Measure every dialect, and print ratios to OpenAI's chat."""
    chosen = options(__doc__)
    chunks, repeats = (200, 1) if chosen.smoke else (20_000, 3)
    report = Report("dialects", __doc__ or "")
    peers = present(dict.fromkeys(DIALECTS, "penstock"), chosen, report)
    print(f"Reads of {READ} frames, {chosen.rounds} rounds. {setting()}")

    def once(peer: Peer) -> dict[str, float]:
        arguments = {"dialect": peer.name, "chunks": chunks, "repeats": repeats}
        found: dict[str, float] = fresh(
            "benchmarks.dialects", "measure", python=peer.python, **arguments
        )
        return found

    for name, found in by_case(paired(peers, chosen.rounds, once, report)).items():
        report.add(Case(name, "µs CPU a chunk", "openai_chat", found))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
