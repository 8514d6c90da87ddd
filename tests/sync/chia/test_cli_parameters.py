"""Every parameter of the shims over programs changes how the program is started, or what comes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.sync.chia.conftest import Stage, after
from tests.sync.chia.effects import (
    Effect,
    config,
    configured,
    directory,
    flag,
    has,
    header,
    program,
    said,
    sent,
    variable,
)

from penstock.sync.chia.antigravity import AntigravityLLM
from penstock.sync.chia.claude import ClaudeCodeLLM
from penstock.sync.chia.codex import CodexLLM

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="platform: a script as a program")

TOOLS = {"plays": {"wire": "claude_code/claude-code-mcp-http-tool.jsonl"}}
THINKING = {
    "plays": {"wire": "claude_code/claude-code-success-partial-messages-with-thinking.jsonl"}
}
API = {"backend": "api"}
ID = "4dd9acea-7306-4011-974e-b9818dbcc400"
"""The session of the capture."""

CLAUDE = [
    Effect("ClaudeCodeLLM", "model", "m-2", flag("--model"), ["claude-sonnet-4-6"], ["m-2"]),
    Effect(
        *("ClaudeCodeLLM", "system_message", "Brief.", flag("--system-prompt"), [], ["Brief."]),
    ),
    Effect("ClaudeCodeLLM", "extra_cli_args", ["--x", "1"], flag("--x"), [], ["1"]),
    Effect(
        *("ClaudeCodeLLM", "log_stream", False, said),
        *(["prompt", "text", "tool_call", "tool_result"], ["prompt"]),
        base=TOOLS,
    ),
    Effect(
        *("ClaudeCodeLLM", "log_all", True),
        lambda seen: {"init", "Meta", "reasoning"} & {*said(seen)},
        *(set(), {"init", "Meta", "reasoning"}),
        base=THINKING,
    ),
    Effect("ClaudeCodeLLM", "backend", "api", lambda seen: len(seen.requests), 0, 1),
    Effect(
        *("ClaudeCodeLLM", "api_key", "mine", variable("ANTHROPIC_API_KEY")),
        *("key-of-anthropic", "mine"),
    ),
    Effect(
        *("ClaudeCodeLLM", "api_key", "mine", header("x-api-key"), "key-of-anthropic", "mine"),
        base=API,
    ),
    Effect(
        *("ClaudeCodeLLM", "log_stream", False, said, ["prompt", "text", "step"], ["prompt"]),
        base=API,
    ),
    Effect(
        *("ClaudeCodeLLM", "log_all", True, said),
        *(["prompt", "text", "step"], ["prompt", "reasoning", "text", "step"]),
        base={**API, "model": "reasoning"},
    ),
    Effect("ClaudeCodeLLM", "max_tokens", 9, sent("max_tokens"), 16000, 9, base=API),
    Effect(
        *("ClaudeCodeLLM", "thinking", None, sent("thinking"), {"type": "adaptive"}, None),
        base=API,
    ),
]
CODEX = [
    Effect("CodexLLM", "model", "m-2", flag("-m"), [], ["m-2"]),
    Effect(
        *("CodexLLM", "system_message", "Brief.", configured("developer_instructions")),
        *([], ['"Brief."']),
    ),
    Effect("CodexLLM", "codex_bin", "another", program, "codex", "another"),
    Effect("CodexLLM", "extra_cli_args", ["--color", "never"], flag("--color"), [], ["never"]),
    Effect("CodexLLM", "sandbox", "read-only", flag("-s"), ["workspace-write"], ["read-only"]),
    Effect(
        *("CodexLLM", "approval_policy", "untrusted", configured("approval_policy")),
        *(['"never"'], ['"untrusted"']),
    ),
    Effect(
        *("CodexLLM", "dangerously_bypass_approvals_and_sandbox", True),
        *(has("--dangerously-bypass-approvals-and-sandbox"), False, True),
    ),
    Effect("CodexLLM", "skip_git_repo_check", False, has("--skip-git-repo-check"), True, False),
    Effect("CodexLLM", "ephemeral", True, has("--ephemeral"), False, True),
    Effect("CodexLLM", "ignore_rules", True, has("--ignore-rules"), False, True),
    Effect("CodexLLM", "profile", "fast", flag("-p"), [], ["fast"]),
    Effect(
        *("CodexLLM", "reasoning_effort", "high", configured("model_reasoning_effort")),
        *([], ['"high"']),
    ),
    Effect(
        *("CodexLLM", "auto_compact_token_limit", None),
        *(configured("model_auto_compact_token_limit"), ["200000"], []),
    ),
]
OPENCODE = [
    Effect("OpenCodeLLM", "model", "groq/m", flag("--model"), [], ["groq/m"]),
    Effect(
        *("OpenCodeLLM", "system_message", "Brief.", lambda seen: config(seen)["agent"]),
        {"chia": {"mode": "primary"}},
        {"chia": {"mode": "primary", "prompt": "Brief."}},
    ),
    Effect("OpenCodeLLM", "opencode_bin", "another", program, "opencode", "another"),
    Effect("OpenCodeLLM", "agent_name", "other", flag("--agent"), ["chia"], ["other"]),
    Effect("OpenCodeLLM", "extra_cli_args", ["--auto"], has("--auto"), False, True),
]
ANTIGRAVITY = [
    Effect("AntigravityLLM", "model", "m-2", flag("--model"), [], ["m-2"]),
    Effect(
        *("AntigravityLLM", "system_message", "Brief.", lambda seen: seen.notes[-1]["stdin"]),
        *("one two", "Brief.\n\none two"),
    ),
    Effect("AntigravityLLM", "agy_bin", "another", program, "agy", "another"),
    Effect("AntigravityLLM", "add_dirs", ["/a", "/b"], flag("--add-dir"), [], ["/a", "/b"]),
    Effect(
        *("AntigravityLLM", "dangerously_skip_permissions", True),
        *(has("--dangerously-skip-permissions"), False, True),
    ),
    Effect("AntigravityLLM", "sandbox", True, has("--sandbox"), False, True),
    Effect("AntigravityLLM", "extra_cli_args", ["--x"], has("--x"), False, True),
]
EFFECTS = [*CLAUDE, *CODEX, *OPENCODE, *ANTIGRAVITY]
ELSEWHERE_TRIED = {
    "ClaudeCodeLLM.projects_cwd": "test_a_session_from_elsewhere_is_put_into_the_projects_folder",
    "ClaudeCodeLLM.resume_session": "test_a_resumed_shim_goes_on",
    "CodexLLM.resume_session": "test_a_resumed_shim_goes_on",
    "CodexLLM.work_dir": "test_programs_work_where_they_are_told",
    "OpenCodeLLM.work_dir": "test_programs_work_where_they_are_told",
    "AntigravityLLM.work_dir": "test_programs_work_where_they_are_told",
    "AntigravityLLM.gemini_dir": "test_antigravity_has_the_folder_that_it_is_given",
}
"""Parameters that need more than two prompts to be seen, and their tests."""


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda each: each.name)
def test_a_parameter_does_what_it_says(stage: Stage, effect: Effect) -> None:
    """The row's value is seen, and without it the other one."""
    effect.check(stage)


