"""Whose provider Codex asks, by real files, and what has it ask once (facts of 0.169.0)."""

from __future__ import annotations

import plistlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from penstock.agents.cli.codex_provider import OPENAI, OURS, Told, provider_config

MINE = 'model_provider = "mine"\n[model_providers.mine]\nname = "m"\nrequest_max_retries = 3\n'
TABLE = MINE.partition("\n")[2]
OFF = {
    "model_providers.mine.request_max_retries": 0,
    "model_providers.mine.stream_max_retries": 0,
}
STANDS_FOR_OPENAI = {
    "name": "OpenAI",
    "wire_api": "responses",
    "requires_openai_auth": True,
    "supports_websockets": False,
    "env_http_headers": {
        "OpenAI-Organization": "OPENAI_ORGANIZATION",
        "OpenAI-Project": "OPENAI_PROJECT",
    },
    "http_headers": {"version": "1.2.3"},
    "request_max_retries": 0,
    "stream_max_retries": 0,
}
ONCE = {"model_provider": OURS, f"model_providers.{OURS}": STANDS_FOR_OPENAI}


def configured(
    folder: Path,
    files: Iterable[tuple[str, str]] = (),
    *,
    version: str | None = "1.2.3",
    **more: Any,  # fields of `Told`
) -> dict[str, Any]:
    """What is told of the provider where ``home/`` and ``etc/`` have these files."""
    for name, text in files:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    told = {"root": folder / "home", "system": folder / "etc", "config": {}, **more}
    return dict(provider_config(Told(**told), lambda: version))


@pytest.mark.parametrize(
    ("files", "more"),
    [
        ((), {}),
        ((("home/config.toml", 'model = "x"'),), {"arguments": ("--color", "never", "-m", "x")}),
        ((("home/config.toml", 'model_provider = "openai"'),), {}),
        ((("home/config.toml", MINE),), {"ignore_user_config": True}),
        ((("home/config.toml", MINE),), {"arguments": ("--ignore-user-config",)}),
        ((("home/p.config.toml", MINE),), {}),
        ((("home/config.toml", MINE),), {"session": OURS}),
        ((("home/cloud-config-bundle-cache.json", '{"sandbox_mode": 1}'),), {}),
    ],
)
def test_openais_own_provider_is_stood_for(tmp_path: Path, files: Any, more: Any) -> None:
    """Where nobody names another that is in force, and for sessions that began so."""
    assert ONCE == configured(tmp_path, files, **more)


@pytest.mark.parametrize(
    ("files", "more"),
    [
        ((("home/config.toml", MINE),), {}),
        ((("etc/config.toml", MINE),), {}),
        ((("etc/config.toml", MINE),), {"ignore_user_config": True}),
        ((("home/p.config.toml", MINE),), {"profile": "p"}),
        ((("home/p.config.toml", MINE),), {"arguments": ("--profile=p",)}),
        ((("home/p.config.toml", MINE),), {"arguments": ("-p", "p")}),
        ((("etc/config.toml", 'model_provider = "a"'), ("home/config.toml", MINE)), {}),
        ((("home/config.toml", TABLE),), {"config": {"model_provider": "mine"}}),
        ((("home/config.toml", TABLE),), {"arguments": ("-c", 'model_provider="mine"')}),
        ((("home/config.toml", TABLE),), {"arguments": ("-cmodel_provider=mine",)}),
        ((("home/config.toml", TABLE),), {"arguments": ("--config=model_provider='mine'",)}),
        ((), {"config": {"model_provider": "mine", "model_providers.mine": {"name": "m"}}}),
        ((("home/config.toml", MINE),), {"config": {"model_providers.mine.base_url": "u"}}),
        ((("home/config.toml", MINE),), {"session": "mine"}),
        ((("etc/requirements.toml", 'model_provider = "mine"'), ("home/config.toml", TABLE)), {}),
    ],
)
def test_a_provider_of_the_users_has_no_retries(tmp_path: Path, files: Any, more: Any) -> None:
    """It stays as it is but for those, whichever file or argument names it."""
    assert OFF == configured(tmp_path, files, **more)


