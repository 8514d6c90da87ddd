"""One request from its headers to the last byte of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING

from penstock.simulator import pages
from penstock.simulator.behavior import Behavior, BehaviorError
from penstock.simulator.connection import Connection, Incoming
from penstock.simulator.framing import frame_head
from penstock.simulator.pace import Pace
from penstock.simulator.problems import Problem
from penstock.simulator.respond import Response, page_response, respond
from penstock.simulator.site import addressed, site_response
from penstock.simulator.steps import BLOCK, End, Event, Raw, Step, Wait
from penstock.simulator.wires import Wire, wire_for

if TYPE_CHECKING:
    from penstock.simulator.hub import Hub
    from penstock.simulator.respond import StepCache
    from penstock.simulator.rules import Rules

__all__ = ["Exchange"]

_EARLY = ("early-401", "early-413", "early-413-reset", "early-429")
_PLAIN = Behavior()


class Exchange:
    """Answers one request.

    Args:
        hub: Where it is recorded.
        rules: What decides its behavior.
        cache: Where answers are kept.
        connection: The connection that carries it.
        incoming: The request, perhaps still arriving.
    """

    def __init__(
        self,
        hub: Hub,
        rules: Rules,
        cache: StepCache,
        connection: Connection,
        incoming: Incoming,
    ) -> None:
        self._hub = hub
        self._rules = rules
        self._cache = cache
        self._connection = connection
        self._incoming = incoming
        self._control = incoming.headers.get("x-penstock-sim", "")
        self._record = hub.recorded(connection, incoming)
        self._wire: Wire | None = None
        """What is spoken, once that is known; None for a page."""

    async def run(self) -> None:
        """Read the request as its behavior says, answer it, and settle its record."""
        record = self._record
        try:
            record.outcome = await self._answer()
        except asyncio.CancelledError:
            record.outcome = "left" if self._connection.gone else "closed"
            raise
        finally:
            self._note_body()
            record.ended = monotonic()
            self._hub.settled(record)

    async def _answer(self) -> str:
        incoming = self._incoming
        wire = wire_for(incoming.path, incoming.target) if incoming.method == "POST" else None
        self._wire = wire
        if wire is None:
            await self._receive()
            return await self._send(site_response(incoming, self._rules.names()), _PLAIN)
        if not incoming.complete and (early := await self._early(wire)) is not None:
            return await self._play_early(wire, early)
        await self._receive()
        try:
            ask = wire.ask(incoming.body)
            behavior = self._rules.resolve(ask.model, self._control)
        except ValueError as exc:
            self._record.behavior = self._control or "?"
            return await self._send(page_response(_refused(wire, exc), _PLAIN), _PLAIN)
        behavior = self._rules.judge(behavior)
        self._note(behavior, ask.model)
        if behavior.has("stale") or behavior.has("stale-reset"):
            if self._connection.served:
                reset = behavior.has("stale-reset")
                return await self._end(End.RESET if reset else End.CLOSE)
            behavior = behavior.without_faults()
        response = respond(
            wire,
            ask,
            behavior,
            cache=self._cache,
            crowded=self._rules.crowded(behavior, self._hub.counts.answering),
            headers=incoming.headers,
            old=incoming.version == "1.0",
            recordings=self._rules.recordings,
        )
        return await self._send(response, behavior)

    async def _early(self, wire: Wire) -> Behavior | None:
        """Look for a behavior that begins before the body is here.

        It stands in the header, or in the model where only scalars come before that.
        """
        behavior = self._peek("echo") if self._control else None
        if behavior is None or not _begins_early(behavior):
            await self._let_send()
            await self._incoming.moved.wait()
            model = wire.model_in(bytes(self._incoming.body.head[:4096]))
            behavior = self._peek(model) if model else None
        if behavior is None or not _begins_early(behavior):
            return None
        self._record.behavior = f"{behavior.model} {self._control}".strip()
        if behavior.has("slow-read"):
            self._connection.read_slowly(behavior.upload_rate)
            return None
        return behavior

    def _peek(self, model: str) -> Behavior | None:
        try:
            return self._rules.resolve(model, self._control)
        except BehaviorError:
            return None  # refused once the request is here

    async def _play_early(self, wire: Wire, behavior: Behavior) -> str:
        """Answer, or not, while the client is still sending."""
        self._connection.stop_reading()
        self._note(behavior, behavior.model)
        if behavior.has("no-read"):
            return await self._end(End.HANG)
        page = pages.page_for(wire, behavior, "", self._incoming.headers)
        assert page is not None
        response = page_response(page, behavior)
        end = End.RESET if behavior.has("early-413-reset") else End.HANG
        return await self._send(Response(response.head, chain(response.steps, [end])), behavior)

    async def _receive(self) -> None:
        """Wait for the whole body."""
        incoming = self._incoming
        await self._let_send()
        while not incoming.complete:
            incoming.moved.clear()
            await incoming.moved.wait()
        self._note_body()
        self._record.received = monotonic()

    async def _let_send(self) -> None:
        """Answer ``expect: 100-continue`` (RFC 9110 section 10.1.1), once."""
        if self._incoming.continue_wanted and not self._incoming.body.length:
            self._incoming.continue_wanted = False
            await self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _note_body(self) -> None:
        record, body = self._record, self._incoming.body
        record.length, record.pieces, record.body = body.length, body.pieces, body.kept()
        if self._incoming.complete and not record.sha256:
            record.sha256 = body.sha256()

    def _note(self, behavior: Behavior, model: str) -> None:
        self._record.behavior = f"{model} {self._control}".strip()
        self._hub.counts.faults.update(fault.name for fault in behavior.fault)

    async def _send(self, response: Response, behavior: Behavior) -> str:
        """Write the header block and the body at the behavior's pace."""
        steps = response.steps
        if response.head is not None:
            head = addressed(response.head, behavior, self._record.number, self._wire)
            self._record.status = head.status
            self._hub.counts.statuses[head.status] += 1
            steps = chain(_delay(behavior), frame_head(head, behavior), steps)
        return await self._play(steps, behavior)

    async def _play(self, steps: Iterable[Step], behavior: Behavior) -> str:
        pace = Pace(behavior, self._record.received or monotonic())
        held: list[bytes] = []
        size = 0
        for step in steps:
            if isinstance(step, (Event, Raw)):
                if isinstance(step, Event) and step.content:
                    if wait := pace.due(step.content, monotonic()):
                        await self._write(held)
                        held, size = [], 0
                        await asyncio.sleep(wait)
                    if self._hub.keep_times:  # what is held is written before the next wait
                        self._record.content_at += [monotonic()] * step.content
                held.append(step.data)
                size += len(step.data)
                if size < BLOCK:
                    continue
            await self._write(held)
            held, size = [], 0
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, End):
                return await self._end(step)
            else:
                await asyncio.sleep(0)  # a write that is taken at once does not suspend
        await self._write(held)
        return "complete"

    async def _write(self, pieces: list[bytes]) -> None:
        if not pieces:
            return
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._record.answered is None:
            self._record.answered = monotonic()
        self._record.sent += len(data)
        await self._connection.write(data)

    async def _end(self, end: End) -> str:
        if end is End.HANG:
            await self._connection.hang()
        await self._connection.flush()
        if end is End.RESET:
            self._connection.reset()
        else:
            self._connection.transport.close()
        return "fault"


def _delay(behavior: Behavior) -> list[Step]:
    return [Wait(behavior.headers_after)] if behavior.headers_after else []


def _begins_early(behavior: Behavior) -> bool:
    return any(fault.name in (*_EARLY, "no-read", "slow-read") for fault in behavior.fault)


def _refused(wire: Wire, exc: ValueError) -> pages.Page:
    param = exc.param if isinstance(exc, BehaviorError) else None
    code = "unknown_behavior" if isinstance(exc, BehaviorError) else "invalid_json"
    problem = Problem(400, str(exc), code=code, param=param)
    return pages.refusal(wire, problem, _PLAIN)
