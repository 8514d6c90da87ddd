"""A bad value of a configuration: the error names its key and its file, for every key there is."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from penstock import config
from penstock.config import client_arguments
from penstock.deployment import Deployment
from penstock.errors import UsageError
from penstock.limits import Limits, Timeouts
from penstock.providers.custom import CustomProviderConfig

CLIENT = {
    "aliases": "fast = 3",
    "cert": '"none.pem"',
    "default_model": '"nosuch-model"',
    "default_model of a kind": "3",
    "deployments": "3",
    "deployments of a kind": '"openai/x" = 3',
    "fallbacks": "3",
    "fallbacks of a kind": '"groq/x" = "groq/y"',
    "fallbacks to nobody": '"groq/x" = ["nosuch-model"]',
    "headers": 'x-team = "a\\u0007b"',
    "headers of a kind": "x-team = 3",
    "keys": '"no-provider" = "k"',
    "keys of a kind": "groq = 3",
    "limits": "3",
    "max_retries": "-1",
    "providers": "3",
    "providers of a kind": "own = 3",
    "proxy": '"proxy.example"',
    "timeouts": "3",
    "verify": '"none.pem"',
}
DEPLOYMENT = {
    "base_url": '"ftp://x"',
    "api_key": "3",
    "model": "3",
    "dialect": '"opnai_chat"',
    "headers": 'x-team = "a\\u0007b"',
    "extra_body": "3",
    "query": 'key = "k"',
    "body_framing": '"chunks"',
    "timeouts": "ttft = -1",
    "region": '"e u"',
    "project": '"p 1"',
    "api_version": "3",
    "auth": '""',
}
PROVIDER = {
    "base_url": '"own"',
    "auth_header": "3",
    "model_prefixes": '"own-"',
    "dialect": '"opnai_chat"',
    "api_key": "3",
    "key_env": '"ONE"',
    "headers": 'x-team = "a\\u0007b"',
    "headers of a kind": "x-team = 3",
    "param_mappings": "seed = 3",
    "param_mappings of a kind": 'sede = "dice"',
    "drops": '["sede"]',
    "drops of a kind": '"seed"',
    "slashed_ids": '"yes"',
    "capabilities": '["sight"]',
    "display_name": "3",
}


def cases() -> dict[str, tuple[str, str]]:
    """For each key a file, and how the error calls it."""
    found = {}
    for name, value in CLIENT.items():
        key = name.partition(" ")[0]
        inside = value.partition(" = ")[0].strip('"') if " = " in value else ""
        text = f"[{key}]\n{value}" if inside else f"{key} = {value}"
        inner = inside if key in ("deployments", "fallbacks", "keys", "providers") else ""
        quoted = f'"{inner}"' if "/" in inner else inner
        found[name] = text, f"{key}.{quoted}" if quoted else key
    for table, values in (('deployments."o/x"', DEPLOYMENT), ("providers.own", PROVIDER)):
        for name, value in values.items():
            field = name.partition(" ")[0]
            lines = {"base_url": '"https://x.example"'} | {field: value}
            said = [
                f"{key} = {{ {each} }}" if " = " in each else f"{key} = {each}"
                for key, each in lines.items()
            ]
            found[f"{table}.{name}"] = f"[{table}]\n" + "\n".join(said), f"{table}.{field}"
    for clock in Timeouts().__slots__:
        if clock != "given":
            found[f"timeouts.{clock}"] = f"[timeouts]\n{clock} = 0", f"timeouts.{clock}"
    for bound in fields(Limits):
        found[f"limits.{bound.name}"] = f"[limits]\n{bound.name} = 0", f"limits.{bound.name}"
    return found


CASES = cases()


@pytest.mark.parametrize(("text", "key"), CASES.values(), ids=CASES)
def test_a_bad_value_is_named_with_its_file(text: str, key: str, tmp_path: Path) -> None:
    """Which of the files to open, and what to look for in it, come first."""
    path = tmp_path / "penstock.toml"
    path.write_text(f"{text}\n")

    with pytest.raises(UsageError) as caught:
        client_arguments(path)

    assert str(caught.value) == caught.value.message
    assert caught.value.message.startswith(f"{path}: {key}"), caught.value.message
    assert 1 == caught.value.message.count(str(path))


def test_every_key_has_a_bad_value() -> None:
    """What is accepted is here."""
    assert config._CLIENT == {name.partition(" ")[0] for name in CLIENT}
    assert {field.name for field in fields(Deployment) if field.init} == set(DEPLOYMENT)
    assert {field.name for field in fields(CustomProviderConfig)} - {"name"} == {
        name.partition(" ")[0] for name in PROVIDER
    }


def test_of_two_files_the_one_that_says_it_is_named(tmp_path: Path) -> None:
    """The values of a table may come from both."""
    user, project = tmp_path / "user.toml", tmp_path / "project.toml"
    user.write_text('[deployments.m]\nbase_url = "https://x.example"\nregion = "e u"\n')
    project.write_text('[deployments.m]\nmodel = "w"\n')

    with pytest.raises(UsageError, match=r"user\.toml: deployments\.m\.region") as caught:
        client_arguments(config.load_config([user, project]))

    assert "project" not in caught.value.message


def test_a_mapping_has_no_file() -> None:
    """Its key is named alone."""
    with pytest.raises(UsageError, match=r"^deployments\.m\.base_url: base_url must begin with"):
        client_arguments({"deployments": {"m": {"base_url": "x.example"}}})


def test_models_of_a_mount_are_not_the_files_to_know(tmp_path: Path) -> None:
    """Who gives a client more providers says their prefixes."""
    path = tmp_path / "penstock.toml"
    path.write_text('default_model = "codex/gpt-5.4"\n')

    assert "codex/gpt-5.4" == client_arguments(path, mounts={"codex"})["default_model"]
