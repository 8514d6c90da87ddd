"""A transport without sockets: `penstock.testing.ScriptedTransport`, under a real client."""

from __future__ import annotations

import json

import pytest

import penstock as ps
from penstock.errors import ConnectError, DeadlineError, RateLimitError, TruncatedError
from penstock.interfaces import Ending
from penstock.providers import source
from penstock.testing import ScriptedAnswer, ScriptedTransport

pytestmark = pytest.mark.asyncio

WHOLE = [
    b'data: {"choices":[{"index":0,"delta":{"content":"he"}}]}\n\ndata: {"cho',
    b'ices":[{"index":0,"delta":{"content":"llo"},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]
CONFIG = {
    "d": ps.Deployment("https://one.example/v1", "k1"),
    "e": ps.Deployment("https://two.example/v1"),
}


def client(transport: ScriptedTransport, **options: object) -> ps.Client:
    """Return a client over `transport`."""
    return ps.Client(deployments=CONFIG, transport=transport, **options)  # type: ignore[arg-type]


async def test_an_answer_is_played_and_the_call_is_noted() -> None:
    """The pieces are the answer; method, address, headers and body are there to be looked at."""
    transport = ScriptedTransport([ScriptedAnswer(WHOLE)])
    async with client(transport) as a_client:
        reply = await a_client.chat("d", "hi", temperature=0.5)

    assert ("hello", "stop") == (reply.text, reply.finish_reason)
    call = transport.calls[0]
    assert ("POST", "https://one.example/v1/chat/completions") == (call.method, call.url)
    assert "Bearer k1" == call.headers["authorization"]
    assert 0.5 == json.loads(call.body)["temperature"]
    assert 0 == transport.open_wires


async def test_a_fallback_carries_no_key_along() -> None:
    """Row 40: a credential is bound to its deployment; the next one gets its own, here none."""
    transport = ScriptedTransport([ConnectError("no route"), ScriptedAnswer(WHOLE)])
    async with client(transport, fallbacks={"d": ["e"]}) as a_client:
        reply = await a_client.chat("d", "hi")

    assert ["ConnectError", None] == [attempt.error for attempt in reply.attempts]
    assert "authorization" not in transport.calls[1].headers
    assert b"k1" not in transport.calls[1].body


async def test_statuses_and_torn_ends() -> None:
    """A status is classified by the dialect; a torn end is a truncation with what came."""
    transport = ScriptedTransport(
        [
            ScriptedAnswer([b'{"error":{"message":"slow down"}}'], 429, {"retry-after": "120"}),
            ScriptedAnswer(WHOLE[:1], ending=Ending(clean=False, detail="reset")),
        ]
    )
    async with client(transport) as a_client:
        with pytest.raises(RateLimitError, match="slow down") as limited:
            await a_client.chat("d", "hi")
        with pytest.raises(TruncatedError, match="reset") as torn:
            await a_client.chat("d", "hi")

    assert 120 == limited.value.retry_after
    assert torn.value.partial is not None
    assert "he" == torn.value.partial.text


async def test_silence_meets_a_clock() -> None:
    """A number is so many seconds of silence."""
    transport = ScriptedTransport([ScriptedAnswer([30.0])])
    async with client(transport) as a_client:
        with pytest.raises(DeadlineError) as caught:
            await a_client.chat("d", "hi", timeouts=ps.Timeouts(ttft=0.05), max_retries=0)

    assert "ttft" == caught.value.phase


async def test_a_whole_answer_does_not_wait_for_ever_for_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Finished, no [DONE], the connection open: the answer is whole after a short wait."""
    monkeypatch.setattr(source, "_TAIL", 0.05)
    transport = ScriptedTransport([ScriptedAnswer([*WHOLE[:2], 30.0])])
    async with client(transport) as a_client:
        reply = await a_client.chat("d", "hi")

    assert ("hello", "stop") == (reply.text, reply.finish_reason)
    assert 0 == transport.open_wires
