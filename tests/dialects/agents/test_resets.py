"""When a limit is lifted: the seed's examples, the recorded sentences, and what is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from penstock.dialects.agents import antigravity, claude_code, codex, opencode
from penstock.dialects.agents.resets import parse_rate_limit_reset

NOW = datetime(2026, 11, 21, 0, 0, tzinfo=UTC)
ANGELES = ZoneInfo("America/Los_Angeles")  # 16:00 of the day before, by NOW


@pytest.mark.parametrize(
    ("text", "reset"),
    [
        # the seed's example; 4pm there is now, so the next one is meant
        (
            "You've hit your limit · resets 4pm (America/Los_Angeles)",
            datetime(2026, 11, 22, 0, 0, tzinfo=UTC),
        ),
        (
            "You've hit your limit · resets 5pm (America/Los_Angeles)",
            datetime(2026, 11, 21, 1, 0, tzinfo=UTC),
        ),
        # recorded: Claude Code 2.1.329
        (
            "You've hit your 5-hour limit · resets 12:34am (UTC)",
            datetime(2026, 11, 21, 0, 34, tzinfo=UTC),
        ),
        # reported
        (
            "You've hit your weekly limit · resets Nov 25, 9am (Europe/Berlin)",
            datetime(2026, 11, 25, 8, 0, tzinfo=UTC),
        ),
        (
            "You've hit your weekly limit · resets Jan 2 at 12pm (UTC)",
            datetime(2027, 1, 2, 12, 0, tzinfo=UTC),
        ),
        ("resets 4pm (America/Los_Angeles)", datetime(2026, 11, 22, 0, 0, tzinfo=UTC)),
        ("Claude AI usage limit reached|1795221279", datetime.fromtimestamp(1795221279, UTC)),
        # recorded: Codex 0.169.0, in the machine's own zone
        (
            "You\u2019ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), "
            "visit https://chatgpt.com/settings/usage to purchase more credits or try again at "
            "Nov 21st, 2026 12:36 AM.",
            datetime(2026, 11, 21, 8, 36, tzinfo=UTC),
        ),
        ("rate limit exceeded: Please try again in 1.2s.", NOW + timedelta(seconds=1.2)),
        ("Please try again in 420ms.", NOW + timedelta(milliseconds=420)),
        ("Try again in 3 days 4 hours 12 minutes.", NOW + timedelta(days=3, hours=4, minutes=12)),
        # reported: Antigravity
        ("Individual quota reached. Resets in 2h39m52s.", NOW + timedelta(seconds=9592)),
    ],
)
def test_sentence_says_when(text: str, reset: datetime) -> None:
    """The time is UTC, the next one that fits; without a zone it is the machine's."""
    assert reset == parse_rate_limit_reset(text, now=NOW, zone=ANGELES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "You've hit your limit",
        "resets soon",
        "The cache resets daily.",
        "resets 25pm (UTC)",
        "resets 0am",
        "resets 4:75pm (UTC)",
        "resets Foo 3, 4pm (UTC)",
        "resets Feb 30, 4pm (UTC)",
        "resets " * 20_000,
        "try again in " + "1" * 100_000,
        "try again in 999999999 days 999999999 days",
        "try again at Dec 31st, 9999 11:59 PM",
        "try again at Jan 1st, 0000 12:36 AM",
    ],
)
def test_other_words_say_nothing(text: str) -> None:
    """What is no such sentence, or no time, is None, and soon."""
    assert None is parse_rate_limit_reset(text, now=NOW, zone=ANGELES)


YORK = ZoneInfo("America/New_York")  # put back at 06:00 UTC of Nov 1st, forward at 07:00 of Mar 8th


@pytest.fixture(params=["named", "given", "the machine's"])
def by_york(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], str | None]]:
    """Reads a sentence at a time of UTC, by New York's clocks, however they are known."""

    def read(text: str, now: str) -> str | None:
        words = f"{text} (America/New_York)" if request.param == "named" else text
        zone = YORK if request.param == "given" else None
        at = datetime.fromisoformat(f"2026-{now}+00:00")
        found = parse_rate_limit_reset(words, now=at, zone=zone)
        return found and f"{found:%Y-%m-%d %H:%M %Z}"

    if request.param == "the machine's":
        if not hasattr(time, "tzset"):
            pytest.skip("platform: the zone is the system's, which a test cannot set")
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
    yield read
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


