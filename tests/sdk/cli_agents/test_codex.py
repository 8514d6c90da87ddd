"""Codex itself: whom it asks, how often, and what its model sees of our keys."""

from __future__ import annotations

import json
import ssl
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.transports.authorities import Authority

from penstock.agents.cli import Server
from penstock.errors import ServerError
from penstock.limits import Timeouts
from penstock.simulator import SimulatorThread

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio]


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
