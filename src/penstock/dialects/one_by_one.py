"""A conversation for vendors that take one object for each message, in the caller's order.

Cohere, Mistral and Ollama know system messages among the others, and let a side speak several times
in a row. So the conversation is an array whose items are translated as the encoder pulls them; a
message of nothing but a role and a text, which most are, is sent as the object that it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.pairing import paired
from penstock.dialects.passes import told
from penstock.dialects.places import Place, opened
from penstock.dialects.texts import Texts, grouped
from penstock.fields import Each, Slices, off_loop_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.dialects.places import Losses
    from penstock.fields import Kept

__all__ = ["one_by_one"]

# JSON of the OpenAI shape as the caller gives it, or of the vendor's.
Json: TypeAlias = Any

_PLAIN = frozenset({"system", "user", "assistant"})
"""Roles that all of them have under OpenAI's name."""


def one_by_one(
    messages: Json, translate: Callable[[dict[str, Json], Place], Json], losses: Losses
) -> Each:
    """Return the array that `messages` become.

    Args:
        messages: A conversation as in `penstock.messages.Messages`.
        translate: Says one message, a dict of the OpenAI shape with a role, as the vendor does.
        losses: Told of what they lose.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if hasattr(messages, "blocks"):
        messages = _Grouped(messages)
    elif isinstance(messages, (list, tuple)):
        messages = paired(messages)
    walk = _Walk(messages, translate, losses)
    source = told(messages, walk.begin)
    translated = walk.listed if source is messages and walk.is_list else walk.counted
    return Each(source, translated, off_loop=off_loop_of(messages))


class _Grouped:
    """Kept messages, those that are a role and a text together with their neighbours."""

    def __init__(self, messages: Kept) -> None:
        self._messages = messages
        self.off_loop = off_loop_of(messages)

    def __aiter__(self) -> AsyncIterator[Json]:
        return grouped(self._messages)


class _Walk:
    """The passes over one conversation."""

    def __init__(
        self,
        messages: Json,
        translate: Callable[[dict[str, Json], Place], Json],
        losses: Losses,
    ) -> None:
        self.is_list = isinstance(messages, (list, tuple, Slices))
        """Whether the messages are in memory, and found there by what they are."""
        self._translate = translate
        self._sought = _Sought(messages)
        self._place = Place(losses, self._sought.found if self.is_list else None)

    def begin(self) -> None:
        """Count anew."""
        self._place.restart()

    def listed(self, message: Json) -> Json:
        """Return a message of a list in the vendor's words."""
        if _is_plain(message):
            return message
        self._sought.item = message
        return self._translate(opened(message, self._place), self._place)

    def counted(self, message: Json) -> Json:
        """Return the next message of any other source in the vendor's words."""
        if type(message) is Texts:
            self._place.index += len(message)
            return message.lines()
        self._place.index += 1
        if _is_plain(message):
            return message
        return self._translate(opened(message, self._place), self._place)


class _Sought:
    """A message of a list, and where it is; apart, as who knows its place would know itself."""

    __slots__ = ("_messages", "item")

    def __init__(self, messages: Json) -> None:
        self._messages = messages
        self.item: Json = None

    def found(self) -> int:
        """Say where the message is; only asked where it loses something or has a fault."""
        places = (place for place, each in enumerate(self._messages) if each is self.item)
        return next(places, 0)


def _is_plain(message: Json) -> bool:
    try:
        return (
            type(message["content"]) is str
            and message["role"] in _PLAIN
            and type(message) is dict
            and len(message) == 2
        )
    except (KeyError, TypeError, IndexError):  # no dict, without a content, or with an odd role
        return False
