"""Every recorded turn of an agent amounts to what the reference says of it.

The tables are the reference's, which describes what the CLIs were made to do by a scripted model
endpoint, not what this code makes of it.
"""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from tests.dialects.agents.captures import MAKERS, NOW, Capture, Played, captures, play

from penstock.chunks import Finish, ProviderEvent, ReasoningDelta, State, TextDelta, Usage
from penstock.interfaces import Ending
from penstock.testing.cuts import cuts

ALL = [each for agent in MAKERS for each in captures(agent)]

# What each failed turn is: the error's kind, status and code ("-": not said).
FAILURES: dict[str, dict[str, tuple[str, int | None, str | None]]] = {
    "antigravity_sdk": {
        "auth-401": ("authentication", 401, None),
        "rate-limit-429": ("rate_limit", 429, None),
        "server-error-500": ("server", 500, None),
    },
    "codex_server": {
        "auth-401": ("authentication", 401, None),
        "context-window-400": ("context_length", None, "context_window"),
        "interrupted": ("truncated", None, "interrupted"),
        "rate-limit-429": ("rate_limit", 429, None),
        "response-failed-quota": ("billing", None, "insufficient_quota"),
        "server-error-500": ("server", None, "server_error"),
        "unknown-model-404": ("not_found", None, "model_not_found"),
        "usage-limit-429": ("rate_limit", None, "usage_limit_reached"),
    },
    "opencode_events": {
        "aborted": ("truncated", None, "MessageAbortedError"),
        "auth-401": ("authentication", 401, "invalid_api_key"),
        "max-output-tokens": ("output_truncated", None, "length"),
        "model-not-in-config": ("not_found", None, "model_not_found"),
        "server-error-500-retries": ("server", None, "retry"),
    },
    "claude_code": {
        "2.1.197-auth-401": ("authentication", 401, "authentication_failed"),
        "auth-401": ("authentication", 401, "authentication_failed"),
        "auth-403": ("permission", 403, "authentication_failed"),
        "bad-flag": ("invalid_request", 1, "usage"),
        "billing-400-credit-too-low": ("billing", 400, "billing_error"),
        "billing-402": ("billing", 402, "billing_error"),
        "default-retries-auth-401": ("authentication", 401, "authentication_failed"),
        "default-retries-overloaded-529": ("overloaded", 529, "server_error"),
        "default-retries-rate-limit-429": ("rate_limit", 429, "rate_limit"),
        "default-retries-server-error-500": ("server", 500, "server_error"),
        "invalid-request-400": ("invalid_request", 400, "unknown"),
        "killed-by-sigterm": ("truncated", 143, None),
        "max-budget": ("limit_exceeded", None, None),
        "max-output-tokens": ("output_truncated", None, "max_output_tokens"),
        "max-turns": ("limit_exceeded", None, None),
        "not-logged-in": ("authentication", None, "authentication_failed"),
        "overloaded-529": ("overloaded", 529, "server_error"),
        "prompt-too-long-400": ("context_length", 400, "invalid_request"),
        "rate-limit-429-api-key": ("rate_limit", 429, "rate_limit"),
        "refusal": ("content_blocked", None, "refusal"),
        "resume-unknown-session": ("invalid_request", None, "session_not_found"),
        "root-refuses-bypass": ("invalid_request", 1, "usage"),
        "server-error-500": ("server", 500, "server_error"),
        "session-id-already-used": ("invalid_request", 1, "usage"),
        "stream-input-interrupted/1": ("truncated", None, "aborted_streaming"),
        "stream-input-interrupted/2": ("truncated", None, "aborted_streaming"),
        "unknown-model-404": ("not_found", 404, "model_not_found"),
        "usage-limit-429-subscription": ("rate_limit", 429, "usage_limit_reached"),
    },
    "codex": {
        "auth-401": ("authentication", 401, None),
        "auth-403": ("permission", 403, None),
        "bad-flag": ("invalid_request", 2, "usage"),
        "built-in-provider-bad-key": ("authentication", 401, None),
        "context-window-400": ("context_length", None, "context_window"),
        "default-retries-rate-limit-429": ("rate_limit", 429, None),
        "default-retries-server-error-500": ("server", None, "server_error"),
        "default-retries-stream-cut": ("server", None, "stream_disconnected"),
        "google-cloud-signed-out": ("authentication", None, "signed_out"),
        "invalid-request-400": ("invalid_request", 400, "invalid_value"),
        "killed-by-sigterm": ("truncated", -15, None),
        "max-output-tokens": ("output_truncated", None, "max_output_tokens"),
        "mcp-server-unreachable-required": ("invalid_request", 1, "usage"),
        "missing-env-key": ("authentication", None, "missing_key"),
        "not-a-git-repository": ("invalid_request", 1, "usage"),
        "payment-402": ("billing", 402, None),
        "prompt-too-large": ("invalid_request", 1, "input_too_large"),
        "quota-429-insufficient-quota": ("billing", None, "insufficient_quota"),
        "rate-limit-429": ("rate_limit", 429, None),
        "response-failed-context": ("context_length", None, "context_window"),
        "response-failed-quota": ("billing", None, "insufficient_quota"),
        "response-failed-rate-limit": ("rate_limit", None, "rate_limit_exceeded"),
        "response-failed-server-error": ("server", None, "stream_disconnected"),
        "resume-refuses-sandbox-flag": ("invalid_request", 2, "usage"),
        "resume-unknown-session": ("invalid_request", 1, "session_not_found"),
        "server-error-500": ("server", None, "server_error"),
        "server-error-503": ("unavailable", 503, None),
        "stream-cut": ("server", None, "stream_disconnected"),
        "unknown-model-404": ("not_found", None, "model_not_found"),
        "unknown-provider": ("invalid_request", 1, "usage"),
        "usage-limit-429": ("rate_limit", None, "usage_limit_reached"),
    },
    "opencode": {
        "auth-401": ("authentication", 401, "invalid_api_key"),
        "auth-403": ("permission", 403, "permission_denied"),
        "bad-config": ("invalid_request", 1, "usage"),
        "bad-flag": ("invalid_request", 1, "usage"),
        "content-filter": ("content_blocked", None, "ContentFilterError"),
        "context-window-400": ("context_length", None, "ContextOverflowError"),
        "invalid-request-400": ("invalid_request", 400, "invalid_value"),
        "max-output-tokens": ("output_truncated", None, "length"),
        "model-not-in-config": ("response", None, "UnknownError"),
        "model-not-in-config-with-logs": ("not_found", None, "model_not_found"),
        "payment-402": ("billing", 402, "payment_required"),
        "permission-asked-and-rejected": ("permission", None, "permission_rejected"),
        "rate-limit-429": ("rate_limit", 429, "rate_limit_exceeded"),
        "server-error-500": ("server", 500, "server_error"),
        "session-resumed-in-wrong-directory": ("truncated", -15, None),
        "unknown-model-404": ("not_found", 404, "model_not_found"),
        "unknown-session": ("invalid_request", 1, "session_not_found"),
    },
}

