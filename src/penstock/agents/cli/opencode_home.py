"""What opencode finds in its folders: nothing to fetch in a new home, and who ends its retries.

Facts of 1.18.33, from its source: each of its folders that has no ``node_modules``, or whose lock
does not name its plugin package, is an errand to the npm registry at every start; and a turn whose
model fails is asked again five times, which no option lowers, while ``opencode run`` says nothing
of it. A plugin hears of it. Who has plugins waits for the errands at the start: a machine that is
offline would wait a minute for each, so that ours is there only where none is to be made.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import mkdtemp

from penstock.agents.cli.surroundings import in_home

__all__ = ["RETRY_PLUGIN", "fetches_nothing", "settle"]

_PACKAGE = "@opencode-ai/plugin"
_LOCK = "package-lock.json"

RETRY_PLUGIN = """\
export const Penstock = async ({ client }) => ({
  event: async ({ event }) => {
    if (event.type !== "session.status" || event.properties.status.type !== "retry") return
    const { sessionID, status } = event.properties
    const session = await client.session.get({ path: { id: sessionID } })
    if (session.data?.parentID) return
    process.stdout.write(JSON.stringify({ type: "session.status", sessionID, status }) + "\\n")
    await client.session.abort({ path: { id: sessionID } })
  },
})
"""
"""Says on stdout that a turn is about to be asked again, in the words of opencode's server, and
ends it; a turn of a sub-agent's is a tool of the turn's, and goes on."""


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


def fetches_nothing(
    environment: Mapping[str, str], directory: str | None, *, project: bool = True
) -> bool:
    """Return whether every folder that it reads has its package already, or there is none.

    Args:
        environment: The child's.
        directory: Where it works; None is our own directory.
        project: Whether it reads the project's folders.
    """
    return all(_has_package(each) for each in _folders(environment, directory, project=project))


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
    yield from filter(Path.is_dir, [*below, *([Path(named)] if named else [])])


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
