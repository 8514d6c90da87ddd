"""The client's calls: what goes on the wire, and what comes back."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from tests.road import KEY, Road, at_rest, fails
from tests.transports.peers import Connection, Peer, answer

from penstock import logs
from penstock.chunks import Chunk, Finish, Meta, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import (
    AllProvidersFailedError,
    ConfigurationError,
    OutputTruncatedError,
    PenstockError,
    StructuredOutputError,
    UnknownModelError,
    UnsupportedFeatureError,
    UsageError,
)
from penstock.messages import AssistantMessage, SystemMessage, UserMessage
from penstock.simulator import RequestRecord, load_recording

pytestmark = pytest.mark.asyncio


def body_of(request: RequestRecord) -> dict[str, Any]:
    """The JSON of a request."""
    body: dict[str, Any] = json.loads(request.body)
    return body


def last(road: Road) -> dict[str, Any]:
    """The JSON of the last request."""
    return body_of(road.sim.requests[-1])


async def test_chat_folds_what_stream_hands_out(road: Road) -> None:
    """The chunks of a stream are a text, a reason and a usage; a reply has the same at once."""
    client = road.client()
    async with client.stream(None, "a b") as stream:
        chunks = [chunk async for chunk in stream]
    reply = await client.chat(None, "a b")

    assert [Meta, TextDelta, TextDelta, Finish, Usage] == [type(chunk) for chunk in chunks]
    assert "a b" == "".join(chunk.text for chunk in chunks) == reply.text
    assert reply.finish_reason == "stop"
    assert reply.usage == chunks[-1]
    assert (reply.provider, reply.deployment, reply.request_id) == ("127.0.0.1", "m", "req_sim_2")


async def test_an_appended_message_is_understood_in_the_next_turn(road: Road) -> None:
    """``messages.append(reply.message)`` carries text, tool calls and results to the next turn."""
    client = road.client("tools?calls=2")
    messages: list[Any] = [{"role": "user", "content": "look"}]

    def look(place: str) -> str:
        """Look somewhere."""
        return place

    reply = await client.chat(None, messages, tools=[look])
    messages.append(reply.message)
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": "seen"} for call in reply.tool_calls
    ]
    final = await client.chat(None, messages, tools=[look])

    assert ["look", "look"] == [call.name for call in reply.tool_calls]
    assert [{"place"}] * 2 == [set(json.loads(call.arguments)) for call in reply.tool_calls]
    assert reply.message["tool_calls"] == last(road)["messages"][1]["tool_calls"]
    assert ("stop", []) == (final.finish_reason, final.tool_calls)
    assert json.loads(json.dumps(messages)) == messages


async def test_tools_may_be_callables(road: Road) -> None:
    """A callable's signature and docstring are its schema on the wire."""

    def weather(city: str, days: int = 1) -> str:
        """Tell the weather."""
        return f"{city}{days}"

    await road.client("tools").chat(None, "hi", tools=[weather])

    function = last(road)["tools"][0]["function"]
    assert ("weather", "Tell the weather.") == (function["name"], function["description"])
    assert {"city": "string", "days": "integer"} == {
        name: field["type"] for name, field in function["parameters"]["properties"].items()
    }
    assert ["city"] == function["parameters"]["required"]


@pytest.mark.parametrize(
    ("key", "model", "on_the_wire"),
    [
        ("zai/glm-4.7", None, "zai/glm-4.7"),
        ("short", None, "short"),
        ("a/b:free", None, "a/b:free"),
        ("llama3.1:8b", None, "llama3.1:8b"),
        ("zai/glm-4.7", "other", "other"),
    ],
)
async def test_the_models_name_on_the_wire(
    road: Road, key: str, model: str | None, on_the_wire: str
) -> None:
    """At an unknown origin the whole key is the model's name, unless the deployment has one."""
    other = await road.simulator(default="echo")
    deployments = {key: Deployment(f"{other.url}/v1", KEY, model=model)}
    client = road.client(deployments=deployments)

    reply = await client.chat(key, "hi")

    assert on_the_wire == body_of(other.requests[-1])["model"]
    assert key == reply.deployment


