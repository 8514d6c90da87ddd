"""Agents over a stand-in: how they are started, what comes back, and where sessions go."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.agents.cli.conftest import VECTORS, StandIn

from penstock.agents import MCPServer
from penstock.agents.cli import (
    Agent,
    Retries,
    Server,
    Session,
    antigravity,
    claude_code,
    codex,
    opencode,
)
from penstock.agents.cli.claude_code import ClaudeCode
from penstock.agents.cli.codex import MAX_ARGUMENT, MAX_PROMPT
from penstock.agents.cli.options import AgentOptions
from penstock.chunks import ProviderEvent
from penstock.errors import (
    AuthenticationError,
    ConfigurationError,
    ConversationError,
    DeadlineError,
    InvalidRequestError,
    MissingCredentialsError,
    OutputTruncatedError,
    RateLimitError,
    ServerError,
    StreamClosedError,
    TruncatedError,
    UnsupportedFeatureError,
)
from penstock.limits import Timeouts
from penstock.pipeline.fold import Fold
from penstock.request import ChatRequest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="platform: a script as a program")

HELLO = "Hello from the mock model. I see 1 user message(s)."
CLAUDE_ID = "4dd9acea-7306-4011-974e-b9818dbcc400"
ECHO = Server(
    name="echo", url="http://127.0.0.1:1/mcp", headers={"Authorization": "Bearer tok-123456"}
)
LOCAL = Server(
    name="local", command=("serve", "--x"), environment={"A": "1"}, allow=False, required=False
)


def made(standin: StandIn, name: str, **options: Any) -> Agent:
    """The agent of that name, over the stand-in."""
    kinds = {"claude_code": claude_code, "codex": codex, "opencode": opencode}
    return kinds[name](**standin.options(**options))


def argv_of(standin: StandIn) -> list[str]:
    """The arguments of the last start."""
    return list(standin.notes[-1]["argv"])


def after(argv: list[str], flag: str) -> list[str]:
    """Every value that stands behind `flag`."""
    return [argv[place + 1] for place, each in enumerate(argv[:-1]) if each == flag]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "wire", "session"),
    [
        ("claude_code", "claude_code/claude-code-success.jsonl", CLAUDE_ID),
        ("codex", "codex/codex-exec-success.jsonl", "01a1fb36-5ef1-7e61-b84f-6d3a8bd3c9f1"),
        ("opencode", "opencode/opencode-run-success.jsonl", "ses_e04c64bd6ffedfF7vKkgDB3r7k"),
    ],
)
async def test_turn_is_a_prompt_in_and_an_answer_out(
    standin: StandIn, name: str, wire: str, session: str
) -> None:
    """The prompt is on stdin, not in the arguments; text, usage and session come back."""
    standin.plays(wire)
    prompt = "Say hello, please, " + "x" * 200_000
    async with made(standin, name, directory=str(standin.folder)) as agent:
        result = await agent.run(prompt)
    note = standin.notes[0]

    assert result.text.startswith("Hello from the mock model.")
    assert result.reply.usage is not None
    assert result.reply.usage.input_tokens > 100
    assert result.session is not None
    if name != "codex":
        assert session == result.session.id
    assert prompt == note["stdin"]
    assert not [each for each in note["argv"] if "xxxx" in each]
    assert str(standin.folder) == note["directory"]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["claude_code", "codex", "opencode"])
async def test_child_sees_only_what_it_may(
    standin: StandIn, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of our variables it sees an allow-list and its own credentials; telemetry is off."""
    for variable in ("OPENAI_API_KEY", "CLAUDECODE", "AWS_SECRET_ACCESS_KEY", "MY_OWN"):
        monkeypatch.setenv(variable, "no")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-of-claude")
    monkeypatch.setenv("CODEX_API_KEY", "key-of-codex")
    wires = {"claude_code": "claude-code", "codex": "codex-exec", "opencode": "opencode-run"}
    standin.plays(f"{name}/{wires[name]}-success.jsonl")
    async with made(standin, name) as agent:
        await agent.run("Hi")
    seen = standin.notes[0]["environment"]

    assert set() == {"OPENAI_API_KEY", "CLAUDECODE", "AWS_SECRET_ACCESS_KEY", "MY_OWN"} & set(seen)
    assert ("ANTHROPIC_API_KEY" in seen, "CODEX_API_KEY" in seen) == (
        name == "claude_code",
        name == "codex",
    )
    assert standin.home == seen["HOME"]
    quiet = {
        "claude_code": {"CLAUDE_CODE_MAX_RETRIES": "0", "DISABLE_TELEMETRY": "1"},
        "codex": {"CODEX_HOME": f"{standin.home}/.codex"},
        "opencode": {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"},
    }
    assert quiet[name].items() <= seen.items()


@pytest.mark.asyncio
async def test_claude_code_says_every_option(standin: StandIn) -> None:
    """Each option has its place; servers and their secrets go by a file that is gone after."""
    standin.plays("claude_code/claude-code-mcp-http-tool.jsonl")
    async with made(
        *(standin, "claude_code"),
        model="claude-sonnet-4-5",
        system="Be brief.",
        servers=(ECHO, LOCAL),
        tools=(),
        allowed_tools=("Read",),
        disallowed_tools=("Bash",),
        permission_mode="plan",
        bare=True,
        add_directories=("/a",),
        fallback_model="m2",
        max_turns=3,
        max_budget=0.5,
        json_schema={"type": "object"},
        extra_args=("--x-option", "1"),
    ) as agent:
        await agent.run("Add")
    argv = argv_of(standin)
    config = after(argv, "--mcp-config")[0]

    assert ["-p", "--output-format", "stream-json", "--verbose"] == argv[:4]
    said = {flag: after(argv, flag) for flag in argv if flag.startswith("--")}
    assert {
        "--model": ["claude-sonnet-4-5"],
        "--system-prompt": ["Be brief."],
        "--allowedTools": ["mcp__echo,Read"],
        "--disallowedTools": ["Bash"],
        "--tools": [""],
        "--permission-mode": ["plan"],
        "--add-dir": ["/a"],
        "--fallback-model": ["m2"],
        "--max-turns": ["3"],
        "--max-budget-usd": ["0.5"],
        "--json-schema": ['{"type": "object"}'],
        "--x-option": ["1"],
    }.items() <= said.items()
    assert {"--include-partial-messages", "--bare", "--strict-mcp-config"} <= set(argv)
    assert "tok-123456" not in " ".join(argv)
    servers = json.loads(standin.notes[0]["files"][config])["mcpServers"]
    assert {"Authorization": "Bearer tok-123456"} == servers["echo"]["headers"]
    assert {"type": "stdio", "command": "serve", "args": ["--x"], "env": {"A": "1"}} == servers[
        "local"
    ]
    assert config not in standin.left()


@pytest.mark.asyncio
async def test_codex_says_every_option(standin: StandIn) -> None:
    """Each option has its place, on resume in the words that resume has."""
    standin.plays("codex/codex-exec-session-first-turn.jsonl")
    options: dict[str, Any] = {
        "model": "gpt-x",
        "system": 'Say "hi"',
        "servers": (ECHO, LOCAL),
        "sandbox": "workspace-write",
        "profile": "p",
        "ignore_rules": True,
        "endpoint": "http://127.0.0.1:1/v1",
        "auto_compact_token_limit": 5,
        "config": {"a.b": True, "features.plugins": True},
        "extra_args": ("--color", "never"),
    }
    async with made(standin, "codex", **options) as agent:
        talk = agent.converse()
        await talk.run("one")
        first = argv_of(standin)
        await talk.run("two")
        second = argv_of(standin)
    config = dict(each.split("=", 1) for each in after(first, "-c"))

    assert ["exec", "--json", "--skip-git-repo-check", "--ignore-rules"] == first[:4]
    assert (["workspace-write"], ["p"], ["gpt-x"]) == tuple(
        after(first, f) for f in ("-s", "-p", "-m")
    )
    assert {
        "developer_instructions": '"Say \\"hi\\""',
        "model_auto_compact_token_limit": "5",
        "model_provider": '"penstock"',
        "model_providers.penstock.base_url": '"http://127.0.0.1:1/v1"',
        "model_providers.penstock.request_max_retries": "0",
        "model_providers.penstock.stream_max_retries": "0",
        "mcp_servers.echo.default_tools_approval_mode": '"approve"',
        "mcp_servers.echo.required": "true",
        "mcp_servers.echo.bearer_token_env_var": '"PENSTOCK_MCP_TOKEN_0"',
        "mcp_servers.local.command": '"/bin/sh"',
        "mcp_servers.local.env_vars": '["PENSTOCK_MCP_KEY_1_0"]',
        "a.b": "true",
        "analytics.enabled": "false",
        "otel.metrics_exporter": '"none"',
        "check_for_update_on_startup": "false",
        "features.plugins": "true",
    }.items() <= config.items()
    assert "mcp_servers.local.default_tools_approval_mode" not in config
    assert "tok-123456" == standin.notes[0]["environment"]["PENSTOCK_MCP_TOKEN_0"]
    assert "tok-123456" not in " ".join(first)
    assert "-" == first[-1]
    assert ["exec", "resume"] == second[:2]
    assert talk.session is not None
    assert [talk.session.id, "-"] == second[-2:]
    assert not {"-s", "-p"} & set(second)
    assert 'sandbox_mode="workspace-write"' in second


@pytest.mark.asyncio
async def test_no_value_of_a_server_of_codex_is_an_argument(standin: StandIn) -> None:
    """Every user can read those, so variables carry them, also where two servers have one name
    with two values, or Codex would take it as its own; each server gets them by its names."""
    standin.plays("codex/codex-exec-success.jsonl")
    headers = {"x-api-key": "key-of-web", "Authorization": "Basic dXNlcjpw"}
    web = Server(name="web", url="http://127.0.0.1:1/mcp", headers=headers)
    keys = {"ACME_TOKEN": "token-1", "OPENAI_API_KEY": "key-1", "GITHUB_PAT": 'it\'s "$HOME"\n`'}
    show = ("-IS", "-c", "import json, os, sys; print(json.dumps([dict(os.environ), *sys.argv]))")
    first = Server(name="first", command=(sys.executable, *show, "a b"), environment=keys)
    second = Server(
        name="second", command=(sys.executable, *show), environment={"ACME_TOKEN": "token-2"}
    )
    plain = Server(name="plain", command=("serve", "-v"))
    async with made(standin, "codex", servers=(web, first, second, plain)) as agent:
        await agent.run("Hi")
    argv = argv_of(standin)
    config = dict(each.split("=", 1) for each in after(argv, "-c"))
    seen = standin.notes[0]["environment"]

    def runs(server: str) -> Any:
        """What a server of that name sees, started as Codex 0.169.0 does."""
        told = {n: json.loads(config[f"mcp_servers.{server}.{n}"]) for n in ("args", "env_vars")}
        program = json.loads(config[f"mcp_servers.{server}.command"])
        environment = {name: seen[name] for name in told["env_vars"]}
        return json.loads(subprocess.check_output([program, *told["args"]], env=environment))

    named = {"x-api-key": "PENSTOCK_MCP_KEY_0_0", "Authorization": "PENSTOCK_MCP_KEY_0_1"}
    assert headers == {header: seen[variable] for header, variable in named.items()}
    assert (
        '{"x-api-key" = "PENSTOCK_MCP_KEY_0_0", "Authorization" = "PENSTOCK_MCP_KEY_0_1"}'
        == config["mcp_servers.web.env_http_headers"]
    )
    values = [*headers.values(), *keys.values(), "token-2"]
    assert [] == [value for value in values if any(value in each for each in argv)]
    assert not {*keys} & {*seen}
    found, *arguments = runs("first")
    assert keys == {name: found[name] for name in keys}
    assert ["-c", "a b"] == arguments
    assert not [name for name in found if name.startswith("PENSTOCK")]
    assert "token-2" == runs("second")[0]["ACME_TOKEN"]
    assert ('"serve"', '["-v"]') == tuple(
        config[f"mcp_servers.plain.{name}"] for name in ("command", "args")
    )
    assert "mcp_servers.plain.env_vars" not in config


@pytest.mark.asyncio
async def test_another_system_prompt_of_codex_is_told_in_the_prompt(standin: StandIn) -> None:
    """``exec resume`` sends the one that its record has, whatever it is told."""
    wire = "codex/codex-exec-session-first-turn.jsonl"
    id = json.loads((VECTORS / wire).read_text().splitlines()[0])["thread_id"]
    begun = {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]}
    name = f".codex/sessions/2026/11/28/rollout-2026-11-28T11-05-33-{id}.jsonl"
    standin.plays(wire, files={name: json.dumps({"payload": begun}) + "\n"})
    session = None
    for system in ("Be brief.", "Be brief.", "Be merry."):
        async with made(standin, "codex", system=system) as agent:
            session = (await agent.run("Hi", session=session)).session
    told = [note["stdin"] for note in standin.notes]

    assert ["Hi", "Hi"] == told[:2]
    assert told[2].endswith("<system_prompt>\nBe merry.\n</system_prompt>\n\nHi")


