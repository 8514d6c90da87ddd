"""Providers that users add: checked, and kept for a client or for the whole process."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from penstock.credentials import Headers
from penstock.deployment import Deployment
from penstock.dialects import check_name
from penstock.errors import ConfigurationError
from penstock.forks import Lock
from penstock.keys import Credential, Secret
from penstock.providers.catalogue import CAPABILITIES, ProviderRow, find_row
from penstock.providers.headers import check_headers
from penstock.request import ChatParams

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CustomProviderConfig",
    "custom_providers",
    "register_custom_provider",
    "registry",
    "reset_custom_providers",
    "unregister_custom_provider",
]

# What stands before the slash or colon of a model string, and in a table's name.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class CustomProviderConfig:
    """A provider of one's own.

    Models are its by ``name/model``, or by the beginning of their names. A prefix that ends with a
    slash is cut off on the wire, another one is part of the model's name.

    Raises:
        ConfigurationError: The name is empty or has a slash or colon in it, the name is one of the
            catalogue's, the address is none, there are no model prefixes, no dialect is so called,
            what is renamed or dropped is no parameter, or there is a key and nothing that sends it.
        InvalidHeaderError: A header is none.
    """

    name: str
    """What it is called, before the slash of a model string."""
    base_url: str
    """The address before the dialect's own path."""
    auth_header: str = "bearer"
    """How the key is sent: any scheme of `penstock.Deployment`, among them the third seed's
    ``bearer``, ``api_key`` and ``none``; an unknown one is ``bearer``, with a warning."""
    model_prefixes: Sequence[str] = ()
    """How the names of its models begin, at least one."""
    dialect: str = "openai_chat"
    """What it speaks."""
    api_key: Credential | Secret | None = field(default=None, repr=False)
    """The key, ``"env:NAME"`` or a callable; by default of the variables `key_env`."""
    key_env: Sequence[str] = ()
    """Variables that may hold the key; by default the name in capitals and ``_API_KEY``."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """More headers, on every request. A pickle leaves out those that hold a credential, unless a
    variable of the environment has it."""
    param_mappings: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the OpenAI shape that have another name on its wire."""
    drops: Sequence[str] = ()
    """Parameters that it refuses."""
    slashed_ids: bool = False
    """Whether its own model ids contain a slash."""
    capabilities: Sequence[str] = ()
    """What its models can do: names of `ProviderCapabilities`."""
    display_name: str | None = None
    """The name shown to people."""

    def __post_init__(self) -> None:
        key = self.api_key if isinstance(self.api_key, Secret) else Secret(self.api_key)
        object.__setattr__(self, "api_key", key)
        _check_name(self.name)
        for name in ("model_prefixes", "key_env", "drops", "capabilities"):
            object.__setattr__(self, name, _texts(name, getattr(self, name)))
        if not self.model_prefixes:
            raise ConfigurationError(
                f"provider {self.name!r} has no model_prefixes: name at least one, such as "
                f'["{self.name}/"]',
                param="model_prefixes",
            )
        unknown = sorted(set(self.capabilities) - set(CAPABILITIES))
        if unknown:
            raise ConfigurationError(
                f"provider {self.name!r} has no capability {unknown[0]!r}: there are "
                f"{', '.join(CAPABILITIES)}",
                param="capabilities",
            )
        self._check_kinds()
        self._check_place()
        check_headers(self.headers.items())
        object.__setattr__(self, "headers", Headers(self.headers))

    def _check_kinds(self) -> None:
        for name, fits, wanted in (
            ("auth_header", isinstance(self.auth_header, str), "a str"),
            ("display_name", isinstance(self.display_name or "", str), "a str"),
            ("slashed_ids", isinstance(self.slashed_ids, bool), "True or False"),
            ("param_mappings", _are_texts(self.param_mappings), "a mapping of str to str"),
        ):
            if not fits:
                raise ConfigurationError(
                    f"provider {self.name!r}: {name} must be {wanted}", param=name
                )

        for name in ("param_mappings", "drops"):
            self._check_parameters(name, getattr(self, name))

    def _check_parameters(self, name: str, given: Iterable[str]) -> None:
        """Refuse what is no parameter: it would never be renamed or left out."""
        known = (*ChatParams.__annotations__, "tools", "response_format")
        # What is no parameter and may be refused: marks, fields of messages, what a dialect adds.
        more = ("cache_control", "include") if name == "drops" else ()
        for each in given:
            in_message = bool(more) and each.startswith("messages.")
            if each not in (*known, *more) and not in_message:
                near = get_close_matches(each, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
                raise ConfigurationError(
                    f"provider {self.name!r}: {name} has {each!r:.80}, which is no parameter:"
                    f" {hint}",
                    param=name,
                )

    def _check_place(self) -> None:
        try:
            if self.dialect:
                check_name(self.dialect)
            # None would be an address of the catalogue's, and nobody here has one.
            base_url = "" if self.base_url is None else self.base_url
            key = None if self.auth_header != "none" else self.api_key
            Deployment(base_url, key, auth=self.auth_header, headers=self.headers)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"provider {self.name!r}: {error.message}", param=error.param or "base_url"
            ) from None

    @property
    def secret(self) -> Secret:
        """The key, out of sight."""
        assert isinstance(self.api_key, Secret)  # made one above
        if self.api_key.present or self.auth_header == "none":
            return self.api_key
        return Secret(None, variables=tuple(self.key_env) or (_usual_variable(self.name),))

    @property
    def row(self) -> ProviderRow:
        """The provider as a row of the catalogue."""
        return ProviderRow(
            key=self.name,
            name=self.display_name or self.name,
            checked="own",
            source="given by the user",
            base_url=self.base_url.rstrip("/"),
            auth=self.auth_header,
            key_env=self.secret.variables,
            headers=self.headers,
            dialect=self.dialect,
            model_prefixes=tuple(self.model_prefixes),
            slashed_ids=self.slashed_ids,
            capabilities=frozenset(self.capabilities),
            renames=dict(self.param_mappings),
            drops=frozenset(self.drops),
        )


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError("a provider needs a name that is not empty", param="name")
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"a provider's name is letters, digits, '.', '_' and '-', not {name!r:.80}",
            param="name",
        )
    row = find_row(name)
    if row is not None:
        raise ConfigurationError(
            f"{name!r} is a provider of the catalogue ({row.name}): choose another name, or give "
            f'it another address or key with deployments={{"{row.key}/*": Deployment(...)}}',
            param="name",
        )


