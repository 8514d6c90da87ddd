"""hillstar's models behind HTTP: names, defaults, variables, results."""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mcp  # noqa: F401  # the package needs the extra
import pytest
from tests.sync.hillstar.conftest import model, told

from penstock.errors import InvalidRequestError, UsageError
from penstock.simulator import SimulatorThread
from penstock.sync import hillstar
from penstock.sync.hillstar import CallResult, ComplianceError
from penstock.testing import ScriptedProvider

HTTP = [
    *["AnthropicModel", "OpenAIModel", "GoogleAIStudioModel", "MistralAPIModel"],
    *["AnthropicOllamaAPIModel", "OllamaAPIModel", "DevstralLocalModel"],
]
PROVIDER = {cls.__name__: name for name, cls in hillstar.PROVIDERS.items()}
TEMPERATURE = {
    "GoogleAIStudioModel": "generationConfig.temperature",
    "OllamaAPIModel": "options.temperature",
}
TOKENS = {
    "GoogleAIStudioModel": "generationConfig.maxOutputTokens",
    "OllamaAPIModel": "options.num_predict",
}


@pytest.fixture(autouse=True)
def address(monkeypatch: pytest.MonkeyPatch, simulator: SimulatorThread) -> None:
    """Where `AnthropicModel` asks, which takes no address."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.url)


@pytest.mark.parametrize("owner", HTTP)
def test_a_call_returns_hillstars_dict(owner: str, simulator: SimulatorThread) -> None:
    """Its four keys and no other; the reply has the rest; the defaults are on the wire."""
    result = model(owner, simulator.url).call("Hello there")
    sent = told(simulator.requests[-1])

    assert {
        "output": "Hello there",
        "model": "echo",
        "tokens_used": result.reply.usage.total_tokens,
        "provider": PROVIDER[owner],
    } == result
    assert result["tokens_used"] > 0
    assert result["error"] is None
    assert "error" not in result
    with pytest.raises(KeyError):
        result["coffee"]
    assert ("stop", []) == (result.reply.finish_reason, result.reply.dropped)
    assert 7.3e-07 == sent[TEMPERATURE.get(owner, "temperature")]
    assert (2048 if owner == "DevstralLocalModel" else 4096) == sent[
        TOKENS.get(owner, "max_tokens")
    ]


def test_there_is_a_class_for_each_provider_of_the_page() -> None:
    """By the page's names."""
    from tests.test_seeds import SEEDS

    listed = json.loads((SEEDS / "names.json").read_text("utf-8"))["004"]["provider"]

    assert listed == sorted(hillstar.PROVIDERS)


@pytest.mark.parametrize(
    ("made", "sent"),
    [
        (lambda: hillstar.AnthropicModel(api_key="k"), "claude-haiku-4-5-20251001"),
        (lambda: hillstar.AnthropicModel(model="sonnet", api_key="k"), "claude-sonnet-4-6"),
        (lambda: hillstar.AnthropicModel("claude-x", "k"), "claude-x"),
    ],
)
def test_short_names_of_claude(made: Any, sent: str, simulator: SimulatorThread) -> None:
    """An alias or a full identifier; the simulator has neither, and says so."""
    shim = made()
    with pytest.raises(InvalidRequestError):
        shim.call("hi")

    assert sent == shim.model_name == told(simulator.requests[-1])["model"]


@pytest.mark.parametrize(
    ("given", "variable", "named", "sent"),
    [
        ({}, None, "mistral-medium-latest", "mistral-medium-latest"),
        ({"model": "mini"}, None, "ministral-3b", "ministral-3b-latest"),
        ({"model": "devstral"}, None, "devstral-2", "devstral-2512"),
        ({"model": "mistral-large-2411"}, None, "mistral-large-2411", "mistral-large-2411"),
        ({}, "code", "codestral-2508", "codestral-2508"),
        ({}, "pixtral-large", "pixtral-large", "pixtral-large"),
        ({"model": "small"}, "code", "mistral-medium-latest", "mistral-medium-latest"),
    ],
)
def test_short_names_of_mistral(
    monkeypatch: pytest.MonkeyPatch,
    simulator: SimulatorThread,
    given: dict[str, str],
    variable: str | None,
    named: str,
    sent: str,
) -> None:
    """``MISTRAL_MODEL`` stands in for a model that is not named; Mistral's own ids are sent."""
    if variable is not None:
        monkeypatch.setenv("MISTRAL_MODEL", variable)
    shim = hillstar.MistralAPIModel(**given, api_key="k", base_url=f"{simulator.url}/mistral/v1")
    with pytest.raises(InvalidRequestError):
        shim.call("hi")

    assert named == shim.model_name
    assert sent == told(simulator.requests[-1])["model"]


@pytest.mark.parametrize(
    ("owner", "variable", "header", "sent"),
    [
        ("AnthropicModel", "ANTHROPIC_API_KEY", "x-api-key", "from-there"),
        ("OpenAIModel", "OPENAI_API_KEY", "authorization", "Bearer from-there"),
        ("GoogleAIStudioModel", "GOOGLE_API_KEY", "x-goog-api-key", "from-there"),
        ("GoogleAIStudioModel", "GEMINI_API_KEY", "x-goog-api-key", "from-there"),
        ("MistralAPIModel", "MISTRAL_API_KEY", "authorization", "Bearer from-there"),
        ("AnthropicOllamaAPIModel", "ANTHROPIC_AUTH_TOKEN", "authorization", "Bearer from-there"),
    ],
)
def test_keys_come_from_the_providers_variable(
    monkeypatch: pytest.MonkeyPatch,
    simulator: SimulatorThread,
    owner: str,
    variable: str,
    header: str,
    sent: str,
) -> None:
    """The provider's own and no other's; a pickle takes none along and finds it again."""
    monkeypatch.setenv(variable, "from-there")
    shim = model(owner, simulator.url, api_key=None)
    copy = pickle.loads(pickle.dumps(shim))
    for each in (shim, copy):
        each.call("hi")
        assert sent == told(simulator.requests[-1])[f"header {header}"]

    assert b"from-there" not in pickle.dumps(shim)


