"""One call of a model, as hillstar has it: a prompt in, a dict out, failures by the contract."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from penstock.errors import InvalidRequestError, PenstockError, UsageError
from penstock.limits import Timeouts
from penstock.sync.hillstar.contract import CallResult, failure_of, raised
from penstock.sync.shared import shared_portal
from penstock.tracebacks import presented

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from penstock.calls import CallOptions
    from penstock.messages import Messages
    from penstock.response import Reply
    from penstock.stream import ChatStream

__all__ = ["TEMPERATURE", "TIMEOUT", "Ask", "Asks", "Caller"]

_log = logging.getLogger("penstock.sync")

TEMPERATURE = 7.3e-07
"""hillstar's default: as little chance as it can be."""
TIMEOUT = 600.0
"""Seconds that a call may take."""
_NAME = "temperature"


class Asks(Protocol):
    """What answers: a client, or a model over MCP."""

    def stream(
        self,
        model: str | None = None,
        messages: Messages | None = None,
        /,
        **options: Unpack[CallOptions],
    ) -> ChatStream:
        """Return the answer, to be opened."""
        ...

    def aclose(self) -> Awaitable[object]:
        """Let go of everything."""
        ...


class Caller:
    """Calls one model.

    Args:
        owner: The shim's class: its rows of `penstock.sync.hillstar.FAILURES` hold.
        asks: Who answers; closed when the caller is gone.
        asked: The model as `asks` knows it.
        model: The model as results name it.
        provider: The provider as results name it.
        place: Where it is served, for errors.
        server: The MCP server that it is behind; errors of others are what that server says.
    """

    def __init__(
        self,
        owner: type,
        asks: Asks,
        *,
        asked: str,
        model: str,
        provider: str,
        place: str = "",
        server: str = "",
    ) -> None:
        self._owner = owner
        self._asks = asks
        self._asked = asked
        self._model = model
        self._provider = provider
        self._place = place
        self._server = server
        self._refuses = False
        self._holds = False

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_holds": False}

    def ask(
        self,
        prompt: str,
        max_tokens: int,
        temperature: float | None,
        system: str | None,
        timeout: float,
    ) -> Ask:
        """Return a call that is yet to be made.

        What it says is out of sight: a traceback that shows locals does not show it (fault matrix,
        39), once who made it has let go of it.
        """
        return Ask(self, (prompt, system), max_tokens, temperature, timeout)

    def called(self, ask: Ask) -> CallResult:
        """Make the call, and return hillstar's dict; what fails raises or is in it."""
        if not self._holds:
            self._holds = True
            shared_portal().hold(self._asks, self)
        try:
            reply = shared_portal().call(self._answer, ask)
        except PenstockError as error:
            failure = error
        else:
            return CallResult(self._dict(reply.text, reply), reply)
        return self._failed(failure)

    async def _answer(self, ask: Ask) -> Reply:
        if ask.temperature is not None:
            return await self._ask(ask, temperature=ask.temperature)
        if not self._refuses:
            try:
                return await self._ask(ask, temperature=TEMPERATURE)
            except InvalidRequestError as error:
                if error.param != _NAME and _NAME not in error.message.lower():
                    raise
            self._refuses = True
            _log.warning("%s refuses the default temperature: it is left out", self._asked)
        reply = await self._ask(ask)
        reply.dropped.append(_NAME)
        return reply

    async def _ask(self, ask: Ask, **more: Unpack[CallOptions]) -> Reply:
        more["max_tokens"], more["timeouts"] = ask.max_tokens, ask.clocks
        async with self._asks.stream(self._asked, ask.messages, **more) as stream:
            return await stream.collect()

    def _dict(self, text: str | None, reply: Reply | None = None) -> dict[str, Any]:  # as hillstar
        usage = None if reply is None else reply.usage
        return {
            "output": text,
            "model": self._model,
            "tokens_used": 0 if usage is None else usage.total_tokens,
            "provider": self._provider,
        }

    def _failed(self, error: PenstockError) -> CallResult:
        told = bool(self._server) and error.deployment not in (None, self._server)
        row = failure_of(self._owner, error, told=told)
        if row.outcome == "raise":
            raise presented(raised(error, row.kind)) from error.__cause__
        said = f"{row.said} at {self._place}: {error.message}" if row.said else error.message
        return CallResult({**self._dict(None), "error": said}, None, error)


class Ask:
    """One call: what is asked, and within what.

    Args:
        caller: Who makes it.
        said: The prompt, and the system prompt or None.
        max_tokens: Tokens of the answer at most.
        temperature: The temperature, or None for the default.
        timeout: Seconds that the call may take.
    """

    def __init__(
        self,
        caller: Caller,
        said: tuple[str, str | None],
        max_tokens: int,
        temperature: float | None,
        timeout: float,
    ) -> None:
        self._caller = caller
        self._said = said
        self.max_tokens = max_tokens
        self.temperature = temperature
        # One clock: hillstar's calls wait for a whole answer, however long its first word takes.
        self.clocks = Timeouts(total=timeout, response=None, ttft=None, idle=None, progress=None)

    def __call__(self) -> CallResult:
        """Make it.

        Raises:
            UsageError: The prompt is no text.
            Exception: What `penstock.sync.hillstar.FAILURES` says.
        """
        if not isinstance(self._said[0], str):
            raise UsageError(f"prompt is a str, not {type(self._said[0]).__name__}", param="prompt")
        return self._caller.called(self)

    @property
    def messages(self) -> Messages:
        """The conversation."""
        prompt, system = self._said
        said = [{"role": "user", "content": prompt}]
        return [{"role": "system", "content": system}, *said] if system else said
