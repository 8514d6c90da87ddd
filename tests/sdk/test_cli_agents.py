"""The real coding agents over the simulator: nothing but loopback is spoken to.

The module's proxy is a trap: whatever looks for the outside ends there, and fails the tests.

They are looked for in ``PENSTOCK_CLI_AGENTS`` (the ``.bin`` folder of an npm prefix) and on PATH;
``.ci/run`` installs them:

    npm install --prefix DIR @anthropic-ai/claude-code@2.1.329 @openai/codex@0.169.0 \
        opencode-ai@1.18.33

Antigravity's SDK is a package of PyPI. A child for each turn (``turn``) or one that stays
(``kept``).
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any, ClassVar

import pytest
from tests.agents.conftest import serving
from tests.transports.authorities import Authority

from penstock.agents import Deny, ToolRequest
from penstock.agents.cli import (
    Agent,
    Server,
    Session,
    antigravity_sdk,
    claude_code,
    codex,
    opencode,
)
from penstock.agents.cli.opencode_home import settle
from penstock.chunks import ProviderEvent, TextDelta
from penstock.errors import (
    AuthenticationError,
    BillingError,
    InvalidRequestError,
    NotFoundError,
    PenstockError,
    RateLimitError,
    ServerError,
)
from penstock.limits import Timeouts
from penstock.simulator import SimulatorThread
from penstock.transports.process import ProcessTransport

PROGRAMS = {"claude_code": "claude", "codex": "codex", "opencode": "opencode"}
PATH = os.pathsep.join(filter(None, (os.environ.get("PENSTOCK_CLI_AGENTS"), os.environ["PATH"])))
FOUND = {name: shutil.which(program, path=PATH) for name, program in PROGRAMS.items()}
EVERY = [f"{name}-{mode}" for mode in ("turn", "kept") for name in (*PROGRAMS, "antigravity_sdk")]

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio]


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorThread]:
    """The model's endpoint."""
    with SimulatorThread() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def url(simulator: SimulatorThread) -> str:
    """The simulator's origin."""
    return simulator.url


class Trap(BaseRequestHandler):
    """A proxy, and a registry, that has nothing and notes what it was asked for."""

    tried: ClassVar[list[str]] = []

    def handle(self) -> None:
        """Note the first line."""
        asked = self.request.recv(65536).decode("latin-1")
        self.tried.append(asked.partition("\r\n")[0])
        self.request.sendall(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.fixture(scope="module")
def offline() -> Iterator[dict[str, str]]:
    """Variables by which whatever would leave the machine comes to the trap; nothing may."""
    Trap.tried.clear()
    with ThreadingTCPServer(("127.0.0.1", 0), Trap) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        yield {
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "npm_config_registry"), address),
            "NO_PROXY": "127.0.0.1,localhost",
            "npm_config_fetch_retries": "0",
        }
        server.shutdown()
        thread.join()
    assert [] == Trap.tried


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, offline: dict[str, str]) -> Path:
    """A home in which opencode has made its database, to be copied."""
    home = tmp_path_factory.mktemp("warm")
    settle(str(home))
    if FOUND["opencode"] is not None:
        quiet = {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), **offline, **quiet}
        command = [FOUND["opencode"], "session", "list"]
        subprocess.run(command, env=environment, cwd=home, capture_output=True, check=False)
    return home


@pytest.fixture
def made(url: str, warm: Path, tmp_path: Path, offline: dict[str, str]) -> Any:
    """Makes a real agent over the simulator, each in a home of its own."""

    def make(which: str, model: str = "sim/echo", *, home: str = "home", **more: Any) -> Agent:
        name, _, mode = which.partition("-")
        folder = tmp_path / home
        if not folder.exists():
            shutil.copytree(warm, folder)
            (folder / "work").mkdir()
        options: dict[str, Any] = {
            "home": str(folder),
            "directory": str(folder / "work"),
            "model": model,
            "environment": offline,
            "timeouts": Timeouts(total=150),
            "keep_alive": mode == "kept",
            **more,
        }
        return _sdk(url, options) if name == "antigravity_sdk" else _cli(name, url, options)

    return make


