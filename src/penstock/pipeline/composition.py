"""The caller's middleware, sorted: what runs over whole batches, and what item by item.

A middleware has one of these forms:

=============================================  ===============  =====================
form                                           runs             state
=============================================  ===============  =====================
``def f(chunk) -> Chunk | None``               over batches     shared by all streams
object with ``def process(self, chunk)``       over batches     shared by all streams
object with ``def begin(self) -> Stage``       over batches     one stage a stream
``async def f(chunk) -> Chunk | None``         at the edge      shared by all streams
object with ``async def process(self, chunk)``  at the edge     shared by all streams
``async def f(chunks)`` with ``yield``         at the edge      its own locals
=============================================  ===============  =====================

The order is the caller's. From the first that runs at the edge on, all of them do, item by item:
a filter must not hold back finished chunks to make a batch of them.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any, TypeAlias, cast, get_args

from penstock.chunks import Chunk
from penstock.errors import ConfigurationError
from penstock.interfaces import ChunkMiddleware, Middleware, Stage, StageFactory
from penstock.pipeline.edge import Edge, Step, each, staged
from penstock.pipeline.stream import Interrupted

__all__ = ["ChunkMiddleware", "Pipeline", "StageFactory", "chain", "compose", "fuse"]

_KINDS: tuple[type, ...] = get_args(Chunk)

ChunkFunction: TypeAlias = Callable[[Chunk], Chunk | None]


class Pipeline:
    """Middleware in order, made once; `stages` and `edge` serve one stream each."""

    def __init__(self, middleware: Iterable[Middleware] = ()) -> None:
        self._forms = tuple(middleware)
        self._begin: list[Callable[[], Stage[Chunk]]] = []
        self._shared: list[Stage[Chunk]] | None = None
        self._steps: list[Step] = []
        functions: list[ChunkFunction] = []
        stateless = True
        for form in self._forms:
            step = _step(form)
            if step is None and not isinstance(form, StageFactory):
                functions.append(_function(form))
                continue
            self._fuse(functions)
            if step is not None:
                self._steps.append(step)
            else:
                stateless = False
                self._add(_beginning(form))
        self._fuse(functions)
        self._shared = self.stages() if stateless else None
        self.steps = len(self._steps)
        """How many of them run at the edge, item by item."""

    def extended(self, middleware: Iterable[Middleware]) -> Pipeline:
        """Return this one with `middleware` behind it; itself where there is none."""
        more = tuple(middleware)
        return Pipeline((*self._forms, *more)) if more else self

    def stages(self) -> list[Stage[Chunk]]:
        """Return what runs over the batches of one stream: for ``Stream.stages``."""
        return [begin() for begin in self._begin] if self._shared is None else self._shared

    def edge(self, source: AsyncGenerator[Chunk, None]) -> Edge:
        """Return what runs item by item over one stream, with `source` as its chunks."""
        return Edge(source, self._steps)

    def _fuse(self, functions: list[ChunkFunction]) -> None:
        """Take the `functions` so far as one stage."""
        if functions:
            stage = fuse(functions)
            self._add(lambda: stage)
            functions.clear()

    def _add(self, begin: Callable[[], Stage[Chunk]]) -> None:
        """Take a stage: over batches before the first step, item by item after it."""
        if self._steps:
            self._steps.append(staged(begin))
        else:
            self._begin.append(begin)


def compose(*middleware: Middleware) -> Pipeline:
    """Sort `middleware` into what runs over batches and what runs item by item, in order.

    Raises:
        ConfigurationError: Something is none of the forms.
    """
    return Pipeline(middleware)


def chain(source: AsyncGenerator[Chunk, None], middleware: Sequence[Middleware]) -> Edge:
    """Return all of `middleware` item by item over `source`, whatever its form."""
    return Edge(source, [_step(form) or staged(_beginning(form)) for form in middleware])


def fuse(functions: Sequence[ChunkFunction]) -> Stage[Chunk]:
    """Return one pass over a batch that does all of `functions` to each chunk.

    A chunk that becomes None is dropped. What a function raises ends the stream, unchanged, after
    the chunks before it.
    """
    if not functions:
        return list
    in_order = tuple(functions)

    def stage(batch: list[Chunk]) -> list[Chunk]:
        done: list[Chunk] = []
        try:
            for chunk in batch:
                result: Chunk = chunk
                for function in in_order:
                    made = function(result)
                    if made is result:  # the cheapest check for what is nearly always so
                        continue
                    if made is None:
                        break
                    if not isinstance(made, _KINDS):
                        raise _no_chunk(made, function)
                    result = made
                else:
                    done.append(result)
        except Exception as error:
            raise Interrupted(done, error) from error
        return done

    return stage


def _no_chunk(result: object, function: ChunkFunction) -> ConfigurationError:
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return ConfigurationError(
        f"middleware {name} must return a chunk, or None to drop it, not {type(result).__name__}",
        param="middleware",
    )


def _step(form: Any) -> Step | None:
    """The step that `form` is, None where it need not wait for anything."""
    if isinstance(form, StageFactory):
        return None
    call = getattr(form, "process", None) or form
    if not callable(call) or inspect.isclass(call):
        raise ConfigurationError(
            "middleware is a function of one chunk, an async generator over chunks, or an object "
            f"with process() or begin(); not {form!r:.80}"
        )
    kinds = [call, getattr(call, "__call__", None)]  # noqa: B004  # its kind, not whether it is
    if any(map(inspect.isasyncgenfunction, kinds)) or _returns_iterator(call):
        return cast("Step", call)
    if any(map(inspect.iscoroutinefunction, kinds)):
        return each(call)
    if any(map(inspect.isgeneratorfunction, kinds)):
        raise ConfigurationError(
            f"middleware {form!r:.80} is a generator function: return one chunk or None, or make "
            "it an async generator over the chunks (async def, with yield)",
            param="middleware",
        )
    return None


def _function(form: Any) -> ChunkFunction:
    return cast("ChunkFunction", getattr(form, "process", None) or form)


def _beginning(form: Any) -> Callable[[], Stage[Chunk]]:
    if isinstance(form, StageFactory):
        return form.begin
    stage = fuse([_function(form)])
    return lambda: stage


def _returns_iterator(call: Callable[..., Any]) -> bool:
    """Whether a plain function says that it returns chunks to iterate."""
    wanted = inspect.unwrap(call)
    said = getattr(wanted, "__annotations__", {}).get("return", "")
    name = said if isinstance(said, str) else repr(said)
    return any(kind in name for kind in ("AsyncIterator", "AsyncGenerator", "AsyncIterable"))
