"""A conversation with an agent as a value that travels: the files that it needs to go on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from penstock.errors import ConversationError

__all__ = ["Session", "read_files", "write_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Where a conversation with an agent stands.

    It pickles, and has a JSON form. It holds the agent's own record of the conversation (prompts,
    tool output, attachments), so treat it as sensitive; credentials are not in it.
    """

    agent: str
    """Whose session: ``claude_code``, ``codex``, ``opencode``, ``antigravity``."""
    id: str
    """The agent's id for it."""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """What has to be there to resume, by its path below the place where the agent keeps it."""
    totals: Mapping[str, float] = field(default_factory=dict)
    """What it has cost so far, by the agent's own names."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """What made it: the agent's version, where it says so."""

    def to_json(self) -> bytes:
        """Return it as JSON; file contents are base64."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes | str) -> Session:
        """Return the session that `to_json` made.

        Raises:
            ConversationError: It is none.
        """
        try:
            found: Any = msgspec.json.decode(data)  # Any: checked by the line below
            return msgspec.convert(found, cls)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeError) as exc:
            raise ConversationError(f"this is no session: {exc}", code="damaged") from exc


def read_files(root: Path, pattern: str) -> dict[str, bytes]:
    """Return the files below `root` that `pattern` names, by their paths."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.glob(pattern))
        if path.is_file()
    }


def write_files(root: Path, files: Mapping[str, bytes]) -> None:
    """Put `files` below `root`, unless they are there.

    Raises:
        ConversationError: One of them has gone on there, names a place outside, or cannot be
            written.
    """
    for name, content in files.items():
        path = root.joinpath(*_parts(name))
        try:
            if not _is_there(path, content, root):
                _write(path, content)
        except OSError as exc:
            raise ConversationError(
                f"the session's file {path.name:.100} cannot be restored: {exc.strerror}", code="io"
            ) from exc


def _parts(name: str) -> tuple[str, ...]:
    where = PurePosixPath(name)
    wrong = not where.parts or where.is_absolute() or ".." in where.parts
    if wrong or any(each in name for each in "\\:\0"):
        raise ConversationError(f"a session's file may not be {name!r:.100}", code="damaged")
    return where.parts


def _is_there(path: Path, content: bytes, root: Path) -> bool:
    """Whether a file has `content`, of which it may have the beginning."""
    if not path.exists():
        return False
    there = path.read_bytes()
    if not content.startswith(there):
        raise ConversationError(
            f"the session has gone on in {root.name}: {path.name} there is another;"
            " use a home= of its own",
            code="changed",
        )
    return there == content


def _write(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read, whole or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
