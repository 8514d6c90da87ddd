"""The modules' functions, with the examples of the seed's page."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from penstock.sync.chia import antigravity, claude, codex, opencode

LIMIT = "You've hit your limit · resets 4pm (America/Los_Angeles)"


@pytest.mark.parametrize("module", [claude, codex, antigravity])
@pytest.mark.parametrize("text", [LIMIT, "resets 4pm (America/Los_Angeles)"])
def test_a_reset_is_the_next_such_time(module: object, text: str) -> None:
    """In UTC, whatever the zone of the text."""
    before = datetime.now(UTC)
    when = module.parse_rate_limit_reset(text)  # type: ignore[attr-defined]  # all three have it
    there = when.astimezone(ZoneInfo("America/Los_Angeles"))

    assert UTC is when.tzinfo
    assert (16, 0, 0) == (there.hour, there.minute, there.second)
    assert before < when <= before + timedelta(hours=26)


@pytest.mark.parametrize("module", [claude, codex, antigravity])
def test_another_text_has_no_reset(module: object) -> None:
    """None where no limit is told of."""
    assert module.parse_rate_limit_reset("All is well.") is None  # type: ignore[attr-defined]


def test_a_rejected_event_has_a_reset() -> None:
    """Only ``rejected`` is a limit; the same event is a notice otherwise."""
    info = {"status": "rejected", "resetsAt": 1_800_000_000}
    event = {"type": "rate_limit_event", "rate_limit_info": info}

    assert datetime.fromtimestamp(1_800_000_000, UTC) == claude.parse_rate_limit_event(event)
    for status in ("allowed", "allowed_warning"):
        assert claude.parse_rate_limit_event({"rate_limit_info": info | {"status": status}}) is None
    assert claude.parse_rate_limit_event({}) is None


def test_codex_tells_its_session() -> None:
    """By the event that begins a thread."""
    lines = ['{"type":"thread.started","thread_id":"01a1-b2"}', '{"type":"turn.started"}']

    assert "01a1-b2" == codex.parse_session_id("\n".join(lines))
    assert codex.parse_session_id(lines[1]) is None


SESSION = "ses_e04c64bd6ffedfF7vKkgDB3r7k"


@pytest.mark.parametrize(
    "stdout",
    [
        json.dumps({"type": "step_start", "sessionID": SESSION, "part": {"sessionID": SESSION}}),
        f'warming up\n{{"type": "step_start", "sessionID": "{SESSION}", "part": {{}}}}\n',
        f"session {SESSION} has begun",
    ],
)
def test_opencode_tells_its_session(stdout: str) -> None:
    """By any event; where the JSON has another shape, by the id's own."""
    assert SESSION == opencode.parse_session_id(stdout)
    assert opencode.parse_session_id("nothing") is None


def test_opencodes_first_error_is_found() -> None:
    """Its name and data: the page's example is a model that nobody knows."""
    error = {"name": "UnknownError", "data": {"message": "Model not found: a/b"}}
    lines = [
        {"type": "step_start", "sessionID": SESSION},
        {"type": "error", "sessionID": SESSION, "error": error},
        {"type": "error", "sessionID": SESSION, "error": {"name": "Later", "data": {}}},
    ]

    assert error == opencode.parse_run_error("\n".join(map(json.dumps, lines)))
    assert opencode.parse_run_error(json.dumps(lines[0])) is None
