"""One message to its wire form: untouched, but for what only penstock and its forerunners know.

- A typed message says itself (``to_openai``); a mapping passes through with every field it has.
- ``provider_state`` is penstock's own key (design, section 6). Its fields go back into the message
  where dialect and origin are those that made it; elsewhere it is left out and reported.
- A ``document`` part is the reference systems' name for OpenAI's ``file`` part
  (``ChatCompletionContentPartParam``, ``File``), which takes base64 and ids but no address.
- What a provider wants of every message is in `penstock.dialects.openai_chat.manners`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import is_
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec

from penstock.dialects.openai_chat.kept import items_of
from penstock.dialects.openai_chat.manners import CACHE_MARKS, LONG_ID, Manners
from penstock.dialects.openai_chat.odd import has_odd_calls
from penstock.dialects.openai_chat.thoughts import restored
from penstock.dialects.pairing import Pairs, paired
from penstock.dialects.passes import told
from penstock.dialects.state import family
from penstock.errors import EncodeError, UnsupportedFeatureError
from penstock.fields import Each, Joined, Raw, Slices, off_loop_of
from penstock.interfaces import Quirks

if TYPE_CHECKING:
    from penstock.fields import Kept
    from penstock.messages import Messages

__all__ = ["conversation"]

# JSON of the OpenAI shape, as the caller gives it.
Json: TypeAlias = Any

_STATE = "provider_state"
_STATE_KEYS = frozenset({"dialect", "origin"})
_FAILED = "is_error"
"""What Anthropic and others have of a tool's result, and strict servers refuse as unknown (Groq:
"property 'status' is unsupported", of another field, run-llama/llama_index#14701)."""
_TOLD = frozenset({_STATE, _FAILED, CACHE_MARKS, "tool_calls", "tool_call_id"})
"""Fields that are looked at; without them a message of text is sent as it is."""
_TOLD_APART = pattern(rb'"(?:provider_state|document|is_error|cache_control)"')
"""In JSON, what a message is told by that may have to be changed: a third of looking for each."""
_FEW = 64
"""Messages of a list that are looked at before any of them is pulled: the most of a small body."""
_MOST_REPORTS = 3
"""Messages named on ``dropped``; a conversation may have a million that lose the same."""
_PLAIN_QUIRKS = Quirks()
_USUAL = Manners(_PLAIN_QUIRKS, tools=False)
"""What a provider wants of which no row says anything: nothing."""


