"""What may stand in a request's fields beside plain JSON values: ready fragments and conversations.

A dialect puts these into `penstock.interfaces.Outgoing.fields`; the encoder knows how to say them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

__all__ = [
    "Base64",
    "Each",
    "Entries",
    "Joined",
    "Kept",
    "Lines",
    "OffLoop",
    "Raw",
    "Run",
    "Slices",
    "Source",
    "Streamed",
    "Text",
    "let_go",
    "off_loop_of",
]

# JSON, or what a caller keeps for it: an item is whatever the source holds.
Item: TypeAlias = Any

_SLICE = 1024
"""Items of a pass over `Slices` that are worked out together."""

Source: TypeAlias = (
    "Iterable[Item] | AsyncIterable[Item] | Callable[[], Iterable[Item] | AsyncIterable[Item]]"
)
"""Where the items of an array come from.

A list, anything that can be iterated again, an async iterable, a function without arguments that
returns either, or a one-shot iterator (sync or async), which has one pass in it.
"""


@dataclass(frozen=True, slots=True)
class Raw:
    """A fragment of a body that is JSON already: it is copied, not checked again."""

    data: bytes
    """One whole JSON value in UTF-8."""

    def __post_init__(self) -> None:
        if not isinstance(self.data, bytes) or not self.data:
            raise TypeError(
                f"Raw takes the bytes of one JSON value, not {type(self.data).__name__}"
            )


@dataclass(frozen=True, slots=True)
class Run(Raw):
    """Several neighbouring items of an array, with commas between them: copied as one."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Messages as a conversation keeps them: the JSON of each on a line of its own."""

    data: bytes = field(repr=False)
    """Whole lines, a newline between each two; checked when they were kept."""
    plain: bool = False
    """Whether each is known to be only a user's or an assistant's role, in canonical JSON, and then
    a text that says something."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """One JSON value that is read in pieces while it is sent: checked before, copied now."""

    open: Callable[[], AsyncIterator[bytes]] = field(repr=False)
    """Returns one pass over its bytes, without a newline."""
    size: int
    """How many bytes there are."""


@runtime_checkable
class Kept(Protocol):
    """A conversation that is kept as JSON, so that sending it is copying."""

    def blocks(self) -> AsyncIterator[Lines | Streamed | Item]:
        """Return one pass over its messages, as many at once as fit a block.

        A message that has to be made anew comes as a dict.
        """
        ...


class Slices(ABC):
    """A long list of which each slice (two ends, no step) is worked out when it is asked for.

    The encoder takes several of its items at once, as of a list, and gives the loop back between.
    """

    __slots__ = ()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, at: slice) -> Sequence[Item]: ...

    @abstractmethod
    def given(self, at: slice) -> Sequence[Item]:
        """Return what a slice is worked out from."""

    @abstractmethod
    def stays(self, at: slice) -> bool:
        """Whether a slice is what was given for it, if all in it is what `Each.leaves` says it is.

        So that it need not be looked at once more.
        """

    def __iter__(self) -> Iterator[Item]:
        for start in range(0, len(self), _SLICE):
            yield from self[start : start + _SLICE]


class OffLoop(Protocol):
    """Calls what goes over a source in a worker thread, where it waits for nothing but a disk."""

    def __call__(self, call: Callable[[], Any], /) -> Awaitable[Any]:
        """Return what `call` returns. Any: whatever that is."""
        ...

    def vouches(self) -> bool:
        """Whether each pass that is sent is compared by the source with what it was at first.

        It may wait for a disk, and stays as it is. A pass in a worker thread is not compared: it
        only tells of a length or a digest, and what is sent then is.
        """
        ...


def off_loop_of(messages: object) -> OffLoop | None:
    """Return what goes over kept `messages` in a worker thread; None where they need their loop."""
    found: OffLoop | None = getattr(messages, "off_loop", None)
    return found


async def let_go(source: AsyncIterator[Any]) -> None:  # Any: whatever it yields
    """Close `source`, where it is a generator: one that was not read to its end."""
    if isinstance(source, AsyncGenerator):
        await source.aclose()


@dataclass(frozen=True, slots=True)
class Base64:
    """The base64 of bytes that are read while they are sent: a piece of a `Joined`."""

    size: int
    """How many bytes there are."""
    read: Callable[[int, int], bytes] = field(repr=False)
    """Returns so many bytes at an offset; it may wait for a disk."""
    wait: Callable[[int, int], Awaitable[bytes]] = field(repr=False)
    """Does the same without holding up an event loop."""
    vouches: bool = False
    """Whether reading fails where they are not what they were at first."""
    identity: Callable[[], str] | None = field(default=None, repr=False)
    """Returns what tells them from others; of a file it reads nothing, of memory it takes a digest.
    """


@dataclass(frozen=True, slots=True)
class Text(Base64):
    """The same bytes as the text that they are in UTF-8, for who takes a document as text."""


@dataclass(frozen=True, slots=True)
class Joined:
    """One JSON string that is made of several texts, one behind the other.

    Nobody puts them together, the encoder neither: an address of the scheme ``data:`` costs its few
    first characters beside the base64 that the caller holds. A surrogate pair must not lie across
    two of them: each is text by itself.
    """

    parts: tuple[str | Base64 | Streamed, ...] = field(repr=False)
    """The texts, in their order; one that is `Streamed` is what stands between a text's quotes."""
    start: int = 0
    """Where in the first of them it begins: the base64 of such an address is its end, uncopied."""


class Each(Struct, frozen=True):
    """An array whose items are pulled and translated one at a time, as the encoder gets to them.

    Neither the items nor their translations are held together: an array of any length costs one
    buffer.
    """

    source: Source
    """Where the items come from."""
    translate: Callable[[Item], object] | None = None
    """Says one item as a JSON value or as `Raw`; None leaves items as they are. It may be called
    more than once for an item, in the checking pass and in each other, and must answer the same
    each time. An item that needs no change is best given back as the object that it is: such items
    of a list are encoded together."""
    leaves: Callable[[Sequence[str]], bool] | None = None
    """Says whether `translate` gives back objects that have exactly these keys, and only texts for
    values: it is asked once for many of them."""
    off_loop: OffLoop | None = None
    """Calls what goes over the source in a worker thread, where it waits for nothing but a disk;
    None where it may need its loop."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"  # what is said is not shown


class Entries(Each, frozen=True):
    """Entries of an object that are known when the encoder gets to them: pairs of name and value.

    It stands in an object in place of a value, and its own name there is not said. There is at
    least one pair, and no name that the object has already. A later pair is pulled once the value
    of the one before is encoded, so that both can read the same source one after the other.
    """