async def test_a_provider_is_named_before_its_model(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``provider/model`` and ``provider:model`` need no deployment; the part behind is sent."""
    other = await road.simulator(default="echo")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{other.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    client = road.client()

    for name in ("openai/gpt-5.4", "openai:gpt-5.4", "gpt-5.4"):
        assert "openai" == (await client.chat(name, "hi")).provider

    assert ["gpt-5.4"] * 3 == [body_of(request)["model"] for request in other.requests]
    assert {f"Bearer {KEY}"} == {request.headers["authorization"] for request in other.requests}


async def test_an_unknown_model_is_an_error_with_the_nearest(road: Road) -> None:
    """No name is sent anywhere by default."""
    error = await fails(road.client({"mine-4.7": "echo"}).chat("mine-4.6", "hi"))

    assert isinstance(error, UnknownModelError)
    assert "mine-4.7" in error.message
    assert 0 == road.sim.connections.total


async def test_a_call_without_a_model_uses_the_default(road: Road) -> None:
    """``default_model`` serves calls that name none; without it such a call is an error."""
    assert "hi" == (await road.client(default_model="m").chat(messages="hi")).text

    error = await fails(Client().chat(messages="hi"))
    assert isinstance(error, UsageError)


async def test_parameters_reach_the_wire(road: Road) -> None:
    """OpenAI's parameters go out by their names, a None as null, and ``stop`` as it is."""
    await road.client().chat(None, "hi", temperature=0.2, stop=["x"], seed=None, n=1, user="u")

    sent = last(road)
    assert (0.2, ["x"], None, 1, "u") == tuple(
        sent[name] for name in ("temperature", "stop", "seed", "n", "user")
    )
    assert {"include_usage": True} == sent["stream_options"]


async def test_extra_body_wins_and_extra_headers_are_sent(road: Road) -> None:
    """A call's fields come over the deployment's, and those over ours; headers likewise."""
    deployment = road.deployment(extra_body={"a": 1, "b": 1}, headers={"x-a": "1", "x-b": "1"})
    client = road.client(deployments={"d": deployment}, headers={"x-a": "0", "x-c": "0"})

    await client.chat(
        "d", "hi", temperature=1, extra_body={"b": 2, "temperature": 0}, extra_headers={"X-B": "2"}
    )

    assert (1, 2, 0) == tuple(last(road)[name] for name in ("a", "b", "temperature"))
    headers = road.sim.requests[-1].headers
    assert ("1", "2", "0") == tuple(headers[name] for name in ("x-a", "x-b", "x-c"))


async def test_metadata_stays_here_and_comes_back(road: Road) -> None:
    """Metadata, tenant and tags are never sent; metadata is on streams, replies and errors."""
    client = road.client({"m": "echo", "bad": "echo?fault=invalid-key"})
    mine = {"ticket": 4711}

    reply = await client.chat(None, "hi", metadata=mine, tenant="t-9", tags=["tag-9"])
    async with client.stream(None, "hi", metadata=mine) as stream:
        assert mine == stream.metadata
    error = await fails(client.chat("bad", "hi", metadata=mine))

    assert mine == reply.metadata
    assert isinstance(error, PenstockError)
    assert mine == error.metadata
    for request in road.sim.requests:
        assert b"4711" not in request.body
        assert b"t-9" not in request.body
        assert "4711" not in str(request.headers)


@pytest.mark.parametrize("behavior", ["reasoning", "tools?calls=2", "echo?choices=2"])
async def test_an_answer_may_be_whole_on_the_wire(road: Road, behavior: str) -> None:
    """``stream=False`` asks for no stream, and its reply is the same."""
    client = road.client(behavior)
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]

    whole = await client.chat(None, "hi", stream=False, tools=tools)
    assert not last(road).get("stream")
    assert "stream_options" not in last(road)
    streamed = await client.chat(None, "hi", tools=tools)

    assert streamed.text == whole.text
    assert streamed.reasoning == whole.reasoning
    assert streamed.tool_calls == whole.tool_calls
    assert len(streamed.choices) == len(whole.choices)
    assert streamed.finish_reason == whole.finish_reason


