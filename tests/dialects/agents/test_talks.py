"""What is said to a child that stays is what the recorded clients said, and its turns end there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.agents.captures import exchange

from penstock.dialects.agents.antigravity_talk import AntigravityTalk
from penstock.dialects.agents.claude_code_talk import ClaudeCodeTalk
from penstock.dialects.agents.codex_talk import CodexTalk
from penstock.dialects.agents.talk import Asked, Heard, Question

SERVER = [
    *("auth-401", "context-window-400", "interrupted", "mcp-http-tool", "rate-limit-429"),
    *("rate-limit-windows", "response-failed-quota", "server-error-500", "success-with-deltas"),
    *("unknown-model-404", "usage-limit-429"),
]


def read(line: bytes) -> Any:  # Any: JSON
    """A line as a value, without what names the client or may be left out."""
    value = json.loads(line)
    value.get("params", {}).pop("clientInfo", None)
    return value


@pytest.mark.parametrize("name", SERVER)
def test_codex_is_told_what_the_recorded_client_told_it(name: str) -> None:
    """Greeting, thread, turn and interrupt are the recorded ones, each once it can be said."""
    talk = CodexTalk({"sandbox": "read-only", "approvalPolicy": "never"})
    turn = Asked(
        prompt="hello", model="mock-model", system="Be terse.", directory="/home/user/project"
    )
    said, over, told = [*talk.ask(turn)], [], []
    for ours, line in exchange("codex_server", name):
        if ours:
            told.append(read(line))
            if told[-1]["method"] == "turn/interrupt":
                said += talk.interrupt()
            continue
        heard = talk.hear(line)
        said += heard.replies
        over.append(heard.over)

    assert told == [read(line) for line in said]
    assert [*[False] * (len(over) - 1), True] == over
    assert talk.session_id


def test_a_codex_thread_goes_on() -> None:
    """A second turn is one line; another child's thread is resumed, and told what is new in it,
    before its first."""
    talk = CodexTalk(preface="Be merry.")
    told = [*talk.ask(Asked(prompt="one", session_id="t-9"))]
    told += talk.hear(b'{"id":0,"result":{}}').replies
    told += talk.hear(b'{"id":1,"result":{"thread":{"id":"t-9"}}}').replies
    talk.hear(b'{"id":2,"result":{"turn":{"id":"u-1"}}}')
    ended = talk.hear(b'{"method":"turn/completed","params":{"turn":{"id":"u-1"}}}')
    told += talk.ask(Asked(prompt="two"))

    assert [
        *("initialize", "initialized", "thread/resume", "turn/start", "turn/start"),
    ] == [json.loads(line)["method"] for line in told]
    assert "t-9" == json.loads(told[2])["params"]["threadId"]
    assert [["Be merry.", "one"], ["two"]] == [
        [item["text"] for item in json.loads(line)["params"]["input"]] for line in told[3:]
    ]
    assert ended.over


def test_a_codex_turn_that_is_cut_before_it_runs_is_ended_as_it_begins() -> None:
    """There is nothing to interrupt until the server has named the turn."""
    talk = CodexTalk()
    talk.ask(Asked(prompt="one"))
    early = talk.interrupt()
    talk.hear(b'{"id":0,"result":{}}')
    talk.hear(b'{"id":1,"result":{"thread":{"id":"t"}}}')
    [line] = talk.hear(b'{"id":2,"result":{"turn":{"id":"u"}}}').replies

    assert () == early
    assert ("turn/interrupt", {"threadId": "t", "turnId": "u"}) == (
        json.loads(line)["method"],
        json.loads(line)["params"],
    )


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_a_refusal_of_codex_ends_the_turn(refused: int) -> None:
    """An error for an answer is the last line of a turn, which never began."""
    talk = CodexTalk()
    talk.ask(Asked(prompt="one"))
    answers = [{}, {"thread": {"id": "t"}}, {"turn": {"id": "u"}}]
    for number in range(refused):
        talk.hear(json.dumps({"id": number, "result": answers[number]}).encode())
    fault = {"id": refused, "error": {"code": -32600, "message": "no"}}

    assert Heard(over=True) == talk.hear(json.dumps(fault).encode())


def test_codex_asks_and_is_answered() -> None:
    """Commands, changes and forms of servers are questions; all else is refused at once."""
    talk = CodexTalk()
    command = {"threadId": "t", "turnId": "u", "itemId": "i", "command": "ls", "cwd": "/x"}
    asked = [
        ("item/commandExecution/requestApproval", command),
        ("item/fileChange/requestApproval", {"itemId": "j", "reason": "r"}),
        ("mcpServer/elicitation/request", {"serverName": "s", "message": "m", "mode": "form"}),
    ]
    questions = []
    for number, (method, params) in enumerate(asked):
        line = json.dumps({"id": number, "method": method, "params": params}).encode()
        heard = talk.hear(line)
        assert heard.question is not None
        assert not heard.kept
        questions.append(heard.question)
    [refusal] = talk.hear(b'{"id":7,"method":"attestation/generate","params":{}}').replies

    assert [("command", "i"), ("file_change", "j"), ("elicitation", "")] == [
        (each.tool, each.call) for each in questions
    ]
    assert {"id": 0, "result": {"decision": "accept"}} == json.loads(
        talk.decide(questions[0], None)
    )
    assert {"id": 1, "result": {"decision": "decline"}} == json.loads(
        talk.decide(questions[1], "no")
    )
    assert "decline" == json.loads(talk.decide(questions[2], "no"))["result"]["action"]
    assert (7, -32601) == (json.loads(refusal)["id"], json.loads(refusal)["error"]["code"])


def test_claude_codes_turns_end_with_their_results() -> None:
    """Two turns, two results; the session is known from the first line on."""
    lines = exchange("claude_code", "stream-input-two-turns")
    talk = ClaudeCodeTalk()
    [asked] = talk.ask(Asked(prompt="hello"))
    heard = [talk.hear(line) for _, line in lines]

    assert {"type": "user", "message": {"role": "user", "content": "hello"}} == json.loads(asked)
    assert 2 == sum(each.over for each in heard)
    assert heard[-1].over
    assert "54768af5-965e-4bc3-8c19-3059a6c2fa99" == talk.session_id


def test_claude_code_is_interrupted_as_recorded() -> None:
    """The answer to an interrupt is no part of the turn, its result is the end."""
    heard = []
    talk = ClaudeCodeTalk()
    [line] = talk.interrupt()
    for _, each in exchange("claude_code", "stream-input-interrupted"):
        heard.append(talk.hear(each))

    assert {"subtype": "interrupt"} == json.loads(line)["request"]
    assert 1 == sum(not each.kept for each in heard)
    assert 2 == sum(each.over for each in heard)


def test_claude_code_asks_and_is_answered() -> None:
    """``can_use_tool`` is a question; other requests are answered with an error."""
    request = {"subtype": "can_use_tool", "tool_name": "mcp__s__t", "input": {"a": 1}}
    line = {"type": "control_request", "request_id": "r", "request": request}
    talk = ClaudeCodeTalk()
    question = talk.hear(json.dumps(line).encode()).question
    refused = []
    for ours, each in exchange("claude_code", "in-process-mcp-tool-over-stdio"):
        if not ours:
            refused += talk.hear(each).replies

    assert Question(id="r", call="", tool="mcp__s__t", arguments={"a": 1}, server="s") == question
    assert question is not None
    yes, no = (json.loads(talk.decide(question, reason)) for reason in (None, "why"))
    assert {"behavior": "allow", "updatedInput": {"a": 1}} == yes["response"]["response"]
    assert {"behavior": "deny", "message": "why"} == no["response"]["response"]
    assert ["error"] * 4 == [json.loads(each)["response"]["subtype"] for each in refused]


def test_antigravitys_child_is_told_of_its_agent_once() -> None:
    """Configuration and prompt, then prompts; a question is answered by its number."""
    talk = AntigravityTalk({"servers": []})
    first = [json.loads(line) for line in talk.ask(Asked(prompt="one", model="m"))]
    heard = talk.hear(b'{"session":"s"}')
    question = talk.hear(b'{"ask":3,"tool":"run_command","arguments":{"x":1}}').question
    over = [
        talk.hear(line).over
        for line in (b'{"step_index":1}', b'{"done":true}', b'{"python_exception":"E"}', b"x")
    ]

    assert [{"config", "prompt"}, {"m"}] == [
        {name for each in first for name in each},
        {first[0]["config"]["model"]},
    ]
    assert [{"prompt": "two"}] == [json.loads(line) for line in talk.ask(Asked(prompt="two"))]
    assert not heard.over
    assert "s" == talk.session_id
    assert question is not None
    assert {"decide": 3, "allow": False} == json.loads(talk.decide(question, "no"))
    assert [False, True, True, False] == over


@pytest.mark.parametrize("talk", [ClaudeCodeTalk(), CodexTalk(), AntigravityTalk({})])
def test_strange_lines_are_the_turns(talk: Any) -> None:
    """What is no JSON, or none that is known, ends nothing and asks nothing."""
    for line in (b"npm notice", b"[1]", b"null", b'{"type":5}', b"{}", b'{"id":"x","result":1}'):
        heard = talk.hear(line)
        assert not heard.over
        assert () == heard.replies
