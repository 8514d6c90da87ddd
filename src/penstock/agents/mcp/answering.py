"""A tool's result as an answer: chunks of it, or the error that it is.

Any server's text is an answer. One of penstock's own says more in its structured content: usage,
why the answer ended, and of an error its kind, so that it is the same error on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock import errors
from penstock.agents.mcp.content import result_of
from penstock.agents.mcp.stdio import NO_JSON, TOO_LONG
from penstock.chunks import Finish, ImageDelta, Meta, TextDelta, Usage
from penstock.errors import LimitExceededError, PenstockError, ProtocolError, ResponseError

if TYPE_CHECKING:
    from penstock.agents.mcp.connection import UnansweredError
    from penstock.chunks import Chunk

__all__ = ["COUNTS", "FIELDS", "chunks_of", "error_of", "fields_of", "unanswered"]

# JSON, and the SDK's types.
Json: TypeAlias = Any

_WORDS = ("provider", "deployment", "code", "param", "phase")
FIELDS = (*_WORDS, "status", "retry_after", "reset_at", "limit", "elapsed")
"""What of an error travels, beside its kind, its message and what may be done about it."""
_FATES = ("retryable", "elsewhere", "peer_fault")

_SURE = ("input_tokens", "output_tokens", "total_tokens")
_MAYBE = ("cached_tokens", "cache_write_tokens", "reasoning_tokens", "cost")
COUNTS = (*_SURE, *_MAYBE)
"""What a server of ours says of an answer's usage."""

_CUT = re.compile(r"exceed(s|ed the) \d+ byte")

# What a server's word may not stand for: these say something of this process.
_OURS = frozenset({"internal", "stream_closed", "missing_extra", "unknown"})


def chunks_of(result: Json, *, streamed: str, place: str) -> list[Chunk]:
    """Return the chunks of a result, without the text that was `streamed` before.

    Args:
        result: What the tool gave.
        streamed: The text that came while it worked.
        place: Where an error was that does not say so itself.

    Raises:
        ProtocolError: What was streamed is not how the text begins.
        PenstockError: The result is an error.
    """
    told = _told(result)
    content = result_of(result).content
    if result.is_error:
        raise error_of(told, content if isinstance(content, str) else "", place=place)
    parts: list[Json] = content if isinstance(content, list) else [_text(content)]
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    if not text.startswith(streamed):
        raise ProtocolError("the server's result is not what it said while it worked")
    chunks: list[Chunk] = [Meta(id=_word(told, "id"), model=_word(told, "model"), role="assistant")]
    if len(text) > len(streamed):
        chunks.append(TextDelta(text[len(streamed) :]))
    images = (part["image_url"]["url"] for part in parts if part["type"] == "image_url")
    chunks += [ImageDelta(url, place) for place, url in enumerate(images)]
    chunks += _usage(told.get("usage"))
    # A result is whole, also where nobody says why it ends.
    return [*chunks, Finish(_word(told, "finish_reason") or "stop")]


def fields_of(error: PenstockError) -> dict[str, Json]:
    """Return `error` as it stands in a result's structured content, for `error_of`."""
    said: dict[str, Json] = {"kind": error.kind, "message": error.message}
    said |= {name: getattr(error, name) for name in (*FIELDS, *_FATES)}
    return {name: value for name, value in said.items() if value is not None}


def error_of(told: Mapping[str, Json], text: str, *, place: str) -> PenstockError:
    """Return the error that a server speaks of; one that names no kind is a `ResponseError`.

    Its ``deployment`` is what the server says, or `place`: never the server itself.
    """
    said = told.get("error")
    if not isinstance(said, Mapping):
        words = text or "the server says that the call failed, and not why"
        return ResponseError(words, deployment=place)
    kind = _kinds().get(str(said.get("kind")), ResponseError)
    known = {name: said[name] for name in (*FIELDS, *_FATES) if _fits(name, said.get(name))}
    return kind(str(said.get("message") or text), **({"deployment": place} | known))


def unanswered(error: UnansweredError, *, place: str) -> PenstockError:
    """Return what it means for a call that the server's answer is an error of the protocol.

    What the server says itself was at `place`, as with `error_of`.
    """
    from mcp_types import CONNECTION_CLOSED, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND

    why, _, line = error.data.partition("\n") if isinstance(error.data, str) else ("", "", "")
    words = str(error)
    # Over HTTP the SDK says of an answer that it broke off, and only in words that it was too long.
    cut = error.code == CONNECTION_CLOSED and _CUT.search(words)
    if why == TOO_LONG or cut:
        return LimitExceededError(words, phase="max_read")
    if why == NO_JSON:
        return ProtocolError(f"{words}: {line[:80]!r}", body=line)
    if error.code in (INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND):
        return errors.InvalidRequestError(words, code=str(error.code), deployment=place)
    return errors.ServerError(words, code=str(error.code), deployment=place)


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _told(result: Json) -> Mapping[str, Json]:
    told = result.structured_content
    return told if isinstance(told, Mapping) else {}


def _word(told: Mapping[str, Json], name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) else ""


def _usage(said: Json) -> list[Chunk]:
    if not isinstance(said, Mapping):
        return []
    counts = {name: said[name] for name in _SURE if isinstance(said.get(name), int)}
    maybe = {name: said[name] for name in _MAYBE if isinstance(said.get(name), (int, float))}
    return [Usage(**counts, **maybe, raw=dict(said))] if counts else []


def _fits(name: str, value: Json) -> bool:
    if name in _FATES:
        return isinstance(value, bool)
    if name in _WORDS:
        return isinstance(value, str)
    if name == "status":
        return isinstance(value, int)
    return isinstance(value, (int, float))


def _kinds() -> dict[str, type[PenstockError]]:
    return {each.kind: each for each in _below(PenstockError) if each.kind not in _OURS}


def _below(base: type[PenstockError]) -> Iterator[type[PenstockError]]:
    """The errors of the tree itself; programs may have their own below them."""
    for each in base.__subclasses__():
        if each.__module__.startswith(f"{errors.__name__}."):
            yield each
            yield from _below(each)