async def test_raw_events_are_kept_when_asked_for(road: Road) -> None:
    """``keep_raw`` has the provider's events as they came; without it there are none."""
    client = road.client("echo")

    kept = await client.chat(None, "a b", keep_raw=True)
    plain = await client.chat(None, "a b")

    assert plain.raw is None
    assert kept.raw is not None
    assert "[DONE]" == kept.raw[-1]
    assert {"chat.completion.chunk"} == {event["object"] for event in kept.raw[:-1]}


async def test_raw_events_of_an_event_stream_are_kept(road: Road) -> None:
    """Those of AWS's binary framing are their payloads."""
    bedrock = Deployment(road.sim.url, KEY, model="echo", dialect="bedrock_converse")
    client = road.client(deployments={"b": bedrock})

    kept = await client.chat("b", "a b", keep_raw=True)

    assert kept.raw is not None
    assert {"text": "a "} in [event.get("delta") for event in kept.raw]


class Point(BaseModel):
    """What the simulator's `json` answers with."""

    x: int
    y: int


@pytest.mark.parametrize("stream", [True, False])
async def test_a_pydantic_model_parses_the_answer(road: Road, stream: bool) -> None:
    """With a model as ``response_format`` the reply has an instance."""
    reply = await road.client("json").chat(None, "hi", response_format=Point, stream=stream)

    assert isinstance(reply.parsed, Point)
    assert reply.parsed == Point.model_validate_json(reply.text)
    schema = last(road)["response_format"]["json_schema"]
    assert ("Point", True) == (schema["name"], schema["strict"])


async def test_an_answer_that_does_not_fit_is_an_error(road: Road) -> None:
    """It has the text, pydantic's problems and the reply, and never a silent None."""
    error = await fails(
        road.client("text?tokens=2").chat(None, "hi", response_format=Point, metadata={"a": 1})
    )

    assert isinstance(error, StructuredOutputError)
    assert error.problems
    assert error.partial is not None
    assert error.text == error.partial.text
    assert {"a": 1} == error.metadata
    assert ["m"] == [attempt.deployment for attempt in error.attempts]


async def test_an_answer_cut_at_its_limit_says_so(road: Road) -> None:
    """A structured answer that ended at its token limit is no wrong answer."""
    client = road.client("json?finish=length")

    assert isinstance(
        await fails(client.chat(None, "hi", response_format=Point)), OutputTruncatedError
    )


async def test_a_schema_is_sent_and_not_parsed(road: Road) -> None:
    """A plain JSON schema shapes the answer; what comes is text."""
    schema = {"title": "n", "type": "object", "properties": {"n": {"type": "integer"}}}

    reply = await road.client("json").chat(None, "hi", response_format=schema)

    assert reply.parsed is None
    assert {"n"} == set(json.loads(reply.text))


async def test_fallbacks_cross_simulators(road: Road) -> None:
    """The next deployment answers, at another origin, with its own name for the model."""
    other = await road.simulator(default="echo")
    client = road.client(
        "echo?fault=unavailable",
        deployments={"b": Deployment(f"{other.url}/v1", "key-of-b", model="theirs")},
        fallbacks={"m": ["b"]},
    )

    reply = await client.chat(None, "hi", metadata={"a": 1})

    assert ("hi", "b", {"a": 1}) == (reply.text, reply.deployment, reply.metadata)
    assert [("m", 503), ("b", 200)] == [(a.deployment, a.status) for a in reply.attempts]
    assert body_of(road.sim.requests[0])["messages"] == body_of(other.requests[0])["messages"]
    assert "theirs" == body_of(other.requests[0])["model"]


async def test_a_call_may_have_fallbacks_of_its_own(road: Road) -> None:
    """A call's list replaces the client's; an empty one switches it off."""
    behaviors = {"a": "echo?fault=overloaded", "b": "echo", "c": "echo"}
    client = road.client(behaviors, fallbacks={"a": ["b"]})

    assert "c" == (await client.chat("a", "hi", fallbacks=["c"])).deployment
    alone = await fails(client.chat("a", "hi", fallbacks=[]))

    assert not isinstance(alone, AllProvidersFailedError)


