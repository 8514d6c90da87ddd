"""What opencode finds in its folders, and who ends its retries.

Facts of 1.18.33, from its source: each of its folders that has no ``node_modules``, or whose lock
does not name its plugin package, is an errand to the npm registry at every start; and a turn whose
model fails is asked again five times, which no option lowers, while ``opencode run`` says nothing
of it. A plugin hears of it. Who has plugins waits for the errands at the start; they fail at once
where npm is told that it is offline. What they bring is used by a user's own plugins and tools, and
by nothing else: where there are none, npm is told so, and a plugin of ours takes that back once the
errands have failed, so that commands and servers may fetch what they like.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import product
from pathlib import Path
from socket import gethostname
from tempfile import mkdtemp
from typing import Any

from penstock.agents.cli.surroundings import in_home

__all__ = ["OFFLINE", "ONLINE_PLUGIN", "RETRY_PLUGIN", "fetches_in_vain", "settle", "unlock"]

_PACKAGE = "@opencode-ai/plugin"
_LOCK = "package-lock.json"
_USED = tuple(product(("plugin", "plugins", "tool", "tools"), ("*.js", "*.ts")))
_FILES = ("opencode.json", "opencode.jsonc", "config.json")
_MANAGED = (Path("/etc/opencode"), Path("/Library/Application Support/opencode"))

OFFLINE = "npm_config_offline"
"""Set to ``true``: npm fetches nothing, and says so at once."""

ONLINE_PLUGIN = """\
export const Penstock = async () => {
  delete process.env.npm_config_offline
  return {}
}
"""
"""Takes `OFFLINE` back, before commands and servers see it."""

RETRY_PLUGIN = """\
export const Penstock = async ({ client }) => ({
  event: async ({ event }) => {
    if (event.type !== "session.status" || event.properties.status.type !== "retry") return
    const { sessionID, status } = event.properties
    const session = await client.session.get({ path: { id: sessionID } })
    const subagent = Boolean(session.data?.parentID)
    const said = { type: "session.status", sessionID, subagent, status }
    process.stdout.write(JSON.stringify(said) + "\\n")
    await client.session.abort({ path: { id: sessionID } })
  },
})
"""
"""Says on stdout that a model is about to be asked again, in the words of opencode's server, and
ends that session's turn. A sub-agent's is a tool of the turn's, which fails as ``Task cancelled``,
and the turn goes on."""


def settle(home: str) -> None:
    """Make the folder of a home that is new, such that nothing is to be fetched for it.

    Others see all of it or nothing, and may make it at the same time.

    Raises:
        ConfigurationError: The home can take no folder.
    """
    folder = _configuration({"HOME": home})
    with in_home(home):
        if folder.exists():  # with what is in it, which may need the package
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(mkdtemp(prefix=".opencode-", dir=folder.parent))
        try:
            _lay_out(part)
            part.replace(folder)
        except OSError:
            if not folder.exists():
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _lay_out(folder: Path) -> None:
    (folder / "node_modules").mkdir()
    lock = {"packages": {"": {"dependencies": {_PACKAGE: "*"}}}}
    (folder / _LOCK).write_text(json.dumps(lock), "utf-8")


def unlock(environment: Mapping[str, str]) -> None:
    """Remove the locks of programs that have ended: the next start waits a minute for each.

    One that ends amid its errands to the registry leaves its own, such as ``opencode export``, and
    ``opencode run`` with an MCP server. Who breaks a lock makes a folder first, so that none else
    does: its own way.

    Args:
        environment: The child's.
    """
    if sys.platform == "win32":  # where nothing asks whether a process is there
        return
    home = environment.get("HOME") or Path.home()
    state = Path(environment.get("XDG_STATE_HOME") or Path(home, ".local", "state"))
    for lock in (state / "opencode" / "locks").glob("*.lock"):
        with suppress(OSError):
            if _is_left(lock):
                breaker = Path(f"{lock}.breaker")
                breaker.mkdir(mode=0o700)
                try:
                    if _is_left(lock):
                        shutil.rmtree(lock)
                finally:
                    breaker.rmdir()


def _is_left(lock: Path) -> bool:
    """Whether who took a lock was a process of this machine, and has ended."""
    try:
        said: Any = json.loads((lock / "meta.json").read_text("utf-8"))  # Any: JSON
        if said["hostname"] == gethostname():
            os.kill(int(said["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, LookupError, TypeError, OverflowError):  # another user's, or none
        return False
    return False


def fetches_in_vain(
    environment: Mapping[str, str], directory: str | None, *, project: bool = True
) -> bool:
    """Return whether it would fetch packages at its start that nothing there uses.

    What uses them is plugins and tools of the user's: files there, or named in a configuration.

    Args:
        environment: The child's.
        directory: Where it works; None is our own directory.
        project: Whether it reads the project's folders.
    """
    folders = [*_folders(environment, directory, project=project)]
    if all(map(_has_package, folders)):
        return False
    above = _up_to_the_worktree(Path(directory or ".").resolve()) if project else ()
    files = [each / name for each in (*folders, *above, *_MANAGED) for name in _FILES]
    files.append(Path(directory or ".", environment.get("OPENCODE_CONFIG") or files[0]))
    return not any(map(_has_code, folders)) and not any(map(_names_plugins, files))


def _has_code(folder: Path) -> bool:
    return any(any((folder / below).glob(name)) for below, name in _USED)


def _names_plugins(file: Path) -> bool:
    try:
        return b'"plugin"' in file.read_bytes()
    except OSError:
        return False


def _folders(
    environment: Mapping[str, str], directory: str | None, *, project: bool
) -> Iterator[Path]:
    """The folders of its configuration: it makes the first where that is not there."""
    yield _configuration(environment)
    others = [Path(environment.get("HOME") or Path.home())]
    if project:
        others += _up_to_the_worktree(Path(directory or ".").resolve())
    named = environment.get("OPENCODE_CONFIG_DIR")
    below = [each / ".opencode" for each in others]
    yield from filter(Path.is_dir, [*below, *([Path(directory or ".", named)] if named else [])])


def _up_to_the_worktree(work: Path) -> Iterator[Path]:
    """A folder and those above it, up to the repository's own; without one, all of them.

    Where ``.git`` is a file its worktree may be elsewhere, which is no folder above: all of them.
    """
    for each in (work, *work.parents):
        yield each
        if (each / ".git").is_dir():
            return


def _configuration(environment: Mapping[str, str]) -> Path:
    home = environment.get("HOME") or str(Path.home())
    return Path(environment.get("XDG_CONFIG_HOME") or Path(home) / ".config") / "opencode"


def _has_package(folder: Path) -> bool:
    try:
        lock = json.loads((folder / _LOCK).read_text("utf-8"))
        known = lock["packages"][""]["dependencies"]
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return _PACKAGE in known and (folder / "node_modules").is_dir()
