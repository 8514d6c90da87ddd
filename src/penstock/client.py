"""The client: composes the onion of providers, and hands out its edge."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, Unpack

from penstock import logs
from penstock.arguments import check_client
from penstock.calls import CallOptions, chat_request
from penstock.connections import Connections
from penstock.credentials import Address, Headers
from penstock.deployment import Deployment
from penstock.errors import ConfigurationError, PenstockError, UnknownModelError
from penstock.keys import Credential, Secret, secrets
from penstock.limits import Limits, Timeouts
from penstock.mapping import MapResult, map_calls
from penstock.pipeline.composition import compose
from penstock.policies.budget import RetryBudget
from penstock.policies.router import Router
from penstock.providers.resolve import Resolver
from penstock.routes import Routes, mounted
from penstock.stats import ClientStats, OpenStreams
from penstock.stream import ChatStream, Surroundings
from penstock.tracebacks import presented, presenting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Sequence
    from os import PathLike
    from types import TracebackType

    from penstock.endpoints.responses import Responses
    from penstock.interfaces import Middleware, Provider, Transport
    from penstock.messages import Messages
    from penstock.preview import Preview
    from penstock.providers.custom import CustomProviderConfig
    from penstock.providers.knock import Knock
    from penstock.providers.resolve import Resolved
    from penstock.request import RecallRequest
    from penstock.response import Reply

__all__ = ["Client"]

_log = logging.getLogger("penstock.client")


class Client:
    """Streams chats from any deployment; one for a process or service is enough.

    A client holds connections for each event loop that uses it and can be shared by loops, threads
    and forks; it pickles as its configuration, a literal key left out. ``async with`` closes it.

    Args:
        deployments: Where models are served, by the names that calls use. A name ``provider/*`` is
            for every model of a provider. Names that are not here are ``provider/model``, with the
            key from the environment.
        fallbacks: For a model, the models to try next, in order. Lists are not transitive.
        default_model: The model of calls that name none.
        providers: Providers of your own, for this client alone; they come before those that
            `penstock.register_custom_provider` makes known to all.
        mounts: Providers in themselves, such as an agent of `penstock.agents.cli`, each by the part
            before the first ``/`` of the models that it answers: ``{"codex": agents.codex()}`` for
            ``codex/gpt-5.4``. A deployment's name comes first; they stay yours to close.
        aliases: More short names of models, over those of `penstock.providers.names.SHORT_NAMES`.
        keys: Keys by provider. A deployment's own key comes first, then these, then the
            environment's; those of `from_config` come last.
        timeouts: Clocks in seconds; a deployment's and a call's own come over them.
        limits: Bounds in bytes.
        middleware: What every answer's chunks go through, in order; a call's own comes after.
        max_retries: Tries after the first, in place; see `penstock.policies.attempts`.
        headers: More headers, on every request to every deployment, whatever its origin.
        proxy: A proxy's address; by default the environment's (``HTTPS_PROXY``, ``NO_PROXY``).
        verify: Whether certificates are checked; a path or `ssl.SSLContext` says against what.
        cert: A client certificate's path, or ``(certificate, key)``.
        http_client: Your own ``httpx.AsyncClient`` or ``httpx2.AsyncClient``; it stays yours to
            close, and its settings win over `proxy`, `verify` and `cert`.
        transport: ``"direct"``, penstock's own connections, which leave proxies and trio to httpx
            (see `penstock.transports.direct.DirectTransport`); ``"httpx"`` for all calls, so that
            what mocks or instruments httpx sees them, or ``"httpx2"``, which the extra of that
            name brings; ``"aiohttp"``, which the extra ``fast`` brings (see
            `penstock.transports.aiohttp.AiohttpTransport`); or your own
            `penstock.interfaces.Transport`. By default httpx with an `http_client`, else direct.

    Raises:
        ConfigurationError: An argument is not valid.
        MissingExtraError: `transport` is ``"aiohttp"`` or ``"httpx2"``, which is not installed.
        UnknownModelError: `default_model` or a fallback is served nowhere.
    """

    def __init__(
        self,
        *,
        deployments: Mapping[str, Deployment] | None = None,
        fallbacks: Mapping[str, Sequence[str]] | None = None,
        default_model: str | None = None,
        providers: Iterable[CustomProviderConfig] = (),
        mounts: Mapping[str, Provider] | None = None,
        aliases: Mapping[str, str] | None = None,
        keys: Mapping[str, Credential | Secret] | None = None,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        middleware: Iterable[Middleware] = (),
        max_retries: int = 2,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        verify: Any = True,  # Any: bool, a path or an SSLContext; ssl is loaded with a connection
        cert: str | tuple[str, str] | None = None,
        http_client: object | None = None,
        transport: str | Transport | None = None,
    ) -> None:
        # Before anything can fail: an error's traceback has this frame in it (row 39).
        headers = Headers(headers) if isinstance(headers, Mapping) else headers
        keys = secrets(keys) if isinstance(keys, Mapping) else keys
        proxy = Address(proxy) if isinstance(proxy, str) else proxy
        middleware = tuple(middleware) if isinstance(middleware, Iterable) else middleware
        providers = tuple(providers) if isinstance(providers, Iterable) else providers
        given = {n: value for n, value in locals().items() if n not in ("self", "__class__")}
        check_client(given)
        self._arguments = given
        self._limits = limits or Limits()
        self._timeouts = timeouts or Timeouts()
        # A form that is none is refused here, not in the first call.
        pipeline = compose(*middleware)
        self._default_model = default_model
        resolver = Resolver(
            _checked(deployments or {}),
            providers=providers,
            aliases=aliases,
            keys=secrets(keys or {}),
        )
        self._connections = Connections(
            transport,
            limits=self._limits,
            proxy=proxy,
            verify=verify,
            cert=cert,
            client=http_client,
        )
        self._routes = Routes(
            resolver,
            fallbacks=_lists(fallbacks or {}, resolver, mounts or {}),
            mounts=mounts or {},
            connections=self._connections,
            limits=self._limits,
            timeouts=self._timeouts,
            headers=Headers() if headers is None else headers,
        )
        if default_model is not None and not mounted(default_model, mounts or {}):
            resolver.resolve(default_model)
        self._open_streams = OpenStreams()
        self._router = Router(
            self._routes.of,
            max_retries=max_retries,
            budget=RetryBudget(),
            sleep=self._connections.sleep,
            note=logs.attempted,
        )
        self._around = Surroundings(self._router, pipeline, self._limits, self._open_streams)
        logs.from_environment()

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | str | PathLike[str] | None = None) -> Self:
        """Return a client made from a mapping, or from a JSON or TOML file.

        The keys are the constructor's; deployments, providers, timeouts and limits are tables of
        theirs, and ``api_key = "env:NAME"`` names the variable that holds a key. Without `config`
        it is what ``penstock.toml`` says (`penstock.config.config_files`).

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
        if self._arguments["http_client"] is not None:
            raise ConfigurationError(
                "a client with an http_client of yours cannot be pickled: make it where it is used"
            )
        return self._arguments

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # a pickle is the constructor's arguments

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def stream(
        self,
        model: str | None = None,
        messages: Messages | None = None,
        *,
        middleware: Iterable[Middleware] = (),
        collect: bool = True,
        **options: Unpack[CallOptions],
    ) -> ChatStream:
        """Return the answer to `messages` as a stream, to be opened by ``async with``.

        Args:
            model: ``provider/model`` or a deployment's name; by default the client's.
            messages: A str, a list of messages, or anything of `penstock.messages.Messages`.
            middleware: What this answer's chunks go through, after the client's.
            collect: Whether the answer is folded as it streams, for ``stream.response`` and
                ``error.partial``; without it the stream holds one network read and no more.
            options: OpenAI's parameters, and those of `penstock.calls.CallOptions`.

        Raises:
            PenstockError: On entering: there is no answer, or it is an error. While iterating: the
                answer failed; ``error.partial`` has what came.
        """
        given = model or self._default_model, messages, options
        return ChatStream(self._around, chat_request, given, middleware=middleware, collect=collect)

    async def chat(
        self,
        model: str | None = None,
        messages: Messages | None = None,
        *,
        middleware: Iterable[Middleware] = (),
        **options: Unpack[CallOptions],
    ) -> Reply:
        """Return the whole answer to `messages`: `stream`, folded.

        Raises:
            PenstockError: There is no whole answer; ``error.partial`` has what came.
        """
        given = model or self._default_model, messages, options
        stream = ChatStream(self._around, chat_request, given, middleware=middleware)
        # A traceback that shows locals must not show the conversation (fault matrix, 39).
        del given, messages, options
        async with stream:
            return await stream.collect()

    @property
    def provider(self) -> Provider:
        """What answers the client's calls, its fallbacks and retries included, as one provider."""
        return self._router

    @property
    def responses(self) -> Responses[ChatStream]:
        """Answers that a provider makes in the background."""
        from penstock.endpoints.responses import Responses  # pydantic models, that few need

        return Responses(self._recalled)

    def _recalled(self, request: RecallRequest) -> ChatStream:
        return ChatStream(self._around, lambda: (request, None))

    def map(
        self,
        requests: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        concurrency: int = 10,
        ordered: bool = True,
    ) -> AsyncGenerator[MapResult, None]:
        """Answer many requests, `concurrency` at a time, in memory that does not grow with them.

        Args:
            requests: The arguments of `chat`, a mapping each: ``{"model": ..., "messages": ...}``.
            concurrency: How many are under way at once.
            ordered: Whether results come in the order of the requests, or as they are ready.

        Returns:
            For each request a `MapResult`: its place, and its reply or its error.
        """
        return map_calls(self.chat, requests, concurrency=concurrency, ordered=ordered)

    async def preview(
        self,
        model: str | None = None,
        messages: Messages | None = None,
        **options: Unpack[CallOptions],
    ) -> Preview:
        """Return the request that `chat` would send, its secrets masked; nothing is sent.

        Raises:
            UsageError: It cannot be sent.
        """
        waiting = presenting(self._previewed(model, messages, options))
        del messages, options
        return await waiting

    async def _previewed(
        self, model: str | None, messages: Messages | None, options: CallOptions
    ) -> Preview:
        request, _ = chat_request(model or self._default_model, messages, options)
        return await self._routes.preview(request)

    async def warm(self, model: str | None = None) -> None:
        """Open a connection to where `model` is served, so that the first call finds it there.

        It asks for the list of models, which costs nothing, and ignores the answer.

        Raises:
            TransportError: There is no connection to be had.
        """
        name = model or self._default_model
        if not name:
            raise UnknownModelError("no model: name one, or set default_model=")
        await presenting(self._routes.warm(name))

    async def list_models(self, provider: str) -> list[str]:
        """Return the ids of the models that `provider` serves: ``"openai"``, ``"ollama"``, ...

        Raises:
            UnknownModelError: The catalogue has no such provider.
            PenstockError: There is no answer, or it is an error.
        """
        return await presenting(self._routes.models(provider))

    def locate(self, model: str) -> Resolved:
        """Return where `model` is served, under what name, and who said so; nothing is sent.

        Raises:
            UnknownModelError: Nothing fits; the message has the nearest names.
            ConfigurationError: The provider's address leaves something open.
        """
        return self._routes.located(model)

    async def knock(self, model: str) -> Knock:
        """Ask where `model` is served for its list of models, which costs nothing.

        Returns:
            Whether the provider lets us in; what went wrong is in it, and not raised.

        Raises:
            UnknownModelError: `model` is served nowhere.
        """
        return await presenting(self._routes.knock(model))

    def stats(self) -> ClientStats:
        """Return what the client holds now: streams, bytes, connections, the loop's lag."""
        return self._open_streams.stats(self._connections)

    async def aclose(self, grace: float = 0.0) -> None:
        """Refuse new calls, wait up to `grace` seconds for open streams, and close everything.

        Streams that are still open then are aborted: their readers get `StreamClosedError`.
        """
        self._open_streams.refuse()
        await self._open_streams.drain(grace, self._connections.pause)
        await self._open_streams.abort()
        await self._connections.aclose()


def _checked(deployments: Mapping[str, Deployment]) -> Mapping[str, Deployment]:
    for key, deployment in deployments.items():
        if not isinstance(key, str) or not isinstance(deployment, Deployment):
            raise ConfigurationError(
                f"deployments maps names to penstock.Deployment, not {key!r} to "
                f"{type(deployment).__name__}"
            )
    return deployments


def _lists(
    fallbacks: Mapping[str, Sequence[str]], resolver: Resolver, mounts: Mapping[str, Provider]
) -> dict[str, tuple[str, ...]]:
    lists = {}
    for model, names in fallbacks.items():
        if isinstance(names, str):
            raise ConfigurationError(f"fallbacks[{model!r}] must be a list: [{names!r}]")
        for name in names:
            if not mounted(name, mounts):
                resolver.resolve(name)
        if model not in resolver.deployments and not mounted(model, mounts):
            try:
                resolver.resolve(model)
            except UnknownModelError:
                _log.warning("fallbacks names %r, for which there is no deployment", model)
        lists[model] = tuple(names)
    return lists
