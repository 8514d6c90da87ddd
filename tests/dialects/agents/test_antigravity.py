"""Antigravity's ``agy`` by its reported shapes: it is in no registry, so not recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.chunks import Finish, ProviderEvent, State, TextDelta, Usage
from penstock.dialects.agents.antigravity import AntigravityAnswer
from penstock.errors import PenstockError
from penstock.interfaces import Ending

NOW = 1795219200.0
RESULT = {
    "conversation_id": "c1",
    "status": "SUCCESS",
    "response": "Hello there",
    "usage": {
        "input_tokens": 90,
        "cache_read_tokens": 10,
        "output_tokens": 20,
        "thinking_tokens": 5,
    },
    "num_turns": 1,
}


def step(**fields: Any) -> dict[str, Any]:
    """A step_update."""
    return {"event": "step_update", "step_update": {"step_index": 1, "state": "ACTIVE", **fields}}


def play(*events: Any, code: int = 0, stderr: str = "") -> tuple[list[Any], PenstockError | None]:
    """What a turn amounts to."""
    answer = AntigravityAnswer(now=lambda: NOW)
    chunks: list[Any] = []
    try:
        answer.feed([json.dumps(event).encode() for event in events], chunks)
        answer.finish(Ending(code == 0, exit_code=code, stderr=stderr), chunks)
    except PenstockError as error:
        return chunks, error
    return chunks, None


def test_stream_is_text_tools_and_result() -> None:
    """Deltas, a tool and the result, with the conversation's id and the usage."""
    chunks, error = play(
        {"event": "init", "conversation_id": "c1", "init": {"cwd": "/x", "model": "m"}},
        step(step_type="tool", tool_name="run", tool_info={"parameters": {"a": 1}}),
        step(step_type="tool", state="DONE", tool_info={"output": "ok"}),
        step(step_type="agent_response", step_index=2, text_delta="Hello "),
        step(step_type="agent_response", step_index=2, text_delta="there", state="DONE"),
        {"event": "result", "result": RESULT},
    )
    names = [c.name for c in chunks if isinstance(c, ProviderEvent)]
    usage = next(c for c in chunks if isinstance(c, Usage))

    assert None is error
    assert "Hello there" == "".join(c.text for c in chunks if isinstance(c, TextDelta))
    assert ["init", "tool_call", "tool_result", "result", "final_text"] == names
    assert (100, 20, 10, 5) == (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
    )
    assert {"session_id": "c1"} == next(c for c in chunks if isinstance(c, State)).data
    assert Finish("stop", raw="SUCCESS") == chunks[-1]


def test_one_object_is_an_answer() -> None:
    """``--output-format json`` has no steps."""
    chunks, error = play(RESULT)

    assert None is error
    assert [TextDelta("Hello there")] == [c for c in chunks if isinstance(c, TextDelta)]


@pytest.mark.parametrize(
    ("events", "code", "stderr", "kind"),
    [
        ([], 0, "", "truncated"),
        ([], 1, "error: authentication required\n", "authentication"),
        ([], 1, "log: please sign in\nerror: invalid model selection x\n", "not_found"),
        ([], 2, "flags provided but not defined: -x\n", "invalid_request"),
        (
            [{"event": "result", "result": RESULT}],
            0,
            "[agy] print timeout after 5m with turn in progress; returning partial output\n",
            "deadline",
        ),
        (
            [{**RESULT, "response": "", "denied_actions": ["run"]}],
            0,
            "",
            "permission",
        ),
        (
            [{**RESULT, "status": "ERROR", "error": "Your AI credits balance is too low"}],
            0,
            "",
            "billing",
        ),
        (
            [],
            3,
            'AGY_ERROR: {"short_error":"RESOURCE_EXHAUSTED (code 429)","http_code":429}\n',
            "rate_limit",
        ),
        ([], 3, 'AGY_ERROR: {"short_error":"boom","http_code":500}\n', "server"),
        ([{**RESULT, "response": "please sign in: quota reached"}], 0, "please sign in\n", ""),
    ],
)
def test_ends(events: list[Any], code: int, stderr: str, kind: str) -> None:
    """Exit code 0 is no success, and only its own error lines are read."""
    _, error = play(*events, code=code, stderr=stderr)

    assert kind == ("" if error is None else error.kind)


def test_quota_says_when() -> None:
    """A quota's duration is its reset."""
    said = "Individual quota reached. Contact your admin. Resets in 2h39m52s."
    _, error = play({**RESULT, "status": "ERROR", "error": said})

    assert error is not None
    assert ("rate_limit", NOW + 9592) == (error.kind, error.reset_at)
