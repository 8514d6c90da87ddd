"""What a prompt comes to: answers, errors that are raised, failures that are returned."""

from __future__ import annotations

import json
import logging
import pickle
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.agents.cli.conftest import VECTORS
from tests.sync.chia.conftest import APIS, MODULES, PROGRAMS, WIRES, Stage
from tests.sync.chia.effects import asked

from penstock.errors import (
    ConfigurationError,
    ConversationError,
    LimitExceededError,
    PenstockError,
    ProtocolError,
    StreamClosedError,
    ToolCrashedError,
    UsageError,
)
from penstock.simulator.behavior import Behavior, parse
from penstock.simulator.rules import Rules
from penstock.sync.chia import DEPARTURES, QueryResult, _calls
from penstock.sync.chia._calls import Said
from penstock.sync.chia._cli import _Tee
from penstock.sync.chia.claude import ClaudeCodeLLM, ClaudeCodeQueryResult
from penstock.sync.chia.codex import CodexLLM, CodexQueryResult
from penstock.sync.chia.openai_compat import OpenAICompatLLM

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="platform: a script as a program")

RESULTS = {"ClaudeCodeLLM": ClaudeCodeQueryResult, "CodexLLM": CodexQueryResult}


@pytest.mark.parametrize("name", MODULES)
def test_an_answer_is_a_result(stage: Stage, name: str) -> None:
    """Its text, code 0, success, no error; in the class that the seed says."""
    result = stage.ask(name).result

    assert RESULTS.get(name, QueryResult) is type(result)
    assert (0, True, None) == (result.returncode, result.success, result.error)
    if name in APIS:
        assert ("one two", "") == (result.result, result.stderr)
        assert "one two" == json.loads(result.stream_result.splitlines()[0])["text"]
    else:
        assert "Hello" in result.result


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_a_program_printed_is_all_there(stage: Stage, name: str) -> None:
    """``stream_result`` is its output, byte for byte; ``stderr`` the end of what it said there."""
    wire = WIRES[name]
    printed = (stage.folder if name == "AntigravityLLM" else VECTORS) / wire
    seen = stage.ask(name, plays={"wire": wire, "stderr": "a warning\n"})

    assert printed.read_text() == seen.result.stream_result
    assert "a warning\n" == seen.result.stderr


def test_claude_codes_transcript_comes_back(stage: Stage) -> None:
    """And Codex' state: the files that a session needs to go on elsewhere."""
    rollout = "sessions/2026/11/28/rollout-x-01a1fb35-f9ca-7522-ba00-64494f37e62b.jsonl"
    plays = {"wire": WIRES["CodexLLM"], "files": {f".codex/{rollout}": "{}\n"}}
    result = stage.ask("CodexLLM", plays=plays).result

    assert "01a1fb35-f9ca-7522-ba00-64494f37e62b" == result.session_id
    assert ({rollout: b"{}\n"}, (rollout,)) == (result.session_state, result.session_state_paths)


def test_codex_goes_on_from_a_result(stage: Stage) -> None:
    """On another machine: the state is put where Codex finds it, and the thread is resumed."""
    rollout = "sessions/2026/11/28/rollout-y-01a1fb35-f9ca-7522-ba00-64494f37e62b.jsonl"
    result = CodexQueryResult(
        *("", 0, "", ""),
        session_id="01a1fb35-f9ca-7522-ba00-64494f37e62b",
        session_state={rollout: b"[]\n"},
        session_state_paths=(rollout,),
    )
    llm = CodexLLM(resume_session=True)
    llm.restore(result)
    stage.plays(WIRES["CodexLLM"])
    seen = stage.seen(pickle.loads(pickle.dumps(llm)), "two", [])

    assert ["exec", "resume"] == seen.argv[:2]
    assert b"[]\n" == (stage.home / ".codex" / rollout).read_bytes()


def test_the_api_goes_on_from_a_result_too(stage: Stage) -> None:
    """``backend="api"`` has a conversation for a session, which travels in the transcript."""
    first = ClaudeCodeLLM("echo", "Brief.", backend="api", resume_session=True)
    answered = first.prompt("one")
    second = ClaudeCodeLLM("echo", "Brief.", backend="api", resume_session=True)
    second.restore(pickle.loads(pickle.dumps(answered)))
    seen = stage.seen(second, "two", [])
    said = [(each["role"], each["content"][0]["text"]) for each in seen.body["messages"]]

    assert [("user", "one"), ("assistant", "one"), ("user", "two")] == said
    assert 3 == len(stage.seen(first, "two", []).body["messages"])
    first.close()
    second.close()


