"""The drop-in for exoclaw-provider-openai: its names, its README, and the faults it must not share.

The faults are numbered as they were found in version 0.4.3.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import math
import pickle
import sys
import types
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, fields
from typing import Any

import pytest
import pytest_asyncio

import penstock as ps
from penstock.errors import (
    AllProvidersFailedError,
    AuthenticationError,
    ContextLengthError,
    DeadlineError,
    EncodeError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    OutputTruncatedError,
    PenstockError,
    RateLimitError,
    ResponseError,
    ServerError,
    StructuredOutputError,
    TransportError,
    TruncatedError,
    UnknownModelError,
    UsageError,
)
from penstock.simulator import Simulator
from penstock.sync import exoclaw
from penstock.sync.exoclaw import Deployment, LLMResponse, OpenAIStreamingProvider, ToolCallRequest

pytestmark = pytest.mark.asyncio

README = """
from exoclaw_provider_openai import Deployment, OpenAIStreamingProvider

provider = OpenAIStreamingProvider(
    default_model="zai/glm-4.7",
    deployments={
        "zai/glm-4.7":           Deployment(base_url="https://openrouter.ai/api/v1", api_key=OPENROUTER_KEY),
        "minimax/minimax-m2.7":  Deployment(base_url="https://openrouter.ai/api/v1", api_key=OPENROUTER_KEY),
        "openai/gpt-5.4":        Deployment(base_url="https://api.openai.com/v1",    api_key=OPENAI_KEY),
        "zai-direct/glm-5.1":    Deployment(base_url="https://api.z.ai/api/coding/paas/v4", api_key=ZAI_KEY),
    },
    fallbacks={
        "zai/glm-4.7":   ["minimax/minimax-m2.7"],
        "zai/glm-5.1":   ["minimax/minimax-m2.7"],
    },
)
"""  # noqa: E501  # as it stands in the other library's README
KEYS = {"OPENROUTER_KEY": "sk-or-1", "OPENAI_KEY": "sk-oa-2", "ZAI_KEY": "sk-za-3"}
HELLO = [{"role": "user", "content": "hello"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "lookup",
            "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
        },
    }
]


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A loopback server."""
    async with Simulator(keep_body=None) as simulator:
        yield simulator


class Providers:
    """Makes providers whose models are behaviors of the simulator, and closes them."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.made: list[OpenAIStreamingProvider] = []

    def __call__(self, *models: str, **options: Any) -> OpenAIStreamingProvider:
        """A provider that tries `models` in order."""
        base_url = f"{self.simulator.url}/v1"
        provider = OpenAIStreamingProvider(
            models[0],
            {model: Deployment(base_url, "sk-canary") for model in models},
            {models[0]: list(models[1:])},
            **options,
        )
        provider._client._router._random = lambda: 0.0
        self.made.append(provider)
        return provider

    @property
    def sent(self) -> list[Any]:
        """The bodies that the server got, decoded."""
        return [json.loads(record.body) for record in self.simulator.requests]


@pytest_asyncio.fixture
async def make(simulator: Simulator) -> AsyncIterator[Providers]:
    """Makes providers."""
    providers = Providers(simulator)
    yield providers
    for provider in providers.made:
        await provider.close()


@pytest.fixture
def readme(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs the README's example with base addresses replaced."""
    monkeypatch.setitem(sys.modules, "exoclaw_provider_openai", exoclaw)

    def run(replace: str | None = None) -> OpenAIStreamingProvider:
        source, names = README, dict(KEYS)
        for address in (
            "https://openrouter.ai/api/v1",
            "https://api.openai.com/v1",
            "https://api.z.ai/api/coding/paas/v4",
        ):
            source = source.replace(address, replace or address)
        exec(source, names)
        provider: OpenAIStreamingProvider = names["provider"]  # type: ignore[assignment]
        return provider

    return run  # type: ignore[return-value]  # a fixture that is a function