@pytest.mark.asyncio
async def test_a_prompt_of_codex_is_measured_with_what_stands_before_it(standin: StandIn) -> None:
    """Of a child that stays too, whose thread is told another system prompt in its first turn."""
    id = "01a221d4-f281-7c11-9cdc-3cc27e2d9977"
    record = Path(f".codex/sessions/2026/11/28/rollout-2026-11-28T11-05-33-{id}.jsonl")
    path = Path(standin.home) / record
    path.parent.mkdir(parents=True)
    path.write_text('{"payload": {}}\n')
    session = Session(agent="codex", id=id)
    for kept in (False, True):
        async with made(standin, "codex", keep_alive=kept, system="Be merry.") as agent:
            with pytest.raises(ConfigurationError, match="takes prompts of 1048576 characters"):
                await agent.run("x" * MAX_PROMPT, session=session)
    assert not (standin.folder / "notes.jsonl").exists()


@pytest.mark.asyncio
async def test_codex_asks_once_by_whatever_provider_it_is_to_ask(standin: StandIn) -> None:
    """A new session has one that stands for OpenAI's, one that Codex began goes on with Codex'
    own, and a provider of the user's stays, as the files of the child's home say."""
    wire = "codex/codex-exec-session-first-turn.jsonl"
    id = json.loads((VECTORS / wire).read_text().splitlines()[0])["thread_id"]
    name = f".codex/sessions/2026/11/28/rollout-2026-11-28T11-05-33-{id}.jsonl"
    begun = {"type": "session_meta", "payload": {"model_provider": "openai"}}
    standin.plays(wire, files={name: json.dumps(begun) + "\n"})
    async with made(standin, "codex") as agent:
        session = (await agent.run("Hi")).session
        await agent.run("Hi", session=session)
        mine = 'model_provider = "mine"\n[model_providers.mine]\nname = "m"\n'
        (Path(standin.home) / ".codex/config.toml").write_text(mine)
        await agent.run("Hi")
    told = [
        [each for each in after(n["argv"], "-c") if "model_prov" in each] for n in standin.notes
    ]
    ours = told[0].pop()

    assert [
        ['model_provider="penstock-openai"'],
        [],
        [
            "model_providers.mine.request_max_retries=0",
            "model_providers.mine.stream_max_retries=0",
        ],
    ] == told
    assert ours.startswith('model_providers.penstock-openai={"name" = "OpenAI", ')
    assert ', "http_headers" = {"version" = "0.169.0"}, ' in ours


