"""Peers with a loop of their own, for tests that have several loops, or none of asyncio's."""

from __future__ import annotations

import asyncio
import threading

from tests.transports.peers import Handle, Peer


class PeerThread:
    """A peer on a loop of its own, for tests that have several."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> PeerThread:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def opened(self) -> int:
        """Connections accepted so far."""
        return self.peer.opened

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with Peer(self._handle) as self.peer:
            self.url = self.peer.url
            self._ready.set()
            await self._stop.wait()