# Tokens of each turn of the scripted endpoint, which counts one request like the other: sent
# (cached ones included), made, read from the cache, thought.
TURN = {"claude_code": (118, 25, 11, 0), "codex": (120, 30, 20, 8), "opencode": (110, 22, 10, 4)}
TURN |= {"codex_server": TURN["codex"], "opencode_events": TURN["opencode"]}
# How many requests a turn made where it was not one; a Codex thread counts on.
REQUESTS = {
    ("claude_code", "bash-tool-permission-denied"): 2,
    ("claude_code", "bash-tool-permissions-bypassed"): 2,
    ("claude_code", "in-process-mcp-tool-over-stdio"): 2,
    ("claude_code", "json-schema-not-called"): 2,
    ("claude_code", "mcp-http-tool"): 2,
    ("claude_code", "mcp-tool-returns-error"): 2,
    ("codex", "command-read-only-sandbox"): 2,
    ("codex", "command-sandbox-bypassed"): 2,
    ("codex", "mcp-http-tool"): 2,
    ("codex", "mcp-http-tool-bypass"): 2,
    ("codex", "mcp-tool-needs-approval"): 2,
    ("codex", "mcp-tool-returns-error"): 2,
    ("codex", "session-resumed"): 2,
    ("codex", "session-resumed-on-another-machine"): 3,
    ("codex", "session-forked"): 4,
    ("codex_server", "in-process-dynamic-tool"): 2,
    ("codex_server", "mcp-http-tool"): 2,
    ("opencode", "bash-tool"): 2,
    ("opencode", "mcp-http-tool"): 2,
    ("opencode_events", "mcp-http-tool"): 2,
}


