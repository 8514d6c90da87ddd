"""The conformance check of transports: ours pass on each loop, broken ones do not."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import trio

from penstock.errors import PenstockError
from penstock.interfaces import Ending, HttpCall, Wire
from penstock.testing.check_transport import check_transport
from penstock.transports import HttpxTransport
from penstock.transports.aiohttp import AiohttpTransport
from penstock.transports.direct import DirectTransport, httpx_transport


class Behind:
    """The direct transport below a client of either package's, which ours is given."""

    def __init__(self, use: Any) -> None:
        adapter = httpx_transport(use)
        self._client = import_module(use).AsyncClient(transport=adapter, timeout=None)
        self._transport = HttpxTransport(client=self._client)

    async def open(self, call: HttpCall) -> Wire:
        """Open a call."""
        return await self._transport.open(call)

    async def aclose(self) -> None:
        """Close all three."""
        await self._transport.aclose()
        await self._client.aclose()


# Made once: cancels are to come while a call connects, not while certificates are read.
TRUSTED = ssl.create_default_context()
OURS: dict[str, Callable[[], Any]] = {
    "httpx": lambda: HttpxTransport(use="httpx", verify=TRUSTED),
    "httpx2": lambda: HttpxTransport(use="httpx2", verify=TRUSTED),
    "direct": lambda: DirectTransport(verify=TRUSTED),
    "aiohttp": lambda: AiohttpTransport(verify=TRUSTED),
}
BEHIND: dict[str, Callable[[], Any]] = {
    "direct behind httpx": lambda: Behind("httpx"),
    "direct behind httpx2": lambda: Behind("httpx2"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", OURS | BEHIND)
async def test_ours_pass(name: str) -> None:
    """Each transport of ours keeps the seam, and so does one below other people's clients."""
    await check_transport((OURS | BEHIND)[name])


@pytest.mark.skipif(sys.platform == "win32", reason="platform: no uvloop")
@pytest.mark.parametrize("name", OURS | BEHIND)
def test_ours_pass_on_uvloop(name: str) -> None:
    """And on uvloop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check_transport((OURS | BEHIND)[name]))


@pytest.mark.parametrize("name", ["httpx", "httpx2", "direct"])
def test_ours_pass_on_trio(name: str) -> None:
    """And on trio, where httpx carries the calls."""
    trio.run(check_transport, OURS[name])


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
