"""What each failure comes to: a case for every row of `FAILURES`, over real servers."""

from __future__ import annotations

import json
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any

import mcp  # noqa: F401  # the package needs the extra
import pytest
import requests
from tests.sync.hillstar.conftest import RAW, model

from penstock.agents.mcp import calling
from penstock.errors import (
    AuthenticationError,
    DeadlineError,
    PenstockError,
    RateLimitError,
)
from penstock.simulator import SimulatorThread
from penstock.sync import hillstar
from penstock.sync.hillstar import FAILURES, Failure
from penstock.sync.hillstar.contract import raised

NOWHERE = "http://127.0.0.1:9"
"""The discard port: nothing listens."""
KINDS: dict[str, type[Exception]] = {
    "": PenstockError,
    "ValueError": ValueError,
    "RuntimeError": RuntimeError,
    "json.JSONDecodeError": json.JSONDecodeError,
    "requests.exceptions.RequestException": requests.exceptions.RequestException,
    "requests.exceptions.Timeout": requests.exceptions.Timeout,
}

Fail = Callable[[str], Any]
"""Calls a model, at the simulator's address, such that it fails."""


def says(owner: str, name: str, **options: Any) -> Fail:
    """Ask for the model string `name` of the simulator."""
    return lambda url: model(owner, url, name, **options).call("hi")


def slow(owner: str) -> Fail:
    """Ask a model that needs a minute, with a tenth of a second to spare."""

    def fail(url: str) -> Any:
        shim = model(owner, url, "echo?ttft=60")
        shim.timeout = 0.1
        return shim.call("hi")

    return fail


def keyless(owner: str) -> Fail:
    """Make one without a key."""
    return lambda url: model(owner, url, api_key=None)


def served(prompt: str, script: str = str(RAW), seconds: float = 30.0) -> Fail:
    """Ask a server of the tests'."""

    def fail(_url: str) -> Any:
        shim = hillstar.MCPModel("raw_mcp", "m", script)
        shim.timeout = seconds
        return shim.call(prompt)

    return fail


CLAUDE, MISTRAL, DEVSTRAL = "AnthropicModel", "MistralAPIModel", "DevstralLocalModel"
OLLAMA = "AnthropicOllamaAPIModel"
CASES: dict[tuple[str, str], tuple[Fail, str]] = {
    (CLAUDE, "API key missing"): (keyless(CLAUDE), "export ANTHROPIC_API_KEY"),
    (MISTRAL, "Missing API key"): (keyless(MISTRAL), "export MISTRAL_API_KEY"),
    ("OpenAIModel", "no key"): (keyless("OpenAIModel"), "export OPENAI_API_KEY"),
    ("GoogleAIStudioModel", "no key"): (keyless("GoogleAIStudioModel"), "export GOOGLE_API_KEY"),
    ("*", "a mistake in the call"): (
        lambda url: model(OLLAMA, url).call(7),
        "prompt is a str, not int",
    ),
    (CLAUDE, "API rate limit"): (says(CLAUDE, "echo?status=429"), "429"),
    (CLAUDE, "any other"): (says(CLAUDE, "echo?status=401"), "401"),
    ("OpenAIModel", "any"): (says("OpenAIModel", "echo?status=401"), "401"),
    ("GoogleAIStudioModel", "any"): (says("GoogleAIStudioModel", "echo?status=401"), "401"),
    (OLLAMA, "Ollama not running"): (says(OLLAMA, "echo", base_url=NOWHERE), "no connection"),
    (OLLAMA, "Model not available"): (says(OLLAMA, "echo?status=404"), "404"),
    (OLLAMA, "Timeout waiting for response"): (slow(OLLAMA), "longer than 0.1 s"),
    (OLLAMA, "Invalid API key"): (says(OLLAMA, "echo?status=401"), "401"),
    (OLLAMA, "any other"): (says(OLLAMA, "echo?status=400"), "400"),
    ("OllamaAPIModel", "any"): (says("OllamaAPIModel", "echo", endpoint=NOWHERE), "no connection"),
    (MISTRAL, "Rate limit exceeded"): (says(MISTRAL, "echo?status=429"), "429"),
    (MISTRAL, "Timeout"): (slow(MISTRAL), "longer than 0.1 s"),
    (MISTRAL, "Invalid model"): (says(MISTRAL, "nosuch"), "`nosuch` does not exist"),
    (MISTRAL, "any other"): (says(MISTRAL, "echo?status=401"), "401"),
    (DEVSTRAL, "Server not running"): (
        says(DEVSTRAL, "echo", endpoint=NOWHERE),
        f"llama.cpp server not responding at {NOWHERE}: no connection",
    ),
    (DEVSTRAL, "Timeout"): (slow(DEVSTRAL), "longer than 0.1 s"),
    (DEVSTRAL, "Insufficient VRAM"): (says(DEVSTRAL, "echo?fault=cut@1"), ""),
    (DEVSTRAL, "any other"): (says(DEVSTRAL, "echo?status=400"), "400"),
    ("MCPModel", "an error of the server's"): (served("refuse"), "out of coal"),
    ("MCPModel", "Invalid JSON response"): (served("noise"), "no JSON at all"),
    ("MCPModel", "Process spawn fails"): (served("hi", "/nonexistent/server"), "No such file"),
    ("MCPModel", "MCP server crashes"): (served("die"), "the boiler burst"),
    ("MCPModel", "any other"): (served("hang", seconds=1.0), "longer than 1 s"),
}