@pytest.mark.parametrize("name", ["CodexLLM", "OpenCodeLLM", "AntigravityLLM"])
def test_programs_work_where_they_are_told(stage: Stage, name: str) -> None:
    """``work_dir`` is the program's working directory; without it ours is."""
    found = [directory(stage.ask(name, **given)) for given in ({}, {"work_dir": str(stage.folder)})]

    assert [Path.cwd().name, stage.folder.name] == found


def test_antigravity_has_the_folder_that_it_is_given(stage: Stage) -> None:
    """``gemini_dir`` is the ``.gemini`` of the program's home; without it the home is ours."""
    folder = stage.folder / "sign-in"
    (folder / "antigravity-cli").mkdir(parents=True)
    (folder / "config").mkdir()
    (folder / "config" / "mcp_config.json").write_text("{}")
    usual = stage.ask("AntigravityLLM")
    given = AntigravityLLM(gemini_dir=str(folder))
    stage.plays("agy.jsonl", files={".gemini/antigravity-cli/kept": "by agy"})
    seen = stage.seen(given, "one two", [])

    assert str(stage.home) == usual.environment["HOME"]
    assert seen.environment["HOME"] != usual.environment["HOME"]
    assert "by agy" == (folder / "antigravity-cli" / "kept").read_text()
    assert not Path(seen.environment["HOME"]).exists()


@pytest.mark.parametrize(
    ("kind", "wire", "session"),
    [
        (ClaudeCodeLLM, "claude_code/claude-code-success.jsonl", ID),
        (CodexLLM, "codex/codex-exec-success.jsonl", "01a1fb35-f9ca-7522-ba00-64494f37e62b"),
    ],
)
def test_a_resumed_shim_goes_on(
    stage: Stage, kind: type[ClaudeCodeLLM | CodexLLM], wire: str, session: str
) -> None:
    """With ``resume_session`` the second prompt has the first one's session; without it none."""
    stage.plays(wire)
    for resumed in (False, True):
        llm = kind(resume_session=resumed)
        both = [" ".join(stage.seen(llm, "one", []).argv) for _ in range(2)]

        assert [False, resumed] == [session in argv for argv in both]


def test_a_session_from_elsewhere_is_put_into_the_projects_folder(stage: Stage) -> None:
    """``projects_cwd`` has the transcript of another machine's result, and it is resumed there."""
    name = f"{ID}.jsonl"
    stage.plays(
        "claude_code/claude-code-success.jsonl", files={f".claude/projects/-there/{name}": "{}\n"}
    )
    result = ClaudeCodeLLM().prompt("one")
    (stage.home / ".claude" / "projects" / "-there" / name).unlink()
    stage.plays("claude_code/claude-code-success.jsonl")
    ours = stage.home / ".claude" / "projects" / "-here"
    ours.mkdir()
    where = []
    for folder in (str(ours), None):
        llm = ClaudeCodeLLM(resume_session=True, projects_cwd=folder)
        llm.restore(result)
        seen = stage.seen(llm, "two", [])
        where.append(Path(after(seen.argv, "--resume")[0]).parent.name)
        (ours / name).unlink(missing_ok=True)

    assert b"{}\n" == result.session_transcript
    assert str(stage.home / ".claude" / "projects" / "-there" / name) == (
        result.session_transcript_path
    )
    assert ["-here", "penstock"] == where
