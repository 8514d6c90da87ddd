"""Which version of Codex a program is: its provider sends it as a header, and so must ours.

OpenAI gives the newer models only to requests that name a version (can1357/oh-my-pi#5108).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.agents.cli.surroundings import Scratch

__all__ = ["program_version"]

_ASKED = 10.0
"""Seconds that a program has to say its version; 0.169.0 needs a tenth of one."""
_VERSION = re.compile(rb"[\w-]+ (\d+\.\d+\.\d+(?:[-+][\w.+-]+)?)\s*")
# What a program needs to be found and started; no key.
_NEEDED = ("PATH", "SystemRoot", "SYSTEMROOT", "PATHEXT")


def program_version(
    program: str, environment: Mapping[str, str], directory: str | None, *, scratch: Scratch
) -> str | None:
    """Return what ``--version`` of a program says, asked once for each file; None if that is none.

    Args:
        program: Its name or path.
        environment: A child's.
        directory: Where the child works; what a relative path starts from.
        scratch: The turn's, with which the question ends.
    """
    if os.path.dirname(program) and directory is not None:
        program = os.path.join(directory, program)
    found = shutil.which(program, path=environment.get("PATH"))
    if found is None:
        return None
    needed = {name: environment[name] for name in _NEEDED if name in environment}
    try:
        known = _known(os.path.abspath(found), os.stat(found).st_mtime_ns)
        said = known[0] if known else _asked(os.path.abspath(found), needed, scratch)
    except (OSError, subprocess.SubprocessError):  # the turn itself will show it
        return None
    known[:] = [said]
    version = _VERSION.fullmatch(said)
    return None if version is None else version[1].decode()


@lru_cache(maxsize=8)
def _known(program: str, changed: int) -> list[bytes]:  # noqa: ARG001  # they are its key
    """What a file has said; nothing before it was asked."""
    return []


def _asked(program: str, environment: Mapping[str, str], scratch: Scratch) -> bytes:
    with subprocess.Popen(
        [program, "--version"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=sys.platform != "win32",
    ) as child:
        scratch.on_close(partial(_end, child))
        try:
            said, _ = child.communicate(timeout=_ASKED)
        finally:
            _end(child)
    if child.returncode:  # it may do better another time
        raise subprocess.CalledProcessError(child.returncode, program)
    return said


def _end(child: subprocess.Popen[bytes]) -> None:
    """End its group, unless it has ended: that may be another's by then."""
    if child.returncode is not None:
        return
    with suppress(ProcessLookupError):
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