async def test_fallback_on_chooses_the_errors(road: Road) -> None:
    """Only the kinds that are named lead to the next deployment."""
    behaviors = {"a": "echo?fault=invalid-key", "b": "echo"}
    client = road.client(behaviors, fallbacks={"a": ["b"]})

    assert "b" == (await client.chat("a", "hi", fallback_on=["authentication"])).deployment
    assert "b" == (await client.chat("a", "hi")).deployment
    assert isinstance(
        await fails(client.chat("a", "hi", fallback_on=["rate_limit"])), PenstockError
    )


async def test_all_that_failed_is_said(road: Road) -> None:
    """The last error has every attempt, and the message every reason."""
    behaviors = {"a": "echo?fault=invalid-key", "b": "echo?fault=billing"}
    client = road.client(behaviors, fallbacks={"a": ["b"]})

    error = await fails(client.chat("a", "hi"))

    assert isinstance(error, AllProvidersFailedError)
    assert [401, 402] == [attempt.status for attempt in error.attempts]
    assert "AuthenticationError" in error.message
    assert "BillingError" in error.message


async def test_what_cannot_be_said_is_logged_once(
    road: Road, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning for each deployment and field, not for each call or message."""
    message = {"role": "user", "content": "hi", "provider_state": {"dialect": "other"}}
    client = road.client({"logs-once": "echo"})

    for messages in ([message], [message], [message, message]):
        await client.chat(None, messages)

    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert ["logs-once cannot say messages[].provider_state: it was left out"] == warned


async def test_metadata_that_was_to_be_stored_is_warned_of(
    road: Road, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``store`` a caller may mean OpenAI's field of that name; once is enough."""
    monkeypatch.setattr(logs, "_said", set())
    client = road.client()

    for _ in range(2):
        await client.chat(None, "hi", store=True, metadata={"trace": "1"})

    assert 1 == sum("extra_body={'metadata'" in record.getMessage() for record in caplog.records)


async def test_what_cannot_be_said_is_dropped_or_refused(road: Road) -> None:
    """A field that no dialect sends is reported, and with ``strict`` an error."""
    message = {"role": "user", "content": "hi", "provider_state": {"dialect": "other"}}
    client = road.client()

    reply = await client.chat(None, [message])
    error = await fails(client.chat(None, [message], strict=True))

    assert ["messages[0].provider_state"] == reply.dropped
    assert isinstance(error, UnsupportedFeatureError)
    assert 1 == len(road.sim.requests)


async def test_a_capture_replays_to_the_same_chunks(road: Road, tmp_path: Path) -> None:
    """``capture`` writes an exchange that the simulator plays again, chunk for chunk."""
    path = tmp_path / "exchange.jsonl"
    client = road.client("reasoning?tokens=6&reasoning=3&shape=usage-details,fingerprint&slice=50")
    async with client.stream(None, "hi", capture=str(path)) as stream:
        first = [chunk async for chunk in stream]

    load_recording(path)
    assert KEY not in path.read_text("utf-8")
    other = await road.simulator(recordings={"it": path})
    again = road.client(
        deployments={"r": Deployment(f"{other.url}/v1", model="replay/it?speed=inf")}
    )
    async with again.stream("r", "hi") as stream:
        second = [chunk async for chunk in stream]

    assert first == second


async def test_a_captured_failure_replays(road: Road, tmp_path: Path) -> None:
    """A torn answer and a refusal are captured as they were."""
    client = road.client(
        {"torn": "text?tokens=5&fault=reset@3", "refused": "text?fault=rate-limit&retry-after=9"}
    )
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("torn", "refused")}
    first = {
        name: await fails(client.chat(name, "hi", capture=str(path)))
        for name, path in paths.items()
    }
    other = await road.simulator(recordings=paths)
    again = road.client(
        deployments={
            name: Deployment(f"{other.url}/v1", model=f"replay/{name}?speed=inf") for name in paths
        }
    )

    for name, error in first.items():
        repeated = await fails(again.chat(name, "hi"))
        assert isinstance(error, PenstockError)
        assert isinstance(repeated, PenstockError)
        assert type(error) is type(repeated)
        assert error.retry_after == repeated.retry_after
        assert getattr(error.partial, "text", None) == getattr(repeated.partial, "text", None)


