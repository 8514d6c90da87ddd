"""Answers that a provider makes in the background: asked for again, taken up again, stopped.

For example::

    reply = await client.chat(model, messages, stream=False, extra_body={"background": True})
    kept = await client.responses.retrieve(reply.id, model=model)
    if kept.done:
        print(kept.reply.text)

Only the dialect ``openai_responses`` has them. A call goes to the deployment of `model` and to no
other: an answer is where it was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypedDict, TypeVar, Unpack

from pydantic import BaseModel, ConfigDict

from penstock.limits import Timeouts
from penstock.request import RecallRequest
from penstock.response import Reply

__all__ = ["BackgroundResponse", "OpenedT", "RecallOptions", "Responses"]

_RUNNING = ("queued", "in_progress")


class _Collects(Protocol):
    """An open stream of chunks."""

    async def collect(self) -> Reply:
        """Read what is left and return the whole answer."""
        ...


OpenedT = TypeVar("OpenedT", bound=AbstractAsyncContextManager[Any])  # Any: of the stream itself
"""What a client opens an answer as: `penstock.stream.ChatStream`."""


class BackgroundResponse(BaseModel):
    """An answer in the background, as it stands."""

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)

    id: str
    """The provider's id for it."""
    status: str
    """``queued``, ``in_progress``, ``completed``, ``incomplete`` or ``cancelled``."""
    reply: Reply
    """The answer as far as the provider gives it; whole once it is `done`."""

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.status not in _RUNNING


class RecallOptions(TypedDict, total=False):
    """What every call about an answer in the background takes."""

    timeouts: Timeouts | None
    """Clocks of this call."""
    max_retries: int | None
    """Tries after the first, in place; None follows the client's."""
    extra_headers: Mapping[str, str]
    """More headers."""


class Responses(Generic[OpenedT]):
    """A client's answers in the background.

    Args:
        open: Makes a stream of the answer to a request.
    """

    def __init__(self, open: Callable[[RecallRequest], OpenedT]) -> None:
        self._open = open

    async def retrieve(
        self, id: str, *, model: str, **options: Unpack[RecallOptions]
    ) -> BackgroundResponse:
        """Return how the answer called `id` stands.

        Args:
            id: As ``reply.id`` has it.
            model: The model that it was asked of.
            options: Those of `RecallOptions`.

        Raises:
            PenstockError: There is no such answer, or it failed: the error is the one that a stream
                of it would have raised.
        """
        return await self._settled(
            RecallRequest(model=model, id=id, stream=False, fallbacks=(), **options)
        )

    async def cancel(
        self, id: str, *, model: str, **options: Unpack[RecallOptions]
    ) -> BackgroundResponse:
        """Stop the answer called `id`, and return how it stands; twice does no harm.

        Args:
            id: As ``reply.id`` has it.
            model: The model that it was asked of.
            options: Those of `RecallOptions`.

        Raises:
            PenstockError: There is no such answer, or it cannot be stopped.
        """
        return await self._settled(
            RecallRequest(
                model=model, id=id, action="cancel", stream=False, fallbacks=(), **options
            )
        )

    def stream(
        self,
        id: str,
        *,
        model: str,
        starting_after: int | None = None,
        **options: Unpack[RecallOptions],
    ) -> OpenedT:
        """Return the answer called `id` as a stream, to be opened by ``async with``.

        Args:
            id: As ``reply.id`` has it.
            model: The model that it was asked of.
            starting_after: The number of the last event that came, as the latest `ProviderEvent`
                called ``sequence`` has it: the stream goes on behind it. Only what comes then is in
                its reply; `retrieve` has the whole.
            options: Those of `RecallOptions`.

        Raises:
            PenstockError: On entering or while iterating, as of any stream.
        """
        return self._open(
            RecallRequest(
                model=model, id=id, starting_after=starting_after, fallbacks=(), **options
            )
        )

    async def _settled(self, request: RecallRequest) -> BackgroundResponse:
        stream: _Collects
        async with self._open(request) as stream:
            reply = await stream.collect()
        choice = reply.choices[0]
        status = choice.finish_raw if choice.finish_reason == "other" else None
        if status not in (*_RUNNING, "cancelled"):
            whole = choice.finish_reason in ("stop", "tool_calls")
            status = "completed" if whole else "incomplete"
        return BackgroundResponse(id=reply.id or request.id, status=str(status), reply=reply)
