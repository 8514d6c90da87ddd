"""Kills a writing process at random points, and checks each time that what it told of is there.

python killing.py FILE ROUNDS SEED: prints a line for what was found, and ends with 1 at a fault. It
forks, so it is a program of its own: no thread of a test runner is copied.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from struct import pack, unpack
from time import sleep
from typing import TypeAlias

from penstock.conversations import SyncConversation

State: TypeAlias = "tuple[list[str], set[int]]"
"""What messages say, and which of them are pinned."""
Step: TypeAlias = "tuple[str, int, str]"
"""A method, and the number or the text that it takes."""


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


def write_half(path: Path, told: int, last: int) -> None:
    """Do the same, and die half through write number `last` to a file of lines."""
    real, left = os.pwrite, iter(range(last, 0, -1))

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        if next(left) > 1:
            return real(descriptor, data, offset)
        real(descriptor, data[: len(data) // 2], offset)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    os.pwrite = pwrite  # type: ignore[assignment]  # as it is called here
    write(path, told)


def change(path: Path, told: int, draw: random.Random) -> None:
    """Change messages, and tell how many changes are done; until killed."""
    with SyncConversation.open(path) as kept:
        state, done = state_of(kept), 0
        while True:
            step = drawn(draw, state)
            method, index, text = step
            if method == "append":
                kept.append({"role": "user", "content": text})
            elif method == "redact":
                kept.redact(index, text)
            else:
                getattr(kept, method)(index)
            state, done = after(state, step), done + 1
            os.write(told, pack(">Q", done))


def state_of(kept: SyncConversation) -> State:
    """What is there."""
    return [each["content"] for each in kept], {*kept.pinned()}


def drawn(draw: random.Random, state: State) -> Step:
    """A change that can be made."""
    methods = ["append"] * 4 + ["redact", "delete", "truncate", "pin"] * bool(state[0])
    text = f"{draw.random()}" + "x" * draw.randrange(9000)
    return draw.choice(methods), draw.randrange(len(state[0]) or 1), text


def after(state: State, step: Step) -> State:
    """What is there once a change is made."""
    (texts, pinned), (method, index, text) = state, step
    match method:
        case "append":
            return [*texts, text], pinned
        case "redact":
            return [*texts[:index], text, *texts[index + 1 :]], pinned
        case "delete":
            moved = {each - (each > index) for each in pinned if each != index}
            return texts[:index] + texts[index + 1 :], moved
        case "truncate":
            return texts[:index], {each for each in pinned if each < index}
        case _:
            return texts, {*pinned, index}


def killed(child_does: Callable[[int], None], draw: random.Random, most: int) -> int:
    """Let a child work, kill it, and return the last number that it told of."""
    read, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            child_does(told)
        finally:
            os._exit(1)  # only a fault ends it by itself
    os.close(told)
    known = 0
    for _ in range(draw.randrange(1, most)):
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
    return known


def round_of(path: Path, draw: random.Random, *, halves: bool) -> tuple[int, int]:
    """Have one append and killed; return what it told of and what is there."""
    if halves:
        last = draw.randrange(1, 6)
        known = killed(lambda told: write_half(path, told, last), draw, 10_000)
    else:
        known = killed(lambda told: write(path, told), draw, 12)
    with SyncConversation.open(path) as kept:
        for number, found in enumerate(kept):
            if found != message(number):
                raise SystemExit(f"message {number} is {str(found)[:80]}")
        return known, len(kept)


def round_of_changes(path: Path, draw: random.Random) -> bool:
    """Have one change messages and killed; return whether one change was kept and not told of."""
    with SyncConversation.open(path) as kept:
        state = state_of(kept)
    seed = draw.random()
    known = killed(lambda told: change(path, told, random.Random(seed)), draw, 12)
    steps = random.Random(seed)
    for _ in range(known):
        state = after(state, drawn(steps, state))
    with SyncConversation.open(path) as kept:
        found = state_of(kept)
    unsaid = after(state, drawn(steps, state))
    if found not in (state, unsaid):
        raise SystemExit(f"{known} changes were told of, and what is there is neither that nor one")
    return found != state


def main(path: Path, rounds: int, seed: int) -> None:
    """Do `rounds` of it on one file, and a few on another whose messages are changed as well."""
    draw = random.Random(seed)
    in_lines = path.suffix == ".jsonl"
    unsaid = 0
    for number in range(rounds):
        known, there = round_of(path, draw, halves=in_lines and number % 10 == 9)
        if there < known:
            raise SystemExit(f"round {number}: told of {known} messages, {there} are there")
        unsaid += there > known
        if there > 400:
            with SyncConversation.open(path) as kept:
                kept.truncate(0)
    for _ in range(rounds // 4):
        unsaid += round_of_changes(path.with_name(f"changed{path.suffix}"), draw)
    torn = path.with_name(path.name + ".torn")
    if in_lines and not torn.exists():
        raise SystemExit("no kill left a torn end: nothing was seen of setting one aside")
    told = f"{rounds + rounds // 4} kills, {unsaid} between keeping and telling\n"
    sys.stdout.write(told)


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