SUCCESS = {"codex_server": "success-with-deltas", "opencode_events": "two-turns/1"}
"""A plain turn that went well, where it is not called ``success``."""


def ids(capture: Capture) -> str:
    """The test's name."""
    return f"{capture.agent}-{capture.name}"


GOOD = [each for each in ALL if each.name not in FAILURES[each.agent]]
BAD = [each for each in ALL if each.name in FAILURES[each.agent]]


def plain(agent: str) -> Capture:
    """A plain turn that went well."""
    name = SUCCESS.get(agent, "success")
    return next(each for each in ALL if (each.agent, each.name) == (agent, name))


def played(capture: Capture) -> Played:
    """What the turn amounts to."""
    return play(capture, [capture.wire])


def only(answer: Played, kind: type, name: str = "") -> Any:  # Any: a chunk, or an event's data
    """The last chunk of `kind`, or the data of the last event called `name`."""
    found = [each for each in answer.chunks if isinstance(each, kind)]
    if name:
        found = [each.data for each in found if each.name == name]
    return found[-1]


def final_text(capture: Capture) -> str:
    """What the turn's last message is, found without the dialect."""
    if capture.agent == "claude_code":
        return str(capture.events()[-1]["result"])
    texts = []
    for event in capture.events():
        within = event.get("params") or event.get("properties") or event
        item = within.get("item") or within.get("part") or within
        if item.get("type") in ("agent_message", "agentMessage", "text", "TEXT_RESPONSE"):
            texts.append(item.get("text") or item.get("content"))
    return str(texts[-1])


def session_id(capture: Capture) -> str | None:
    """The session, found without the dialect."""
    for event in capture.events():
        within = event.get("params") or event.get("properties") or event
        for name in ("session_id", "thread_id", "threadId", "sessionID", "trajectory_id"):
            if name in within:
                return str(within[name])
    return None


def test_tables_name_every_turn() -> None:
    """No recorded failure is without its row, and no row without its turn."""
    for agent, rows in FAILURES.items():
        assert set(rows) <= {each.name for each in ALL if each.agent == agent}
    assert {(each.agent, each.name) for each in GOOD} >= set(REQUESTS)


@pytest.mark.parametrize("capture", GOOD, ids=ids)
def test_good_turn(capture: Capture) -> None:
    """Text, usage, session and end are the recorded ones."""
    answer = played(capture)
    count = REQUESTS.get((capture.agent, capture.name), 1)
    said = "".join(each.text for each in answer.chunks if isinstance(each, TextDelta))

    assert answer.error is None
    assert final_text(capture) == only(answer, ProviderEvent, "final_text")
    assert said.endswith(final_text(capture))
    if capture.agent in TURN:  # the SDK's steps have none
        usage = only(answer, Usage)
        assert tuple(count * each for each in TURN[capture.agent]) == (
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            usage.reasoning_tokens or 0,
        )
    sessions = [
        c.data["session_id"]
        for c in answer.chunks
        if isinstance(c, State) and "session_id" in c.data
    ]
    assert {session_id(capture)} == set(sessions)
    assert "stop" == only(answer, Finish).reason
    assert answer.chunks == pickle.loads(pickle.dumps(answer.chunks))


@pytest.mark.parametrize("capture", BAD, ids=ids)
def test_failed_turn(capture: Capture) -> None:
    """The error is the reference's."""
    error = played(capture).error

    assert error is not None
    expected = FAILURES[capture.agent][capture.name]
    assert expected == (error.kind, error.status, error.code), str(error)
    assert len(str(error)) < 700
    assert vars(error) == vars(pickle.loads(pickle.dumps(error)))


@pytest.mark.parametrize("capture", ALL, ids=ids)
def test_no_cut_changes_a_turn(capture: Capture) -> None:
    """However the pipe cuts it, the answer is the same."""
    whole = played(capture).summary()
    for pieces in cuts(capture.wire, singles=0, pairs=0, samples=4):
        assert whole == play(capture, pieces).summary()


