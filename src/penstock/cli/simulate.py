"""``penstock simulate``: the simulator as a server of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from penstock.cli.console import printed_at_once
from penstock.simulator import faults, serve

__all__ = ["run", "show_faults"]


async def run(host: str, port: int, replay: tuple[str, ...]) -> int:
    """Serve until interrupted."""
    recordings = {}
    for named in replay:
        name, found, path = named.partition("=")
        file = Path(path if found else named)
        recordings[name if found else file.stem] = str(file)
    await serve(host, port, recordings=recordings, ready=printed_at_once)
    return 0


def show_faults() -> int:
    """Print every fault with its description."""
    width = max(map(len, faults()))
    sys.stdout.writelines(f"{name:{width}}  {what}\n" for name, what in faults().items())
    return 0