@pytest.mark.parametrize("kind", [ClaudeCodeLLM, CodexLLM])
def test_only_a_resuming_shim_takes_a_session(kind: type[ClaudeCodeLLM | CodexLLM]) -> None:
    """One that begins anew with each prompt says so, and one without a session is none."""
    result: Any = ClaudeCodeQueryResult("", 0, "", "", session_transcript=b"{}")
    empty: Any = ClaudeCodeQueryResult("", 0, "", "")
    if kind is CodexLLM:
        result = CodexQueryResult("", 0, "", "", session_id="1", session_state={"a": b""})
        empty = CodexQueryResult("", 0, "", "")

    with pytest.raises(ConfigurationError, match="resume_session=True"):
        kind().restore(result)
    with pytest.raises(ConversationError, match="no session"):
        kind(resume_session=True).restore(empty)
    if kind is ClaudeCodeLLM:  # its id is its file's name
        with pytest.raises(ConversationError, match="no session's name"):
            kind(resume_session=True).restore(result)


CAPTURES = [
    ("ClaudeCodeLLM", "claude_code/claude-code-auth-401.jsonl", "AuthenticationError", 1),
    ("ClaudeCodeLLM", "claude_code/claude-code-not-logged-in.jsonl", "AuthenticationError", 1),
    ("ClaudeCodeLLM", "claude_code/claude-code-billing-402.jsonl", "BillingError", 1),
    ("ClaudeCodeLLM", "claude_code/claude-code-unknown-model-404.jsonl", "InvalidRequestError", 1),
    ("ClaudeCodeLLM", "claude_code/claude-code-refusal.jsonl", "InvalidRequestError", 1),
    ("ClaudeCodeLLM", "claude_code/claude-code-rate-limit-429-api-key.jsonl", "RateLimitError", 1),
    ("ClaudeCodeLLM", "claude_code/claude-code-overloaded-529.jsonl", "ServerError", 3),
    ("ClaudeCodeLLM", "claude_code/claude-code-max-output-tokens.jsonl", "MaxOutputTokensError", 2),
    ("CodexLLM", "codex/codex-exec-auth-401.jsonl", "AuthenticationError", 1),
    ("CodexLLM", "codex/codex-exec-quota-429-insufficient-quota.jsonl", "BillingError", 1),
    ("CodexLLM", "codex/codex-exec-context-window-400.jsonl", "InvalidRequestError", 1),
    ("CodexLLM", "codex/codex-exec-rate-limit-429.jsonl", "RateLimitError", 1),
    ("CodexLLM", "codex/codex-exec-server-error-503.jsonl", "ServerError", 3),
    ("CodexLLM", "codex/codex-exec-max-output-tokens.jsonl", "MaxOutputTokensError", 2),
    ("OpenCodeLLM", "opencode/opencode-run-auth-401.jsonl", "AuthenticationError", 1),
    ("OpenCodeLLM", "opencode/opencode-run-payment-402.jsonl", "BillingError", 1),
    ("OpenCodeLLM", "opencode/opencode-run-content-filter.jsonl", "InvalidRequestError", 1),
    ("OpenCodeLLM", "opencode/opencode-run-rate-limit-429.jsonl", "RateLimitError", 1),
    ("OpenCodeLLM", "opencode/opencode-run-max-output-tokens.jsonl", "MaxOutputTokensError", 2),
]


@pytest.mark.parametrize(("name", "wire", "kind", "times"), CAPTURES)
def test_what_is_classified_is_raised(
    stage: Stage, name: str, wire: str, kind: str, times: int
) -> None:
    """At once, a server's failure after every try, a cut answer after one more."""
    code = 0 if "opencode-run-max" in wire else 1
    seen = stage.ask(name, plays={"wire": wire, "code": code}, retries=2)

    assert (kind, times) == (type(seen.result).__name__, asked(seen))
    assert MODULES[name] == type(seen.result).__module__.rpartition(".")[2]
    assert seen.result.exit_code in (code, -1)  # where it had not exited yet, it was ended


AGY = [
    ("error: You are not logged into Antigravity", 1, "AuthenticationError", 1),
    ("error: Your AI credits balance is too low", 1, "BillingError", 1),
    ('AGY_ERROR: {"short_error":"busy","http_code":503}', 3, "ServerError", 2),
    ("error: Individual quota reached. Resets in 2h0m0s.", 1, "RateLimitError", 1),
]


@pytest.mark.parametrize(("stderr", "code", "kind", "times"), AGY)
def test_agys_words_are_classified(
    stage: Stage, stderr: str, code: int, kind: str, times: int
) -> None:
    """By the lines of stderr that speak of the turn."""
    plays = {"wire": "", "stderr": f"{stderr}\n", "code": code}
    seen = stage.ask("AntigravityLLM", plays=plays, retries=1)

    assert (kind, times) == (type(seen.result).__name__, asked(seen))