def _cli(name: str, url: str, options: dict[str, Any]) -> Agent:
    program = FOUND[name]
    if program is None:
        pytest.skip(f"platform: {PROGRAMS[name]} is not installed here (npm carries it)")
    options["program"] = program
    offline = options.pop("environment")
    if name == "claude_code":
        key = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "k"}
        return claude_code(environment={**offline, **key}, **{"tools": (), **options})
    if name == "codex":
        environment = {"CODEX_API_KEY": "k", **offline}
        return codex(environment=environment, **{"endpoint": f"{url}/v1", **options})
    model = options["model"]
    options["model"] = f"mock/{model}"
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Mock",
        "options": {"baseURL": f"{options.pop('endpoint', url)}/v1", "apiKey": "k"},
        "models": {model: {"name": "Mock", "limit": {"context": 200_000, "output": 32_000}}},
    }
    config = {"provider": {"mock": provider}, "enabled_providers": ["mock"]}
    return opencode(environment=offline, config=config, project_config=False, **options)


def _sdk(url: str, options: dict[str, Any]) -> Agent:
    if find_spec("google.antigravity") is None:
        pytest.skip("platform: google-antigravity has no wheel here")
    behavior = options["model"].removeprefix("sim/")
    offline = options.pop("environment")
    return antigravity_sdk(
        environment={**offline, "GEMINI_API_KEY": "k"},
        endpoint=url,
        endpoint_headers={"x-penstock-sim": behavior},
        **{**options, "model": "sim/echo"},  # it takes no query in a model's name
    )


@pytest.mark.parametrize("which", EVERY)
async def test_turns_and_resume_in_another_home(which: str, made: Any) -> None:
    """A session goes on in the same home, and in another one with another folder."""
    async with made(which) as agent:
        talk = agent.converse()
        first = await talk.run("Say hello, please.")
        second = await talk.run("And again.") if which.endswith("kept") else first
        children = len(agent._transport._alive)
    async with made(which, home="other") as agent:
        moved = Session.from_json(second.session.to_json())
        third = await agent.run("And once more.", session=moved)
    sent = [each.reply.usage.input_tokens for each in (first, second, third)]

    assert "Say hello, please." in first.text
    assert "And once more." in third.text
    assert first.session.id == third.session.id
    assert third.session.files
    # The turns before are in the prompt.
    assert sent[0] < sent[2]
    assert (which.endswith("kept"), which.endswith("kept")) == (sent[0] < sent[1], children == 1)


@pytest.mark.parametrize("which", ["claude_code-turn", "codex-turn", "codex-kept"])
async def test_another_system_prompt_on_resume(
    which: str, made: Any, simulator: SimulatorThread
) -> None:
    """The model is sent it, as the only one by Claude Code and after the first one by Codex."""
    session, first, last = None, b"Be brief, system.", b"Be merry, system."
    for system in (first, last):
        async with made(which, system=system.decode()) as agent:
            session = (await agent.run("Hello?", session=session)).session
    body = [each.body for each in simulator.requests if each.method == "POST"][-1]

    assert (which.startswith("codex"), 1) == (first in body, body.count(last))
    assert body.rfind(first) < body.find(last)


@pytest.mark.parametrize("which", EVERY)
async def test_an_mcp_servers_tool_is_called_without_a_bypass(which: str, made: Any) -> None:
    """The model asks for a tool of a real server, the agent calls it, and the call is seen."""
    seen: list[ProviderEvent] = []

    def watch(chunk: Any) -> None:
        if isinstance(chunk, ProviderEvent) and chunk.name in ("tool_call", "tool_result"):
            seen.append(chunk)

    async with serving() as (address, _):
        servers = (Server(name="echo", url=address),)
        async with made(which, "sim/tools?tool=add", servers=servers) as agent:
            result = await agent.run("Add.", on_chunk=watch)
    call, answer = (each.data for each in seen)

    assert result.text
    assert "add" in call["name"]
    assert {"a": 1, "b": 1} == call["arguments"]
    assert (call["id"], False) == (answer["id"], answer["is_error"])
    if not which.startswith("antigravity_sdk"):  # whose steps tell no result
        assert "2" in str(answer["content"])


