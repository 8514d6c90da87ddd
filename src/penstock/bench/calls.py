"""One request: sent through the client, measured, and written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

from penstock.bench.collect import keeps
from penstock.bench.metrics import Measurement
from penstock.bench.records import CANCELLED, RequestRecord
from penstock.errors import PenstockError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.bench.prices import Prices
    from penstock.bench.workload import Ask, Message
    from penstock.client import Client
    from penstock.errors import Attempt
    from penstock.stream import ChatStream

__all__ = ["Caller", "Place"]

_LONGEST = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a request stands in a run."""

    number: int
    conversation: int
    turn: int
    warmup: bool
    due: float | None
    """When it is due, by the caller's clock; None of a closed loop."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Sends requests, and makes their records.

    A mistake in the call itself (`penstock.errors.UsageError`: no such model, no key, a parameter
    that cannot be sent) is raised, as it is likely to befall every request.
    """

    client: Client
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """More arguments of `penstock.Client.stream`."""
    bounds: Mapping[str, float] = field(default_factory=dict)
    """The bounds of a good request, seconds."""
    prices: Prices | None = None
    """What tokens cost where the provider names no cost."""
    point: int = 0
    """The load's place among the run's."""
    origin: float = 0.0
    """The clock's time at which the load began."""

    async def send(
        self, ask: Ask, messages: Sequence[Message], place: Place, measurement: Measurement
    ) -> RequestRecord:
        """Ask `messages`, measured by `measurement`, and return what came of it.

        Raises:
            UsageError: The request cannot be sent.
        """
        options = dict(self.options)
        if ask.output_tokens is not None:
            options["max_tokens"] = ask.output_tokens
        started = measurement.sent = perf_counter()
        stream = self.client.stream(
            self.model,
            messages,
            middleware=[measurement],
            collect=False,
            **options,
        )
        failure: PenstockError | None = None
        try:
            async with stream:
                async for _ in stream:
                    pass
        except PenstockError as error:
            if isinstance(error, UsageError):
                raise
            failure = error
        ended = perf_counter() if measurement.last is None or failure else measurement.last
        fields = self._fields(ask, place, measurement, ended)
        if failure is None:
            fields |= _answered(stream, measurement, started if place.due is None else place.due)
        else:
            fields |= _failed(failure)
        record = RequestRecord(**fields)
        if self.bounds:
            record = RequestRecord(**fields, good=keeps(record, self.bounds))
        return record

    def dropped(self, ask: Ask, place: Place, measurement: Measurement) -> RequestRecord:
        """Return the record of a request that is dropped now, sent or not."""
        fields = self._fields(ask, place, measurement, perf_counter())
        return RequestRecord(**fields, error=CANCELLED, message="the run was ended")

    def refused(
        self, ask: Ask, place: Place, measurement: Measurement, error: UsageError
    ) -> RequestRecord:
        """Return the record of a request that `send` could not send, as `error` says."""
        fields = self._fields(ask, place, measurement, perf_counter()) | _failed(error)
        return RequestRecord(**fields, good=False if self.bounds else None)

    def _fields(
        self, ask: Ask, place: Place, measured: Measurement, ended: float
    ) -> dict[str, Any]:
        started = ended if measured.sent is None else measured.sent
        scheduled = started if place.due is None else place.due
        usage = measured.usage
        fields: dict[str, Any] = {
            "number": place.number,
            "point": self.point,
            "warmup": place.warmup,
            "conversation": place.conversation,
            "turn": place.turn,
            "scheduled": scheduled - self.origin,
            "started": started - self.origin,
            "ended": ended - self.origin,
            "ttft": None if measured.first is None else measured.first - scheduled,
            "ttfot": None if measured.first_output is None else measured.first_output - scheduled,
            "chunks": measured.chunks,
            "asked_input_tokens": ask.input_tokens,
            "asked_output_tokens": ask.output_tokens,
            "finish_reason": measured.finish_reason,
        }
        if usage is not None:
            fields |= {
                "input_tokens": usage.input_tokens or None,
                "output_tokens": usage.output_tokens or None,
                "reasoning_tokens": usage.reasoning_tokens,
                "cached_tokens": usage.cached_tokens,
                "cache_write_tokens": usage.cache_write_tokens,
                "cost": usage.cost,
            }
            counted = usage.input_tokens or usage.output_tokens
            if usage.cost is None and self.prices is not None and counted:
                fields |= {"cost": self.prices.of(usage), "priced": True}
        return fields


def _answered(stream: ChatStream, measured: Measurement, scheduled: float) -> dict[str, Any]:
    """Return what only a whole answer has."""
    tokens, decoding = measured.streamed_tokens, measured.decoding
    # One chunk has no time between tokens: 0 would flatter, as it would for a single token.
    paced = decoding is not None and measured.chunks > 1 and tokens > 1
    return {
        "e2e": None if measured.last is None else measured.last - scheduled,
        "tpot": decoding / (tokens - 1) if decoding is not None and paced else None,
        "deployment": stream.deployment,
        "request_id": stream.request_id,
        **_tries(stream.attempts),
    }


def _failed(error: PenstockError) -> dict[str, Any]:
    return {
        "error": error.kind,
        "message": error.message[:_LONGEST],
        "status": error.status,
        "deployment": error.deployment or "",
        "request_id": error.request_id,
        **_tries(error.attempts),
    }


def _tries(attempts: Sequence[Attempt]) -> dict[str, int]:
    """Return how often the same deployment was tried again, and how many others were tried."""
    others = len({each.deployment for each in attempts}) - 1 if attempts else 0
    return {"retries": max(len(attempts) - 1 - others, 0), "fallbacks": others}