@pytest.mark.asyncio
async def test_a_home_of_codex_that_is_a_file_is_named(standin: StandIn) -> None:
    """It is the caller's to mend, before anything is started."""
    async with made(standin, "codex", home=standin.program) as agent:
        with pytest.raises(ConfigurationError, match="cannot be used") as caught:
            await agent.run("Hi")
    assert "home" == caught.value.param


@pytest.mark.skipif(sys.platform != "linux", reason="platform: others take longer arguments")
@pytest.mark.asyncio
async def test_a_system_prompt_goes_into_an_argument_of_codex_or_is_an_error(
    standin: StandIn,
) -> None:
    """The longest that Linux takes is given; one byte more is refused before anything starts."""
    standin.plays("codex/codex-exec-success.jsonl")
    longest = MAX_ARGUMENT - len('developer_instructions=""') - 1
    for extra in (0, 1):
        async with made(standin, "codex", system="x" * (longest + extra)) as agent:
            if not extra:
                await agent.run("Hi")
                continue
            with pytest.raises(ConfigurationError, match="keep_alive=True") as caught:
                await agent.run("Hi")
    with pytest.raises(ConfigurationError, match="takes prompts of 1048576 characters"):
        await agent.run("x" * (MAX_PROMPT + 1))

    assert "system" == caught.value.param
    assert 1 == len(standin.notes)