@pytest.mark.parametrize(
    ("text", "now", "reset"),
    [
        # across the change: the offset is that of the day that is told of
        ("try again at Nov 5th, 2026 12:36 AM", "10-30 12:00", "2026-11-05 05:36 UTC"),
        ("resets Nov 5, 9am", "10-30 12:00", "2026-11-05 14:00 UTC"),
        ("resets 9am", "10-31 20:00", "2026-11-01 14:00 UTC"),
        ("resets 9am", "03-07 20:00", "2026-03-08 13:00 UTC"),
        # there twice: the first that is not over
        ("resets 1:30am", "11-01 05:00", "2026-11-01 05:30 UTC"),
        ("resets 1:30am", "11-01 05:45", "2026-11-01 06:30 UTC"),
        ("resets 1:30am", "11-01 06:45", "2026-11-02 06:30 UTC"),
        ("try again at Nov 1st, 2026 1:30 AM", "11-01 05:45", "2026-11-01 06:30 UTC"),
        # never there: what it would have been
        ("resets 2:30am", "03-08 05:00", "2026-03-08 07:30 UTC"),
        # the year that fits
        ("resets Feb 29, 9am", "12-01 12:00", "2028-02-29 14:00 UTC"),
        ("try again at Feb 29th, 2028 9 AM", "12-01 12:00", "2028-02-29 14:00 UTC"),
        ("resets Dec 31, 11:59pm", "01-01 05:10", "2026-01-01 04:59 UTC"),
    ],
)
def test_clocks_that_are_put_back_or_forward(
    by_york: Callable[[str, str], str | None], text: str, now: str, reset: str
) -> None:
    """The same for a zone that the sentence names, one that is given, and the machine's own."""
    assert reset == by_york(text, now)


def test_unknown_zone_is_the_machines() -> None:
    """A zone that is not known here is read as the machine's own."""
    found = parse_rate_limit_reset("resets 5pm (Not/AZone)", now=NOW, zone=ANGELES)

    assert datetime(2026, 11, 21, 1, 0, tzinfo=UTC) == found


def test_every_agent_has_the_seeds_function() -> None:
    """The modules offer it by the seed's name."""
    assert parse_rate_limit_reset is claude_code.parse_rate_limit_reset
    assert parse_rate_limit_reset is codex.parse_rate_limit_reset
    assert parse_rate_limit_reset is antigravity.parse_rate_limit_reset


@pytest.mark.parametrize(
    ("event", "reset"),
    [
        (
            {"rate_limit_info": {"status": "rejected", "resetsAt": 1795221279}},
            datetime.fromtimestamp(1795221279, UTC),
        ),
        ({"rate_limit_info": {"status": "allowed_warning", "resetsAt": 1795221279}}, None),
        ({"rate_limit_info": {"status": "allowed", "resetsAt": 1795221279}}, None),
        ({"rate_limit_info": {"status": "rejected"}}, None),
        ({"rate_limit_info": {"status": "rejected", "resetsAt": "soon"}}, None),
        ({"rate_limit_info": {"status": "rejected", "resetsAt": 1e30}}, None),
        ({"rate_limit_info": None}, None),
        ({}, None),
    ],
)
def test_only_a_rejection_is_a_limit(event: dict[str, Any], reset: datetime | None) -> None:
    """A rate limit event is a notice unless its status is ``rejected``."""
    assert reset == claude_code.parse_rate_limit_event(event)


def test_session_ids_are_found() -> None:
    """Each agent's id is in its first event; opencode's is known by its form as well."""
    ours = '{"type":"thread.started","thread_id":"01a1fb38-475e-7d30-ae1b-1e8764a24302"}\n{}\n'
    theirs = '{"type":"step_start","sessionID":"ses_e04c2f4f8ffem91Zwy4qQcIwNx","part":{}}\n'

    assert "01a1fb38-475e-7d30-ae1b-1e8764a24302" == codex.parse_session_id(ours)
    assert "ses_e04c2f4f8ffem91Zwy4qQcIwNx" == opencode.parse_session_id("noise\n" + theirs)
    assert "ses_e04c2f4f8ffem91Zwy4qQcIwNx" == opencode.parse_session_id("x " + theirs[34:65])
    for parse in (codex.parse_session_id, opencode.parse_session_id):
        assert None is parse("nothing\n{broken thread_id sessionID\n")


def test_run_errors_are_found() -> None:
    """The first error of a run, as the seed describes it, and None without one."""
    event = (
        '{"type":"error","sessionID":"s","error":{"name":"UnknownError",'
        '"data":{"message":"Model not found: x/y"}}}'
    )
    fault = {"name": "UnknownError", "data": {"message": "Model not found: x/y"}}

    assert fault == opencode.parse_run_error('{"type":"text","part":{}}\n' + event + "\n" + event)
    assert None is opencode.parse_run_error('{"type":"text","part":{"text":"\\"error\\""}}\n')