@pytest.mark.parametrize(
    ("files", "more"),
    [
        ((), {"own_retries": True}),
        ((("home/config.toml", MINE),), {"own_retries": True}),
        ((), {"version": None}),
        ((), {"session": OPENAI}),
        ((), {"config": {"model_provider": "openai"}}),
        ((), {"arguments": ("-c", "model_provider=openai"), "session": OURS}),
        ((), {"arguments": ("--oss",)}),
        ((("etc/managed_config.toml", 'model_provider = "openai"'),), {}),
        ((("etc/requirements.toml", 'model_provider = "openai"'),), {}),
        ((("home/config.toml", 'model_provider = "ollama"'),), {}),
        ((("home/config.toml", MINE.replace("mine", "gcp")),), {}),
        ((("home/config.toml", '[model_providers.openai]\nmodel_catalog_url = "u"'),), {}),
        ((("home/config.toml", 'model_provider = "nowhere"'),), {}),
        ((("home/config.toml", "model_provider = 3\nmodel_providers = 3"),), {}),
        ((("home/config.toml", "model_provider = "),), {}),
        ((("home/config.toml/x", ""),), {}),
        ((("home/cloud-config-bundle-cache.json", '{"c": "model_provider = 1"}'),), {}),
    ],
)
def test_nothing_is_told(tmp_path: Path, files: Any, more: Any) -> None:
    """Where retries are wanted, Codex' own provider is, or nothing can be known of it."""
    (tmp_path / "home").mkdir()

    assert {} == configured(tmp_path, files, **more)


@pytest.mark.parametrize("format", plistlib.PlistFormat)
def test_nothing_is_told_below_preferences(tmp_path: Path, format: plistlib.PlistFormat) -> None:
    """Those of macOS may name another provider or address; others say nothing of it."""
    file = tmp_path / "preferences" / "com.openai.codex.plist"
    preferences = (tmp_path / "none", file.parent)
    file.parent.mkdir()
    for name in ("x", "config_toml_base64"):
        file.write_bytes(plistlib.dumps({name: "eA=="}, fmt=format))
        expected = {} if name != "x" else ONCE
        assert expected == configured(tmp_path, preferences=preferences)


def test_the_users_address_of_openai_is_kept(tmp_path: Path) -> None:
    """The one in force: a file's, or an argument's over it."""
    files = [("home/config.toml", 'openai_base_url = "http://of.file"')]
    of_file = configured(tmp_path, files)
    said = configured(tmp_path, files, config={"openai_base_url": "http://said"})

    assert STANDS_FOR_OPENAI | {"base_url": "http://of.file"} == of_file[f"model_providers.{OURS}"]
    assert STANDS_FOR_OPENAI | {"base_url": "http://said"} == said[f"model_providers.{OURS}"]


def test_a_session_of_ours_has_its_provider_in_any_case(tmp_path: Path) -> None:
    """With retries that are wanted, and of a version that nobody knows."""
    off = {"request_max_retries", "stream_max_retries"}
    found = configured(tmp_path, session=OURS, own_retries=True)[f"model_providers.{OURS}"]
    unknown = configured(tmp_path, session=OURS, version=None)[f"model_providers.{OURS}"]

    assert {n: v for n, v in STANDS_FOR_OPENAI.items() if n not in off} == found
    assert {n: v for n, v in STANDS_FOR_OPENAI.items() if n != "http_headers"} == unknown


def test_retries_that_the_caller_names_are_had(tmp_path: Path) -> None:
    """What `config` or an argument says of them is stronger than ours."""
    files = [("home/config.toml", MINE)]
    one, other = (
        f"model_providers.mine.{name}" for name in ("request_max_retries", "stream_max_retries")
    )

    assert {other: 0} == configured(tmp_path, files, config={one: 2})
    assert {one: 0} == configured(tmp_path, files, arguments=("-c", f"{other}=2"))


def test_a_name_with_a_dot_is_a_key_of_a_table(tmp_path: Path) -> None:
    """``-c`` would cut it in two; beside a caller's table there is no place for ours."""
    files = [("home/config.toml", MINE.replace("mine]", '"m.e"]').replace('"mine"', '"m.e"'))]
    off = {"request_max_retries": 0, "stream_max_retries": 0}

    assert {"model_providers": {"m.e": off}} == configured(tmp_path, files)
    assert {} == configured(tmp_path, files, config={"model_providers.x.name": "x"})
