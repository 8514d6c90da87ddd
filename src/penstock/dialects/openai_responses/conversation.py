"""Messages to input items, one message at a time; an assistant's may be several.

Most messages are a role and a text, which is an input item as it is (``EasyInputMessageParam``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from re import DOTALL
from re import compile as pattern
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from penstock.dialects.ids import valid_id
from penstock.dialects.openai_responses.items import given_back
from penstock.dialects.openai_responses.parts import input_parts, output_parts
from penstock.dialects.places import Place, opened
from penstock.dialects.replays import replayed, replayed_kept
from penstock.dialects.shapes import text_of
from penstock.dialects.state import KEY, state_of
from penstock.dialects.texts import Texts
from penstock.fields import Each, Raw, off_loop_of

if TYPE_CHECKING:
    from penstock.dialects.places import Losses
    from penstock.interfaces import Target

__all__ = ["conversation"]

# JSON of the OpenAI shape as the caller gives it, or of the Responses.
Json: TypeAlias = Any

_HELD = 32
"""Messages of a list that is translated at once, which is cheaper."""
_PLAIN = frozenset({"user", "assistant", "system", "developer"})
_OF_ITEM = ("type", "id", "status", "phase")
"""Fields of input items, for messages that have the Responses' shape already."""
_MOST_OPEN = 1024
"""Calls without a result that are remembered; the latest ones are answered."""
_LONGEST = 64
"""Characters of a ``call_id`` (API reference, ``function_call_output``: between 1 and 64)."""
_CALL_ID = pattern(rf".{{1,{_LONGEST}}}", DOTALL)


class _PlainRaw(msgspec.Struct, forbid_unknown_fields=True):
    """A message that is JSON already and may be an item as it is."""

    role: Literal["user", "assistant", "system", "developer"]
    content: msgspec.Raw


_plain_raw = msgspec.json.Decoder(_PlainRaw).decode