async def test_a_capture_that_cannot_be_written_sends_nothing(road: Road, tmp_path: Path) -> None:
    """A wrong path is the caller's mistake, found before a byte leaves."""
    client = road.client()

    error = await fails(client.chat(None, "hi", capture=str(tmp_path / "no" / "such")))

    assert isinstance(error, ConfigurationError)
    assert [] == list(road.sim.requests)
    await at_rest(client)


async def test_a_reply_has_its_request_as_curl(road: Road) -> None:
    """The command names address and headers, the key masked; the conversation is not kept in it."""
    reply = await road.client().chat(None, "it's", temperature=1)

    words = shlex.split(reply.curl())
    assert f"{road.sim.url}/v1/chat/completions" in words
    assert "authorization: Bearer ***" in words
    assert "@request.json" == words[-1]
    assert "it's" not in reply.curl()
    assert KEY not in reply.curl()


@pytest.mark.parametrize("kind", ["generator", "async generator"])
async def test_a_one_shot_conversation_has_one_pass(road: Road, kind: str) -> None:
    """A generator is sent; a retry that needs it again is refused, the first error in attempts."""
    client = road.client({"m": "echo", "bad": "echo?fault=unavailable"}, max_retries=1)

    assert "hi" == (await client.chat("m", _one_shot(kind))).text
    error = await fails(client.chat("bad", _one_shot(kind)))

    assert isinstance(error, UsageError)
    assert "spool=True" in error.message
    assert "UnavailableError" == error.attempts[0].error


@pytest.mark.parametrize("kind", ["generator", "async generator"])
async def test_a_spooled_conversation_has_more(road: Road, kind: str) -> None:
    """With ``spool=True`` the second pass is the first again, out of a file."""
    client = road.client("echo?fault=unavailable&fail=1", max_retries=1)

    reply = await client.chat(None, _one_shot(kind), spool=True)

    assert "hi" == reply.text
    first, second = (body_of(request)["messages"] for request in road.sim.requests)
    assert first == second


def _one_shot(kind: str) -> Any:
    messages = [{"role": "system", "content": "x" * 200}, {"role": "user", "content": "hi"}]

    async def slowly() -> AsyncIterator[Any]:
        for message in messages:
            yield message

    return iter(messages) if kind == "generator" else slowly()


@pytest.mark.parametrize("messages", ["hi", "list", "typed", "factory", "async factory"])
async def test_every_form_of_messages_is_sent(road: Road, messages: str) -> None:
    """A str, dicts, typed messages and factories are the same conversation on the wire."""
    dicts = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "hi"},
    ]

    async def later() -> AsyncIterator[Any]:
        for message in dicts:
            yield message

    forms: dict[str, Any] = {
        "hi": "hi",
        "list": dicts,
        "typed": [
            SystemMessage("s"),
            UserMessage("u"),
            AssistantMessage("a"),
            {"role": "user", "content": "hi"},
        ],
        "factory": lambda: iter(dicts),
        "async factory": later,
    }

    reply = await road.client().chat(None, forms[messages])

    assert "hi" == reply.text
    assert (dicts[-1:] if messages == "hi" else dicts) == last(road)["messages"]


