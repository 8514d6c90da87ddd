"""What an answer took: time to first token, pace, and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.stats import resident

if TYPE_CHECKING:
    from penstock.response import Reply

__all__ = ["Meter"]

_MIB = 1024 * 1024


class Meter:
    """Counts an answer's chunks, and how much the process grew while they came."""

    def __init__(self) -> None:
        self._before = resident()
        self._chunks = 0

    def tick(self) -> None:
        """Note a chunk."""
        self._chunks += 1

    def report(self, reply: Reply) -> str:
        """Return one line: the first token, the tokens and their pace, the memory."""
        timings, parts = reply.timings, []
        if timings.ttft is not None:
            parts.append(f"first token after {timings.ttft * 1000:.0f} ms")
        if reply.usage is not None and timings.total:
            pace = reply.usage.output_tokens / timings.total
            parts.append(f"{reply.usage.output_tokens} tokens, {pace:.0f} a second")
        else:
            parts.append(f"{self._chunks} chunks")
        now = resident()
        if now is not None and self._before is not None:
            grown = (now - self._before) / 1024
            parts.append(f"{now / _MIB:.0f} MiB resident, {grown:+.0f} KiB by this answer")
        if reply.cost is not None:
            parts.append(f"${reply.cost:.6f}")
        return "; ".join(parts)