@pytest.mark.asyncio
async def test_a_variable_that_no_shell_takes_is_an_error(standin: StandIn) -> None:
    """Nothing is started."""
    server = Server(name="odd", command=("serve",), environment={"a.b; true": "1"})
    async with made(standin, "codex", servers=(server,)) as agent:
        with pytest.raises(ConfigurationError, match=r"a variable called 'a\.b; true'"):
            await agent.run("Hi")
    assert not (standin.folder / "notes.jsonl").exists()


@pytest.mark.asyncio
async def test_what_codex_is_configured_with_is_in_no_repr(standin: StandIn) -> None:
    """It may hold keys; and the model's commands see none, unless it says so."""
    standin.plays("codex/codex-exec-success.jsonl")
    hidden = "shell_environment_policy.ignore_default_excludes"
    for more in ({"a.token": "sk-literal"}, {hidden: True}):
        async with made(standin, "codex", config=more) as agent:
            assert "sk-literal" not in repr(agent.backend)
            await agent.run("Hi")
    told = [
        dict(each.split("=", 1) for each in after(note["argv"], "-c")) for note in standin.notes
    ]

    assert ["false", "true"] == [each[hidden] for each in told]


@pytest.mark.asyncio
async def test_opencode_says_every_option(standin: StandIn) -> None:
    """Each option has its place: most of them in the configuration, which is a variable."""
    standin.plays("opencode/opencode-run-success.jsonl")
    async with made(
        *(standin, "opencode"),
        model="mock/m",
        system="Be brief.",
        servers=(ECHO, LOCAL),
        config={"small_model": "mock/m"},
        project_config=False,
    ) as agent:
        await agent.run("Hi")
    argv, environment = argv_of(standin), standin.notes[0]["environment"]
    config = json.loads(environment["OPENCODE_CONFIG_CONTENT"])

    assert ["run", "--format", "json", "--title", "penstock"] == argv[:5]
    assert (["mock/m"], ["penstock"]) == (after(argv, "--model"), after(argv, "--agent"))
    assert "--auto" not in argv
    assert {"deny"} == set(config["permission"].values())
    assert config["agent"]["penstock"]["prompt"].startswith("{file:/")
    assert ("remote", "local") == tuple(config["mcp"][n]["type"] for n in ("echo", "local"))
    assert "mock/m" == config["small_model"]
    assert "1" == environment["OPENCODE_DISABLE_PROJECT_CONFIG"]


@pytest.mark.asyncio
async def test_opencode_is_told_which_servers_are_refused(standin: StandIn) -> None:
    """By a rule behind all others, as the last one that fits decides."""
    standin.plays("opencode/opencode-run-success.jsonl")
    said = []
    for options in (
        {},
        {"config": {"permission": "allow"}},
        {"permission": {"*": "allow"}},
    ):
        async with made(standin, "opencode", servers=(ECHO, LOCAL), **options) as agent:
            await agent.run("Hi")
        config = json.loads(standin.notes[-1]["environment"]["OPENCODE_CONFIG_CONTENT"])
        said.append(list(config["permission"].items()))

    assert not LOCAL.allow
    assert [("local_*", "deny")] * 3 == [rules[-1] for rules in said]
    assert [("*", "allow")] == said[1][:-1] == said[2][:-1]


