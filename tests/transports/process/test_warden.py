"""A child's warden: the child's group does not outlive us, and the warden not the child."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.transports.process.test_transport import call, gone, whole

from penstock.transports.process import ProcessTransport
from penstock.transports.process import wire as wires

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform == "win32", reason="platform: process groups are POSIX"),
]

PROGRAM = """
import asyncio, os, sys
from tests.transports.process.test_transport import call, whole
from penstock.transports.process import ProcessTransport

async def main():
    wire = await ProcessTransport().open(call("say:done"))
    await whole(wire)
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        print("no child left", flush=True)
    for stays in (False, True):
        asked = call("grandchild:60", "sleep:60")
        asked.keep_open, asked.scratch = stays, sys.argv[1 + stays]
        wire = await ProcessTransport().open(asked)
        print(wire.pid, (await wire.read()).decode(), end="", flush=True)
    await wire.read()

asyncio.run(main())
"""


async def test_a_group_ends_when_we_are_killed_and_a_warden_with_its_child(
    tmp_path: Path,
) -> None:
    """The child and what it started end, one that does not read its stdin too, and their files; a
    turn that is over has left no process, no zombie."""
    folders = [tmp_path / "with a space", tmp_path / "another"]
    for folder in folders:
        folder.mkdir()
        (folder / "secret").touch()
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, *map(str, folders)),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert program.stdout is not None
    assert b"no child left\n" == await program.stdout.readline()
    told = [(await program.stdout.readline()).split(maxsplit=1) for _ in range(2)]
    files = secrets(folders)
    program.kill()
    await program.wait()

    for pid, said in told:
        assert await gone(int(pid))
        assert await gone(json.loads(said)["pid"])
    while secrets(folders):  # noqa: ASYNC110  # another process removes them
        await asyncio.sleep(0.01)
    assert 2 == files


def secrets(folders: list[Path]) -> int:
    """How many files are left; no folder is listed, as it may go meanwhile."""
    return sum((folder / "secret").exists() for folder in folders)


async def test_a_slow_warden_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes its time to go on a busy machine; who leaves before is told of a process that runs.

    A grandchild's hold on the pipes has its own bound, which is over by then.
    """
    left: list[Callable[[], None]] = []

    def slow(_: int, gone: Callable[[], None], **__: object) -> Callable[[], None]:
        return lambda: left.append(gone)

    monkeypatch.setattr(wires, "guard", slow)
    monkeypatch.setattr(wires, "_ORPHANS", 0.0)
    wire = await ProcessTransport().open(call("exit:0"))
    reading = asyncio.ensure_future(whole(wire))
    while not left:  # noqa: ASYNC110  # the child's end has no event here
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    waited = not reading.done()
    left[0]()

    assert waited
    assert b"" == await reading
    await wire.aclose()


async def test_a_child_without_a_warden_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system starts no shell the turn goes on."""
    monkeypatch.setattr(wires, "guard", lambda *_, **__: None)
    wire = await ProcessTransport().open(call("say:done"))

    assert b"done\n" == await whole(wire)
    await wire.aclose()
