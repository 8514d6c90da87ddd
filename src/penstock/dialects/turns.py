"""A conversation as turns, for vendors that know no system messages and want roles to alternate.

Anthropic's Messages, Gemini's ``contents`` and Bedrock's Converse have the system's words in a
field of their own, and one object for all neighbouring messages of a side: the results of several
tool calls are one turn. So the conversation becomes *entries* of the body: first what the leading
system messages say, then the array of turns.

The messages are pulled one at a time as the encoder gets to them. A turn of up to `_HELD` messages
is put together before it is encoded, a longer one is encoded as it comes: a conversation of any
length, cut in any way, costs one buffer. A short list is translated at once, which is cheaper.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from penstock.dialects.places import Place, opened
from penstock.dialects.replays import (
    END,
    NEXT,
    Steps,
    driven,
    driven_async,
    replayed,
    replayed_kept,
)
from penstock.dialects.texts import Texts
from penstock.fields import Each, Entries, off_loop_of

if TYPE_CHECKING:
    from penstock.dialects.places import Losses
    from penstock.dialects.plain_lines import Plain

__all__ = ["Speaker", "conversation"]

# JSON of the OpenAI shape as the caller gives it, or of the vendor's.
Json: TypeAlias = Any

_HELD = 32
"""Messages of one turn that are put together; also of a list that is translated at once."""


class Speaker(Protocol):
    """A vendor's way with messages; made for one request, asked in every pass over them."""

    plain: Plain
    """How it says texts that nobody has opened."""

    def role(self, message: dict[str, Json], place: Place, *, leading: bool) -> str | None:
        """Return whose turn `message` is part of; None puts it with the system's words.

        Args:
            message: A dict of the OpenAI shape, with a role.
            place: Where it stands.
            leading: Whether only system messages came before it; None is for those only.
        """
        ...

    def parts(self, message: dict[str, Json], place: Place) -> list[Json]:
        """Return what `message` says, as the parts of its turn; ``[]`` for nothing."""
        ...

    def turn(self, role: str, parts: Json) -> Json:
        """Return a turn of `parts`, which are a list or an `Each`; or a list of several turns."""
        ...

    def entries(self, system: list[Json], turns: Json) -> Iterable[tuple[str, Json]]:
        """Return the entries of the body: the system's parts, if any, then the turns, last."""
        ...


