"""A short run of an agent's program that answers no one: an export, an import."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from penstock.errors import ConfigurationError

__all__ = ["ERRAND", "run_errand"]

ERRAND = 60.0
"""Seconds that an errand may take: opencode in a fresh home takes ten."""


async def run_errand(
    argv: tuple[str, ...],
    environment: Mapping[str, str],
    *,
    directory: str | None = None,
    output: Path | None = None,
) -> bool:
    """Run a program to its end, its output into a file; return whether it said that all is well.

    Args:
        argv: The program and its arguments.
        environment: Its whole environment.
        directory: Where it works.
        output: The file that takes what it prints; None is nowhere.

    Raises:
        ConfigurationError: There is no such program.
    """
    with _opened(output) as file:
        try:
            child = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=asyncio.subprocess.DEVNULL,
                env=dict(environment),
                cwd=directory,
                start_new_session=sys.platform != "win32",
            )
        except OSError as exc:
            raise ConfigurationError(
                f"cannot start {argv[0]}: {exc.strerror}", code="not_found"
            ) from exc
        try:
            async with asyncio.timeout(ERRAND):
                return await child.wait() == 0
        except TimeoutError:
            return False
        finally:
            with suppress(ProcessLookupError):
                if sys.platform == "win32":
                    child.kill()
                else:
                    os.killpg(child.pid, signal.SIGKILL)
            await child.wait()


def _opened(output: Path | None) -> IO[bytes]:
    return open(os.devnull if output is None else output, "wb")
