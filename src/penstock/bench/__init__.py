"""A product on the public API: how fast a model answers, measured by a client that says its part.

A run from Python::

    settings = Settings(model="sim/text", loads=(Load(kind="concurrency", concurrency=8),),
                        requests=100)
    result = await Bench(client, settings, source).run()
    save(result, "bench.json")

The JSON form of a run (``bench.json``, what ``penstock bench --json FILE`` writes) is a
`penstock.bench.results.Result`, version `SCHEMA`:

- ``schema``, ``penstock``, ``python``, ``platform``, ``started``, ``interrupted``, ``warnings``;
- ``settings``: what was run, without keys, so that it can be run again;
- ``points``: for each load its ``load``, its ``summary`` and the client's ``health``. A summary has
  ``metrics`` by name (``ttft``, ``ttfot``, ``itl``, ``icl``, ``tpot``, ``e2e``, ``start_delay``,
  ``user_throughput``, ``input_tokens``, ``output_tokens``), each with ``unit``, ``count``,
  ``mean``, ``std``, ``min``, ``max``, ``percentiles`` (``p50`` to ``p99``), ``ci`` (95 %
  intervals of the mean and of each percentile) and ``histogram`` (``[low, high, count]``); besides
  counts, throughputs, tokens, errors by kind, goodput, cost, and a ``timeline``;
- ``knee``: of several loads, the place in ``points`` of the one to run at.

Times are seconds. What a provider did not say is missing or null, never zero. A line of the JSONL
file, and a row of the CSV file, is a `penstock.bench.records.RequestRecord`.
`penstock.bench.metrics` defines the latencies.

============= ==================================================================================
module        what it has
============= ==================================================================================
bench         a whole run: its loads, or a sweep (`sweep`)
run           one load; `schedule` says when the requests of an open one are due
calls         one request, sent and measured by `metrics`
settings      what a run is asked to do
workload      what is asked: drawn (`lengths`, `words`), or from `files` (`rows`, `arrays`)
records       what is noted of one request, and its files
collect       from records to the summary of a load: `distribution`, `pace`, `timeline`, `prices`
summary       the figures of one load
health        what the measuring cost the client
results       a run as values and as JSON
compare       two runs: what changed by more than chance would
text          a run as text
report        a run as a page
============= ==================================================================================
"""

from penstock.bench.bench import Bench, Source
from penstock.bench.lengths import Lengths
from penstock.bench.records import RequestRecord
from penstock.bench.results import SCHEMA, Point, Result, encoded, load, save
from penstock.bench.settings import Load, Settings, Workload
from penstock.bench.summary import Cost, Goodput, Health, Metric, Summary, Tick, Tokens
from penstock.bench.workload import Ask, Conversation, synthetic

__all__ = [
    "SCHEMA",
    "Ask",
    "Bench",
    "Conversation",
    "Cost",
    "Goodput",
    "Health",
    "Lengths",
    "Load",
    "Metric",
    "Point",
    "RequestRecord",
    "Result",
    "Settings",
    "Source",
    "Summary",
    "Tick",
    "Tokens",
    "Workload",
    "encoded",
    "load",
    "save",
    "synthetic",
]
