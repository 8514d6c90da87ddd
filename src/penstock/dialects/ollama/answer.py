"""One answer as it arrives: lines to chunks, and whether it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Chunk, ReasoningDelta, TextDelta
from penstock.dialects import together
from penstock.dialects.framings import framed
from penstock.dialects.ollama.lines import Lines
from penstock.dialects.ollama.wire import plain
from penstock.dialects.reading import UNREADABLE, excerpt, parse
from penstock.dialects.shape import Sample
from penstock.errors import ProtocolError, TruncatedError

if TYPE_CHECKING:
    from penstock.interfaces import Ending, Framing
    from penstock.limits import Limits

__all__ = ["OllamaAnswer", "framing"]

# A frame: the bytes of one JSON value.
Frame: TypeAlias = Any

_FREE = (b"created_at",)
"""What each line has of its own beside its text: `plain` reads it and nothing is made of it."""
_FRAMINGS: dict[str, Framing] = {
    "application/x-ndjson": "json_lines",
    "application/jsonl": "json_lines",
    "text/plain": "json_lines",  # some proxies
    "": "json_lines",
    "application/json": "json",
    "text/json": "json",
}


def framing(content_type: str) -> Framing:
    """Say how an answer of `content_type` is framed.

    Raises:
        ProtocolError: It is neither JSON nor lines of it.
    """
    otherwise = "neither JSON nor lines of it: is base_url Ollama's address?"
    return framed(content_type, _FRAMINGS, otherwise=otherwise)


class OllamaAnswer:
    """One answer to a chat; it is complete with the line that is ``done``."""

    __slots__ = ("_lines", "_max_depth", "_sample", "_whole", "complete")

    def __init__(self, framed: Framing, limits: Limits) -> None:
        self.complete = False
        """Whether the terminal line has been seen."""
        self._lines = Lines(limits)
        self._max_depth = limits.max_json_depth
        self._whole = framed == "json"
        # What plain lines look like around their text.
        self._sample: Sample | None = None

    @property
    def settled(self) -> bool:
        """Whether the answer's content is whole: the terminal line is the last one."""
        return self.complete

    feed = together.feed

    def read_each(self, frames: Sequence[Frame], into: list[Chunk]) -> None:
        """Read lines of any shape, until one is the terminal line."""
        lines = self._lines
        data: bytes | str = b""
        text = ""
        for frame in frames:
            data = frame if type(frame) is bytes else frame.data
            try:
                line = plain(data)
            except UNREADABLE:
                line = None
            if (
                line is not None
                and lines.begun
                and not line.done
                and line.model == lines.model
                and (line.remote_model, line.remote_host) == lines.remote
            ):
                message = line.message
                if message.thinking:
                    into.append(ReasoningDelta(message.thinking))
                if message.content:
                    into.append(TextDelta(message.content))
                text = "" if message.thinking else message.content
                continue
            text, self._sample = "", None
            self._read(data, into)
            if lines.done:
                self.complete = True
                return
        if text and type(data) is bytes:
            self._sample = Sample(data, b"content", text, _FREE)

    def read_alike(self, frames: Sequence[Frame], into: list[Chunk]) -> bool:
        """Read lines that all are like an earlier one but for their text; False for others."""
        texts = None if self._sample is None else self._sample.texts(frames)
        if texts is None:
            return False
        into += map(TextDelta, filter(None, texts))
        return True

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge an answer whose bytes have ended.

        Raises:
            TruncatedError: No line was ``done``.
        """
        if self.complete:
            return
        how = f" ({ending.detail})" if ending.detail else ""
        what = "without a line that is done" if self._lines.begun else "before its first line"
        raise TruncatedError(f"the answer ended {what}{how}", code="no_terminal_event")

    def _read(self, data: bytes | str, into: list[Chunk]) -> None:
        """Read a line of any shape."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
        if not data.strip():
            return
        line = parse(data, self._max_depth, whole=self._whole)
        if not isinstance(line, dict):
            raise ProtocolError(
                f"a line of the answer is no object: {excerpt(data)}", code="bad_event"
            )
        self._lines.read(line, into)