async def failing(provider: OpenAIStreamingProvider, messages: Any = None) -> PenstockError:
    """The error of a chat."""
    with pytest.raises(PenstockError) as caught:
        await provider.chat(messages or HELLO)
    return caught.value


# --- the other library's face ---------------------------------------------------------------


async def test_the_readme_constructs(readme: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Verbatim; the list of a model without a deployment is logged once."""
    with caplog.at_level(logging.WARNING, "penstock"):
        provider = readme()

    assert "zai/glm-4.7" == provider.get_default_model()
    assert 1 == len([each for each in caplog.messages if "zai/glm-5.1" in each])
    await provider.close()


@pytest.mark.parametrize(
    ("model", "url", "wire", "key"),
    [
        ("zai/glm-4.7", "https://openrouter.ai/api/v1/chat/completions", "zai/glm-4.7", "or-1"),
        (
            "minimax/minimax-m2.7",
            "https://openrouter.ai/api/v1/chat/completions",
            "minimax/minimax-m2.7",
            "or-1",
        ),
        ("openai/gpt-5.4", "https://api.openai.com/v1/chat/completions", "gpt-5.4", "oa-2"),
        (
            "zai-direct/glm-5.1",
            "https://api.z.ai/api/coding/paas/v4/chat/completions",
            "glm-5.1",
            "za-3",
        ),
    ],
)
async def test_each_model_goes_where_its_author_means(
    readme: Any, model: str, url: str, wire: str, key: str
) -> None:
    """To its own address, by the name that the vendor has for it, with the key of that address."""
    provider = readme()
    prepared = await provider._client._routes._route(model).provider.preparer.prepare(
        ps.request.ChatRequest(model=model, messages=HELLO)
    )

    assert (url, wire) == (prepared.head.url, json.loads(prepared.body.small)["model"])
    assert f"Bearer sk-{key}" == dict(prepared.head.headers)["authorization"]
    await provider.close()


async def test_the_readme_answers_and_falls_back(readme: Any) -> None:
    """With its addresses replaced by loopback ones."""
    behaviors = {"zai/glm-4.7": "echo", "minimax/minimax-m2.7": "text?tokens=2"}
    async with Simulator(models=behaviors) as simulator:
        provider = readme(f"{simulator.url}/v1")
        first = await provider.chat(HELLO)
        await provider.close()
    async with Simulator(models=behaviors | {"zai/glm-4.7": "text?status=503"}) as simulator:
        provider = readme(f"{simulator.url}/v1")
        second = await provider.chat(HELLO)
        models = [json.loads(record.body)["model"] for record in simulator.requests]
        await provider.close()

    assert ("hello", "stop") == (first.content, first.finish_reason)
    assert ["zai/glm-4.7", "minimax/minimax-m2.7"] == models
    assert second.content


async def test_signatures_are_the_other_librarys() -> None:
    """Names, order and defaults of 0.4.3; what is added is keyword-only and last."""
    chat = inspect.signature(OpenAIStreamingProvider.chat).parameters
    made = inspect.signature(OpenAIStreamingProvider).parameters
    deployment = inspect.signature(Deployment).parameters
    kinds = {name: p.default for name, p in made.items() if p.kind is p.KEYWORD_ONLY}

    assert {
        "messages": inspect.Parameter.empty,
        "tools": None,
        "model": None,
        "max_tokens": 4096,
        "temperature": 0.7,
        "reasoning_effort": None,
        "response_format": None,
        "on_delta": None,
    } == {name: p.default for name, p in chat.items() if name != "self"}
    assert ["default_model", "deployments", "fallbacks"] == list(made)[:3]
    assert {
        "request_timeout": 120.0,
        "stream_ttft_timeout": 15.0,
        "client": None,
        "timeouts": None,
    } == kinds
    assert ["base_url", "api_key", "extra_headers", "extra_body"] == list(deployment)


async def test_the_answers_fields_are_the_other_librarys() -> None:
    """Fields in order; what is added is last, and `dataclasses` works on it."""
    answer = LLMResponse("text", [ToolCallRequest("1", "lookup", {"word": "a"})])

    assert [
        "content",
        "tool_calls",
        "finish_reason",
        "usage",
        "reasoning_content",
        "thinking_blocks",
        "cost",
        "service_tier",
    ] == [field.name for field in fields(LLMResponse)][:8]
    assert {"id": "1", "name": "lookup", "arguments": {"word": "a"}} == asdict(answer)[
        "tool_calls"
    ][0]
    assert answer.has_tool_calls


async def test_on_delta_gets_the_text_as_it_comes(make: Providers) -> None:
    """Each piece once, in order."""
    pieces: list[str] = []

    async def on_delta(piece: str) -> None:
        pieces.append(piece)

    answer = await make("text?tokens=5").chat(HELLO, on_delta=on_delta)

    assert 5 == len(pieces)
    assert answer.content == "".join(pieces)


async def test_parameters_reach_the_wire(make: Providers) -> None:
    """Under OpenAI's names; what is empty is left out."""
    provider = make("tools?shape=whole-calls")
    await provider.chat(
        HELLO,
        TOOLS,
        max_tokens=0,
        temperature=0.1,
        reasoning_effort="low",
        response_format={"type": "json_object"},
    )
    await provider.chat(HELLO)
    first, second = make.sent

    assert {
        "model": "tools?shape=whole-calls",
        "messages": HELLO,
        "tools": TOOLS,
        "tool_choice": "auto",
        "max_tokens": 1,
        "temperature": 0.1,
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
        "stream": True,
        "stream_options": {"include_usage": True},
    } == first
    assert {"model", "messages", "max_tokens", "temperature", "stream", "stream_options"} == set(
        second
    )


async def test_tool_calls_have_their_arguments_decoded(make: Providers) -> None:
    """Ready to be dispatched."""
    answer = await make("tools").chat(HELLO, TOOLS)
    (call,) = answer.tool_calls

    assert ("lookup", dict, "tool_calls") == (
        call.name,
        type(call.arguments),
        answer.finish_reason,
    )


async def test_a_call_without_an_id_gets_one(make: Providers) -> None:
    """Nine letters and digits, as every vendor takes them."""
    answer = await make("tools?shape=no-id").chat(HELLO, TOOLS)
    (call,) = answer.tool_calls

    assert 9 == len(call.id)
    assert call.id.isalnum()


async def test_extra_headers_and_body_go_along(simulator: Simulator) -> None:
    """Without replacing the key, or what a call says."""
    deployment = Deployment(
        f"{simulator.url}/v1",
        "sk-canary",
        {"x-title": "mine", "Authorization": "Bearer other"},
        {"provider": {"sort": "price"}, "temperature": 2.0, "stream": False},
    )
    provider = OpenAIStreamingProvider("echo", {"echo": deployment})
    await provider.chat(HELLO)
    await provider.close()
    (record,) = simulator.requests
    body = json.loads(record.body)

    assert ("mine", "Bearer sk-canary") == (
        record.headers["x-title"],
        record.headers["authorization"],
    )
    assert ({"sort": "price"}, 0.7, True) == (body["provider"], body["temperature"], body["stream"])


async def test_a_deployment_shows_no_key() -> None:
    """Neither in its ``repr`` nor in a pickle."""
    deployment = Deployment("https://example.com/v1", "sk-canary", {"x-title": "mine"})

    assert "sk-canary" not in repr(deployment)
    assert b"sk-canary" not in pickle.dumps(deployment)
    assert {"x-title": "mine"} == deployment.extra_headers


@pytest.mark.parametrize("missing", ["default", "fallback"])
async def test_names_without_a_deployment_are_refused(missing: str) -> None:
    """When the provider is made, as there."""
    deployments = {"a": Deployment("https://example.com/v1", "sk-canary")}
    with pytest.raises(UnknownModelError, match="has no deployment"):
        OpenAIStreamingProvider(
            "a" if missing == "fallback" else "b", deployments, {"a": ["openai/gpt-5.4"]}
        )


async def test_a_model_without_a_deployment_goes_nowhere(make: Providers) -> None:
    """Not even where its prefix is a provider that the environment has a key for."""
    with pytest.raises(UnknownModelError):
        await make("echo").chat(HELLO, model="openai/gpt-5.4")


async def test_a_ready_body_is_sent_as_it_is(make: Providers) -> None:
    """In the caller's pieces, by the deployment's address and key."""
    wire = (
        b'{"model": "echo", "stream": true, "messages": [{"role":"user","content":"hey \\u00e9"}]}'
    )

    async def body() -> AsyncIterator[bytes]:
        for at in range(0, len(wire), 7):
            yield wire[at : at + 7]

    provider = make("text", "echo")

    assert "hey é" == await provider.send_streaming_body("text", body())
    (record,) = make.simulator.requests
    assert (wire, "Bearer sk-canary") == (record.body, record.headers["authorization"])


async def test_a_ready_body_that_is_an_iterator_is_sent_once(make: Providers) -> None:
    """A failure is raised as it is: what is left of the body is never sent as if it were it."""

    async def body() -> AsyncIterator[bytes]:
        yield b'{"model": "text?status=503", "stream": true, "messages": []}'

    with pytest.raises(ServerError):
        await make("text", "echo").send_streaming_body("text", body())

    assert 1 == len(make.simulator.requests)


async def test_a_ready_body_that_is_a_function_is_sent_again(make: Providers) -> None:
    """A retry has a fresh pass."""

    async def body() -> AsyncIterator[bytes]:
        yield b'{"model": "text?tokens=1&fail=1&status=503", "stream": true, "messages": []}'

    assert await make("text").send_streaming_body("text", body)
    assert 2 == len(make.simulator.requests)


async def test_a_ready_body_stands_alone(make: Providers) -> None:
    """Messages or parameters beside it are a mistake."""
    client = make("echo")._client
    with pytest.raises(UsageError, match="beside body="):
        await client.chat("echo", HELLO, body=lambda: None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="temperature"):
        await client.chat("echo", temperature=1, body=lambda: None)  # type: ignore[arg-type]


async def test_exoclaws_own_error_reaches_its_agent(
    make: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the program has loaded exoclaw, a full context is the error that its agent handles."""

    class ContextWindowExceededError(Exception):
        """As in ``exoclaw.providers.types``."""

    module = types.SimpleNamespace(ContextWindowExceededError=ContextWindowExceededError)
    monkeypatch.setitem(sys.modules, "exoclaw.providers.types", module)
    with pytest.raises(ContextWindowExceededError) as caught:
        await make("text?fault=context-length").chat(HELLO)

    assert isinstance(caught.value.__cause__, ContextLengthError)


# --- the eighteen faults --------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["no-finish", "error@2", "error-rate-limit@2"])
async def test_fault_1_half_an_answer_is_no_success(make: Providers, fault: str) -> None:
    """Fault 1: a stream without its end, or with an error in it, is an error with what came."""
    error = await failing(make(f"text?tokens=5&fault={fault}", "echo"))

    assert error.partial is not None
    assert error.partial.text
    assert isinstance(error, TruncatedError | ResponseError)


@pytest.mark.parametrize("fault", ["error", "error-overloaded", "error-openrouter"])
async def test_fault_1_an_error_first_leads_to_the_fallback(make: Providers, fault: str) -> None:
    """Fault 1: an error object at the start of a 200 counts as the refusal that it is."""
    assert "hello" == (await make(f"text?fault={fault}", "echo").chat(HELLO)).content


@pytest.mark.parametrize("fault", ["close", "reset", "empty", "cut@0"])
async def test_fault_2_no_answer_leads_to_the_fallback(make: Providers, fault: str) -> None:
    """Fault 2: a connection that ends before any content is retryable."""
    assert "hello" == (await make(f"text?fault={fault}", "echo").chat(HELLO)).content


@pytest.mark.parametrize("fault", ["cut@3", "reset@3", "close@3", "length-short"])
async def test_fault_2_a_cut_amid_the_answer_is_typed(make: Providers, fault: str) -> None:
    """Fault 2: and never an error of the HTTP library."""
    error = await failing(make(f"text?tokens=9&fault={fault}", "echo"))

    assert isinstance(error, TransportError)
    assert error.partial is not None
    assert error.partial.text


@pytest.mark.parametrize("kind", ["generator", "async generator"])
async def test_fault_3_a_generator_reaches_the_fallback_whole(make: Providers, kind: str) -> None:
    """Fault 3: the second attempt sends the same conversation, not what is left of it."""
    conversation = [{"role": "user", "content": f"message {number}"} for number in range(50)]

    async def later() -> AsyncIterator[Any]:
        for message in conversation:
            yield message

    messages: Any = later() if kind == "async generator" else iter(conversation)
    await make("text?status=503", "echo").chat(messages)

    assert [conversation, conversation] == [body["messages"] for body in make.sent]


@pytest.mark.parametrize(
    "fault",
    [
        "silent",
        "headers-then-silence",
        "pings&interval=0.02",
        "role-then-silence",
        "role-forever",
    ],
)
async def test_fault_4_only_content_stops_the_ttft_clock(make: Providers, fault: str) -> None:
    """Fault 4: not comments, not roles; and it runs before there are headers."""
    provider = make(f"text?fault={fault}", stream_ttft_timeout=0.3)
    with pytest.raises(TimeoutError) as caught:
        await provider.chat(HELLO)
    error = caught.value

    assert isinstance(error, DeadlineError)
    assert error.phase in ("response", "ttft")
    assert 0.3 == error.limit


async def test_fault_4_a_silent_server_leads_to_the_fallback(make: Providers) -> None:
    """Fault 4: after the TTFT limit, not the request's."""
    provider = make("text?fault=silent", "echo", stream_ttft_timeout=0.2)

    assert "hello" == (await provider.chat(HELLO)).content


async def test_fault_5_a_drip_of_comments_ends(make: Providers) -> None:
    """Fault 5: bytes without content do not keep an answer alive for ever."""
    provider = make("text?tokens=9&fault=pings@3&interval=0.02", timeouts=ps.Timeouts(progress=0.3))
    error = await failing(provider)

    assert isinstance(error, DeadlineError)
    assert "progress" == error.phase


@pytest.mark.parametrize("shape", ["bom", "cr", "crlf", "latin-1", "multi-line", "no-space"])
async def test_fault_6_no_delta_is_lost_to_framing(make: Providers, shape: str) -> None:
    """Fault 6: lines end where the standard says, and the text is UTF-8 whatever is claimed."""
    say = [{"role": "user", "content": "häl\u2028lo w\u0085örld ünd so"}]
    answer = await make(f"echo?shape={shape}").chat(say)

    assert say[0]["content"] == answer.content


@pytest.mark.parametrize(("shape", "mark"), [("u2028", "\u2028"), ("u0085", "\u0085")])
async def test_fault_6_these_end_no_line(make: Providers, shape: str, mark: str) -> None:
    """Fault 6: the simulator puts the character, raw, behind each word."""
    answer = await make(f"echo?shape={shape}").chat([{"role": "user", "content": "one two"}])

    assert f"one {mark}two{mark}" == answer.content


@pytest.mark.parametrize("shape", ["data-null", "content-parts", "null-content", "unknown-fields"])
async def test_fault_7_odd_events_are_no_crash(make: Providers, shape: str) -> None:
    """Fault 7: ``data: null`` and content as a list of parts."""
    assert "hello" == (await make(f"echo?shape={shape}").chat(HELLO)).content


async def test_fault_7_arguments_may_be_an_object(make: Providers) -> None:
    """Fault 7: as some servers send them."""
    plain = await make("tools").chat(HELLO, TOOLS)
    answer = await make("tools?shape=dict-arguments").chat(HELLO, TOOLS)

    assert plain.tool_calls[0].arguments == answer.tool_calls[0].arguments


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (404, NotFoundError),
        (413, InvalidRequestError),
        (422, InvalidRequestError),
    ],
)
async def test_fault_8_the_servers_reason_is_kept(
    make: Providers, status: int, kind: type[PenstockError]
) -> None:
    """Fault 8: status, class and the server's own words."""
    error = await failing(make(f"text?status={status}"))

    assert isinstance(error, kind)
    assert status == error.status
    assert error.body
    assert error.body in str(error)


