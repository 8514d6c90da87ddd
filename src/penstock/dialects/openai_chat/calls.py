"""Which tool call a piece belongs to: by id, then by index, then by order (fault matrix, row 36).

OpenAI gives each call an index, and its id and name with the first piece. Others leave out the
index, send 0 for every call, count it up with each piece, repeat id and name, or send no id. Pieces
of two calls are never put together on a guess: what could mean two things is a `ProtocolError`.
"""

from __future__ import annotations

import msgspec

from penstock.chunks import Chunk, ToolCallDelta
from penstock.dialects.tally import Tally
from penstock.errors import ProtocolError

__all__ = ["Calls"]


class _Call:
    __slots__ = ("alone", "first", "id", "index", "kind", "name", "size")

    def __init__(self, index: int, kind: str, *, alone: bool) -> None:
        self.index = index
        self.kind = kind
        self.alone = alone
        """Whether no other call was in the list that began it."""
        self.id = ""
        self.name = ""
        self.size = 0
        self.first: str | None = ""
        """The arguments while they are one piece, else None."""

    def is_whole(self) -> bool:
        """Whether the arguments came in one piece that is a JSON object."""
        if not self.first:
            return False
        try:
            msgspec.json.decode(self.first, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError:
            self.first = None  # looked at once: more pieces do not make it whole
            return False
        return True


class Calls:
    """The tool calls of one choice."""

    __slots__ = ("_by_id", "_by_place", "_calls", "_choice", "_legacy", "_tally")

    def __init__(self, choice: int, tally: Tally) -> None:
        self._choice = choice
        self._tally = tally
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_place: dict[int, _Call] = {}
        self._legacy: _Call | None = None

    def add(
        self,
        into: list[Chunk],
        *,
        place: int | None,
        id: str,
        name: str,
        arguments: str,
        kind: str | None,
        alone: bool = True,
    ) -> int | None:
        """Append what a piece adds to its call, and return the call's index among ours.

        Args:
            into: Where the chunk goes; nothing is appended for a piece that adds nothing.
            place: The wire's index, where it has one.
            id: The wire's id, or ``""``.
            name: The tool's name, or ``""``.
            arguments: A piece of the arguments.
            kind: ``function`` or ``custom``, where the wire says.
            alone: Whether no other call is in the same list.

        Raises:
            ProtocolError: It could belong to more than one call.
            LimitExceededError: There are too many calls, or too long arguments.
        """
        if not (id or name or arguments):
            return self._named(place)
        call = self._find(place, id, name, arguments, alone=alone)
        new = call is None
        if call is None:
            call = self._start(kind or "function", alone=alone)
        elif id and name and arguments and call.is_whole():
            # The same call once more, as some vendors repeat it whole in the last event.
            if arguments == call.first:
                return call.index
            raise _ambiguous("repeats an id with other arguments")
        if name and call.name and name != call.name:
            raise _ambiguous("changes its name")
        self._append(into, call, place=place, id=id, name=name, arguments=arguments, new=new)
        return call.index

    def add_legacy(self, into: list[Chunk], name: str, arguments: str) -> None:
        """Append a piece of the deprecated ``function_call``, of which a choice has one."""
        new = self._legacy is None
        if self._legacy is None:
            self._legacy = self._start("function_call", alone=True)
        call = self._legacy
        if name and call.name and name != call.name:
            raise _ambiguous("changes its name")
        self._append(into, call, place=None, id="", name=name, arguments=arguments, new=new)

    def continue_at(self, place: int | None, arguments: str, into: list[Chunk]) -> bool:
        """Append a piece that has only arguments; False where its call is not plain to see."""
        call = self._by_place.get(place)  # type: ignore[arg-type]  # None is no key, and finds none
        if call is None:
            return False
        if arguments:
            self._grow(call, arguments)
            into.append(ToolCallDelta(call.index, "", "", arguments, self._choice, call.kind))
        return True

    def check(self) -> None:
        """Hold the calls of a finished choice to what every call has.

        Raises:
            ProtocolError: A call never got a name.
        """
        for call in self._calls:
            if not call.name:
                raise ProtocolError(
                    f"tool call {call.index} of choice {self._choice} has no name",
                    code="nameless_tool_call",
                )

    def _named(self, place: int | None) -> int | None:
        """Return the index of the call that a piece without anything in it means, if any."""
        if place is None:
            return self._calls[-1].index if self._calls else None
        call = self._by_place.get(place)
        return None if call is None else call.index

    def _find(
        self, place: int | None, id: str, name: str, arguments: str, *, alone: bool
    ) -> _Call | None:
        """Return the call of a piece; None for a new one."""
        if id:
            return self._find_by_id(place, id, name, arguments)
        if place is not None:
            return self._find_by_place(place, name)
        return self._find_by_order(name, alone=alone)

    def _find_by_id(self, place: int | None, id: str, name: str, arguments: str) -> _Call | None:
        known = self._by_id.get(id)
        if known is not None:
            return known
        last = self._calls[-1] if self._calls else None
        there = last if place is None else self._by_place.get(place)
        if there is None:
            return None
        if there.id:
            if arguments and not name:
                raise _ambiguous("has a new id without a name")
            return None
        # The call there has had no id so far: this piece brings it, unless it starts another.
        return None if name and there.name else there

    def _find_by_place(self, place: int, name: str) -> _Call | None:
        there = self._by_place.get(place)
        if there is None:
            if name or not self._calls:
                return None
            if len(self._calls) == 1:  # an index that is counted up with each piece
                return self._calls[0]
            raise _ambiguous("has neither id nor name, and an index that no call has")
        if name and there.name:
            if there.is_whole():  # whole calls, all of them with index 0
                return None
            if name != there.name:
                raise _ambiguous("names another tool at the index of an unfinished call")
        return there

    def _find_by_order(self, name: str, *, alone: bool) -> _Call | None:
        last = self._calls[-1] if self._calls else None
        if last is None or (name and (not alone or last.is_whole() or name != last.name)):
            return None
        if name:
            raise _ambiguous("repeats a name without id or index")
        if not alone:
            raise _ambiguous("has neither id, index nor name, and is not alone")
        others = self._calls[:-1]
        if not last.alone and not all(call.is_whole() for call in others):
            raise _ambiguous("has neither id, index nor name, and several calls began together")
        if any(not call.size and call not in self._by_place.values() for call in others):
            raise _ambiguous("has neither id, index nor name, and an earlier call has no arguments")
        return last

    def _start(self, kind: str, *, alone: bool) -> _Call:
        self._tally.add()
        call = _Call(len(self._calls), kind, alone=alone)
        self._calls.append(call)
        return call

    def _append(
        self,
        into: list[Chunk],
        call: _Call,
        *,
        place: int | None,
        id: str,
        name: str,
        arguments: str,
        new: bool,
    ) -> None:
        if place is not None:
            self._by_place[place] = call
        fresh_id = id if id != call.id else ""
        fresh_name = name if not call.name else ""
        if fresh_id:
            call.id = id
            self._by_id[id] = call
        call.name = call.name or name
        self._grow(call, arguments)
        if new or fresh_id or fresh_name or arguments:
            into.append(
                ToolCallDelta(call.index, fresh_id, fresh_name, arguments, self._choice, call.kind)
            )

    def _grow(self, call: _Call, arguments: str) -> None:
        if not arguments:
            return
        call.first = arguments if not call.size else None
        call.size = self._tally.grow(call.size, arguments)


def _ambiguous(why: str) -> ProtocolError:
    return ProtocolError(
        f"a piece of a tool call {why}, so it could belong to more than one call",
        code="ambiguous_tool_call",
    )
