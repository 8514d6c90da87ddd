"""A whole run: its loads one after the other, or a sweep to the knee."""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock import __version__
from penstock.bench.calls import Caller
from penstock.bench.health import HealthWatch
from penstock.bench.prices import Prices
from penstock.bench.results import Point, Result
from penstock.bench.run import Run
from penstock.bench.sweep import knee, next_load
from penstock.bench.text import described
from penstock.bench.workload import Conversation
from penstock.errors import ConnectError, DeadlineError, ProtocolError, TransportError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.bench.records import RequestRecord
    from penstock.bench.settings import Load, Settings
    from penstock.client import Client

__all__ = ["Bench", "Source"]

# The share of answers that came at once from which on the medians of ITL and TPOT are 0.
_MANY = 0.5
# Seconds for the list of models: longer than a connection may take.
_PATIENCE = 20.0

Source: TypeAlias = Callable[[int], Iterator[Conversation]]
"""Makes the conversations of a load, told its place: each load asks something else, so that no
cache helps the later ones."""


class Bench:
    """Measures one model through a client; run it once, on an asyncio loop.

    Args:
        client: Sends everything. Its retries and fallbacks are those of the run.
        settings: What is run.
        source: What is asked.
        options: More arguments of `penstock.Client.stream`, on every request.
        on_record: Told each request as it ends, warm-up among them.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        source: Source,
        *,
        options: Mapping[str, Any] | None = None,  # Any: arguments of the client
        on_record: Callable[[RequestRecord], None] | None = None,
    ) -> None:
        self.settings = settings
        """What is run."""
        price = settings.price
        self._prices = None if price is None else Prices.parse(price, option="Settings.price")
        self.points: list[Point] = []
        """The loads that have ended."""
        self.run_now: Run | None = None
        """The load under way."""
        self._client = client
        self._source = source
        self._options = dict(options or {})
        self._on_record = on_record
        self._preparing: asyncio.Task[None] | None = None
        self._stopped = False

    def stop(self) -> None:
        """Begin no more requests, drop those under way, and let `run` return what there is.

        Those that are dropped count as cancelled (`penstock.bench.summary.Summary.cancelled`).
        """
        self._stopped = True
        if self._preparing is not None:
            self._preparing.cancel()
        if self.run_now is not None:
            self.run_now.stop()

    async def run(self) -> Result:
        """Run every load and return the figures.

        Raises:
            UsageError: The requests cannot be sent; nothing more was.
            TransportError: There is no connection to the model's address, and no fallback.
        """
        await self._prepared()
        started = datetime.now(UTC).isoformat(timespec="seconds")
        for load in self._loads():
            await self._run(load)
        return Result(
            penstock=__version__,
            python=f"{platform.python_implementation()} {platform.python_version()}",
            platform=f"{sys.platform} {platform.machine()}",
            started=started,
            settings=self.settings,
            points=tuple(self.points),
            knee=knee(self.points),
            interrupted=self._stopped,
            warnings=tuple(self._warnings()),
        )

    async def _prepared(self) -> None:
        """Prepare, unless `stop` comes first: a server may let its list of models wait."""
        self._preparing = asyncio.get_running_loop().create_task(self._prepare())
        try:
            await self._preparing
        except asyncio.CancelledError:
            if not self._stopped:
                raise
        finally:
            self._preparing = None

    async def _prepare(self) -> None:
        """Load what a first request loads, and find out whether anybody listens.

        The list of models is asked for, which costs nothing; loading takes a tenth of a second,
        which would be the first request's. A server that listens need not have that list.
        """
        model = self.settings.model
        await self._client.preview(model, "hello", **self._options)
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._client.warm(model)
        except (TimeoutError, TransportError, ProtocolError) as error:
            if _nobody_listens(error) and not self.settings.fallbacks:
                raise

    def _loads(self) -> Iterator[Load]:
        for load in self.settings.loads:
            if self._stopped:
                return
            yield load
        while self.settings.sweep and not self._stopped:
            following = next_load(self.points)
            if following is None:
                return
            yield following

    async def _run(self, load: Load) -> None:
        place = len(self.points)
        caller = Caller(
            self._client,
            self.settings.model,
            options=self._options,
            bounds=self.settings.goodput,
            prices=self._prices,
            point=place,
        )
        run = self.run_now = Run(
            caller,
            self.settings,
            load=load,
            conversations=self._source(place),
            on_record=self._on_record,
        )
        watch = HealthWatch()
        async with watch:
            await run.run()
        summary = run.collector.summary(run.peak)
        capped = load.open_loop and load.concurrency is not None
        health = watch.judge(summary, capped=capped, seed=self.settings.seed)
        self.points.append(Point(load=load, summary=summary, health=health))
        self.run_now = None

    def _warnings(self) -> Iterator[str]:
        summaries = [point.summary for point in self.points]
        if any(each.tokens.uncounted for each in summaries):
            yield (
                "the provider did not count the tokens of "
                f"{sum(each.tokens.uncounted for each in summaries)} answers: a chunk stands for "
                "a token there, which a server that bundles them makes wrong"
            )
        if self._client.locate(self.settings.model).provider == "sim":
            yield "the simulator ran in this process and took CPU from the client"
        if empty := sum(each.empty for each in summaries):
            yield (
                f"{empty} answers were empty: they are among the answered and in E2E, and keep no "
                "bound of the goodput"
            )
        for load, summary in ((each.load, each.summary) for each in self.points):
            if summary.at_once > _MANY * summary.succeeded:
                yield (
                    f"{described(load)}: {summary.at_once} of {summary.succeeded} answers came at "
                    "once, in one network read, so that their ITL and TPOT are 0: a proxy that "
                    "holds answers back looks like this, and so does a server without a model"
                )
        if any(not each.succeeded for each in summaries):
            yield "no request of a load was answered: there is nothing to report of it"


def _nobody_listens(error: Exception) -> bool:
    """Tell whether `error` means that there was no connection to be had."""
    late = isinstance(error, DeadlineError) and error.phase == "connect"
    return late or isinstance(error, ConnectError)
