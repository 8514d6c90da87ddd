"""What a tool loop says of itself while it runs: small values that pickle and have a JSON form."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct

from penstock.chunks import Usage  # msgspec reads the annotations
from penstock.response import Reply, ToolCall  # msgspec reads the annotations

__all__ = [
    "FinalEvent",
    "LoopEvent",
    "LoopResult",
    "ReasoningEvent",
    "StepEvent",
    "TextEvent",
    "ToolCallEvent",
    "ToolProgressEvent",
    "ToolResultEvent",
]

# Content parts of the OpenAI shape.
Json: TypeAlias = Any


class _Event(Struct, frozen=True, kw_only=True, tag_field="type", tag="event"):
    step: int = 0
    """The step it belongs to, from 1; 0 for calls that an earlier run left."""

    @property
    def type(self) -> str:
        """The kind's short name, as it stands in the event's JSON."""
        return str(self.__struct_config__.tag)

    @property
    def text(self) -> str:
        """The answer's own text, ``""`` on every event that carries none."""
        return ""


class TextEvent(_Event, frozen=True, kw_only=True, tag="text"):
    """A piece of the model's text."""

    text: str
    """The piece."""


class ReasoningEvent(_Event, frozen=True, kw_only=True, tag="reasoning"):
    """A piece of the model's thinking."""

    reasoning: str
    """The piece."""


class StepEvent(_Event, frozen=True, kw_only=True, tag="step"):
    """The model has answered; its message is in the conversation."""

    finish_reason: str | None
    """Why the answer ended."""
    calls: int = 0
    """How many tool calls it asks for."""
    usage: Usage | None = None
    """The step's tokens, where the provider counts them."""
    cost: float | None = None
    """The step's cost, US dollars, where the provider reports it."""


class ToolCallEvent(_Event, frozen=True, kw_only=True, tag="tool_call"):
    """A tool is to be called: before it is validated and approved."""

    call: ToolCall
    """The call as the model made it."""
    server: str | None = None
    """The MCP server that has the tool; None for a Python callable or an unknown name."""


class ToolProgressEvent(_Event, frozen=True, kw_only=True, tag="tool_progress"):
    """An MCP server says how far a call is; of several at once the last is given."""

    call_id: str
    """The call's id."""
    name: str
    """The tool's name."""
    progress: float
    """How far it is."""
    total: float | None = None
    """How far it goes, where the server knows."""
    message: str | None = None
    """The server's words."""


class ToolResultEvent(_Event, frozen=True, kw_only=True, tag="tool_result"):
    """What a call gave; its message is in the conversation."""

    call_id: str
    """The call's id."""
    name: str
    """The tool's name."""
    content: str | list[Json]
    """What the model gets: text, or parts of the OpenAI shape."""
    is_error: bool = False
    """Whether it is a failure: the tool's own, arguments that do not fit, a denial, a timeout."""
    size: int = 0
    """Bytes of the whole result."""
    spilled: str | None = None
    """The file with the whole text where the model gets only its beginning; it is there until the
    loop is closed."""
    elapsed: float = 0.0
    """Seconds from when the call was begun, waiting for approval included."""


class LoopResult(Struct, frozen=True, kw_only=True):
    """What a whole run amounts to."""

    text: str
    """The last answer's text."""
    reply: Reply
    """The last answer."""
    steps: int
    """How often the model was asked."""
    calls: int
    """How many tools were called."""
    usage: Usage | None = None
    """The tokens of all steps, as far as the provider counts them."""
    cost: float | None = None
    """The cost of all steps, US dollars, as far as the provider reports it."""
    elapsed: float = 0.0
    """Seconds that the run took."""


class FinalEvent(_Event, frozen=True, kw_only=True, tag="final"):
    """The model has answered without asking for a tool: the last event of a run."""

    result: LoopResult
    """What the run amounts to."""


LoopEvent: TypeAlias = (
    TextEvent
    | ReasoningEvent
    | StepEvent
    | ToolCallEvent
    | ToolProgressEvent
    | ToolResultEvent
    | FinalEvent
)
"""Any event of a run."""
