"""The provider of exoclaw-provider-openai 0.4, by its own names, over `penstock.Client`.

Its methods are asynchronous, as they are there; it stands among the shims of the other reference
systems. What is different is what went wrong there, and the errors, which are penstock's:

===================================== ==========================================================
caught there                          to catch here
===================================== ==========================================================
``httpx`` and ``exoclaw.http`` errors `penstock.errors.TransportError`
a read or TTFT timeout                `penstock.errors.DeadlineError`, a ``TimeoutError`` too
``HTTPStatusError.status_code``       `penstock.errors.ResponseError`, with ``status`` and reason
the last error of a fallback list     `penstock.errors.AllProvidersFailedError`, with ``attempts``
``ContextWindowExceededError``        `penstock.errors.ContextLengthError`; exoclaw's own class
                                      where the program has loaded ``exoclaw``, whose agent waits
                                      for it
``ValueError`` of the constructor     `penstock.errors.UnknownModelError`
a success with half an answer         `penstock.errors.TruncatedError`, with ``partial``
===================================== ==========================================================
"""

from __future__ import annotations

import logging
import sys
from collections.abc import (
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from typing import TYPE_CHECKING, Any, TypeAlias

import penstock.deployment
from penstock.chunks import TextDelta
from penstock.client import Client
from penstock.errors import (
    ContextLengthError,
    PenstockError,
    UnknownModelError,
)
from penstock.limits import Timeouts
from penstock.sync.exoclaw_shapes import LLMResponse, ToolCallRequest, conversation, response

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.calls import CallOptions
    from penstock.messages import Messages
    from penstock.request import ReadySource

__all__ = ["Deployment", "LLMResponse", "OpenAIStreamingProvider", "ToolCallRequest"]

_log = logging.getLogger("penstock.sync")

# JSON of the OpenAI shape.
Json: TypeAlias = Any

_SET_BY_CHAT = frozenset(
    {"max_tokens", "messages", "model", "stream", "stream_options", "temperature"}
)
"""Fields of the body that are the provider's own: there, ``extra_body`` does not replace them."""
_SET_BY_US = frozenset({"authorization", "content-type"})
"""Headers that ``extra_headers`` does not replace there."""


class Deployment(penstock.deployment.Deployment):
    """One model's endpoint: a `penstock.Deployment` with the other library's arguments.

    Args:
        base_url: The address before ``/chat/completions``.
        api_key: The key; unlike there it is in no ``repr`` and no pickle.
        extra_headers: More headers, on every request.
        extra_body: More fields, in every request's body, beside those that `chat` sets.

    Raises:
        ConfigurationError: The address is not valid.
    """

    __slots__ = ()

    def __init__(
        self,
        base_url: str,
        api_key: str,
        extra_headers: dict[str, str] | None = None,
        extra_body: dict[str, Json] | None = None,
    ) -> None:
        super().__init__(
            base_url,
            api_key,
            headers=_without(extra_headers or {}, _SET_BY_US),
            extra_body=_without(extra_body or {}, _SET_BY_CHAT),
        )

    @property
    def extra_headers(self) -> Mapping[str, str]:
        """More headers, by the other library's name."""
        return self.headers


class OpenAIStreamingProvider:
    """Chats by per-model deployments and fallback lists, streamed both ways.

    A model goes to its deployment and nowhere else; one that has none is refused. When it fails in
    a way that another may not, the models of its list are tried in order, as long as no content has
    come; see `penstock.policies.attempts`. Keys of `fallbacks` without a deployment are ignored,
    and logged.

    Args:
        default_model: The model of calls that name none.
        deployments: For each model its endpoint.
        fallbacks: For a model, the models to try next.
        request_timeout: Seconds for which a connection may be still: to connect (10 at most), to
            take bytes of the body, to send bytes of an answer that has begun.
        stream_ttft_timeout: Seconds from the last byte of the body to the first byte, and to the
            first content. Comments and role-only deltas are no content.
        client: Your own ``httpx.AsyncClient``, or exoclaw's wrapper of one; it stays yours to
            close.
        timeouts: Clocks that have no name there, such as ``progress``; they come over the others.

    Raises:
        UnknownModelError: `default_model` or a fallback has no deployment.
        ConfigurationError: A timeout is not a positive number.
    """

    supports_response_deltas = True

    def __init__(
        self,
        default_model: str,
        deployments: Mapping[str, penstock.deployment.Deployment],
        fallbacks: Mapping[str, Sequence[str]] | None = None,
        *,
        request_timeout: float = 120.0,
        stream_ttft_timeout: float = 15.0,
        client: object | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.default_model = default_model
        self._deployments = dict(deployments)
        self._need(default_model)
        clocks = Timeouts(
            pool=request_timeout,
            connect=min(10.0, request_timeout),
            write=request_timeout,
            response=stream_ttft_timeout,
            ttft=stream_ttft_timeout,
            idle=request_timeout,
        )
        self._client = Client(
            deployments=self._deployments,
            fallbacks=self._lists(fallbacks or {}),
            default_model=default_model,
            timeouts=clocks.override(timeouts),
            # exoclaw.http.from_httpx keeps the client that it was given under this name.
            http_client=getattr(client, "_client", client),
        )

    async def __aenter__(self) -> OpenAIStreamingProvider:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def get_default_model(self) -> str:
        """Return the model of calls that name none."""
        return self.default_model

    async def close(self) -> None:
        """Close every connection; idempotent."""
        await self._client.aclose()

    async def chat(
        self,
        messages: Messages,
        tools: list[dict[str, Json]] | None = None,
        model: str | None = None,
        max_tokens: int = 4096,
        temperature: float = 0.7,
        reasoning_effort: str | None = None,
        response_format: Mapping[str, Json] | None = None,
        on_delta: Callable[[str], Awaitable[None]] | None = None,
    ) -> LLMResponse:
        """Return the whole answer to `messages`.

        Args:
            messages: Dicts of the OpenAI shape: a list, or whatever else `penstock.messages` takes.
                An iterator is kept in a temporary file, so that a fallback gets all of it. Keys
                with an underscore first are the caller's own and not sent; none names a file.
            tools: Tools of the OpenAI shape.
            model: A name in `deployments`.
            max_tokens: Bound of the answer.
            temperature: As the provider defines it.
            reasoning_effort: As the provider defines it.
            response_format: The shape of the answer, in the OpenAI shape.
            on_delta: Awaited with each piece of text. What it raises ends the call, unchanged; it
                is never taken for the provider's failure.

        Raises:
            UnknownModelError: `model` has no deployment.
            EncodeError: Something has no JSON form; before a byte is sent, where it is in memory.
            TruncatedError: The answer stopped before its end; ``partial`` has what came.
            OutputTruncatedError: `max_tokens` cut the arguments of a tool call; ``partial`` has it
                all.
            StructuredOutputError: The arguments of a tool call are no JSON object; ``text`` has
                them.
            PenstockError: There is no answer; ``attempts`` says what was tried.
        """
        name = self._need(model or self.default_model)
        options = _options(tools, max_tokens, temperature, reasoning_effort, response_format)
        stream = self._client.stream(name, conversation(messages), **options)
        # A traceback that shows locals must not show the conversation (fault matrix, 39).
        del messages, tools, options
        try:
            async with stream:
                async for chunk in stream:
                    if on_delta is not None and type(chunk) is TextDelta and chunk.text:
                        await on_delta(chunk.text)
                return response(await stream.collect())
        except PenstockError as error:
            own = _context_window_exceeded(error)
            if own is None:
                raise
            raise own from error

    async def send_streaming_body(self, model: str, body: ReadySource) -> str:
        """Send a body that is JSON already, and return the text of the answer.

        An async iterator is sent once, without retry or fallback. The body's ``model`` is its own:
        `model` chooses the deployment.

        Args:
            model: A name in `deployments`.
            body: The bytes, in pieces of any size; a function that returns them can be sent again.

        Raises:
            PenstockError: There is no whole answer.
        """
        again = None if callable(body) else 0
        stream = self._client.stream(
            self._need(model), body=body, usage=False, fallbacks=(), max_retries=again
        )
        async with stream:
            return (await stream.collect()).text

    def _need(self, model: str) -> str:
        if model not in self._deployments:
            raise UnknownModelError(
                f"{model!r} has no deployment: there are {', '.join(sorted(self._deployments))}",
                model=model,
            )
        return model

    def _lists(self, fallbacks: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """Return the lists of models that can be asked for; what they name must have a place."""
        lists: dict[str, Sequence[str]] = {}
        for model, names in fallbacks.items():
            for name in names:
                self._need(name)
            if model in self._deployments:
                lists[model] = names
            else:
                _log.warning("fallbacks names %r, which has no deployment", model)
        return lists


def _options(
    tools: list[dict[str, Json]] | None,
    max_tokens: int,
    temperature: float,
    reasoning_effort: str | None,
    response_format: Mapping[str, Json] | None,
) -> CallOptions:
    """Return the parameters of a call; what is empty is not sent."""
    options: CallOptions = {
        "max_tokens": max(1, max_tokens),
        "temperature": temperature,
        "spool": True,
    }
    if tools:
        options["tools"] = tools
        options["tool_choice"] = "auto"
    if reasoning_effort:
        options["reasoning_effort"] = reasoning_effort
    if response_format:
        options["response_format"] = response_format
    return options


def _context_window_exceeded(error: PenstockError) -> Exception | None:
    """Return exoclaw's own error where its agent may wait for it: it then shortens the history."""
    types = sys.modules.get("exoclaw.providers.types")
    last = error.attempts[-1].error if error.attempts else type(error).__name__
    if types is None or last != ContextLengthError.__name__:
        return None
    own: Exception = types.ContextWindowExceededError(error.message)
    return own


def _without(table: Mapping[str, Json], names: frozenset[str]) -> dict[str, Json]:
    return {name: value for name, value in table.items() if name.lower() not in names}
