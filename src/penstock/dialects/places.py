"""Where a message stands while it is translated, how it is opened, and what it loses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec import Struct

from penstock.dialects.pairing import Pairs
from penstock.errors import EncodeError, UnsupportedFeatureError
from penstock.fields import Raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Losses", "Place", "opened"]

# JSON of the OpenAI shape, as the caller gives it.
Json: TypeAlias = Any

_MOST_REPORTS = 3
"""Messages named on ``dropped`` for one field; a conversation may have a million that lose it."""


class Losses(Struct):
    """What a dialect cannot say: reported on ``dropped``, or refused from a strict request."""

    dialect: str
    """The dialect's name, for the refusal."""
    dropped: list[str]
    """Takes the paths of what is left out, each once."""
    strict: bool
    """Whether leaving something out is an error."""
    _reports: dict[str, int] = {}

    def drop(self, path: str, why: str = "") -> None:
        """Report that what stands at `path` is left out, or changed; `why` is for the refusal.

        Raises:
            UnsupportedFeatureError: The request is strict.
        """
        if self.strict:
            because = f" ({why})" if why else ""
            raise UnsupportedFeatureError(
                f"{self.dialect} cannot say {path}{because}; leave it out, or let it be dropped"
                " with strict=False",
                param=path,
            )
        if path not in self.dropped:
            self.dropped.append(path)

    def drop_all(self, paths: Iterable[str]) -> None:
        """Report each of `paths`, in their order.

        Raises:
            UnsupportedFeatureError: The request is strict, and there is one.
        """
        for path in paths:
            self.drop(path)

    def drop_of_message(self, index: int, field: str, why: str = "") -> None:
        """Report a field of message number `index`; the first few by number, then all as one.

        Raises:
            UnsupportedFeatureError: The request is strict.
        """
        path = f"messages[{index}].{field}"
        if self.strict or path in self.dropped:
            self.drop(path, why)
            return
        reports = self._reports[field] = self._reports.get(field, 0) + 1
        self.drop(path if reports <= _MOST_REPORTS else f"messages[...].{field}", why)


class Place:
    """A message's place in its conversation; moved along as a pass over it goes on.

    Args:
        losses: What is told of what the messages lose.
        find: Returns the number of the message, where it is only looked for when it is asked for;
            None where `index` is counted.
    """

    __slots__ = ("_find", "_index", "_losses", "kept", "pairs")

    def __init__(self, losses: Losses, find: Callable[[], int] | None = None) -> None:
        self._losses = losses
        self._find = find
        self._index = -1
        self.kept: dict[str, Json] = {}
        """What a dialect keeps of earlier messages in this pass, such as the names of open calls;
        it bounds that itself."""
        self.pairs = Pairs()
        """The ids of its calls and results."""

    def restart(self) -> None:
        """Begin another pass, in front of the first message."""
        self._index = -1
        self.pairs = Pairs()

    @property
    def index(self) -> int:
        """The number of the message that is being translated."""
        return self._index if self._find is None else self._find()

    @index.setter
    def index(self, number: int) -> None:
        self._index = number

    @property
    def path(self) -> str:
        """The message's path, such as ``messages[3]``."""
        return f"messages[{self.index}]"

    @property
    def strict(self) -> bool:
        """Whether leaving something out is an error."""
        return self._losses.strict

    def drop(self, field: str, why: str = "") -> None:
        """Report that `field` of the message is left out; see `Losses`.

        Raises:
            UnsupportedFeatureError: The request is strict.
        """
        self._losses.drop_of_message(self.index, field, why)

    def drop_rest(self, message: Mapping[str, Json], known: frozenset[str]) -> None:
        """Report each field of `message` that is not `known`.

        Raises:
            UnsupportedFeatureError: The request is strict.
        """
        if message.keys() <= known:
            return
        for name, value in message.items():
            if name not in known and value is not None:
                self.drop(name)

    def fault(self, field: str, why: str) -> EncodeError:
        """Return the error of a message whose `field` (``""`` for the message) is no such thing."""
        path = f"{self.path}.{field}" if field else self.path
        return EncodeError(f"{path}: {why}", param=path)


def opened(message: Json, place: Place) -> dict[str, Json]:
    """Return a message as a dict of the OpenAI shape: a mapping, a typed one, or JSON as `Raw`.

    Its calls and results have ids that pair (`penstock.dialects.pairing`).

    Raises:
        EncodeError: It is no message.
    """
    if type(message) is not dict:
        if isinstance(message, Raw):
            message = msgspec.json.decode(message.data)
        elif hasattr(message, "to_openai"):
            message = message.to_openai()
        if not isinstance(message, Mapping):
            raise place.fault(
                "",
                "a message is a mapping or one of penstock's messages, not"
                f" {type(message).__name__}",
            )
        if type(message) is not dict:
            message = dict(message)
    if not isinstance(message.get("role"), str):
        raise place.fault("", "a message needs a role, and it must be text")
    found: dict[str, Json] = message
    return place.pairs.paired(found)