async def test_fault_8_529_leads_to_the_fallback(make: Providers) -> None:
    """Fault 8: an overloaded server is like any other 5xx."""
    assert "hello" == (await make("text?status=529", "echo").chat(HELLO)).content


@pytest.mark.parametrize("status", [409, 529])
async def test_fault_8_passing_refusals_are_retried(make: Providers, status: int) -> None:
    """Fault 8: without a list the same deployment is tried again."""
    answer = await make(f"text?tokens=1&status={status}&fail=1").chat(HELLO)

    assert answer.content
    assert 2 == len(make.simulator.requests)


async def test_fault_8_retry_after_is_waited_out_or_told(make: Providers) -> None:
    """Fault 8: a short wait is kept, a long one is the caller's to decide."""
    provider = make("text?tokens=1&status=429&fail=1&retry-after-ms=50")
    await provider.chat(HELLO)
    first, second = make.simulator.requests
    error = await failing(make("text?status=429&retry-after=3600"))

    assert first.answered is not None
    assert second.started - first.answered >= 0.05
    assert isinstance(error, RateLimitError)
    assert 3600 == error.retry_after


async def test_fault_9_words_are_no_context_overflow(make: Providers) -> None:
    """Fault 9: a 400 that mentions a context window may mean something else."""
    error = await failing(make("text?fault=context-words"))

    assert isinstance(error, InvalidRequestError)
    assert not isinstance(error, ContextLengthError)
    assert isinstance(await failing(make("text?fault=context-length")), ContextLengthError)