async def test_a_client_is_made_from_a_file(road: Road, tmp_path: Path, monkeypatch: Any) -> None:
    """JSON and TOML configure the same client, and a key stays in its variable."""
    monkeypatch.setenv("ROAD_KEY", KEY)
    config = {
        "default_model": "m",
        "deployments": {
            "m": {"base_url": f"{road.sim.url}/v1", "api_key": "env:ROAD_KEY", "model": "echo"}
        },
        "timeouts": {"ttft": 5},
    }
    path = tmp_path / "client.json"
    path.write_text(json.dumps(config))
    toml = tmp_path / "client.toml"
    toml.write_text(
        f'default_model = "m"\n[deployments.m]\nbase_url = "{road.sim.url}/v1"\n'
        'api_key = "env:ROAD_KEY"\nmodel = "echo"\n[timeouts]\nttft = 5\n'
    )

    for source in (config, path, toml):
        async with Client.from_config(source) as client:
            assert "hi" == (await client.chat(messages="hi")).text

    assert [f"Bearer {KEY}"] * 3 == [r.headers["authorization"] for r in road.sim.requests]


async def test_a_unix_socket_is_an_address(road: Road, tmp_path: Path) -> None:
    """``http+unix://`` with the socket's path encoded is called like any other."""
    local = await road.simulator(unix=tmp_path / "sim.sock")
    client = road.client(deployments={"u": Deployment(f"{local.url}/v1", KEY, model="echo")})

    assert "hi" == (await client.chat("u", "hi")).text
    assert 0 == road.sim.connections.total


@pytest.mark.parametrize("where", ["environment", "argument"])
async def test_a_proxy_is_used(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy, or the client's, gets the request, with its whole address."""
    seen: list[bytes] = []

    async def handle(connection: Connection) -> None:
        seen.append((await connection.request()).line)
        await connection.send(answer(b'{"error": {"message": "no"}}', status=b"403 No"))

    async with Peer(handle) as peer:
        address = f"http://127.0.0.1:{peer.port}"
        if where == "environment":
            monkeypatch.setenv("HTTP_PROXY", address)
            monkeypatch.setenv("NO_PROXY", "")
        deployments = {"m": Deployment("http://llm.invalid/v1")}
        proxy = address if where == "argument" else None
        async with Client(deployments=deployments, proxy=proxy) as client:
            error = await fails(client.chat("m", "hi"))

    assert isinstance(error, PenstockError)
    assert 403 == error.status
    assert [b"POST http://llm.invalid/v1/chat/completions HTTP/1.1"] == seen


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "cookie"])
async def test_a_calls_own_credential_goes_to_one_origin(road: Road, name: str) -> None:
    """It is one origin's: with a fallback at another one the call is refused."""
    other = await road.simulator()
    client = road.client(
        {"m": "echo", "near": "echo"},
        deployments={"far": road.deployment(base_url=f"{other.url}/v1")},
    )
    headers = {name: "Bearer mine"}

    error = await fails(client.chat("m", "hi", fallbacks=["far"], extra_headers=headers))

    assert isinstance(error, UsageError)
    assert name in error.message
    assert "mine" not in error.message
    assert [] == [*road.sim.requests, *other.requests]
    await client.chat("m", "hi", fallbacks=["near"], extra_headers=headers)
    await client.chat("m", "hi", fallbacks=["far"], extra_headers={"x-title": "app"})
    assert 2 == len(road.sim.requests)


async def test_preview_sends_nothing(road: Road) -> None:
    """The request can be looked at first: its size, body and masked headers."""
    client = road.client()

    preview = await client.preview(None, "hi", temperature=1)

    assert [] == list(road.sim.requests)
    assert f"{road.sim.url}/v1/chat/completions" == preview.url
    assert preview.body is not None
    assert preview.size == len(preview.body)
    assert 1 == json.loads(preview.body)["temperature"]
    assert "Bearer ***" == preview.headers["authorization"]
    assert KEY not in repr(preview) + preview.command
    reply = await client.chat(None, "hi", temperature=1)
    assert preview.body == road.sim.requests[0].body
    words = shlex.split(preview.command)
    assert preview.body == words[-1].encode()
    assert words[:-1] == shlex.split(reply.curl())[:-1]


async def test_preview_of_a_large_body_has_its_size(road: Road) -> None:
    """What does not fit in the buffer is counted, not kept."""
    client = road.client()

    preview = await client.preview(None, "x" * 300_000)
    await client.chat(None, "x" * 300_000)

    assert preview.body is None
    assert road.sim.requests[0].length == preview.size


