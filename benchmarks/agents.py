"""What do 200 children of coding agents cost us at once, and does it grow with what they write?

The children are a stand-in (a shell that prints a recorded turn's shape), as what is measured is
our side: one process holds them all, each with its first words read and the rest unread, while they
write a little or a lot; what is not read waits in memory up to `Limits.max_queue_bytes` of each and
in a file above. Then all are read to their ends. Printed is the resident growth per child, held and
at its peak, with a child for each turn and with one that stays.

Not shown: the agents themselves (a real one has 100 MB and more), and their model's time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.fresh import fresh, rss, setting

__all__ = ["children", "main"]

QUEUE = 64 * 1024
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
            await asyncio.sleep(0.5 if size < 100_000 else 2.0)  # until the pipes are drained
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


def main() -> int:
    """Print the figures; return 1 where what waits is not bounded by the queue's size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--children", type=int, default=200)
    parser.add_argument("--smoke", action="store_true", help="20 children")
    options = parser.parse_args()
    count = 20 if options.smoke else options.children
    print(f"{setting()}; {count} children at once, queue of {QUEUE // 1024} KiB each")
    worst = 0.0
    for stays in (False, True):
        for size in (10_000, 1_000_000):
            arguments = {"count": count, "size": size, "stays": stays}
            found = fresh("benchmarks.agents", "children", **arguments)
            how = "stays" if stays else "a turn"
            print(
                f"{how:>7}, {size:>9,} bytes each: {found['held'] / 1024:6.1f} KiB held per child, "
                f"{found['after'] / 1024:6.1f} after, {found['alive']} alive, "
                f"{found['came']:,.0f} characters read of each"
            )
            worst = max(worst, found["held"])
    # The queue, and what one child costs besides: pipes, buffers, the stream.
    return int(worst > QUEUE + 512 * 1024)


if __name__ == "__main__":
    sys.exit(main())