@pytest.mark.asyncio
async def test_antigravity_says_every_option(standin: StandIn) -> None:
    """``agy`` is a stand-in in any case; its prompt has the system's words before it."""
    result = {"status": "SUCCESS", "response": "Hi", "conversation_id": "c-1", "usage": {}}
    wire = standin.folder / "wire"
    wire.write_text(json.dumps({"event": "result", "result": result}) + "\n")
    standin.plays(str(wire))
    async with antigravity(
        **standin.options(model="g", system="Be brief.", servers=(ECHO,), sandbox=True, mode="plan")
    ) as agent:
        answer = await agent.run("Hello")
    argv = argv_of(standin)
    servers = json.loads(standin.kept(".gemini/config/mcp_config.json"))

    assert "Hi" == answer.text
    assert "Be brief.\n\nHello" == standin.notes[0]["stdin"]
    assert (["605s"], ["g"]) == (after(argv, "--print-timeout"), after(argv, "--model"))
    assert "--sandbox" in argv
    assert "serverUrl" in servers["mcpServers"]["echo"]
    with pytest.raises(ConfigurationError, match="home="):
        antigravity(servers=(ECHO,))


def test_agy_bypasses_no_server_that_is_to_be_refused(tmp_path: Path) -> None:
    """It has no rule for one server: whoever refuses one cannot bypass everything."""
    with pytest.raises(ConfigurationError, match="tools of local too"):
        antigravity(home=str(tmp_path), servers=(LOCAL,), bypass_permissions=True)


@pytest.mark.asyncio
async def test_agys_own_clock_is_later_than_the_turns(standin: StandIn) -> None:
    """Whoever sets ours: agy would end with half an answer, and call that a success."""
    result = {"status": "SUCCESS", "response": "Hi", "conversation_id": "c-1", "usage": {}}
    wire = standin.folder / "wire"
    wire.write_text(json.dumps({"event": "result", "result": result}) + "\n")
    standin.plays(str(wire))
    async with antigravity(**standin.options(timeouts=Timeouts(total=50))) as agent:
        for turn in (None, Timeouts(total=1800), Timeouts(total=None)):
            await agent.run("Hello", timeouts=turn)
    clocks = [after(note["argv"], "--print-timeout") for note in standin.notes]

    assert [["55s"], ["1805s"], ["86405s"]] == clocks


@pytest.mark.asyncio
async def test_no_child_starts_once_the_agent_is_closed(standin: StandIn) -> None:
    """A turn that was about to begin is over; nobody would end its child."""
    standin.plays("claude_code/claude-code-mcp-http-tool.jsonl")
    agent = claude_code(**standin.options())
    turn = asyncio.ensure_future(agent.run("Hi"))
    await asyncio.sleep(0)  # its command is being made
    await agent.aclose()
    with pytest.raises(StreamClosedError):
        await turn

    assert not (standin.folder / "notes.jsonl").exists()


@pytest.mark.parametrize("make", [claude_code, codex, opencode, antigravity])
def test_nothing_is_bypassed_unless_asked_for(make: Any) -> None:
    """Permissions and sandboxes hold by default, and a bypass has a name."""
    from penstock.agents.cli.backend import Turn
    from penstock.agents.cli.surroundings import Scratch

    def told(**options: Any) -> tuple[str, ...]:
        with closing(Scratch()) as scratch:
            return make(**options).backend.command(Turn(prompt="x"), scratch).argv

    bypass = {
        "--dangerously-skip-permissions",
        "--dangerously-bypass-approvals-and-sandbox",
        "--auto",
    }
    asked = {
        claude_code: {"bypass_permissions": True},
        codex: {"bypass_approvals_and_sandbox": True},
        opencode: {"auto_approve": True},
        antigravity: {"bypass_permissions": True},
    }
    assert set() == bypass & set(told())
    assert bypass & set(told(**asked[make]))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "wire", "code", "kind"),
    [
        ("claude_code", "claude-code-auth-401.jsonl", 1, AuthenticationError),
        ("claude_code", "claude-code-usage-limit-429-subscription.jsonl", 1, RateLimitError),
        ("claude_code", "claude-code-killed-by-sigterm.jsonl", 143, TruncatedError),
        ("claude_code", "claude-code-max-output-tokens.jsonl", 1, OutputTruncatedError),
        ("codex", "codex-exec-server-error-500.jsonl", 1, ServerError),
        ("opencode", "opencode-run-max-output-tokens.jsonl", 0, OutputTruncatedError),
    ],
)
async def test_failed_turn_keeps_its_session(
    standin: StandIn, name: str, wire: str, code: int, kind: type[Exception]
) -> None:
    """The error is the dialect's, with the agent's name and what came; the session is known."""
    standin.plays(f"{name}/{wire}", code=code)
    async with made(standin, name) as agent:
        talk = agent.converse()
        with pytest.raises(kind) as caught:
            await talk.run("Hello there, who are you?")

    error: Any = caught.value
    assert name == error.provider
    assert talk.session is not None
    assert talk.session.id
    if kind is OutputTruncatedError:
        assert error.partial.text.startswith("Hello from the mock model")


@pytest.mark.asyncio
async def test_bad_arguments_are_the_callers(standin: StandIn) -> None:
    """A child that prints to stderr alone refuses its arguments."""
    standin.plays("", code=1, stderr="error: unknown option '--nope'\n")
    async with made(standin, "claude_code", extra_args=("--nope",)) as agent:
        with pytest.raises(InvalidRequestError, match="unknown option"):
            await agent.run("Hi")


