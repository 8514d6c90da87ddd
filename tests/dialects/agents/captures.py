"""Recorded turns of real agents, as the index beside them lists them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, TypeAlias

from penstock.chunks import Chunk
from penstock.decoders import JSONLinesDecoder
from penstock.dialects.agents.claude_code import ClaudeCodeAnswer
from penstock.dialects.agents.codex import CodexAnswer
from penstock.dialects.agents.opencode import OpenCodeAnswer
from penstock.errors import DecodeError, PenstockError
from penstock.interfaces import Answer, Ending

__all__ = ["MAKERS", "NOW", "Capture", "captures", "play"]

# JSON as an agent printed it.
Json: TypeAlias = Any

FOLDER = Path(__file__).parents[2] / "vectors" / "agents"
NOW = 1795219200.0
"""When the captures were made, about: 2026-11-21, 00:00 UTC."""

MAKERS: dict[str, Callable[[], Answer[bytes]]] = {
    "claude_code": lambda: ClaudeCodeAnswer(now=lambda: NOW),
    "codex": lambda: CodexAnswer(now=lambda: NOW, zone=UTC),
    "opencode": lambda: OpenCodeAnswer(now=lambda: NOW),
}


@dataclass(frozen=True, slots=True)
class Capture:
    """One recorded turn."""

    agent: str
    name: str
    wire: bytes
    ending: Ending

    def events(self) -> list[Json]:
        """Return the lines, read with the standard library."""
        return [json.loads(line) for line in self.wire.decode().split("\n") if line.strip()]


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a turn."""

    chunks: list[Chunk]
    error: PenstockError | None

    def summary(self) -> tuple[list[Chunk], Json]:
        """Return what must be the same for every cut."""
        error = self.error
        return self.chunks, error and (type(error), error.code, error.status, str(error))


def captures(agent: str) -> Iterator[Capture]:
    """Yield the recorded turns of `agent`, those without any output too."""
    for line in (FOLDER / agent / "index.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        code = row["exit_code"]
        wire = (FOLDER / agent / row["file"]).read_bytes() if row["file"] else b""
        if row["name"].startswith("opencode-export"):
            continue
        detail = "" if code == 0 else f"exit code {code}"
        ending = Ending(code == 0, detail, exit_code=code, stderr=row["stderr"])
        yield Capture(agent, row["name"].split("-", 2)[2], wire, ending)


def play(capture: Capture, pieces: Iterable[bytes]) -> Played:
    """Return what `pieces` of a turn amount to, as a provider reads them."""
    decoder, answer = JSONLinesDecoder(), MAKERS[capture.agent]()
    chunks: list[Chunk] = []
    try:
        for piece in pieces:
            answer.feed(decoder.decode(piece), chunks)
        ending = capture.ending
        try:
            answer.feed(decoder.flush(), chunks)
        except DecodeError:
            ending = Ending(False, "torn", exit_code=ending.exit_code, stderr=ending.stderr)
        if not answer.complete:
            answer.finish(ending, chunks)
    except PenstockError as error:
        return Played(chunks, error)
    return Played(chunks, None)
