"""Does any cut change an answer? Random, damaged wires in random cuts, for so many seconds.

It ends with an error, and the seed, at the first cut that changes what a decoder says.

Not shown: what the decoders cost (`benchmarks.decoders`).
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.decoders import ANTHROPIC, GEMINI, OPENAI, converse
from penstock.decoders import (
    EventStreamDecoder,
    JSONArrayDecoder,
    JSONLinesDecoder,
    SSEDecoder,
)
from penstock.errors import DecodeError, LimitExceededError

__all__ = ["main"]


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
    parser.add_argument("--seconds", type=float, default=60.0, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="one second")
    chosen = parser.parse_args()
    fuzz(1 if chosen.smoke else chosen.seconds, chosen.seed)


if __name__ == "__main__":
    main()
