"""The conformance check of transports: ours pass on each loop, broken ones do not."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
import trio

from penstock.errors import PenstockError
from penstock.interfaces import Ending, HttpCall, Wire
from penstock.testing.check_transport import check_transport
from penstock.transports import HttpxTransport
from penstock.transports.direct import DirectTransport


@pytest.mark.asyncio
@pytest.mark.parametrize("use", ["httpx", "httpx2"])
async def test_httpx_passes(use: Any) -> None:
    """The transport of the default client keeps the seam, over either package."""
    await check_transport(lambda: HttpxTransport(use=use))


@pytest.mark.parametrize("use", ["httpx", "httpx2"])
def test_httpx_passes_on_trio(use: Any) -> None:
    """And on trio."""
    trio.run(check_transport, lambda: HttpxTransport(use=use))


@pytest.mark.asyncio
async def test_direct_passes() -> None:
    """Connections of our own keep the seam."""
    await check_transport(DirectTransport)


def test_direct_passes_on_trio() -> None:
    """And on trio, where httpx carries the calls."""
    trio.run(check_transport, DirectTransport)


@pytest.mark.skipif(sys.platform == "win32", reason="platform: no uvloop")
def test_direct_passes_on_uvloop() -> None:
    """And on uvloop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check_transport(DirectTransport))


@pytest.mark.skipif(sys.platform == "win32", reason="platform: no uvloop")
def test_httpx_passes_on_uvloop() -> None:
    """And on uvloop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check_transport(HttpxTransport))


class Broken:
    """A transport around ours whose wires are changed."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self._inner = HttpxTransport()
        self._change = change

    async def open(self, call: HttpCall) -> Wire:
        """Open a call."""
        wire: Wire = self._change(await self._inner.open(call))
        return wire

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()


class Around:
    """A wire that passes everything on."""

    def __init__(self, wire: Any) -> None:
        self._wire = wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)


class AlwaysClean(Around):
    """Row 8: a wire that takes any end for a whole one."""

    ending = Ending(clean=True)


class DeafToAbort(Around):
    """A wire that forgets why it was aborted."""

    def abort(self, error: PenstockError | None = None) -> None:
        """Abort it, for no reason."""
        self._wire.abort()


class NeverReuses(Around):
    """Fault 14 of exoclaw: a wire that gives no connection back."""

    async def aclose(self, *, reuse: bool = False) -> None:
        """Close it."""
        await self._wire.aclose()


class NeverCloses(Around):
    """Row 23: a wire that stays open."""

    async def aclose(self, *, reuse: bool = False) -> None:
        """Leave it."""


@pytest.mark.asyncio
@pytest.mark.parametrize("change", [AlwaysClean, DeafToAbort, NeverReuses, NeverCloses])
async def test_broken_ones_do_not(change: type[Around]) -> None:
    """Each broken promise is found, and named."""
    with pytest.raises(AssertionError):
        await check_transport(lambda: Broken(change), patience=0.5)
