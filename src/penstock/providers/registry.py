"""What is known of providers, for tools and users: the third seed's questions to its registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from penstock.providers.auth import KEY_HEADERS
from penstock.providers.catalogue import CAPABILITIES, catalogue, find_row
from penstock.providers.custom import custom_providers

if TYPE_CHECKING:
    from penstock.providers.catalogue import ProviderRow

__all__ = [
    "AuthConfig",
    "ProviderCapabilities",
    "ProviderConfig",
    "all_providers",
    "capabilities",
    "complex_provider_names",
]


_Kind: TypeAlias = 'Literal["bearer", "api_key", "none", "unknown"]'
_KINDS: Mapping[str, _Kind] = {"bearer": "bearer", "none": "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCapabilities:
    """What at least one model of a provider can do; all false for a provider that nobody knows."""

    vision: bool = False
    """Takes images in messages."""
    reasoning: bool = False
    """Thinks before it answers."""
    structured_output: bool = False
    """Answers in JSON, or by a schema."""
    function_calling: bool = False
    """Calls tools."""
    audio_in: bool = False
    """Takes audio."""
    audio_out: bool = False
    """Answers in audio."""
    video_in: bool = False
    """Takes video."""


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """How a provider is told who asks."""

    auth_type: _Kind
    """``bearer``; ``api_key``, the key in a header of its own; ``none``; ``unknown``: a scheme of
    `penstock.Deployment` that is neither, such as ``aws`` or ``google_adc``."""
    env_var: str | None = None
    """The variable that holds the key, the vendor's own name first; never the key."""
    scheme: str = "bearer"
    """The scheme by its name in `penstock.Deployment`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """One provider of the catalogue, as the third seed's tools read it."""

    name: str
    """Its key in model strings."""
    display_name: str | None = None
    """The name shown to people."""
    base_url: str | None = None
    """Its address; ``{names}`` in it differ by user."""
    auth: AuthConfig | None = None
    """How the key is sent."""
    endpoints: tuple[str, ...] = ()
    """What it serves."""
    model_prefixes: tuple[str, ...] = ()
    """How its model ids begin."""
    param_mappings: Mapping[str, str] = field(default_factory=dict)
    """Parameters that have another name on its wire."""
    routable: bool = True
    """Whether a user with a key can chat with it."""
    reason: str = ""
    """Why it is not routable."""
    dialects: tuple[str, ...] = ()
    """What it speaks, the first one by default."""
    source: str = ""
    """What was read for it."""


def capabilities(provider_name: str) -> ProviderCapabilities:
    """Return what the models of a provider can do; all false for one that nobody knows."""
    own = {config.name: config.row for config in custom_providers()}
    named = isinstance(provider_name, str)
    row = own.get(provider_name) or find_row(provider_name) if named else None
    has = row.capabilities if row is not None else frozenset()
    return ProviderCapabilities(**{name: name in has for name in CAPABILITIES})


def all_providers() -> list[ProviderConfig]:
    """Return every provider of the catalogue, in order of names; routable or not."""
    return [_config(row) for row in catalogue().values()]


def complex_provider_names() -> list[str]:
    """Return the providers that need more than a bearer key and an address that all share.

    Their addresses differ by user, or a token is fetched or a signature made for each request, or
    they have no address to chat at. The third seed counts some more, which here are called like
    any other, and they are in it, too.
    """
    return [key for key, row in catalogue().items() if key in _SEEDS or _is_complex(row)]


# The seed's own list, where a row of ours is not complex by itself: Anthropic's version header is
# its dialect's here, and the others have an address and a key like everybody.
_SEEDS = frozenset(
    {
        *("amazon_nova", "anthropic", "anthropic_text", "baseten", "dataforseo", "datarobot"),
        *("gigachat", "github_copilot", "heroku", "hosted_vllm", "infinity", "litellm_proxy"),
        "triton",
    }
)


def _is_complex(row: ProviderRow) -> bool:
    kind = row.auth.partition(":")[0]
    simple = kind in KEY_HEADERS or kind in _KINDS
    return not simple or "{" in row.base_url or not row.base_url


def _config(row: ProviderRow) -> ProviderConfig:
    return ProviderConfig(
        name=row.key,
        display_name=row.name,
        base_url=row.base_url or None,
        auth=_auth(row),
        endpoints=row.endpoints,
        model_prefixes=row.model_prefixes,
        param_mappings=row.renames,
        routable=row.routable,
        reason=row.reason,
        dialects=row.dialects if row.routable else (),
        source=row.source,
    )


def _auth(row: ProviderRow) -> AuthConfig | None:
    if not row.base_url and not row.key_env:
        return None
    name = row.auth.partition(":")[0]
    kind = "api_key" if name in KEY_HEADERS else _KINDS.get(name, "unknown")
    return AuthConfig(kind, row.key_env[0] if row.key_env else None, row.auth)
