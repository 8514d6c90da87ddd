"""Kills a writing process at random points, and checks each time that what it told of is there.

python killing.py FILE ROUNDS SEED: prints a line for what was found, and ends with 1 at a fault. It
forks, so it is a program of its own: no thread of a test runner is copied.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path
from struct import pack, unpack
from time import sleep

from penstock.conversations import SyncConversation


def message(number: int) -> dict[str, str]:
    """Message number so and so, of a length that depends on it; some are above a block."""
    size = 70_000 if number % 23 == 0 else number * 37 % 900
    return {"role": "user", "content": f"{number}:" + "x" * size}


def write(path: Path, told: int) -> None:
    """Append messages, and tell of each once it is kept; until killed."""
    with SyncConversation.open(path) as kept:
        number = len(kept)
        while True:
            if number % 5 == 0:
                kept.extend([message(number), message(number + 1)])
                number += 2
            else:
                kept.append(message(number))
                number += 1
            os.write(told, pack(">Q", number))


def round_of(path: Path, draw: random.Random) -> tuple[int, int]:
    """Let a child write, kill it, and return what it told of and what is there."""
    read, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            write(path, told)
        finally:
            os._exit(1)  # only a fault ends it by itself
    os.close(told)
    known = 0
    for _ in range(draw.randrange(1, 12)):
        if not (data := os.read(read, 8)):
            break
        (known,) = unpack(">Q", data)
    sleep(draw.random() * 0.002)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise SystemExit("the child ended by itself")
    while data := os.read(read, 8):  # what it told of until it died
        (known,) = unpack(">Q", data)
    os.close(read)
    with SyncConversation.open(path) as kept:
        for number, found in enumerate(kept):
            if found != message(number):
                raise SystemExit(f"message {number} is {str(found)[:80]}")
        return known, len(kept)


def main(path: Path, rounds: int, seed: int) -> None:
    """Do `rounds` of it on one file."""
    draw = random.Random(seed)
    unsaid = 0
    for number in range(rounds):
        known, there = round_of(path, draw)
        if there < known:
            raise SystemExit(f"round {number}: told of {known} messages, {there} are there")
        unsaid += there > known
        if there > 400:
            with SyncConversation.open(path) as kept:
                kept.truncate(0)
    torn = path.with_name(path.name + ".torn")
    size = torn.stat().st_size if torn.exists() else 0
    told = f"{rounds} kills, {unsaid} between keeping and telling, {size} torn bytes set aside\n"
    sys.stdout.write(told)


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
