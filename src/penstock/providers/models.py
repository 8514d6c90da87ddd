"""What one deployment serves, by its own list: asked for, which also warms the connection."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from penstock.decoders.whole import WholeDecoder
from penstock.errors import PenstockError
from penstock.interfaces import CallRecord, HttpCall
from penstock.providers.blame import Blame
from penstock.providers.listing import check_listed, ids_of
from penstock.transports.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from penstock.interfaces import Wire
    from penstock.limits import Limits, Timeouts
    from penstock.providers.auth import Sockets
    from penstock.providers.preparer import Preparer
    from penstock.providers.resolve import Resolved

__all__ = ["Models"]


class Models:
    """The list of models of one deployment.

    Args:
        resolved: The deployment.
        preparer: Makes the request.
        connections: Has the transport.
        limits: Bounds in bytes.
        timeouts: The deployment's clocks.
        rejection: Reads what the peer says instead of a list.
    """

    def __init__(
        self,
        resolved: Resolved,
        *,
        preparer: Preparer,
        connections: Sockets,
        limits: Limits,
        timeouts: Timeouts,
        rejection: Callable[[Wire], Awaitable[PenstockError]],
    ) -> None:
        self._resolved = resolved
        self._preparer = preparer
        self._connections = connections
        self._limits = limits
        self._timeouts = timeouts
        self.rejection = rejection

    @property
    def listed(self) -> bool:
        """Whether there is a list at the deployment's address."""
        row = self._resolved.row
        return row is None or bool(row.models_path)

    async def warm(self) -> None:
        """Open a connection, use it for the list of models, and leave it in the pool.

        Raises:
            TransportError: There is no connection to be had.
        """
        async with self.asked() as wire:
            left = self._limits.max_event  # a connection can be used again once its answer is read
            while left > 0 and (data := await wire.read()):
                left -= len(data)
            await wire.aclose(reuse=True)

    async def ids(self) -> list[str]:
        """Return the ids of the models that are served there (``GET /models``).

        Raises:
            PenstockError: There is no answer, or it is an error or no list.
        """
        check_listed(self._resolved)
        async with self.asked() as wire:
            if wire.status != 200:
                raise await self.rejection(wire)
            body = WholeDecoder(max_event=self._limits.max_event)
            while data := await wire.read():
                body.decode(data)
            return ids_of(b"".join(body.flush()))

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[Wire]:
        """Ask for the list, whatever the answer is; errors leave with the deployment's name."""
        head = await self._preparer.prepare_listing()
        call = HttpCall(
            method="GET",
            url=head.url,
            headers=head.headers,
            body=None,
            watch=Watchdog(self._timeouts, limits=self._limits),
            limits=self._limits,
        )
        target = self._resolved.target
        record = CallRecord(
            model=target.deployment, provider=target.provider, deployment=target.deployment
        )
        try:
            wire = await self._connections.transport.open(call)
            try:
                yield wire
            finally:
                await wire.aclose()
        except PenstockError as error:
            raise Blame(record, head.secrets)(error) from error.__cause__
        finally:
            call.watch.stop()
