"""What opencode finds in its folders."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from tests.agents.cli.conftest import StandIn

from penstock.agents.cli import opencode
from penstock.agents.cli.opencode_home import fetches_in_vain, settle, unlock
from penstock.errors import ConfigurationError

OURS = ".config/opencode"


def lay(folder: Path, *, lock: str | None = None, modules: bool = True) -> None:
    """Make a folder of opencode's, with what npm leaves there."""
    (folder / "node_modules" if modules else folder).mkdir(parents=True)
    if lock is not None:
        (folder / "package-lock.json").write_text(lock)


def locked(package: str = "@opencode-ai/plugin") -> str:
    """What npm writes of a folder that has `package`."""
    return json.dumps({"packages": {"": {"dependencies": {package: "1.18.33"}}}})


def test_a_new_home_has_nothing_to_fetch(tmp_path: Path) -> None:
    """It is laid out once; what is in a home already stays as it is."""
    assert fetches_in_vain({"HOME": str(tmp_path)}, str(tmp_path))
    settle(str(tmp_path))
    settle(str(tmp_path))
    lay(tmp_path / "other" / OURS, modules=False)
    settle(str(tmp_path / "other"))

    assert not fetches_in_vain({"HOME": str(tmp_path)}, str(tmp_path))
    assert [] == list((tmp_path / "other" / OURS).iterdir())


def test_a_new_home_may_be_made_by_many_at_once(tmp_path: Path) -> None:
    """One of them makes it, whole; what the others began is gone."""
    begin = Barrier(8)

    def first_turn(home: str) -> bool:
        begin.wait()
        settle(home)
        return not fetches_in_vain({"HOME": home}, home)

    with ThreadPoolExecutor(8) as pool:
        for number in range(10):
            homes = [str(tmp_path / str(number))] * 8

            assert [True] * 8 == list(pool.map(first_turn, homes))
            assert [Path(homes[0], OURS)] == list(Path(homes[0], ".config").iterdir())


def test_a_home_that_is_a_file_is_named(tmp_path: Path) -> None:
    """Before anything is started there."""
    home = tmp_path / "home"
    home.write_text("")
    with pytest.raises(ConfigurationError, match=r"home=.*home' cannot be used") as failure:
        settle(str(home))

    assert "home" == failure.value.param


@pytest.mark.parametrize(
    ("git", "project", "nothing"),
    [(None, True, False), ("folder", True, True), ("file", True, False), (None, False, True)],
)
def test_only_folders_that_it_reads_count(
    tmp_path: Path, git: str | None, project: bool, nothing: bool
) -> None:
    """Not above the worktree, whose place a file ``.git`` does not say; or none at all."""
    settle(str(tmp_path / "home"))
    lay(tmp_path / "top" / ".opencode", modules=False)
    below = tmp_path / "top" / "repository" / "below"
    below.mkdir(parents=True)
    if git == "folder":
        (below.parent / ".git").mkdir()
    elif git == "file":
        (below.parent / ".git").write_text("gitdir: elsewhere")

    seen = {"HOME": str(tmp_path / "home")}
    assert nothing is not fetches_in_vain(seen, str(below), project=project)


@pytest.mark.parametrize(
    ("lock", "modules", "nothing"),
    [
        (locked(), True, True),
        (locked(), False, False),
        (locked("zod"), True, False),
        (None, True, False),
        ("no JSON", True, False),
        ("[]", True, False),
    ],
)
@pytest.mark.parametrize("place", [".opencode", "project/.opencode", "named"])
def test_every_folder_counts(
    tmp_path: Path, place: str, lock: str | None, modules: bool, nothing: bool
) -> None:
    """The home's, those of the project and above, and the one that is named."""
    settle(str(tmp_path))
    lay(tmp_path / place, lock=lock, modules=modules)
    seen = {"HOME": str(tmp_path), "OPENCODE_CONFIG_DIR": str(tmp_path / "named")}

    assert nothing is not fetches_in_vain(seen, str(tmp_path / "project" / "below"))


def test_the_configuration_may_be_elsewhere(tmp_path: Path) -> None:
    """By the variable that says so."""
    lay(tmp_path / "opencode", lock=locked())
    seen = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path)}

    assert not fetches_in_vain(seen, str(tmp_path))


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (f"home/{OURS}/plugin/mine.ts", ""),
        ("project/.opencode/tools/mine.js", ""),
        ("named/plugins/mine.js", ""),
        (f"home/{OURS}/opencode.jsonc", '{ // mine\n "plugin": ["theirs"] }'),
        ("project/opencode.json", '{"plugin": []}'),
        ("mine.json", '{"plugin": []}'),
    ],
)
def test_what_a_users_plugin_or_tool_needs_is_fetched(
    tmp_path: Path, place: str, text: str
) -> None:
    """It may import the package; opencode waits for that with ours or without."""
    lay(tmp_path / "home" / OURS, modules=False)
    lay(tmp_path / "project" / ".opencode", modules=False)
    variables = {"HOME": "home", "OPENCODE_CONFIG_DIR": "named", "OPENCODE_CONFIG": "mine.json"}
    seen = {name: str(tmp_path / value) for name, value in variables.items()}
    work = tmp_path / "project" / "below"
    before = fetches_in_vain(seen, str(work))
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text(text)

    assert (True, False) == (before, fetches_in_vain(seen, str(work)))