FAULTS = [
    ("invalid-key", AuthenticationError),
    ("billing", BillingError),
    ("rate-limit", RateLimitError),
    ("server-error", ServerError),
    ("model-not-found", NotFoundError),
]
CASES = [
    *[(name, *row) for name in ("claude_code-turn", "codex-turn") for row in FAULTS],
    *[("claude_code-kept", *row) for row in FAULTS[:1]],
    *[("codex-kept", *row) for row in FAULTS[2:]],
    *[("antigravity_sdk-kept", *row) for row in FAULTS[1:4]],
    *[("antigravity_sdk-turn", *row) for row in FAULTS[::2]],
    *[("opencode-turn", *row) for row in FAULTS[:3:2]],
    *[("opencode-kept", *row) for row in FAULTS[4:]],
]


@pytest.mark.parametrize(("which", "fault", "kind"), CASES)
async def test_failures_are_classified(
    which: str, fault: str, kind: type[PenstockError], made: Any, simulator: SimulatorThread
) -> None:
    """What the model's endpoint answers is the error, at once: the agent's own retries are off."""
    before = simulator.stats().requests
    async with made(which, f"sim/echo?fault={fault}") as agent:
        talk = agent.converse()
        with pytest.raises(kind) as caught:
            await talk.run("Hello?", timeouts=Timeouts(total=60))

    assert which.partition("-")[0] == caught.value.provider
    assert talk.session is not None
    # Claude Code asks for a model that is not there once more, without a stream.
    twice = (which, fault) == ("claude_code-turn", "model-not-found")
    assert 1 + twice == simulator.stats().requests - before


class Hosts(BaseHTTPRequestHandler):
    """A proxy that is OpenAI's hosts: it notes what a model is asked, and fails."""

    context: ClassVar[ssl.SSLContext]
    asked: ClassVar[list[tuple[str, str, Any]]] = []

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_CONNECT(self) -> None:
        """Be that host."""
        self.send_response(200)
        self.end_headers()
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = (self.connection.makefile(mode, 0) for mode in ("rb", "wb"))
        self.close_connection = False

    def do_GET(self) -> None:
        """Say where an account is; there is nothing else."""
        if self.path.endswith("/responses"):
            self.asked.append((self.command, self.path, self.headers))
            self.answer(500, {})
            return
        account = {"id": "acc", "workspace_backend_origin": "https://chatgpt.com"}
        account["account_routing_override"] = "NO_CONSTRAINT"
        accounts = {"accounts": [account], "account_ordering": ["acc"]}
        found = self.path == "/backend-api/wham/accounts/check"
        self.answer(200 if found else 404, accounts)

    def do_POST(self) -> None:
        """Fail."""
        self.rfile.read(int(self.headers["content-length"]))
        if self.path.endswith("/responses"):
            self.asked.append((self.command, self.path, self.headers))
        self.answer(500, {"error": {"message": "boom", "type": "server_error"}})

    def answer(self, status: int, said: Any) -> None:
        """Send a status and JSON."""
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))  # an end of TLS alone is a cut answer
        self.end_headers()
        self.wfile.write(body)

    def finish(self) -> None:
        """Close the connection that is left, encrypted or not."""
        super().finish()
        self.connection.close()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables by which Codex finds OpenAI's hosts on loopback, and trusts them."""
    authority = Authority(tmp_path, "api.openai.com", "chatgpt.com")
    Hosts.context = authority.server
    Hosts.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hosts) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield {
            "HTTPS_PROXY": f"http://127.0.0.1:{server.server_address[1]}",
            "SSL_CERT_FILE": str(authority.file),
        }
        server.shutdown()
        thread.join()


