"""Stage 6 of 6: chunks to chunks, and at last to the caller.

Middleware is a function of one chunk, an object with ``process(chunk)``, an async function, or an
async generator over chunks; `penstock.pipeline.composition` has the table. Built in:

==================  ==============================================================================
`accumulate`        the answer so far, to a callback or as an attribute
`coalesce`          fewer, larger deltas, by size or by interval
`partial_json`      tool arguments and structured answers while they arrive
`record`            a file that the simulator plays back
`stop_at`           ends an answer at a literal or an expression
`throttle`          a steady pace, in chunks or tokens a second
==================  ==============================================================================

Beside them stand `merge` and `compare`, for several answers at once, and `tee`, for several readers
of one. Names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.pipeline.accumulation import Accumulate, Snapshot, accumulate
    from penstock.pipeline.bounds import check_bound, chunk_size
    from penstock.pipeline.branches import Branch, tee
    from penstock.pipeline.coalescing import coalesce
    from penstock.pipeline.composition import (
        ChunkMiddleware,
        Pipeline,
        StageFactory,
        chain,
        compose,
        fuse,
    )
    from penstock.pipeline.edge import Edge
    from penstock.pipeline.fold import Fold
    from penstock.pipeline.merging import Side, Tagged, compare, merge
    from penstock.pipeline.pace import estimate_tokens, throttle
    from penstock.pipeline.partial import Partial, PartialJSON, partial_json
    from penstock.pipeline.recording import record
    from penstock.pipeline.stop import stop_at
    from penstock.pipeline.stream import BatchStream, Interrupted, Source

_HOMES = {
    "Accumulate": "accumulation",
    "BatchStream": "stream",
    "Branch": "branches",
    "ChunkMiddleware": "composition",
    "Edge": "edge",
    "Fold": "fold",
    "Interrupted": "stream",
    "Partial": "partial",
    "PartialJSON": "partial",
    "Pipeline": "composition",
    "Side": "merging",
    "Snapshot": "accumulation",
    "Source": "stream",
    "StageFactory": "composition",
    "Tagged": "merging",
    "accumulate": "accumulation",
    "chain": "composition",
    "check_bound": "bounds",
    "chunk_size": "bounds",
    "coalesce": "coalescing",
    "compare": "merging",
    "compose": "composition",
    "estimate_tokens": "pace",
    "fuse": "composition",
    "merge": "merging",
    "partial_json": "partial",
    "record": "recording",
    "stop_at": "stop",
    "tee": "branches",
    "throttle": "pace",
}

__all__ = [
    "Accumulate",
    "BatchStream",
    "Branch",
    "ChunkMiddleware",
    "Edge",
    "Fold",
    "Interrupted",
    "Partial",
    "PartialJSON",
    "Pipeline",
    "Side",
    "Snapshot",
    "Source",
    "StageFactory",
    "Tagged",
    "accumulate",
    "chain",
    "check_bound",
    "chunk_size",
    "coalesce",
    "compare",
    "compose",
    "estimate_tokens",
    "fuse",
    "merge",
    "partial_json",
    "record",
    "stop_at",
    "tee",
    "throttle",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock.pipeline' has no attribute {name!r}")
    value = getattr(import_module(f"penstock.pipeline.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
