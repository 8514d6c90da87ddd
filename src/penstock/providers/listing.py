"""The models that a provider lists, in any of the forms that vendors have for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import DecodeError as NotJson
from msgspec.json import decode as decode_json

from penstock.errors import ProtocolError, UnsupportedFeatureError

if TYPE_CHECKING:
    from penstock.providers.resolve import Resolved

__all__ = ["check_listed", "ids_of", "models_url"]

# JSON of many vendors' shapes.
Json: TypeAlias = Any

# OpenAI and most; Google, Cohere and Ollama; Cloudflare.
_LISTS = ("data", "models", "result")
# OpenAI and most; Google, Cohere and Cloudflare; Ollama.
_IDS = ("id", "name", "model")
_GOOGLE = "models/"


def models_url(resolved: Resolved, base_url: str) -> str:
    """Return where the list of models is, below `base_url`."""
    row = resolved.row
    path = row.models_path if row is not None and row.models_path else "/models"
    query = "&".join(f"{name}={value}" for name, value in resolved.target.query.items())
    return f"{base_url}{path}{'?' if query else ''}{query}"


def check_listed(resolved: Resolved) -> None:
    """Refuse a provider that has no list of its models at its address.

    Raises:
        UnsupportedFeatureError: It has none.
    """
    if resolved.row is not None and not resolved.row.models_path:
        raise UnsupportedFeatureError(
            f"{resolved.row.name} has no list of its models at its address",
            provider=resolved.provider,
        )


def ids_of(body: bytes) -> list[str]:
    """Return the ids of the models in a list of them.

    Raises:
        ProtocolError: It is none.
    """
    try:
        listed: Json = decode_json(body)
    except NotJson as exc:
        raise ProtocolError(f"the list of models is none: {exc}") from exc
    if isinstance(listed, dict):
        listed = next((listed[name] for name in _LISTS if name in listed), None)
    if not isinstance(listed, list):
        raise ProtocolError("the list of models is none: it has no data and no models")
    return [found for each in listed if (found := _id(each))]


def _id(model: Json) -> str:
    if isinstance(model, dict):
        model = next((model[name] for name in _IDS if isinstance(model.get(name), str)), "")
    return model.removeprefix(_GOOGLE) if isinstance(model, str) else ""
