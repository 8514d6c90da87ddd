"""What a peer's error repeats of the conversation, taken out of it again (fault matrix, row 39).

Vendors echo: a filter quotes what it blocked, a validator what it objects to. A message of ours
ends in logs and reports, where nobody's prompt belongs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import DecodeError as NotJson
from msgspec.json import decode as decode_json

if TYPE_CHECKING:
    from penstock.request import ChatRequest

__all__ = ["conceal", "spoken"]

# JSON of the OpenAI shape.
Json = Any

_SHOWN = "[prompt]"
# A whole text of the conversation counts from 8 characters, a part of one from 16: shorter ones are
# words that anybody uses.
_WHOLE = 8
_PART = 16
_STEP = _PART // 2
# Characters of the conversation that an error is compared with, the last messages first: what a
# peer objects to is mostly near the end, and comparing with so many takes 4 ms at most.
_MOST = 128 * 1024
_OF_ONE = 16 * 1024
"""Of one text its beginning and its end, half of so many characters each."""
_PLACES = 8
"""Places of the conversation where one window is looked at: words that are everywhere tell little,
and an echo of some length has windows that are rare."""
_DEEPEST = 8
# Words of the API, not of the conversation.
_KEYS = frozenset({"detail", "format", "id", "name", "role", "tool_call_id", "type"})


def conceal(text: str, spoken: Iterable[str]) -> str:
    """Return `text` with ``[prompt]`` in the place of what it has in common with `spoken`."""
    hidden = bytearray(len(text))
    for said in spoken:
        for start, end in _common(text, said):
            hidden[start:end] = b"\x01" * (end - start)
    if not any(hidden):
        return text
    shown, at = [], 0
    while at < len(text):
        end = hidden.find(1 - hidden[at], at)
        end = len(text) if end < 0 else end
        shown.append(_SHOWN if hidden[at] else text[at:end])
        at = end
    return "".join(shown)


def spoken(request: ChatRequest, small: bytes | None = None) -> Iterator[str]:
    """Yield the texts of `request`'s conversation, the last ones first, as many as are compared.

    A conversation that is neither in memory nor in `small` is not read again for this.

    Args:
        request: The request.
        small: Its body, where that fits in one buffer.
    """
    left = _MOST
    for message in _messages(request, small):
        for text in _texts(message, _DEEPEST):
            if len(text) < _WHOLE:
                continue
            if len(text) > _OF_ONE:
                yield text[: _OF_ONE // 2]
                text = text[-_OF_ONE // 2 :]
                left -= _OF_ONE // 2
            yield text
            left -= len(text)
            if left <= 0:
                return


def _messages(request: ChatRequest, small: bytes | None) -> Iterable[Json]:
    messages = request.messages
    if isinstance(messages, str):
        return [messages]
    if isinstance(messages, Sequence):
        return reversed(messages)
    if small is None:
        return []
    try:
        body = decode_json(small)
    except NotJson:
        return []
    for name in ("messages", "input", "contents"):  # by the dialect
        found = body.get(name) if isinstance(body, dict) else None
        if isinstance(found, list):
            return reversed(found)
    return []


def _texts(value: Json, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and hasattr(value, "to_openai"):
        yield from _texts(value.to_openai(), depth - 1)
    elif depth and isinstance(value, Mapping):
        for key, item in value.items():
            if key not in _KEYS:
                yield from _texts(item, depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for item in reversed(value):
            yield from _texts(item, depth - 1)


def _common(text: str, said: str) -> Iterator[tuple[int, int]]:
    """Yield where `text` has all of `said`, or a part of it of at least `_PART` characters."""
    # Errors are put on one line before they get here; so is what they are compared with.
    said = " ".join(said.split())
    if len(said) <= len(text):
        at = text.find(said) if len(said) >= _WHOLE else -1
        while at >= 0:
            yield at, at + len(said)
            at = text.find(said, at + 1)
    # Any common part of 16 characters holds one of these windows of 8 whole.
    for window in range(0, len(text) - _STEP + 1, _STEP):
        place = -1
        for _ in range(_PLACES):
            place = said.find(text[window : window + _STEP], place + 1)
            if place < 0:
                break
            start, end = _grown(text, said, window, place)
            if end - start >= _PART:
                yield start, end
                break


def _grown(text: str, said: str, start: int, place: int) -> tuple[int, int]:
    """Return how far `text` at `start` and `said` at `place` say the same, both ways."""
    end, after = start, place
    while end < len(text) and after < len(said) and text[end] == said[after]:
        end, after = end + 1, after + 1
    while start > 0 and place > 0 and text[start - 1] == said[place - 1]:
        start, place = start - 1, place - 1
    return start, end
