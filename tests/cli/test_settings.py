"""What the command line shows of its settings and of the catalogue: `penstock.cli.settings`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer  # noqa: F401  # what a bare installation leaves out, and this module with it

from penstock.cli.pick import pick
from penstock.cli.providers import list_providers
from penstock.cli.settings import configured, masked_key, show_config
from penstock.errors import ConfigurationError, UsageError
from penstock.providers.catalogue import CAPABILITIES, catalogue

pytestmark = pytest.mark.asyncio

KEY = "sk-canary-0123456789abcdef"
END = "***cdef"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave nothing configured but what a test says; be in a project with a user's directory."""
    for row in catalogue().values():
        for name in (*row.key_env, *row.base_url_env, *row.host_env):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PENSTOCK_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    (tmp_path / ".config/penstock").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


async def test_each_setting_says_where_it_is_from(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both files, a variable and the defaults; a default that a file replaces is not shown."""
    (home / ".config/penstock/penstock.toml").write_text("max_retries = 5\n")
    (home / "project/penstock.toml").write_text(
        '[timeouts]\nttft = 3\n[aliases]\nhaiku = "groq/x"\n"my.own" = "groq/y"\n'
    )
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://far.example/v1")

    assert 0 == await show_config(origin=False, as_json=True)
    shown = json.loads(capsys.readouterr().out)

    user, project = "~/.config/penstock/penstock.toml", "./penstock.toml"
    for name, value, origin in (
        ("max_retries", 5, user),
        ("timeouts.ttft", 3, project),
        ("timeouts.total", 1800.0, "default"),
        ("aliases.haiku", "groq/x", project),
        ('aliases."my.own"', "groq/y", project),
        ("keys.groq", END, "$GROQ_API_KEY"),
        ("openai.base_url", "https://far.example/v1", "$OPENAI_BASE_URL"),
    ):
        assert {"value": value, "origin": origin} == shown[name], name
    assert "default" == shown["aliases.sonnet"]["origin"]
    assert "default" == shown["limits.body_buffer"]["origin"]


async def test_lines_are_toml_and_origins_are_comments(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files come first, nearest last; only ``--origin`` says whose each line is."""
    (home / "project/penstock.toml").write_text("max_retries = 5\n")

    await show_config(origin=False, as_json=False)
    plain = capsys.readouterr().out.splitlines()
    await show_config(origin=True, as_json=False)
    told = capsys.readouterr().out.splitlines()

    assert ["# ./penstock.toml", "max_retries = 5"] == plain[:2]
    assert told[1].startswith("max_retries = 5 ")
    assert told[1].endswith("# ./penstock.toml")
    assert len(plain) == len(told)


async def test_no_key_is_printed(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of files and of the environment are masked, in headers as well; others are shown."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    (home / "project/penstock.toml").write_text(f"""
        headers = {{ x-api-key = "{KEY}", x-team = "blue" }}
        keys.groq = "{KEY}"
        keys.mistral = "env:OF_MINE"
        [deployments.m]
        base_url = "https://far.example/v1"
        api_key = "{KEY}"
        headers = {{ authorization = "{KEY}" }}
    """)

    for as_json in (True, False):
        await show_config(origin=True, as_json=as_json)
        printed = capsys.readouterr().out
        assert "canary" not in printed
        assert 5 == printed.count(END)
        assert "blue" in printed
        assert "env:OF_MINE" in printed


async def test_no_password_of_an_address_is_printed(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy's, and one that a variable has by mistake."""
    monkeypatch.setenv("OLLAMA_HOST", "http://me:canary@box:9")
    (home / "project/penstock.toml").write_text('proxy = "http://me:canary@proxy.example:3128"\n')

    await show_config(origin=True, as_json=False)
    printed = capsys.readouterr().out

    assert "canary" not in printed
    assert "http://***@proxy.example:3128" in printed
    assert "http://***@box:9" in printed


@pytest.mark.usefixtures("home")
async def test_what_the_environment_says_of_an_address_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regions, projects, versions and headers have an effect, so their origin is told."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AZURE_API_VERSION", "2030-01-01")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")

    await show_config(origin=True, as_json=True)
    shown = json.loads(capsys.readouterr().out)

    for name, value, origin in (
        ("bedrock.region", "eu-central-1", "$AWS_REGION"),
        ("azure.api_version", "2030-01-01", "$AZURE_API_VERSION"),
        ("openai.headers.openai-organization", "org-1", "$OPENAI_ORG_ID"),
        ("max_retries", 2, "default"),
    ):
        assert {"value": value, "origin": origin} == shown[name], name


async def test_a_key_that_the_environment_overrules_is_not_shown(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line a setting: the one that holds."""
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    (home / "project/penstock.toml").write_text('keys.groq = "env:OF_MINE"\n')

    await show_config(origin=True, as_json=False)

    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("keys.groq")]
    assert line.endswith("# $GROQ_API_KEY")


@pytest.mark.parametrize(
    "text",
    [
        'default_model = "nosuch/x"',
        "max_retries = -1",
        "aliases.fast = 3",
        'keys.nosuch = "k"',
        'fallbacks.a = "b"',
        'deployments.m = { base_url = "https://x.example", dialect = "opnai_chat" }',
        'headers = { "x y" = "z" }',
    ],
)
async def test_a_value_that_no_client_takes_is_an_error_of_the_command(
    text: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not only names of keys: what they hold, too."""
    (home / "project/penstock.toml").write_text(f"{text}\n")

    with pytest.raises(UsageError):
        await show_config(origin=True, as_json=False)

    assert "" == capsys.readouterr().out


async def test_a_short_key_shows_nothing() -> None:
    """The end of a short one would be too much of it."""
    assert ("***", "***bcde") == (masked_key("k" * 19), masked_key("k" * 16 + "bcde"))
    assert "***bcd?" == masked_key("k" * 16 + "bcd\n")


async def test_what_is_not_valid_is_said_before_anything_is_shown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt key is an error of this command, not of the first call."""
    (home / "project/penstock.toml").write_text("max_retry = 5\n")

    with pytest.raises(ConfigurationError, match="max_retries"):
        await show_config(origin=True, as_json=False)

    assert "" == capsys.readouterr().out


async def test_the_command_line_takes_the_files(home: Path) -> None:
    """The model of the files is picked, and says so; a client of the files has their settings."""
    (home / "project/penstock.toml").write_text('default_model = "groq/x"\n')

    picked = await pick(None)

    assert "groq/x" == picked.model
    assert "./penstock.toml" in picked.why
    assert "groq/x" == configured()._default_model


# The catalogue.


async def test_a_provider_with_everything_that_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One, by an alias, as JSON."""
    monkeypatch.setenv("GROQ_API_KEY", KEY)

    assert 0 == await list_providers("groq", ready=False, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)

    assert "https://api.groq.com/openai/v1" == row["base_url"]
    assert ("bearer", ["GROQ_API_KEY"], "GROQ_API_KEY") == (
        row["auth"],
        row["key_env"],
        row["key_found_in"],
    )
    assert set(CAPABILITIES) == set(row["capabilities"])
    assert row["source"]


async def test_all_providers_a_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each says what it speaks and which variable it wants, or why nobody can chat with it."""
    monkeypatch.setenv("MISTRAL_API_KEY", KEY)

    await list_providers(None, ready=False, as_json=False)
    out, err = capsys.readouterr()

    lines = {line.split()[0]: line for line in out.splitlines()}
    assert set(catalogue()) == set(lines)
    assert "(set GROQ_API_KEY)" in lines["groq"]
    assert "(key in $MISTRAL_API_KEY)" in lines["mistral"]
    assert "(credentials by aws_sigv4)" in lines["bedrock"] or "(set AWS" in lines["bedrock"]
    assert "not to chat with: " in lines["tavily"]
    assert f"{len(lines)} providers, " in err
    assert KEY not in out


async def test_only_those_that_are_ready(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key in the environment makes one ready."""
    await list_providers(None, ready=True, as_json=False)
    before = capsys.readouterr().out
    monkeypatch.setenv("MISTRAL_API_KEY", KEY)
    await list_providers(None, ready=True, as_json=False)
    after = capsys.readouterr().out

    assert "mistral " not in before
    assert "mistral " in after


async def test_the_nearest_name_is_said() -> None:
    """A typo is a wrong call."""
    with pytest.raises(UsageError, match="did you mean mistral"):
        await list_providers("mistrall", ready=False, as_json=False)


async def test_providers_of_the_file_are_listed_first(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With their display name and what they can do, and by their own name."""
    (home / "project/penstock.toml").write_text(
        '[providers.house]\nbase_url = "https://h.example/v1"\ndisplay_name = "House"\n'
        'capabilities = ["vision"]\n'
    )

    await list_providers(None, ready=False, as_json=False)
    assert capsys.readouterr().out.startswith("house ")
    await list_providers("house", ready=False, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)

    assert ("House", "own", True) == (
        row["display_name"],
        row["checked"],
        row["capabilities"]["vision"],
    )
