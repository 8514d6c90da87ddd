"""Every event, item and field of the openai SDK's types is handled, or listed with a reason.

The types are walked, not listed: what a later SDK adds fails here until it has a place.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from openai.types.responses import Response, ResponseOutputItem, ResponseStreamEvent
from openai.types.responses.response_input_param import ResponseInputItemParam
from pydantic import BaseModel, ConfigDict, TypeAdapter
from tests.dialects.openai_chat.test_completeness import Samples, named_leaves
from tests.dialects.saying import say

from penstock.chunks import Chunk
from penstock.dialects.openai_responses import OpenAIResponses
from penstock.dialects.openai_responses.events import READ
from penstock.dialects.openai_responses.response import ECHOES, NOISE
from penstock.dialects.openai_responses.unsaid import PASSED, SILENT
from penstock.errors import PenstockError
from penstock.interfaces import CallRecord
from penstock.limits import Limits
from penstock.pipeline.fold import Fold
from penstock.request import ChatRequest

EVENTS: dict[str, type[BaseModel]] = {
    get_args(event.model_fields["type"].annotation)[0]: event
    for event in get_args(get_args(ResponseStreamEvent)[0])
}
ITEMS: dict[str, type[BaseModel]] = {
    get_args(item.model_fields["type"].annotation)[0]: item
    for item in get_args(get_args(ResponseOutputItem)[0])
}
PLACES = {"output_index", "content_index", "summary_index", "annotation_index", "item_id"}
"""Where a piece belongs: the order of the chunks says it, and the ids that go back."""
ORIGIN = "https://api.example.com"


def test_every_event_has_its_place() -> None:
    """Each of the union is read, handed on or dropped for a reason, and in one way only."""
    known = [*READ, *SILENT, *PASSED]

    assert set() == EVENTS.keys() - set(known)
    assert len(known) == len(set(known))
    assert all(SILENT.values())


class Aliased(Samples):
    """Samples under the names of the wire: ``async`` is a field of some calls."""

    def _plain(self, kind: Any) -> Any:
        value = super()._plain(kind)
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, BaseModel):
            fields = kind.model_fields
            return {fields[name].alias or name: each for name, each in value.items()}
        return value


def sampled(kind: type[BaseModel], variant: int) -> dict[str, Any]:
    """An event or item with every field set, its places zero."""
    value: dict[str, Any] = Aliased(variant).of(kind)
    return value | {name: 0 for name in PLACES & value.keys() if name != "item_id"}


def read(events: list[dict[str, Any]]) -> list[Chunk]:
    """The chunks of some events, whether or not they end with an error."""
    answer = OpenAIResponses().answer(
        ChatRequest(model="m", messages="x"), "application/x-ndjson", Limits(), origin=ORIGIN
    )
    chunks: list[Chunk] = []
    try:
        answer.feed([msgspec.json.encode(event) for event in events], chunks)
    except PenstockError as error:
        chunks.append(error)  # type: ignore[arg-type]  # what it says counts as told
    return chunks


def told(chunks: list[Chunk]) -> set[object]:
    """Every text and number of some chunks; texts also as far as they are one behind the other."""
    found: set[object] = set()
    for chunk in chunks:
        if isinstance(chunk, PenstockError):
            found |= {chunk.code, chunk.param, chunk.message.partition(": ")[2]}
        else:
            found |= {leaf for _, leaf in named_leaves(msgspec.to_builtins(chunk))}
    return found


CARRIERS = [name for name, event in EVENTS.items() if "response" in event.model_fields]


@pytest.mark.parametrize("variant", range(2))
@pytest.mark.parametrize("name", sorted(EVENTS.keys() - SILENT.keys() - set(CARRIERS)))
def test_every_field_of_an_event_reaches_the_caller(name: str, variant: int) -> None:
    """Each text and number is in the chunks, but for places and padding."""
    event = sampled(EVENTS[name], variant)
    # An item that begins is said again, and whole, when it is done.
    done = [event | {"type": "response.output_item.done"}] if name.endswith("item.added") else []
    kept = told(read([event, *done]))

    assert {} == {
        path: value
        for path, value in named_leaves(event)
        if value not in kept and path[0] not in {*PLACES, *NOISE} and path[-1] != "type"
    }


@pytest.mark.parametrize("variant", range(3))
@pytest.mark.parametrize("name", CARRIERS)
def test_every_field_of_a_response_reaches_the_caller(name: str, variant: int) -> None:
    """Each text and number is in the chunks, but for what the request had said."""
    event = sampled(EVENTS[name], variant)
    event["response"]["status"] = name.removeprefix("response.")
    if name != "response.failed":
        event["response"]["error"] = None
    kept = told(read([event]))
    ended = name in ("response.completed", "response.incomplete", "response.failed")
    only_at_the_end = set() if ended else {"output", "incomplete_details"}
    # A completed response has no reason for not being so.
    unread = {"incomplete_details"} if name != "response.incomplete" else set()

    assert {} == {
        path: value
        for path, value in named_leaves(event["response"])
        if value not in kept
        and value not in (False, "assistant")
        and path[0] not in {*ECHOES, *NOISE, *only_at_the_end, *unread, "status", "created_at"}
        and path[-1] not in ("type", "logprobs")
    }


def test_what_is_dropped_of_a_response_has_a_reason() -> None:
    """Each name in the tables is one of the SDK's fields, and has a reason."""
    assert all({**ECHOES, **NOISE}.values())
    assert {"instructions", "tools", "text"} <= ECHOES.keys() & Response.model_fields.keys()


TAKEN = TypeAdapter(list[ResponseInputItemParam], config=ConfigDict(extra="forbid"))
"""The SDK's own idea of what a request takes."""


@pytest.mark.parametrize("variant", range(3))
@pytest.mark.parametrize("kind", ITEMS)
def test_every_output_item_goes_back_as_an_input_item(kind: str, variant: int) -> None:
    """What an answer had is what the next turn sends, and the SDK's request types take it."""
    item = sampled(ITEMS[kind], variant)
    if kind == "additional_tools":
        item["role"] = "developer"  # the only one of its roles that a request takes
    if kind == "computer_call_output":
        item["status"] = "completed"  # a request takes no failed one, which is the caller's own
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    ended = {"type": "response.completed", "response": {"id": "r", "status": "completed"}}
    fold = Fold()
    fold.add(read([done, ended]))
    reply = fold.reply(CallRecord(dialect="openai_responses", origin=ORIGIN))

    said = say("openai_responses", [reply.message], strict=True).body["input"]

    TAKEN.validate_python(said)
    taken = without(item, "created_by", "logprobs")
    if kind == "custom_tool_call_output":
        del taken["status"]  # which a request does not take
    assert [taken] == said


def without(value: Any, *names: str) -> Any:
    """`value` without some fields, on every level."""
    if isinstance(value, dict):
        return {key: without(each, *names) for key, each in value.items() if key not in names}
    if isinstance(value, list):
        return [without(each, *names) for each in value]
    return value


def test_the_walk_finds_what_is_lost() -> None:
    """A field that no chunk has is noticed: the test above proves something."""
    kept = told(read([{"type": "response.audio.done", "mood": "calm"}]))

    assert "calm" not in kept
