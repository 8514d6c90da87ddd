"""The process transport: children that misbehave, and none that stays."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import (
    ConfigurationError,
    DeadlineError,
    LimitExceededError,
    StreamClosedError,
)
from penstock.limits import Limits, Timeouts
from penstock.transports.process import ProcessCall, ProcessTransport, ProcessWire
from penstock.transports.process.wire import MAX_STDERR
from penstock.transports.watchdog import Watchdog

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform == "win32", reason="platform: process groups are POSIX"),
]

CHILD = str(Path(__file__).parent / "child.py")


def call(
    *steps: str, stdin: bytes = b"", limits: Limits | None = None, **clocks: Any
) -> ProcessCall:
    """A run of the stand-in; Any: the clocks have types of their own."""
    limits = limits or Limits()
    off: dict[str, Any] = dict.fromkeys(("write", "ttft", "idle", "progress", "total"))
    return ProcessCall(
        argv=(sys.executable, "-I", "-S", CHILD, *steps),
        stdin=stdin,
        environment={"PATH": os.environ["PATH"]},
        watch=Watchdog(Timeouts(**(off | clocks)), limits=limits),
        limits=limits,
    )


async def whole(wire: ProcessWire, *, pause: float = 0.0) -> bytes:
    """All that the child said."""
    said = bytearray()
    while data := await wire.read():
        said += data
        await asyncio.sleep(pause)
    return bytes(said)


def alive(pid: int) -> bool:
    """Whether the process is there, and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return sys.platform != "linux"
    return stat.rpartition(")")[2].split()[0] != "Z"


async def gone(pid: int) -> bool:
    """Whether the process goes within a few seconds."""
    for _ in range(200):
        if not alive(pid):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_prompt_goes_in_and_answer_comes_out() -> None:
    """The whole prompt reaches stdin, which is closed behind it; the exit code is the ending's."""
    wire = await ProcessTransport().open(call("echo", "stderr:0", "exit:3", stdin=b"x" * 300_000))

    assert b'{"read":300000}\n' == await whole(wire)
    assert wire.ending is not None
    assert (False, 3, "the end of it\n") == (
        wire.ending.clean,
        wire.ending.exit_code,
        wire.ending.stderr,
    )
    await wire.aclose()


async def test_environment_is_only_what_is_given() -> None:
    """Nothing of our own environment reaches the child."""
    wire = await ProcessTransport().open(call("environment"))
    names = set((await whole(wire)).decode().strip().split(","))

    assert names <= {"PATH", "LC_CTYPE", "__CF_USER_TEXT_ENCODING"}
    await wire.aclose()


async def test_long_line_passes() -> None:
    """A line of a megabyte arrives whole."""
    wire = await ProcessTransport().open(call("long:1000000"))

    assert 1_000_000 == len(json.loads(await whole(wire))["text"])
    await wire.aclose()


async def test_slow_reader_stops_no_child() -> None:
    """The child is done long before its reader is: memory is bounded, the rest is in a file."""
    limits = Limits(max_queue_bytes=65_536)
    wire = await ProcessTransport().open(call("lines:2000", limits=limits))
    await asyncio.wait_for(wire._child.ended.wait(), 20)

    assert wire._backlog._spool.spooled
    said = await whole(wire)
    assert list(range(2000)) == [json.loads(line)["line"] for line in said.splitlines()]
    await wire.aclose()


async def test_output_has_a_bound() -> None:
    """A child that floods stdout is ended, with the bound's name."""
    wire = await ProcessTransport(max_spool=100_000).open(call("lines:2000", "sleep:30"))

    await wire._child.ended.wait()
    with pytest.raises(LimitExceededError, match="max_spool"):
        await whole(wire)


async def test_stderr_flood_is_a_ring() -> None:
    """Only the end of stderr is kept, and the child is not held up."""
    wire = await ProcessTransport().open(call("stderr:3000000", "say:done"))

    assert b"done\n" == await whole(wire)
    assert MAX_STDERR == len(wire._stderr)
    assert wire.ending is not None
    assert wire.ending.stderr.endswith("the end of it\n")
    await wire.aclose()


async def test_killed_child_says_by_what() -> None:
    """A signal is in the ending."""
    wire = await ProcessTransport().open(call("say:one", "kill"))

    assert b"one\n" == await whole(wire)
    assert wire.ending is not None
    assert (-9, "ended by SIGKILL") == (wire.ending.exit_code, wire.ending.detail)
    await wire.aclose()


