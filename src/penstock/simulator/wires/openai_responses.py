"""OpenAI's Responses wire: requests in, named events and responses out.

Shapes follow ``openai.types.responses`` of the openai SDK 3.57 (``Response``,
``ResponseStreamEvent``). A response that is asked for in the background is promised, and made when
it is retrieved: all that it needs stands in its id, as the simulator keeps nothing.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any, TypeAlias

import msgspec

from penstock.simulator.answers import Answer, Ask, answer
from penstock.simulator.behavior import Behavior
from penstock.simulator.intake import Intake
from penstock.simulator.problems import PROBLEMS, Problem
from penstock.simulator.steps import Event
from penstock.simulator.wires import openai_errors, openai_request, responses_request
from penstock.simulator.wires.openai_chat import CREATED
from penstock.simulator.wires.responses_items import items_of
from penstock.simulator.wires.sse import encode, finish_stream

__all__ = ["OpenAIResponses", "promised", "response_of"]

Object: TypeAlias = dict[str, Any]
"""A JSON object of a response."""

_MOST_TEXT = 512
"""Characters of the user's text in the id of a promised response: it travels in an address."""
_PROMISED = "resp_sim_bg_"
_UNFINISHED = ("no-done", "no-finish", "done-without-finish")
_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
_IN_STREAM = {
    "error-quota": "insufficient-quota",
    "error-rate-limit": "rate-limit",
    "error-overloaded": "overloaded",
}

_encode = msgspec.json.Encoder().encode


class OpenAIResponses:
    """``POST …/responses``."""

    def matches(self, path: str) -> bool:
        """Tell whether `path` ends as OpenAI's does."""
        return path.endswith("/responses")

    def ask(self, body: Intake) -> Ask:
        """Read a request; of one above the intake's bound only its first and last keys."""
        return responses_request.read(body)

    def model_in(self, head: bytes) -> str | None:
        """Return the model from the start of a body that is still arriving."""
        return openai_request.model_in(head)

    def content_type(self, behavior: Behavior) -> str:
        """Return the stream's content type, wrong if the shape says so."""
        charset = "latin-1" if "latin-1" in behavior.shape else "utf-8"
        return f"text/event-stream; charset={charset}"

    def error_body(self, problem: Problem, style: str) -> tuple[str, bytes]:
        """Return the content type and body of a refusal."""
        return openai_errors.error_body(problem, style)

    def error_event(self, name: str, model: str) -> bytes:
        """Return the event of the fault `name`, an error inside a stream."""
        if name in ("error-openrouter", "error-string"):
            return openai_errors.error_event(name, model)
        problem = PROBLEMS[_IN_STREAM.get(name, "server-error")]
        said = {
            "code": problem.code or problem.type,
            "message": problem.message,
            "param": problem.param,
        }
        if name == "error-event":  # in an object of its own, as OpenAI's wire has it
            said = {"error": {"type": problem.type, **said}}  # type: ignore[dict-item]
        return b"event: error\n" + encode({"type": "error", "sequence_number": 0, **said})

    def stream(self, ask: Ask, behavior: Behavior) -> Iterator[Event]:
        """Produce the events, each with its name, up to the terminal one."""
        events = _numbered(_events(ask, behavior), behavior)
        return finish_stream(events, behavior.shape)

    def whole(self, ask: Ask, behavior: Behavior) -> bytes:
        """Return the response, or the promise of one."""
        if ask.background:
            return _encode(_response(ask, behavior, "queued"))
        return _encode(response_of(ask, behavior))


def response_of(ask: Ask, behavior: Behavior) -> Object:
    """Return the whole response to `ask`."""
    found: Object = {}
    for event, _ in _events(ask, behavior):
        found = event.get("response", found)
    return found


def promised(name: str) -> Ask | None:
    """Return what a response in the background is to answer, by its id; None for no such id."""
    try:
        packed = base64.urlsafe_b64decode(name.removeprefix(_PROMISED))
        fields = json.loads(zlib.decompressobj().decompress(packed, 64 * 1024))
        return Ask(**fields) if name.startswith(_PROMISED) else None
    except (ValueError, TypeError, zlib.error):
        return None


def _promise(ask: Ask) -> str:
    fields = asdict(replace(ask, text=ask.text[:_MOST_TEXT], stream=False))
    packed = zlib.compress(json.dumps(fields).encode())
    return _PROMISED + base64.urlsafe_b64encode(packed).decode()


def _numbered(events: Iterable[tuple[Object, int]], behavior: Behavior) -> Iterator[Event]:
    for number, (event, content) in enumerate(events):
        event["sequence_number"] = number
        if content and "obfuscation" in behavior.shape:
            event["obfuscation"] = "x" * 8
        if "unknown-fields" in behavior.shape:
            event["x_sim"] = {"number": number}
        name = str(event["type"]).encode()
        yield Event(b"event: " + name + b"\n" + encode(event, behavior.shape), content)
    if behavior.has("done-without-finish"):
        yield Event(b"data: [DONE]\n\n")


def _events(ask: Ask, behavior: Behavior) -> Iterator[tuple[Object, int]]:
    """Produce the events in OpenAI's order, each with the content chunks that it counts for."""
    said = answer(ask, behavior)
    begun = _response(ask, behavior, "in_progress")
    for word in ("created", *(("queued",) if ask.background else ()), "in_progress"):
        yield {"type": f"response.{word}", "response": begun}, 0
    output: list[Object] = []
    produced = thought = 0
    for part in items_of(said, ask, behavior):
        produced += part.content
        thought += part.thought
        output += [part.done] if part.done is not None else []
        yield part.event, part.content
    if any(behavior.has(name) for name in _UNFINISHED) or behavior.finish == "none":
        return
    reason = _reason(said, behavior)
    status = "completed" if reason is None else "incomplete"
    ended = _response(ask, behavior, status) | {"output": output}
    if reason is not None:
        ended["incomplete_details"] = {"reason": reason}
    if behavior.usage != "never":
        ended["usage"] = _usage(ask, behavior, produced, thought)
    yield {"type": f"response.{status}", "response": ended}, 0


def _reason(said: Answer, behavior: Behavior) -> str | None:
    """Return why the response is not complete; None where it is."""
    if behavior.has("unknown-finish"):
        return "weather_changed"
    if behavior.has("content-filter-finish"):
        return "content_filter"
    return _REASONS.get(behavior.finish or said.finish)


def _response(ask: Ask, behavior: Behavior, status: str) -> Object:
    """Return the response without its output."""
    return {
        "id": _promise(ask) if ask.background else f"resp_sim_{behavior.seed}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": ask.background,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": ask.model.partition("?")[0],
        "output": [],
        "parallel_tool_calls": True,
        "store": ask.background,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    }


def _usage(ask: Ask, behavior: Behavior, produced: int, thought: int) -> Object:
    zero = behavior.usage == "zero"
    taken, produced = (0, 0) if zero else (ask.input_tokens, produced)
    return {
        "input_tokens": taken,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": produced,
        "output_tokens_details": {"reasoning_tokens": 0 if zero else thought},
        "total_tokens": taken + produced,
    }
