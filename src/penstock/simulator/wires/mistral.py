"""Mistral's wire, below ``/mistral``: OpenAI's chat completions with content in chunks.

Shapes follow ``mistralai.client.models`` of the mistralai SDK 3.7 (``CompletionChunk``,
``ChatCompletionResponse``, ``ThinkChunk``). Thinking is a chunk of the content, tool calls come
whole and have ids of nine letters and digits, usage comes with the finish reason. As the path is
OpenAI's, the address says whose it is: ``http://…/mistral/v1``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias
from zlib import crc32

from penstock.simulator.answers import Ask
from penstock.simulator.behavior import Behavior
from penstock.simulator.intake import Intake
from penstock.simulator.problems import PROBLEMS, Problem
from penstock.simulator.steps import Event
from penstock.simulator.wires.openai_chat import OpenAIChat
from penstock.simulator.wires.openai_errors import error_body
from penstock.simulator.wires.sse import encode

__all__ = ["Mistral"]

Object: TypeAlias = dict[str, Any]
"""A JSON object of Mistral's."""

_SHAPES = ("reasoning_parts", "whole-calls", "usage-in-finish")
_ID = re.compile(rb'"call_sim_(\w+)"')
_IN_STREAM = {
    "error-quota": "insufficient-quota",
    "error-rate-limit": "rate-limit",
    "error-overloaded": "overloaded",
}


class Mistral:
    """``POST …/mistral/…/chat/completions``."""

    def __init__(self) -> None:
        self._openai = OpenAIChat()

    def matches(self, path: str) -> bool:
        """Tell whether `path` is OpenAI's, below ``/mistral``."""
        return path.endswith("/chat/completions") and "/mistral/" in path

    def ask(self, body: Intake) -> Ask:
        """Read a request, which is like one of OpenAI's; usage is always told."""
        return replace(self._openai.ask(body), usage=True)

    def model_in(self, head: bytes) -> str | None:
        """Return the model from the start of a body that is still arriving."""
        return self._openai.model_in(head)

    def content_type(self, behavior: Behavior) -> str:
        """Return the stream's content type."""
        return self._openai.content_type(behavior)

    def error_body(self, problem: Problem, style: str) -> tuple[str, bytes]:
        """Return the content type and body of a refusal."""
        if style != "openai":
            return error_body(problem, style)
        return "application/json", json.dumps(_error(problem), ensure_ascii=False).encode()

    def error_event(self, name: str, model: str) -> bytes:
        """Return the event of the fault `name`, an error inside a stream."""
        del model
        return encode(_error(PROBLEMS[_IN_STREAM.get(name, "server-error")]))

    def stream(self, ask: Ask, behavior: Behavior) -> Iterator[Event]:
        """Produce the chunks as server-sent events, with ``[DONE]``."""
        shaped = replace(behavior, shape=(*_SHAPES, *behavior.shape))
        for event in self._openai.stream(ask, shaped):
            yield Event(_ID.sub(_named, event.data), event.content)

    def whole(self, ask: Ask, behavior: Behavior) -> bytes:
        """Return the completion object."""
        completion = json.loads(_ID.sub(_named, self._openai.whole(ask, behavior)))
        for choice in completion["choices"]:
            _chunk(choice["message"])
        return json.dumps(completion, ensure_ascii=False, separators=(",", ":")).encode()


def _error(problem: Problem) -> Object:
    """What the API answers: a list of places and texts for a request that is not one."""
    said: Any = problem.message
    if problem.status == 422:
        where = ["body", problem.param or "messages"]
        said = {"detail": [{"type": "value_error", "loc": where, "msg": problem.message}]}
    kind = {"message": said, "type": problem.type, "param": None, "code": problem.code}
    return {"object": "error", **kind, "raw_status_code": problem.status}


def _named(match: re.Match[bytes]) -> bytes:
    """Return an id of nine letters and digits for a call of ours."""
    return b'"s%08x"' % crc32(match[1])


def _chunk(message: Object) -> None:
    """Put a message's thinking into its content, and say a refusal as text."""
    refusal = message.pop("refusal", None)
    content = message.get("content") or refusal or ""
    thinking = message.pop("reasoning_content", None)
    if thinking:
        texts = [{"type": "text", "text": content}] if content else []
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": thinking}]}
        message["content"] = [thought, *texts]
    else:
        message["content"] = content
