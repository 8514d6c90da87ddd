"""A client from a mapping or a file: `penstock.config`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.config import client_arguments
from penstock.errors import ConfigurationError
from penstock.limits import Limits, Timeouts

CONFIG: dict[str, Any] = {
    "default_model": "a/b",
    "max_retries": 1,
    "timeouts": {"ttft": 5, "idle": "off"},
    "limits": {"body_buffer": 8192},
    "fallbacks": {"a/b": ["c/d"]},
    "deployments": {
        "a/b": {"base_url": "https://one.example/v1", "api_key": "env:ONE"},
        "c/d": {"base_url": "https://two.example/v1", "timeouts": {"total": 9}},
    },
}
TOML = """
default_model = "a/b"
max_retries = 1
timeouts = { ttft = 5, idle = "off" }
limits = { body_buffer = 8192 }
[fallbacks]
"a/b" = ["c/d"]
[deployments."a/b"]
base_url = "https://one.example/v1"
api_key = "env:ONE"
[deployments."c/d"]
base_url = "https://two.example/v1"
timeouts = { total = 9 }
"""


@pytest.mark.parametrize("form", ["dict", "json", "toml"])
def test_every_form_says_the_same(form: str, tmp_path: Path) -> None:
    """A mapping, a JSON file and a TOML file."""
    source: Any = CONFIG
    if form != "dict":
        source = tmp_path / f"c.{form}"
        source.write_text(json.dumps(CONFIG) if form == "json" else TOML)

    arguments = client_arguments(source)

    assert (Timeouts(ttft=5, idle=None), Limits(body_buffer=8192)) == (
        arguments["timeouts"],
        arguments["limits"],
    )
    assert ("ONE",) == arguments["deployments"]["a/b"].api_key.variables
    assert Timeouts(total=9) == arguments["deployments"]["c/d"].timeouts
    assert ("a/b", 1, {"a/b": ["c/d"]}) == (
        arguments["default_model"],
        arguments["max_retries"],
        arguments["fallbacks"],
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"defualt_model": "x"}, "did you mean 'default_model'"),
        ({"timeouts": {"tfft": 1}}, "timeouts.tfft: did you mean 'ttft'"),
        ({"limits": {"body_bufer": 1}}, "did you mean 'body_buffer'"),
        (
            {"deployments": {"a": {"base_ulr": "x"}}},
            "deployments.a.base_ulr: did you mean 'base_url'",
        ),
        ({"deployments": {"a": {}}}, "no base_url"),
        ({"deployments": ["a"]}, "must be a table"),
        ({"timeouts": {"ttft": -1}}, "above 0"),
        ({"limits": {"body_buffer": 1}}, "at least 4096"),
    ],
)
def test_a_wrong_key_is_refused_with_the_nearest(config: dict[str, Any], message: str) -> None:
    """Nothing in a configuration is ignored in silence."""
    with pytest.raises(ConfigurationError, match=message):
        client_arguments(config)


@pytest.mark.parametrize(
    ("name", "text"), [("c.toml", "= 1"), ("c.json", "{"), ("none.toml", None)]
)
def test_a_file_that_cannot_be_read_is_named(name: str, text: str | None, tmp_path: Path) -> None:
    """The file's name and what is wrong with it, not a traceback of the parser's."""
    path = tmp_path / name
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigurationError, match=name):
        client_arguments(path)
