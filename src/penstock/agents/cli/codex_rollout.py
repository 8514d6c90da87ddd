"""What Codex' record of a session, its rollout, says: its provider, and the prompt in force.

A session keeps the one that it began with: ``exec resume`` and ``thread/resume`` of 0.169.0 take
another and send the first. So another is told in the prompt, once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from penstock.errors import ConversationError

__all__ = ["PATTERN", "is_plain", "preface", "provider_of"]

PATTERN = "sessions/*/*/*/rollout-*-{id}.jsonl"
"""Where a session's rollout is, below Codex' home."""
_OPEN = "From here on this is the system prompt, and none before it:\n<system_prompt>\n"
_CLOSE = "\n</system_prompt>\n\n"

# A line of a rollout.
Json: TypeAlias = Any


def preface(root: Path, id: str, system: str | None) -> str:
    """Return what stands before the prompt that resumes a session: nothing, or its new system.

    Args:
        root: Codex' home.
        id: The session's.
        system: The system prompt that it is to have; None leaves it the one that it has.
    """
    told = f"{_OPEN}{system}{_CLOSE}"
    path = _found(root, id) if system else None
    if not system or path is None:
        return ""
    in_force = False
    for role, texts in _readable(path):
        if role == "developer" and system.strip() in (text.strip() for text in texts):
            in_force = True
        elif role == "user" and any(text.startswith(_OPEN) for text in texts):
            in_force = any(text.startswith(told) for text in texts)
    return "" if in_force else told


def provider_of(root: Path, id: str) -> str | None:
    """Return the model provider that a session began with, and must go on with.

    Args:
        root: Codex' home.
        id: The session's.
    """
    path = _found(root, id)
    try:
        with open(path or os.devnull, "rb") as file:
            said: Json = msgspec.json.decode(file.readline())["payload"]["model_provider"]
    except (OSError, LookupError, TypeError, msgspec.DecodeError):  # none, or none of ours
        return None
    return said if isinstance(said, str) else None


def is_plain(id: str) -> bool:
    """Return whether an id is one, and no path or pattern."""
    return id.replace("-", "").isalnum()


def _found(root: Path, id: str) -> Path | None:
    paths = [*root.glob(PATTERN.format(id=id))] if is_plain(id) else []
    return paths[-1] if paths else None


def _readable(path: Path) -> Iterator[tuple[str, list[str]]]:
    try:
        yield from _messages(path)
    except OSError as exc:
        raise ConversationError(
            f"Codex' record of the session cannot be read ({exc.strerror}): {path.name}", code="io"
        ) from exc


def _messages(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The messages, with their texts; of the other lines, which may be long, none is decoded."""
    with path.open("rb") as file:
        for line in file:
            if b'"developer"' in line or b"<system_prompt>" in line:
                yield from _in(line)


def _in(line: bytes) -> Iterator[tuple[str, list[str]]]:
    try:
        payload: Json = msgspec.json.decode(line).get("payload") or {}
        # Of a compacted thread the messages that are left stand in one line.
        for item in (payload, *(payload.get("replacement_history") or ())):
            if isinstance(item, Mapping) and isinstance(item.get("content"), list):
                yield str(item.get("role")), [str(part.get("text")) for part in item["content"]]
    except (msgspec.DecodeError, AttributeError):  # cut off as it was written, or none of ours
        return