def test_a_limit_says_when_it_is_lifted(stage: Stage) -> None:
    """By the event that Claude Code prints, and by an API's header."""
    wire = "claude_code/claude-code-usage-limit-429-subscription.jsonl"
    error = stage.ask("ClaudeCodeLLM", plays={"wire": wire, "code": 1}).result
    line = next(each for each in (VECTORS / wire).read_text().splitlines() if "resetsAt" in each)
    resets = json.loads(line)["rate_limit_info"]["resetsAt"]
    limited = stage.ask("GroqLLM", model="echo?fault=rate-limit&retry-after=7").result

    assert datetime.fromtimestamp(resets, UTC) == error.reset_time
    assert 1 == asked(stage.ask("ClaudeCodeLLM", plays={"wire": wire, "code": 1}))
    assert 429 == limited.status_code
    assert 7.0 == limited.retry_after


def test_a_cut_answer_has_what_came(stage: Stage) -> None:
    """``partial_text``; it is asked for twice, and the first half is not in the conversation."""
    seen = stage.ask("OpenAICompatLLM", model="text?tokens=2&finish=length", retries=3)

    assert "MaxOutputTokensError" == type(seen.result).__name__
    assert seen.result.partial_text == seen.result.partial.text != ""
    assert [["user"]] * 2 == [
        [each["role"] for each in json.loads(request.body)["messages"]] for request in seen.requests
    ]


@pytest.mark.parametrize(
    ("name", "model", "kind"),
    [
        ("OpenAICompatLLM", "echo?fault=context-length", "ContextLengthExceededError"),
        ("OpenAICompatLLM", "echo?fault=insufficient-quota", "BillingError"),
        ("OpenAICompatLLM", "echo?fault=invalid-key", "AuthenticationError"),
        ("OpenAICompatLLM", "nonsense", "InvalidRequestError"),
        ("OpenAICompatLLM", "echo?finish=content_filter", "InvalidRequestError"),
        ("VertexGeminiLLM", "echo?fault=content-filter-finish", "ContentBlockedError"),
        ("VertexGeminiLLM", "echo?status=403", "AuthenticationError"),
        ("BedrockLLM", "echo?status=429", "RateLimitError"),
    ],
)
def test_an_apis_errors_are_raised_at_once(stage: Stage, name: str, model: str, kind: str) -> None:
    """Asking again helps none of them."""
    seen = stage.ask(name, model=model)

    assert (kind, 1) == (type(seen.result).__name__, asked(seen))


def test_each_modules_own_words(stage: Stage) -> None:
    """Vertex says why something was blocked, and Bedrock has a word for a status."""
    blocked = stage.ask("VertexGeminiLLM", model="echo?fault=content-filter-finish").result
    throttled = stage.ask("BedrockLLM", model="echo?status=429").result

    assert "SAFETY" == blocked.block_reason
    assert "ThrottlingException" == throttled.status_code


def test_a_reset_may_be_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that says so waits for a limit's end, if that is near enough; none does by itself."""
    waits: list[float] = []
    monkeypatch.setattr(_calls, "sleep", waits.append)
    model = "echo?fault=rate-limit&retry-after=7&fail=1&key="
    for bound in (0.0, 5.0, 10.0):
        monkeypatch.setattr(OpenAICompatLLM, "wait_for_reset", bound)
        result = stage.ask("OpenAICompatLLM", model=f"{model}{bound}").result
        assert (bound == 10.0) is isinstance(result, QueryResult)

    assert [8.0] == waits


@pytest.mark.parametrize("name", ["OpenAICompatLLM", *PROGRAMS])
def test_what_nothing_classifies_is_returned(stage: Stage, name: str) -> None:
    """After every try: no text, code -1, no success, and the last error."""
    given: dict[str, Any] = {"plays": {"wire": "", "code": 0}}
    if name not in PROGRAMS:
        given = {"model": "echo?fault=bad-json"}
    seen = stage.ask(name, retries=2, **given)
    result = seen.result

    assert 3 == asked(seen)
    assert ("", -1, False) == (result.result, result.returncode, result.success)
    assert type(result.error).__name__.startswith("Unknown")
    assert pickle.loads(pickle.dumps(result)).error.__dict__ == result.error.__dict__


def test_opencodes_code_is_its_own(stage: Stage) -> None:
    """``returncode`` is the program's, as the seed says of it."""
    plays = {"wire": "opencode/opencode-run-model-not-in-config.jsonl", "code": 1}
    result = stage.ask("OpenCodeLLM", plays=plays, retries=0).result

    assert (False, 1) == (result.success, result.returncode)


