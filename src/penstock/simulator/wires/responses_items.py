"""The output items of a response: each with the events that announce it, piece by piece.

Shapes follow ``openai.types.responses`` of the openai SDK 3.57 (``ResponseOutputItem``,
``ResponseStreamEvent``), the order of the events the API reference's streaming examples.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from penstock.simulator.answers import Answer, Ask, Call
from penstock.simulator.behavior import Behavior

__all__ = ["MOST", "Part", "items_of"]

Object: TypeAlias = dict[str, Any]
"""A JSON object of a response."""

MOST = 250_000
"""Pieces of an answer that is sent as one object: an endless one ends here."""
_URL = "https://example.com/penstock"
_MEDIA = ("data:image/", ";base64,")


class Part(NamedTuple):
    """One event, the item that it finishes, and how many content chunks it counts for."""

    event: Object
    content: int = 0
    done: Object | None = None
    thought: int = 0
    """How many of them are thinking."""


def items_of(said: Answer, ask: Ask, behavior: Behavior) -> Iterator[Part]:
    """Produce the events of all items, in their order."""
    for number, item in enumerate(_items(said, ask, behavior)):
        for part in item:
            yield part._replace(event={**part.event, "output_index": number})


def _items(said: Answer, ask: Ask, behavior: Behavior) -> Iterator[Iterator[Part]]:
    if any(True for _ in said.reasoning):
        yield _reasoning(said.reasoning, behavior)
    if "annotations" in behavior.shape:
        yield _search(ask, behavior)
    if said.image:
        yield _image(said.image, behavior)
    if said.audio:
        yield _audio(said)
    elif _any(said.text) or not (said.calls or said.refusal or said.image):
        yield _message(said.text, "output_text", behavior)
    refusal = said.refusal or (["I will not."] if "refusal" in behavior.shape else ())
    if refusal:
        yield _message(refusal, "refusal", behavior)
    tools = {tool["name"]: tool for tool in (json.loads(ask.tools) if ask.tools else ())}
    for call in said.calls:
        yield _call(call, tools.get(call.name, {}))


def _any(pieces: Iterable[str]) -> bool:
    return any(True for _ in pieces)


def _added(item: Object) -> Part:
    return Part({"type": "response.output_item.added", "item": item})


def _done(item: Object) -> Part:
    return Part({"type": "response.output_item.done", "item": item}, done=item)


def _reasoning(pieces: Iterable[str], behavior: Behavior) -> Iterator[Part]:
    """Thinking: a summary beside encrypted content, or in the open as servers of open models do."""
    name = f"rs_sim_{behavior.seed}"
    item: Object = {"id": name, "type": "reasoning", "summary": []}
    bare = "reasoning" in behavior.shape
    kind, index = (
        ("reasoning_text", "content_index")
        if bare
        else (
            "reasoning_summary_text",
            "summary_index",
        )
    )
    place = {"item_id": name, index: 0}
    shown = {"type": "reasoning_text" if bare else "summary_text"}
    begun = "response.content_part" if bare else "response.reasoning_summary_part"
    if not bare:
        item["encrypted_content"] = ""
    yield _added(dict(item))
    yield Part({"type": f"{begun}.added", **place, "part": {**shown, "text": ""}})
    held: list[str] = []
    for piece in pieces:
        held += [piece] if len(held) < MOST else []
        yield Part({"type": f"response.{kind}.delta", **place, "delta": piece}, 1, thought=1)
    text = "".join(held)
    yield Part({"type": f"response.{kind}.done", **place, "text": text})
    yield Part({"type": f"{begun}.done", **place, "part": {**shown, "text": text}})
    item["content" if bare else "summary"] = [{**shown, "text": text}]
    if not bare:
        item["encrypted_content"] = f"gAAAAA-sim-{behavior.seed}"
    yield _done(item)


def _message(pieces: Iterable[str], kind: str, behavior: Behavior) -> Iterator[Part]:
    name = f"msg_sim_{behavior.seed}" + ("_refusal" if kind == "refusal" else "")
    item: Object = {"id": name, "type": "message", "status": "in_progress", "role": "assistant"}
    place = {"item_id": name, "content_index": 0}
    field = "refusal" if kind == "refusal" else "text"
    more: Object = {} if kind == "refusal" else {"annotations": [], "logprobs": []}
    yield _added({**item, "content": []})
    part = {"type": kind, **more, field: ""}
    yield Part({"type": "response.content_part.added", **place, "part": part})
    held: list[str] = []
    logprobs: list[Object] = []
    stem = "response.refusal" if kind == "refusal" else "response.output_text"
    for piece in pieces:
        held += [piece] if len(held) < MOST else []
        event: Object = {"type": f"{stem}.delta", **place, "delta": piece}
        if kind == "output_text":
            event["logprobs"] = _logprobs(piece) if "logprobs" in behavior.shape else []
            logprobs += event["logprobs"] if len(held) < MOST else []
        yield Part(event, 1)
    text = "".join(held)
    part[field] = text
    if kind == "output_text":
        part["logprobs"] = logprobs
        if "annotations" in behavior.shape:
            part["annotations"] = [_citation(text)]
            event = {"annotation_index": 0, "annotation": _citation(text)}
            yield Part({"type": f"{stem}.annotation.added", **place, **event})
    done = {"logprobs": logprobs} if kind == "output_text" else {}
    yield Part({"type": f"{stem}.done", **place, field: text, **done})
    yield Part({"type": "response.content_part.done", **place, "part": part})
    yield _done({**item, "status": "completed", "content": [part]})


def _logprobs(piece: str) -> list[Object]:
    token = {"token": piece, "logprob": -0.25, "bytes": list(piece.encode())}
    return [{**token, "top_logprobs": [token]}]


def _citation(text: str) -> Object:
    spot = {"start_index": 0, "end_index": len(text)}
    return {"type": "url_citation", **spot, "title": "Penstock", "url": _URL}


def _call(call: Call, tool: Object) -> Iterator[Part]:
    custom = tool.get("kind") == "custom"
    kind, field = ("custom_tool_call", "input") if custom else ("function_call", "arguments")
    name = f"{'ctc' if custom else 'fc'}_{call.id}"
    item = {"id": name, "type": kind, "call_id": call.id, "name": call.name}
    if tool.get("namespace"):
        item["namespace"] = tool["namespace"]
    if not custom:
        item["status"] = "in_progress"
    yield _added({**item, field: ""})
    stem = "response.custom_tool_call_input" if custom else "response.function_call_arguments"
    held: list[str] = []
    for piece in call.arguments:
        held.append(piece)
        yield Part({"type": f"{stem}.delta", "item_id": name, "delta": piece}, 1)
    whole = "".join(held)
    more = {} if custom else {"name": call.name}
    yield Part({"type": f"{stem}.done", "item_id": name, field: whole, **more})
    if not custom:
        item["status"] = "completed"
    yield _done({**item, field: whole})


def _image(url: str, behavior: Behavior) -> Iterator[Part]:
    form, _, data = url.removeprefix(_MEDIA[0]).partition(_MEDIA[1])
    name = f"ig_sim_{behavior.seed}"
    item: Object = {"id": name, "type": "image_generation_call", "status": "in_progress"}
    yield _added({**item, "result": None})
    stem = "response.image_generation_call"
    yield Part({"type": f"{stem}.in_progress", "item_id": name})
    yield Part({"type": f"{stem}.generating", "item_id": name})
    preview = {"partial_image_index": 0, "partial_image_b64": data, "output_format": form}
    yield Part({"type": f"{stem}.partial_image", "item_id": name, **preview})
    yield Part({"type": f"{stem}.completed", "item_id": name})
    done = {**item, "status": "completed", "result": data, "output_format": form}
    yield _done(done)._replace(content=1)


def _search(ask: Ask, behavior: Behavior) -> Iterator[Part]:
    name = f"ws_sim_{behavior.seed}"
    item: Object = {"id": name, "type": "web_search_call", "status": "in_progress"}
    action = {"type": "search", "query": ask.text[:64], "queries": [ask.text[:64]]}
    yield _added({**item, "action": action})
    for word in ("in_progress", "searching", "completed"):
        yield Part({"type": f"response.web_search_call.{word}", "item_id": name})
    sources = [{"type": "url", "url": _URL}]
    yield _done({**item, "status": "completed", "action": {**action, "sources": sources}})


def _audio(said: Answer) -> Iterator[Part]:
    """Speech, for which the SDK has events and no item."""
    for piece in said.audio:
        yield Part({"type": "response.audio.delta", "delta": piece}, 1)
    for piece in islice(said.text, MOST):
        yield Part({"type": "response.audio.transcript.delta", "delta": piece}, 1)
    yield Part({"type": "response.audio.done"})
    yield Part({"type": "response.audio.transcript.done"})
