"""Prompts to APIs: what their backends have in common, and one run of a tool loop for each try."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.agents import LoopLimits, ToolLoop
from penstock.agents.events import FinalEvent, ReasoningEvent, StepEvent, TextEvent
from penstock.conversations import Conversation
from penstock.errors import ContentBlockedError, OutputTruncatedError
from penstock.limits import Timeouts
from penstock.sync.chia._calls import (
    ChiaFunction,
    ChiaTool,
    LLMCallBase,
    QueryResult,
    Said,
    Turn,
)
from penstock.sync.chia._options import ClientKwargs, checked

if TYPE_CHECKING:
    from penstock.agents.events import LoopEvent
    from penstock.client import Client
    from penstock.deployment import Deployment
    from penstock.response import Reply
    from penstock.sync.chia._log import Tell

__all__ = ["APICall", "APITurn", "Ask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """How a model is asked."""

    provider: str
    """Whose it is: the first part of its name here."""
    model: str
    """The model's own name."""
    deployment: Deployment
    """Where the provider's models are served."""
    max_tokens: int
    """Tokens of each answer."""
    max_steps: int
    """How often the model is asked in one try."""
    kwargs: ClientKwargs
    """What is different for this client."""
    body: Mapping[str, Any] | None = None  # Any: a vendor's own JSON
    """More fields of each request."""

    @property
    def name(self) -> str:
        """The model's name here."""
        return f"{self.provider}/{self.model}"

    def client(self, shim: LLMCallBase) -> Client:
        """Return the client of `shim`: one for all models that are served there."""
        return shim.client({"deployments": {f"{self.provider}/*": self.deployment}})

    def loop(self, shim: LLMCallBase, tools: Sequence[ChiaTool]) -> ToolLoop:
        """Return the loop of `shim` over `tools`."""
        seconds = float(shim.timeout_seconds)
        request = seconds if self.kwargs.timeout is None else float(self.kwargs.timeout)
        return ToolLoop(
            self.client(shim),
            self.name,
            tools=tools,
            limits=LoopLimits(
                max_steps=self.max_steps,
                timeout=seconds,
                tool_timeout=seconds,
                start_timeout=min(30.0, seconds),
            ),
            # The seed has one clock: none of ours may be stricter.
            timeouts=Timeouts(
                response=request, ttft=request, idle=request, progress=request, total=request
            ),
            max_retries=self.kwargs.retries,
            extra_headers=self.kwargs.headers,
            max_tokens=self.max_tokens,
            extra_body=self.body,
        )


class APICall(LLMCallBase):
    """A backend that is an API, with the tool loop over it; it says where it is.

    Its fields are the seed's last ones: a subclass declares them, behind those of its own.

    Args:
        creds: The resource of Ray's that a class's prompts take a hundredth of; without one a class
            has its base's `prompt`.
    """

    max_tokens: int
    max_tool_iterations: int
    client_kwargs: Mapping[str, Any] | None

    def __init_subclass__(cls, *, creds: str = "", **more: Any) -> None:  # Any: other bases'
        super().__init_subclass__(**more)
        if creds:
            prompt = ChiaFunction(resources={creds: 0.01})(APICall.prompt)
            # By these it is found again where a pickle of it is read.
            prompt.__module__, prompt.__qualname__ = cls.__module__, f"{cls.__qualname__}.prompt"
            cls.prompt = prompt  # type: ignore[method-assign]  # each has its own

    def __post_init__(self) -> None:
        super().__post_init__()
        self.client_kwargs = checked(self.client_kwargs)

    def prompt(
        self,
        user_message: str,
        tools: list[ChiaTool] | None = [],  # noqa: B006  # the seed's, and only read
    ) -> QueryResult:
        """Ask, call the tools that are asked for, and return the answer.

        Args:
            user_message: The user's words.
            tools: MCP servers, which are objects with a name and a url, or Python functions.

        Raises:
            ChiaError: It failed in a way that the class's module has a class for.
            UsageError: It could not be asked.
        """
        return self._ask(user_message, tools)

    @abstractmethod
    def _place(self, kwargs: ClientKwargs) -> tuple[str, Deployment]:
        """Return whose the model is, the first part of its name here, and where it is served."""

    def _turn(self, message: str, tools: Sequence[ChiaTool]) -> Turn:
        kwargs = ClientKwargs.of(self.client_kwargs)
        provider, deployment = self._place(kwargs)
        ask = Ask(
            provider=provider,
            model=self.model,
            deployment=deployment,
            max_tokens=self.max_tokens,
            max_steps=self.max_tool_iterations,
            kwargs=kwargs,
        )
        return APITurn(self, ask, message, tools)


