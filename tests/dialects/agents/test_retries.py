"""A turn that an agent is about to ask again by itself ends with what it failed of."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest
from tests.dialects.agents.captures import NOW, Capture, Json, captures, play

from penstock.agents.cli import Retries
from penstock.chunks import ProviderEvent
from penstock.dialects.agents.codex import CodexAnswer
from penstock.dialects.agents.codex_server import CodexServerAnswer
from penstock.dialects.agents.opencode import OpenCodeAnswer
from penstock.dialects.agents.opencode_events import OpenCodeEventsAnswer
from penstock.errors import PenstockError
from penstock.interfaces import Ending

RECORDED = [each for each in captures("codex") if "default-retries" in each.name]
RECORDED += [each for each in captures("codex") if each.name == "built-in-provider-bad-key"]


def lines(*events: Json) -> list[bytes]:
    """Return what an agent prints of `events`."""
    return [json.dumps(event).encode() for event in events]


def reconnecting(capture: Capture) -> int:
    """How many tries over HTTP a recorded turn tells of."""
    said = [each.get("message", "") for each in capture.events() if each["type"] == "error"]
    return sum(each.startswith("Reconnecting") and "url: ws" not in each for each in said)


@pytest.mark.parametrize("capture", RECORDED, ids=lambda each: each.name)
def test_codex_first_try_again_is_the_error(capture: Capture) -> None:
    """What it fails of in the end; a WebSocket that does not open is no failure of the model's."""
    ended = play(capture, [capture.wire])
    answer, patient = (CodexAnswer(retries=each, now=lambda: NOW, zone=UTC) for each in (0, 1))
    chunks: list[object] = []
    with pytest.raises(PenstockError) as last:
        patient.feed(capture.wire.splitlines(), [])
    with pytest.raises(PenstockError) as first:
        answer.feed(capture.wire.splitlines(), chunks)  # type: ignore[arg-type]  # objects
    retries = [each.data for each in chunks if isinstance(each, ProviderEvent)]
    tried = [each for each in retries if "Reconnecting" in each.get("message", "")]

    assert reconnecting(capture) == 5
    assert "1/5" in tried[-1]["message"]
    assert (type(last.value), last.value.status) == (type(first.value), first.value.status)
    assert ended.error is not None
    assert str(first.value) == str(ended.error)


# What 0.169.0 prints, of a model endpoint that has no WebSockets and fails.
ERROR = {"misalignment": None, "codexErrorInfo": {"responseStreamDisconnected": {}}}
SOCKET = {"message": "Reconnecting... 2/5", "additionalDetails": "404, url: ws://h/v1/responses"}
BUSY = {
    "message": "Reconnecting... 1/5",
    "additionalDetails": "We\u2019re currently experiencing high demand, which may cause errors.",
}


def told(error: Json, *, turn: str = "t") -> Json:
    """Return the event of an error that it will try again after."""
    params = {"error": ERROR | error, "willRetry": True, "threadId": "s", "turnId": turn}
    return {"method": "error", "params": params}


def test_the_servers_first_try_again_is_the_error() -> None:
    """In its own words; one of another turn is none, and so is one where tries are wanted."""
    began = {"method": "turn/started", "params": {"threadId": "s", "turn": {"id": "t"}}}
    before = [began, told(SOCKET), told(BUSY, turn="other")]
    answer, patient = CodexServerAnswer(), CodexServerAnswer(retries=True)
    answer.feed(lines(*before), [])
    patient.feed(lines(*before, told(BUSY)), [])
    with pytest.raises(PenstockError, match="high demand") as failure:
        answer.feed(lines(told(BUSY)), [])

    assert ("server", "server_error") == (failure.value.kind, failure.value.code)


