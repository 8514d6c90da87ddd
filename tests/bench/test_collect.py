"""From records to a summary: what counts, what does not, and what each figure is over."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.bench import RequestRecord, Summary
from penstock.bench.collect import Collector, keeps


def record(number: int = 0, **fields: Any) -> RequestRecord:
    """Return a whole answer: sent at its number, 4 tokens, 2 s long."""
    usual: dict[str, Any] = {
        "number": number,
        "scheduled": float(number),
        "started": float(number),
        "ended": number + 2.0,
        "ttft": 0.5,
        "ttfot": 1.0,
        "e2e": 2.0,
        "tpot": 0.5,
        "chunks": 4,
        "input_tokens": 10,
        "output_tokens": 4,
        "deployment": "a",
        "finish_reason": "stop",
    }
    return RequestRecord(**(usual | fields))


def failed(number: int = 0, kind: str = "rate_limit", **fields: Any) -> RequestRecord:
    """Return a request that failed after its first content."""
    return record(
        number, error=kind, message=f"{kind}!", e2e=None, tpot=None, finish_reason=None, **fields
    )


def summed(*records: RequestRecord, bounds: dict[str, float] | None = None) -> Summary:
    """Return the summary of `records`; whole answers have three gaps of half a second."""
    collector = Collector(bounds or {})
    for each in records:
        collector.take(each, [0.5] * 3, each.output_tokens or each.chunks)
    return collector.summary(peak=2)


def test_failed_requests_add_no_figures() -> None:
    """Not a zero, nor their first token: they are counted by their kind, with what was said."""
    summary = summed(record(0), failed(1, ttft=0.0), failed(2), failed(3, "deadline"))

    assert (4, 1, 3) == (summary.requests, summary.succeeded, summary.failed)
    assert {"rate_limit": 2, "deadline": 1} == summary.errors
    assert {"rate_limit": "rate_limit!", "deadline": "deadline!"} == summary.messages
    assert {1} == {m.count for n, m in summary.metrics.items() if n in ("ttft", "tpot", "e2e")}
    assert (4, 3) == (summary.tokens.output, summary.metrics["itl"].count)
    assert 0.5 == summary.metrics["ttft"].min


def test_without_an_answer_there_are_no_latencies() -> None:
    """Only how late the requests were sent."""
    summary = summed(failed(0), failed(1))

    assert {"start_delay"} == summary.metrics.keys()
    assert (0.0, 0.0, None) == (
        summary.request_throughput,
        summary.output_throughput,
        summary.total_throughput,
    )


def test_nothing_at_all_is_a_summary() -> None:
    """Of a run that was interrupted before its first answer."""
    summary = summed()

    assert (0, 0.0, {}) == (summary.requests, summary.duration, summary.metrics)


def test_throughput_is_over_the_whole_load() -> None:
    """From the first that was due to the last end: three answers of 14 tokens in four seconds."""
    summary = summed(record(0), record(1), record(2))

    assert (4.0, 0.75, 3.0, 10.5) == (
        summary.duration,
        summary.request_throughput,
        summary.output_throughput,
        summary.total_throughput,
    )
    assert (1.5, 2) == (summary.concurrency, summary.peak_concurrency)


def test_gaps_are_by_the_token() -> None:
    """Seven tokens in four chunks: six latencies of a quarter second, and three gaps of a half."""
    metrics = summed(record(output_tokens=7)).metrics

    assert (6, 0.25, 0.25) == (metrics["itl"].count, metrics["itl"].mean, metrics["itl"].max)
    assert (3, 0.5) == (metrics["icl"].count, metrics["icl"].mean)


def test_what_came_at_once_is_counted() -> None:
    """Of several tokens in one read nothing was between them; of one token nothing is asked."""
    collector = Collector({})
    for gaps, tokens in (([0.0, 0.0], 5), ([0.0, 0.1], 5), ([], 5), ([0.0], 1)):
        collector.take(record(), gaps, tokens)

    assert 1 == collector.summary(peak=1).at_once


def test_a_user_sees_the_inverse_of_the_time_per_token() -> None:
    """And nothing where there is no such time, or it is nothing."""
    summary = summed(record(0), record(1, tpot=None), record(2, tpot=0.0))

    assert (1, 2.0) == (
        summary.metrics["user_throughput"].count,
        summary.metrics["user_throughput"].mean,
    )


def test_what_a_provider_does_not_say_is_none() -> None:
    """Chunks stand for output tokens, and how many answers they stand for is said."""
    summary = summed(record(0, input_tokens=None, output_tokens=None), record(1, cost=None))

    assert (10, 8, 1) == (summary.tokens.input, summary.tokens.output, summary.tokens.uncounted)
    assert (None, None, None, None) == (
        summary.tokens.cached,
        summary.tokens.reasoning,
        summary.tokens.cache_hit_rate,
        summary.cost,
    )
    assert 1 == summary.metrics["output_tokens"].count


def test_cache_and_cost_are_those_that_were_reported() -> None:
    """The hit rate is of the prompts of those answers."""
    summary = summed(
        record(0, cached_tokens=5, cost=0.25), record(1, cached_tokens=0), record(2, cost=0.75)
    )

    assert (5, 0.25) == (summary.tokens.cached, summary.tokens.cache_hit_rate)
    assert summary.cost is not None
    assert (1.0, 2, 0.5) == (
        summary.cost.total,
        summary.cost.reported,
        summary.cost.per_request,
    )


def test_retries_and_fallbacks_are_counted_on_failure_too() -> None:
    """Retries are tries, fallbacks are requests, deployments those of whole answers."""
    summary = summed(
        record(0, retries=2), record(1, fallbacks=2, deployment="b"), failed(2, retries=1)
    )

    assert (3, 1, {"a": 1, "b": 1}) == (summary.retries, summary.fallbacks, summary.deployments)


BOUNDS = {"ttft": 0.6, "tpot": 0.5}
KEPT = [
    (record(), True),
    (record(ttft=0.7), False),
    (record(tpot=0.51), False),
    (record(tpot=None), True),  # a single token has no time per token
    (record(ttft=None), True),  # an empty answer is a whole one
    (failed(ttft=0.1), False),
]


@pytest.mark.parametrize(("each", "kept"), KEPT)
def test_a_good_request_keeps_all_bounds(each: RequestRecord, kept: bool) -> None:
    """Bounds are reached, not passed; a failed request keeps none."""
    assert kept is keeps(each, BOUNDS)


def test_without_bounds_nothing_is_good_or_bad() -> None:
    """There is no goodput to report."""
    assert (None, None) == (keeps(record(), {}), summed(record()).goodput)


def test_goodput_is_of_all_requests() -> None:
    """Failed ones are not good, and the rate is over the same time as the throughput."""
    goodput = summed(*(each for each, _ in KEPT), bounds=BOUNDS).goodput

    assert goodput is not None
    assert (3, 0.5, 1.5) == (goodput.good, goodput.ratio, goodput.request_throughput)
    assert goodput.ratio_ci[0] < 0.5 < goodput.ratio_ci[1]


def test_an_empty_answer_is_counted_and_not_good() -> None:
    """It would keep every bound on the first token; and there is nothing to count in it."""
    nothing: dict[str, Any] = {"ttft": None, "ttfot": None, "tpot": None, "output_tokens": None}
    collector = Collector({"ttft": 1.0})
    collector.take(record(0), [0.5] * 3, 4)
    collector.take(record(1, chunks=0, e2e=0.01, **nothing), [], 0)
    summary = collector.summary(peak=1)

    assert (2, 1) == (summary.succeeded, summary.empty)
    assert summary.goodput is not None
    assert 1 == summary.goodput.good
    assert (4, 0) == (summary.tokens.output, summary.tokens.uncounted)


def test_waiting_to_be_sent_is_measured() -> None:
    """What was due at 1 and sent at 3 was two seconds late."""
    assert 2.0 == summed(record(1, started=3.0)).metrics["start_delay"].max
