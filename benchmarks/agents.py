"""What do 200 children of coding agents cost at once, and does it grow with what they write?

The children are a stand-in (a shell that prints a recorded turn's shape), as what is measured is
our side: one process holds them all, each with its first words read and the rest unread, while they
write a little or a lot. What is not read waits in memory up to `Limits.max_queue_bytes` of each,
here 64 KiB, and in a file above. Then all are read to their ends. A row is the resident growth for
each child, held and after all have been read, with a child for each turn and with one that stays.
asyncio alone has a child and three pipes of it, a `StreamReader` of 64 KiB for each of two, and
stops reading there: a program that goes on writing waits for it.

Not shown: the agents themselves (a real one has 100 MB and more), and their model's time.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.fresh import fresh, rss, setting
from benchmarks.rounds import Case, Peer, Report, options, paired

__all__ = ["bare", "children", "main"]

KIB = 1024
QUEUE = 64 * KIB
"""``Limits.max_queue_bytes`` of the measured agents."""
TURN = """sed "s/SESSION/$$/" "$0.first"; cat >/dev/null; cat "$0.rest"; exec sleep 600
"""
STAY = """while read -r line; do sed "s/SESSION/$$/" "$0.first"; cat "$0.rest"; done
"""


def written(folder: Path, size: int, *, stays: bool) -> str:
    """Make the stand-in, which writes `size` bytes behind its first words; return its path."""
    program = folder / "agent"
    init = {"type": "system", "subtype": "init", "session_id": "SESSION", "model": "m"}
    first = [init, said("m0", "first")]
    rest = [said(f"m{n}", "words " * 600) for n in range(1, size // 3600 + 1)]
    rest.append({"type": "result", "is_error": False, "result": "done"})
    for name, lines in (("first", first), ("rest", rest)):
        Path(f"{program}.{name}").write_text("".join(json.dumps(each) + "\n" for each in lines))
    program.write_text("#!/bin/sh\n" + (STAY if stays else TURN))
    program.chmod(0o700)
    return str(program)


def said(id: str, text: str) -> dict[str, Any]:
    """One message, as Claude Code prints it."""
    content = [{"type": "text", "text": text}]
    return {"type": "assistant", "message": {"id": id, "content": content}}


async def children(count: int, size: int, *, stays: bool) -> dict[str, Any]:
    """Hold `count` of them, read them all; return resident bytes per child, and what came."""
    from penstock.agents.cli import Agent, AgentOptions, ClaudeCode
    from penstock.limits import Limits
    from penstock.transports.process import ProcessTransport

    with tempfile.TemporaryDirectory() as folder:
        options = AgentOptions(
            program=written(Path(folder), size, stays=stays),
            keep_alive=stays,
            max_idle=count + 5,
            limits=Limits(max_queue_bytes=QUEUE),
            home=folder,
        )
        # A stand-in does not go by itself; it need not be waited for.
        transport = ProcessTransport(linger=0.05, grace=0.5)
        async with Agent(ClaudeCode(options=options), transport=transport) as agent:
            warm = [await opened(agent) for _ in range(5)]
            await asyncio.gather(*(finished(each) for each in warm))
            gc.collect()
            before = rss()
            streams = [await opened(agent) for _ in range(count)]
            await asyncio.sleep(_pause(size))
            held = rss() - before
            alive = len(agent._transport._alive)
            came = sum(await asyncio.gather(*(finished(each) for each in streams)))
            del streams
            gc.collect()
            after = rss() - before
    return {
        "held": held / count,
        "after": after / count,
        "alive": alive,
        "came": came / count,
    }


async def opened(agent: Any) -> Any:
    """Ask, and read no more than the first words."""
    from penstock.request import ChatRequest

    return await agent.open(ChatRequest(model="claude-code", messages="x"))


async def finished(stream: Any) -> int:
    """Read to the end; return how many characters came."""
    size = 0
    while batch := await stream.read():
        size += sum(len(chunk.text) for chunk in batch)
    await stream.aclose()
    return size


async def bare(count: int, size: int, *, stays: bool) -> dict[str, Any]:
    """Hold `count` of asyncio's own children, and read them; return the same."""
    with tempfile.TemporaryDirectory() as folder:
        program = written(Path(folder), size, stays=stays)
        warm = [await _spoken(program, stays=stays) for _ in range(5)]
        await asyncio.gather(*map(_read, warm))
        gc.collect()
        before = rss()
        held = [await _spoken(program, stays=stays) for _ in range(count)]
        await asyncio.sleep(_pause(size))
        found = {"held": (rss() - before) / count, "alive": len(held)}
        came = sum(await asyncio.gather(*map(_read, held)))
        del held
        gc.collect()
        return {**found, "after": (rss() - before) / count, "came": came / count}


async def _spoken(program: str, *, stays: bool) -> asyncio.subprocess.Process:
    """Start a child, ask, and read its first words."""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(program, stdin=pipe, stdout=pipe, stderr=pipe)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"x\n")
    if not stays:
        child.stdin.close()
    await child.stdout.readline()
    return child


async def _read(child: asyncio.subprocess.Process) -> int:
    """Read to the end of the turn, and end it; return how many bytes came."""
    assert child.stdout is not None
    size = 0
    while line := await child.stdout.readline():
        size += len(line)
        if b'"result"' in line:
            break
    child.kill()
    await child.wait()
    return size


def _pause(size: int) -> float:
    """Seconds until the pipes are drained, as far as they are."""
    return 0.5 if size < 100_000 else 2.0


SIZES = {"10 kB": 10_000, "1 MB": 1_000_000}


def main() -> int:
    """Measure; return 1 where what waits is not bounded by the queue's size."""
    chosen = options(__doc__, rounds=2)
    count = 20 if chosen.smoke else 200
    report = Report("agents", __doc__ or "", seconds=chosen.seconds)
    print(f"{count} children at once, queue of {QUEUE // KIB} KiB each. {setting()}")
    worst = 0.0
    for stays in (False, True):
        for said, size in SIZES.items():
            found = _found(report, chosen.rounds, count=count, size=size, stays=stays)
            worst = max([worst, *found.get("penstock, held", [])])
            how = "that stay" if stays else "of a turn"
            name = f"{count} children {how}, each writes {said}"
            report.add(Case(name, "KiB resident a child", "asyncio alone, held", found))
    report.finish(chosen.keep)
    # The queue, and what one child costs besides: pipes, buffers, the stream.
    return int(worst > (QUEUE + 512 * KIB) / KIB)


_FUNCTIONS = {"asyncio alone": "bare", "penstock": "children"}


def _found(report: Report, rounds: int, **arguments: Any) -> dict[str, list[float]]:
    """Return KiB of each peer, held and after, a figure for each round."""

    def once(peer: Peer) -> dict[str, float]:
        found: dict[str, float] = fresh("benchmarks.agents", _FUNCTIONS[peer.name], **arguments)
        assert found["came"] > arguments["size"] * 0.7, found
        return found

    peers = [Peer(name, "penstock") for name in _FUNCTIONS]
    measured = paired(peers, rounds, once, report)
    return {
        f"{name}, {what}": [each[what] / KIB for each in values]
        for what in ("held", "after")
        for name, values in measured.items()
    }


if __name__ == "__main__":
    sys.exit(main())
