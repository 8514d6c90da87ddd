"""What a tool is to the loop: a schema for the model, and a call that gives a result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, Protocol, TypeAlias

__all__ = [
    "Allow",
    "Approve",
    "BoundTool",
    "Decision",
    "Deny",
    "OnProgress",
    "ToolError",
    "ToolRequest",
    "ToolResult",
    "refusal",
]

# JSON: arguments of a call, parts of a result, a tool's schema.
Json: TypeAlias = Any

OnProgress: TypeAlias = Callable[[float, float | None, str | None], None]
"""Takes how far a call is, how far it goes, and words."""


class ToolError(Exception):
    """Raised by a tool to say that it failed: its message goes to the model, and the loop goes on.

    Any other exception of a tool is a crash: it ends the run with
    `penstock.errors.ToolCrashedError`.
    """


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave; a tool may return one to say more than a value can."""

    content: str | list[Json]
    """Text, or parts of the OpenAI shape, such as ``{"type": "image_url", ...}``."""
    is_error: bool = False
    """Whether it is a failure, for dialects that can say so."""


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A call that is to be approved."""

    id: str
    """The call's id."""
    name: str
    """The tool's name as the model knows it."""
    arguments: Json
    """The arguments: a dict, or the text of a ``custom`` tool."""
    server: str | None = None
    """The MCP server that has the tool."""
    hints: Mapping[str, Json] = field(default_factory=dict)
    """What an MCP server says of the tool (``readOnlyHint``, ``destructiveHint``, ...): its own
    words, to be believed only where the server is."""
    resumed: bool = False
    """Whether an earlier run began this call and did not see its end."""


@dataclass(frozen=True, slots=True)
class Allow:
    """The call may be made."""


@dataclass(frozen=True, slots=True)
class Deny:
    """The call may not be made; the model is told, and the loop goes on."""

    reason: str = "the user did not allow this call"
    """What the model is told."""


Decision: TypeAlias = "Allow | Deny | bool"
"""What an approval hook answers; ``False`` is a `Deny` without words."""
Approve: TypeAlias = Callable[[ToolRequest], "Decision | Awaitable[Decision]"]
"""Decides on a call. To ask somebody it returns an awaitable, and takes the time it needs."""


async def refusal(approve: Approve, request: ToolRequest) -> str | None:
    """Ask `approve` whether a call may be made; return why not, None where it may.

    Whatever is no clear yes is a no: None is what a hook without a return gives.
    """
    decision: object = approve(request)
    if isawaitable(decision):
        decision = await decision
    if isinstance(decision, Deny):
        return decision.reason
    return None if decision is True or isinstance(decision, Allow) else Deny().reason


class BoundTool(Protocol):
    """A tool that can be called."""

    @property
    def name(self) -> str:
        """Its name as the model knows it."""
        ...

    @property
    def schema(self) -> Mapping[str, Json]:
        """The tool in the OpenAI shape."""
        ...

    @property
    def server(self) -> str | None:
        """The MCP server that has it."""
        ...

    @property
    def hints(self) -> Mapping[str, Json]:
        """What an MCP server says of it."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether a call that may have run already does no harm when it is made again."""
        ...

    async def call(self, arguments: Json, progress: OnProgress) -> ToolResult:
        """Call it.

        Raises:
            ToolError: It failed, and the model is to know.
            Exception: It crashed.
        """
        ...
