"""What is known of models: `penstock.providers.facts`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider

from penstock.cli.models import list_models
from penstock.errors import MissingExtraError
from penstock.providers import facts
from penstock.providers.catalogue import catalogue
from penstock.providers.facts import ModelFacts, model_facts
from penstock.simulator import Simulator


def provider(name: str, *models: ModelInfo) -> Provider:
    """A provider of the library's table."""
    return Provider(id=name, name=name, api_pattern="-", models=list(models))


def model(name: str, window: int | None = None, deprecated: bool | None = None) -> ModelInfo:
    """A model of the library's table."""
    return ModelInfo(
        id=name,
        match=ClauseEquals(name),
        context_window=window,
        deprecated=deprecated,
        prices=ModelPrice(),
    )


@pytest.fixture
def table() -> object:
    """A table of two providers that both serve ``gpt-x``."""
    set_custom_snapshot(
        DataSnapshot(
            providers=[
                provider("openai", model("gpt-x", 1000), model("gpt-old", None, True)),
                provider("x-ai", model("gpt-x", 7), model("grok-x", 9)),
            ],
            from_auto_update=False,
        )
    )
    yield None
    set_custom_snapshot(None)


@pytest.mark.usefixtures("table")
def test_what_is_known_is_that_provider_s() -> None:
    """Facts of one provider are never said of another's model with the same name."""
    assert ModelFacts(provider="openai", id="gpt-x", context_window=1000) == model_facts(
        "openai/gpt-x"
    )
    for same in ("xai/gpt-x", "xai:gpt-x", "XAI/gpt-x"):
        known = model_facts(same)
        assert known is not None
        assert ("xai", 7) == (known.provider, known.context_window)
    assert ModelFacts(provider="openai", id="gpt-old", deprecated=True) == model_facts("gpt-old")


@pytest.mark.usefixtures("table")
def test_what_nobody_knows_is_none() -> None:
    """A model the library does not have, a provider it does not have, and no provider."""
    for unknown in ("openai/none", "groq/gpt-x", "sim/echo", "own/gpt-x", "gpt-x-unknown", "", "/"):
        assert model_facts(unknown) is None


def test_the_library_has_every_provider_that_the_table_names() -> None:
    """Its names and the catalogue's, on both sides."""
    theirs = {each.id for each in facts._snapshot().providers}

    assert set(facts._THEIRS) <= set(catalogue())
    assert set(facts._THEIRS.values()) <= theirs
    known = model_facts("haiku")
    assert known is not None
    assert known.context_window == 200_000


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install; nothing is imported before."""
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)

    with pytest.raises(MissingExtraError, match=r"penstock\[prices\]"):
        model_facts("openai/gpt-5")

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, penstock.providers.facts; sys.exit('genai_prices' in sys.modules)",
        ],
        check=False,
    )
    assert 0 == done.returncode


@pytest.mark.asyncio
async def test_the_command_adds_what_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``penstock models --facts``: the tokens that a model takes, and whether it will go."""
    monkeypatch.setenv("PENSTOCK_CONFIG", "")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    known = provider("openai", model("echo", 1000, True))
    set_custom_snapshot(DataSnapshot(providers=[known], from_auto_update=False))
    try:
        async with Simulator() as sim:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{sim.url}/v1")
            assert 0 == await list_models("openai", with_facts=True, as_json=False)
            lines = capsys.readouterr().out.splitlines()
            assert 0 == await list_models("openai", with_facts=True, as_json=True)
            served = json.loads(capsys.readouterr().out)["openai"]
    finally:
        set_custom_snapshot(None)

    assert "openai/echo  (1000 tokens, deprecated)" in lines
    assert "openai/text" in lines
    assert {"id": "echo", "name": None, "context_window": 1000, "deprecated": True} in served
    assert {"id": "text"} in served
