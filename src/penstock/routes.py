"""From a request to the providers that can answer it, the model's own first."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from penstock.credentials import Headers, is_credential
from penstock.dialects import dialect
from penstock.errors import MissingCredentialsError, UsageError
from penstock.preview import Preview
from penstock.providers.auth import Keyring
from penstock.providers.custom import registry
from penstock.providers.headers import check_headers
from penstock.providers.http import HttpProvider
from penstock.providers.knock import Knock, knock
from penstock.providers.preparer import Preparer
from penstock.providers.redact import masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.connections import Connections
    from penstock.interfaces import Provider, Stream
    from penstock.limits import Limits, Timeouts
    from penstock.providers.resolve import Resolved, Resolver
    from penstock.request import ChatRequest, ItemT, Request

__all__ = ["DeploymentRoute", "MountedRoute", "Routes", "mounted"]

# Deployments that only a model's name asked for are kept for as many names, and no more.
_KEPT = 1024


@dataclass(frozen=True, slots=True)
class DeploymentRoute:
    """One deployment, as the router needs to know it."""

    deployment: str
    model: str
    total: float | None
    provider: HttpProvider
    origin: str


@dataclass(frozen=True, slots=True)
class MountedRoute:
    """A provider of the caller's, as the router needs to know it; it is asked by the route's name.

    Args:
        deployment: The model's whole name.
        model: What stands behind the prefix.
        mount: Who answers.
    """

    deployment: str
    model: str
    mount: Provider
    total: float | None = None
    """None: it has clocks of its own."""
    origin: str = ""

    @property
    def provider(self) -> Provider:
        """Who answers."""
        return self

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Ask it, as a fallback too, for the model that is its own, and say when the call began."""
        started = monotonic() if request.started is None else request.started
        asked = replace(request, model=self.deployment, started=started)
        stream = await self.mount.open(asked)
        stream.record.model = request.model
        return stream


