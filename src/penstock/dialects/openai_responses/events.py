"""One event of any shape to chunks: each of the SDK's ``ResponseStreamEvent``, and what is unknown.

Every event has its place in `READ`, `SILENT` or `PASSED`; one that has none is handed on as a
`ProviderEvent` of its own name, so that nothing of an answer is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import AudioDelta, Chunk, Citation, ImageDelta, ProviderEvent, State
from penstock.dialects.faults import failure
from penstock.dialects.openai_responses.errors import failed
from penstock.dialects.openai_responses.fields import index_of, measure, object_of, pass_rest
from penstock.dialects.openai_responses.items import kept
from penstock.dialects.openai_responses.output import CALLS, Item, Output
from penstock.dialects.openai_responses.response import NOISE, Told, finish
from penstock.dialects.openai_responses.unsaid import PASSED, SILENT
from penstock.errors import ProtocolError, TruncatedError

if TYPE_CHECKING:
    from penstock.limits import Limits
    from penstock.request import RecallRequest

__all__ = ["READ", "Events"]

# JSON as a provider sent it.
Json: TypeAlias = Any
Event: TypeAlias = dict[str, Json]

_PLACE = frozenset(
    {"output_index", "content_index", "summary_index", "annotation_index", "item_id", *NOISE}
)
"""Fields that say where an event belongs, which the chunks' order and the items' ids say."""
_ERROR = frozenset({"code", "message", "param", "type"})
_OURS = frozenset({"message", "reasoning", *CALLS})
"""Items that have chunks of their own; the others are handed on as they are."""
_KINDS = {"output_text": "text", "refusal": "refusal", "reasoning_text": "thought"}
_FIELDS = {"text": "text", "refusal": "refusal", "thought": "text"}


class Events:
    """What the events of one answer have said so far."""

    __slots__ = ("_images", "_recalled", "complete", "number", "output", "told")

    def __init__(self, limits: Limits, recall: RecallRequest | None = None) -> None:
        self.complete = False
        """Whether the response has ended."""
        self.number = -1
        """The number of the last event that has one."""
        # A stream that is taken up again has ends of items whose beginnings came before.
        resumed = recall is not None and recall.starting_after is not None
        self.output = Output(limits, resumed=resumed)
        self.told = Told(background=recall is not None and recall.stream)
        self._recalled = recall is not None
        self._images = 0

    def read(self, name: str, event: Event, into: list[Chunk]) -> None:
        """Append the chunks of `event`, which is called `name` where it does not say itself.

        Raises:
            PenstockError: It is an error, or breaks the dialect.
        """
        kind = event.get("type")
        kind = kind if isinstance(kind, str) and kind else name
        if type(number := event.get("sequence_number")) is int:
            self.number = number
        read = READ.get(kind)
        if read is not None:
            read(self, event, into)
        elif kind not in SILENT:
            named = kind in PASSED or kind.startswith("response.")
            if not named and (fault := failure(event)) is not None:
                raise failed(fault.get("error") or fault)
            rest = {key: value for key, value in event.items() if key not in NOISE}
            into.append(ProviderEvent(kind, rest))

    def whole(self, response: Event, into: list[Chunk]) -> None:
        """Append the chunks of a whole answer.

        Raises:
            PenstockError: It is an error, or none yet.
        """
        if response.get("object") != "response" and (fault := failure(response)) is not None:
            raise failed(fault.get("error") or fault)
        running = response.get("status") in ("queued", "in_progress")
        if running and not (response.get("background") or self._recalled):
            self.told.introduce(response, into)
            raise TruncatedError(
                f"the answer is {response['status']}, and not in the background",
                code="no_terminal_event",
            )
        self._end({"response": response}, into)

    def _tell(self, event: Event, into: list[Chunk]) -> None:
        response = object_of(event, "response")
        self.told.introduce(response, into)
        self.told.account(response, into)

    def _end(self, event: Event, into: list[Chunk]) -> None:
        """End the answer, with what of it was in no event before."""
        response = object_of(event, "response")
        self.told.introduce(response, into)
        self._finish_items(response.get("output"), into)
        self.told.account(response, into)
        status = response.get("status")
        if (error := response.get("error")) or status == "failed":
            if isinstance(error, dict):
                pass_rest({**error, "type": "error"}, _ERROR, into)
            raise failed(error)
        if status == "cancelled" and not self._recalled:
            raise failed({"code": "response_cancelled", "message": "the response was cancelled"})
        into.append(finish(response, calls=self.output.has_calls))
        self.complete = True

    def _fail(self, event: Event, into: list[Chunk]) -> None:
        del into
        inner = event.get("error")
        raise failed(inner if inner else {key: event[key] for key in event if key not in _PLACE})

    def _finish_items(self, output: Json, into: list[Chunk]) -> None:
        """Finish the items that no event has finished.

        They are known by their type and order: GitHub Copilot has other ids in every event, and
        items that no event spoke of.
        """
        items = self.output.items
        begun: dict[str, deque[Item]] = {}
        for item in items:
            begun.setdefault(item.kind, deque()).append(item)
        for place, data in enumerate(output if isinstance(output, list) else ()):
            if not isinstance(data, dict):
                raise ProtocolError("an output item is no object", code="bad_event")
            same = begun.get(str(data.get("type")))
            if not same and self.output.resumed:
                continue  # it was done before this stream began
            item = same.popleft() if same else self.output.begin(place, data, into)
            if not item.done:
                self._finish_item(item, data, into)
        for item in items:
            if not item.done:
                self._finish_item(item, _as_begun(item), into)

    def _added(self, event: Event, into: list[Chunk]) -> None:
        data = object_of(event, "item")
        self.output.begin(index_of(event, "output_index"), data, into)
        if str(data.get("type")) not in _OURS:
            self._pass_item("response.output_item.added", event, data, into)

    def _done(self, event: Event, into: list[Chunk]) -> None:
        data = object_of(event, "item")
        item = self.output.at(index_of(event, "output_index"), str(data.get("type")), into)
        if item.kind != data.get("type"):  # another one, that did not announce itself
            item = self.output.begin(index_of(event, "output_index"), data, into)
        self._finish_item(item, data, into)

    def _finish_item(self, item: Item, data: Event, into: list[Chunk]) -> None:
        """Append what is left of an item, and what its message keeps of it."""
        output = self.output
        if item.kind == "message":
            self._fill_parts(item, data.get("content"), into)
        elif item.kind == "reasoning":
            self._fill_thoughts(item, data, into)
        elif item.kind in CALLS:
            output.name(item, data, into)
            if not item.named:
                raise ProtocolError(
                    f"tool call {item.call} of the answer has no name", code="nameless_tool_call"
                )
            output.fill(item, "arguments", 0, data.get("arguments", data.get("input")), into)
        else:
            self._show(data, into)
            self._pass_item("response.output_item.done", {"output_index": item.order}, data, into)
        item.done, item.data = True, {}
        if not self._forgotten(data):
            state = kept(data, call=item.call, spans=item.spans())
            if item.order != output.told:
                state["at"] = item.order
            into.append(State({"items": [state]}))
        output.told += 1

    def _forgotten(self, data: Event) -> bool:
        """Whether an item is only its id, of which the provider keeps nothing.

        Sent back, it is refused: "Item with id 'rs_...' not found. Items are not persisted when
        `store` is set to false."
        """
        return (
            self.told.stored is False
            and data.get("type") == "reasoning"
            and not (data.get("encrypted_content") or data.get("content"))
        )

    def _fill_parts(self, item: Item, content: Json, into: list[Chunk]) -> None:
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, dict):
                self._fill_part(item, index, part, into)

    def _fill_part(self, item: Item, index: int, part: Event, into: list[Chunk]) -> None:
        kind = _KINDS.get(str(part.get("type")))
        if kind is None:
            return
        fresh = (kind, index) not in item.parts
        self.output.fill(item, kind, index, part.get(_FIELDS[kind]), into)
        if kind == "text":
            self.output.cite(item, index, part.get("annotations"), into)
            if fresh:
                measure(part.get("logprobs"), into)

    def _fill_thoughts(self, item: Item, data: Event, into: list[Chunk]) -> None:
        for kind, name in (("summary", "summary"), ("thought", "content")):
            parts = data.get(name)
            for index, part in enumerate(parts if isinstance(parts, list) else ()):
                if isinstance(part, dict):
                    self.output.fill(item, kind, index, part.get("text"), into)

    def _show(self, data: Event, into: list[Chunk]) -> None:
        """Append an image that was made."""
        image = data.get("result")
        if data.get("type") != "image_generation_call" or not isinstance(image, str) or not image:
            return
        form = data.get("output_format")
        form = form if isinstance(form, str) and form else "png"
        media = "svg+xml" if form == "svg" else form
        into.append(ImageDelta(f"data:image/{media};base64,{image}", self._images))
        self._images += 1

    def _pass_item(self, name: str, event: Event, data: Event, into: list[Chunk]) -> None:
        """Hand on an item without a chunk of its own; an image is one already."""
        image = data.get("type") == "image_generation_call"
        item = {key: value for key, value in data.items() if not (image and key == "result")}
        into.append(ProviderEvent(name, {"output_index": event.get("output_index"), "item": item}))

    def _say(self, event: Event, into: list[Chunk], *, kind: str, index: str, of: str) -> None:
        """Append a piece of a part."""
        item = self.output.at(index_of(event, "output_index"), of, into)
        if of in CALLS and item.kind not in CALLS:
            raise ProtocolError("arguments of an item that is no call", code="bad_event")
        place = index_of(event, index) if index else 0
        piece = event.get("delta")
        if not isinstance(piece, str):
            raise ProtocolError("a delta is no text", code="bad_event")
        self.output.say(item, kind, place, piece, into)
        known = {*_PLACE, "delta"}
        if kind == "text":
            self.output.texts[index_of(event, "output_index"), place] = self.output.part(
                item, kind, place
            )
            known.add("logprobs")
            measure(event.get("logprobs"), into)
        pass_rest(event, known, into)

    def _said(self, event: Event, into: list[Chunk], *, kind: str, index: str, of: str) -> None:
        """Append what of a finished part did not come in pieces."""
        item = self.output.at(index_of(event, "output_index"), of, into)
        if of in CALLS and item.kind not in CALLS:
            raise ProtocolError("arguments of an item that is no call", code="bad_event")
        place = index_of(event, index) if index else 0
        fresh = (kind, place) not in item.parts
        names = ("text", "refusal", "arguments", "input")
        whole = next((event[name] for name in names if name in event), None)
        self.output.fill(item, kind, place, whole, into)
        if kind == "text" and fresh:
            measure(event.get("logprobs"), into)
        pass_rest(event, {*_PLACE, *names, "logprobs", "name"}, into)

    def _part_done(self, event: Event, into: list[Chunk]) -> None:
        part = object_of(event, "part")
        of = "reasoning" if part.get("type") == "reasoning_text" else "message"
        item = self.output.at(index_of(event, "output_index"), of, into)
        self._fill_part(item, index_of(event, "content_index"), part, into)

    def _cite(self, event: Event, into: list[Chunk]) -> None:
        item = self.output.at(index_of(event, "output_index"), "message", into)
        part = self.output.part(item, "text", index_of(event, "content_index"))
        if event.get("annotation") is not None:
            part.cited += 1
            into.append(Citation(event["annotation"]))
        pass_rest(event, {*_PLACE, "annotation"}, into)

    def _hear(self, event: Event, into: list[Chunk]) -> None:
        piece = event.get("delta")
        if isinstance(piece, str) and piece:
            spoken = event.get("type") == "response.audio.delta"
            into.append(AudioDelta(data=piece) if spoken else AudioDelta(transcript=piece))
        pass_rest(event, {*_PLACE, "delta", "response_id"}, into)


def _saying(kind: str, index: str, of: str) -> Callable[[Events, Event, list[Chunk]], None]:
    return lambda events, event, into: events._say(event, into, kind=kind, index=index, of=of)


def _having_said(kind: str, index: str, of: str) -> Callable[[Events, Event, list[Chunk]], None]:
    return lambda events, event, into: events._said(event, into, kind=kind, index=index, of=of)


READ: Mapping[str, Callable[[Events, Event, list[Chunk]], None]] = {
    "response.created": Events._tell,
    "response.queued": Events._tell,
    "response.in_progress": Events._tell,
    "response.completed": Events._end,
    "response.incomplete": Events._end,
    "response.failed": Events._end,
    "response.cancelled": Events._end,
    "error": Events._fail,
    "response.output_item.added": Events._added,
    "response.output_item.done": Events._done,
    "response.content_part.done": Events._part_done,
    "response.output_text.delta": _saying("text", "content_index", "message"),
    "response.output_text.done": _having_said("text", "content_index", "message"),
    "response.output_text.annotation.added": Events._cite,
    "response.refusal.delta": _saying("refusal", "content_index", "message"),
    "response.refusal.done": _having_said("refusal", "content_index", "message"),
    "response.reasoning_text.delta": _saying("thought", "content_index", "reasoning"),
    "response.reasoning_text.done": _having_said("thought", "content_index", "reasoning"),
    "response.reasoning_summary_text.delta": _saying("summary", "summary_index", "reasoning"),
    "response.reasoning_summary_text.done": _having_said("summary", "summary_index", "reasoning"),
    "response.function_call_arguments.delta": _saying("arguments", "", "function_call"),
    "response.function_call_arguments.done": _having_said("arguments", "", "function_call"),
    "response.custom_tool_call_input.delta": _saying("arguments", "", "custom_tool_call"),
    "response.custom_tool_call_input.done": _having_said("arguments", "", "custom_tool_call"),
    "response.audio.delta": Events._hear,
    "response.audio.transcript.delta": Events._hear,
}
"""Events that have chunks of their own; ``response.cancelled`` is no event of the SDK's, and a
status that it has."""


def _as_begun(item: Item) -> Event:
    """Return an item that was never finished, as far as it has come."""
    data = {**item.data, "status": "incomplete"}
    if item.kind == "message" and item.parts:
        said = sorted((key for key in item.parts if key[0] in _FIELDS), key=lambda key: key[1])
        names = {kind: name for name, kind in _KINDS.items()}
        # The texts are where the spans say: what stands here only says that there is one.
        data["content"] = [
            {"type": names[kind], _FIELDS[kind]: "..."} for kind, _ in said if kind != "thought"
        ]
    return data