async def test_fault_10_an_early_413_has_its_reason(make: Providers) -> None:
    """Fault 10: an answer that comes during a long upload is read."""
    messages = [{"role": "user", "content": "x" * 100_000}] * 100
    error = await failing(make("text?fault=early-413"), messages)

    assert isinstance(error, InvalidRequestError)
    assert 413 == error.status


@pytest.mark.parametrize("shape", ["empty-name-later", "null-name-later", "changing-index"])
async def test_fault_11_a_later_delta_drops_no_call(make: Providers, shape: str) -> None:
    """Fault 11: the name is the one that came first."""
    plain = await make("tools").chat(HELLO, TOOLS)
    answer = await make(f"tools?shape={shape}").chat(HELLO, TOOLS)

    assert [(call.name, call.arguments) for call in plain.tool_calls] == [
        (call.name, call.arguments) for call in answer.tool_calls
    ]


@pytest.mark.parametrize("shape", ["no-index", "repeated-index"])
async def test_fault_11_two_calls_do_not_merge(make: Providers, shape: str) -> None:
    """Fault 11: calls without an index are told apart by their ids."""
    plain = await make("tools?calls=2").chat(HELLO, TOOLS)
    answer = await make(f"tools?calls=2&shape={shape}").chat(HELLO, TOOLS)

    assert 2 == len(answer.tool_calls)
    assert [call.arguments for call in plain.tool_calls] == [
        call.arguments for call in answer.tool_calls
    ]


