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
from penstock.dialects.agents.antigravity_steps import AntigravityStepsAnswer
from penstock.dialects.agents.claude_code import ClaudeCodeAnswer
from penstock.dialects.agents.codex import CodexAnswer
from penstock.dialects.agents.codex_server import CodexServerAnswer
from penstock.dialects.agents.opencode import OpenCodeAnswer
from penstock.dialects.agents.opencode_events import OpenCodeEventsAnswer
from penstock.errors import DecodeError, PenstockError
from penstock.interfaces import Answer, Ending

__all__ = ["MAKERS", "NOW", "Capture", "captures", "exchange", "play"]

# JSON as an agent printed it.
Json: TypeAlias = Any

FOLDER = Path(__file__).parents[2] / "vectors" / "agents"
NOW = 1795219200.0
"""When the captures were made, about: 2026-11-21, 00:00 UTC."""

PREFIXES = {
    "antigravity_sdk": "antigravity-sdk-steps-",
    "claude_code": "claude-code-",
    "codex": "codex-exec-",
    "codex_server": "codex-app-server-",
    "opencode": "opencode-run-",
    "opencode_events": "opencode-serve-events-",
}
"""What a capture's name begins with."""

MAKERS: dict[str, Callable[[], Answer[bytes]]] = {
    "antigravity_sdk": lambda: AntigravityStepsAnswer(now=lambda: NOW),
    "claude_code": lambda: ClaudeCodeAnswer(now=lambda: NOW),
    "codex": lambda: CodexAnswer(now=lambda: NOW, zone=UTC),
    "codex_server": lambda: CodexServerAnswer(now=lambda: NOW, zone=UTC),
    "opencode": lambda: OpenCodeAnswer(now=lambda: NOW),
    "opencode_events": lambda: OpenCodeEventsAnswer(now=lambda: NOW),
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
        if not row["name"].startswith(PREFIXES[agent]):  # an export
            continue
        code = row.get("exit_code")  # none: the child went on
        wire = (FOLDER / agent / row["file"]).read_bytes() if row["file"] else b""
        detail = "" if not code else f"exit code {code}"
        ending = Ending(not code, detail, exit_code=code, stderr=row["stderr"])
        name = row["name"].removeprefix(PREFIXES[agent])
        turns = _turns(agent, name, wire)
        for number, turn in enumerate(turns, 1):
            called = name if len(turns) == 1 else f"{name}/{number}"
            yield Capture(agent, called, turn, ending)


def exchange(agent: str, name: str) -> list[tuple[bool, bytes]]:
    """Return the lines of a child that stays, and whether each is the client's."""
    file = f"{PREFIXES[agent]}{name}.jsonl"
    lines = (FOLDER / agent / file).read_bytes().splitlines()
    found = [(line.startswith(b'{"client": '), line) for line in lines]
    return [(ours, line[len(b'{"client": ') : -1] if ours else line) for ours, line in found]


def _turns(agent: str, name: str, wire: bytes) -> list[bytes]:
    """Return the turns of a recording; what a client said, and what follows an end, is left out."""
    lines = [each for each in wire.splitlines(keepends=True) if not each.startswith(b'{"client"')]
    if agent == "claude_code" and name.startswith("stream-input"):
        return _ended(lines, lambda event: event["type"] == "result")
    if agent == "opencode_events":
        # What comes behind a turn's end begins with no message of a user's.
        ended = _ended(lines, lambda event: event["type"] == "session.idle")
        return [turn for turn in ended if b'"type":"text","text":' in turn]
    return [b"".join(lines)]


def _ended(lines: list[bytes], end: Callable[[Json], bool]) -> list[bytes]:
    turns: list[list[bytes]] = [[]]
    for line in lines:
        turns[-1].append(line)
        if end(json.loads(line)):
            turns.append([])
    whole = turns[:-1] or turns  # one that never ends is a turn, too
    return [b"".join(turn) for turn in whole]


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
