"""Whether a provider lets us in: one request for its list of models, which costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.decoders.whole import WholeDecoder
from penstock.errors import PenstockError
from penstock.providers.headers import selected
from penstock.providers.listing import ids_of

if TYPE_CHECKING:
    from penstock.interfaces import Wire
    from penstock.limits import Limits
    from penstock.providers.models import Models

__all__ = ["Knock", "knock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """What became of it."""

    status: int | None = None
    """The HTTP status; None where there was no answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The answer's headers that say something, ``date`` among them."""
    models: tuple[str, ...] = ()
    """The ids of the models that are listed."""
    listed: bool = True
    """Whether the provider has a list of models at its address: else the key is not tried."""
    error: PenstockError | None = None
    """What went wrong."""


async def knock(models: Models, limits: Limits) -> Knock:
    """Ask for the list of `models`; what goes wrong is in the result."""
    status: int | None = None
    headers: Mapping[str, str] = {}
    try:
        async with models.asked() as wire:
            status, headers = wire.status, selected(wire.headers)
            if status == 200 and models.listed:
                ids = tuple(ids_of(await _whole(wire, limits)))
                return Knock(status=status, headers=headers, models=ids)
            raise await models.rejection(wire)
    except PenstockError as error:
        # Without a list any answer but a refusal of the key is as good as the next.
        known = models.listed or status is None or status in (401, 403)
        shown = error if known else None
        return Knock(status=status, headers=headers, listed=models.listed, error=shown)


async def _whole(wire: Wire, limits: Limits) -> bytes:
    body = WholeDecoder(max_event=limits.max_event)
    while data := await wire.read():
        body.decode(data)
    return b"".join(body.flush())
