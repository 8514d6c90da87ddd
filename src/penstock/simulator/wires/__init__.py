"""The vendors' wires, one module each, behind one seam.

A wire knows a vendor's requests and answers and nothing of connections, pace or HTTP framing. A
new one is a module with a class like `Wire` and a place in `WIRES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

from penstock.simulator.answers import Ask
from penstock.simulator.behavior import Behavior
from penstock.simulator.intake import Intake
from penstock.simulator.problems import Problem
from penstock.simulator.steps import Event
from penstock.simulator.wires.anthropic_messages import AnthropicMessages
from penstock.simulator.wires.bedrock import BedrockConverse, BedrockInvoke
from penstock.simulator.wires.cohere import Cohere
from penstock.simulator.wires.gemini import Gemini
from penstock.simulator.wires.mistral import Mistral
from penstock.simulator.wires.ollama import Ollama
from penstock.simulator.wires.openai_chat import OpenAIChat
from penstock.simulator.wires.openai_responses import OpenAIResponses
from penstock.simulator.wires.watsonx import WatsonX

__all__ = ["WIRES", "Wire", "wire_for"]


class Wire(Protocol):
    """One vendor's requests and answers."""

    def matches(self, path: str) -> bool:
        """Tell whether a POST to `path` is this wire's; only the end of the path counts."""
        ...

    def ask(self, body: Intake) -> Ask:
        """Read a request.

        Raises:
            ValueError: It is not one; the message says why.
        """
        ...

    def model_in(self, head: bytes) -> str | None:
        """Return the model from the start of a body that is still arriving, if it is there."""
        ...

    def error_body(self, problem: Problem, style: str) -> tuple[str, bytes]:
        """Return the content type and body in which `style`'s servers say `problem`."""
        ...

    def error_event(self, name: str, model: str) -> bytes:
        """Return the event of the fault `name`, an error inside a stream."""
        ...

    def stream(self, ask: Ask, behavior: Behavior) -> Iterator[Event]:
        """Produce the events of a streamed answer."""
        ...

    def whole(self, ask: Ask, behavior: Behavior) -> bytes:
        """Return the body of an answer that is not streamed."""
        ...

    def content_type(self, behavior: Behavior) -> str:
        """Return the content type of a stream."""
        ...


WIRES: tuple[Wire, ...] = (
    Mistral(),  # before OpenAI's, whose paths it has
    OpenAIChat(),
    OpenAIResponses(),
    Cohere(),
    Gemini(),
    Ollama(),
    AnthropicMessages(),
    BedrockConverse(),
    BedrockInvoke(),
    WatsonX(streamed=True),
    WatsonX(streamed=False),
)


def wire_for(path: str, target: str = "") -> Wire | None:
    """Return the wire that answers a POST to `path`.

    A wire with a method ``at`` is asked for the one of `target` (the path with its query; by
    default `path`): such a vendor's address says what another's body does.
    """
    wire = next((wire for wire in WIRES if wire.matches(path)), None)
    located = getattr(wire, "at", None)
    return wire if located is None else cast("Wire", located(target or path))