def signed_in() -> str:
    """What ``codex login`` leaves of a ChatGPT account, made up."""
    account = {"chatgpt_account_id": "acc", "chatgpt_user_id": "u", "chatgpt_plan_type": "plus"}
    claims = {"exp": 4_102_444_800, "https://api.openai.com/auth": account}
    parts = (json.dumps(each).encode() for each in ({"alg": "none"}, claims))
    token = ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"])
    tokens = {"id_token": token, "access_token": token, "refresh_token": "r", "account_id": "acc"}
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({"tokens": tokens, "last_refresh": now})


@pytest.mark.parametrize(
    ("which", "auth", "path"),
    [
        ("codex-turn", '{"OPENAI_API_KEY": "k"}', "/v1/responses"),
        ("codex-turn", signed_in(), "/backend-api/codex/responses"),
        ("codex-kept", signed_in(), "/backend-api/codex/responses"),
    ],
    ids=["turn-key", "turn-chatgpt", "kept-chatgpt"],
)
async def test_codex_asks_openai_itself_once(
    which: str, auth: str, path: str, made: Any, hosts: dict[str, str], tmp_path: Path
) -> None:
    """At its own hosts, by whichever way it is signed in, saying which version it is."""
    environment = {**hosts, "CODEX_API_KEY": ""}
    async with made(which, "gpt-5.4", endpoint=None, environment=environment) as agent:
        (tmp_path / "home/.codex").mkdir()
        (tmp_path / "home/.codex/auth.json").write_text(auth)
        with pytest.raises(ServerError):
            await agent.run("Hello?", timeouts=Timeouts(total=60))
    [(method, asked, headers)] = Hosts.asked

    assert ("POST", path) == (method, asked)
    assert f"/{headers['version']} " in headers["user-agent"]


@pytest.mark.parametrize(
    "config",
    [
        'openai_base_url = "{url}/v1"\n',
        'model_provider = "mine"\n[model_providers.mine]\nname = "Mine"\nbase_url = "{url}/v1"\n'
        'env_key = "CODEX_API_KEY"\nrequest_max_retries = 3\nstream_max_retries = 3\n',
    ],
    ids=["address", "provider"],
)
async def test_codex_asks_where_its_user_says_once(
    config: str, made: Any, simulator: SimulatorThread, tmp_path: Path
) -> None:
    """Another address for OpenAI's, or a provider of his, which is what it was but for retries."""
    before = posts(simulator)
    async with made("codex-turn", "sim/echo?fault=server-error", endpoint=None) as agent:
        (tmp_path / "home/.codex").mkdir()
        (tmp_path / "home/.codex/config.toml").write_text(config.format(url=simulator.url))
        with pytest.raises(ServerError):
            await agent.run("Hello?", timeouts=Timeouts(total=60))

    assert 1 == posts(simulator) - before


async def test_sessions_of_codex_keep_their_provider(
    made: Any, simulator: SimulatorThread, hosts: dict[str, str]
) -> None:
    """One of ours goes on where Codex may ask again by itself, too; one that Codex began goes on
    with its own provider, and ends as that says that it connects again."""
    options = {"endpoint": None, "config": {"openai_base_url": f"{simulator.url}/v1"}}
    async with made("codex-turn", **options) as agent:
        ours = (await agent.run("One.")).session
    async with made("codex-turn", own_retries=True, **options) as agent:
        again = await agent.run("Two.", session=ours)
    files = {n: f.replace(b'"penstock-openai"', b'"openai"') for n, f in ours.files.items()}
    async with made("codex-turn", home="other", endpoint=None, environment=hosts) as agent:
        with pytest.raises(ServerError):
            await agent.run("Two.", session=replace(ours, files=files))

    assert "Two." == again.text
    assert ["GET"] * 3 == [method for method, _, _ in Hosts.asked]


