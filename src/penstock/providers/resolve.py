"""From a model's name to the deployment that serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penstock.deployment import Deployment
from penstock.dialects import check_name
from penstock.errors import ConfigurationError, UnknownModelError
from penstock.interfaces import Quirks, Target
from penstock.keys import Secret
from penstock.providers.addresses import located, row_at
from penstock.providers.catalogue import catalogue, find_row
from penstock.providers.custom import CustomProviderConfig, custom_providers, registry
from penstock.providers.fitted import auth_of, below, fitted, over, row_headers, row_key
from penstock.providers.headers import check_headers
from penstock.providers.idle import check_places
from penstock.providers.names import SHORT_NAMES
from penstock.providers.nearest import nearest

if TYPE_CHECKING:
    from penstock.providers.catalogue import ProviderRow

__all__ = ["Resolved", "Resolver"]

# Names come from callers, some from their users: look-ups are kept for as many, and no more.
_KEPT = 1024
_ANY = "/*"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model, and where it is served."""

    key: str
    """The deployment's key; the model's name where no deployment was configured."""
    provider: str
    """The provider's key in the catalogue, or the deployment's host."""
    model: str
    """The model's name on the wire."""
    deployment: Deployment
    auth: str = "bearer"
    """The scheme that says who sends a request (`penstock.providers.auth`)."""
    row: ProviderRow | None = None
    """The provider as it is for the deployment's dialect, where it is known."""
    said_by: Mapping[str, str] = field(default_factory=dict)
    """Who said what of the address (`penstock.providers.addresses.Located`)."""

    @property
    def target(self) -> Target:
        """The deployment as a dialect needs to know it."""
        path, query = self._path()
        return Target(
            deployment=self.key,
            provider=self.provider,
            model=self.model,
            base_url=self.deployment.base_url,
            origin=self.deployment.origin,
            headers=self.deployment.headers,
            extra_body=self.deployment.extra_body,
            region=self.deployment.region,
            project=self.deployment.project,
            api_version=self.deployment.api_version,
            path=path,
            query=query,
            quirks=Quirks() if self.row is None else self.row.quirks_of(self.model),
        )

    def _path(self) -> tuple[str, dict[str, str]]:
        """Return the path and the query; the row's belong to the row's own address."""
        row, version = self.row, self.deployment.api_version
        if row is None or urlsplit(row.base_url).path != urlsplit(self.deployment.base_url).path:
            return "", dict(self.deployment.query)
        query = {
            name: value.replace("{api_version}", version or "") for name, value in row.query.items()
        }
        return row.chat_path or "", {**query, **self.deployment.query}


