"""The server around the answers: addresses, limits, records, and an end without leftovers."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock.errors import ConfigurationError
from penstock.simulator import Simulator, SimulatorThread, serve
from penstock.simulator.connection import Connection

Ask = Callable[..., Awaitable[Any]]
BODY = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path",
    ["/chat/completions", "/v1/chat/completions", "/any/where/chat/completions?api-version=2"],
)
async def test_only_the_end_of_a_path_counts(sim: Simulator, path: str) -> None:
    """Every base address works, with a query or without."""
    async with httpx.AsyncClient() as client:
        reply = await client.post(sim.url + path, json=BODY)

    assert (200, path) == (reply.status_code, sim.requests[0].path)


@pytest.mark.asyncio
async def test_a_proxy_request_is_answered(connect: Ask) -> None:
    """A target in absolute form, as a proxy gets it, is read by its path."""
    client = await connect()
    body = json.dumps(BODY).encode()
    head = "POST http://api.example.com/v1/chat/completions HTTP/1.1\r\nhost: api.example.com\r\n"
    client.writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    assert 200 == (await client.read()).status


PAGES = [
    ("GET", "/health", 200),
    ("GET", "/v1/models", 200),
    ("GET", "/", 404),
    ("POST", "/v1/embeddings", 404),
    ("GET", "/v1/chat/completions", 404),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("method", "path", "status"), PAGES)
async def test_other_pages_are_json(sim: Simulator, method: str, path: str, status: int) -> None:
    """Health and models are there; the rest is a 404 in OpenAI's shape."""
    async with httpx.AsyncClient() as client:
        reply = await client.request(method, sim.url + path)

    assert status == reply.status_code
    assert (status == 404) == ("error" in reply.json())


BAD_BODIES = [b"", b"{", b"[]", b'{"messages": []}', b'{"model": 3}', b"\xff"]


@pytest.mark.asyncio
@pytest.mark.parametrize("body", BAD_BODIES)
async def test_a_body_that_is_no_request_is_refused(sim: Simulator, body: bytes) -> None:
    """What has no model, or is no JSON, gets a 400 that says so."""
    async with httpx.AsyncClient() as client:
        reply = await client.post(f"{sim.url}/chat/completions", content=body)

    assert (400, "invalid_json") == (reply.status_code, reply.json()["error"]["code"])


@pytest.mark.asyncio
async def test_what_is_no_http_is_refused(connect: Ask) -> None:
    """The parser's complaint comes as a 400, and the connection closes."""
    client = await connect()
    client.writer.write(b"NONSENSE\r\n\r\n")
    answer = await client.read()

    assert ("eof", 400) == (answer.ended, answer.status)


@pytest.mark.asyncio
async def test_a_connection_is_kept_alive(connect: Ask, sim: Simulator) -> None:
    """Requests one behind the other share a connection, also when the second comes early."""
    client = await connect()
    client.send("echo", messages=[{"role": "user", "content": "first"}])
    client.send("echo", messages=[{"role": "user", "content": "second"}])
    await sim_requests(sim, 2)
    await sim.idle()
    wire = await client.reader.readuntil(b"second")

    assert b"first" in wire
    assert (1, 2) == (sim.connections.total, len(sim.requests))


@pytest.mark.asyncio
async def test_what_waits_behind_a_request_is_bounded(connect: Ask, sim: Simulator) -> None:
    """Of requests that come too early only some bytes are read; all are answered in the end."""
    client = await connect()
    client.send("echo?ttft=0.1")
    for _ in range(100):
        client.send("echo?fault=json-answer", messages=[{"role": "user", "content": "x" * 10_000}])
    client.send("echo?fault=connection-close", messages=[{"role": "user", "content": "last"}])
    await client.reader.read(1)
    while b"last" not in await client.reader.read(2**20):
        assert not client.reader.at_eof()

    assert (102, 1) == (len(sim.requests), sim.connections.total)


async def sim_requests(sim: Simulator, count: int) -> None:
    """Wait until so many requests have begun."""
    while len(sim.requests) < count:  # noqa: ASYNC110  nothing tells
        await asyncio.sleep(0.001)


@pytest.mark.asyncio
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_client_that_asks_gets_its_connection_closed(connect: Ask, version: str) -> None:
    """HTTP/1.0, and connection: close, end with the answer; 1.0 gets no chunks."""
    client = await connect()
    body = json.dumps(BODY | {"stream": True}).encode()
    extra = "connection: close\r\n" if version == "1.1" else ""
    head = f"POST /chat/completions HTTP/{version}\r\nhost: x\r\n{extra}"
    client.writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    answer = await client.read()
    rest = await client.reader.read()

    assert ("hi", b"") == (answer.text, rest)
    assert (version == "1.0") == ("transfer-encoding" not in answer.headers)


