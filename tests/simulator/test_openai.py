"""The openai SDK, sync and async, agrees with the simulator about OpenAI's wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from penstock.simulator import Simulator, SimulatorThread

SAID = [{"role": "user", "content": "one two three"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "forecast",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "enum": ["Rjukan", "Odda"]},
                "days": {"type": "integer", "minimum": 3},
                "units": {"$ref": "#/$defs/units"},
            },
            "$defs": {"units": {"anyOf": [{"const": "metric"}, {"type": "null"}]}},
        },
    },
}


@pytest_asyncio.fixture
async def client(sim: Simulator) -> AsyncIterator[openai.AsyncOpenAI]:
    """The SDK's async client."""
    async with openai.AsyncOpenAI(base_url=f"{sim.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def blocking() -> Iterator[openai.OpenAI]:
    """The SDK's blocking client, of a simulator in a thread."""
    with SimulatorThread() as simulator:
        base = f"{simulator.url}/v1"
        with openai.OpenAI(base_url=base, api_key="any", max_retries=0) as client:
            yield client


async def chunks(client: openai.AsyncOpenAI, model: str, **fields: Any) -> list[Any]:
    """Every chunk of a streamed answer."""
    fields = {"messages": SAID, **fields}
    stream = await client.chat.completions.create(model=model, stream=True, **fields)
    return [chunk async for chunk in stream]


def text(found: list[Any], choice: int = 0) -> str:
    """The text of one choice."""
    choices = (each for chunk in found for each in chunk.choices if each.index == choice)
    return "".join(each.delta.content or "" for each in choices)


def finishes(found: list[Any]) -> list[str]:
    """The finish reasons in order."""
    reasons = (each.finish_reason for chunk in found for each in chunk.choices)
    return [reason for reason in reasons if reason]


@pytest.mark.asyncio
@pytest.mark.parametrize("model", ["echo", "sim/echo"])
async def test_a_stream_is_read(client: openai.AsyncOpenAI, model: str) -> None:
    """Text comes word by word, then the finish reason."""
    found = await chunks(client, model)

    assert ("one two three", ["stop"]) == (text(found), finishes(found))
    assert ["", "one ", "two ", "three", None] == [
        chunk.choices[0].delta.content for chunk in found
    ]


@pytest.mark.asyncio
async def test_usage_comes_when_asked_for(client: openai.AsyncOpenAI) -> None:
    """With include_usage the last chunk has usage and no choices."""
    found = await chunks(client, "echo", stream_options={"include_usage": True})
    without = await chunks(client, "echo")

    assert ([], 3) == (found[-1].choices, found[-1].usage.completion_tokens)
    assert [] == [chunk for chunk in without if chunk.usage]


USAGE = {"asked": None, "never": None, "always": 3, "zero": 0}


@pytest.mark.asyncio
@pytest.mark.parametrize("usage", USAGE)
async def test_usage_can_be_forced(client: openai.AsyncOpenAI, usage: str) -> None:
    """A server may report usage unasked, never, or as zero."""
    found = await chunks(client, f"echo?usage={usage}")
    reported = found[-1].usage

    assert USAGE[usage] == (reported and reported.completion_tokens)


@pytest.mark.asyncio
async def test_a_whole_answer_is_read(client: openai.AsyncOpenAI) -> None:
    """Without a stream the same text comes in one object, with usage."""
    reply = await client.chat.completions.create(model="echo", messages=SAID)

    assert ("one two three", "stop", 3) == (
        reply.choices[0].message.content,
        reply.choices[0].finish_reason,
        reply.usage.completion_tokens,
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("setting", [True, False])
async def test_several_choices_are_told_apart(client: openai.AsyncOpenAI, setting: bool) -> None:
    """Each choice has its own text, by the request's n or by a setting."""
    asked: dict[str, Any] = {} if setting else {"n": 2}
    found = await chunks(client, f"text?tokens=5{'&choices=2' if setting else ''}", **asked)
    texts = text(found, 0), text(found, 1)

    assert ([20, 20], ["stop", "stop"]) == (list(map(len, texts)), finishes(found))
    assert texts[0] != texts[1]


@pytest.mark.asyncio
async def test_text_is_deterministic(client: openai.AsyncOpenAI) -> None:
    """The seed decides; size is the characters of a chunk, tokens their number."""
    model = "text?tokens=50&size=7&seed="
    first, again, other = [text(await chunks(client, f"{model}{seed}")) for seed in (1, 1, 2)]

    assert (first, 350) == (again, len(first))
    assert first != other


@pytest.mark.asyncio
@pytest.mark.parametrize("alphabet", ["latin", "greek", "cjk", "emoji"])
async def test_text_can_be_beyond_ascii(client: openai.AsyncOpenAI, alphabet: str) -> None:
    """Other alphabets cost two to four bytes a character."""
    found = text(await chunks(client, f"text?tokens=50&alphabet={alphabet}"))

    assert len(found.encode()) > 220


@pytest.mark.asyncio
async def test_a_limit_ends_the_answer(client: openai.AsyncOpenAI) -> None:
    """max_tokens cuts what has no length of its own, with the finish reason `length`."""
    short = await chunks(client, "echo", max_tokens=2)
    full = await chunks(client, "echo", max_tokens=3)
    told = await chunks(client, "text?tokens=9", max_tokens=2)

    assert ("one two ", ["length"]) == (text(short), finishes(short))
    assert ("one two three", ["stop"]) == (text(full), finishes(full))
    assert (36, ["stop"]) == (len(text(told)), finishes(told))


def calls(found: list[Any]) -> list[tuple[str, Any]]:
    """The tool calls, folded by index as the SDK's own accumulator does."""
    held: dict[int, list[str]] = {}
    for chunk in found:
        for delta in chunk.choices[0].delta.tool_calls or () if chunk.choices else ():
            name, arguments = held.setdefault(delta.index, ["", ""])
            held[delta.index] = [
                name + (delta.function.name or ""),
                arguments + (delta.function.arguments or ""),
            ]
    return [(name, json.loads(arguments)) for name, arguments in held.values()]


FORECAST = ("forecast", {"place": "Rjukan", "days": 3, "units": "metric"})


@pytest.mark.asyncio
async def test_tools_are_called_by_their_schema(client: openai.AsyncOpenAI) -> None:
    """The arguments fit the request's tool; several calls have several indexes."""
    one = await chunks(client, "tools", tools=[WEATHER])
    two = await chunks(client, "tools?calls=2", tools=[WEATHER])

    assert ([FORECAST], ["tool_calls"]) == (calls(one), finishes(one))
    assert [FORECAST, FORECAST] == calls(two)


@pytest.mark.asyncio
async def test_tools_are_called_whole(client: openai.AsyncOpenAI) -> None:
    """Without a stream a call comes with its id."""
    reply = await client.chat.completions.create(model="tools", messages=SAID, tools=[WEATHER])
    call = reply.choices[0].message.tool_calls[0]

    assert (FORECAST, "call_sim_0_0") == (
        (call.function.name, json.loads(call.function.arguments)),
        call.id,
    )


@pytest.mark.asyncio
async def test_a_tool_result_is_answered_with_text(client: openai.AsyncOpenAI) -> None:
    """An agent's loop ends: behind a result there is no further call."""
    called = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = [
        *SAID,
        {"role": "assistant", "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "a", "content": "rain"},
    ]
    found = await chunks(client, "tools", messages=said, tools=[WEATHER])

    assert ([], ["stop"], True) == (calls(found), finishes(found), bool(text(found)))


@pytest.mark.asyncio
async def test_many_small_argument_deltas(client: openai.AsyncOpenAI) -> None:
    """`tokens` and `size` make as many deltas as a test needs."""
    found = await chunks(client, "tools?tokens=1000&size=1")

    assert [("get_weather", {"text": "x" * 1000})] == calls(found)


@pytest.mark.asyncio
async def test_json_fits_the_schema(client: openai.AsyncOpenAI) -> None:
    """The answer is an object of the asked-for schema."""
    schema = WEATHER["function"]["parameters"]
    wanted = {"type": "json_schema", "json_schema": {"name": "f", "schema": schema}}
    found = await chunks(client, "json", response_format=wanted)
    plain = await chunks(client, "json")

    assert FORECAST[1] == json.loads(text(found))
    assert {"answer": "one two three", "choice": 0} == json.loads(text(plain))


@pytest.mark.asyncio
async def test_reasoning_comes_before_the_text(client: openai.AsyncOpenAI) -> None:
    """The field that no type of OpenAI's has is there, and its tokens are counted."""
    found = await chunks(client, "reasoning", stream_options={"include_usage": True})
    kinds = [
        "thought" if hasattr(chunk.choices[0].delta, "reasoning_content") else "text"
        for chunk in found[1:-2]
    ]

    assert ["thought"] * 16 + ["text"] * 16 == kinds
    assert 16 == found[-1].usage.completion_tokens_details.reasoning_tokens


@pytest.mark.asyncio
async def test_a_refusal_is_read(client: openai.AsyncOpenAI) -> None:
    """A refusal is no content."""
    found = await chunks(client, "refusal")
    reply = await client.chat.completions.create(model="refusal", messages=SAID)
    said = "".join(chunk.choices[0].delta.refusal or "" for chunk in found)

    assert (said, None) == (reply.choices[0].message.refusal, reply.choices[0].message.content)
    assert ("", True) == (text(found), bool(said))


@pytest.mark.asyncio
async def test_audio_is_read(client: openai.AsyncOpenAI) -> None:
    """A whole answer has audio with its transcript, a stream has it in pieces."""
    reply = await client.chat.completions.create(model="audio", messages=SAID)
    found = await chunks(client, "audio")
    pieces = [chunk.choices[0].delta.model_extra or {} for chunk in found]
    heard = [chunk.choices[0].delta.audio for chunk in found if chunk.choices[0].delta.audio]

    assert [] == [extra for extra in pieces if extra]
    assert reply.choices[0].message.audio.data == "".join(piece.data or "" for piece in heard)
    assert reply.choices[0].message.audio.transcript == "".join(
        piece.transcript or "" for piece in heard
    )


@pytest.mark.asyncio
async def test_a_picture_comes_behind_the_text(client: openai.AsyncOpenAI) -> None:
    """OpenRouter's field has the same data URL in a stream and in a whole answer."""
    found = await chunks(client, "image")
    reply = await client.chat.completions.create(model="image", messages=SAID)
    extras = [chunk.choices[0].delta.model_extra or {} for chunk in found]

    assert [reply.choices[0].message.model_extra["images"]] == [
        extra["images"] for extra in extras if extra
    ]


FINISHES = {"length": ["length"], "other": ["other"], "none": []}


@pytest.mark.asyncio
@pytest.mark.parametrize("finish", FINISHES)
async def test_the_finish_reason_can_be_chosen(client: openai.AsyncOpenAI, finish: str) -> None:
    """Whatever the answer; `none` leaves it out."""
    assert FINISHES[finish] == finishes(await chunks(client, f"echo?finish={finish}"))


@pytest.mark.asyncio
async def test_a_whole_answer_can_lack_usage_and_have_logprobs(client: openai.AsyncOpenAI) -> None:
    """Settings and shapes hold without a stream."""
    reply = await client.chat.completions.create(
        model="echo?usage=never&shape=logprobs", messages=SAID
    )

    assert (None, "one two three") == (reply.usage, reply.choices[0].logprobs.content[0].token)


ERRORS: dict[str, type[openai.APIError]] = {
    "bad-request": openai.BadRequestError,
    "invalid-key": openai.AuthenticationError,
    "forbidden": openai.PermissionDeniedError,
    "model-not-found": openai.NotFoundError,
    "conflict": openai.ConflictError,
    "unprocessable": openai.UnprocessableEntityError,
    "rate-limit": openai.RateLimitError,
    "server-error": openai.InternalServerError,
    "overloaded": openai.InternalServerError,
    "html": openai.InternalServerError,
    "reset": openai.APIConnectionError,
    "close": openai.APIConnectionError,
}


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ERRORS)
async def test_a_fault_is_the_error_of_the_sdk(client: openai.AsyncOpenAI, fault: str) -> None:
    """The SDK raises what it raises for the vendor."""
    with pytest.raises(ERRORS[fault]) as caught:
        await chunks(client, f"echo?fault={fault}")

    assert ERRORS[fault] is type(caught.value)


@pytest.mark.asyncio
async def test_the_code_of_a_refusal_is_read(client: openai.AsyncOpenAI) -> None:
    """Code, param, type and request id are where the SDK looks for them."""
    with pytest.raises(openai.BadRequestError) as caught:
        await chunks(client, "echo?fault=context-length")

    assert ("context_length_exceeded", "messages", "req_sim_1") == (
        caught.value.code,
        caught.value.param,
        caught.value.request_id,
    )


@pytest.mark.asyncio
async def test_an_error_in_a_stream_is_raised_behind_its_text(client: openai.AsyncOpenAI) -> None:
    """The SDK meets the error object after two words."""
    stream = await client.chat.completions.create(
        model="echo?fault=error-overloaded@2", messages=SAID, stream=True
    )
    found: list[Any] = []

    async def read() -> None:
        async for chunk in stream:
            found.append(chunk)  # noqa: PERF401  what came before the error counts

    with pytest.raises(openai.APIError) as caught:
        await read()

    assert ("one two ", "529") == (text(found), caught.value.code)


@pytest.mark.asyncio
async def test_what_is_unknown_is_a_bad_request(client: openai.AsyncOpenAI) -> None:
    """The error names the nearest model."""
    with pytest.raises(openai.BadRequestError, match="Did you mean `echo`") as caught:
        await chunks(client, "ecko")

    assert ("unknown_behavior", "model") == (caught.value.code, caught.value.param)


@pytest.mark.asyncio
async def test_the_sdk_retries_until_it_succeeds(sim: Simulator) -> None:
    """fail=1 with retry-after-ms lets the SDK's own second try through."""
    async with openai.AsyncOpenAI(base_url=sim.url, api_key="any", max_retries=1) as client:
        found = await chunks(client, "echo?status=503&fail=1&retry-after-ms=1")

    assert ("one two three", [503, 200]) == (text(found), [each.status for each in sim.requests])


@pytest.mark.asyncio
async def test_the_header_asks_as_well(client: openai.AsyncOpenAI, sim: Simulator) -> None:
    """extra_headers reach the simulator where the model's name is not free."""
    found = await chunks(client, "gpt-5.4", extra_headers={"x-penstock-sim": "text?tokens=2"})

    assert (8, "gpt-5.4 text?tokens=2") == (len(text(found)), sim.requests[0].behavior)


@pytest.mark.asyncio
async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    """GET /models has what a request can name."""
    names = [model.id async for model in client.models.list()]

    assert {"echo", "text", "tools"} <= set(names)


@pytest.mark.asyncio
async def test_streams_run_side_by_side(client: openai.AsyncOpenAI) -> None:
    """Fifty streams of one client do not mix."""
    models = [f"text?tokens=20&seed={seed}" for seed in range(50)]
    found = await asyncio.gather(*(chunks(client, model) for model in models))

    assert 50 == len({text(each) for each in found})


def test_the_blocking_client_streams(blocking: openai.OpenAI) -> None:
    """The thread's simulator answers a blocking client."""
    stream = blocking.chat.completions.create(model="echo", messages=SAID, stream=True)

    assert "one two three" == text(list(stream))


def test_the_blocking_client_reads_a_whole_answer(blocking: openai.OpenAI) -> None:
    """Tools and all."""
    reply = blocking.chat.completions.create(model="tools", messages=SAID, tools=[WEATHER])

    assert "forecast" == reply.choices[0].message.tool_calls[0].function.name


def test_the_blocking_client_raises(blocking: openai.OpenAI) -> None:
    """Errors are the SDK's."""
    with pytest.raises(openai.RateLimitError) as caught:
        blocking.chat.completions.create(model="echo?fault=insufficient-quota", messages=SAID)

    assert "insufficient_quota" == caught.value.code