def test_every_row_has_a_case() -> None:
    """And every case a row."""
    assert list(CASES) == [(row.owner, row.failure) for row in FAILURES]


@pytest.mark.parametrize("row", FAILURES, ids=lambda row: f"{row.owner}: {row.failure}")
def test_a_failure_comes_to_what_its_row_says(
    monkeypatch: pytest.MonkeyPatch, simulator: SimulatorThread, row: Failure
) -> None:
    """An error dict of hillstar's keys, or an error of the row's kind that pickles."""
    monkeypatch.setattr(calling, "_GRACE", 0.05)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.url)
    fail, words = CASES[row.owner, row.failure]
    if row.outcome == "dict":
        result = fail(simulator.url)
        assert [None, 0] == [result["output"], result["tokens_used"]]
        assert {"output", "model", "tokens_used", "provider", "error"} == set(result)
        assert words in result["error"]
        assert isinstance(result.failure, row.errors)
        return
    with pytest.raises(KINDS[row.kind]) as failure:
        fail(simulator.url)
    error = failure.value
    copy = pickle.loads(pickle.dumps(error))

    assert isinstance(error, row.errors)
    assert words in str(error)
    assert (type(error), str(error)) == (type(copy), str(copy))


def test_an_error_of_the_protocol_is_the_servers_too() -> None:
    """It works, and says that it has no result."""
    result = served("fault:-32000")("")

    assert "no such thing" in result["error"]
    assert "raw_mcp/execute_task" == result.failure.deployment


def test_the_page_speaks_of_every_failure_that_is_the_seeds() -> None:
    """Two of llama.cpp's are connections that fail, and one needs an SDK that is not needed."""
    spoken = [
        *["API key missing", "API rate limit", "Ollama not running", "Model not available"],
        *["Timeout waiting for response", "Invalid API key", "Missing API key", "Invalid model"],
        *["Rate limit exceeded", "Timeout", "Server not running", "Insufficient VRAM", "Timeout"],
        *["Process spawn fails", "MCP server crashes", "Invalid JSON response"],
    ]
    elsewhere = ["Model not loaded", "Model file missing", "SDK not installed"]

    assert sorted(spoken) == sorted(row.failure for row in FAILURES if row.seed)
    page = _page()
    if page:
        assert [] == [words for words in (*spoken, *elsewhere) if words not in page]


def _page() -> str:
    from tests.test_seeds import PAGES, extract

    pages = extract.find_pages(PAGES)
    return pages["004"].read_text("utf-8") if pages else ""


def test_a_401_says_so() -> None:
    """Of Ollama's cloud it is the one failure that is raised."""
    error = AuthenticationError("HTTP 401: no", status=401)

    assert error is raised(error, "")
    assert 401 == error.status


@pytest.mark.parametrize(
    ("error", "kind", "base"),
    [
        (
            RateLimitError("slow down", retry_after=2.0),
            "requests.exceptions.RequestException",
            OSError,
        ),
        (DeadlineError("too long"), "requests.exceptions.Timeout", TimeoutError),
    ],
)
def test_without_requests_its_errors_base_is_raised(
    monkeypatch: pytest.MonkeyPatch, error: PenstockError, kind: Any, base: type[Exception]
) -> None:
    """penstock loads it for nobody; what was pickled with it is read without it."""
    pickled = pickle.dumps(raised(error, kind))
    monkeypatch.delitem(sys.modules, "requests.exceptions")
    for each in (raised(error, kind), pickle.loads(pickled)):
        assert isinstance(each, base)
        assert isinstance(each, type(error))
        assert not isinstance(each, requests.exceptions.RequestException)
        assert (error.message, error.retry_after) == (each.message, each.retry_after)


def test_what_is_no_json_says_where() -> None:
    """``msg``, ``doc`` and ``pos`` are the standard library's."""
    from penstock.errors import ProtocolError

    error: Any = raised(ProtocolError("no", body='{"a": 1'), "json.JSONDecodeError")

    assert ("no", '{"a": 1', 7, "Expecting ',' delimiter") == (
        str(error),
        error.doc,
        error.pos,
        error.msg,
    )
    assert vars(error) == vars(pickle.loads(pickle.dumps(error)))


@pytest.mark.parametrize(
    "fail",
    [
        lambda: hillstar.OpenAIModel("m", "the-key-itself", f"{NOWHERE}/v1"),
        lambda: hillstar.AnthropicModel("m", "the-key-itself"),
        lambda: hillstar.MCPModel("raw_mcp", "m", "/nonexistent/server", "the-key-itself"),
        lambda: hillstar.OpenAIModel("m", "the-key-itself", "no address"),
        lambda: hillstar.AnthropicOllamaAPIModel("m", "no address", "the-key-itself"),
    ],
)
def test_a_traceback_shows_neither_prompt_nor_key(
    monkeypatch: pytest.MonkeyPatch, fail: Callable[[], Any]
) -> None:
    """Not even one that shows every local variable of ours (fault matrix, 39)."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", NOWHERE)
    with pytest.raises(PenstockError) as failure:
        fail().call("the prompt itself", system="the system prompt")
    seen = traceback.TracebackException.from_exception(failure.value, capture_locals=True)
    ours = [frame for frame in seen.stack if frame.filename != __file__]

    assert ours
    assert "itself" not in str([(frame.locals, frame.name) for frame in ours])
    assert "the system prompt" not in str([frame.locals for frame in ours])
    assert len(ours) < 6