class Resolver:
    """Finds deployments by name, in one order; never by a silent default.

    Deployments' keys, then the prefixes of users' providers, ``provider/model`` and
    ``provider:model``, short names, and the model prefixes of the catalogue.

    Args:
        deployments: The configured ones. A key ``provider/*`` is for every model of a provider.
        providers: Providers of the client's own, before those that are registered.
        aliases: More short names.
        keys: Keys by provider; a spare one is for those whose variable is not set.
    """

    def __init__(
        self,
        deployments: Mapping[str, Deployment],
        *,
        providers: Iterable[CustomProviderConfig] = (),
        aliases: Mapping[str, str] | None = None,
        keys: Mapping[str, Secret] | None = None,
    ) -> None:
        self._deployments = dict(deployments)
        self._own = tuple(providers)
        self._aliases = {**SHORT_NAMES, **(aliases or {})}
        self._keys = _by_row(keys or {})
        self._found: dict[str, Resolved] = {}
        self._registrations = registry.changes
        _check_own(self._own)
        self._wholes = dict(self._of_whole_providers())
        self._check_keys()
        for key, deployment in self._deployments.items():
            if deployment.dialect:
                check_name(deployment.dialect)
            check_headers(deployment.headers.items())
            if not deployment.base_url:
                self._provider_of(key)
            check_places(key, deployment, self._deployed)

    def _check_keys(self) -> None:
        """Refuse a key that no call would send."""
        own = [config.name for config in self._customs()]
        for name in self._keys.keys() - own:
            row = find_row(name)
            if row is None:
                near = get_close_matches(name, [*own, *catalogue()], 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigurationError(
                    f"keys has {name!r:.80}, which is no provider{hint}", param="keys"
                )
            if not row.routable:
                raise ConfigurationError(
                    f"keys has {name!r}, which nothing calls: {row.reason}", param="keys"
                )

    def _of_whole_providers(self) -> Iterator[tuple[str, str]]:
        """Yield the providers that have a deployment for every model, and its key."""
        for key in self._deployments:
            row = find_row(key.removesuffix(_ANY)) if key.endswith(_ANY) else None
            if row is not None:
                yield row.key, key

    @property
    def deployments(self) -> Mapping[str, Deployment]:
        """The configured deployments."""
        return self._deployments

    def resolve(self, model: str) -> Resolved:
        """Return where `model` is served.

        Raises:
            UnknownModelError: Nothing fits; the message has the nearest names.
            ConfigurationError: The provider's address leaves something open.
        """
        if not isinstance(model, str) or not model:
            raise UnknownModelError(f"a model is a name such as 'openai/gpt-5.4', not {model!r}")
        if self._registrations != registry.changes:
            self._registrations = registry.changes
            self._found.clear()
        found = self._found.get(model)
        if found is None:
            found = self._look_up(model, aliases=True)
            if found is None:
                raise UnknownModelError(self._complaint(model), model=model)
            if len(self._found) < _KEPT:
                self._found[model] = found
        return found

    def _look_up(self, model: str, *, aliases: bool) -> Resolved | None:
        ways: list[Callable[[str], Resolved | None]] = [self._configured, self._custom, self._named]
        if aliases:
            ways.append(self._aliased)
        for way in [*ways, self._prefixed]:
            found = way(model)
            if found is not None:
                return found
        return None

    def _configured(self, model: str) -> Resolved | None:
        deployment = self._deployments.get(model)
        if deployment is not None:
            return self._deployed(model, deployment)
        for name, rest in _parts(model):
            if f"{name}{_ANY}" in self._deployments:
                return self._of_whole(f"{name}{_ANY}", model, rest)
        return None

    def _of_whole(self, key: str, model: str, rest: str) -> Resolved:
        """Return a model at the deployment of its whole provider."""
        deployment = self._deployments[key]
        wire = deployment.model or rest
        return replace(self._deployed(key, deployment, wire), key=model, model=wire)

    def _deployed(self, key: str, deployment: Deployment, wire: str | None = None) -> Resolved:
        if not deployment.base_url:
            wire = wire or deployment.model or key.partition("/")[2] or key
            return self._completed(key, deployment, wire)
        own = [config.row for config in self._customs()]
        row = row_at(deployment.base_url, key, own)
        wire = deployment.model or key
        if deployment.model is None and row is not None and not row.slashed_ids and "/" in key:
            wire = key.partition("/")[2]
        if row is None:
            host = urlsplit(deployment.base_url).hostname or ""
            return Resolved(key, host, wire, deployment, auth_of(deployment, None))
        spoken = row.speaking(deployment.dialect)
        deployment = fitted(below(deployment, spoken), row)
        return Resolved(key, row.key, wire, deployment, auth_of(deployment, row), spoken)

    def _completed(self, key: str, deployment: Deployment, wire: str) -> Resolved:
        """Return a deployment without an address of its own at its provider's."""
        row, secret = self._provider_of(key)
        spoken = row.serving(wire, deployment.dialect)
        place = located(
            spoken,
            {
                "region": deployment.region,
                "project": deployment.project,
                "api_version": deployment.api_version,
            },
            model=wire,
        )
        whole = replace(
            deployment,
            base_url=place.base_url,
            api_key=deployment.api_key if deployment.api_key.present else secret,
            dialect=deployment.dialect or spoken.dialect,
            headers=over(row_headers(row), deployment.headers),
            region=place.region,
            project=place.project,
            api_version=place.api_version,
        )
        auth = auth_of(whole, row)
        return Resolved(key, row.key, wire, whole, auth, spoken, said_by=place.said_by)

    def _provider_of(self, key: str) -> tuple[ProviderRow, Secret]:
        name = key.partition("/")[0]
        for config in self._customs():
            if config.name == name:
                return config.row, self._key_of(config.row, config.secret)
        row = find_row(name)
        if row is None or not row.routable:
            raise ConfigurationError(
                f"deployments[{key!r}] has no base_url, and {name!r} is no provider that has one",
                param="base_url",
            )
        return row, self._key_of(row)

    def _key_of(self, row: ProviderRow, own: Secret | None = None) -> Secret:
        """Return the provider's key: the client's, the environment's, the configuration's."""
        secret = row_key(row) if own is None else own
        held = self._keys.get(row.key)
        return secret if held is None or (held.spare and secret.given) else held

    def _customs(self) -> Iterator[CustomProviderConfig]:
        yield from self._own
        yield from custom_providers()

    def _custom(self, model: str) -> Resolved | None:
        """Return the model at a provider of the user's: by its name, else by the longest prefix.

        The client's own come before the process's, of these the last one that was registered.
        """
        for configs in (self._own, custom_providers()):
            named = [(config, f"{config.name}{mark}") for config in configs for mark in "/:"]
            begun = [(config, prefix) for config in configs for prefix in config.model_prefixes]
            for config, prefix in (*named, *sorted(begun, key=_longest_first)):
                if model.startswith(prefix) and model != prefix:
                    cut = prefix.endswith(("/", f"{config.name}:"))
                    rest = model.removeprefix(prefix) if cut else model
                    whole = f"{config.name}{_ANY}"
                    if whole in self._deployments:
                        return self._of_whole(whole, model, rest)
                    return self._served(model, config.row, rest, config.secret)
        return None

    def _named(self, model: str) -> Resolved | None:
        for name, rest in _parts(model):
            row = find_row(name)
            if row is not None:
                return self._served_by_row(model, row, rest)
        return None

    def _served_by_row(self, name: str, row: ProviderRow, model: str) -> Resolved:
        """Return a model of the catalogue: at the client's deployment of its provider, if any."""
        whole = self._wholes.get(row.key)
        return (
            self._served(name, row, model) if whole is None else self._of_whole(whole, name, model)
        )

    def _aliased(self, model: str) -> Resolved | None:
        meant, seen = self._aliases.get(model), {model}
        while meant in self._aliases and meant not in seen:  # of another short name
            seen.add(meant)
            meant = self._aliases[meant]
        if meant is None:
            return None
        if meant in seen:
            raise UnknownModelError(f"the short name {model!r} stands for itself", model=model)
        found = self._look_up(meant, aliases=False)
        if found is None:
            raise UnknownModelError(
                f"the short name {model!r} stands for {meant!r}: {self._complaint(meant)}",
                model=model,
            )
        return found

    def _prefixed(self, model: str) -> Resolved | None:
        fitting = [
            (prefix, row)
            for row in catalogue().values()
            for prefix in row.model_prefixes
            if _begins(model, prefix)
        ]
        if not fitting:
            return None
        prefix, row = max(fitting, key=lambda each: len(each[0]))
        if ":" in model and not (":" in prefix or row.tagged_ids):
            # "qwen3:8b", "minimax-m2.5:cloud": a local server's. What is meant for one's own
            # machine must not travel to the vendor whose ids begin alike.
            return None
        if any(model.startswith(other) for other in row.model_exceptions):
            return None
        return self._served_by_row(model, row, model)

    def _served(
        self, name: str, row: ProviderRow, model: str, secret: Secret | None = None
    ) -> Resolved:
        if not row.routable:
            raise UnknownModelError(
                f"{name!r} cannot be chatted with: {row.name} is known, but {row.reason}",
                model=name,
            )
        row = row.serving(model)
        place = located(row, model=model)
        deployment = Deployment(
            place.base_url,
            self._key_of(row, secret),
            dialect=row.dialect,
            headers=row_headers(row),
            body_framing=row.body_framing,
            region=place.region,
            project=place.project,
            api_version=place.api_version,
        )
        auth = auth_of(deployment, row)
        return Resolved(name, row.key, model, deployment, auth, row, said_by=place.said_by)

    def _complaint(self, model: str) -> str:
        own = [config.name for config in self._customs()]
        routable = [key for key, row in catalogue().items() if row.routable]
        near = nearest(
            model, names={*self._deployments, *self._aliases}, providers=[*own, *routable]
        )
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        return (
            f"no deployment, provider or model prefix fits {model!r:.200}: {hint}"
            f"Name it as provider/model (`penstock providers` lists {len(own) + len(routable)}), or"
            f" add it to deployments="
        )


def _check_own(providers: Iterable[CustomProviderConfig]) -> None:
    """Refuse two providers of one name: one of them would never be asked."""
    names = set()
    for config in providers:
        if config.name in names:
            raise ConfigurationError(f"two providers are called {config.name!r}", param="providers")
        names.add(config.name)


def _begins(model: str, prefix: str) -> bool:
    """Whether a name begins with a prefix: ``o3-mini`` with ``o3``, ``o30`` and ``o3x`` do not."""
    behind = model[len(prefix) : len(prefix) + 1]
    return model.startswith(prefix) and not (prefix[-1].isdigit() and behind.isalnum())


def _longest_first(prefix: tuple[CustomProviderConfig, str]) -> int:
    return -len(prefix[1])


def _parts(model: str) -> Iterator[tuple[str, str]]:
    """Yield what may be a provider's name and the rest: the longest name before a slash first."""
    for separator in "/:":
        place = model.find(separator)
        second = model.find(separator, place + 1) if separator == "/" and place > 0 else -1
        for at in (second, place):
            if at > 0 and model[at + 1 :]:
                yield model[:at], model[at + 1 :]


def _by_row(keys: Mapping[str, Secret]) -> dict[str, Secret]:
    """Return keys by the names that their rows have, whatever the user calls them."""
    found = {name: find_row(name) for name in keys}
    return {name if row is None else row.key: keys[name] for name, row in found.items()}