@pytest.mark.asyncio
async def test_sessions_travel(standin: StandIn, tmp_path: Path) -> None:
    """A session is captured, pickled, and restored in another home before it is resumed."""
    kept = f".claude/projects/-p/{CLAUDE_ID}.jsonl"
    standin.plays("claude_code/claude-code-success.jsonl", files={kept: '{"turn":1}\n'})
    async with made(standin, "claude_code") as agent:
        first = (await agent.run("one")).session
    other = tmp_path / "other"
    other.mkdir()
    moved = pickle.loads(pickle.dumps(first))
    async with claude_code(**{**standin.options(), "home": str(other)}) as agent:
        await agent.run("two", session=moved)
    resumed = after(argv_of(standin), "--resume")[0]

    assert first is not None
    assert {f"{CLAUDE_ID}.jsonl": b'{"turn":1}\n'} == dict(first.files)
    assert {"claude_code": "2.1.329"} == dict(first.versions)
    assert first == Session.from_json(first.to_json())
    assert resumed.startswith(str(other))
    assert '{"turn":1}\n' == standin.notes[-1]["files"][resumed]


@pytest.mark.parametrize(
    ("more", "same"),
    [
        ("", True),
        # What a child of 2.1.329 that stayed writes as it ends, cut.
        ('{"type":"last-prompt","lastPrompt":"one"}\n{"type":"cost-state"}\n', True),
        ('{"parentUuid":"a","type":"user","message":{}}\n', False),
    ],
)
@pytest.mark.asyncio
async def test_a_session_of_claude_code_is_where_its_turns_are(
    standin: StandIn, more: str, same: bool
) -> None:
    """What is added as a child ends is no turn, so the file is gone on with; else there are two."""
    kept = Path(standin.home) / f".claude/projects/-p/{CLAUDE_ID}.jsonl"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"turn":1}\n' + more)
    files = {f"{CLAUDE_ID}.jsonl": b'{"turn":1}\n'}
    session = Session(agent="claude_code", id=CLAUDE_ID, files=files)
    backend = ClaudeCode(options=AgentOptions(home=standin.home))
    found = await backend.restore(session, {"CLAUDE_CONFIG_DIR": f"{standin.home}/.claude"})

    copy = f".claude/projects/penstock/{CLAUDE_ID}.jsonl"
    assert str(kept if same else Path(standin.home) / copy) == found
    assert same or '{"turn":1}\n' == standin.kept(copy)


@pytest.mark.asyncio
async def test_codex_sessions_travel(standin: StandIn, tmp_path: Path) -> None:
    """The rollout goes to its own path in another home, and the thread's tokens go with it."""
    id = "01a1fb38-475e-7d30-ae1b-1e8764a24302"
    kept = f".codex/sessions/2026/11/20/rollout-2026-11-20T23-09-00-{id}.jsonl"
    standin.plays("codex/codex-exec-session-first-turn.jsonl", files={kept: "line\n"})
    async with made(standin, "codex") as agent:
        first = (await agent.run("one")).session
    other = tmp_path / "other"
    other.mkdir()
    standin.plays("codex/codex-exec-session-resumed.jsonl")
    async with codex(**{**standin.options(), "home": str(other)}) as agent:
        second = await agent.run("two", session=first)

    assert first is not None
    assert id == first.id
    assert "line\n" == (other / kept).read_text()
    assert second.reply.usage is not None
    assert (120, 30) == (second.reply.usage.input_tokens, second.reply.usage.output_tokens)


@pytest.mark.asyncio
async def test_opencode_sessions_travel(standin: StandIn) -> None:
    """The export is captured through a file, and imported before the session is resumed."""
    standin.plays("opencode/opencode-run-session-first-turn.jsonl")
    async with made(standin, "opencode") as agent:
        first = (await agent.run("one")).session
        assert first is not None
        await agent.run("two", session=first)

    assert {"info": {"id": first.id}} == json.loads(first.files["export.json"])
    assert first.files["export.json"] == (standin.folder / "imported.json").read_bytes()
    assert [first.id] == after(argv_of(standin), "--session")