async def test_fault_11_half_the_arguments_are_not_dispatched() -> None:
    """Fault 11: what the token limit cut is an error that has it, not a repaired call."""
    async with Once(_calls('{"word": "hel', finish="length")) as server:
        error = await failing(server.provider)

    assert isinstance(error, OutputTruncatedError)
    assert error.partial is not None
    assert '{"word": "hel' == error.partial.tool_calls[0].arguments


@pytest.mark.parametrize("arguments", ['{"word": nope}', "[1]", '"text"'])
async def test_fault_11_bad_arguments_are_not_repaired(arguments: str) -> None:
    """Fault 11: what is no JSON object is an error that has it."""
    async with Once(_calls(arguments, finish="tool_calls")) as server:
        error = await failing(server.provider)

    assert isinstance(error, StructuredOutputError)
    assert arguments == error.text


async def test_fault_11_no_arguments_are_an_empty_object() -> None:
    """A tool without parameters is called without any."""
    async with Once(_calls("", finish="tool_calls")) as server:
        answer = await server.provider.chat(HELLO)

    assert {} == answer.tool_calls[0].arguments


@pytest.mark.parametrize("shape", ["", "?shape=reasoning", "?shape=reasoning_details"])
async def test_fault_12_reasoning_is_kept_in_every_spelling(make: Providers, shape: str) -> None:
    """Fault 12: ``reasoning_content``, ``reasoning`` and ``reasoning_details``."""
    plain = await make("reasoning").chat(HELLO)
    answer = await make(f"reasoning{shape}").chat(HELLO)

    assert answer.reasoning_content
    assert plain.reasoning_content == answer.reasoning_content
    assert ("details" in shape) == (answer.thinking_blocks is not None)