def posts(simulator: SimulatorThread) -> int:
    """How many requests the model's endpoint has had."""
    return len([each for each in simulator.requests if each.method == "POST"])


class Asking(BaseHTTPRequestHandler):
    """A model that has a command run, and keeps what that printed."""

    printed: ClassVar[list[str]] = []

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Ask for the command; once there is its output, the turn is over."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/mcp":
            self.send_error(404)
            return
        given = [each for each in asked["input"] if each["type"] == "function_call_output"]
        found = [str(each["output"]) for each in given]
        self.printed += found
        item: dict[str, Any] = {"type": "message", "role": "assistant", "id": "m1"}
        item["content"] = [{"type": "output_text", "text": "done"}]
        if not found:
            command = json.dumps({"cmd": "env; echo the-end"})
            item = {"type": "function_call", "id": "f1", "call_id": "c1", "arguments": command}
            item["name"] = "exec_command"
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for kind, more in [
            ("created", {"response": {"id": "r1"}}),
            ("output_item.done", {"item": item}),
            ("completed", {"response": {"id": "r1", "usage": usage}}),
        ]:
            event = json.dumps({"type": f"response.{kind}", **more})
            self.wfile.write(f"event: response.{kind}\ndata: {event}\n\n".encode())


@pytest.fixture
def asking() -> Iterator[str]:
    """Its address."""
    Asking.printed.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Asking) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


async def test_codex_shows_the_models_commands_no_key(
    made: Any, asking: str, offline: dict[str, str], tmp_path: Path
) -> None:
    """Neither the model's key nor what a server has; the server sees its own."""
    noted, environment = tmp_path / "noted", {"A_PAT": "s3cret-1", "OPENAI_API_KEY": "s3cret-2"}
    command = ("/bin/sh", "-c", 'env > "$0"', str(noted))
    headers = {"Authorization": "Bearer s3cret-3", "x-more": "s3cret-4"}
    servers = (
        Server(name="noted", command=command, environment=environment, required=False),
        Server(name="web", url=f"{asking}/mcp", headers=headers, required=False),
    )
    options = {"servers": servers, "endpoint": f"{asking}/v1", "endpoint_key": "MY_API_KEY"}
    async with made(
        "codex-turn", environment={**offline, "MY_API_KEY": "s3cret-0"}, **options
    ) as agent:
        await agent.run("Run it.")
    [printed] = Asking.printed

    assert "the-end" in printed
    assert "s3cret" not in printed
    assert {*environment.values()} <= {
        line.partition("=")[2] for line in noted.read_text().splitlines()
    }


class Delegating(BaseHTTPRequestHandler):
    """A model that has a command run, then a sub-agent, which fails so, and then fails itself."""

    asked: ClassVar[list[tuple[str, list[str]]]] = []
    cookies: ClassVar[set[str | None]] = set()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Answer by how many tools there have been."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/mcp":
            self.cookies.add(self.headers["cookie"])
            self.send_error(404)
            return
        messages = asked["messages"]
        results = [str(each["content"]) for each in messages if each["role"] == "tool"]
        subagent = "Try it." in str([each for each in messages if each["role"] == "user"])
        self.asked.append(("sub-agent" if subagent else "agent", results))
        if len(results) == (1 if subagent else 2):
            self.send_error(500)
            return
        task = {"description": "a try", "prompt": "Try it.", "subagent_type": "general"}
        command = {"command": "env; echo the-end", "description": "the environment"}
        name, arguments = (("bash", command), ("task", task))[len(results)]
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"index": 0, "id": f"c{len(results)}", "type": "function", "function": function}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for delta, reason in (({"tool_calls": [call]}, None), ({}, "tool_calls")):
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            self.wfile.write(f"data: {json.dumps(chunk | {'choices': [choice]})}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")


@pytest.fixture
def delegating() -> Iterator[str]:
    """Its address."""
    Delegating.asked.clear()
    Delegating.cookies.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Delegating) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("which", ["opencode-turn", "opencode-kept"])
