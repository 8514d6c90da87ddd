"""The parameters that every shim has, and that no parameter is without a test."""

from __future__ import annotations

import logging
import sys
from inspect import getsource
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.sync.chia import test_api_parameters as apis
from tests.sync.chia import test_cli_parameters as programs
from tests.sync.chia import test_tools as tools
from tests.sync.chia.conftest import APIS, FAILING, MODULES, PROGRAMS, WIRES, Stage
from tests.sync.chia.effects import asked, bound
from tests.sync.chia.signatures import PARAMETERS, SIGNATURES

from penstock.errors import ConfigurationError, DeadlineError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="platform: a script as a program")

CASES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in MODULES]
CASES.append(("ClaudeCodeLLM", {"backend": "api"}))
every_shim = pytest.mark.parametrize(
    ("name", "given"), CASES, ids=lambda each: each if isinstance(each, str) else "".join(each)
)


def is_program(name: str, given: dict[str, Any]) -> bool:
    """Whether the shim starts one."""
    return name in PROGRAMS and not given


@every_shim
def test_the_system_message_leaves_with_the_prompt(
    stage: Stage, name: str, given: dict[str, Any]
) -> None:
    """In the request, in an argument, in the configuration or before the prompt."""
    without = stage.ask(name, **given)
    then = stage.ask(name, system_message="A canary sings.", **given)

    assert [False, True] == ["A canary sings." in seen.text for seen in (without, then)]


@every_shim
def test_the_message_leaves_too(stage: Stage, name: str, given: dict[str, Any]) -> None:
    """``prompt``'s ``user_message``."""
    seen = stage.ask(name, "Hear, hear.", **given)

    assert "Hear, hear." in seen.text
    assert "Hear, hear." not in stage.ask(name, **given).text


@every_shim
def test_time_is_up_where_it_is_said(stage: Stage, name: str, given: dict[str, Any]) -> None:
    """``timeout_seconds`` ends a try that hangs, whoever hangs, and the error says so."""
    for seconds in (0.2, 0.3):
        seen = stage.ask(
            name,
            **({"plays": {"wire": "", "sleep": 30}} if is_program(name, given) else {}),
            **({"model": "silent"} if not is_program(name, given) else {}),
            **given,
            timeout_seconds=seconds,
            retries=0,
        )
        cause = getattr(seen.result, "error", seen.result).__cause__

        assert seconds == bound(seen)[1]
        assert isinstance(cause, DeadlineError)


@every_shim
def test_a_failing_server_is_asked_again(stage: Stage, name: str, given: dict[str, Any]) -> None:
    """``retries`` times more, and then it is an error."""
    tries = []
    for retries in (0, 2):
        failing = {"model": "echo?status=500"}
        if is_program(name, given):
            failing = {"plays": FAILING[name]}  # type: ignore[dict-item]  # what to play
        seen = stage.ask(name, retries=retries, **failing, **given)
        tries.append(asked(seen))

        assert "ServerError" == type(seen.result).__name__
    assert [1, 3] == tries


@every_shim
def test_records_go_to_the_logger_that_is_named(
    stage: Stage, name: str, given: dict[str, Any]
) -> None:
    """``logging_name`` and ``logging_level``: at INFO there is nothing of what was said."""
    usual = stage.ask(name, **given)
    named = stage.ask(name, logging_name="mine", **given)
    quiet = stage.ask(name, logging_name="quiet", logging_level=logging.INFO, **given)
    names = [{each.name for each in seen.records} - {"asyncio"} for seen in (usual, named)]
    levels = [{each.levelno for each in seen.records} for seen in (named, quiet)]

    assert "mine" not in names[0]
    assert "mine" in names[1]
    assert [logging.DEBUG in each for each in levels] == [True, False]
    assert any("one two" in each.getMessage() for each in named.records)
    assert not any("one two" in each.getMessage() for each in quiet.records)


@every_shim
def test_a_folder_takes_the_records_too(
    stage: Stage, name: str, given: dict[str, Any], tmp_path: Path
) -> None:
    """``log_dir`` has a file named like the logger, for its owner's eyes only."""
    stage.ask(name, log_dir=str(tmp_path / "logs"), logging_name="a/b", **given)
    (file,) = (tmp_path / "logs").iterdir()

    assert "a_b.log" == file.name
    assert "DEBUG prompt: one two" in file.read_text()
    assert 0o600 == file.stat().st_mode & 0o777
    assert WIRES.get(name) is None or "text: " in file.read_text()


def test_a_folder_that_takes_none_is_said(stage: Stage, tmp_path: Path) -> None:
    """Before anything is asked."""
    (tmp_path / "file").write_text("")
    seen = stage.ask("OpenAICompatLLM", log_dir=str(tmp_path / "file"))

    assert isinstance(seen.result, ConfigurationError)
    assert "log_dir: " in str(seen.result)
    assert 0 == asked(seen)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("timeout_seconds", 0), ("timeout_seconds", "9"), ("retries", -1), ("retries", True)],
)
def test_a_number_is_one(stage: Stage, parameter: str, value: object) -> None:
    """A wrong clock or count is refused where the shim is made."""
    with pytest.raises(ConfigurationError, match=f"OpenAICompatLLM.{parameter} must be a number"):
        stage.ask("OpenAICompatLLM", **{parameter: value})


COMMON = {"system_message", "timeout_seconds", "retries", "logging_name", "logging_level"}
COMMON |= {"log_dir", "prompt.user_message"}


def tried() -> set[str]:
    """Every parameter that some test changes."""
    found = {effect.name for effect in (*apis.EFFECTS, *programs.EFFECTS)}
    found |= {f"{name}.{each}" for name in MODULES for each in COMMON}
    found |= {*apis.ELSEWHERE_TRIED, *programs.ELSEWHERE_TRIED}
    found |= {"ClaudeCodeLLM.max_tool_iterations"}  # test_claude_codes_api_has_the_bound_too
    return found | {f"{name}.prompt.tools" for name in tools.SHIMS}


def test_every_parameter_of_the_seed_is_tried() -> None:
    """The seed's own list, class by class: no parameter is without a test, and none is made up."""
    named = {name for name in PARAMETERS if name.partition(".")[0] in MODULES}
    behind = {f"{name}.kwargs" for name in APIS}
    of_kwargs = {name for name in tried() if f"{name.partition('.')[0]}.kwargs" in named & behind}

    assert set() == named - tried()
    assert set() == tried() - named - of_kwargs


@pytest.mark.parametrize("module", [apis, programs])
def test_what_is_tried_elsewhere_is(module: ModuleType) -> None:
    """The tests that a table names are there, and are about the shim that the table says."""
    for parameter, name in module.ELSEWHERE_TRIED.items():
        test = getattr(module, name)
        about = repr([mark.args for mark in getattr(test, "pytestmark", ())]) + getsource(test)

        assert parameter.partition(".")[0] in about


def test_every_shim_of_the_seed_is_here() -> None:
    """Whatever the seed's page calls a model: none of them is without the tests of all."""
    assert set(MODULES) == {
        name.rpartition(".")[2] for name in SIGNATURES if name.endswith("LLM")
    } - {"LLMCallBase"}
