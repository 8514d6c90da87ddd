"""What the server's tools do: a call of a client, and its answer as a result."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import anyio

from penstock.agents.serving.offers import ChatArguments, ModelsArguments, parsed, said
from penstock.agents.serving.sign_in import LOGIN_MODE, Subscription
from penstock.agents.streaming import stream_of
from penstock.errors import InvalidRequestError, PenstockError
from penstock.limits import Timeouts
from penstock.providers.catalogue import catalogue

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.client import Client
    from penstock.stream import ChatStream

__all__ = ["DEFAULT_MODEL", "Answered", "Desk", "Say"]

_log = logging.getLogger("penstock.agents")

# JSON: arguments, structured content.
Json: TypeAlias = Any

Say: TypeAlias = Callable[[int, str], Awaitable[None]]
"""Takes a piece of the answer, and how many characters have come with it."""
Answered: TypeAlias = tuple[str, dict[str, Json]]
"""A result: its text, and its structured content."""

_PACE = 0.05
"""Seconds between two pieces of an answer: a notification costs more than a chunk."""
DEFAULT_MODEL = "sim/echo"
"""The built-in simulator's."""


class Desk:
    """Answers the tools' calls; closing it closes the client, and ends Codex's children.

    Args:
        client: Who asks the providers.
        model: The model of calls that name none; by default the built-in simulator's, which needs
            no key.
        concurrency: Calls that run at once; more wait.
        subscription: OpenAI's other way in.
    """

    def __init__(
        self,
        client: Client,
        *,
        model: str = DEFAULT_MODEL,
        concurrency: int = 100,
        subscription: Subscription | None = None,
    ) -> None:
        self._client = client
        self._model = model
        self._places = anyio.Semaphore(concurrency)
        self._subscription = subscription or Subscription()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client, and end what was started."""
        await self._subscription.aclose()
        await self._client.aclose()

    async def call(self, tool: str, arguments: Json, say: Say) -> Answered:
        """Answer a call.

        Args:
            tool: Its name.
            arguments: Its arguments, unchecked.
            say: Takes the answer piece by piece, where the call asks for that.

        Raises:
            PenstockError: There is no answer.
        """
        async with self._places:
            if tool == "chat":
                return await self._chat(parsed(ChatArguments, arguments), say)
            if tool == "models":
                return await self._models(parsed(ModelsArguments, arguments))
        raise InvalidRequestError(f"there is no tool {tool!r}: there are chat and models")

    async def _chat(self, asked: ChatArguments, say: Say) -> Answered:
        model = asked.model or self._model
        if self._subscription.wanted and self._client.locate(model).provider == "openai":
            try:
                return await self._answer(self._by_subscription(model, asked), say, asked)
            except PenstockError as error:
                if error.committed or not self._subscription.excuses(error):
                    raise
                _log.warning("no subscription (%s): the key is used", error.message)
                text, facts = await self._answer(self._by_client(model, asked), say, asked)
                return text, {**facts, "dropped": [*facts["dropped"], LOGIN_MODE]}
        return await self._answer(self._by_client(model, asked), say, asked)

    async def _answer(self, stream: ChatStream, say: Say, asked: ChatArguments) -> Answered:
        telling = _Telling(say) if asked.stream else None
        async with stream:
            if telling is not None:
                async for text in stream.text():
                    await telling(text)
            reply = await stream.collect()
        return reply.text or reply.refusal or "", said(reply, list(stream.dropped))

    def _by_client(self, model: str, asked: ChatArguments) -> ChatStream:
        return self._client.stream(
            model, asked.conversation, timeouts=_clock(asked), **asked.parameters
        )

    def _by_subscription(self, model: str, asked: ChatArguments) -> ChatStream:
        return stream_of(
            self._subscription.agent(),
            f"codex/{self._client.locate(model).model}",
            asked.conversation,
            timeouts=_clock(asked),
            **asked.parameters,
        )

    async def _models(self, asked: ModelsArguments) -> Answered:
        if asked.provider is not None:
            served = await self._client.list_models(asked.provider)
            models = [f"{asked.provider}/{model}" for model in served]
            return "\n".join(models), {"models": models}
        keyed = [
            row.key
            for row in catalogue().values()
            if row.routable and any(os.environ.get(name) for name in row.key_env)
        ]
        text = f"default model: {self._model}\nproviders with a key here: "
        return text + (", ".join(keyed) or "none"), {
            "default_model": self._model,
            "providers": keyed,
        }


class _Telling:
    """Says an answer in pieces that are not too small."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._held = ""
        self._said = 0
        self._last = -inf

    async def __call__(self, text: str) -> None:
        self._held += text
        now = monotonic()
        if now - self._last >= _PACE:
            self._said += len(self._held)
            held, self._held, self._last = self._held, "", now
            await self._say(self._said, held)


def _clock(asked: ChatArguments) -> Timeouts | None:
    return None if asked.timeout is None else Timeouts(total=asked.timeout)