def test_a_bound_of_ours_is_not_tried_again(stage: Stage) -> None:
    """A run of too many steps would only be as long once more."""
    seen = stage.ask("OpenAICompatLLM", model="tools", max_tool_iterations=2, retries=3)
    tools = [each for each in seen.records if "tool_result" in each.getMessage()]

    assert (True, 2) == (seen.result.success, asked(seen))
    again = stage.ask("OpenAICompatLLM", model="tools", max_tool_iterations=1, retries=3)
    assert isinstance(again.result.error.__cause__, LimitExceededError)
    assert 1 == asked(again)
    assert tools


class Failing(OpenAICompatLLM):
    """A model whose every try ends with one error."""

    error: PenstockError
    said = Said()
    tries = 0

    def _turn(self, message: str, tools: Sequence[Any]) -> Any:
        del message, tools
        return self

    async def run(self, tell: object) -> None:
        """Fail."""
        del tell
        self.tries += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (LimitExceededError("too long"), 1),
        (ToolCrashedError("it broke"), 1),
        (ConversationError("it is gone"), 1),
        (StreamClosedError("closed"), 1),
        (ProtocolError("no HTTP"), 3),
        (PenstockError("who knows"), 3),
    ],
    ids=lambda each: type(each).__name__,
)
@pytest.mark.usefixtures("stage")  # without waits
def test_what_another_try_would_meet_again_ends_a_prompt(error: PenstockError, tries: int) -> None:
    """Of what nothing classifies: it ends without a success at once, and all else after retries.

    `DEPARTURES` says so of ``prompt``.
    """
    llm = Failing("m", retries=2)
    llm.error = error
    result = llm.prompt("x")

    assert (False, -1, tries) == (result.success, result.returncode, llm.tries)
    assert error is result.error.__cause__  # type: ignore[union-attr]  # it has one
    assert "*.prompt" in {each.name for each in DEPARTURES}


def test_an_answer_about_a_limit_is_an_answer(stage: Stage) -> None:
    """Nothing looks at what a model wrote."""
    said = "You've hit your limit: rate limit exceeded, 429"

    assert said == stage.ask("OpenAICompatLLM", said).result.result


def test_a_retry_goes_on_where_the_last_try_was(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a tool has done is not done again."""

    def resolve(*_: object) -> Behavior:
        second = len(stage.simulator.requests) - before == 2
        return parse("tools?status=500" if second else "tools")

    before, called = len(stage.simulator.requests), list[int]()
    monkeypatch.setattr(Rules, "resolve", resolve)

    def act(x: int) -> str:
        """Do it once."""
        called.append(x)
        return "done"

    llm = OpenAICompatLLM("any", base_url=f"{stage.url}/v1", api_key="k")
    seen = stage.seen(llm, "act", [act])
    llm.close()

    assert (True, 3, 1) == (seen.result.success, asked(seen), len(called))


def test_a_wrong_prompt_is_said_at_once() -> None:
    """A prompt is a str, a backend one of two, a program must be there."""
    with pytest.raises(UsageError, match="a prompt is a str, not list"):
        OpenAICompatLLM("m").prompt(["x"])  # type: ignore[arg-type]  # that is what is tested
    with pytest.raises(ConfigurationError, match='"cli" or "api"'):
        ClaudeCodeLLM(backend="sdk")
    with pytest.raises(ConfigurationError, match="cannot start"):
        CodexLLM(codex_bin="no-such-program").prompt("x")


class Flood:
    """A wire that has more than anybody keeps."""

    def __init__(self) -> None:
        self._pieces = iter([b"12345", b"678", b"9", b""])

    async def read(self) -> bytes:
        """Return the next piece."""
        return next(self._pieces)


@pytest.mark.asyncio
async def test_a_flood_is_kept_up_to_a_bound() -> None:
    """``stream_result`` ends at ``Limits.max_answer``, and says how much more there was."""
    tee = _Tee(Flood(), 6)  # type: ignore[arg-type]  # a wire, as far as it is read
    read = [await tee.read() for _ in range(4)]

    assert [b"12345", b"678", b"9", b""] == read
    assert "123456\n[3 more bytes]\n" == tee.text()


def test_what_is_retried_is_logged(stage: Stage) -> None:
    """A warning for each try that failed, without what was said."""
    seen = stage.ask("OpenAICompatLLM", model="echo?status=500", retries=1)
    warned = [r.getMessage() for r in seen.records if r.levelno == logging.WARNING]

    assert [
        "try 1: ServerError; once more in 0.000 s",
        "try 2: ServerError; no more tries",
    ] == warned
