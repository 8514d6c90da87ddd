"""Addresses that differ by user, and back from an address: `penstock.providers.addresses`."""

from __future__ import annotations

import pytest

from penstock.errors import ConfigurationError
from penstock.providers.addresses import located, row_at
from penstock.providers.catalogue import ProviderRow, find_row


def row(name: str) -> ProviderRow:
    """A row of the catalogue."""
    found = find_row(name)
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no variable that fills or moves what is asked for here."""
    for name in ("azure", "vertex_ai", "snowflake", "databricks", "openai", "groq", "bedrock"):
        for names in row(name).variables.values():
            for each in names:
                monkeypatch.delenv(each, raising=False)
        for each in (*row(name).base_url_env, *row(name).host_env, *row(name).version_env):
            monkeypatch.delenv(each, raising=False)


@pytest.mark.parametrize(
    ("name", "environment", "given", "base_url"),
    [
        (
            "azure",
            {"AZURE_RESOURCE_NAME": "acme"},
            {},
            "https://acme.openai.azure.com/openai",
        ),
        (
            "azure",
            {"AZURE_OPENAI_ENDPOINT": "https://own.example"},
            {},
            "https://own.example/openai",
        ),
        (
            "bedrock",
            {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "eu-west-1"},
            {},
            "https://bedrock-runtime.us-east-1.amazonaws.com",
        ),
        (
            "bedrock",
            {"AWS_REGION": "us-east-1"},
            {"region": "eu-central-1"},
            "https://bedrock-runtime.eu-central-1.amazonaws.com",
        ),
        (
            "vertex_ai",
            {"GOOGLE_CLOUD_PROJECT": "acme-1"},
            {},
            "https://aiplatform.googleapis.com/v1/projects/acme-1/locations/global",
        ),
        (
            "vertex_ai",
            {"GOOGLE_CLOUD_PROJECT": "acme-1", "GOOGLE_CLOUD_LOCATION": "us-east5"},
            {},
            "https://us-east5-aiplatform.googleapis.com/v1/projects/acme-1/locations/us-east5",
        ),
        (
            "vertex_ai",
            {"GOOGLE_CLOUD_PROJECT": "acme-1", "GOOGLE_CLOUD_LOCATION": "eu"},
            {},
            "https://aiplatform.eu.rep.googleapis.com/v1/projects/acme-1/locations/eu",
        ),
        (
            "databricks",
            {"DATABRICKS_HOST": "https://adb-1.azuredatabricks.net/"},
            {},
            "https://adb-1.azuredatabricks.net/serving-endpoints",
        ),
        ("groq", {"GROQ_BASE_URL": "https://g.example"}, {}, "https://g.example/openai/v1"),
        ("openai", {"OPENAI_BASE_URL": "https://o.example"}, {}, "https://o.example"),
    ],
)
def test_an_address_is_filled_by_deployment_environment_and_catalogue(
    name: str,
    environment: dict[str, str],
    given: dict[str, str | None],
    base_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In that order; a variable with a host alone gets the vendor's path, where it may."""
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)

    assert base_url == located(row(name), given).base_url


def test_who_said_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the doctor, and for ``config show --origin``."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme-1")

    said = located(row("vertex_ai"), {"region": "us-east5"}).said_by

    assert {
        "base_url": "catalogue",
        "project": "$GOOGLE_CLOUD_PROJECT",
        "region": "deployment",
    } == dict(said)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "azure",
            "leaves its resource open: set AZURE_RESOURCE_NAME, or set AZURE_OPENAI_ENDPOINT",
        ),
        (
            "bedrock",
            "leaves its region open: set AWS_REGION or AWS_DEFAULT_REGION, or pass region=",
        ),
        ("snowflake", "leaves its account open: set SNOWFLAKE_ACCOUNT"),
        ("custom", "has no address of its own: set CUSTOM_API_BASE"),
        ("databricks", "set DATABRICKS_API_BASE or DATABRICKS_HOST to the address"),
    ],
)
def test_what_is_open_names_every_way_to_fill_it(name: str, message: str) -> None:
    """The variables, the argument, or the whole address."""
    with pytest.raises(ConfigurationError, match=message):
        located(row(name))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("moonshot", "moonshot has no region 'mars': there is intl, cn"),
        ("openai", "openai has no region 'mars', nor any other"),
    ],
)
def test_a_region_that_a_vendor_lacks_is_refused(name: str, message: str) -> None:
    """It would be another region, or none, without a word."""
    with pytest.raises(ConfigurationError, match=message):
        located(row(name), {"region": "mars"})


@pytest.mark.parametrize("value", ["nope", "https://me:secret@x.example/v1", "https://x:99999/v1"])
def test_a_variable_that_holds_no_address_is_named(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user has many; what is secret in it is not shown."""
    monkeypatch.setenv("OPENAI_BASE_URL", value)

    with pytest.raises(ConfigurationError, match=r"\$OPENAI_BASE_URL, for openai") as caught:
        located(row("openai"))

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["evil.example/", "a@b", "a b", "x#", "..", "a/../b"])
def test_what_fills_an_address_leads_nowhere_else(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resource's name is one label: the key goes to the vendor's host and no other."""
    monkeypatch.setenv("AZURE_RESOURCE_NAME", value)

    with pytest.raises(ConfigurationError, match="the resource of azure is letters"):
        located(row("azure"))


@pytest.mark.parametrize(
    ("base_url", "key", "expected"),
    [
        ("https://api.openai.com/v1", "", "openai"),
        ("https://api.openai.com/elsewhere", "", "openai"),
        ("https://acme.openai.azure.com/openai/v1", "", "azure_v1"),
        ("https://acme.openai.azure.com/openai", "", "azure"),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com", "", "bedrock"),
        ("https://adb-1.azuredatabricks.net/serving-endpoints", "", "databricks"),
        ("https://api.z.ai/api/coding/paas/v4", "", "zai_coding"),
        ("https://api.z.ai/api/paas/v4", "", "zai"),
        ("https://api.moonshot.cn/v1", "", "moonshot"),
        ("https://api.minimax.io/v1", "", "minimax"),
        ("http://localhost:11434/v1", "", "ollama"),
        ("http://localhost:8000/v1", "", None),
        ("http://localhost:8000/v1", "vllm/x", "vllm"),
        ("https://openai.com.evil.example/v1", "", None),
        ("https://own.example/v1", "openai/x", None),
    ],
)
def test_a_provider_is_known_by_its_address(base_url: str, key: str, expected: str | None) -> None:
    """Whole hosts only; the longest path decides; a port that many share needs a name."""
    found = row_at(base_url, key)

    assert expected == (found.key if found is not None else None)