async def test_warming_opens_the_connection_that_the_call_uses(road: Road) -> None:
    """After ``warm`` the first call finds a connection."""
    client = road.client()

    await client.warm()
    await client.chat(None, "hi")

    assert [("GET", 1), ("POST", 1)] == [(r.method, r.connection) for r in road.sim.requests]
    assert f"Bearer {KEY}" == road.sim.requests[0].headers["authorization"]


async def test_warming_reads_a_long_list_of_models() -> None:
    """A connection can be used again once its answer is read: here more than is drained."""

    async def respond(connection: Connection) -> None:
        for _ in range(2):
            await connection.request()
            await connection.send(answer(b" " * 300_000))
        await connection.closed()

    async with Peer(respond) as peer:
        client = Client(deployments={"d": Deployment(f"{peer.url}/v1")})
        await client.warm("d")
        await client.warm("d")
        await client.aclose()

    assert 1 == peer.opened


async def test_models_are_listed(monkeypatch: pytest.MonkeyPatch, road: Road) -> None:
    """A provider's models come by their ids."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"{road.sim.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    names = await road.client().list_models("openai")

    assert {"echo", "text", "tools"} <= set(names)


async def test_rate_limits_are_read(road: Road) -> None:
    """What the provider says is left stands on reply and stream."""
    reply = await road.client("echo?rate-limits=1").chat(None, "hi")

    assert reply.rate_limit is not None
    assert (499, 29000) == (
        reply.rate_limit.remaining_requests,
        reply.rate_limit.remaining_tokens,
    )
    assert (0.12, 360.0) == (reply.rate_limit.reset_requests, reply.rate_limit.reset_tokens)
    assert "499" == reply.headers["x-ratelimit-remaining-requests"]


async def test_timings_are_in_order(road: Road) -> None:
    """Sent, opened, first byte, first content, end: each after the one before."""
    timings = (await road.client("text?tokens=3&ttft=0.02").chat(None, "hi")).timings

    marks = [timings.sent, timings.opened, timings.first_byte, timings.ttft, timings.total]
    assert None not in marks
    assert sorted(marks) == marks  # type: ignore[type-var]  # none of them is None
    assert timings.bytes_sent == road.sim.requests[0].length


async def test_middleware_runs_the_clients_first(road: Road) -> None:
    """The client's middleware sees the chunks before the call's, whatever their form."""

    def shout(chunk: Chunk) -> Chunk | None:
        return TextDelta(chunk.text.upper()) if isinstance(chunk, TextDelta) else chunk

    async def bracket(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        async for chunk in chunks:
            yield TextDelta(f"[{chunk.text}]") if isinstance(chunk, TextDelta) else chunk

    one = road.client(middleware=[shout])
    two = road.client(middleware=[bracket])

    assert "[A ][B]" == (await one.chat(None, "a b", middleware=[bracket])).text
    assert "[A ][B]" == (await two.chat(None, "a b", middleware=[shout])).text


async def test_middleware_that_fails_ends_the_stream(road: Road) -> None:
    """What middleware raises reaches the caller unchanged, and the connection is let go."""

    def fussy(chunk: Chunk) -> Chunk:
        if chunk.text.startswith("b"):
            raise ValueError("no b")
        return chunk

    client = road.client()
    seen = []
    async with client.stream(None, "a b c", middleware=[fussy]) as stream:
        with pytest.raises(ValueError, match="no b"):
            seen += [chunk.text async for chunk in stream]
        with pytest.raises(ValueError, match="no b"):
            await stream.collect()

    await at_rest(client)


async def test_middleware_is_checked_when_the_client_is_made() -> None:
    """A form that is none is refused at once."""
    with pytest.raises(ConfigurationError):
        Client(middleware=["not middleware"])  # type: ignore[list-item]  # that is the mistake


async def test_usage_may_be_left_unasked(road: Road) -> None:
    """``usage=False`` asks for none, for servers that refuse the option."""
    reply = await road.client().chat(None, "hi", usage=False)

    assert reply.usage is None
    assert "the provider reported no usage" == reply.cost_reason
    assert "stream_options" not in last(road)


async def test_the_providers_own_cost_is_told(road: Road) -> None:
    """A cost on the wire is the reply's; without one there is a reason."""
    client = road.client({"priced": "echo?shape=usage-cost", "plain": "echo"})

    priced, plain = await client.chat("priced", "hi"), await client.chat("plain", "hi")

    assert priced.cost is not None
    assert priced.cost_reason is None
    assert (None, "the provider reports no cost") == (plain.cost, plain.cost_reason)


