"""What does a decoder cost per frame, beside other people's?

Each decoder over one wire in reads of one size, in turn in each round, so that a busy machine is
busy for all.

Not shown: parsing of the JSON in a frame, except for ijson, which has no other way; the network;
and that the peers' string decoders are given text that was decoded for free. httpx-sse and the
openai SDK have no bounds, botocore's buffer is copied with each read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from struct import pack
from typing import Any
from zlib import crc32

from benchmarks.fresh import setting
from benchmarks.rounds import Case, Report, note_own_versions, options
from penstock.decoders import (
    EventStreamDecoder,
    JSONArrayDecoder,
    JSONLinesDecoder,
    SSEDecoder,
)

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
    "penstock": ours(partial(SSEDecoder, text=False)),
    "penstock, as str": ours(SSEDecoder),
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
            "penstock": ours(JSONArrayDecoder),
            "ijson yajl2_c": partial(ijson_peer, "yajl2_c"),
            "ijson python": partial(ijson_peer, "python"),
        },
    ),
}
Found = dict[str, list[float]]
NO_PEER = (ImportError, AttributeError)


def ready(run: Any) -> Run | None:
    """The runner, or None where its package is not there."""
    if run in (httpx_sse_peer, httpx2_peer, openai_peer, botocore_peer) or isinstance(run, partial):
        try:
            return run()  # type: ignore[no-any-return]  # each of them makes a runner
        except NO_PEER:
            return None
    return run  # type: ignore[no-any-return]  # it is a runner


def measure(wire: bytes, reads_of: int, frames: int, runs: dict[str, Run], rounds: int) -> Found:
    """Return microseconds of CPU per frame, a value for each round."""
    reads = [wire[start : start + reads_of] for start in range(0, len(wire), reads_of)]
    found: Found = {peer: [] for peer in runs}
    for _ in range(rounds):
        for peer, run in runs.items():
            begun = time.process_time()
            count = run(reads)
            found[peer].append((time.process_time() - begun) / frames * 1e6)
            assert count in (frames, -1), f"{peer} found {count} of {frames} frames"
    return found


def bench(frames: int, rounds: int, report: Report) -> None:
    """Measure all groups, in full reads and with one frame a read."""
    for name, (make, runs) in GROUPS.items():
        present = {peer: run for peer, raw in runs.items() if (run := ready(raw)) is not None}
        count = frames // 10 if "array" in name else frames
        wire = make(count)
        found = measure(wire, 16 * KIB, count, present, rounds)
        report.add(Case(f"{name}, reads of 16 KiB", "µs CPU a frame", "penstock", found))
        if "split only" not in present:
            continue
        one = {peer: run for peer, run in present.items() if peer != "split only"}
        found = measure(wire, len(make(1)), count, one, rounds)
        report.add(Case(f"{name}, a frame a read", "µs CPU a frame", "penstock", found))


def long_strings(sizes: tuple[int, ...], rounds: int, report: Report) -> None:
    """Measure an element with one long string in small reads: a MiB of it should cost the same."""
    raw = {"penstock": ours(JSONArrayDecoder), "ijson yajl2_c": partial(ijson_peer, "yajl2_c")}
    runs = {peer: run for peer, each in raw.items() if (run := ready(each)) is not None}
    for size in sizes:
        wire = b'[{"data":"' + b"iVBORw0KGgoA" * (size // 12) + b'"}]'
        per_mib = {
            peer: [each / 1000 * KIB * KIB / size for each in values]
            for peer, values in measure(wire, KIB, 1, runs, rounds).items()
        }
        name = f"JSON array, a string of {size // KIB} KiB in reads of 1 KiB"
        report.add(Case(name, "ms CPU a MiB", "penstock", per_mib))


def main() -> None:
    """Measure every decoder, and print ratios to penstock's."""
    chosen = options(__doc__, rounds=7)
    report = Report("decoders", __doc__ or "")
    if not chosen.smoke:
        note_own_versions(report, "botocore", "httpx-sse", "httpx2", "ijson", "openai")
    print(setting())
    bench(200 if chosen.smoke else 20_000, chosen.rounds, report)
    sizes = (16, 64) if chosen.smoke else (256, 1024, 4096)
    long_strings(tuple(size * KIB for size in sizes), chosen.rounds, report)
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
