"""The tool loop: ask the model, make its calls, ask again, until it asks for none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Self, TypeAlias, Unpack

from penstock.agents.history import History
from penstock.agents.job import Job
from penstock.agents.limits import LoopLimits
from penstock.agents.run import ToolRun
from penstock.agents.toolbox import Toolbox, sorted_tools
from penstock.conversations import Conversation
from penstock.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.agents.events import LoopResult
    from penstock.agents.tools import Approve
    from penstock.calls import CallOptions
    from penstock.client import Client
    from penstock.messages import Message, Messages

__all__ = ["ToolLoop"]

Begin: TypeAlias = "str | Message | Iterable[Message] | Conversation | None"
"""What a run begins with."""
View: TypeAlias = Callable[[Conversation], Awaitable[Any]]
"""Returns what is sent of a conversation. Any: `penstock.messages.Messages`."""

_END = 2.0
"""Seconds that closing waits for calls that did not end when they were cancelled."""


class ToolLoop:
    """Lets a model call tools until it has its answer; needs asyncio.

        async with ps.agents.ToolLoop(client, "openai/gpt-5.4", tools=[weather]) as loop:
            async for event in loop.run("Do I need an umbrella in Oslo?"):
                print(event.text, end="")

    A tool's failure is a result to the model: `ToolError`, an MCP server's error, arguments that do
    not fit, a denial, a timeout. Its crash ends the run: any other exception of a function, a
    server that is gone for good. MCP servers are started by the first run. ``async with`` ends
    them; without it each run has its own, and ends them itself.

    Args:
        client: Answers.
        model: Who is asked; by default the client's.
        tools: Callables, dicts of the OpenAI shape with a ``handler``, `FunctionTool`, `MCPServer`,
            URLs of MCP servers, objects with a ``name`` and a ``url``; dicts of other types, which
            the provider runs, are passed on.
        system: The system's message, with which a conversation begins that is empty.
        approve: Is asked before each call; see `Approve`. By default each is allowed.
        limits: What a run may cost.
        view: Returns what is sent of the conversation in each step, such as
            ``lambda conversation: conversation.last(40)``; by default all of it.
        options: What each step's call takes; see `penstock.calls.CallOptions`.

    Raises:
        ConfigurationError: A tool is none, or two have one name.
    """

    def __init__(  # type: ignore[misc]  # `tools` is the loop's own
        self,
        client: Client,
        model: str | None = None,
        *,
        tools: Iterable[Any] = (),  # Any: tools come in many shapes, other programs' among them
        system: str | None = None,
        approve: Approve | None = None,
        limits: LoopLimits | None = None,
        view: View | None = None,
        **options: Unpack[CallOptions],
    ) -> None:
        if "body" in options:
            raise ConfigurationError("body= is one request, and a loop makes many")
        self._client, self._model = client, model
        self._sorted = sorted_tools(tools)
        self._system, self._approve = system, approve
        self._limits = limits or LoopLimits()
        self._view: View = view or _whole
        self._options = options
        self._box: Toolbox | None = None
        self._leaving: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        """Return the loop, whose servers stay from run to run."""
        self._box = self._toolbox()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.aclose()

    def run(self, messages: Begin = None, *, conversation: Conversation | None = None) -> ToolRun:
        """Return a run, whose events are iterated over; `ToolRun.aclose` or leaving ends it.

        Args:
            messages: What is appended first: a user's text, or messages. None goes on where the
                conversation is.
            conversation: The history, to which each message is appended as it comes; by default
                one in memory. Calls of its last message that have no result are made first; those
                that an earlier run had begun may have run already, and are made again only where
                the tool is ``repeatable``: else the model is told that they were interrupted.

        Raises:
            UsageError: There are two conversations.
        """
        if isinstance(messages, Conversation):
            if conversation is not None:
                raise UsageError("a run has one conversation: pass it as conversation=")
            messages, conversation = None, messages
        history = History(
            conversation or Conversation.open(),
            kept=conversation is not None,
            strict=bool(self._options.get("strict")),
        )
        return ToolRun(
            Job(
                ask=self._ask,
                history=history,
                messages=messages,
                system=self._system,
                box=self._box or self._toolbox(),
                own=self._box is None,
                limits=self._limits,
                approve=self._approve,
                leaving=self._leaving,
            )
        )

    async def collect(
        self, messages: Begin = None, *, conversation: Conversation | None = None
    ) -> LoopResult:
        """Run to the end and return what it amounts to; see `run`.

        Raises:
            PenstockError: A step failed, a tool crashed, or a bound was reached.
        """
        run = self.run(messages, conversation=conversation)
        del messages
        return await run.collect()

    async def aclose(self) -> None:
        """End the servers, remove spilled results; idempotent.

        A run that is under way ends with `penstock.errors.StreamClosedError` when it needs a server
        or another step; what it has is in its conversation.
        """
        box, self._box = self._box, None
        left = set(self._leaving)
        for task in left:
            task.cancel()
        try:
            if left:
                await asyncio.wait(left, timeout=_END)
        finally:
            if box is not None:
                await box.aclose()

    def _toolbox(self) -> Toolbox:
        functions, servers, hosted = self._sorted
        return Toolbox(functions, servers, hosted, limits=self._limits)

    async def _ask(self, conversation: Conversation, tools: list[Any]) -> Any:
        """Return the stream of the next answer. Any: schemas; `penstock.ChatStream`."""
        sent: Messages = await self._view(conversation)
        options = self._options.copy()
        if tools:
            options["tools"] = tools
        return self._client.stream(self._model, sent, **options)


async def _whole(conversation: Conversation) -> Conversation:
    return conversation