def test_sessions_write_nowhere_else(tmp_path: Path) -> None:
    """A session from elsewhere names no file outside of its place, and takes no newer one away."""
    from penstock.agents.cli.session import write_files

    for name in ("../x", "/x", "a/../../x", "a\\b", "c:x", "", ".", "a\0b"):
        with pytest.raises(ConversationError):
            write_files(tmp_path, {name: b"x"})
    write_files(tmp_path, {"a/b": b"one"})
    write_files(tmp_path, {"a/b": b"one two"})
    with pytest.raises(ConversationError, match="gone on"):
        write_files(tmp_path, {"a/b": b"one"})
    with pytest.raises(ConversationError, match="no session"):
        Session.from_json(b'{"agent": 5}')
    for name in ("a/b/c", "x" * 300):
        with pytest.raises(ConversationError, match="cannot be restored") as caught:
            write_files(tmp_path, {name: b"x"})
        assert "io" == caught.value.code
    assert b"one two" == (tmp_path / "a" / "b").read_bytes()
    assert ["a"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.asyncio
async def test_silent_child_meets_the_deadline(standin: StandIn) -> None:
    """``total`` holds whatever the agent does; a tool at work stops the clocks of silence only."""
    standin.plays("", sleep=30)
    async with made(standin, "claude_code") as agent:
        with pytest.raises(DeadlineError) as caught:
            await agent.run("Hi", timeouts=Timeouts(total=0.5))
    assert ("total", "claude_code") == (caught.value.phase, caught.value.provider)


@pytest.mark.asyncio
async def test_cancelled_turn_leaves_no_child(standin: StandIn) -> None:
    """Who is cancelled is free at once, and the child is ended after."""
    standin.plays("", sleep=30)
    agent = made(standin, "codex")
    running = asyncio.ensure_future(agent.run("Hi"))
    while not (standin.folder / "notes.jsonl").exists():  # noqa: ASYNC110  # another process does
        await asyncio.sleep(0.02)
    [pid] = [wire.pid for wire in agent._transport._alive]
    assert pid is not None
    os.kill(pid, 0)  # it is there
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(agent.aclose(), 10)

    assert not agent._transport._alive
    with pytest.raises(ProcessLookupError):  # no zombie either
        os.killpg(pid, 0)


@pytest.mark.asyncio
async def test_cancelled_turn_can_be_gone_on_with(standin: StandIn) -> None:
    """What it left is taken in once the child has ended, for those who have the time."""
    wire = "claude_code/claude-code-killed-by-sigterm.jsonl"
    id = json.loads((VECTORS / wire).read_text().splitlines()[0])["session_id"]
    standin.plays(wire, sleep=30, files={f".claude/projects/-x/{id}.jsonl": "kept\n"})
    agent, heard = made(standin, "claude_code"), asyncio.Event()
    talk = agent.converse()
    running = asyncio.ensure_future(talk.run("Hi", on_chunk=lambda _: heard.set()))
    running.add_done_callback(lambda _: heard.set())
    await heard.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    before = talk.session
    await agent.aclose()
    session = await talk.recover()

    assert before is None
    assert session is not None
    assert (id, {f"{id}.jsonl": b"kept\n"}) == (session.id, session.files)
    assert session is await talk.recover()


@pytest.mark.asyncio
async def test_tool_at_work_is_seen_at_once(standin: StandIn, tmp_path: Path) -> None:
    """A turn that begins with a tool says so while the tool runs, before there is any text."""
    wire = (VECTORS / "codex/codex-exec-mcp-http-tool.jsonl").read_text().splitlines(keepends=True)
    begun = next(at for at, line in enumerate(wire) if '"item.started"' in line)
    (tmp_path / "begun.jsonl").write_text("".join(wire[: begun + 1]))
    standin.plays(str(tmp_path / "begun.jsonl"), sleep=30)
    agent, seen = made(standin, "codex"), asyncio.Event()

    def look(chunk: object) -> None:
        if isinstance(chunk, ProviderEvent) and chunk.name == "tool_call":
            seen.set()

    running = asyncio.ensure_future(agent.run("Hi", on_chunk=look))
    await seen.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await agent.aclose()


@pytest.mark.asyncio
async def test_agent_is_a_provider(standin: StandIn) -> None:
    """`open` answers a chat; its reply's state makes the next request go on in the session."""
    standin.plays("claude_code/claude-code-success.jsonl")
    async with made(standin, "claude_code") as agent:
        messages: list[Any] = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "one"}]},
        ]
        stream = await agent.open(ChatRequest(model="claude-code/m9", messages=messages))
        fold, events = Fold(), []
        while batch := await stream.read():
            fold.add(batch)
            events += [each.name for each in batch if isinstance(each, ProviderEvent)]
        await stream.aclose()
        messages += [fold.reply(stream.record).message, {"role": "user", "content": "two"}]
        again = await agent.open(
            ChatRequest(model="claude-code", messages=messages, params={"temperature": 1})
        )
        await again.aclose()
        with pytest.raises(UnsupportedFeatureError, match="MCP"):
            await agent.open(ChatRequest(model="x", messages="x", tools=({"type": "function"},)))
    first, second = (note["argv"] for note in standin.notes)

    assert HELLO == fold.text
    assert ["init", "result", "final_text"] == events
    assert (["m9"], ["Be brief."]) == (after(first, "--model"), after(first, "--system-prompt"))
    assert [CLAUDE_ID] == after(second, "--resume")
    assert ["one", "two"] == [note["stdin"] for note in standin.notes]
    assert ["temperature"] == again.record.dropped