@pytest.mark.parametrize("capture", GOOD, ids=ids)
def test_end_without_its_event_is_torn(capture: Capture) -> None:
    """A turn cut before any of its events is an error, whatever the exit code says."""
    lines = capture.wire.splitlines(keepends=True)
    for count in range(len(lines)):
        for half in (b"", lines[count][: len(lines[count]) // 2]):
            answer = play(capture, [*lines[:count], half])
            finished = capture.agent == "opencode" and b'"step_finish"' in b"".join(lines[:count])
            assert finished or answer.error is not None
            if answer.error is not None:
                assert not isinstance(answer.chunks[-1] if answer.chunks else None, Finish)


@pytest.mark.parametrize("agent", MAKERS)
def test_an_answer_about_limits_is_an_answer(agent: str) -> None:
    """The words of every error in a model's mouth change nothing."""
    words = (
        "rate limit exceeded 429 You've hit your limit · resets 4pm (America/Los_Angeles)"
        " Error 401 Unauthorized, insufficient_quota, Prompt is too long, Session not found"
    )
    capture = plain(agent)
    said = json.dumps(final_text(capture), ensure_ascii=False).encode()
    wire = capture.wire.replace(said, json.dumps(words, ensure_ascii=False).encode())
    answer = play(Capture(agent, "words", wire, capture.ending), [wire])

    assert answer.error is None
    assert words == only(answer, ProviderEvent, "final_text")


@pytest.mark.parametrize("agent", MAKERS)
def test_strange_lines_harm_nothing(agent: str) -> None:
    """Words of a shell, unknown events and values that are no objects are passed on."""
    capture = plain(agent)
    noise = b'npm notice\n{"type":"from_the_future","x":1}\n[1]\n"text"\nnull\n{"type":5}\n{}\n\n'
    answer = play(capture, [noise, capture.wire])

    assert answer.error is None
    assert final_text(capture) == only(answer, ProviderEvent, "final_text")
    assert {"type": "from_the_future", "x": 1} == only(answer, ProviderEvent, "from_the_future")


def capture(agent: str, name: str) -> Capture:
    """The recorded turn of that name."""
    return next(each for each in ALL if (each.agent, each.name) == (agent, name))


def test_limits_say_when_they_are_lifted() -> None:
    """By an event, by a header, by a sentence with a day or a wait."""
    claude = played(capture("claude_code", "usage-limit-429-subscription")).error
    codex = played(capture("codex", "usage-limit-429")).error
    short = played(capture("codex", "response-failed-rate-limit")).error
    opencode = played(capture("opencode", "rate-limit-429")).error
    plain = played(capture("claude_code", "rate-limit-429-api-key")).error

    assert claude is not None
    assert 1795221279 == claude.reset_at
    assert codex is not None
    assert 1795221360.0 == codex.reset_at  # Nov 21st, 2026 12:36 AM, in UTC
    assert short is not None
    assert 1.2 == pytest.approx(short.retry_after)
    assert opencode is not None
    assert (2.0, NOW + 2) == (opencode.retry_after, opencode.reset_at)
    assert plain is not None
    assert None is plain.reset_at


def test_partial_messages_are_said_once() -> None:
    """Deltas come as they are, and the whole message after them adds nothing."""
    answer = played(capture("claude_code", "success-partial-messages-with-thinking"))

    assert ["Thought ", "about ", "it."] == [
        each.text for each in answer.chunks if isinstance(each, TextDelta)
    ]
    assert [ReasoningDelta("Let me think about it.", spelling="")] == [
        each for each in answer.chunks if isinstance(each, ReasoningDelta)
    ]


def stream_line(text: str, message: str) -> bytes:
    """A delta of Claude Code's."""
    delta = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}
    line = {"type": "stream_event", "event": delta, "api_message_id": message}
    return json.dumps(line).encode() + b"\n"


def whole_line(text: str, message: str) -> bytes:
    """A whole message of Claude Code's."""
    content = [{"type": "text", "text": text}]
    line = {"type": "assistant", "message": {"id": message, "content": content}}
    return json.dumps(line).encode() + b"\n"


START = b'{"type":"stream_event","event":{"type":"message_start"}}\n'


@pytest.mark.parametrize(
    ("lines", "said", "resets"),
    [
        # The stream was cut, and the second request's answer is the same, whole.
        ([START, stream_line("Hel", "m1"), whole_line("Hello", "m2")], "Hello", []),
        # It was streamed again.
        (
            [
                *(START, stream_line("Hel", "m1"), START),
                *(stream_line("He", "m2"), stream_line("llo", "m2"), whole_line("Hello", "m2")),
            ],
            "Hello",
            [],
        ),
        # The second one is another answer: what was said is taken back, and told.
        (
            [START, stream_line("Hel", "m1"), START, whole_line("Bye", "m2")],
            "Hel\n\nBye",
            [{"text": "Hel"}],
        ),
    ],
)
def test_cut_streams_are_not_said_twice(
    lines: list[bytes], said: str, resets: list[dict[str, str]]
) -> None:
    """What Claude Code repairs by a second request is said once, or taken back in an event."""
    turn = capture("claude_code", "success")
    first, _, last = turn.wire.splitlines(keepends=True)
    answer = play(turn, [first, *lines, last])

    assert said == "".join(c.text for c in answer.chunks if isinstance(c, TextDelta))
    assert resets == [
        c.data for c in answer.chunks if isinstance(c, ProviderEvent) and c.name == "reset"
    ]


@pytest.mark.parametrize(
    ("agent", "name", "tool", "arguments", "content", "failed"),
    [
        (
            *("claude_code", "mcp-http-tool", "mcp__echo__add", {"a": 2, "b": 40}),
            [{"type": "text", "text": "42"}],
            False,
        ),
        (
            *("codex", "mcp-http-tool", "echo.add", {"a": 2, "b": 40}),
            [{"type": "text", "text": "42"}],
            False,
        ),
        ("opencode", "mcp-http-tool", "echo_add", {"a": 2, "b": 40}, "42", False),
        (
            *("codex", "command-read-only-sandbox", "command"),
            {"command": "/bin/bash -lc 'echo hi > made.txt; pwd'"},
            "/bin/bash: line 1: made.txt: Read-only file system\n/home/user/project\n",
            False,
        ),
        (
            *("opencode", "permission-asked-and-rejected", "bash"),
            {"command": "echo hi > made.txt; pwd", "description": "make a file"},
            "The user rejected permission to use this specific tool call.",
            True,
        ),
    ],
)
def test_tools_are_seen(
    agent: str, name: str, tool: str, arguments: Any, content: Any, failed: bool
) -> None:
    """A tool that the agent runs is an event with its result, and no call for the caller to run."""
    answer = played(capture(agent, name))
    call = only(answer, ProviderEvent, "tool_call")
    result = only(answer, ProviderEvent, "tool_result")

    assert (tool, arguments) == (call["name"], call["arguments"])
    assert (call["id"], content, failed) == (result["id"], result["content"], result["is_error"])


def test_partial_text_is_there_at_the_output_limit() -> None:
    """What was said before the limit came is in the chunks, the continuations without a gap."""
    for agent, name in (
        *(("claude_code", "max-output-tokens"), ("codex", "max-output-tokens")),
        ("opencode", "max-output-tokens"),
    ):
        answer = played(capture(agent, name))
        said = "".join(c.text for c in answer.chunks if isinstance(c, TextDelta))
        assert said.startswith("Hello from the mock model. I see ")
        assert "\n" not in said


def test_resumed_turns_count_for_themselves() -> None:
    """Codex tells the thread's tokens, Claude Code the session's cost: earlier ones go off."""
    turn = capture("codex", "session-resumed")
    maker = MAKERS["codex"]
    from penstock.dialects.agents.codex import CodexAnswer

    first = only(played(capture("codex", "session-first-turn")), State).data["totals"]
    MAKERS["codex"] = lambda: CodexAnswer(earlier=first, now=lambda: NOW)
    try:
        usage = only(played(turn), Usage)
    finally:
        MAKERS["codex"] = maker

    assert (120, 30, 20, 8) == (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
    )


def test_servers_that_are_needed_must_be_there() -> None:
    """A turn without a server that was asked for is an error at once, where Claude Code goes on."""
    from penstock.dialects.agents.claude_code import ClaudeCodeAnswer
    from penstock.errors import UnavailableError

    turn = capture("claude_code", "mcp-server-unreachable")
    answer = ClaudeCodeAnswer(servers=frozenset({"echo"}))

    with pytest.raises(UnavailableError, match="echo is not connected"):
        answer.feed(turn.wire.splitlines(), [])
    assert played(turn).error is None


def test_stderr_of_a_torn_turn_is_told() -> None:
    """What the child said last is in the error, keys left out."""
    turn = capture("claude_code", "killed-by-sigterm")
    ending = Ending(False, "ended by SIGSEGV", exit_code=-11, stderr="boom sk-secret123456\n")
    error = play(Capture("claude_code", "x", turn.wire, ending), [turn.wire]).error

    assert error is not None
    assert "ended by SIGSEGV" in str(error)
    assert "boom" in str(error)
    assert "secret" not in str(error)