def conversation(messages: Json, speaker: Speaker, losses: Losses) -> dict[str, Json]:
    """Return the entries of the body that `messages` become.

    Args:
        messages: A conversation as in `penstock.messages.Messages`.
        speaker: The vendor's way with them.
        losses: Told of what they lose.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]

    def begun() -> _Pass:
        return _Pass(speaker, Place(losses))

    if hasattr(messages, "blocks"):
        return {"messages": Entries(replayed_kept(messages, begun), off_loop=off_loop_of(messages))}
    if isinstance(messages, (list, tuple)) and len(messages) <= _HELD:
        return {
            name: [*value.source] if isinstance(value, Each) else value  # type: ignore[misc]  # `_Rest`
            for name, value in begun().over(iter(messages))
        }
    return {"messages": Entries(replayed(messages, begun))}


class _Pass:
    """One pass over a conversation, sync or async: both drive the same steps."""

    def __init__(self, speaker: Speaker, place: Place) -> None:
        self._speaker = speaker
        self._place = place
        self._next: Json = None
        """The message, or texts, that the next turn begins with; None where there is none."""
        self._said: list[Json] = []
        """What that message says, where it was asked for that."""
        self._texts: Texts | None = None
        """What is left of texts that were pulled together."""
        self._ahead: Json = None
        """What was pulled to see whether it goes on with those; None for nothing."""
        self._nested: Callable[[Steps], Json] = iter

    def over(self, messages: Iterator[Json]) -> Iterator[tuple[str, Json]]:
        """Return the entries of `messages`."""
        self._nested = lambda steps: _Rest(driven(steps, messages))
        return driven(self._entries(), messages)

    def over_async(self, messages: AsyncIterator[Json]) -> AsyncIterator[tuple[str, Json]]:
        """Return the entries of async `messages`."""
        self._nested = lambda steps: _AsyncRest(driven_async(steps, messages, owned=False))
        return driven_async(self._entries(), messages)

    def _open(self, message: Json) -> dict[str, Json]:
        self._place.index += 1
        return opened(message, self._place)

    def _entries(self) -> Steps:
        speaker, place = self._speaker, self._place
        system: list[Json] = []
        while (pulled := (yield NEXT)) is not END:
            if type(pulled) is Texts:
                self._next = pulled
                break
            message = self._open(pulled)
            if speaker.role(message, place, leading=True) is not None:
                self._next = message
                break
            system += speaker.parts(message, place)
        yield from speaker.entries(system, Each(self._nested(self._turns())))

    def _turns(self) -> Steps:
        speaker, place = self._speaker, self._place
        message = self._next
        if message is None:
            return  # there are system messages only
        while message is not None:
            if type(message) is Texts:
                message = yield from self._last_of(message)
            role = speaker.role(message, place, leading=False) or ""
            parts, self._said = self._said or speaker.parts(message, place), []
            held, message = 1, None
            while (following := (yield from self._pull(role))) is not END:
                if self._is_of_another(following, role):
                    if type(following) is Texts or self._says(following):
                        message = following
                        break
                    continue
                if held >= _HELD:
                    self._next = following
                    rest = self._nested(self._rest(role, parts))
                    yield speaker.turn(role, Each(rest))
                    # Where nobody read it, it is gone over now.
                    for _ in rest if isinstance(rest, _Rest) else ():
                        pass
                    message, parts = self._next, []
                    break
                parts += speaker.parts(following, place)
                held += 1
            if parts:
                said = speaker.turn(role, parts)
                yield from said if type(said) is list else (said,)

    def _last_of(self, texts: Texts) -> Generator[Any, Any, Json]:
        """Say the turns of `texts` that are whole, and return the first message of the last.

        Where texts of another side follow, that one is whole, too, and said with them.
        """
        plain = self._speaker.plain
        while True:
            count, whole = texts.whole(plain)
            if whole is not None:
                self._place.index += count
                yield whole
                del whole
            following = yield NEXT
            if type(following) is not Texts or following.role == texts.role:
                break
            texts, following = texts.before(following), None  # of what is said nothing is held
        self._texts, self._ahead = texts, following
        return self._open(texts.pop())

    def _is_of_another(self, following: Json, role: str) -> bool:
        if type(following) is Texts:
            return True
        return self._speaker.role(following, self._place, leading=False) != role

    def _says(self, message: dict[str, Json]) -> bool:
        """Whether `message` says anything; if not, it does not part the turns around it.

        An empty answer between two of the user's messages would leave two turns of one side, which
        Bedrock refuses.
        """
        self._said = self._speaker.parts(message, self._place)
        return bool(self._said)

    def _pull(self, role: str) -> Generator[Any, Any, Json]:
        """Return what follows in a turn: a message, `END`, or texts that are another's turn."""
        texts, self._texts = self._texts, None
        if not texts:
            pulled, self._ahead = self._ahead, None
            if pulled is None:
                pulled = yield NEXT
            if type(pulled) is not Texts:
                return pulled if pulled is END else self._open(pulled)
            texts = pulled
        if self._speaker.plain.roles[texts.role] != role:
            return texts
        self._texts = texts
        return self._open(texts.pop())

    def _rest(self, role: str, parts: list[Json]) -> Steps:
        """Make the parts of a long turn one at a time; `_next` is what follows it."""
        speaker, place = self._speaker, self._place
        yield from parts
        del parts
        message, self._next = self._next, None
        while True:
            yield from speaker.parts(message, place)
            while (message := (yield from self._pull(role))) is not END:
                if not self._is_of_another(message, role):
                    break
                if type(message) is Texts or self._says(message):
                    self._next = message
                    return
            else:
                return


class _Rest:
    """An iterator that is looked through before the first byte, as what is in memory is."""

    def __init__(self, items: Iterator[Json]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Json]:
        return self._items


class _AsyncRest:
    """The same for an async iterator, which is read once for each that is made."""

    def __init__(self, items: AsyncIterator[Json]) -> None:
        self._items = items

    def __aiter__(self) -> AsyncIterator[Json]:
        return self._items
