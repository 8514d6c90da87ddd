"""Row 39 of the fault matrix: no error and no log has the key, a header's secret or the prompt."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pytest
from pydantic import BaseModel
from tests.road import Road, clocks, fails
from tests.transports.peers import Connection, Peer, Request

from penstock import logs
from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import (
    AuthenticationError,
    ConfigurationError,
    OutputTruncatedError,
    PenstockError,
    StructuredOutputError,
    UsageError,
)
from penstock.limits import Limits, Timeouts
from penstock.simulator import faults, styles
from penstock.sync.client import SyncClient

KEY = "sk-canary-k9x7q2w8e4r6t1"
HEADER = "header-canary-5u3i9o7p"
SECRET_WORDS = "canary prompt nobody may see"
PROMPT = f"Please note:\nthe {SECRET_WORDS}, 4711."
CANARIES = (KEY, HEADER, SECRET_WORDS)

SHORT = 0.15


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    """Everything that is logged, at DEBUG, with ``PENSTOCK_LOG=debug``."""
    logger = logging.getLogger("penstock")
    before = logger.handlers[:], logger.level
    monkeypatch.setenv("PENSTOCK_LOG", "debug")
    # Of penstock alone: a peer's answer is logged as it came by whoever turns on httpcore's.
    caplog.set_level(logging.DEBUG, logger="penstock")
    yield caplog
    logger.handlers[:], level = before
    logger.setLevel(level)


def foreign_frames(tb: TracebackType | None) -> TracebackType | None:
    """`tb` without the frames of the tests, which know the canaries."""
    if tb is None:
        return None
    rest = foreign_frames(tb.tb_next)
    if "/tests/" in tb.tb_frame.f_code.co_filename:
        return rest
    return TracebackType(rest, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and all that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def shown(error: BaseException) -> str:
    """Everything that an error shows of itself, to a reader, a reporter and a pickle."""
    told = []
    for link in chain(error):
        frames = foreign_frames(link.__traceback__)
        told += [str(link), repr(link), repr(vars(link))]
        told += traceback.TracebackException(
            type(link), link, frames, capture_locals=True, compact=True
        ).format(chain=False)
    if isinstance(error, PenstockError):
        told.append(pickle.dumps(error, 0).decode("latin-1"))
        told.append(pickle.dumps(error).decode("latin-1"))
    return "\n".join(told)


def leaks(error: BaseException, caplog: pytest.LogCaptureFixture | None = None) -> list[str]:
    """The canaries that `error`, or the log, shows."""
    told = shown(error)
    if caplog is not None:
        told += "\n".join(
            f"{record.getMessage()} {record.exc_text} {vars(record)}" for record in caplog.records
        )
    # A line break arrives as a space or as an escape.
    flat = " ".join(told.replace("\\n", " ").split())
    return [canary for canary in CANARIES if canary in flat]


def client_of(road: Road, behavior: str, **options: Any) -> Client:
    """A client whose key and headers are canaries."""
    deployment = road.deployment(behavior, api_key=KEY, headers={"x-api-key": HEADER})
    options.setdefault("limits", Limits(max_line=1024 * 1024, max_answer=1024 * 1024))
    options.setdefault("timeouts", clocks(response=SHORT, ttft=SHORT, idle=SHORT, total=2.0))
    return road.client(deployments={"d": deployment}, default_model="d", **options)


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", sorted(faults()))
async def test_no_fault_of_a_peer_shows_a_secret(road: Road, fault: str, logged: Any) -> None:
    """Row 39: whatever a peer does to a call, its error and its log have no canary."""
    where = "@2" if "error" in fault and "body" not in fault else ""
    behavior = f"text?tokens=5&fault={fault}{where}&length=2000000&interval=0.01"
    found = []
    for way in ("chat", "map"):
        client = client_of(road, behavior)
        if way == "chat":
            try:
                await client.chat(None, PROMPT)
            except PenstockError as error:
                found.append(error)
        else:
            async for result in client.map([{"messages": PROMPT}]):
                found += [result.error] if result.error is not None else []

    assert [] == [leak for error in found for leak in leaks(error, logged)]


def echoes(key: str, prompt: str) -> dict[str, tuple[bytes, bytes]]:
    """Bodies of errors that repeat what they were sent: name to content type and body."""
    text = f"wrong key {key}; the prompt was: {prompt}; bye"
    told: dict[str, object] = {
        "openai": {"error": {"message": text, "type": key, "code": key, "param": prompt}},
        "string": {"error": text},
        "code": {"error": {"message": "no", "code": f"bad_{key}", "type": "x"}},
        "fastapi": {"detail": [{"loc": ["body"], "msg": text, "input": prompt}]},
        "pydantic": {"message": f"invalid [type=x, input_value='{prompt}', input_type=str]"},
        "google": [{"error": {"message": text, "status": "INVALID_ARGUMENT"}}],
        "unknown": {"said": text, "headers": {"authorization": key}},
        "deep": {"error": {"error": {"message": {"message": text}}}},
        "odd": ["error", text],
    }
    bodies = {
        name: (b"application/json", json.dumps(body, ensure_ascii=False).encode())
        for name, body in told.items()
    }
    bodies["plain"] = (b"text/plain", text.encode())
    bodies["html"] = (b"text/html", f"<html><title>{text}</title>{text}</html>".encode())
    bodies["torn"] = (b"application/json", f'{{"error": {{"message": "{text}'.encode())
    bodies["curl"] = (b"text/plain", f"curl -H 'x-api-key: {HEADER}' -d '{prompt}'".encode())
    return bodies


def asked(request: Request) -> tuple[str, str]:
    """The key and the prompt of a request, as its peer sees them."""
    key = request.headers[b"authorization"].decode().removeprefix("Bearer ")
    return key, json.loads(request.body)["messages"][0]["content"]


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 529])
@pytest.mark.parametrize("name", sorted(echoes("", "")))
async def test_an_echo_in_an_error_is_taken_out(status: int, name: str, logged: Any) -> None:
    """Row 39: a vendor that repeats key and prompt in its refusal does not get them into ours."""

    async def handle(connection: Connection) -> None:
        key, prompt = asked(await connection.request())
        kind, body = echoes(key, prompt)[name]
        lines = [b"HTTP/1.1 %d Odd" % status, b"content-type: " + kind]
        lines += [b"x-request-id: " + key.encode(), b"content-length: %d" % len(body)]
        lines += [b"retry-after: " + key.encode(), b"x-ratelimit-reset-tokens: " + key.encode()]
        await connection.send(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    error = await _called(handle)

    assert isinstance(error, PenstockError)
    assert status == error.status
    assert [] == leaks(error, logged)


@pytest.mark.asyncio
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", ["openai", "string", "google", "fastapi", "odd", "torn", "plain"])
async def test_an_echo_in_a_stream_is_taken_out(first: bool, name: str, logged: Any) -> None:
    """Row 39: the same inside an answer that began with 200, before and after its content."""

    async def handle(connection: Connection) -> None:
        key, prompt = asked(await connection.request())
        body = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n' if not first else b""
        body += b"data: " + echoes(key, prompt)[name][1].replace(b"\n", b" ") + b"\n\n"
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
        await connection.send(head % len(body) + body)

    error = await _called(handle)

    assert isinstance(error, PenstockError)
    assert [] == leaks(error, logged)


async def _called(handle: Any, messages: Any = PROMPT, **options: Any) -> Exception:
    async with Peer(handle) as peer:
        base = peer.url.removesuffix("/chat/completions")
        deployment = Deployment(base, KEY, headers={"x-api-key": HEADER})
        options.setdefault("max_retries", 0)
        async with Client(deployments={"m": deployment}, **options) as client:
            return await fails(client.chat("m", messages))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "messages",
    [
        PROMPT,
        [{"role": "user", "content": PROMPT}],
        [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}],
        ({"role": "user", "content": PROMPT}, {"role": "user", "content": "x" * 300_000}),
        lambda: iter([{"role": "user", "content": PROMPT}]),
        pytest.param("iterator", id="iterator"),
    ],
    ids=["str", "list", "parts", "long", "factory", "iterator"],
)
async def test_every_form_of_conversation_is_taken_out(messages: Any) -> None:
    """Row 39: the prompt is known for what it is, however the conversation was given."""
    given = iter([{"role": "user", "content": PROMPT}]) if messages == "iterator" else messages

    async def handle(connection: Connection) -> None:
        await connection.request()
        body = json.dumps({"error": {"message": f"you said {PROMPT!s}"}}).encode()
        await connection.send(b"HTTP/1.1 400 Bad\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    error = await _called(handle, given)

    assert "you said [prompt]" in str(error)
    assert [] == leaks(error)


@pytest.mark.asyncio
@pytest.mark.parametrize("style", sorted(styles()))
async def test_the_simulators_leak_is_taken_out(road: Road, style: str, logged: Any) -> None:
    """Row 39: the fault that users of the simulator can ask for, in every vendor's words."""
    error = await fails(client_of(road, f"text?fault=leak&style={style}").chat(None, PROMPT))

    assert isinstance(error, AuthenticationError)
    assert [] == leaks(error, logged)


