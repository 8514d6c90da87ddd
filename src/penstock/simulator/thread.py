"""The simulator in a thread of its own, for blocking code and as the embedded default."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from types import TracebackType

from penstock.simulator.records import Connections, RequestRecord, SimulatorStats
from penstock.simulator.server import Simulator

__all__ = ["SimulatorThread"]


class SimulatorThread:
    """Runs a `Simulator` in a daemon thread with its own event loop.

    A context manager; or call `start` and `close`.

    Args:
        simulator: The simulator to run; a plain one where it is missing. It may not be used
            elsewhere at the same time.
    """

    def __init__(self, simulator: Simulator | None = None) -> None:
        self.simulator = Simulator() if simulator is None else simulator
        """The simulator; its coroutines belong to the thread's loop."""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """The origin, as in `Simulator.url`."""
        return self.simulator.url

    @property
    def requests(self) -> Sequence[RequestRecord]:
        """A copy of the last requests, oldest first."""
        return list(self.simulator.requests.copy())

    @property
    def connections(self) -> Connections:
        """How many connections are open, and how many there were."""
        return self.simulator.connections

    def stats(self) -> SimulatorStats:
        """Return the counts so far."""
        return self.simulator.stats()

    def __enter__(self) -> SimulatorThread:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the thread and wait until the simulator listens.

        Raises:
            OSError: The address cannot be listened on.
        """
        if self._thread is not None:
            return
        self._failure = None
        self._started.clear()
        self._thread = threading.Thread(target=self._run, name="penstock-simulator", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self.close()
            raise self._failure

    def close(self) -> None:
        """Stop the simulator and wait for its thread; more calls do nothing."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        thread.join()
        self._loop = self._stop = None

    def idle(self, *, connections: bool = False, timeout: float = 10.0) -> None:
        """Wait until no request is being answered, or until no connection is open.

        Args:
            connections: Wait for the connections too, not only for the requests.
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: It took longer.
            RuntimeError: The thread is not running.
        """
        if self._loop is None:
            raise RuntimeError("the simulator's thread is not running")
        waiting = asyncio.wait_for(self.simulator.idle(connections=connections), timeout)
        asyncio.run_coroutine_threadsafe(waiting, self._loop).result()

    def _run(self) -> None:
        # A loop of its own is what this thread is for; `asyncio.run` would touch signal handling.
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._main(loop))
            loop.run_until_complete(loop.shutdown_asyncgens())
        except BaseException as exc:  # handed to the thread that waits in `start`
            self._failure = exc
        finally:
            loop.close()
            self._started.set()

    async def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        async with self.simulator:
            self._loop, self._stop = loop, asyncio.Event()
            self._started.set()
            await self._stop.wait()
