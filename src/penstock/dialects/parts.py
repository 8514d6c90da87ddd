"""Content parts of the OpenAI shape, opened for vendors that have other ones."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

from penstock.fields import Base64, Joined, Text

if TYPE_CHECKING:
    from penstock.dialects.places import Place

__all__ = ["Data", "address_of", "begins", "data_of", "decoded", "parts_of", "text_of"]

# JSON of the OpenAI shape, as the caller gives it.
Json: TypeAlias = Any

_HEAD = 512
"""Characters in which a ``data:`` URL has said its type."""


class Data(NamedTuple):
    """What a ``data:`` URL holds."""

    media_type: str
    """Its type, ``""`` where it has none."""
    base64: str | Joined
    """Its bytes in base64, not copied out of the URL."""
    more: tuple[str, ...] = ()
    """What else the type says, such as ``rate=24000``."""


def parts_of(content: Json, place: Place) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield each part of a message's content, with its path in the message.

    Raises:
        EncodeError: Something is no part.
    """
    if content is None:
        return
    if isinstance(content, str):
        yield "content", {"type": "text", "text": content}
        return
    if not isinstance(content, (list, tuple)):
        raise place.fault("content", f"must be text or a list of parts, not {_kind(content)}")
    for index, part in enumerate(content):
        path = f"content[{index}]"
        if isinstance(part, str):
            part = {"type": "text", "text": part}
        elif hasattr(part, "to_openai"):
            part = part.to_openai()
        if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
            raise place.fault(path, "a part is a mapping with a type")
        yield path, part if type(part) is dict else dict(part)


def text_of(part: Mapping[str, Json], place: Place, path: str) -> str:
    """Return the text of a ``text`` or ``refusal`` part.

    Raises:
        EncodeError: It has none.
    """
    name = str(part["type"])
    text = part.get(name)
    if not isinstance(text, str):
        raise place.fault(f"{path}.{name}", f"must be text, not {_kind(text)}")
    return text


def address_of(part: Mapping[str, Json], name: str, place: Place, path: str) -> str | Joined:
    """Return the URL that `part` has as ``name.url``, or as `name` itself.

    That of an attachment is in pieces.

    Raises:
        EncodeError: It has none.
    """
    given = part.get(name)
    url = given.get("url") if isinstance(given, Mapping) else given
    if not isinstance(url, (str, Joined)) or not url:
        raise place.fault(f"{path}.{name}", "needs a url")
    return url


def data_of(url: str | Joined) -> Data | None:
    """Return what a ``data:`` URL holds, None for any other (RFC 2397)."""
    parts = (url,) if isinstance(url, str) else url.parts
    head = parts[0]
    if not isinstance(head, str) or head[:5].lower() != "data:":
        return None
    comma = head.find(",", 0, _HEAD)
    if comma < 0:
        return None
    kind, *marks = head[5:comma].split(";")
    more = tuple(mark for mark in marks if mark.strip().lower() != "base64")
    if len(more) < len(marks):
        return Data(kind, Joined(parts, comma + 1), more)
    said = unquote_to_bytes(head[comma + 1 :])
    return Data(kind or "text/plain", b64encode(said).decode())


def begins(data: str | Joined, *prefixes: str) -> bool:
    """Whether `data`, an address or base64, begins with one of `prefixes`, in any case."""
    head = data if isinstance(data, str) else data.parts[0] if not data.start else ""
    return isinstance(head, str) and head[:16].lower().startswith(prefixes)


def decoded(base64: str | Joined) -> str | Joined:
    """Return the text whose UTF-8 is in `base64`; that of a file is read while it is sent.

    Raises:
        ValueError: It is no text, or no base64.
    """
    if isinstance(base64, str):
        return b64decode(base64).decode()
    file = base64.parts[-1]
    if isinstance(file, Base64):
        return Joined((Text(file.size, file.read, file.wait, file.vouches),))
    whole = "".join(part for part in base64.parts if isinstance(part, str))
    return b64decode(whole[base64.start :]).decode()


def _kind(value: Json) -> str:
    return type(value).__name__
