"""A request before it is sent, in a form that can be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Preview"]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would go out: see `penstock.Client.preview`."""

    method: str
    """The HTTP method."""
    url: str
    """Where it would go."""
    headers: Mapping[str, str]
    """The headers, secrets as ``***``."""
    size: int
    """The body's size in bytes."""
    body: bytes | None = field(repr=False)
    """The body where it fits in ``Limits.body_buffer``, else None."""
    dropped: tuple[str, ...]
    """What the dialect could not say, as paths."""
    command: str = field(repr=False)
    """The same as a ``curl`` command."""