def conversation(messages: Json, dialect: str, target: Target, losses: Losses) -> Json:
    """Return the ``input`` that `messages` become.

    Args:
        messages: A conversation as in `penstock.messages.Messages`.
        dialect: Whose ``provider_state`` goes back.
        target: From where it must have come, and what is peculiar there.
        losses: Told of what they lose.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]

    def begun() -> _Pass:
        return _Pass(dialect, target, losses)

    if hasattr(messages, "blocks"):
        return Each(replayed_kept(messages, begun), off_loop=off_loop_of(messages))
    if isinstance(messages, (list, tuple)) and len(messages) <= _HELD:
        return [*begun().over(iter(messages))]
    return Each(replayed(messages, begun))


class _Pass:
    """One pass over a conversation."""

    def __init__(self, dialect: str, target: Target, losses: Losses) -> None:
        self._dialect = dialect
        self._origin = target.origin
        self._ids = "no_item_ids" not in target.quirks.flags
        self._renames = "system_for_developer" in target.quirks.flags
        self._index = -1
        self._place = Place(losses)
        self._custom: dict[str, None] = {}
        """The last calls of custom tools without a result: theirs has a type of its own."""
        self._called: dict[str, str] = {}
        """Ids that were made for the deprecated ``function_call``, by the function's name."""

    def over(self, messages: Iterator[Json]) -> Iterator[Json]:
        """Return the items of `messages`; of one that is an item as it is at the least price."""
        plain = not self._renames
        for message in messages:
            if (
                plain
                and type(message) is dict
                and len(message) == 2
                and type(message.get("content")) is str
                and type(role := message.get("role")) is str
                and role in _PLAIN
            ):
                self._index += 1
                yield message
            else:
                yield from self._items(message)

    async def over_async(self, messages: AsyncIterator[Json]) -> AsyncIterator[Json]:
        """Return the items of async `messages`."""
        async for message in messages:
            if type(message) is Texts:
                self._index += len(message)
                yield message.lines()
                continue
            for item in self._items(message):
                yield item

    def _items(self, message: Json) -> Iterable[Json]:
        """Return the items of one message.

        Raises:
            EncodeError: It is none.
            UnsupportedFeatureError: The request is strict, and it has something without words here.
        """
        place = self._place
        place.index = self._index = self._index + 1
        if type(message) is Raw:
            if not self._renames and _is_plain(message):
                return (message,)
            message = msgspec.json.decode(message.data)
        elif hasattr(message, "to_openai"):
            message = message.to_openai()
        if isinstance(message, Mapping):
            role = message.get("role")
            texts = type(role) is str and type(message.get("content")) is str
            if texts and len(message) == 2 and role in _PLAIN:
                return (self._renamed(message),)
            if role is None and isinstance(message.get("type"), str):
                return (message,)
        message = opened(message, place)
        say = _ROLES.get(message["role"])
        if say is None:
            raise place.fault("role", f"there is no role {message['role']!r:.40}")
        return say(self, message)

    def _renamed(self, item: Mapping[str, Json]) -> Mapping[str, Json]:
        if self._renames and item["role"] == "developer":
            return {**item, "role": "system"}
        return item

    def _spoken(self, message: dict[str, Json]) -> Iterable[Json]:
        """Say what a user, a system or a developer says."""
        content = message.get("content")
        if not isinstance(content, (str, list, tuple)):
            raise self._place.fault("content", "it must be text or a list of parts")
        if not isinstance(content, str):
            content = input_parts(content, self._place)
        item = {"role": message["role"], "content": content}
        self._finish(item, message, {"role", "content"})
        return (self._renamed(item),)

    def _answered(self, message: dict[str, Json]) -> Iterable[Json]:
        """Say what the assistant said: with its state as its own items, or in plain words."""
        place = self._place
        state = state_of(message, place, dialect=self._dialect, origin=self._origin)
        if state:
            items = given_back(state, message, ids=self._ids)
            if items is not None:
                self._remember(items)
                known = {"role", "content", "refusal", "tool_calls", KEY}
                self._drop_others(message, known)
                return items
            place.drop(KEY, "the message was edited and no longer fits it")
        return self._plainly(message)

    def _plainly(self, message: dict[str, Json]) -> list[Json]:
        items: list[Json] = []
        content = self._words(message)
        if content:
            item: dict[str, Json] = {"role": "assistant", "content": content}
            for name in _OF_ITEM:
                if name in message:
                    item[name] = message[name]
            items.append(item)
        calls = message.get("tool_calls") or ()
        if not isinstance(calls, (list, tuple)):
            raise self._place.fault("tool_calls", "it must be a list")
        items += [self._call(index, call) for index, call in enumerate(calls)]
        if isinstance(legacy := message.get("function_call"), Mapping):
            name = str(legacy.get("name"))
            id = _call_id(f"call_{self._index}_{name}")
            _note(self._called, name, id)
            items.append(_function_call(id, name, legacy.get("arguments")))
        known = {"role", "content", "refusal", "tool_calls", "function_call", KEY, *_OF_ITEM}
        self._drop_others(message, known)
        return items

    def _words(self, message: dict[str, Json]) -> Json:
        """Return what the assistant said: text where that is all, else its parts."""
        content, refusal = message.get("content"), message.get("refusal")
        if not isinstance(content, (str, list, tuple, type(None))):
            raise self._place.fault("content", "it must be text or a list of parts")
        parts: list[Json] = []
        if isinstance(content, str):
            if not refusal:
                return content
            parts += [{"type": "output_text", "text": content}] if content else []
        elif content:
            parts += output_parts(content, self._place)
        if isinstance(refusal, str) and refusal:
            parts.append({"type": "refusal", "refusal": refusal})
        if all(part.keys() <= {"type", "text"} for part in parts):
            return "".join(part["text"] for part in parts)
        return parts

    def _call(self, index: int, call: Json) -> dict[str, Json]:
        """Say a call of a function or a custom tool."""
        path = f"tool_calls[{index}]"
        if hasattr(call, "to_openai"):
            call = call.to_openai()
        kind = call.get("type", "function") if isinstance(call, Mapping) else None
        inner = call.get(kind) if isinstance(kind, str) else None
        if kind not in ("function", "custom") or not isinstance(inner, Mapping):
            raise self._place.fault(path, "a call is one of a function or of a custom tool")
        given, name = call.get("id") or "", inner.get("name")
        if not isinstance(given, str):
            raise self._place.fault(f"{path}.id", "it must be text")
        if not isinstance(name, str):
            raise self._place.fault(f"{path}.{kind}.name", "it must be text")
        for other in call.keys() - {"id", "type", "index", kind}:
            if call[other] is not None:
                self._place.drop(f"{path}.{other}")
        id = _call_id(given)
        if kind == "function":
            return _function_call(id, name, inner.get("arguments"))
        _note(self._custom, id, None)
        said = inner.get("input")
        return {
            "type": "custom_tool_call",
            "call_id": id,
            "name": name,
            "input": said if isinstance(said, str) else "",
        }

    def _result(self, message: dict[str, Json]) -> Iterable[Json]:
        """Say what a tool answered."""
        given = message.get("tool_call_id") or ""
        if not isinstance(given, str) or not given:
            raise self._place.fault("tool_call_id", "a result needs its call's id")
        id = _call_id(given)
        kind = "function_call_output"
        if id in self._custom:
            del self._custom[id]
            kind = "custom_tool_call_output"
        item = {"type": kind, "call_id": id, "output": self._output(message)}
        self._finish(item, message, {"role", "content", "tool_call_id"})
        return (item,)

    def _legacy_result(self, message: dict[str, Json]) -> Iterable[Json]:
        """Say what a function answered; its call is the last of its name."""
        name = message.get("name")
        if not isinstance(name, str):
            raise self._place.fault("name", "a function's result needs the function's name")
        id = self._called.get(name) or _call_id(f"call_{self._index}_{name}")
        item = {"type": "function_call_output", "call_id": id, "output": self._output(message)}
        self._finish(item, message, {"role", "content", "name"})
        return (item,)

    def _output(self, message: dict[str, Json]) -> Json:
        content = message.get("content")
        if isinstance(content, (list, tuple)):
            return input_parts(content, self._place)
        if content is None:
            return ""
        if not isinstance(content, str):
            raise self._place.fault("content", "it must be text or a list of parts")
        return content

    def _remember(self, items: list[Json]) -> None:
        """Make the ids of calls what their results will say, and note those of custom tools."""
        for item in items:
            if item.get("type") in ("function_call", "custom_tool_call"):
                item["call_id"] = _call_id(item["call_id"])
                if item["type"] == "custom_tool_call":
                    _note(self._custom, item["call_id"], None)

    def _finish(self, item: dict[str, Json], message: dict[str, Json], known: set[str]) -> None:
        """Give `item` the fields that are its own in both shapes; report the others."""
        for name in _OF_ITEM:
            if name in message and name not in item:
                item[name] = message[name]
        self._drop_others(message, {*known, *_OF_ITEM})

    def _drop_others(self, message: dict[str, Json], known: set[str]) -> None:
        if message.keys() <= known:
            return
        for name, value in message.items():
            if name not in known and value is not None:
                self._place.drop(name)


def _note(kept: dict[str, Json], name: str, value: Json) -> None:
    """Keep `value` under `name`, and no more than the last `_MOST_OPEN`."""
    kept.pop(name, None)
    kept[name] = value
    if len(kept) > _MOST_OPEN:
        del kept[next(iter(kept))]


_ROLES = {
    "user": _Pass._spoken,
    "system": _Pass._spoken,
    "developer": _Pass._spoken,
    "assistant": _Pass._answered,
    "tool": _Pass._result,
    "function": _Pass._legacy_result,
}


def _is_plain(message: Raw) -> bool:
    """Whether a message that is JSON is a role and a text; its text is not looked at."""
    try:
        return memoryview(_plain_raw(message.data).content)[0] == ord('"')
    except msgspec.DecodeError:
        return False


def _call_id(given: str) -> str:
    return valid_id(given, _CALL_ID, length=len("call_") + 24, prefix="call_")


def _function_call(id: str, name: str, arguments: Json) -> dict[str, Json]:
    if not isinstance(arguments, str):  # some callers keep them parsed
        arguments = text_of({} if arguments is None else arguments, "tool_calls")
    return {"type": "function_call", "call_id": id, "name": name, "arguments": arguments}