@pytest.mark.asyncio
async def test_a_client_that_leaves_ends_its_answer(connect: Ask, sim: Simulator) -> None:
    """An endless answer ends with its client, without a word."""
    client = await connect()
    client.send("echo?fault=endless")
    await client.reader.readuntil(b"data:")
    client.close()
    await asyncio.wait_for(sim.idle(connections=True), 5)

    assert ("left", 0) == (sim.requests[0].outcome, sim.connections.open)
    assert {"left": 1} == sim.stats().outcomes


@pytest.mark.asyncio
async def test_a_client_that_does_not_read_holds_the_answer(connect: Ask, sim: Simulator) -> None:
    """Back-pressure reaches the answer: what is not read is not produced."""
    client = await connect()
    client.writer.transport.pause_reading()
    client.send("echo?fault=endless")
    await sim_requests(sim, 1)
    sent = 0
    while not sent or sent != sim.requests[0].sent:
        sent = sim.requests[0].sent
        await asyncio.sleep(0.1)

    assert 0 < sent < 64 * 1024 * 1024


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ["silent", "hang@1", "endless", "pings"])
async def test_closing_the_simulator_ends_everything(fault: str) -> None:
    """Tasks and connections of every state are gone behind the context."""
    before = asyncio.all_tasks()
    async with Simulator() as simulator:
        port = int(simulator.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = json.dumps(BODY | {"model": f"echo?fault={fault}", "stream": True}).encode()
        head = f"POST /chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await sim_requests(simulator, 1)
    writer.transport.abort()
    del reader

    assert ("closed", 0) == (simulator.requests[0].outcome, simulator.connections.open)
    assert before == asyncio.all_tasks()


@pytest.mark.asyncio
async def test_a_simulator_can_be_entered_again() -> None:
    """Another entry takes another free port and keeps the records."""
    simulator = Simulator()
    for _ in range(2):
        async with simulator, httpx.AsyncClient() as client:
            await client.get(f"{simulator.url}/health")

    assert 2 == len(simulator.requests)
    with pytest.raises(RuntimeError, match="no address"):
        _ = simulator.url


@pytest.mark.asyncio
async def test_more_than_the_limit_is_refused() -> None:
    """With concurrency=1 a second request at the same time gets a 429."""
    async with Simulator(concurrency=1) as simulator, httpx.AsyncClient() as client:
        url = f"{simulator.url}/chat/completions"
        held = asyncio.create_task(client.post(url, json=BODY | {"model": "echo?fault=silent"}))
        await sim_requests(simulator, 1)
        refused = await client.post(url, json=BODY)
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
        await simulator.idle()
        served = await client.post(url, json=BODY)

    assert (429, 200, 2) == (refused.status_code, served.status_code, simulator.stats().peak)


@pytest.mark.asyncio
async def test_a_request_can_bring_its_own_limit(sim: Simulator) -> None:
    """The setting judges by what is being answered, itself included."""
    async with httpx.AsyncClient() as client:
        url = f"{sim.url}/chat/completions"
        reply = await client.post(url, json=BODY | {"model": "echo?concurrency=0"})

    assert 429 == reply.status_code


@pytest.mark.asyncio
async def test_model_names_can_be_given_behaviors() -> None:
    """`models` names some, `default` takes the rest; the simulator's own names stay."""
    given = {"zai/glm-4.7": "echo?status=429"}
    found = []
    async with (
        Simulator(models=given, default="text?tokens=1") as simulator,
        httpx.AsyncClient() as client,
    ):
        url = f"{simulator.url}/chat/completions"
        for model in ("zai/glm-4.7", "gpt-5.4", "echo"):
            reply = await client.post(url, json=BODY | {"model": model})
            found.append((reply.status_code, reply.json().get("choices")))

    texts = [choices and len(choices[0]["message"]["content"]) for _, choices in found]
    assert ([429, 200, 200], [None, 4, 2]) == ([status for status, _ in found], texts)


@pytest.mark.parametrize("given", [{"models": {"a": "nope"}}, {"default": "echo?x=1"}])
def test_a_given_behavior_is_checked_at_once(given: dict[str, Any]) -> None:
    """A name that does not exist is refused before a server starts."""
    with pytest.raises(ConfigurationError, match="does not exist"):
        Simulator(**given)


@pytest.mark.asyncio
async def test_records_are_bounded() -> None:
    """The oldest are forgotten, the counts are not."""
    async with Simulator(keep_requests=2, keep_body=10) as simulator, httpx.AsyncClient() as client:
        for _ in range(3):
            await client.post(f"{simulator.url}/chat/completions", json=BODY)

    assert ([2, 3], 3) == ([each.number for each in simulator.requests], simulator.stats().requests)
    assert {10} == {len(each.body) for each in simulator.requests}


@pytest.mark.asyncio
async def test_a_record_hides_bodies_and_headers_from_logs(sim: Simulator) -> None:
    """Its repr has neither, though it has both."""
    async with httpx.AsyncClient() as client:
        await client.post(
            f"{sim.url}/chat/completions", json=BODY, headers={"authorization": "Bearer canary"}
        )

    assert "Bearer canary" == sim.requests[0].headers["authorization"]
    assert "canary" not in repr(sim.requests[0])
    assert "content" not in repr(sim.requests[0])


@pytest.mark.asyncio
async def test_a_record_keeps_when_content_was_sent_where_asked() -> None:
    """One time for each content chunk of a paced answer, in order, none for the role."""
    body = BODY | {"model": "text?rate=500&tokens=4&reasoning=2", "stream": True}
    async with Simulator(keep_times=True) as simulator, httpx.AsyncClient() as client:
        await client.post(f"{simulator.url}/chat/completions", json=body)
        await simulator.idle()
    record = simulator.requests[0]

    assert 6 == len(record.content_at)
    assert sorted(record.content_at) == record.content_at
    assert record.received is not None
    assert record.ended is not None
    assert record.received <= record.content_at[0]
    assert record.content_at[-1] <= record.ended


RETRY = {
    # the setting: the header
    "retry-after=2": ("retry-after", "2"),
    "retry-after=-5": ("retry-after", "-5"),
    "retry-after=999999999": ("retry-after", "999999999"),
    "retry-after=soon": ("retry-after", "soon"),
    "retry-after-ms=1500": ("retry-after-ms", "1500"),
    "should-retry=false": ("x-should-retry", "false"),
    "retry-after=date:x": ("retry-after", "date:x"),
    "retry-after=a%0D%0Ax-evil:1": ("retry-after", "ax-evil:1"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("setting", RETRY)
async def test_a_refusal_says_when_to_come_back(ask: Ask, setting: str) -> None:
    """The header goes out as it was asked for, but never ends its line."""
    answer = await ask(f"echo?status=429&{setting}")
    name, value = RETRY[setting]

    assert (value, False) == (answer.headers[name], "x-evil" in answer.headers)


@pytest.mark.asyncio
async def test_retry_after_can_be_a_date(ask: Ask) -> None:
    """date:N is N seconds ahead, as an HTTP date."""
    answer = await ask("echo?status=503&retry-after=date:3600")
    when = parsedate_to_datetime(answer.headers["retry-after"])

    assert 3000 < (when - datetime.now(UTC)).total_seconds() <= 3600


@pytest.mark.asyncio
async def test_rate_limits_are_shown_on_demand(ask: Ask) -> None:
    """OpenAI's headers come with the setting and every answer has its request's id."""
    shown = await ask("echo?rate-limits=1")
    plain = await ask("echo")

    assert ("499", "req_sim_2") == (
        shown.headers["x-ratelimit-remaining-requests"],
        plain.headers["x-request-id"],
    )
    assert "x-ratelimit-remaining-requests" not in plain.headers


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 418, 500, 529, 599])
async def test_any_status_can_be_asked_for(ask: Ask, status: int) -> None:
    """status=N answers with an error body."""
    answer = await ask(f"echo?status={status}")

    assert (status, True) == (answer.status, bool(answer.error["message"]))


@pytest.mark.asyncio
async def test_a_paced_answer_is_whole(ask: Ask, sim: Simulator) -> None:
    """ttft, rate and headers-after change when the bytes come, not which."""
    paced = await ask("text?tokens=20&rate=1000&ttft=0.05&headers-after=0.01&jitter=0.5")
    plain = await ask("text?tokens=20")
    record = sim.requests[0]

    assert plain.body == paced.body
    assert record.ended - record.received >= 0.05


@pytest.mark.asyncio
async def test_hundreds_of_streams_at_once(ask: Ask, sim: Simulator) -> None:
    """Three hundred paced streams on connections of their own are all whole."""

    async def one() -> Any:
        return (await ask("text?tokens=10&rate=100")).text

    texts = await asyncio.gather(*(one() for _ in range(300)))

    assert (1, 300) == (len(set(texts)), sim.stats().connections_total)


@pytest.mark.asyncio
async def test_a_unix_socket_is_served(tmp_path: Path) -> None:
    """The url names the path; httpx reaches it by its own means."""
    path = str(tmp_path / "s")
    async with Simulator(unix=path) as simulator:
        transport = httpx.AsyncHTTPTransport(uds=path)
        async with httpx.AsyncClient(transport=transport) as client:
            reply = await client.post("http://localhost/v1/chat/completions", json=BODY)
        url = simulator.url

    assert 200 == reply.status_code
    assert url == "http+unix://" + path.replace("/", "%2F")


@pytest.mark.asyncio
async def test_tls_is_served(tmp_path: Path) -> None:
    """With a context the url is https; resets work there too."""
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    files = [str(tmp_path / name) for name in ("key", "cert")]
    options = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", files[0], "-out", files[1]]
    process = await asyncio.create_subprocess_exec(
        *made, *options, stderr=asyncio.subprocess.DEVNULL
    )
    assert 0 == await process.wait()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    async with Simulator(ssl_context=context) as simulator:
        trusted = ssl.create_default_context(cafile=files[1])
        async with httpx.AsyncClient(verify=trusted) as client:
            reply = await client.post(f"{simulator.url}/chat/completions", json=BODY)
            broken = BODY | {"model": "echo?fault=reset"}
            with pytest.raises(httpx.TransportError):
                await client.post(f"{simulator.url}/chat/completions", json=broken)
        url = simulator.url

    assert (200, "https://") == (reply.status_code, url[:8])


def test_the_thread_serves_blocking_clients() -> None:
    """Start, use, close; the thread is gone behind it."""
    before = set(threading.enumerate())  # other modules of this process may have theirs
    with SimulatorThread() as simulator:
        reply = httpx.post(f"{simulator.url}/v1/chat/completions", json=BODY)
        simulator.idle()
        seen = (
            simulator.requests[0].outcome,
            simulator.connections.total,
            simulator.stats().requests,
        )
    names = [thread.name for thread in set(threading.enumerate()) - before]

    assert (200, ("complete", 1, 1)) == (reply.status_code, seen)
    assert "penstock-simulator" not in names


def test_the_thread_runs_a_given_simulator() -> None:
    """Simulator(...).thread() is the short form; closing twice is no error."""
    thread = Simulator(default="echo?status=402").thread()
    with thread as simulator:
        reply = httpx.post(f"{simulator.url}/chat/completions", json=BODY | {"model": "gpt"})
    thread.close()

    assert 402 == reply.status_code


def test_the_thread_tells_why_it_cannot_start() -> None:
    """An address in use is an error of `start`."""
    with SimulatorThread() as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            SimulatorThread(Simulator(port=port)).start()


def test_the_thread_ends_with_streams_open() -> None:
    """Closing does not wait for a stream that has no end."""
    with SimulatorThread() as simulator, httpx.Client() as client:
        body = BODY | {"model": "echo?fault=endless", "stream": True}
        with client.stream("POST", f"{simulator.url}/chat/completions", json=body) as reply:
            pieces = reply.iter_raw()
            next(pieces)
            simulator.close()
            pieces.close()

    assert "closed" == simulator.requests[0].outcome


@pytest.mark.asyncio
async def test_serve_runs_until_it_is_cancelled() -> None:
    """The command line's coroutine tells its address and ends with its task."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(ready=address.set_result))
    async with httpx.AsyncClient() as client:
        reply = await client.get(f"{await address}/health")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert (200, True) == (reply.status_code, task.cancelled())


@pytest.mark.asyncio
async def test_a_failed_answer_is_logged_and_closes(
    ask: Ask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of the simulator's own is not silence."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Connection, "write", fail)
    answer = await ask("echo")

    assert ("eof", b"") == (answer.ended, answer.data)
    assert "an answer failed" in caplog.text


HEAVY = ("httpx", "httpcore", "httpx2", "aiohttp", "h11", "pydantic", "ijson", "anyio")


def test_importing_it_loads_no_http_library() -> None:
    """h11 comes with the first connection, and no HTTP client at all."""
    code = f"import sys, penstock.simulator; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_path()
    )

    assert "[]" == done.stdout.strip()


def _path() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
