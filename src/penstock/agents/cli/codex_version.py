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
from functools import lru_cache

__all__ = ["program_version"]

_ASKED = 10.0
"""Seconds that a program has to say its version; 0.169.0 needs a tenth of one."""
_VERSION = re.compile(rb"\d+\.\d+\.\d+[\w.+-]*")
# What a program needs to be found and started; no key.
_NEEDED = ("PATH", "SystemRoot", "SYSTEMROOT", "PATHEXT")


def program_version(
    program: str, environment: Mapping[str, str], directory: str | None
) -> str | None:
    """Return what ``--version`` of a program says, asked once for each file; None if that is none.

    Args:
        program: Its name or path.
        environment: A child's.
        directory: Where the child works; what a relative path starts from.
    """
    if os.path.dirname(program) and directory is not None:
        program = os.path.join(directory, program)
    found = shutil.which(program, path=environment.get("PATH"))
    if found is None:
        return None
    needed = tuple((name, environment[name]) for name in _NEEDED if name in environment)
    try:
        return _asked(os.path.abspath(found), os.stat(found).st_mtime_ns, needed)
    except (OSError, ValueError, subprocess.SubprocessError):  # the turn itself will show it
        return None


@lru_cache(maxsize=8)
def _asked(program: str, changed: int, environment: tuple[tuple[str, str], ...]) -> str:  # noqa: ARG001  # `changed` has a new file asked
    """Ask."""
    with subprocess.Popen(
        [program, "--version"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(environment),
        start_new_session=sys.platform != "win32",
    ) as child:
        try:
            said, _ = child.communicate(timeout=_ASKED)
        finally:
            _end(child)
    version = _VERSION.search(said)
    if version is None:
        raise ValueError("it says no version")
    return version[0].decode()


def _end(child: subprocess.Popen[bytes]) -> None:
    """End what is left of it, or closing its output would wait."""
    with suppress(ProcessLookupError):
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