def test_opencode_says_so_by_our_plugin() -> None:
    """The child goes by itself, with no word of its own; the reset is when it would ask again."""
    status = {"type": "retry", "attempt": 1, "message": "Too many requests.", "next": NOW * 1000}
    answer = OpenCodeAnswer(now=lambda: NOW - 2)
    chunks: list[object] = []
    answer.feed(
        lines(
            {"type": "session.status", "sessionID": "ses_1", "status": status},
            {"type": "error", "sessionID": "ses_1", "error": {"name": "MessageAbortedError"}},
        ),
        chunks,  # type: ignore[arg-type]  # chunks are objects
    )
    with pytest.raises(PenstockError, match="Too many requests") as failure:
        answer.finish(Ending(clean=True, exit_code=0), [])

    assert ("rate_limit", NOW, 2.0) == (
        failure.value.kind,
        failure.value.reset_at,
        failure.value.retry_after,
    )
    assert ProviderEvent("retrying", status) in chunks


SUBAGENTS = {"sessionID": "ses_2", "subagent": True, "status": {"type": "retry", "attempt": 1}}


def test_a_retry_of_a_subagent_is_no_end_of_the_turn() -> None:
    """In either way: it is an event, which names a session that is not the turn's."""
    turn, kept = OpenCodeAnswer(), OpenCodeEventsAnswer()
    chunks: list[Any] = []
    turn.feed(lines({"type": "session.status", **SUBAGENTS}), chunks)
    kept.feed(lines({"type": "session.status", "properties": SUBAGENTS}), chunks)

    retry = {"type": "retry", "attempt": 1, "subagent": "ses_2"}
    assert [ProviderEvent("retrying", retry)] * 2 == chunks


@pytest.mark.parametrize("name", ["rate-limit-429", "server-error-500"])
def test_opencode_that_has_asked_again_is_not_asked_again(name: str) -> None:
    """Where that is wanted: six tries of its own times ours would be too many."""
    (capture,) = (each for each in captures("opencode") if each.name == name)
    error = play(capture, [capture.wire]).error

    assert error is not None
    assert not error.retryable
    assert error.elsewhere
    assert Retries(retries=3).delay(error, tried=1, now=NOW) is None


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("You exceeded your current quota, please check your plan and billing details.", "billing"),
        ("insufficient_quota", "billing"),
        ("Free usage exceeded, add credits", "billing"),
        ("Your credit balance is too low", "billing"),
        ("Payment Required", "billing"),
        (
            "Rate limit reached on tokens per min. Please try again in 6s. You can increase it by"
            " adding a payment method at https://platform.openai.com/account/billing.",
            "rate_limit",
        ),
        (
            "You exceeded your current quota, please check your plan and billing details."
            " Please retry in 27.8s.",
            "rate_limit",
        ),
        ("Rate limit exceeded: free-models-per-day. Add 10 credits to unlock more", "rate_limit"),
        ("Resource has been exhausted (e.g. check quota).", "rate_limit"),
        ("Provider is overloaded", "overloaded"),
        ("The load balancer gave no answer", "server"),
    ],
)
def test_opencode_tells_a_bill_from_a_pace(said: str, kind: str) -> None:
    """Its retry has a provider's words only, and no limit of a pace is a bill that names one."""
    answer = OpenCodeAnswer(now=lambda: NOW)
    status = {"type": "retry", "attempt": 1, "message": said, "next": NOW * 1000}
    answer.feed(lines({"type": "session.status", "sessionID": "ses_1", "status": status}), [])
    with pytest.raises(PenstockError) as failure:
        answer.finish(Ending(clean=True, exit_code=0), [])

    assert (kind, kind != "billing") == (failure.value.kind, failure.value.retryable)


def test_opencode_without_its_database_may_be_asked_again() -> None:
    """What 1.18.33 says where several make it at once: nothing was asked yet."""
    said = "Error: Unexpected error\n\nFailed query: CREATE TABLE `workspace` ( `id` text )"
    with pytest.raises(PenstockError, match="its database") as failure:
        OpenCodeAnswer().finish(Ending(clean=False, exit_code=1, stderr=said), [])

    assert ("database", True) == (failure.value.code, failure.value.retryable)
    assert 1.0 == Retries(retries=1).delay(failure.value, tried=1, now=NOW)