async def test_opencode_asks_once_in_a_home_without_its_packages(
    which: str, made: Any, delegating: str, tmp_path: Path, warm: Path
) -> None:
    """Its sub-agent too, whose tool fails; nothing is fetched, and commands see nothing of ours.
    Where it stays, who approves is asked by the sub-agent too."""
    shutil.copytree(warm, tmp_path / "home")
    (tmp_path / "home" / "work").mkdir()
    shutil.rmtree(tmp_path / "home" / ".config" / "opencode")
    (tmp_path / "home" / ".config" / "opencode").mkdir()
    noted, seen = tmp_path / "noted", []
    command = ("/bin/sh", "-c", 'env > "$0"', str(noted))
    pat = {"GITHUB_PAT": "s3cret-1"}
    servers = (
        Server(name="noted", command=command, environment=pat, required=False),
        Server(name="web", url=f"{delegating}/mcp", headers={"Cookie": "s3cret-2"}, required=False),
    )

    def watch(chunk: Any) -> None:
        if isinstance(chunk, ProviderEvent) and chunk.name == "retrying":
            seen.append(chunk.data)

    approvals: list[ToolRequest] = []
    options: dict[str, Any] = {"servers": servers, "endpoint": delegating}
    options["permission"] = {"bash": "allow"}
    if which.endswith("kept"):
        options["permission"] = {"bash": "ask"}
        options["approve"] = lambda request: not approvals.append(request)
    async with made(which, **options) as agent:
        with pytest.raises(ServerError) as failure:
            await agent.run("Go.", on_chunk=watch)
    asked, results = [who for who, _ in Delegating.asked], Delegating.asked[-1][1]
    environment = dict(each.partition("=")[::2] for each in noted.read_text().splitlines())

    assert ["agent", "agent", "sub-agent", "sub-agent", "agent"] == asked
    assert ["bash", "bash"] * which.endswith("kept") == [each.name for each in approvals]
    assert "the-end" in results[0]
    assert ([], "Task cancelled") == (
        [each for each in ("s3cret", "penstock-", "npm_config_offline") if each in results[0]],
        results[1],
    )
    assert [True, False] == ["subagent" in each for each in seen]
    assert failure.value.retryable
    assert ("s3cret-1", {"s3cret-2"}) == (environment["GITHUB_PAT"], Delegating.cookies)
    assert "npm_config_offline" not in environment


@pytest.mark.parametrize("which", ["claude_code-turn", "codex-turn", "codex-kept"])
async def test_refused_arguments_are_the_callers(which: str, made: Any) -> None:
    """An option that the agent does not have is an invalid request, in its own words."""
    async with made(which, extra_args=("--no-such-flag",)) as agent:
        with pytest.raises(InvalidRequestError, match="no-such-flag"):
            await agent.run("Hello?")


STREAMING = [
    *("claude_code-turn", "antigravity_sdk-turn"),
    *("claude_code-kept", "codex-kept", "antigravity_sdk-kept"),
]


@pytest.mark.parametrize("which", STREAMING)
async def test_deltas_come_as_they_are_made(which: str, made: Any) -> None:
    """Text comes in pieces, which are the answer's text."""
    pieces: list[str] = []
    async with made(which, "sim/text?tokens=20&rate=60") as agent:
        result = await agent.run(
            "Talk.",
            on_chunk=lambda chunk: pieces.append(chunk.text) if type(chunk) is TextDelta else None,
        )

    assert len(pieces) > 3
    assert result.text == "".join(pieces)


@pytest.mark.parametrize("which", [each for each in EVERY if each.endswith("turn")])
async def test_cancel_amid_a_turn(which: str, made: Any) -> None:
    """Who is cancelled is free at once, and nothing of the agent is left."""
    agent = made(which, "sim/text?tokens=1000&rate=10")
    running = asyncio.ensure_future(agent.run("Talk."))
    while not agent._transport._alive:  # noqa: ASYNC110  # a child is there
        await asyncio.sleep(0.01)
    await asyncio.sleep(1.0)
    wires = list(agent._transport._alive)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(agent.aclose(), 10)

    assert 1 == len(wires)
    assert wires[0].pid is not None
    for _ in range(100):
        if not (left := members(wires[0].pid)):
            break
        await asyncio.sleep(0.05)
    assert [] == left


