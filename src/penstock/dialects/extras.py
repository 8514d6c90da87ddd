"""The fields that a deployment or a caller adds to a body, in the vendor's own words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from penstock.interfaces import Target
    from penstock.request import ChatRequest

__all__ = ["add_extras"]

# JSON of the vendor's.
Json: TypeAlias = Any


def add_extras(
    fields: dict[str, Json],
    request: ChatRequest,
    target: Target,
    *,
    ours: Collection[str] = ("messages", "stream"),
    merged: Collection[str] = (),
) -> None:
    """Put ``extra_body`` into `fields`: the target's, then the request's on top, each over ours.

    Args:
        fields: The body so far.
        request: What is asked.
        target: Whom.
        ours: Fields that penstock needs to be its own.
        merged: Objects that many parameters share, such as Ollama's ``options``: what is given is
            added to them, where everything else replaces what is there.

    Raises:
        ConfigurationError: The target's has one of `ours`.
        UsageError: The request's has one of them.
    """
    for extra, fault in ((target.extra_body, ConfigurationError), (request.extra_body, UsageError)):
        for name, value in extra.items():
            if name in ours:
                raise fault(f"extra_body must not have {name!r}: it is penstock's", param=name)
            kept = fields.get(name)
            if name in merged and isinstance(value, Mapping) and isinstance(kept, Mapping):
                value = {**kept, **value}
            fields[name] = value
