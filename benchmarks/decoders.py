"""What does a decoder cost per frame, beside other people's?

Run as ``python -m benchmarks.decoders [--frames 20000] [--rounds 7]``, or with ``--fuzz SECONDS``
for a run of random, damaged wires in random cuts, which ends with an error at the first cut that
changes an answer.

Each line is one decoder over one wire in reads of one size: the median of the rounds in
microseconds of CPU per frame, the spread from the fastest to the slowest round, and the ratio to
penstock's own median in that group (above 1: slower than penstock). Decoders take turns in each
round, so that a busy machine is busy for all.

What the numbers do not show: parsing of the JSON in a frame, except for ijson, which has no other
way; the network; and that the peers' string decoders are given text that was decoded for free.
httpx-sse and the openai SDK have no bounds, botocore's buffer is copied with each read.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from struct import pack
from typing import Any
from zlib import crc32

from benchmarks.fresh import setting
from penstock.decoders import (
    EventStreamDecoder,
    JSONArrayDecoder,
    JSONLinesDecoder,
    SSEDecoder,
)
from penstock.errors import DecodeError, LimitExceededError

KIB = 1024

OPENAI = (
    b'data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,'
    b'"model":"gpt-5-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,'
    b'"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}]}\n\n'
)
ANTHROPIC = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"Hello"}}\n\n'
)
GEMINI = b"""{
  "candidates": [
    {
      "content": {
        "parts": [
          {
            "text": "Hello there, this is"
          }
        ],
        "role": "model"
      },
      "index": 0
    }
  ],
  "usageMetadata": {
    "promptTokenCount": 10,
    "candidatesTokenCount": 5,
    "totalTokenCount": 15,
    "promptTokensDetails": [
      {
        "modality": "TEXT",
        "tokenCount": 10
      }
    ]
  },
  "modelVersion": "gemini-2.5-flash",
  "responseId": "2vYlaYLzCpGT1PIP"
}
"""

Run = Callable[[list[bytes]], int]


def converse() -> bytes:
    """A Bedrock ConverseStream message."""
    names = {":event-type": "contentBlockDelta", ":content-type": "application/json"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + pack(">H", len(value)) + value.encode()
        for name, value in {**names, ":message-type": "event"}.items()
    )
    payload = b'{"contentBlockIndex":0,"delta":{"text":"Hello"},"p":"abcdefghij"}'
    prelude = pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + pack(">I", crc32(prelude)) + headers + payload
    return body + pack(">I", crc32(body))


def ours(make: Callable[[], Any]) -> Run:
    """Feed a penstock decoder."""

    def run(reads: list[bytes]) -> int:
        decoder = make()
        frames = sum(len(decoder.decode(read)) for read in reads)
        return frames + len(decoder.flush())

    return run


def split_only(separator: bytes) -> Run:
    """Split each read and do nothing else: the floor. Frames across reads are not put together."""

    def run(reads: list[bytes]) -> int:
        for read in reads:
            read.split(separator)
        return -1

    return run


def httpx_sse_peer() -> Run:
    """Feed httpx-sse, as its `EventSource` does."""
    from httpx_sse import _decoders

    def run(reads: list[bytes]) -> int:
        lines, decoder, frames = _decoders.SSELineDecoder(), _decoders.SSEDecoder(), 0
        for read in reads:
            for line in lines.decode(read.decode()):
                frames += decoder.decode(line) is not None
        return frames

    return run


def httpx2_peer() -> Run:
    """Feed httpx2's parser, as its `EventSource` does."""
    from httpx2 import _sse

    def run(reads: list[bytes]) -> int:
        parser = _sse._SSEParser()
        return sum(1 for read in reads for _ in parser.decode(read.decode()))

    return run


def openai_peer() -> Run:
    """Feed the openai SDK's decoder."""
    from openai._streaming import SSEDecoder as Decoder

    return lambda reads: sum(1 for _ in Decoder().iter_bytes(iter(reads)))