@pytest.mark.skipif(sys.platform == "win32", reason="platform: whether a process is there")
def test_locks_of_the_dead_are_removed(tmp_path: Path) -> None:
    """Not those of the living, of other machines, and what is no lock or broken by another."""
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    here, locks = socket.gethostname(), tmp_path / "opencode" / "locks"
    told = {
        "dead": {"pid": dead.pid, "hostname": here},
        "breaking": {"pid": dead.pid, "hostname": here},
        "living": {"pid": os.getpid(), "hostname": here},
        "elsewhere": {"pid": dead.pid, "hostname": f"{here}-2"},
        "none": {},
    }
    for name, said in told.items():
        (locks / f"{name}.lock").mkdir(parents=True)
        (locks / f"{name}.lock" / "meta.json").write_text(json.dumps(said))
    (locks / "breaking.lock.breaker").mkdir()
    unlock({"HOME": "/none", "XDG_STATE_HOME": str(tmp_path)})
    left = {each.name.partition(".")[0] for each in locks.iterdir()}

    assert {"breaking", "living", "elsewhere", "none"} == left


def gone(url: str) -> bool:
    """Whether there is no such file any more."""
    return not Path(url.removeprefix("file://")).exists()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("more", "plugins"),
    [
        ({}, ["silent.js", "retries.js"]),
        ({"config": {"plugin": ["theirs"]}}, ["silent.js", "retries.js", "theirs"]),
        ({"own_retries": True}, ["silent.js"]),
    ],
)
async def test_a_plugin_ends_a_turn_that_would_be_asked_again(
    standin: StandIn, more: dict[str, object], plugins: list[str]
) -> None:
    """Beside the caller's, from a file that ends with the turn; not where retries are wanted."""
    standin.plays("opencode/opencode-run-success.jsonl")
    async with opencode(**standin.options(), **more) as agent:
        await agent.run("Hi")
    config = json.loads(standin.notes[0]["environment"]["OPENCODE_CONFIG_CONTENT"])
    ours = [each for each in config["plugin"] if each.startswith("file:///")]

    assert plugins == [each.rpartition("/")[2] for each in config["plugin"]]
    assert all(map(gone, ours))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("more", "plugins", "offline"),
    [
        ({}, ["silent.js", "online.js", "retries.js"], "true"),
        ({"config": {"plugin": ["theirs"]}}, ["silent.js", "retries.js", "theirs"], None),
        ({"credentials": {"NPM_CONFIG_OFFLINE"}}, ["silent.js", "retries.js"], None),
    ],
)
async def test_without_the_package_npm_is_offline_until_a_plugin_says_else(
    standin: StandIn,
    more: dict[str, Any],
    plugins: list[str],
    offline: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """opencode would wait for the registry before it starts; not where the caller wants that."""
    monkeypatch.setenv("NPM_CONFIG_OFFLINE", "false")
    lay(Path(standin.home, OURS), modules=False)
    standin.plays("opencode/opencode-run-success.jsonl")
    async with opencode(**standin.options(), **more) as agent:
        await agent.run("Hi")
    seen = standin.notes[0]["environment"]
    config = json.loads(seen["OPENCODE_CONFIG_CONTENT"])

    assert plugins == [each.rpartition("/")[2] for each in config["plugin"]]
    assert offline == seen.get("npm_config_offline")


@pytest.mark.parametrize(
    "pure",
    [
        {"extra_args": ("--pure",)},
        {"extra_args": ("--pure=true",)},
        {"environment": {"OPENCODE_PURE": "1"}},
        {"extra_args": ("--pure",), "own_retries": True, "keep_alive": True},
    ],
)
def test_opencode_without_plugins_is_refused(pure: dict[str, Any]) -> None:
    """Ours keep its retries down, and its server's password from commands."""
    with pytest.raises(ConfigurationError, match="--pure has no plugins") as failure:
        opencode(**pure)

    assert "extra_args" == failure.value.param
    assert opencode(extra_args=("--pure",), own_retries=True).backend.own_retries