@pytest.mark.parametrize("which", [each for each in EVERY if each.endswith("kept")])
async def test_cancel_amid_a_turn_of_a_child_that_stays(which: str, made: Any) -> None:
    """It is interrupted in its own words, and the session's next turn is answered."""
    spoke = asyncio.Event()

    def heard(chunk: Any) -> None:
        if type(chunk) is TextDelta:
            spoke.set()

    # A busy machine may take longer than two seconds over the interruption, and lose its child.
    patient = ProcessTransport(grace=20.0)
    agent = Agent(made(which, "sim/text?tokens=60&rate=10").backend, transport=patient)
    talk = agent.converse()
    running = asyncio.ensure_future(talk.run("Talk.", on_chunk=heard))
    await spoke.wait()
    [first] = [wire.pid for wire in agent._transport._alive]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    session = await talk.recover()
    result = await talk.run("Go on.")
    pids = [wire.pid for wire in agent._transport._alive]
    await asyncio.wait_for(agent.aclose(), 10)

    assert result.text
    assert session is not None
    assert session.id == result.session.id
    if which != "antigravity_sdk-kept":  # what it cancelled is followed by a fresh child
        assert [first] == pids
    assert [] == [pid for pid in pids if members(pid)]


@pytest.mark.parametrize(
    ("which", "tool", "more"),
    [
        ("claude_code-kept", "Bash", {"tools": ("Bash",)}),
        ("codex-kept", "exec_command", {}),
        ("opencode-kept", "bash", {"permission": {"bash": "ask"}}),
        ("antigravity_sdk-kept", "run_command", {}),
    ],
)
async def test_approvals_go_up_while_the_answer_comes_down(
    which: str, tool: str, more: dict[str, Any], made: Any
) -> None:
    """A command that may not run unasked is asked for; a refusal is a result to the model."""
    asked: list[ToolRequest] = []
    seen: list[Any] = []

    def approve(request: ToolRequest) -> Deny:
        asked.append(request)
        return Deny("not today")

    def watch(chunk: Any) -> None:
        if isinstance(chunk, ProviderEvent) and chunk.name == "tool_result":
            seen.append(chunk.data)

    async with made(which, f"sim/tools?tool={tool}", approve=approve, **more) as agent:
        await agent.run("Run it.", on_chunk=watch)

    assert [{"exec_command": "command"}.get(tool, tool)] == [each.name for each in asked]
    # The steps of Antigravity's SDK tell no result.
    assert [True] * (not which.startswith("antigravity_sdk")) == [each["is_error"] for each in seen]


@pytest.mark.parametrize(
    ("which", "tool", "more", "refused"),
    [
        ("claude_code-turn", "Bash", {"tools": ("Bash",)}, [True]),
        ("antigravity_sdk-turn", "run_command", {}, []),  # whose steps tell no result
    ],
)
async def test_a_child_of_one_turn_refuses_what_nobody_can_allow(
    which: str, tool: str, more: dict[str, Any], refused: list[bool], made: Any
) -> None:
    """A command that may not run unasked is refused, and the turn goes on without it."""
    seen: list[Any] = []

    def watch(chunk: Any) -> None:
        if isinstance(chunk, ProviderEvent) and chunk.name == "tool_result":
            seen.append(chunk.data)

    async with made(which, f"sim/tools?tool={tool}", **more) as agent:
        result = await agent.run("Run it.", on_chunk=watch)

    assert result.text
    assert refused == [each["is_error"] for each in seen]


def members(group: int) -> list[int]:
    """The living processes of a group, where /proc tells; zombies are for init to bury."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