async def test_fault_12_reasoning_details_go_back_as_such(make: Providers) -> None:
    """Fault 12: what OpenRouter signed is sent back under its own name."""
    provider = make("reasoning?shape=reasoning_details")
    answer = await provider.chat(HELLO)
    turn = {"role": "assistant", "content": "yes", "thinking_blocks": answer.thinking_blocks}
    await provider.chat([*HELLO, turn])
    sent = make.sent[-1]["messages"][-1]

    assert {"role": "assistant", "content": "yes", "reasoning_details": answer.thinking_blocks} == (
        sent
    )


async def test_fault_12_refusal_cost_and_counts_are_kept(make: Providers) -> None:
    """Fault 12: what the answer says of itself."""
    refusal = await make("refusal").chat(HELLO)
    answer = await make("text?shape=usage-cost,usage-details,fingerprint").chat(HELLO)

    assert refusal.refusal
    assert answer.cost
    assert {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "cached_tokens",
        "reasoning_tokens",
    } == set(answer.usage)
    assert answer.service_tier


async def test_fault_13_the_callers_own_timeout_is_the_callers(make: Providers) -> None:
    """Fault 13: it ends the call, unchanged; nothing is asked or said twice."""
    mine = TimeoutError("mine")
    pieces: list[str] = []

    async def on_delta(piece: str) -> None:
        pieces.append(piece)
        raise mine

    with pytest.raises(TimeoutError) as caught:
        await make("text?tokens=5", "echo").chat(HELLO, on_delta=on_delta)

    assert mine is caught.value
    assert (1, 1) == (len(pieces), len(make.simulator.requests))


