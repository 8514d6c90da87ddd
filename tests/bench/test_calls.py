"""One request, and its record: everything that a provider says is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock import Client, Deployment
from penstock.bench import Ask, RequestRecord
from penstock.bench.calls import Caller, Place
from penstock.bench.metrics import Measurement
from penstock.bench.prices import Prices
from penstock.errors import ConnectError
from penstock.testing import ScriptedAnswer, ScriptedTransport

pytestmark = pytest.mark.asyncio

ASK = Ask(({"role": "user", "content": "hi"},), input_tokens=1, output_tokens=8)
PLACE = Place(number=3, conversation=2, turn=1, warmup=False, due=None)
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 9,
    "total_tokens": 109,
    "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 20},
    "completion_tokens_details": {"reasoning_tokens": 4},
    "cost": 0.002,
}


def event(usage: dict[str, Any] | None = None, **delta: Any) -> bytes:
    """Return an event of an answer: a delta, its end, or its usage."""
    finish = None if delta else "stop"
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    told: dict[str, Any] = {"object": "chat.completion.chunk", "choices": choices, "usage": usage}
    return f"data: {json.dumps(told)}\n\n".encode()


async def sent(
    *answers: ScriptedAnswer | ConnectError, **caller: Any
) -> tuple[RequestRecord, Measurement]:
    """Send one request, which is answered as said."""
    places = {"m": Deployment("https://api.example.com/v1", "key")}
    transport = ScriptedTransport(answers)
    async with Client(deployments=places, transport=transport, max_retries=0) as client:
        made, measured = Caller(client, "m", **caller), Measurement(keep_text=True)
        return await made.send(ASK, list(ASK.messages), PLACE, measured), measured


async def test_a_record_has_all_that_was_said() -> None:
    """Tokens, cache, cost, reason and text; the pace is by the tokens that were shown."""
    pieces = [
        *(event(role="assistant"), 0.02, event(content="a"), 0.02, event(content="b")),
        *(event(), event(usage=USAGE), b"data: [DONE]\n\n"),
    ]
    record, measured = await sent(
        ScriptedAnswer(
            pieces,
            headers={
                "content-type": "text/event-stream",
                "x-request-id": "req_7",
            },
        )
    )
    gap = measured.gaps[0]

    assert (3, 2, 1, False) == (record.number, record.conversation, record.turn, record.warmup)
    assert (100, 9, 4, 80, 20) == (
        record.input_tokens,
        record.output_tokens,
        record.reasoning_tokens,
        record.cached_tokens,
        record.cache_write_tokens,
    )
    assert (0.002, "stop", "req_7", "m") == (
        record.cost,
        record.finish_reason,
        record.request_id,
        record.deployment,
    )
    assert (1, 8, 2, "ab") == (
        record.asked_input_tokens,
        record.asked_output_tokens,
        record.chunks,
        measured.text,
    )
    assert gap / 4 == pytest.approx(record.tpot)  # nine tokens, four of them hidden: five in two
    assert record.ttft is not None
    assert record.e2e is not None
    assert 0.02 <= record.ttft <= record.e2e - gap
    assert record.scheduled == record.started


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 0, "completion_tokens": 0}])
async def test_what_is_not_said_is_none(usage: dict[str, Any] | None) -> None:
    """A count of zero tokens is no count."""
    tail = [event(usage=usage)] if usage else []
    pieces = [event(content="a"), event(), *tail, b"data: [DONE]\n\n"]
    record, _ = await sent(ScriptedAnswer(pieces))

    assert {None} == {
        record.input_tokens,
        record.output_tokens,
        record.cached_tokens,
        record.cost,
        record.tpot,
        record.error,
        record.good,
    }


@pytest.mark.parametrize(
    ("usage", "cost", "priced"),
    [
        (USAGE, 0.002, False),
        (USAGE | {"cost": None}, 0.000127, True),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None, False),
        (None, None, False),
    ],
)
async def test_the_given_price_is_for_who_names_none(
    usage: dict[str, Any] | None, cost: float | None, priced: bool
) -> None:
    """20 fresh and 80 cached tokens, and 9 out; where nobody counts nothing is known."""
    tail = [event(usage=usage)] if usage else []
    answer = ScriptedAnswer([event(content="a"), event(), *tail, b"data: [DONE]\n\n"])
    record, _ = await sent(answer, prices=Prices.parse("1,10,0.2125"))

    assert (cost, priced) == (record.cost and round(record.cost, 9), record.priced)


async def test_a_cut_answer_keeps_what_came_before() -> None:
    """Its first token was there; an end, a pace and an answer were not."""
    record, _ = await sent(ScriptedAnswer([event(content="a"), event(content="b")]))

    assert ("truncated", 2, None, None) == (record.error, record.chunks, record.e2e, record.tpot)
    assert record.ttft is not None


async def test_no_connection_is_a_failed_request() -> None:
    """It broke every bound, and nothing was measured."""
    record, _ = await sent(ConnectError("nobody listens"), bounds={"ttft": 1.0})

    assert ("connect", "nobody listens", None, False) == (
        record.error,
        record.message,
        record.ttft,
        record.good,
    )


async def test_bounds_are_judged_in_the_record() -> None:
    """By the request's own figures."""
    whole = ScriptedAnswer([0.02, event(content="a"), event(), b"data: [DONE]\n\n"])
    kept, _ = await sent(whole, bounds={"ttft": 60.0})
    broken, _ = await sent(whole, bounds={"ttft": 0.01})

    assert (True, False) == (kept.good, broken.good)