def test_ollama_is_where_the_variable_says(
    monkeypatch: pytest.MonkeyPatch, simulator: SimulatorThread
) -> None:
    """Without it it is on this machine; a key is not needed, and a dummy is sent."""
    assert "http://localhost:11434" == _without_address(monkeypatch)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.url)
    result = hillstar.AnthropicOllamaAPIModel("echo").call("hi")

    assert "hi" == result["output"]
    assert "Bearer ollama" == told(simulator.requests[-1])["header authorization"]


def _without_address(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    return hillstar.AnthropicOllamaAPIModel().base_url


def test_no_vendors_sdk_is_needed(
    monkeypatch: pytest.MonkeyPatch, simulator: SimulatorThread
) -> None:
    """Where hillstar raises ImportError, nothing is missing here."""
    monkeypatch.setitem(sys.modules, "anthropic", None)

    assert "hi" == model("AnthropicModel", simulator.url).call("hi")["output"]


def test_a_model_that_refuses_the_default_temperature_is_asked_without_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once; from then on it is left out, and each result says so. One that was given stays."""
    refusal = InvalidRequestError("temperature must be 1", param="temperature", status=400)
    provider = ScriptedProvider([refusal], [["one"]], [["two"]], [refusal])
    call = scripted(provider).ask

    assert ["temperature"] == call("a", 5, None, None, 5)().reply.dropped
    assert ["temperature"] == call("b", 5, None, None, 5)().reply.dropped
    with pytest.raises(InvalidRequestError, match="temperature must be 1"):
        call("c", 5, 0.5, None, 5)()
    assert [7.3e-07, None, None, 0.5] == [
        request.params.get("temperature")  # type: ignore[attr-defined]
        for request in provider.requests
    ]
    assert 1 == sum("refuses the default temperature" in each for each in caplog.messages)


def test_another_mistake_is_not_the_temperatures() -> None:
    """A request that is refused for something else is not asked again."""
    provider = ScriptedProvider([InvalidRequestError("too long", status=400)], [["no"]])

    with pytest.raises(InvalidRequestError, match="too long"):
        scripted(provider).ask("a", 5, None, None, 5)()


def scripted(provider: ScriptedProvider) -> Any:
    """A caller of an `AnthropicModel` that a script answers."""
    from penstock.agents.streaming import stream_of
    from penstock.sync.hillstar.calling import Caller

    class Asks:
        def stream(self, model: Any, messages: Any, /, **options: Any) -> Any:
            return stream_of(provider, model, messages, **options)

        async def aclose(self) -> None:
            pass

    return Caller(
        hillstar.AnthropicModel, Asks(), asked="anthropic/m", model="m", provider="anthropic"
    )


@pytest.mark.parametrize("owner", ["AnthropicModel", "OpenAIModel", "MistralAPIModel"])
def test_no_key_is_an_error_at_once(owner: str) -> None:
    """It says which variable to export; another provider's key is not taken."""
    with pytest.raises(ComplianceError, match=r"export \w+_API_KEY, or pass api_key=") as failure:
        model(owner, "http://127.0.0.1:9", api_key=None)

    assert isinstance(failure.value, ValueError)


def test_a_prompt_is_a_text(simulator: SimulatorThread) -> None:
    """Anything else is a mistake that is told before a byte leaves."""
    with pytest.raises(UsageError, match="prompt is a str, not list"):
        model("OpenAIModel", simulator.url).call(["hi"])


def test_many_threads_share_a_model_and_the_process_has_one_portal(
    simulator: SimulatorThread,
) -> None:
    """Each gets its own answer."""
    before = portals()
    shims = [model(owner, simulator.url) for owner in HTTP]
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(shims[n % len(shims)].call, f"number {n}") for n in range(40)]
        answers = [each.result()["output"] for each in asked]

    assert [f"number {n}" for n in range(40)] == answers
    assert len(portals() - before) <= 1  # none where a test before started it


def portals() -> set[threading.Thread]:
    """The threads that run a portal's loop; clients of other tests may have theirs."""
    return {thread for thread in threading.enumerate() if thread.name == "penstock-portal"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="platform: no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_calls_too(simulator: SimulatorThread) -> None:
    """With connections of its own."""
    shim = model("OpenAIModel", simulator.url)
    assert "before" == shim.call("before")["output"]
    child = os.fork()
    if child == 0:
        os._exit(0 if shim.call("in the child")["output"] == "in the child" else 1)

    assert 0 == os.waitpid(child, 0)[1]
    assert "after" == shim.call("after")["output"]


def test_a_result_pickles() -> None:
    """As the dict that it is, with what it knows besides."""
    result = CallResult({"output": "x"}, None, InvalidRequestError("no"))
    copy = pickle.loads(pickle.dumps(result))

    assert result == copy == {"output": "x"}
    assert "no" == copy.failure.message
