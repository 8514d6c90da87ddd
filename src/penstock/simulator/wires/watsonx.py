"""watsonx's text chat: ``POST …/text/chat`` and ``…/text/chat_stream``.

Answers are those of OpenAI's chat completions with a few fields more; events are numbered, and no
``[DONE]`` ends them (watsonx-ai node SDK 1.7.14: ``TextChatStreamItem``, src/lib/common.ts).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from penstock.simulator.answers import Ask
from penstock.simulator.behavior import Behavior
from penstock.simulator.intake import Intake
from penstock.simulator.problems import Problem
from penstock.simulator.steps import Event
from penstock.simulator.wires import openai_request
from penstock.simulator.wires.openai_chat import OpenAIChat

__all__ = ["WatsonX"]

_THEIRS, _OURS = b'"model_id"', b'"model"'
_CODES = {400: "invalid_input_argument", 401: "authentication_token_not_valid"}
_CODES |= {404: "model_not_supported", 429: "consumption_limit_reached"}


class WatsonX:
    """The wire of one of the two paths, which say whether the answer is streamed.

    Args:
        streamed: Which.
    """

    def __init__(self, *, streamed: bool) -> None:
        self._streamed = streamed
        self._chat = OpenAIChat()

    def matches(self, path: str) -> bool:
        """Tell whether `path` ends as this wire's does."""
        return path.endswith("/text/chat_stream" if self._streamed else "/text/chat")

    def ask(self, body: Intake) -> Ask:
        """Read a request; its model is ``model_id``, its usage always comes."""
        renamed = Intake(None)
        renamed.head = body.head.replace(_THEIRS, _OURS, 1)
        renamed.tail = body.tail
        renamed.length = body.length - (len(body.head) - len(renamed.head))
        return replace(openai_request.read(renamed), stream=self._streamed, usage=True)

    def model_in(self, head: bytes) -> str | None:
        """Return the model from the start of a body that is still arriving."""
        return openai_request.model_in(head.replace(_THEIRS, _OURS, 1))

    def content_type(self, behavior: Behavior) -> str:
        """Return the stream's content type."""
        return self._chat.content_type(behavior)

    def error_body(self, problem: Problem, style: str) -> tuple[str, bytes]:
        """Return the content type and body of a refusal; `style` does not change it."""
        code = problem.code or _CODES.get(problem.status, "downstream_request_failed")
        error = {"code": code, "message": problem.message, "more_info": "https://sim.invalid/docs"}
        said = {"errors": [error], "trace": "5f2b0c", "status_code": problem.status}
        return "application/json", json.dumps(said, ensure_ascii=False).encode()

    def error_event(self, name: str, model: str) -> bytes:
        """Return the event of the fault `name`, named as it is."""
        event = self._chat.error_event(name, model)
        return event if event.startswith(b"event:") else b"event: error\n" + event

    def stream(self, ask: Ask, behavior: Behavior) -> Iterator[Event]:
        """Produce the numbered events of a streamed answer."""
        numbers = count(1)
        for event in self._chat.stream(ask, behavior):
            if event.data.startswith(b"data: [DONE]"):
                continue
            head = b"id: %d\nevent: message\n" % next(numbers)
            yield Event(head + _named(event.data), event.content)

    def whole(self, ask: Ask, behavior: Behavior) -> bytes:
        """Return the whole answer."""
        return _named(self._chat.whole(ask, behavior))


def _named(data: bytes) -> bytes:
    """Say the model a second time, under the name that is watsonx's own."""
    before, found, rest = data.partition(b'"model":')
    name = rest[: rest.find(b'"', 1) + 1]
    return before + found + name + b',"model_id":' + rest if found else data
