"""The system prompt that a session of Codex has, as its record tells (lines of 0.169.0, cut)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.agents.cli.codex_rollout import preface, provider_of

ID = "01a221d4-f281-7c11-9cdc-3cc27e2d9977"
FOLDER = "sessions/2026/11/28"


def message(role: str, *texts: str) -> dict[str, object]:
    """A message as the Responses API has it."""
    return {"role": role, "content": [{"type": "input_text", "text": text} for text in texts]}


def item(role: str, *texts: str) -> str:
    """Its line of a rollout."""
    return json.dumps({"type": "response_item", "payload": message(role, *texts)})


def rollout(home: Path, *lines: str) -> Path:
    """A home with a session of these lines; the last one was cut off."""
    path = home / FOLDER / f"rollout-2026-11-28T11-05-33-{ID}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((*lines, '{"payload": {"role": "developer", "con')))
    return home


BEGUN = item("developer", "Be brief.", "<permissions instructions>")
PERMISSIONS = item("developer", "<permissions instructions>")
MERRY = "From here on this is the system prompt, and none before it:\n<system_prompt>\nBe merry."


@pytest.mark.parametrize(
    ("lines", "system", "told"),
    [
        ((BEGUN, item("user", "Hi")), "Be brief.", False),
        ((BEGUN, PERMISSIONS), "Be brief.\n", False),
        ((BEGUN, item("user", "Be merry.")), "Be merry.", True),
        ((PERMISSIONS, item("user", "Hi")), "Be merry.", True),
        ((BEGUN, item("assistant", f"{MERRY}\n</system_prompt>\n\nHi")), "Be merry.", True),
        ((BEGUN, item("user", f"{MERRY}\n</system_prompt>\n\nHi")), "Be merry.", False),
        (
            (BEGUN, item("user", "<env>", f"{MERRY}\n</system_prompt>\n\n", "Hi")),
            "Be merry.",
            False,
        ),
        ((BEGUN, item("user", f"{MERRY}\n</system_prompt>\n\nHi")), "Be brief.", True),
        ((BEGUN,), None, False),
        (('{"payload": null, "x": "developer"}', "5 <system_prompt>"), "Be merry.", True),
    ],
)
def test_what_a_session_is_told(
    tmp_path: Path, lines: tuple[str, ...], system: str | None, told: bool
) -> None:
    """Its system prompt where it is another than the one in force, and else nothing."""
    found = preface(rollout(tmp_path, *lines), ID, system)

    assert told == bool(found)
    assert not told or f"<system_prompt>\n{system}\n</system_prompt>\n\n" in found


def test_what_is_told_is_in_force(tmp_path: Path) -> None:
    """Once it is in the record, also of a thread that was compacted, it is told no more."""
    first = preface(rollout(tmp_path, BEGUN), ID, "Be merry.")
    compacted = {"replacement_history": [message("developer", "x"), message("user", f"{first}Hi")]}
    line = json.dumps({"type": "compacted", "payload": compacted})

    assert "" == preface(rollout(tmp_path, BEGUN, item("user", f"{first}Hi")), ID, "Be merry.")
    assert "" == preface(rollout(tmp_path, BEGUN, line), ID, "Be merry.")
    assert preface(rollout(tmp_path, BEGUN, line), ID, "Be brief.")


@pytest.mark.parametrize("id", ["another", "../*", "*"])
def test_a_session_without_a_record_is_told_nothing(tmp_path: Path, id: str) -> None:
    """There is nothing to go on with, and Codex says so; an id is no pattern."""
    assert "" == preface(rollout(tmp_path, BEGUN), id, "Be merry.")


@pytest.mark.parametrize(
    ("line", "provider"),
    [
        ('{"type": "session_meta", "payload": {"model_provider": "openai"}}', "openai"),
        ('{"type": "session_meta", "payload": {"model_provider": null}}', None),
        ('{"type": "session_meta", "payload": {}}', None),
        ('{"payload": null}', None),
        ("[]", None),
        ('{"payl', None),
    ],
)
def test_a_sessions_provider_stands_in_its_first_line(
    tmp_path: Path, line: str, provider: str | None
) -> None:
    """None where that line does not say."""
    assert provider == provider_of(rollout(tmp_path, line, BEGUN), ID)


def test_a_session_without_a_record_has_no_provider(tmp_path: Path) -> None:
    """Nobody knows which one."""
    assert None is provider_of(rollout(tmp_path, BEGUN), "another")