def conversation(
    messages: Messages,
    *,
    dialect: str,
    origin: str,
    dropped: list[str],
    strict: bool,
    quirks: Quirks = _PLAIN_QUIRKS,
    tools: bool = False,
) -> Each:
    """Return the array of `messages` as the encoder pulls it.

    Args:
        messages: The conversation; a `str` is one user message.
        dialect: Whose ``provider_state`` goes back.
        origin: From where it must have come.
        dropped: Takes the paths of what is left out.
        strict: Whether leaving something out is an error.
        quirks: What the provider wants otherwise.
        tools: Whether the request has tools.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    usual = not (quirks.drops or quirks.flags)
    manners = _USUAL if usual else Manners(quirks, tools=tools)
    if (
        isinstance(messages, (list, tuple))
        and len(messages) <= _FEW
        and not manners.particular
        and all(map(_plain, messages))
    ):
        return Each(messages)
    translator = _Translator(dialect, origin, dropped, manners, strict=strict)
    plain = translator.translate if manners.particular else translator.plain_or_translated
    if isinstance(messages, (list, tuple)):
        translator.listed = messages = paired(messages)
        return Each(messages, plain, leaves=None if manners.particular else _leaves)
    translator.restart()
    if hasattr(messages, "blocks"):  # `Kept`; asking its protocol costs more than a small body
        kept = cast("Kept", messages)
        items = items_of(kept, translator)
        return Each(items, off_loop=off_loop_of(kept))

    def counted(message: Json) -> Json:
        translator.count += 1
        if type(message) is dict and isinstance(message.get("role"), str):
            message = translator.pairs.paired(message)
        return plain(message)

    return Each(told(messages, translator.restart), counted)


def _plain(message: Json) -> bool:
    """Whether a message is sent as it is: a role, a text, and nothing that is looked at.

    A body of small messages costs 0.6 us each to encode, and each is pulled twice: what is done for
    every one of them has to be next to nothing, and this is 0.1 us.
    """
    try:
        return (
            type(message["content"]) is str
            and type(message["role"]) is str
            and type(message) is dict
            and (len(message) == 2 or _TOLD.isdisjoint(message))
        )
    except (KeyError, TypeError, IndexError):  # no dict, or without a content
        return False


def _leaves(keys: Sequence[str]) -> bool:
    """Whether messages of these keys and only texts are plain."""
    return "role" in keys and "content" in keys and _TOLD.isdisjoint(keys)


class _Translator:
    """Translates one message after the other, pass after pass."""

    __slots__ = (
        "_dialect",
        "_dropped",
        "_item",
        "_manners",
        "_origin",
        "_reports",
        "_strict",
        "count",
        "listed",
        "pairs",
    )

    count: int
    """Messages of this pass so far, where the source is no list."""
    pairs: Pairs
    """The ids of their calls and results."""

    def __init__(
        self, dialect: str, origin: str, dropped: list[str], manners: Manners, *, strict: bool
    ) -> None:
        self._dialect = dialect
        self._origin = origin
        self._dropped = dropped
        self._manners = manners
        self._strict = strict
        self._item: Json = None
        self._reports: dict[str, int] = {}
        self.listed: Sequence[Json] | Slices | None = None
        """The messages, where the source is a list: what they are is known by where they stand."""

    def restart(self) -> None:
        """Begin a pass over what is no list."""
        self.count = 0
        self.pairs = Pairs()

    def plain_or_translated(self, message: Json) -> Json:
        """Pass on a plain message, and translate another."""
        return message if _plain(message) else self.translate(message)

    def kept(self, message: Json) -> Json:
        """Return the wire form of a kept `message`, one more of those that are translated."""
        self.count += 1
        self._item = message
        if type(message) is Raw:
            message = self._opened(message)
        if type(message) is dict and isinstance(message.get("role"), str):
            message = self.pairs.paired(message)
        return self.translate(message)

    def translate(self, message: Json) -> Json:
        """Return the wire form of `message`.

        Raises:
            EncodeError: It is no message.
            UnsupportedFeatureError: The request is strict, or a document has only an address.
        """
        self._item = message
        if type(message) is not dict:
            message = self._opened(message)
            if type(message) is Raw:
                return message
        if not isinstance(message.get("role"), str):
            raise EncodeError(
                f"{self._path()}: a message needs a role, and it must be text",
                param=self._path(),
            )
        given = message
        if _STATE in message:
            message = self._without_state(message)
        if _FAILED in message:
            message = {name: each for name, each in message.items() if name != _FAILED}
            if given[_FAILED]:
                self._report(_FAILED, "is not known here: say it in the content")
        message, lost = self._manners.applied(message, given)
        for name in lost:
            self._report(name, "is refused by this provider")
        content = message.get("content")
        if isinstance(content, (list, tuple)):
            return self._with_parts(message, content)
        return message

    def _opened(self, message: Json) -> Json:
        """Return `message` as a dict, or as it is where it is JSON already and needs no change."""
        if isinstance(message, Raw):
            message = msgspec.json.decode(message.data) if self.concerns(message.data) else message
            if type(message) in (dict, Raw):
                return message
        if hasattr(message, "to_openai"):
            message = message.to_openai()
        if isinstance(message, Mapping):
            return message if type(message) is dict else dict(message)
        raise EncodeError(
            f"{self._path()}: a message is a mapping or one of penstock's messages, not"
            f" {type(message).__name__}",
            param=self._path(),
        )

    def concerns(self, data: bytes, *, plain: bool = False) -> bool:
        """Whether messages that are JSON already, one a line, have to be opened."""
        if plain:
            return self._manners.particular
        return self._has_mark(data) or (b"_" in data and has_odd_calls(data))

    def concerns_piece(self, data: bytes) -> bool:
        """Whether a piece of a message says by itself that it has to be opened."""
        return self._has_mark(data) or (b"_" in data and LONG_ID.search(data) is not None)

    def _has_mark(self, data: bytes) -> bool:
        if self._manners.particular:
            return True
        if self.listed is None and self.pairs.waits and b'"tool"' in data:
            return True
        # What is looked for has one of two rare signs, and a sign is found thirty times as fast;
        # five bytes are found twice as fast as six (CPython 3.11).
        if (b"_" not in data and b"[" not in data) or not (
            b'"prov' in data or b'"docu' in data or b'"is_e' in data or b'"cach' in data
        ):
            return False
        if _TOLD_APART.search(data) is None:
            return False
        if self._manners.unmarks and b'"cache_control"' in data:
            return True
        return b'"provider_state"' in data or b'"document"' in data or b'"is_error"' in data

    def _without_state(self, message: dict[str, Json]) -> dict[str, Json]:
        state = message[_STATE]
        bare = {name: value for name, value in message.items() if name != _STATE}
        if not isinstance(state, Mapping):
            if state is not None:
                self._report()
            return bare
        if state.get("dialect") != self._dialect or family(self._origin) != family(
            str(state.get("origin"))
        ):
            self._report()
            return bare
        restored(bare, {name: each for name, each in state.items() if name not in _STATE_KEYS})
        return bare

    def _report(
        self,
        name: str = _STATE,
        why: str = "is of another dialect or origin and cannot be sent here",
    ) -> None:
        """Note that a message loses a field; the first few by name."""
        reports = self._reports.get(name, 0)
        if reports > _MOST_REPORTS and not self._strict:
            return
        path = f"{self._path()}.{name}"
        if self._strict:
            raise UnsupportedFeatureError(f"{path} {why}", param=path)
        if path in self._dropped:
            return
        self._reports[name] = reports + 1
        self._dropped.append(path if reports < _MOST_REPORTS else f"messages[...].{name}")

    def _with_parts(self, message: dict[str, Json], content: Json) -> dict[str, Json]:
        """Translate the parts of `message`; one of plain parts stays the object that it is."""
        parts = [part.to_openai() if hasattr(part, "to_openai") else part for part in content]
        places = [
            place
            for place, part in enumerate(parts)
            if isinstance(part, Mapping) and part.get("type") == "document" and "document" in part
        ]
        if not places and all(map(is_, parts, content)):
            return message
        for place in places:
            parts[place] = self._file(parts[place], f"{self._path()}.content[{place}]")
        return {**message, "content": parts}

    def _file(self, part: Mapping[str, Json], path: str) -> dict[str, Json]:
        """Say a document as OpenAI's file part."""
        document = part["document"]
        data = document.get("data") if isinstance(document, Mapping) else None
        if not isinstance(data, str):
            raise EncodeError(f"{path}.document.data must be text", param=f"{path}.document.data")
        if data.startswith(("http://", "https://")):
            raise UnsupportedFeatureError(
                f"{path}: OpenAI's file part takes the data of a document or the id of an upload,"
                " not its address; fetch it first, or send the text",
                param=f"{path}.document.data",
            )
        media = document.get("media_type") or document.get("mediaType") or "application/pdf"
        name = document.get("filename") or document.get("name") or "document"
        # A document may have 32 MiB of base64, and is the caller's: it is not copied.
        address = data if data.startswith("data:") else Joined((f"data:{media};base64,", data))
        rest = {key: value for key, value in part.items() if key not in ("type", "document")}
        return {"type": "file", "file": {"file_data": address, "filename": name}, **rest}

    def _path(self) -> str:
        """Say where the message is that is being translated; only asked where it has a fault."""
        if self.listed is None:
            return f"messages[{max(self.count - 1, 0)}]"
        places = (place for place, each in enumerate(self.listed) if each is self._item)
        return f"messages[{next(places, '...')}]"
