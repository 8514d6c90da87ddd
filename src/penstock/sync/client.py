"""The client for code that blocks: `penstock.Client` over one portal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

from penstock.client import Client
from penstock.errors import PenstockError
from penstock.limits import Limits
from penstock.sync.portal import Portal
from penstock.sync.stream import SyncStream
from penstock.tracebacks import presented

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Generator, Iterable
    from os import PathLike
    from types import TracebackType

    from penstock.calls import CallOptions
    from penstock.interfaces import Middleware
    from penstock.mapping import MapResult
    from penstock.messages import Messages
    from penstock.preview import Preview
    from penstock.providers.knock import Knock
    from penstock.providers.resolve import Resolved
    from penstock.response import Reply
    from penstock.stats import ClientStats

__all__ = ["SyncClient"]

P = ParamSpec("P")
T = TypeVar("T")


def _arguments_of(
    method: Callable[Concatenate[Any, P], None],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """Have a method that hands on what it is given show the arguments of `method`."""

    def shown(handing_on: Callable[..., None]) -> Callable[Concatenate[Any, P], None]:
        handing_on.__signature__ = signature(method)  # type: ignore[attr-defined]  # PEP 362
        return handing_on

    return shown


class SyncClient:
    """`penstock.Client`, blocking: the same constructor, methods and errors.

    Calls run on the event loop of one background thread, which starts with the first call and can
    be shared by any number of threads. It works where a loop runs already, as in a notebook, blocks
    that loop while it waits, and logs once that the async client exists. After a fork the child
    starts its own; a pickle is the configuration. ``with`` closes it.

    What calls are given is used on that thread: `middleware`, functions that supply keys, iterables
    of messages. Only the requests of `map` are read in the caller's.

    Args:
        arguments: Those of `penstock.Client`. An `http_client` is one that no other loop uses.

    Raises:
        ConfigurationError: An argument is not valid.
        UnknownModelError: `default_model` or a fallback is served nowhere.
    """

    @_arguments_of(Client.__init__)
    def __init__(self, **arguments: Any) -> None:  # Any: the decorator has their types
        limits = arguments.get("limits") or Limits()
        try:
            client = Client(**arguments)
        finally:
            arguments.clear()  # they may hold keys, and tracebacks that show locals show this frame
        self.__setstate__({"client": client, "limits": limits})

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | str | PathLike[str] | None = None) -> Self:
        """Return a client made from a mapping, from a JSON or TOML file, or ``penstock.toml``.

        Raises:
            ConfigurationError: A key is unknown (the message has the nearest) or a value is not
                valid.
        """
        from penstock.config import client_arguments

        try:
            return cls(**client_arguments(config))
        except PenstockError as error:
            failure = error
        del config  # it may hold keys, and tracebacks that show locals show this frame
        raise presented(failure)

    def __getstate__(self) -> dict[str, Any]:
        return {"client": self._client, "limits": self._limits}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._client: Client = state["client"]
        self._limits: Limits = state["limits"]
        self._portal = Portal(self._client.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def stream(
        self,
        model: str | None = None,
        messages: Messages | None = None,
        *,
        middleware: Iterable[Middleware] = (),
        collect: bool = True,
        **options: Unpack[CallOptions],
    ) -> SyncStream:
        """Return the answer to `messages` as a stream, to be opened by ``with``.

        The arguments and errors are those of `penstock.Client.stream`.
        """
        stream = self._client.stream(
            model, messages, middleware=middleware, collect=collect, **options
        )
        return SyncStream(self._portal, stream, self._limits)

    def chat(
        self,
        model: str | None = None,
        messages: Messages | None = None,
        *,
        middleware: Iterable[Middleware] = (),
        **options: Unpack[CallOptions],
    ) -> Reply:
        """Return the whole answer to `messages`.

        Raises:
            PenstockError: There is no whole answer; ``error.partial`` has what came.
        """
        call = _bound(self._client.chat, model, messages, middleware=middleware, **options)
        # A traceback that shows locals must not show the conversation (fault matrix, 39).
        del messages, options
        return self._portal.call(call)

    def map(
        self,
        requests: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        concurrency: int = 10,
        ordered: bool = True,
    ) -> Generator[MapResult, None, None]:
        """Answer many requests, `concurrency` at a time, in memory that does not grow with them.

        Args:
            requests: The arguments of `chat`, a mapping each; read in the thread that iterates.
            concurrency: How many are under way at once.
            ordered: Whether results come in the order of the requests, or as they are ready.

        Returns:
            For each request a `MapResult`: its place, and its reply or its error.
        """
        return self._portal.iterate(
            lambda source: self._client.map(source, concurrency=concurrency, ordered=ordered),
            requests,
        )

    def preview(
        self,
        model: str | None = None,
        messages: Messages | None = None,
        **options: Unpack[CallOptions],
    ) -> Preview:
        """Return the request that `chat` would send, its secrets masked; nothing is sent.

        Raises:
            UsageError: It cannot be sent.
        """
        call = _bound(self._client.preview, model, messages, **options)
        del messages, options
        return self._portal.call(call)

    def warm(self, model: str | None = None) -> None:
        """Open a connection to where `model` is served, so that the first call finds it there.

        Raises:
            TransportError: There is no connection to be had.
        """
        self._portal.call(self._client.warm, model)

    def list_models(self, provider: str) -> list[str]:
        """Return the names that a provider lists, as `penstock.Client.list_models` does.

        Raises:
            PenstockError: There is no such provider, no connection, or no list.
        """
        return self._portal.call(self._client.list_models, provider)

    def locate(self, model: str) -> Resolved:
        """Return where `model` is served, as `penstock.Client.locate` does; nothing is sent.

        Raises:
            UnknownModelError: Nothing fits; the message has the nearest names.
        """
        return self._client.locate(model)

    def knock(self, model: str) -> Knock:
        """Ask for a list of models, as `penstock.Client.knock` does.

        Raises:
            UnknownModelError: `model` is served nowhere.
        """
        return self._portal.call(self._client.knock, model)

    def stats(self) -> ClientStats:
        """Return what the client holds now: streams, bytes, connections, its loop's lag."""
        return self._portal.call(self._client.stats)

    def close(self, grace: float = 0.0) -> None:
        """Refuse new calls, wait up to `grace` seconds for open streams, and close everything.

        Streams that are still open then are aborted: their readers get `StreamClosedError`.
        """
        self._portal.close(grace)


def _bound(function: Callable[..., T], *args: object, **options: object) -> Callable[[], T]:
    """Return a call whose ``repr`` shows nothing of its arguments, unlike that of a partial."""
    return lambda: function(*args, **options)