@pytest.mark.asyncio
async def test_all_providers_failed_shows_nothing(road: Road, logged: Any) -> None:
    """Row 39: the sum of a list's errors has no more in it than each of them."""
    deployments = {
        name: road.deployment("text?fault=leak", api_key=KEY, headers={"x-api-key": HEADER})
        for name in "ab"
    }
    client = road.client(deployments=deployments, fallbacks={"a": ["b"]})

    error = await fails(client.chat("a", PROMPT))

    assert isinstance(error, PenstockError)
    assert 2 == len(error.attempts)
    assert [] == leaks(error, logged)


class Answer(BaseModel):
    """A shape that no simulated text has."""

    number: int


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("behavior", "kind"),
    [
        ("text?tokens=3", StructuredOutputError),
        ("text?tokens=3&finish=length", OutputTruncatedError),
    ],
)
async def test_an_answer_that_does_not_fit_shows_no_prompt(
    road: Road, behavior: str, kind: type[PenstockError], logged: Any
) -> None:
    """Row 39: a structured answer's error has the answer, and not the request."""
    error = await fails(client_of(road, behavior).chat(None, PROMPT, response_format=Answer))

    assert isinstance(error, kind)
    assert error.partial is not None
    assert [] == leaks(error, logged)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "options",
    [
        {"extra_headers": {"x-api-key": f"{HEADER}\r\nx: y"}},
        {"extra_body": {"messages": [PROMPT]}},
        {"extra_body": {"mine": {1, 2}}},
        {"temperature": float("nan")},
        {"tools": ["not a tool"]},
        {"temprature": 1},
        {"response_format": object()},
    ],
    ids=["header", "replaced", "unencodable", "nan", "tool", "misspelt", "format"],
)
@pytest.mark.parametrize("way", ["chat", "preview"])
async def test_a_callers_mistake_shows_nothing(
    road: Road, options: dict[str, Any], way: str, logged: Any
) -> None:
    """Row 39: an error before a byte leaves has no canary in its frames either."""
    client = client_of(road, "text")
    call = client.chat if way == "chat" else client.preview

    error = await fails(call(None, PROMPT, **options))

    assert isinstance(error, PenstockError)
    assert [] == leaks(error, logged)


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["warm", "list_models"])
async def test_other_calls_show_nothing(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 39: warming up and listing models send the key too, and show it no more."""

    async def handle(connection: Connection) -> None:
        request = await connection.request()
        key = request.headers[b"authorization"]
        body = b'{"error": {"message": "wrong: %b"}}' % key
        status = b"200 OK" if way == "warm" else b"401 No"
        await connection.send(b"HTTP/1.1 " + status + b"\r\ncontent-length: 9999\r\n\r\n" + body)

    async with Peer(handle) as peer:
        monkeypatch.setenv("OPENAI_BASE_URL", peer.url.removesuffix("/chat/completions"))
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        async with Client(timeouts=Timeouts(idle=SHORT, response=SHORT)) as client:
            if way == "list_models":
                error = await fails(client.list_models("openai"))
            else:
                monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
                error = await fails(client.warm("openai/x"))

    assert [] == leaks(error)


PROXY = f"http://me:{KEY}@proxy.example:3128"
EVERYWHERE: dict[str, Any] = {
    "keys": {"groq": KEY},
    "headers": {"authorization": KEY},
    "proxy": PROXY,
    "deployments": {"m": {"base_url": "https://x.example", "api_key": KEY}},
    "providers": {"house": {"base_url": "https://h.example", "headers": {"x-secret": KEY}}},
}
"""A key wherever a configuration can have one."""


@pytest.mark.parametrize("client", [Client, SyncClient])
@pytest.mark.parametrize(
    "wrong",
    [
        {"max_retries": -1},
        {"nosuch": 1},
        {"timeouts": {"ttft": -1}},
        {"limits": {"nosuch": 1}},
        {"default_model": "nosuch/x"},
    ],
)
def test_no_client_shows_what_its_configuration_holds(
    client: type[Client | SyncClient], wrong: dict[str, Any]
) -> None:
    """Neither the blocking one; in the frames of a file's keys and of arguments."""
    said = {name: EVERYWHERE[name] for name in ("keys", "headers", "proxy")}

    with pytest.raises(UsageError) as caught:
        client.from_config(EVERYWHERE | wrong)
    assert [] == leaks(caught.value)
    with pytest.raises(UsageError) as caught:
        client(**said, max_retries=-1)
    assert [] == leaks(caught.value)


def test_a_proxys_password_is_in_no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a variable has it, whose name is."""
    kept = pickle.dumps(Client(proxy=PROXY))
    monkeypatch.setenv("OUR_PROXY", PROXY)
    named = pickle.dumps(Client(proxy=PROXY))

    assert KEY.encode() not in kept + named
    assert "http://proxy.example:3128" == pickle.loads(kept)._arguments["proxy"]
    assert PROXY == pickle.loads(named)._arguments["proxy"]


def test_a_wrong_configuration_shows_no_key() -> None:
    """Row 39: a key beside a mistake is in no frame of ours."""
    table = {"base_url": "http://127.0.0.1:1", "api_key": KEY, "headers": {"x-api-key": HEADER}}
    configs: list[dict[str, Any]] = [
        {"deployments": {"m": table | {"mistake": 1}}},
        {"deployments": {"m": table | {"base_url": "nonsense"}}},
        {"deployments": {"m": table}, "mistake": 1},
        {"deployments": {"m": table}, "default_model": "nowhere"},
        {"deployments": {"m": table}, "max_retries": -1},
        {"deployments": {"m": table}, "headers": {"x-api-key": HEADER}, "limits": {"drain": 0}},
    ]
    for config in configs:
        with pytest.raises(PenstockError) as raised:
            Client.from_config(config)

        assert [] == leaks(raised.value), config
    with pytest.raises(ConfigurationError) as raised:
        Deployment("nonsense", KEY, headers={"x-api-key": HEADER})
    assert [] == leaks(raised.value)


@pytest.mark.asyncio
async def test_a_good_call_logs_its_course_and_no_content(road: Road, logged: Any) -> None:
    """Row 39: at DEBUG a call's attempts, opening and closing are there, and no canary."""
    client = client_of(road, "text?tokens=3&status=503&fail=1", max_retries=1)

    await client.chat(None, PROMPT, metadata={"ticket": 7}, tenant="t1", tags=["a"])

    told = [record.getMessage() for record in logged.records if record.name == "penstock.calls"]
    assert ["failed", "said:", "answers", "closed"] == [
        next(word for word in ("failed", "said:", "answers", "closed") if word in line)
        for line in told
    ]
    opened = next(record for record in logged.records if "answers" in record.getMessage())
    assert ({"ticket": 7}, "t1", ("a",)) == (
        opened.penstock["metadata"],
        opened.penstock["tenant"],
        opened.penstock["tags"],
    )
    assert [] == leaks(ValueError(), logged)


def test_penstock_log_shows_logs_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """PENSTOCK_LOG adds one handler, however many clients there are, and sets the level."""
    logger = logging.getLogger("penstock")
    before, level = logger.handlers[:], logger.level
    monkeypatch.setenv("PENSTOCK_LOG", "info")
    try:
        for _ in range(3):
            Client()
        logging.getLogger("penstock.calls").info("shown")
        logging.getLogger("penstock.calls").debug("not shown")
    finally:
        logger.handlers[:] = before
        logger.setLevel(level)

    err = capsys.readouterr().err
    assert 1 == err.count("shown")
    assert "penstock.calls: shown" in err


def test_without_penstock_log_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library leaves the process's logging alone."""
    monkeypatch.delenv("PENSTOCK_LOG", raising=False)
    before = logging.getLogger("penstock").handlers[:]

    logs.from_environment()

    assert before == logging.getLogger("penstock").handlers


@pytest.mark.asyncio
async def test_a_cancelled_call_shows_nothing(road: Road) -> None:
    """Row 39: a cancellation's frames have no canary that a task's report would print."""
    client = client_of(road, "text?fault=silent", timeouts=clocks())
    task = asyncio.create_task(client.chat(None, PROMPT))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await task

    assert [] == leaks(raised.value)