def botocore_peer() -> Run:
    """Feed botocore's buffer."""
    from botocore.eventstream import EventStreamBuffer

    def run(reads: list[bytes]) -> int:
        buffer, frames = EventStreamBuffer(), 0
        for read in reads:
            buffer.add_data(read)
            frames += sum(1 for _ in buffer)
        return frames

    return run


def ijson_peer(backend: str) -> Run:
    """Feed ijson, which also builds the values."""
    import ijson

    parser = ijson.get_backend(backend)

    def run(reads: list[bytes]) -> int:
        found = ijson.sendable_list()
        elements = parser.items_coro(found, "item", use_float=True)
        frames = 0
        for read in reads:
            elements.send(read)
            frames += len(found)
            del found[:]
        return frames

    return run


SSE_RUNS = {
    "penstock, data as bytes": ours(partial(SSEDecoder, text=False)),
    "penstock, data as str": ours(SSEDecoder),
    "split only": split_only(b"\n\n"),
    "httpx-sse": httpx_sse_peer,
    "httpx2": httpx2_peer,
    "openai SDK": openai_peer,
}
GROUPS: dict[str, tuple[Callable[[int], bytes], dict[str, Any]]] = {
    "SSE as OpenAI sends it": (lambda n: OPENAI * n, SSE_RUNS),
    "SSE as Anthropic sends it": (lambda n: ANTHROPIC * n, SSE_RUNS),
    "AWS event stream": (
        lambda n: converse() * n,
        {"penstock": ours(EventStreamDecoder), "botocore": botocore_peer},
    ),
    "JSON lines": (
        lambda n: (OPENAI[6:-1]) * n,
        {"penstock": ours(JSONLinesDecoder), "split only": split_only(b"\n")},
    ),
    "JSON array as Gemini sends it": (
        lambda n: b"[" + b"\n,\r\n".join([GEMINI] * n) + b"]",
        {
            "penstock, elements as bytes": ours(JSONArrayDecoder),
            "ijson yajl2_c": partial(ijson_peer, "yajl2_c"),
            "ijson python": partial(ijson_peer, "python"),
        },
    ),
}
NO_PEER = (ImportError, AttributeError)


def ready(run: Any) -> Run | None:
    """The runner, or None where its package is not there."""
    if run in (httpx_sse_peer, httpx2_peer, openai_peer, botocore_peer) or isinstance(run, partial):
        try:
            return run()  # type: ignore[no-any-return]  # each of them makes a runner
        except NO_PEER:
            return None
    return run  # type: ignore[no-any-return]  # it is a runner


def measure(
    name: str, wire: bytes, reads_of: int, frames: int, runs: dict[str, Run], rounds: int
) -> None:
    """Print one group."""
    reads = [wire[start : start + reads_of] for start in range(0, len(wire), reads_of)]
    times: dict[str, list[float]] = {peer: [] for peer in runs}
    for _ in range(rounds):
        for peer, run in runs.items():
            begun = time.process_time()
            found = run(reads)
            times[peer].append((time.process_time() - begun) / frames * 1e6)
            assert found in (frames, -1), f"{peer} found {found} of {frames} frames"
    own = median(next(iter(times.values())))
    print(f"\n{name}, reads of {reads_of} bytes, {frames} frames")
    for peer, each in times.items():
        middle = median(each)
        print(
            f"  {peer:<28} {middle:8.3f} us  ({min(each):.3f} to {max(each):.3f})"
            f"  {middle / own:6.2f}x"
        )


def bench(frames: int, rounds: int) -> None:
    """Print all groups, in full reads and with one frame a read."""
    for name, (make, runs) in GROUPS.items():
        present = {peer: run for peer, raw in runs.items() if (run := ready(raw)) is not None}
        count = frames // 10 if "array" in name else frames
        wire = make(count)
        measure(name, wire, 16 * KIB, count, present, rounds)
        if "split only" not in present:
            continue
        one = {peer: run for peer, run in present.items() if peer != "split only"}
        measure(name, wire, len(make(1)), count, one, rounds)


