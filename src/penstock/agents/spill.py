"""Results that are too large for the model: their beginning for it, the whole in a file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.agents.tools import ToolResult

if TYPE_CHECKING:
    from penstock.agents.limits import LoopLimits

__all__ = ["Fitted", "Spill"]

# Parts of the OpenAI shape.
Json: TypeAlias = Any

Fitted: TypeAlias = tuple[ToolResult, int, str | None]
"""What the model gets, the whole's size in bytes, and the file that has it, if one does."""


class Spill:
    """Makes results fit; keeps what is cut off in a folder of its own until it is closed.

    Results of calls at once come in threads of their own, and some when it is closed already.

    Args:
        limits: The bounds.
    """

    def __init__(self, limits: LoopLimits) -> None:
        self._limits = limits
        self._folder: str | None = None
        self._files: deque[tuple[str, int]] = deque()
        self._size = 0
        self._count = 0
        self._closed = False
        self._lock = Lock()

    def fit(self, result: ToolResult) -> Fitted:
        """Return what the model gets of `result`; it may wait for a disk.

        Raises:
            OSError: The whole cannot be kept.
        """
        if isinstance(result.content, str):
            whole = _bytes(result.content)
            if len(whole) > self._limits.max_read:
                return self._refused(len(whole)), len(whole), None
            if len(whole) <= self._limits.max_result:
                return result, len(whole), None
            content: str | list[Json] = self._cut(whole, len(whole))
            return ToolResult(content, result.is_error), len(whole), self._write(whole)
        texts = b"".join(_bytes(part.get("text", "")) for part in result.content)
        size = len(texts) + sum(_media(part) for part in result.content)
        if size > self._limits.max_read:
            return self._refused(size), size, None
        if len(texts) <= self._limits.max_result:
            return result, size, None
        return ToolResult(self._parts(result.content), result.is_error), size, self._write(texts)

    def close(self) -> None:
        """Remove every file, and keep none any more; idempotent."""
        with self._lock:
            self._closed = True
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
            self._files.clear()

    def _parts(self, parts: list[Json]) -> list[Json]:
        """Return `parts` with the texts among them cut together."""
        room, kept = self._limits.max_result, []
        for part in parts:
            if part.get("type") != "text":
                kept.append(part)
            elif room > 0:
                text = _bytes(part["text"])
                fits = len(text) <= room
                shown = part["text"] if fits else self._cut(text, len(text), room)
                kept.append({"type": "text", "text": shown})
                room -= len(text)
        return kept

    def _cut(self, whole: bytes, size: int, room: int | None = None) -> str:
        head = whole[: self._limits.max_result if room is None else room]
        shown = head.decode("utf-8", "ignore")
        return f"{shown}\n[... cut here: {len(head)} of {size} bytes are shown]"

    def _refused(self, size: int) -> ToolResult:
        limit = self._limits.max_read
        return ToolResult(f"the result is too large to be read: {size} bytes over {limit}", True)

    def _write(self, whole: bytes) -> str | None:
        path = self._place()
        if path is None:
            return None
        try:
            with open(path, "xb") as file:  # without the lock, for which a closing loop would wait
                file.write(whole)
        except FileNotFoundError:
            if self._closed:  # and the folder went meanwhile
                return None
            raise
        with self._lock:
            if self._closed:
                return None
            self._files.append((path, len(whole)))
            self._size += len(whole)
            while self._size > self._limits.max_spilled and len(self._files) > 1:
                old, size = self._files.popleft()
                self._size -= size
                with suppress(FileNotFoundError):  # whoever read it may have moved it away
                    os.unlink(old)
            return path

    def _place(self) -> str | None:
        """Return where the next result goes; None once nothing is kept any more."""
        with self._lock:
            if self._closed:
                return None
            if self._folder is None:
                self._folder = tempfile.mkdtemp(prefix="penstock-tools-")
            self._count += 1
            return os.path.join(self._folder, f"{self._count}.txt")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _media(part: Json) -> int:
    """Return the characters of what is no text in a part."""
    return sum(
        len(value)
        for held in part.values()
        if isinstance(held, dict)
        for value in held.values()
        if isinstance(value, str)
    )
