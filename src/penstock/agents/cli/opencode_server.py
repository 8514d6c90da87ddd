"""A session of ``opencode serve``: turns over HTTP on loopback, events from its one stream."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import suppress
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.agents.cli.live import NO_CLOCKS, child_of, verdict
from penstock.dialects.agents.failures import by_status, failure
from penstock.dialects.agents.opencode_turn import ended_early
from penstock.dialects.agents.talk import Question
from penstock.encoders.body import Body
from penstock.errors import InvalidRequestError, PenstockError, ToolCrashedError, TransportError
from penstock.interfaces import Ending, HttpCall
from penstock.providers.source import decoder_for
from penstock.transports.direct import DirectTransport
from penstock.transports.process.channel import Channel
from penstock.transports.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from penstock.agents.cli.backend import Start
    from penstock.agents.cli.options import AgentOptions
    from penstock.decoders import SSEFrame
    from penstock.dialects.agents.talk import Asked
    from penstock.interfaces import Wire
    from penstock.transports.process import ProcessWire
    from penstock.transports.process.channel import TurnWire

__all__ = ["EXPORT", "OpenCodeSession", "serving"]

# JSON of opencode's HTTP interface.
Json: TypeAlias = Any

NAME = "opencode"
EXPORT = "export.json"
"""The file of a session: what ``opencode export`` writes, and ``opencode import`` takes."""
USER = "opencode"
"""Of its basic authentication."""
_LISTENING = pattern(rb"listening on (http://\S+)")
_TAIL = 5.0
"""Seconds for the events of a turn that has been answered: they come by another connection."""

_encode = msgspec.json.Encoder().encode


async def serving(
    start: Start, options: AgentOptions, *, password: str, agent: str | None, retries: bool
) -> OpenCodeSession:
    """Start a server, and listen to its events.

    Args:
        start: The child.
        options: The agent's bounds, and who approves.
        password: What the child knows as ``OPENCODE_SERVER_PASSWORD``.
        agent: The agent of the configuration that answers.
        retries: Whether its sub-agents may ask a failing provider again.

    Raises:
        PenstockError: It does not come up.
    """
    child = await child_of(start, options)
    session = OpenCodeSession(child, start, options, agent=agent, retries=retries)
    try:
        await session.connect(password)
    except BaseException:
        session.kill()
        raise
    return session


class OpenCodeSession:
    """One server, one session of it.

    Args:
        child: The server.
        start: What it was started with; its files end with it.
        options: The agent's bounds, and who approves.
        agent: The agent of the configuration that answers.
        retries: Whether its sub-agents may ask a failing provider again.
    """

    def __init__(
        self,
        child: ProcessWire,
        start: Start,
        options: AgentOptions,
        *,
        agent: str | None,
        retries: bool,
    ) -> None:
        self.session_id: str | None = None
        self._child, self._scratch = child, start.scratch
        self._options, self._agent, self._retries = options, agent, retries
        self._http = DirectTransport(limits=options.limits, trust_env=False)
        self._url = ""
        self._headers: list[tuple[str, str]] = []
        self._turn: TurnWire | None = None
        self._ending: Ending | None = None
        self._idle = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._leaving: asyncio.Task[None] | None = None
        self._events: Channel | None = None
        self._output = Channel(
            child,
            decoder_for("json_lines", options.limits),
            hear=self._printed,
            lost=self._lost,
        )

    async def connect(self, password: str) -> None:
        """Wait until it listens, and open its stream of events.

        Raises:
            PenstockError: It ended, or takes no connection.
        """
        self._url = await self._up
        token = b64encode(f"{USER}:{password}".encode()).decode()
        self._headers = [("authorization", f"Basic {token}"), ("accept", "*/*")]
        wire = await self._send("GET", "/event", None)
        decoder = decoder_for("sse", self._options.limits)
        self._events = Channel(wire, decoder, hear=self._hear, lost=lambda _: self.kill())

    @property
    def alive(self) -> bool:
        """Whether it can take another turn."""
        return self._output.alive and self._events is not None and self._events.alive

    async def begin(self, turn: Asked, wire: TurnWire) -> None:
        """Ask `turn`; what is said goes to `wire`, its end too.

        Raises:
            PenstockError: The server makes no session.
        """
        self.session_id = self.session_id or turn.session_id
        if self.session_id is None:
            made = await self._ask("POST", "/session", {"title": "penstock"})
            self.session_id = str(made.get("id"))
        wire.begin()
        if self._ending is not None:  # it was gone before it was asked
            wire.finish(self._ending)
            return
        self._turn = wire
        self._idle.clear()
        told: dict[str, Json] = {"parts": [{"type": "text", "text": turn.prompt}]}
        told |= {"agent": self._agent} if self._agent else {}
        if turn.model:
            provider, _, model = turn.model.partition("/")
            told["model"] = {"providerID": provider, "modelID": model}
        self._do(self._answered(wire, f"/session/{self.session_id}/message", told))

    async def capture(self) -> dict[str, bytes] | None:
        """Return the session as ``opencode export`` writes it.

        Raises:
            PenstockError: It does not answer.
        """
        info = await self._ask("GET", f"/session/{self.session_id}", None)
        messages = await self._ask("GET", f"/session/{self.session_id}/message", None)
        return {EXPORT: _encode({"info": info, "messages": messages})}

    def interrupt(self) -> None:
        """Ask for the end of the running turn."""
        self._do(self._quietly(f"/session/{self.session_id}/abort", {}))

    def kill(self) -> None:
        """End the server's group."""
        self._child.abort()

    async def aclose(self) -> None:
        """End the server's group, and wait for its end."""
        self.kill()
        if self._events is not None:
            await self._events.aclose()
        await self._output.aclose()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._leaving is not None:
            await asyncio.wait([self._leaving])

    # --- what comes

    def _printed(self, line: bytes) -> None:
        found = _LISTENING.search(line)
        if found and not self._up.done():
            self._up.set_result(found[1].decode())

    def _lost(self, ending: Ending) -> None:
        self._ending = ending
        self._scratch.close()
        if not self._up.done():
            self._up.set_exception(ended_early(ending, spoke=False))
        if self._turn is not None:
            self._over(self._turn, ending)
        if self._events is not None:
            self._events.wire.abort()
        self._leaving = asyncio.ensure_future(self._http.aclose())

    def _hear(self, frame: SSEFrame | bytes) -> None:
        said = frame if isinstance(frame, bytes) else frame.data
        data = said if isinstance(said, bytes) else said.encode()
        try:
            event = msgspec.json.decode(data)
        except msgspec.DecodeError:
            return
        properties = event.get("properties") if isinstance(event, dict) else None
        if not isinstance(properties, dict):
            return
        ours = properties.get("sessionID") == self.session_id
        match event.get("type"):
            case "permission.asked" if self._turn is not None:  # or by a sub-agent of it
                self._do(self._decide(self._turn, properties))
            case "question.asked":
                self._do(self._quietly(f"/question/{properties.get('id')}/reject", {}))
            case "session.status" if not ours:
                self._hear_subagent(event, properties)
            case "session.status" if properties.get("status") == {"type": "busy"}:
                self._idle.clear()  # an earlier turn's may come late
            case "session.idle" if ours:
                self._idle.set()
                return  # the end is the answer to the request that asked
        if ours and self._turn is not None:
            self._turn.put(data)

    def _hear_subagent(self, event: Mapping[str, Json], properties: Mapping[str, Json]) -> None:
        """End the turn of a sub-agent that is about to ask again: its tool fails, ours goes on."""
        status = properties.get("status")
        retry = isinstance(status, dict) and status.get("type") == "retry"
        if self._retries or not retry:
            return
        self._do(self._quietly(f"/session/{properties.get('sessionID')}/abort", {}))
        if self._turn is not None:
            self._turn.put(_encode({**event, "properties": {**properties, "subagent": True}}))

    def _over(self, turn: TurnWire, ending: Ending | None = None) -> None:
        if self._turn is turn:
            self._turn = None
            turn.finish(ending)

    # --- what is asked

    async def _answered(self, turn: TurnWire, path: str, told: Mapping[str, Json]) -> None:
        """Ask, and tell the turn the answer, which is its last line."""
        try:
            answer: Json = {"type": "response", "properties": await self._ask("POST", path, told)}
            with suppress(TimeoutError):
                async with asyncio.timeout(_TAIL):
                    await self._idle.wait()
        except InvalidRequestError as error:
            data = {"message": error.body, "statusCode": error.status}
            fault = {"name": "APIError", "data": data}
            answer = {"type": "session.error", "properties": {"error": fault}}
            turn.put(_encode(answer))
            answer = {"type": "session.idle", "properties": {}}
        except PenstockError as error:
            turn.abort(error)
            self.kill()
            return
        turn.put(_encode(answer))
        self._over(turn)

    async def _decide(self, turn: TurnWire, asked: Mapping[str, Json]) -> None:
        tool = asked.get("tool")
        question = Question(
            id=asked.get("id"),
            call=str(tool.get("callID") or "") if isinstance(tool, dict) else "",
            tool=str(asked.get("permission")),
            arguments={"patterns": asked.get("patterns"), **(asked.get("metadata") or {})},
        )
        try:
            reason = await verdict(self._options, question)
        except Exception as exc:  # the caller's own, which ends the turn that asked
            error = ToolCrashedError(f"approve() failed: {type(exc).__name__}")
            error.__cause__ = exc
            turn.abort(error)
            return
        reply = {"reply": "once"} if reason is None else {"reply": "reject", "message": reason}
        await self._quietly(f"/permission/{question.id}/reply", reply)

    async def _quietly(self, path: str, told: Mapping[str, Json]) -> None:
        try:
            await self._ask("POST", path, told)
        except PenstockError:
            self.kill()  # it does not listen: its turn ends with it

    async def _ask(self, method: str, path: str, told: Mapping[str, Json] | None) -> Json:
        wire = await self._send(method, path, told)
        data = bytearray()
        try:
            while piece := await wire.read():
                data += piece
                if len(data) > self._options.limits.max_event:
                    raise TransportError(f"{NAME}: its answer exceeds max_event", peer_fault=False)
        except BaseException:
            wire.abort()
            raise
        await wire.aclose(reuse=True)
        status = wire.status or 0
        said = data.decode("utf-8", "replace")
        if status >= 400:
            raise failure(by_status(status), NAME, said, status=status)
        try:
            return msgspec.json.decode(data) if data else {}
        except msgspec.DecodeError as exc:
            raise TransportError(f"{NAME}: its answer is no JSON ({exc})") from exc

    async def _send(self, method: str, path: str, told: Mapping[str, Json] | None) -> Wire:
        limits = self._options.limits
        headers = list(self._headers)
        if told is not None:
            headers.append(("content-type", "application/json"))
        call = HttpCall(
            method=method,
            url=f"{self._url}{path}",
            headers=headers,
            body=None if told is None else Body(told),
            watch=Watchdog(NO_CLOCKS, limits=limits),
            limits=limits,
        )
        return await self._http.open(call)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