def _texts(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{name} must be a list of str, not {value!r:.80}", param=name)
    texts = tuple(value)
    if any(not isinstance(text, str) or not text for text in texts):
        raise ConfigurationError(f"{name} must hold str that are not empty", param=name)
    return texts


def _are_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(text, str) and text for pair in value.items() for text in pair
    )


def _usual_variable(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper()) + "_API_KEY"


class _Registry:
    """Providers by their names; threads may change it at the same time."""

    def __init__(self) -> None:
        self._known: dict[str, CustomProviderConfig] = {}
        self._lock = Lock()
        self.changes = 0
        """A number that is another one after each change: clients forget what they resolved."""

    def add(self, config: CustomProviderConfig) -> None:
        with self._lock:
            self._known[config.name] = config
            self.changes += 1

    def remove(self, name: str) -> bool:
        with self._lock:
            self.changes += 1
            return self._known.pop(name, None) is not None

    def clear(self) -> None:
        with self._lock:
            self._known.clear()
            self.changes += 1

    def all(self) -> tuple[CustomProviderConfig, ...]:
        with self._lock:
            return tuple(reversed(self._known.values()))


registry = _Registry()
"""The one of the process (the third seed has it): explicit, and `reset_custom_providers` empties
it."""


def register_custom_provider(config: CustomProviderConfig) -> None:
    """Make a provider known to every client of the process, before those of the catalogue.

    One that is registered under the same name is replaced. For one client alone there is
    ``Client(providers=)``.

    Raises:
        ConfigurationError: `config` is not a `CustomProviderConfig`.
    """
    if not isinstance(config, CustomProviderConfig):
        raise ConfigurationError(
            f"register_custom_provider takes a CustomProviderConfig, not {type(config).__name__}"
        )
    registry.add(config)


def unregister_custom_provider(name: str) -> bool:
    """Forget the registered provider called `name`; return whether there was one."""
    return registry.remove(name)


def reset_custom_providers() -> None:
    """Forget every registered provider; for tests."""
    registry.clear()


def custom_providers() -> tuple[CustomProviderConfig, ...]:
    """Return the registered providers, the last one first."""
    return registry.all()
