"""From a request that was read to the steps of its answer; nothing here waits or writes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from penstock.simulator import pages, stream_faults
from penstock.simulator.answers import Ask
from penstock.simulator.behavior import Behavior
from penstock.simulator.framing import Head, frame_body
from penstock.simulator.pages import Page
from penstock.simulator.problems import PROBLEMS
from penstock.simulator.recordings import Recording
from penstock.simulator.steps import End, Event, Raw, Step, coalesce
from penstock.simulator.stream_faults import ERROR_EVENTS
from penstock.simulator.wires import Wire

__all__ = ["Response", "StepCache", "page_response", "respond"]

Headers: TypeAlias = tuple[tuple[str, str], ...]

_ON_JSON = ("reset", "close", "hang", "role-then-silence", "drip")
"""Stream faults that also make sense on one JSON object."""


class Response(NamedTuple):
    """What goes on the connection."""

    head: Head | None
    """None: not even a status line."""
    steps: Iterable[Step]
    """The body with its framing."""


class StepCache:
    """Framed answers by what was asked, so that the same answer is built once.

    Args:
        max_entries: Answers kept.
        max_bytes: Bytes of the longest one kept; longer ones are produced anew each time.
    """

    def __init__(self, max_entries: int = 32, max_bytes: int = 8 * 1024 * 1024) -> None:
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._known: OrderedDict[object, tuple[Headers, tuple[Step, ...]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: object) -> tuple[Headers, tuple[Step, ...]] | None:
        """Return a kept answer's framing headers and steps."""
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def keep(self, key: object, headers: Headers, steps: Iterable[Step]) -> Iterator[Step]:
        """Pass `steps` on, and keep them if they end before the bound."""
        held: list[Step] | None = []
        size = 0
        for step in steps:
            yield step
            if held is None:
                continue
            held.append(step)
            size += 64 + (len(step.data) if isinstance(step, (Event, Raw)) else 0)
            if size > self._max_bytes:
                held = None
        if held is not None:
            self._known[key] = headers, tuple(held)
            if len(self._known) > self._max_entries:
                self._known.popitem(last=False)


def respond(
    wire: Wire,
    ask: Ask,
    behavior: Behavior,
    *,
    cache: StepCache,
    crowded: bool = False,
    headers: Mapping[str, str] | None = None,
    old: bool = False,
    recordings: Mapping[str, Recording] | None = None,
) -> Response:
    """Return the answer to `ask`.

    Args:
        wire: Whose words it has.
        ask: The request.
        behavior: What the simulator is to do.
        cache: Where answers are kept.
        crowded: Whether too many requests are being answered.
        headers: The request's headers.
        old: Whether the client speaks HTTP/1.0.
        recordings: Recordings by name.
    """
    if (ending := _without_answer(behavior)) is not None:
        return Response(None, [ending])
    if crowded:
        page: Page | None = pages.refusal(wire, PROBLEMS["rate-limit"], behavior)
    else:
        page = pages.page_for(wire, behavior, ask.text, headers or {})
    if page is not None:
        return page_response(page, behavior, old=old)
    if behavior.model.startswith("replay/"):
        return _replay(wire, behavior, recordings or {}, old=old)
    return _answer(wire, ask, behavior, cache, old=old)


def page_response(page: Page, behavior: Behavior, *, old: bool = False) -> Response:
    """Return `page` in its framing."""
    headers, steps = frame_body(page.body, behavior, counted=page.counted, old=old)
    return Response(page.head.plus(*headers), steps)


def _without_answer(behavior: Behavior) -> End | None:
    """Return the ending of a request that gets no byte."""
    for fault in behavior.fault:
        if fault.name in ("silent", "no-read"):
            return End.HANG
        if fault.at is None and fault.name in ("reset", "close"):
            return End.RESET if fault.name == "reset" else End.CLOSE
    return None


def _replay(
    wire: Wire, behavior: Behavior, recordings: Mapping[str, Recording], *, old: bool
) -> Response:
    name = behavior.model.removeprefix("replay/")
    if (recording := recordings.get(name)) is None:
        said = f"There is no recording `{name}`; there are: {', '.join(sorted(recordings))}."
        problem = PROBLEMS["model-not-found"]._replace(status=400, message=said)
        return page_response(pages.refusal(wire, problem, behavior), behavior, old=old)
    body = _faulty(wire, behavior, recording.steps(behavior.speed or 1.0))
    headers, steps = frame_body(body, behavior, counted=False, old=old)
    return Response(recording.head().plus(*headers), steps)


def _answer(wire: Wire, ask: Ask, behavior: Behavior, cache: StepCache, *, old: bool) -> Response:
    streamed = (ask.stream or behavior.has("stream-answer")) and not behavior.has("json-answer")
    headers, steps = _framed(wire, ask, behavior, cache, streamed=streamed, old=old)
    head = Head(behavior.status or 200, _content_type(wire, behavior, streamed=streamed))
    if behavior.has("headers-then-silence"):
        steps = [End.HANG]
    return Response(head.plus(*headers), steps)


def _framed(
    wire: Wire, ask: Ask, behavior: Behavior, cache: StepCache, *, streamed: bool, old: bool
) -> tuple[Headers, Iterable[Step]]:
    """Return the framing's headers and the framed body, from the cache where they are there."""
    asked = behavior if behavior.fail is None else replace(behavior, fail=None, key=None)
    key = (type(wire), ask, asked, old)
    if (known := cache.get(key)) is not None:
        return known
    if streamed:
        body = _faulty(wire, behavior, wire.stream(ask, behavior))
    else:
        body = _whole(wire, ask, behavior)
    headers, steps = frame_body(body, behavior, counted=not streamed, old=old)
    if not (behavior.rate or behavior.ttft):
        steps = coalesce(steps)
    return headers, cache.keep(key, headers, steps)


def _content_type(wire: Wire, behavior: Behavior, *, streamed: bool) -> Headers:
    if behavior.has("no-type"):
        return ()
    if streamed and not behavior.has("sse-as-json"):
        return (("content-type", wire.content_type(behavior)), ("cache-control", "no-cache"))
    return (("content-type", "application/json"),)


def _faulty(wire: Wire, behavior: Behavior, steps: Iterator[Step]) -> Iterator[Step]:
    for fault in behavior.fault:
        name = fault.name
        error = wire.error_event(name, behavior.model) if name in ERROR_EVENTS else b""
        steps = stream_faults.apply(steps, fault, behavior, error)
    return steps


def _whole(wire: Wire, ask: Ask, behavior: Behavior) -> Iterator[Step]:
    """Return the JSON object, or what a fault makes of it."""
    body = wire.whole(ask, behavior)
    steps: Iterator[Step] = iter([Event(body, 1)])
    for fault in behavior.fault:
        if fault.name in ERROR_EVENTS:
            event = wire.error_event(fault.name, behavior.model)
            said = event.partition(b"data: ")[2] or event  # an SSE event, or a line of JSON
            steps = iter([Event(said.strip(), 1)])
        elif fault.name == "bad-json":
            steps = iter([Event(body[: len(body) // 2], 1)])
        elif fault.name in _ON_JSON:
            steps = stream_faults.apply(steps, fault, behavior, b"")
    return steps
