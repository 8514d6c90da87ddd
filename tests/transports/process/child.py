"""A stand-in for a coding agent: does what its arguments say, one after the other.

Run by path, with nothing but the standard library, so that it starts fast.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable


def say(text: str, end: str = "\n") -> None:
    """Write to stdout at once."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


def complain(size: str) -> None:
    """Flood stderr."""
    sys.stderr.write("e" * int(size) + "the end of it\n")
    sys.stderr.flush()


def replay(path: str) -> None:
    """Write a file to stdout as it is."""
    with open(path, encoding="utf-8", newline="") as file:
        say(file.read(), "")


def breed(seconds: str) -> None:
    """Leave a grandchild behind that holds the pipes."""
    held = subprocess.Popen(["sleep", seconds])
    say(f'{{"pid":{held.pid}}}')


def count(lines: str) -> None:
    """Write so many lines of a kilobyte each."""
    for number in range(int(lines)):
        say(f'{{"line":{number},"fill":"{"y" * 1000}"}}')


STEPS: dict[str, Callable[[str], object]] = {
    "say": say,
    "half": lambda text: say(text, ""),
    "replay": replay,
    "long": lambda size: say('{"text":"' + "x" * int(size) + '"}'),
    "lines": count,
    "stderr": complain,
    "echo": lambda _: say(f'{{"read":{len(sys.stdin.buffer.read())}}}'),
    "environment": lambda _: say(",".join(sorted(os.environ))),
    "stubborn": lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "grandchild": breed,
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda code: os._exit(int(code)),
}


def main(steps: list[str]) -> None:
    """Do `steps`: a name, and after a colon what it is done with."""
    for step in steps:
        name, _, value = step.partition(":")
        STEPS[name](value)


if __name__ == "__main__":
    main(sys.argv[1:])
