"""A proxy that notes when each piece of an answer passes, in words of its own: the second clock."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Self

__all__ = ["Passed", "StopwatchProxy"]

_ASKED = b"POST /v1/chat/completions"


@dataclass(slots=True)
class Passed:
    """One exchange: when the request passed, and when each piece of text did."""

    asked: float
    pieces: list[float] = field(default_factory=list)


class StopwatchProxy:
    """Passes bytes on between clients and a server on loopback."""

    def __init__(self, port: int) -> None:
        self.exchanges: list[Passed] = []
        """What has passed, by the requests' order."""
        self.port = 0
        """Where it listens."""
        self._to = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        there, out = await asyncio.open_connection("127.0.0.1", self._to)
        mine: list[Passed] = []
        try:
            await asyncio.gather(
                self._requests(reader, out, mine), self._answers(there, writer, mine)
            )
        finally:
            writer.close()
            out.close()

    async def _requests(
        self, reader: asyncio.StreamReader, out: asyncio.StreamWriter, mine: list[Passed]
    ) -> None:
        while data := await reader.read(65536):
            if data.startswith(_ASKED):
                mine.append(Passed(perf_counter()))
                self.exchanges.append(mine[-1])
            out.write(data)
        with suppress(OSError):
            out.write_eof()

    async def _answers(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, mine: list[Passed]
    ) -> None:
        rest = b""
        while data := await there.read(65536):
            now = perf_counter()
            *lines, rest = (rest + data).split(b"\n")
            if mine:
                mine[-1].pieces += [now] * sum(map(_has_text, lines))
            writer.write(data)
        writer.close()


def _has_text(line: bytes) -> bool:
    """Tell whether an event's line has text in it: half a character comes as an empty piece."""
    if not line.startswith(b"data: {"):
        return False
    return any(each["delta"].get("content") for each in json.loads(line[6:])["choices"])