class APITurn:
    """One prompt to an API.

    A try goes on where the last one failed: what tools did is not done again.

    Args:
        shim: Who asks.
        ask: How.
        message: The user's words.
        tools: What `penstock.agents.ToolLoop` takes.
        earlier: The messages before.
        stream: Whether it tells what the model says and which tools it calls.
        all: Whether it tells what the model thinks, too.
    """

    def __init__(
        self,
        shim: LLMCallBase,
        ask: Ask,
        message: str,
        tools: Sequence[ChiaTool],
        *,
        earlier: Sequence[Any] = (),  # Any: messages of the OpenAI shape
        stream: bool = True,
        all: bool = False,
    ) -> None:
        self.said = Said()
        self._ask = ask
        self._loop = ask.loop(shim, tools)
        system = [{"role": "system", "content": shim.system_message}] if shim.system_message else []
        self._begin = [*system, *earlier, {"role": "user", "content": message}]
        self._conversation = Conversation.open()
        self._events: list[bytes] = []
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._stream, self._all = stream, all

    async def run(self, tell: Tell) -> None:
        """Try once; `said` has the answer, or what there is without one."""
        self.said = Said(conversation=self._conversation.sync)
        begin, self._begin = self._begin, []
        await self._conversation.extend(begin)
        try:
            async with self._loop, self._loop.run(conversation=self._conversation) as run:
                async for event in run:
                    await self._note(event, tell)
                reply = run.result.reply
            await self._check(reply)
        finally:
            self._text.clear()
            self._thinking.clear()
            self.said.stream = b"".join(self._events).decode()
        self.said.text = reply.text

    async def _check(self, reply: Reply) -> None:
        """Refuse an answer that is none, and forget it: it is asked for once more.

        Raises:
            OutputTruncatedError: It ended at its token limit.
            ContentBlockedError: A filter ended it.
        """
        if reply.finish_reason not in ("length", "content_filter"):
            return
        await self._conversation.truncate(await self._conversation.length() - 1)
        where: dict[str, Any] = {"provider": reply.provider, "model": self._ask.name}
        if reply.finish_reason == "length":
            raise OutputTruncatedError(
                f"the answer ended at max_tokens={self._ask.max_tokens}", partial=reply, **where
            )
        raise ContentBlockedError(
            "a content filter ended the answer",
            code=reply.choices[0].finish_raw or reply.finish_reason,
            partial=reply,
            **where,
        )

    async def _note(self, event: LoopEvent, tell: Tell) -> None:
        """Keep an event, and tell of it; pieces of text are one, and so are those of thinking."""
        if isinstance(event, TextEvent):
            self._text.append(event.text)
        elif isinstance(event, ReasoningEvent):
            if self._all:
                self._thinking.append(event.reasoning)
        elif not isinstance(event, FinalEvent):
            if isinstance(event, StepEvent):
                await self._answered(event.step, tell)
            await self._say(event, tell)

    async def _answered(self, step: int, tell: Tell) -> None:
        if self._thinking:
            await tell(("reasoning", "".join(self._thinking)))
            self._thinking.clear()
        if self._text:
            whole = TextEvent(step=step, text="".join(self._text))
            self._text.clear()
            await self._say(whole, tell)

    async def _say(self, event: LoopEvent, tell: Tell) -> None:
        line = msgspec.json.encode(event)
        self._events.append(line + b"\n")
        if self._stream:
            await tell((event.type, line.decode()))