class Routes:
    """Finds and keeps the provider of each deployment.

    Args:
        resolver: From names to deployments.
        fallbacks: For a model, the models to try next.
        connections: The sockets.
        limits: Bounds in bytes.
        timeouts: The client's clocks.
        headers: The client's own headers.
        mounts: Providers of the caller's, by the prefix of the models that they answer.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        fallbacks: Mapping[str, tuple[str, ...]],
        connections: Connections,
        limits: Limits,
        timeouts: Timeouts,
        headers: dict[str, str],
        mounts: Mapping[str, Provider] | None = None,
    ) -> None:
        self._resolver = resolver
        self._fallbacks = fallbacks
        self._mounts = dict(mounts or {})
        self._connections = connections
        self._limits = limits
        self._timeouts = timeouts
        check_headers(headers.items())
        self._headers = headers
        self._kept: dict[str, DeploymentRoute] = {}
        self._plans: dict[str, list[DeploymentRoute | MountedRoute]] = {}
        self._version = registry.changes
        self._keyring = Keyring()

    def of(
        self,
        request: Request[Any],  # Any: whatever it answers with
    ) -> list[DeploymentRoute | MountedRoute]:
        """Return the deployments to try, in order, each once.

        Raises:
            UnknownModelError: One of the names is served nowhere.
            UsageError: A credential in the call's own headers would go to more than one origin.
        """
        if self._version != registry.changes:
            self._forget()
        if request.fallbacks is None and not request.extra_headers:  # what most calls say
            return self._plans.get(request.model) or self._usual(request.model)
        plan = self._plan(request.model, request.fallbacks)
        _keep_at_home(request.extra_headers, {route.origin for route in plan})
        return plan

    async def preview(self, request: ChatRequest) -> Preview:
        """Return `request` as its first deployment would get it; nothing is sent."""
        provider = self._route(request.model).provider
        prepared = await provider.preparer.prepare(request)
        return Preview(
            method=prepared.head.method,
            url=prepared.head.url,
            headers={name: masked(name, value) for name, value in prepared.head.headers},
            size=await prepared.body.length(),
            body=prepared.body.small,
            dropped=tuple(prepared.dropped),
            command=prepared.command(),
        )

    async def warm(self, model: str) -> None:
        """Open a connection to where `model` is served, and leave it in the pool."""
        await self._route(model).provider.models.warm()

    async def models(self, provider: str) -> list[str]:
        """Return the ids of the models that `provider` serves."""
        return await self._route(f"{provider}/*").provider.models.ids()

    async def knock(self, name: str) -> Knock:
        """Ask where `name` is served for its list of models; failures are in the result."""
        return await knock(self._route(name).provider.models, self._limits)

    def located(self, name: str) -> Resolved:
        """Return where `name` is served, and who said so; nothing is sent."""
        return self._resolver.resolve(name)

    def _mounted(self, name: str) -> MountedRoute | None:
        prefix, _, rest = name.partition("/")
        if not mounted(name, self._mounts) or name in self._resolver.deployments:
            return None
        return MountedRoute(name, rest, self._mounts[prefix])

    def _plan(
        self, model: str, fallbacks: tuple[str, ...] | None
    ) -> list[DeploymentRoute | MountedRoute]:
        listed = self._fallbacks.get(model, ()) if fallbacks is None else fallbacks
        return [self._first(name) for name in dict.fromkeys((model, *listed))]

    def _usual(self, model: str) -> list[DeploymentRoute | MountedRoute]:
        """Return the plan of calls that name no fallbacks of their own, and keep it."""
        plan = self._plan(model, None)
        if len(self._plans) < _KEPT:
            self._plans[model] = plan
        return plan

    def _first(self, name: str) -> DeploymentRoute | MountedRoute:
        return self._mounted(name) or self._route(name)

    def _route(self, name: str) -> DeploymentRoute:
        if self._mounted(name) is not None:
            raise UsageError(f"{name!r} is answered by a provider of yours: ask it, not the client")
        if self._version != registry.changes:
            self._forget()
        route = self._kept.get(name)
        if route is None:
            route = self._make(name)
            if len(self._kept) < _KEPT:
                self._kept[name] = route
        return route

    def _forget(self) -> None:
        """Forget the routes that are made: a provider was registered, or is gone."""
        self._version = registry.changes
        self._kept.clear()
        self._plans.clear()

    def _make(self, name: str) -> DeploymentRoute:
        resolved = self._resolver.resolve(name)
        for headers in (self._headers, resolved.deployment.headers):
            _refuse_lost(headers, resolved.key)
        timeouts = self._timeouts.override(resolved.deployment.timeouts)
        vocabulary = dialect(resolved.deployment.dialect)
        preparer = Preparer(
            resolved,
            dialect=vocabulary,
            connections=self._connections,
            limits=self._limits,
            timeouts=timeouts,
            headers=self._headers,
            locate=self._connections.simulator if resolved.provider == "sim" else None,
            keyring=self._keyring,
        )
        provider = HttpProvider(
            resolved,
            dialect=vocabulary,
            connections=self._connections,
            limits=self._limits,
            timeouts=timeouts,
            preparer=preparer,
        )
        origin = resolved.deployment.origin
        return DeploymentRoute(name, resolved.model, timeouts.total, provider, origin)


def mounted(name: str, mounts: Mapping[str, Provider]) -> bool:
    """Whether one of `mounts` answers the model of that name."""
    return name.partition("/")[0] in mounts


def _keep_at_home(headers: Mapping[str, str], origins: set[str]) -> None:
    """Refuse a credential that is one origin's, and would be sent to the fallbacks' too."""
    named = next((name for name in headers if is_credential(name)), None)
    if named is not None and len(origins) > 1:
        raise UsageError(
            f"extra_headers has {named!r}, which would go to {' and '.join(sorted(origins))}: put "
            "it in the headers= or api_key= of its Deployment, or pass fallbacks=[]",
            param="extra_headers",
        )


def _refuse_lost(headers: Mapping[str, str], deployment: str) -> None:
    """Refuse to call with headers whose credentials a pickle left out."""
    if isinstance(headers, Headers) and headers.lost:
        raise MissingCredentialsError(
            f"{deployment} had the value of header {headers.lost[0]!r} in the program, and a "
            "pickle takes no credential along: put it in a variable of the environment, too",
            deployment=deployment,
        )
