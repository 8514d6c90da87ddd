"""From a model's name to the deployment that serves it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from os import environ
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penstock.deployment import Deployment, Secret
from penstock.errors import UnknownModelError
from penstock.interfaces import Target
from penstock.providers.auth import auth_kind
from penstock.providers.catalogue import catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.providers.catalogue import ProviderRow

__all__ = ["Resolved", "Resolver"]

# Names come from callers, some from their users: look-ups are kept for as many, and no more.
_KEPT = 1024


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

    @property
    def target(self) -> Target:
        """The deployment as a dialect needs to know it."""
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
        )


class Resolver:
    """Finds deployments by name, in one order; never by a silent default.

    Deployments' keys, then ``provider/model`` and ``provider:model``, then the model prefixes of
    the catalogue.

    Args:
        deployments: The configured ones.
    """

    def __init__(self, deployments: Mapping[str, Deployment]) -> None:
        self._deployments = dict(deployments)
        self._found: dict[str, Resolved] = {}

    @property
    def deployments(self) -> Mapping[str, Deployment]:
        """The configured deployments."""
        return self._deployments

    def resolve(self, model: str) -> Resolved:
        """Return where `model` is served.

        Raises:
            UnknownModelError: Nothing fits; the message has the nearest names.
        """
        if not isinstance(model, str) or not model:
            raise UnknownModelError(f"a model is a name such as 'openai/gpt-5.4', not {model!r}")
        found = self._found.get(model)
        if found is None:
            found = self._configured(model) or self._named(model) or self._prefixed(model)
            if found is None:
                raise UnknownModelError(self._complaint(model), model=model)
            if len(self._found) < _KEPT:
                self._found[model] = found
        return found

    def _configured(self, model: str) -> Resolved | None:
        deployment = self._deployments.get(model)
        if deployment is None:
            return None
        row = _row_at(deployment)
        wire = deployment.model or model
        if deployment.model is None and row is not None and not row.slashed_ids and "/" in model:
            wire = model.partition("/")[2]
        provider = row.key if row is not None else urlsplit(deployment.base_url).hostname or ""
        return Resolved(model, provider, wire, deployment, _auth_of(deployment, row))

    def _named(self, model: str) -> Resolved | None:
        for separator in "/:":
            provider, found, rest = model.partition(separator)
            row = catalogue().get(provider)
            if found and rest and row is not None:
                return _served(model, row, rest)
        return None

    def _prefixed(self, model: str) -> Resolved | None:
        for row in catalogue().values():
            if model.startswith(row.model_prefixes) and row.model_prefixes:
                return _served(model, row, model)
        return None

    def _complaint(self, model: str) -> str:
        providers = [f"{key}/" for key in catalogue()]
        head = model.partition("/")[0] + "/"
        near = get_close_matches(model, list(self._deployments), 3, 0.6)
        near += [f"{name}…" for name in get_close_matches(head, providers, 3, 0.6)]
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        return (
            f"no deployment, provider or model prefix fits {model!r}: {hint}"
            f"Name it as provider/model ({', '.join(providers)}), or add it to deployments="
        )


def _served(name: str, row: ProviderRow, model: str) -> Resolved:
    deployment = _deployment_of(row)
    return Resolved(name, row.key, model, deployment, _auth_of(deployment, row))


def _auth_of(deployment: Deployment, row: ProviderRow | None) -> str:
    return auth_kind(
        deployment.auth,
        None if row is None else row.auth,
        dialect=deployment.dialect,
        row_dialect="" if row is None else row.dialect,
        key=deployment.api_key,
    )


def _row_at(deployment: Deployment) -> ProviderRow | None:
    host = urlsplit(deployment.base_url).netloc
    for row in catalogue().values():
        if urlsplit(row.base_url).netloc == host:
            return row
    return None


def _moved(value: str, row: ProviderRow) -> str:
    """Return the address that a variable gives; a local server's may be no more than its host."""
    if not row.local:
        return value
    usual = urlsplit(row.base_url)
    parts = urlsplit(value if "://" in value else f"//{value}", scheme=usual.scheme)
    host = "127.0.0.1" if parts.hostname in (None, "0.0.0.0") else parts.hostname
    port = parts.port or (usual.port if "://" not in value else None)
    return parts._replace(
        netloc=f"{host}:{port}" if port else str(host), path=parts.path.rstrip("/") or usual.path
    ).geturl()


def _deployment_of(row: ProviderRow) -> Deployment:
    moved = next((environ[name] for name in row.base_url_env if environ.get(name)), None)
    base_url = row.base_url if moved is None else _moved(moved, row)
    secret = Secret(None, variables=row.key_env if row.auth != "none" else ())
    headers = {name: environ[v] for name, v in row.header_env.items() if environ.get(v)}
    return Deployment(base_url, secret, dialect=row.dialect, headers=headers)