async def test_fault_14_ten_calls_share_a_connection(make: Providers) -> None:
    """Fault 14: an answer is read to its end, so that its connection can be used again."""
    provider = make("echo")
    for _ in range(10):
        await provider.chat(HELLO)

    assert 1 == make.simulator.connections.total


@pytest.mark.parametrize("fault", ["huge-line", "huge-event"])
async def test_fault_15_a_huge_line_is_not_held(make: Providers, fault: str) -> None:
    """Fault 15: a named bound ends it."""
    error = await failing(make(f"text?fault={fault}@1&length=60000000"))

    assert isinstance(error, LimitExceededError)
    assert error.phase in ("max_event", "max_line")
    assert error.limit == 16 * 1024 * 1024


async def test_fault_15_a_huge_comment_is_passed_over(make: Providers) -> None:
    """Fault 15: of a line that says nothing, nothing is kept."""
    answer = await make("text?tokens=3&fault=huge-comment@1&length=60000000").chat(HELLO)

    assert answer.content


async def test_fault_15_an_endless_error_body_is_cut(make: Providers) -> None:
    """Fault 15: the first 64 KiB of an error are enough to say what it was."""
    error = await failing(make("text?status=400&fault=endless-error-body"))

    assert isinstance(error, InvalidRequestError)
    assert len(error.body or "") <= 512


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1, 2}, "\ud800"])
async def test_fault_16_what_has_no_json_is_refused_first(make: Providers, value: object) -> None:
    """Fault 16: before a byte is sent, also behind a megabyte of others."""
    messages = [*({"role": "user", "content": "x" * 1000} for _ in range(1000)), {"x": value}]
    error = await failing(make("echo"), messages)

    assert isinstance(error, EncodeError)
    assert 0 == len(make.simulator.requests)