async def test_reasoning_and_choices_are_folded(road: Road) -> None:
    """Reasoning stands apart from text, and each choice by itself."""
    reasoning = await road.client("reasoning?tokens=2&reasoning=2").chat(None, "hi")
    choices = await road.client("text?tokens=2&choices=3").chat(None, "hi")

    assert reasoning.reasoning
    assert reasoning.text
    assert [0, 1, 2] == [choice.index for choice in choices.choices]
    assert all(choice.text for choice in choices.choices)


async def test_chunks_are_typed(road: Road) -> None:
    """Each kind of delta has its class."""
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    seen = set()
    for behavior in ("reasoning", "tools"):
        async with road.client(behavior).stream(None, "hi", tools=tools) as stream:
            seen |= {type(chunk) async for chunk in stream}

    assert {ReasoningDelta, TextDelta, ToolCallDelta, Finish, Usage, Meta} <= seen


async def test_an_error_has_its_place(road: Road) -> None:
    """Provider, model, deployment, status, request id and whether it was committed."""
    client = road.client({"m": "text?tokens=4&fault=error-overloaded@2", "n": "echo?status=422"})

    late, early = await fails(client.chat("m", "hi")), await fails(client.chat("n", "hi"))

    assert isinstance(late, PenstockError)
    assert isinstance(early, PenstockError)
    assert ("127.0.0.1", "m", True, 529) == (
        late.provider,
        late.deployment,
        late.committed,
        late.status,
    )
    assert late.partial is not None
    assert 2 == len(late.partial.text.split())
    assert ("n", False, 422, "req_sim_2") == (
        early.deployment,
        early.committed,
        early.status,
        early.request_id,
    )


async def test_a_fallback_key_without_a_deployment_is_accepted(
    road: Road, caplog: pytest.LogCaptureFixture
) -> None:
    """The first seed's README has one; it is said once, when the client is made."""
    with caplog.at_level(logging.WARNING, logger="penstock"):
        client = road.client(fallbacks={"nobody/serves-it": ["m"]})

    assert 1 == len([r for r in caplog.records if "nobody/serves-it" in r.getMessage()])
    assert "hi" == (await client.chat("m", "hi")).text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("verify", "/nope"),
        ("verify", 5),
        ("cert", "/nope"),
        ("cert", ("/nope", "/nope")),
        ("proxy", "nonsense"),
        ("proxy", "http://"),
        ("proxy", "http://host:port"),
        ("proxy", "ftp://proxy.example"),
    ],
)
async def test_what_no_connection_can_use_is_refused_at_once(name: str, value: object) -> None:
    """A file that is not there, or a proxy that is none, is no surprise of the first call."""
    with pytest.raises(ConfigurationError) as caught:
        Client(**{name: value})  # type: ignore[arg-type]  # what a caller may have

    assert name == caught.value.param


async def test_anthropics_rate_limits_are_read(road: Road) -> None:
    """Its headers have names and times of their own, and stand in the same fields."""
    there = Deployment(
        f"{road.sim.url}/v1", KEY, dialect="anthropic_messages", model="echo?rate-limits=1"
    )
    limit = (await road.client(deployments={"m": there}).chat("m", "hi")).rate_limit

    assert limit is not None
    assert (499, 29000, 500, 30000) == (
        limit.remaining_requests,
        limit.remaining_tokens,
        limit.limit_requests,
        limit.limit_tokens,
    )
    assert limit.reset_requests is not None
    assert limit.reset_tokens is not None
    assert limit.reset_requests < limit.reset_tokens <= 360