async def test_unread_stdin_harms_nothing() -> None:
    """A child that never reads its prompt ends as it likes."""
    wire = await ProcessTransport().open(call("say:no need", stdin=b"x" * 5_000_000))

    assert b"no need\n" == await whole(wire)
    assert wire.ending is not None
    assert wire.ending.clean
    await wire.aclose()


async def test_unread_stdin_meets_the_write_clock() -> None:
    """One that neither reads nor ends meets the clock."""
    wire = await ProcessTransport(grace=0.1).open(
        call("sleep:30", stdin=b"x" * 5_000_000, write=0.3)
    )

    with pytest.raises(DeadlineError, match="write"):
        await wire.read()
    await wire.aclose()
    assert wire.pid is not None
    assert not alive(wire.pid)


async def test_silent_child_meets_the_clock() -> None:
    """A child that says nothing is ended by ``idle``."""
    wire = await ProcessTransport(grace=0.1).open(call("sleep:30", idle=0.2))

    with pytest.raises(DeadlineError) as caught:
        await wire.read()
    assert "idle" == caught.value.phase
    await wire.aclose()


async def test_stderr_has_no_colours() -> None:
    """It is told in errors, which are no terminal's."""
    asked = call()
    asked.argv = ("/bin/sh", "-c", r"printf '\033[91m\033[1mError: \033[0mno\033[?25h' >&2")
    wire = await ProcessTransport().open(asked)
    await whole(wire)
    await wire.aclose()

    assert wire.ending is not None
    assert "Error: no" == wire.ending.stderr


async def test_stubborn_child_is_killed() -> None:
    """One that ignores TERM meets KILL."""
    wire = await ProcessTransport(grace=0.1).open(call("stubborn", "say:up", "sleep:30"))
    await wire.read()
    await wire.aclose()

    assert wire.ending is not None
    assert -9 == wire.ending.exit_code


async def test_grandchildren_go_with_the_child() -> None:
    """What a child leaves behind neither holds up the end nor stays."""
    wire = await ProcessTransport().open(call("grandchild:30", "exit:0"))
    said = await asyncio.wait_for(whole(wire), 10)

    assert await gone(json.loads(said)["pid"])
    await wire.aclose()


async def test_abort_ends_the_group() -> None:
    """Cutting the wire ends the child and its children; a pending read is told."""
    wire = await ProcessTransport(grace=0.1).open(call("grandchild:30", "sleep:30"))
    pid = json.loads(await wire.read())["pid"]
    reading = asyncio.ensure_future(wire.read())
    await asyncio.sleep(0)
    wire.abort()

    with pytest.raises(StreamClosedError):
        await reading
    await wire.aclose()
    assert await gone(pid)
    assert wire.pid is not None
    assert not alive(wire.pid)


async def test_cancelled_start_leaves_no_child() -> None:
    """Who is cancelled while a child starts is free at once; the child is ended after."""
    transport = ProcessTransport(grace=0.1)
    opening = asyncio.ensure_future(transport.open(call("sleep:30")))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    wires = list(transport._alive)
    await asyncio.wait_for(transport.aclose(), 10)

    assert 1 == len(wires)
    assert wires[0].ending is not None
    assert wires[0].pid is None or not alive(wires[0].pid)


async def test_closing_the_transport_ends_all() -> None:
    """No child outlives its transport."""
    transport = ProcessTransport(grace=0.1)
    wires = [await transport.open(call("sleep:30")) for _ in range(5)]
    await transport.aclose()

    assert [] == [wire for wire in wires if wire.ending is None]
    assert set() == transport._alive


@pytest.mark.parametrize("where", ["argument 4 (some.option)", "the variable LONG"])
async def test_what_is_too_long_is_said(where: str) -> None:
    """Arguments and variables that the system does not take are the caller's to shorten."""
    long, transport = call(), ProcessTransport()
    if "LONG" in where:
        long.environment = {**long.environment, "LONG": "s3cret" * 2_000_000}
    else:
        long.argv = (*long.argv, "some.option=" + "s3cret" * 2_000_000)
    with pytest.raises(ConfigurationError, match=re.escape(f"{where} has 12000")) as caught:
        await transport.open(long)

    assert "s3cret" not in str(caught.value)
    assert not transport._alive


async def test_missing_program_is_said() -> None:
    """A program or a directory that is not there is the caller's to mend."""
    missing = call()
    missing.argv = ("no-such-agent-anywhere",)
    nowhere = call()
    nowhere.directory = "/no/such/directory"

    for each, word in ((missing, "no-such-agent"), (nowhere, "/no/such/directory")):
        with pytest.raises(ConfigurationError, match=word):
            await ProcessTransport().open(each)