async def test_fault_16_what_is_appended_during_the_upload_stays_out(make: Providers) -> None:
    """Fault 16: a conversation ends where it ended when the call began."""
    messages = [{"role": "user", "content": "x" * 10_000} for _ in range(200)]
    provider = make("echo?fault=slow-read&upload-rate=4000000")
    call = asyncio.create_task(provider.chat(messages))
    while not make.simulator.requests:  # noqa: ASYNC110  # the simulator tells nobody
        await asyncio.sleep(0.001)
    messages.append({"role": "user", "content": "late"})
    await call

    assert 200 == len(make.sent[0]["messages"])


async def test_fault_17_the_wire_is_utf_8(make: Providers) -> None:
    """Fault 17: text is sent as it is, not as escapes three times its size."""
    messages = [{"role": "user", "content": "日本語"}]
    await make("echo").chat(messages)
    (record,) = make.simulator.requests

    assert "日本語".encode() in record.body
    assert b"\\u" not in record.body


async def test_fault_17_messages_share_pieces(make: Providers) -> None:
    """Fault 17: a thousand small messages are no thousand HTTP chunks."""
    await make("echo").chat([{"role": "user", "content": "x"}] * 1000)
    await make("echo").chat([{"role": "user", "content": "x" * 100}] * 10_000)
    small, large = make.simulator.requests

    assert "length" == small.framing
    assert "chunked" == large.framing
    assert large.pieces <= 2 + large.length // 32_768


@pytest.mark.parametrize("kind", ["list", "iterator", "async iterator"])
async def test_fault_18_no_key_names_a_file(make: Providers, kind: str, tmp_path: Any) -> None:
    """Fault 18: ``_content_file`` reads nothing, and neither it nor its path is sent."""
    secret = tmp_path / "secret.txt"
    secret.write_text("canary", "utf-8")
    message = {"role": "user", "content": "hello", "_content_file": str(secret), "_id": 1}

    async def later() -> AsyncIterator[Any]:
        yield message

    messages: Any = {"list": [message], "iterator": iter([message]), "async iterator": later()}
    await make("echo").chat(messages[kind])

    assert [HELLO] == [body["messages"] for body in make.sent]
    assert str(secret) == message["_content_file"]


async def test_an_exhausted_list_raises_every_attempt(make: Providers) -> None:
    """The last error alone, as there, would hide why the others failed."""
    error = await failing(make("text?status=500", "text?status=401"))

    assert isinstance(error, AllProvidersFailedError)
    assert [500, 401] == [attempt.status for attempt in error.attempts]


# --- a server for answers that the simulator has no words for ---------------------------------


def _calls(arguments: str, *, finish: str) -> list[dict[str, Any]]:
    """The events of an answer with one tool call."""
    function = {"name": "lookup", "arguments": arguments}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    return [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
    ]


class Once:
    """Answers every request with the same events, and has a provider for it."""

    provider: OpenAIStreamingProvider

    def __init__(self, events: list[dict[str, Any]]) -> None:
        data = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self._answer = (
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
            f"content-length: {len(data)}\r\n\r\n{data}"
        ).encode()

    async def __aenter__(self) -> Once:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.provider = OpenAIStreamingProvider(
            "m", {"m": Deployment(f"http://127.0.0.1:{port}/v1", "sk-canary")}
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.provider.close()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        await reader.readexactly(length)
        writer.write(self._answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
