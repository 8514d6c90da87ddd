"""Rows of a data set as prompts: a callable for ``ray.data.Dataset.map_batches``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import ray

from penstock.errors import ConfigurationError, PenstockError, UsageError
from penstock.sync.shared import shared_portal

if TYPE_CHECKING:
    from penstock.client import Client
    from penstock.mapping import MapResult

__all__ = ["COLUMNS", "ChatBatch"]

# Values of rows, and arguments of a chat.
Value: TypeAlias = Any
Row: TypeAlias = Mapping[str, Value]

COLUMNS: Mapping[str, str] = {
    "text": "the answer",
    "finish_reason": "why it ended",
    "input_tokens": "tokens of the prompt",
    "output_tokens": "tokens of the answer",
    "cost": "US dollars, where the provider reports it",
    "error": "what went wrong instead, in words",
    "error_kind": "and by its short name",
    "retryable": "whether the same row may be answered another time",
}
"""What a row has more of; None where there is nothing to say."""


_INTERRUPTED = (
    *(None, None, None, None, None),
    "the worker that asked died, and the prompt is not asked again: it may have been paid for",
    *("interrupted", False),
)


class ChatBatch:
    """Asks for each row of a batch, several at once, and gives the rows back with the answers.

        ask = ChatBatch(client, "prompt", model="openai/gpt-5.4-mini", concurrency=16)
        answers = prompts.map_batches(ask, batch_size=64)

    A row that fails has its error in its columns, and the others their answers. It takes and gives
    a mapping of columns; a pandas or Arrow batch becomes one.

    Ray Data runs a batch whose worker died again, without end. A prompt is paid for, so the rows of
    such a batch get an error instead, of the kind ``interrupted``: each may have been answered.

    Args:
        client: Answers; it pickles.
        ask: The column that has the prompt, as text or messages; or a function of a row that
            returns arguments of `penstock.Client.chat`, such as ``{"messages": [...]}``.
        model: Who is asked; by default the client's.
        concurrency: Rows that are asked at once in one batch.
        prefix: What the names of `COLUMNS` begin with.
        rerun: Whether a batch that Ray runs again is asked again.
        options: What each call takes; see `penstock.calls.CallOptions`.

    Raises:
        ConfigurationError: `concurrency` is below 1.
    """

    def __init__(
        self,
        client: Client,
        ask: str | Callable[[Row], Row] = "prompt",
        *,
        model: str | None = None,
        concurrency: int = 10,
        prefix: str = "",
        rerun: bool = False,
        **options: Value,
    ) -> None:
        if concurrency < 1:
            raise ConfigurationError("ChatBatch.concurrency must be 1 or more", param="concurrency")
        self._client, self._ask = client, ask
        self._options = options if model is None else {**options, "model": model}
        self._concurrency, self._prefix, self._rerun = concurrency, prefix, rerun

    def __setstate__(self, state: dict[str, Value]) -> None:
        # Its connections stay for the worker's next batch, and end with this copy.
        self.__dict__.update(state)
        shared_portal().hold(self._client, self)

    def __call__(self, batch: Value) -> dict[str, Value]:
        """Return the columns of `batch`, and those of the answers.

        Raises:
            UsageError: The batch has no such column, or one of the answers' already.
        """
        columns = _columns(batch)
        names = [f"{self._prefix}{name}" for name in COLUMNS]
        taken = sorted(set(names) & set(columns))
        if taken:
            raise UsageError(f"the batch has a column {taken[0]!r} already: set prefix=")
        if isinstance(self._ask, str) and self._ask not in columns:
            raise UsageError(f"the batch has no column {self._ask!r}; there are {sorted(columns)}")
        if self._rerun or not _runs():
            answers = shared_portal().call(self._answers, columns)
        else:
            answers = [_INTERRUPTED for _ in _rows(columns)]
        told = zip(*answers, strict=True) if answers else ([] for _ in names)
        return {**columns, **{name: list(each) for name, each in zip(names, told, strict=True)}}

    async def _answers(self, columns: Mapping[str, Sequence[Value]]) -> list[tuple[Value, ...]]:
        requests = map(self._request, _rows(columns))
        results = self._client.map(requests, concurrency=self._concurrency)
        return [_told(result) async for result in results]

    def _request(self, row: Row) -> Row:
        if callable(self._ask):
            return {**self._options, **self._ask(row)}
        asked = row[self._ask]
        return {**self._options, "messages": asked if isinstance(asked, str) else list(asked)}


def _runs() -> int:
    """Return how often Ray has run this task before: its public API does not tell."""
    worker: Value = ray._private.worker.global_worker
    if worker.mode != ray.WORKER_MODE:
        return 0
    return int(worker.core_worker.get_current_task_attempt_number())


def _columns(batch: Value) -> dict[str, Sequence[Value]]:
    """Return a batch's columns: a mapping's, an Arrow table's, a data frame's."""
    if isinstance(batch, Mapping):
        return dict(batch)
    if hasattr(batch, "to_pydict"):
        return dict(batch.to_pydict())
    return {str(name): list(column) for name, column in batch.items()}


def _rows(columns: Mapping[str, Sequence[Value]]) -> Iterator[Row]:
    length = len(next(iter(columns.values()), ()))
    for at in range(length):
        yield {name: column[at] for name, column in columns.items()}


def _told(result: MapResult) -> tuple[Value, ...]:
    """Return what became of a row, in the order of `COLUMNS`."""
    if result.reply is None:
        error = result.error
        kind = error.kind if isinstance(error, PenstockError) else type(error).__name__
        return (None, None, None, None, None, str(error), kind, getattr(error, "retryable", False))
    reply, usage = result.reply, result.reply.usage
    tokens = (None, None) if usage is None else (usage.input_tokens, usage.output_tokens)
    return (reply.text, reply.finish_reason, *tokens, reply.cost, None, None, None)
