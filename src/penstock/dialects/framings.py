"""How an answer is framed, by the type that it says it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.interfaces import Framing

__all__ = ["framed"]


def framed(content_type: str, known: Mapping[str, Framing], *, otherwise: str) -> Framing:
    """Return what `known` says of an answer of `content_type`; a suffix ``+json`` is JSON's.

    Args:
        content_type: The header, parameters included.
        known: Framings by media type, in lower case; ``""`` is for an answer without one.
        otherwise: What an answer of another type is not, and what to do then; it ends a sentence.

    Raises:
        ProtocolError: It says nothing of such a type.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind.endswith("+json"):
        kind = "application/json"
    try:
        return known[kind]
    except KeyError:
        words = f"the answer is {kind[:80]!r}, {otherwise}"
        raise ProtocolError(words, code="content_type") from None