def long_strings(sizes: tuple[int, ...], rounds: int) -> None:
    """Print what one element with one long string costs in small reads: it should not grow."""
    runs = {
        "penstock": ours(JSONArrayDecoder),
        "ijson yajl2_c": ready(partial(ijson_peer, "yajl2_c")),
    }
    print("\nJSON array, one string in reads of 1024 bytes, ms of CPU for each MiB")
    for peer, run in runs.items():
        if run is None:
            continue
        costs = []
        for size in sizes:
            wire = b'[{"data":"' + b"iVBORw0KGgoA" * (size // 12) + b'"}]'
            reads = [wire[start : start + KIB] for start in range(0, len(wire), KIB)]
            times = []
            for _ in range(rounds):
                begun = time.process_time()
                assert run(reads) == 1, f"{peer} found no element"
                times.append(time.process_time() - begun)
            costs.append(f"{size // KIB} KiB {median(times) * 1e3 * KIB * KIB / size:.1f}")
        print(f"  {peer:<28} {', '.join(costs)}")


def damaged(source: random.Random) -> Iterator[tuple[Callable[[], Any], bytes]]:
    """Yield decoders with wires that are almost right."""
    for make, unit in (
        (
            SSEDecoder,
            source.choice([OPENAI, ANTHROPIC, b": ping\r\n\r\n", b"id: 1\ndata\ndata:\r\r"]),
        ),
        (partial(SSEDecoder, text=False, max_event=300), OPENAI + ANTHROPIC),
        (EventStreamDecoder, converse()),
        (JSONLinesDecoder, source.choice([OPENAI[6:-1], b"\r\n", b"[]\r\n"])),
        (JSONArrayDecoder, b"[" + GEMINI + b"," + GEMINI + b"]"),
        (partial(JSONArrayDecoder, max_event=700, max_json_depth=7), b"[" + GEMINI),
    ):
        wire = bytearray(unit * source.randrange(1, 4))
        for _ in range(source.randrange(4)):
            at = source.randrange(len(wire) + 1)
            wire[at : at + source.randrange(3)] = source.choice(
                [b"", b"\n", b"\r", b'"', b"\\", b"{", b"]", b":", b"\xff", source.randbytes(2)]
            )
        yield make, bytes(wire)


def answer(make: Callable[[], Any], pieces: list[bytes]) -> tuple[list[Any], str]:
    """The frames of a wire and the error that ended it; any other exception is a fault of ours."""
    decoder, frames = make(), []
    try:
        for piece in pieces:
            frames += decoder.decode(piece)
        return frames + decoder.flush(), ""
    except (DecodeError, LimitExceededError) as error:
        return frames + error.frames, f"{type(error).__name__}: {error}"


def fuzz(seconds: float, seed: int) -> None:
    """Play random wires, whole and cut, for so long."""
    source = random.Random(seed)
    end = time.monotonic() + seconds
    wires = 0
    while time.monotonic() < end:
        for make, wire in damaged(source):
            places = sorted(source.choices(range(len(wire) + 1), k=source.randrange(1, 9)))
            pieces = [wire[a:b] for a, b in zip([0, *places], [*places, len(wire)], strict=True)]
            whole = answer(make, [wire])
            if whole != answer(make, pieces):
                raise SystemExit(f"seed {seed}, wire {wires}: {make} depends on the cut {places}")
            wires += 1
    print(f"{wires} wires in {seconds:.0f} s from seed {seed}: one answer each")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--fuzz", type=float, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="a small, quick run of both")
    options = parser.parse_args()
    print(setting())
    if options.smoke:
        bench(frames=200, rounds=1)
        long_strings((16 * KIB, 64 * KIB), rounds=1)
        fuzz(1, options.seed)
    elif options.fuzz:
        fuzz(options.fuzz, options.seed)
    else:
        bench(options.frames, options.rounds)
        long_strings((256 * KIB, 1024 * KIB, 4096 * KIB), options.rounds)


if __name__ == "__main__":
    main()
