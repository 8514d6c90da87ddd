"""What does a decoder cost per frame, beside other people's?

Each decoder over one wire in reads of one size, in a fresh process of its own environment, the best
of a few passes. `split only` splits each read and does nothing else: the floor, which does not put
together what two reads share.

Not shown: parsing of the JSON in a frame, except for ijson, which has no other way; the network;
and that the peers' string decoders are given text that was decoded for free. httpx-sse and the
openai SDK have no bounds, botocore's buffer is copied with each read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from struct import pack
from typing import Any
from zlib import crc32

from benchmarks.best import best
from benchmarks.fresh import fresh, setting
from benchmarks.rounds import Case, Peer, Report, by_case, options, paired, present

__all__ = ["ANTHROPIC", "GEMINI", "OPENAI", "converse", "main", "measure"]

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


def ours(name: str, **more: Any) -> Run:
    """Feed a penstock decoder. Any: its options."""
    from penstock import decoders

    make = partial(getattr(decoders, name), **more)

    def run(reads: list[bytes]) -> int:
        decoder = make()
        frames = sum(len(decoder.decode(read)) for read in reads)
        return frames + len(decoder.flush())

    return run


def split_only(separator: bytes) -> Run:
    """Split each read, and count what came out."""

    def run(reads: list[bytes]) -> int:
        return sum(len(read.split(separator)) for read in reads)

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


_SSE = {
    "penstock": partial(ours, "SSEDecoder", text=False),
    "penstock as str": partial(ours, "SSEDecoder"),
    "split only": partial(split_only, b"\n\n"),
    "httpx-sse": httpx_sse_peer,
    "httpx2": httpx2_peer,
    "openai SDK": openai_peer,
}
_ARRAY: dict[str, Callable[[], Run]] = {
    "penstock": partial(ours, "JSONArrayDecoder"),
    "ijson yajl2_c": partial(ijson_peer, "yajl2_c"),
    "ijson python": partial(ijson_peer, "python"),
}
_EVENTS: dict[str, Callable[[], Run]] = {
    "penstock": partial(ours, "EventStreamDecoder"),
    "botocore": botocore_peer,
}
_LINES: dict[str, Callable[[], Run]] = {
    "penstock": partial(ours, "JSONLinesDecoder"),
    "split only": partial(split_only, b"\n"),
}
GROUPS: dict[str, tuple[Callable[[int], bytes], dict[str, Callable[[], Run]]]] = {
    "SSE as OpenAI sends it": (lambda n: OPENAI * n, _SSE),
    "SSE as Anthropic sends it": (lambda n: ANTHROPIC * n, _SSE),
    "AWS event stream": (lambda n: converse() * n, _EVENTS),
    "JSON lines": (lambda n: (OPENAI[6:-1]) * n, _LINES),
    "JSON array as Gemini sends it": (
        lambda n: b"[" + b"\n,\r\n".join([GEMINI] * n) + b"]",
        _ARRAY,
    ),
}
PEERS = {
    "penstock": "penstock",
    "penstock as str": "penstock",
    "split only": "penstock",
    "httpx-sse": "httpx-sse",
    "httpx2": "httpx2",
    "openai SDK": "openai",
    "botocore": "botocore",
    "ijson yajl2_c": "ijson",
    "ijson python": "ijson",
}


def pass_over(run: Run, wire: bytes, reads_of: int, frames: int, repeats: int) -> float:
    """Return microseconds of CPU per frame; `frames` of 0 are any number of them, taken as one."""
    reads = [wire[start : start + reads_of] for start in range(0, len(wire), reads_of)]

    def once() -> int:
        count = run(reads)
        assert not frames or count == frames, f"{count} of {frames} frames"
        return frames or 1

    return best(once, repeats)


def of_groups(peer: str, frames: int, repeats: int) -> Iterator[tuple[str, float]]:
    """Yield the costs per frame, in full reads and with one frame a read."""
    for name, (make, runs) in GROUPS.items():
        if peer not in runs:
            continue
        count = frames // 10 if "array" in name else frames
        wire, run, bare = make(count), runs[peer](), peer == "split only"
        # What splits alone finds an end at each read: its frames are divided by afterwards.
        found = pass_over(run, wire, 16 * KIB, 0 if bare else count, repeats)
        yield f"{name}, reads of 16 KiB", found / count if bare else found
        if not bare and "split only" in runs:
            found = pass_over(run, wire, len(make(1)), count, repeats)
            yield f"{name}, a frame a read", found


def of_long_strings(peer: str, sizes: list[int], repeats: int) -> Iterator[tuple[str, float]]:
    """Yield milliseconds a MiB of one long string in small reads, which should not grow."""
    if peer not in ("penstock", "ijson yajl2_c"):
        return
    for size in sizes:
        wire = b'[{"data":"' + b"iVBORw0KGgoA" * (size // 12) + b'"}]'
        found = pass_over(_ARRAY[peer](), wire, KIB, 1, repeats) / 1000 * KIB * KIB / size
        yield f"JSON array, a string of {size // KIB} KiB in reads of 1 KiB", found


def measure(peer: str, frames: int, sizes: list[int], repeats: int) -> dict[str, float]:
    """Return all figures of one peer, by the names of the comparisons."""
    return {
        **dict(of_groups(peer, frames, repeats)),
        **dict(of_long_strings(peer, sizes, min(repeats, 1))),
    }


def main() -> None:
    """Measure every decoder, and print ratios to penstock's."""
    chosen = options(__doc__)
    frames, sizes, repeats = 20_000, [256 * KIB, 1024 * KIB, 4096 * KIB], 3
    if chosen.smoke:
        frames, sizes, repeats = 200, [16 * KIB, 64 * KIB], 1
    report = Report("decoders", __doc__ or "")
    peers = present(PEERS, chosen, report)
    print(f"{chosen.rounds} rounds. {setting()}")

    def once(peer: Peer) -> dict[str, float]:
        arguments = {"peer": peer.name, "frames": frames, "sizes": sizes, "repeats": repeats}
        found: dict[str, float] = fresh(
            "benchmarks.decoders", "measure", python=peer.python, **arguments
        )
        return found

    for name, found in by_case(paired(peers, chosen.rounds, once, report)).items():
        unit = "ms CPU a MiB" if "a string of" in name else "µs CPU a frame"
        report.add(Case(name, unit, "penstock", found))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
