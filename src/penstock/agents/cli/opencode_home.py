"""What opencode finds in its folders: nothing to fetch in a new home, and who ends its retries.

Facts of 1.18.33, from its source: each of its folders that has no ``node_modules``, or whose lock
does not name its plugin package, is an errand to the npm registry at every start; and a turn whose
model fails is asked again five times, which no option lowers, while ``opencode run`` says nothing
of it. A plugin hears of it. Who has plugins waits for the errands at the start: a machine that is
offline would wait a minute for each, so that ours is there only where none is to be made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

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
    """Make the folder of a home that is new, such that nothing is to be fetched for it."""
    folder = _configuration({"HOME": home})
    if folder.exists():  # with what is in it, which may need the package
        return
    (folder / "node_modules").mkdir(parents=True)
    lock = {"packages": {"": {"dependencies": {_PACKAGE: "*"}}}}
    (folder / _LOCK).write_text(json.dumps(lock), "utf-8")


def fetches_nothing(environment: Mapping[str, str], directory: str | None) -> bool:
    """Return whether every folder that it reads has its package already, or there is none.

    Args:
        environment: The child's.
        directory: Where it works; None is our own directory.
    """
    return all(_has_package(folder) for folder in _folders(environment, directory))


def _folders(environment: Mapping[str, str], directory: str | None) -> Iterator[Path]:
    """The folders of its configuration: it makes the first where that is not there."""
    yield _configuration(environment)
    work = Path(directory or ".").absolute()
    home = Path(environment.get("HOME") or Path.home())
    named = environment.get("OPENCODE_CONFIG_DIR")
    others = [each / ".opencode" for each in (home, work, *work.parents)]
    yield from filter(Path.is_dir, [*others, *([Path(named)] if named else [])])


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