@pytest.mark.asyncio
async def test_retries_follow_the_seeds_rules(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing server is asked again, a wrong key never."""
    monkeypatch.setattr("penstock.agents.cli.policy._LONGEST", 0.0)
    async with made(standin, "codex") as agent:
        standin.plays("codex/codex-exec-server-error-500.jsonl", code=1)
        with pytest.raises(ServerError):
            await agent.run("Hi", retries=Retries(retries=2))
        asked = len(standin.notes)
        standin.plays("codex/codex-exec-auth-401.jsonl", code=1)
        with pytest.raises(AuthenticationError):
            await agent.run("Hi", retries=Retries(retries=2))

    assert (3, 4) == (asked, len(standin.notes))


def test_retry_rules() -> None:
    """Each kind of error has its rule."""
    rules = Retries(retries=3, wait_for_reset=100)

    assert [1.0, 2.0, 4.0, None] == [
        rules.delay(ServerError(), tried=n, now=0) for n in (1, 2, 3, 4)
    ]
    assert [0.0, None] == [rules.delay(OutputTruncatedError(), tried=n, now=0) for n in (1, 2)]
    assert 51.0 == rules.delay(RateLimitError(reset_at=150), tried=1, now=100)
    assert None is rules.delay(RateLimitError(reset_at=300), tried=1, now=100)
    assert None is rules.delay(RateLimitError(), tried=1, now=0)
    assert None is Retries(retries=3).delay(RateLimitError(retry_after=1), tried=1, now=0)
    assert None is rules.delay(AuthenticationError(), tried=1, now=0)
    assert None is Retries().delay(ServerError(), tried=1, now=0)


def test_options_are_checked() -> None:
    """An unknown option is refused with the nearest; values that no agent takes are, too."""
    with pytest.raises(ConfigurationError, match="did you mean 'sandbox'"):
        codex(sandbx="read-only")
    with pytest.raises(ConfigurationError, match="no sandbox"):
        codex(sandbox="none")
    with pytest.raises(ConfigurationError, match="url= or a command="):
        Server(name="x")
    with pytest.raises(ConfigurationError, match="no name"):
        Server(name="a b", url="http://x")


def test_agents_pickle(standin: StandIn) -> None:
    """An agent travels as what it was told."""
    agent = made(standin, "codex", servers=(LOCAL,))

    assert agent.backend == pickle.loads(pickle.dumps(agent)).backend


KEYS: list[dict[str, Any]] = [
    {"servers": (ECHO,)},
    {"servers": (replace(LOCAL, environment={"A": "1", "X_API_KEY": "tok-123456"}),)},
    {"environment": {"A": "1", "OPENAI_API_KEY": "tok-123456"}},
]


@pytest.mark.asyncio
@pytest.mark.parametrize("options", KEYS, ids=["header", "server", "child"])
async def test_fault_39_no_key_of_an_agent_travels(
    standin: StandIn, options: dict[str, Any]
) -> None:
    """Its pickle has none, and the first turn elsewhere says which was left behind."""
    if "environment" in options:
        options = {"environment": standin.options()["environment"] | options["environment"]}
    sent = pickle.dumps(made(standin, "codex", **options))
    assert b"tok-123456" not in sent
    async with pickle.loads(sent) as agent:
        with pytest.raises(MissingCredentialsError, match="a pickle takes no credential along"):
            await agent.run("go")


def test_arguments_show_nowhere(standin: StandIn) -> None:
    """Not in what an agent, its options or its servers look like: some programs have keys there."""
    server = Server(name="local", command=("serve", "--token", "tok-123456"))
    agent = made(standin, "codex", servers=(server,), extra_args=("-c", "key=tok-123456"))
    other = MCPServer(command=["serve", "--token", "tok-123456"])

    assert "tok-123456" not in f"{agent!r} {agent.backend!r} {server!r} {other!r}"


@pytest.mark.asyncio
async def test_a_key_that_a_variable_holds_is_found_again(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pickle has the variable's name, and the value there is the one that is used."""
    monkeypatch.setenv("MY_TOKEN", "tok-123456")
    given = standin.options()["environment"] | {"OPENAI_API_KEY": "tok-123456"}
    sent = pickle.dumps(made(standin, "codex", environment=given))
    monkeypatch.setenv("MY_TOKEN", "tok-of-elsewhere")

    assert b"tok-123456" not in sent
    assert "tok-of-elsewhere" == pickle.loads(sent).environment()["OPENAI_API_KEY"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("claude_code", "claude_code/claude-code-success.jsonl"),
        ("codex", "codex/codex-exec-success.jsonl"),
        ("opencode", "opencode/opencode-run-success.jsonl"),
    ],
)
async def test_half_a_line_and_exit_code_0_is_torn(standin: StandIn, name: str, wire: str) -> None:
    """A child that ends inside its last line has not answered, whatever its exit code."""
    whole = (VECTORS / wire).read_text()
    half = standin.folder / "half"
    half.write_text(whole[: whole.rstrip().rfind("\n") + 200 if name != "codex" else -20])
    standin.plays(str(half), code=0, stderr="last words\n")
    async with made(standin, name) as agent:
        with pytest.raises(TruncatedError, match="last words") as caught:
            await agent.run("Hi")
    assert caught.value.partial is not None
    assert caught.value.partial.text.startswith("Hello from the mock model.")


@pytest.mark.asyncio
async def test_a_client_reaches_agents_by_model_names(standin: StandIn) -> None:
    """``claude-code/m9`` is the agent's model m9; the reply's session goes on."""
    import penstock as ps

    standin.plays("claude_code/claude-code-success.jsonl")
    async with (
        made(standin, "claude_code") as agent,
        ps.Client(mounts={"claude-code": agent}) as client,
    ):
        messages: list[Any] = [{"role": "user", "content": "one"}]
        async with client.stream("claude-code/m9", messages) as stream:
            text = "".join([chunk.text async for chunk in stream])
            messages.append(stream.response.message)
        messages.append({"role": "user", "content": "two"})
        reply = await client.chat("claude-code/m9", messages)
    first, second = (note["argv"] for note in standin.notes)

    assert (HELLO, HELLO) == (text, reply.text)
    assert ("claude_code", "m9") == (reply.provider, after(first, "--model")[0])
    assert [CLAUDE_ID] == after(second, "--resume")
