"""What opencode is told, and who may read it."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import stat
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.agents.cli.conftest import StandIn

from penstock.agents.cli import Server, opencode
from penstock.agents.cli.backend import Turn
from penstock.agents.cli.surroundings import Scratch


def test_a_key_of_the_configuration_is_in_no_repr() -> None:
    """It travels as it is: a variable is what a pickle should have."""
    agent = opencode(config={"provider": {"mine": {"options": {"apiKey": "s3cret-1"}}}})
    named = {"provider": {"mine": {"options": {"apiKey": "{env:MINE}"}}}}
    sent = pickle.loads(pickle.dumps(opencode(config=named, credentials={"MINE"})))

    assert "s3cret-1" not in repr(agent.backend)
    assert json.dumps(named) == json.dumps(sent.backend.config)
    assert {"MINE"} == sent.backend.credentials


def test_what_is_secret_or_long_is_in_files_of_the_turn(tmp_path: Path) -> None:
    """A variable has 128 KiB, and commands see it; braces of a system prompt name nothing."""
    system = "Say {env:HOME} and {file:/nothing}. " + "x" * 200_000
    keys: dict[str, Any] = {"apiKey": "s3cret-1", "token": "{env:MINE}", "password": " s3cret p "}
    keys["headers"] = {"Cookie": "id=s3cret-5; {env:MINE}"}
    headers = {"Cookie": "s3cret-2", "X-Empty": ""}
    pat = {"GITHUB_PAT": "s3cret-3", "PEM": "s3cret-4\n", "BLANK": " \n"}
    agent = opencode(
        home=str(tmp_path),
        config={"provider": {"mine": {"options": keys}}, "agent": {"other": {}}},
        servers=(
            Server(name="web", url="http://h/", headers=headers),
            Server(name="run", command=("serve",), environment=pat),
        ),
    )
    with closing(Scratch()) as scratch:
        command = agent.backend.command(Turn(prompt="Hi", system=system), scratch)
        text = command.environment["OPENCODE_CONFIG_CONTENT"]
        files = [Path(each) for each in re.findall(r"\{file:([^}]+)\}", text)]
        modes = {stat.S_IMODE(each.stat().st_mode) for each in files}
        whole = re.sub(r"\{file:([^}]+)\}", lambda at: _quoted(Path(at[1])), text)
    told = json.loads(whole)

    assert ({0o600}, {False}) == (modes, {each.exists() for each in files})
    assert len(text) < 2_500
    assert "s3cret" not in text
    assert keys == told["provider"]["mine"]["options"]
    assert headers == told["mcp"]["web"]["headers"]
    assert pat == told["mcp"]["run"]["environment"]
    assert (system, {}) == (told["agent"]["penstock"]["prompt"], told["agent"]["other"])


def _quoted(path: Path) -> str:
    """A file's text as opencode puts it into JSON."""
    return json.dumps(path.read_text().strip())[1:-1]


@pytest.mark.asyncio
async def test_an_errand_names_no_file_that_is_gone(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export comes after its turn, whose files have ended with it."""
    seen: list[tuple[str, Mapping[str, str]]] = []

    async def errand(
        argv: tuple[str, ...], environment: Mapping[str, str], *, output: Path, **_: object
    ) -> bool:
        seen.append((argv[1], environment))
        return await asyncio.to_thread(output.write_bytes, b"{}") == 2

    monkeypatch.setattr(sys.modules["penstock.agents.cli.opencode"], "run_errand", errand)
    standin.plays("opencode/opencode-run-success.jsonl")
    async with opencode(**standin.options(system="Be brief.", project_config=False)) as agent:
        await agent.run("Hi")
    [(errand_name, environment)] = seen

    assert "export" == errand_name
    assert {"share": "disabled", "autoupdate": False} == json.loads(
        environment["OPENCODE_CONFIG_CONTENT"]
    )
    assert "1" == environment["OPENCODE_DISABLE_PROJECT_CONFIG"]
