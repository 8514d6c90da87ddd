"""Output items of an answer to what a message keeps of them, and back to input items.

``provider_state["items"]`` has every item of the answer in its order, as the provider sent it, but
for what the message has anyway:

- of a message, a text or refusal is its ``span`` in the message's ``content`` or ``refusal``, in
  characters;
- of a call of our tools, ``call`` is its place among the message's ``tool_calls``, which have its
  ``call_id``, name and arguments;
- an item that was finished out of order has its place as ``at``.

Thinking stays in its item (``summary``, ``content``, ``encrypted_content``): the message has it
nowhere else. If a message was edited so that spans or calls no longer fit, nothing of the state
is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

__all__ = ["given_back", "kept"]

# JSON as the provider sent it, or of the OpenAI shape.
Json: TypeAlias = Any

_PIECES = {"output_text": "text", "refusal": "refusal"}
_CALLS = {
    "function_call": ("function", "arguments"),
    "custom_tool_call": ("custom", "input"),
}
_NOT_TAKEN_BACK = {"custom_tool_call_output": frozenset({"created_by", "status"})}
_MAKER = frozenset({"created_by"})
"""Fields of ``ResponseOutputItem`` that ``ResponseInputItemParam`` does not have (SDK 3.57): of one
type, and of all others and the parts of their ``output``."""
_NULLABLE = frozenset({"result", "code", "outputs"})
"""Fields that input items need even where they are null: of ``ImageGenerationCall`` and
``ResponseCodeInterpreterToolCallParam``."""


def kept(
    item: Mapping[str, Json], *, call: int | None, spans: Sequence[tuple[int, int] | None]
) -> dict[str, Json]:
    """Return what a message keeps of a finished `item`.

    Args:
        item: The item.
        call: Its place among the message's tool calls, of a call.
        spans: Where each of its texts and refusals stands in the message's; None for one that
            others came between.
    """
    others = _NOT_TAKEN_BACK.get(str(item.get("type")), _MAKER)
    own = {
        name: value
        for name, value in item.items()
        if name not in others and (value is not None or name in _NULLABLE)
    }
    if isinstance(output := own.get("output"), list):
        own["output"] = [_without(part, _MAKER) for part in output]
    if call is not None:
        for name in ("call_id", "name", "arguments", "input"):
            own.pop(name, None)
        own["call"] = call
    elif own.get("type") == "message":
        own["content"] = _measured(own.get("content"), spans)
    return own


def _measured(content: Json, spans: Sequence[tuple[int, int] | None]) -> list[Json]:
    parts = []
    left = iter(spans)
    for part in content if isinstance(content, list) else ():
        kind = str(part.get("type")) if isinstance(part, Mapping) else ""
        if kind in _PIECES:
            # Log probabilities are the answer's, and nothing that a model wants back.
            part = {
                name: value
                for name, value in part.items()
                if name != "logprobs" and value is not None
            }
            if part.get(_PIECES[kind]) and (span := next(left, None)) is not None:
                del part[_PIECES[kind]]
                part["span"] = list(span)
        parts.append(part)
    return parts


def _without(part: Json, names: frozenset[str]) -> Json:
    if not isinstance(part, Mapping) or not names & part.keys():
        return part
    return {name: value for name, value in part.items() if name not in names}


def given_back(
    state: Mapping[str, Json], message: Mapping[str, Json], *, ids: bool
) -> list[Json] | None:
    """Return the input items that `message` was, None where it was edited and fits no more.

    Args:
        state: What it keeps.
        message: The message.
        ids: Whether items go back with their ids.
    """
    items = state.get("items")
    if not isinstance(items, (list, tuple)) or not items:
        return None
    try:
        return _Restored(message, ids=ids).of(items)
    except (_Misfit, AttributeError, LookupError, TypeError, ValueError):
        return None


class _Misfit(Exception):
    """The message is not what the items were taken from."""


class _Restored:
    """Puts a message's text and calls back into its items."""

    def __init__(self, message: Mapping[str, Json], *, ids: bool) -> None:
        self._ids = ids
        self._whole = {
            "output_text": message.get("content") or "",
            "refusal": message.get("refusal") or "",
        }
        self._taken = dict.fromkeys(self._whole, 0)
        self._calls = message.get("tool_calls") or ()
        self._called: set[int] = set()

    def of(self, items: Sequence[Json]) -> list[Json]:
        """Return `items` whole."""
        if not all(isinstance(whole, str) for whole in self._whole.values()):
            raise _Misfit
        places = [item.get("at", place) for place, item in enumerate(items)]
        ordered = [item for _, item in sorted(zip(places, items, strict=True), key=_place)]
        restored = [self._item(item) for item in ordered]
        if any(self._taken[kind] != len(whole) for kind, whole in self._whole.items()):
            raise _Misfit
        if len(self._called) != len(self._calls):
            raise _Misfit
        return restored

    def _item(self, item: Mapping[str, Json]) -> dict[str, Json]:
        own = {name: value for name, value in item.items() if name != "at"}
        if not self._ids and own["type"] != "mcp_approval_request":  # its answer names the id
            own.pop("id", None)
        if "call" in own:
            own |= self._call(own["type"], own.pop("call"))
        elif own["type"] == "message":
            own["content"] = [self._part(part) for part in own["content"]]
        return own

    def _call(self, kind: str, index: int) -> dict[str, Json]:
        call = self._calls[index]
        if hasattr(call, "to_openai"):
            call = call.to_openai()
        inner, piece = _CALLS[kind]
        said = call[inner]
        self._called.add(index)
        texts = {"call_id": call["id"], "name": said["name"], piece: said[piece]}
        if not all(isinstance(text, str) for text in texts.values()):
            raise _Misfit
        return texts

    def _part(self, part: Mapping[str, Json]) -> dict[str, Json]:
        kind = part["type"]
        own = {name: value for name, value in part.items() if name != "span"}
        if kind not in _PIECES:
            return own
        if (span := part.get("span")) is not None:
            start, end = span
            own[_PIECES[kind]] = self._whole[kind][start:end]
            self._taken[kind] += end - start
        else:
            self._taken[kind] += len(own[_PIECES[kind]])
        if kind == "output_text":
            own.setdefault("annotations", [])
        return own


def _place(placed: tuple[Json, Json]) -> Json:
    return placed[0]
