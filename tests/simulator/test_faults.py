"""Each fault is on the wire as it is described, read by a plain socket and judged by h11."""

from __future__ import annotations

import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from penstock.simulator import Simulator, faults

Ask = Callable[..., Awaitable[Any]]

MIB = 1024 * 1024
WHOLE = {"ended": "complete", "status": 200, "text": "one two three", "finish": "stop"}


def refused(status: int, **error: object) -> dict[str, Any]:
    """What a refusal shows."""
    return {"ended": "complete", "status": status, "error": error}


STREAMS: dict[str, dict[str, Any]] = {
    # endings of the connection
    "reset@2": {"ended": "reset", "status": 200, "text": "one two ", "done": False},
    "reset@0": {"ended": "reset", "text": "", "objects": 1},
    "close@2": {"ended": "eof", "text": "one two ", "done": False},
    "reset": {"ended": "reset", "status": None, "data": b""},
    "close": {"ended": "eof", "status": None, "data": b""},
    "close-idle": WHOLE | {"done": True},
    "connection-close": WHOLE | {"ended": "eof", "done": True},
    # the stream's end
    "no-done": WHOLE | {"done": False},
    "no-finish": WHOLE | {"finish": None, "done": False},
    "done-without-finish": WHOLE | {"finish": None, "done": True},
    "unknown-finish": WHOLE | {"finish": "weather_changed", "done": True},
    "content-filter-finish": WHOLE | {"finish": "content_filter"},
    "no-terminator": WHOLE | {"ended": "eof", "done": True},
    "chunk-after-done": WHOLE | {"text": "one two threelate"},
    # errors inside a 200
    "error": {"ended": "complete", "status": 200, "objects": 1, "done": False},
    "error@2": {"ended": "complete", "text": "one two ", "done": False, "finish": None},
    # HTTP
    "length": WHOLE | {"done": True},
    "no-length": WHOLE | {"ended": "eof", "done": True},
    "http10": WHOLE | {"ended": "eof", "done": True},
    "extensions": WHOLE | {"done": True},
    "many-headers": WHOLE,
    "huge-header": WHOLE,
    "drip-headers&interval=0": WHOLE,
    "drip&interval=0": WHOLE,
    "drip@2&interval=0": WHOLE,
    "informational": WHOLE | {"informational": [100, 103]},
    "trailers": WHOLE | {"trailers": {"x-sim-trailer": "done"}},
    "sse-as-json": WHOLE | {"content_type": "application/json"},
    "no-type": WHOLE | {"content_type": None},
    "empty": {"ended": "complete", "status": 200, "body": b""},
    "empty-error": {"ended": "complete", "status": 500, "body": b""},
    "stale": WHOLE,
    "stale-reset": WHOLE,
}

REFUSALS: dict[str, tuple[int, str, str | None]] = {
    # the fault: status, type, code
    "bad-request": (400, "invalid_request_error", None),
    "invalid-key": (401, "invalid_request_error", "invalid_api_key"),
    "billing": (402, "insufficient_credits", "insufficient_credits"),
    "forbidden": (403, "permission_error", "permission_denied"),
    "model-not-found": (404, "invalid_request_error", "model_not_found"),
    "conflict": (409, "conflict_error", None),
    "too-large": (413, "invalid_request_error", "request_too_large"),
    "unprocessable": (422, "invalid_request_error", None),
    "rate-limit": (429, "requests", "rate_limit_exceeded"),
    "insufficient-quota": (429, "insufficient_quota", "insufficient_quota"),
    "context-length": (400, "invalid_request_error", "context_length_exceeded"),
    "context-words": (400, "invalid_request_error", "invalid_value"),
    "content-filter": (400, "invalid_request_error", "content_filter"),
    "server-error": (500, "server_error", None),
    "bad-gateway": (502, "server_error", None),
    "unavailable": (503, "server_error", None),
    "gateway-timeout": (504, "server_error", None),
    "overloaded": (529, "overloaded_error", "overloaded"),
}

ERRORS: dict[str, object] = {
    # the fault: the code in the stream's error object
    "error": "server_error",
    "error-quota": "insufficient_quota",
    "error-rate-limit": 429,
    "error-overloaded": 529,
    "error-openrouter": 502,
    "error-event": None,
}

SILENT: dict[str, tuple[bytes, bytes, bytes]] = {
    # the fault: what is seen before the silence, how that ends, and what is not seen
    "hang@2": (b"two ", b"}\n\n\r\n", b"three"),
    "headers-then-silence": (b"\r\n\r\n", b"\r\n\r\n", b"data:"),
    "role-then-silence": (b"assistant", b"}\n\n\r\n", b"one"),
    "stall-after-done": (b"[DONE]", b"[DONE]\n\n\r\n", b"\r\n0\r\n"),
    "error-body-stalls": (b"message", b'"message":', b"}"),
}

ENDLESS: dict[str, bytes] = {
    # the fault: what comes without end
    "pings&interval=0": b": ping\n\n",
    "comments": b": keep-alive\n\n",
    "role-forever&interval=0": b'"delta":{"role":"assistant","content":""}',
    "endless": b'"delta":{"content":',
    "endless-tail": b": tail\n",
    "endless-error-body": b"xxxxxxxx",
    "endless-headers": b"x-sim-more: again\r\n",
}

OWN_TESTS = {
    # below, or where bodies are still being sent, in test_uploads.py
    *["array-event", "bad-chunk-size", "bad-header", "bad-json", "bad-status-line", "bad-utf8"],
    *["cut", "deep-json", "error-string", "gzip", "gzip-bad", "gzip-bomb", "gzip-cut", "html"],
    *["gzip-twice", "html-200", "huge-arguments", "huge-comment", "huge-error-body", "huge-event"],
    *["huge-line", "json-answer", "leak", "length-short", "many-calls", "redirect", "silent"],
    *["stream-answer", "tail"],
    *["early-401", "early-413", "early-413-reset", "early-429", "no-read", "slow-read"],
}


def test_every_fault_has_its_test() -> None:
    """The tables and the tests of their own name every fault there is."""
    tables: tuple[dict[str, Any], ...] = (STREAMS, REFUSALS, ERRORS, SILENT, ENDLESS)
    named = {name.partition("@")[0].partition("&")[0] for table in tables for name in table}

    assert set(faults()) == named | OWN_TESTS


def seen(answer: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """The same facts of an answer."""
    found = {name: getattr(answer, name) for name in facts}
    return found | ({"objects": len(found["objects"])} if "objects" in facts else {})


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", STREAMS)
async def test_a_stream_is_at_fault_as_described(ask: Ask, fault: str) -> None:
    """The answer to a streamed request shows the facts of the table."""
    answer = await ask(f"echo?fault={fault}")

    assert STREAMS[fault] == seen(answer, STREAMS[fault])


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", REFUSALS)
async def test_a_refusal_has_status_type_and_code(ask: Ask, fault: str) -> None:
    """A refusal has the vendor's status, type and code."""
    answer = await ask(f"echo?fault={fault}")

    found = (answer.status, answer.error["type"], answer.error["code"])
    assert REFUSALS[fault] == found


@pytest.mark.asyncio
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", ERRORS)
async def test_an_error_inside_a_200_has_its_code(ask: Ask, fault: str, stream: bool) -> None:
    """The stream, or the JSON object, carries the error although its status is 200."""
    answer = await ask(f"echo?fault={fault}", stream=stream)

    assert (200, "complete") == (answer.status, answer.ended)
    assert ERRORS[fault] == answer.error.get("code")


ON_THE_WIRE: dict[str, tuple[bytes, bytes]] = {
    # the fault: what is among the bytes, and what is not
    "length": (b"content-length: ", b"transfer-encoding"),
    "no-length": (b"connection: close", b"transfer-encoding"),
    "http10": (b"HTTP/1.0 200 OK", b"transfer-encoding"),
    "connection-close": (b"connection: close", b"content-length"),
    "close-idle": (b"\r\n0\r\n\r\n", b"connection: close"),
    "extensions": (b";sim=1\r\ndata: ", b"content-length"),
    "trailers": (b"trailer: x-sim-trailer", b"\r\n0\r\n\r\n"),
    "no-terminator": (b"[DONE]", b"\r\n0\r\n"),
    "drip&interval=0": (b"\r\n1\r\nd\r\n1\r\na\r\n1\r\nt\r\n1\r\na\r\n", b"\r\ndata"),
    "drip@2&interval=0": (b"\r\n1\r\nd\r\n1\r\na\r\n1\r\nt\r\n1\r\na\r\n", b"three"),
    "error-event@1": (b"\r\nevent: error\ndata: ", b"[DONE]"),
    "error-openrouter@1": (b'"finish_reason":"error"', b"[DONE]"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ON_THE_WIRE)
async def test_the_bytes_are_those_of_the_fault(ask: Ask, fault: str) -> None:
    """The raw answer has what makes the fault, and not what it takes away."""
    answer = await ask(f"echo?fault={fault}")
    there, absent = ON_THE_WIRE[fault]

    assert (True, False) == (there in answer.data, absent in answer.data)


@pytest.mark.asyncio
async def test_headers_can_drip(connect: Ask) -> None:
    """The header block comes byte by byte: a pause stands between any two of them."""
    client = await connect()
    client.send("echo?fault=drip-headers&interval=0.002")
    pieces = [await client.reader.read(2**16) for _ in range(20)]

    assert b"HTTP/1.1 200 OK\r\n" == b"".join(pieces)[:17]
    assert max(map(len, pieces)) < 17


@pytest.mark.asyncio
async def test_an_error_may_be_a_string(ask: Ask) -> None:
    """Some servers send the error as text."""
    answer = await ask("echo?fault=error-string@1")

    assert ("one ", "The model crashed.") == (
        "".join(c["choices"][0]["delta"]["content"] for c in answer.objects if "choices" in c),
        answer.error,
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", SILENT)
async def test_silence_comes_after_what_was_sent(ask: Ask, fault: str) -> None:
    """The connection stays open and nothing more comes."""
    until, end, unseen = SILENT[fault]
    answer = await ask(f"echo?fault={fault}", until=until)

    assert ("silence", True) == (answer.ended, answer.data.endswith(end))
    assert unseen not in answer.data


@pytest.mark.asyncio
async def test_silent_reads_the_request(ask: Ask, sim: Simulator) -> None:
    """A silent server takes the whole request and sends no byte."""
    answer = await ask("echo?fault=silent", until=b"")

    assert ("silence", b"") == (answer.ended, answer.data)
    assert sim.requests[0].received is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ENDLESS)
async def test_what_is_endless_goes_on(ask: Ask, fault: str) -> None:
    """A client that reads as long as it can meets only more of the same."""
    answer = await ask(f"echo?fault={fault}", most=30_000)

    assert "more" == answer.ended
    assert ENDLESS[fault] in answer.data[-2000:]


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ["stale", "stale-reset"])
async def test_a_stale_connection_ends_at_the_next_request(
    connect: Ask, fault: str, sim: Simulator
) -> None:
    """The first request is answered, the second on the same connection gets no byte."""
    client = await connect()
    client.send(f"echo?fault={fault}")
    first = await client.read()
    client.send(f"echo?fault={fault}")
    second = await client.read()

    ending = "reset" if fault == "stale-reset" else "eof"
    assert ("one two three", ending, b"") == (first.text, second.ended, second.data)
    assert [1, 1] == [record.connection for record in sim.requests]


@pytest.mark.asyncio
async def test_close_idle_closes_without_having_said_so(connect: Ask) -> None:
    """The complete answer does not announce that the connection ends behind it."""
    client = await connect()
    client.send("echo?fault=close-idle")
    answer = await client.read()

    assert "connection" not in answer.headers
    assert b"" == await client.reader.read()


@pytest.mark.asyncio
async def test_cut_ends_inside_an_http_chunk(ask: Ask) -> None:
    """The last chunk promises a whole event and has half of it."""
    answer = await ask("echo?fault=cut@1")

    assert ("eof", "peer closed connection without sending complete message body") == (
        answer.ended,
        answer.broken.partition(" (")[0],
    )
    *_, size, half = answer.data.split(b"\r\n")
    assert half.startswith(b'data: {"id":"chatcmpl-sim')
    assert int(size, 16) // 2 == len(half)


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ["bad-status-line", "bad-header", "bad-chunk-size"])
async def test_what_is_not_http_is_refused_by_h11(ask: Ask, fault: str) -> None:
    """The standard parser finds a protocol error."""
    answer = await ask(f"echo?fault={fault}", most=600)

    assert "" != answer.broken


@pytest.mark.asyncio
async def test_length_short_promises_more_than_it_sends(ask: Ask) -> None:
    """The connection closes before the content-length is reached."""
    answer = await ask("echo?fault=length-short")

    assert "eof" == answer.ended
    assert int(answer.headers["content-length"]) // 2 == len(answer.body)


@pytest.mark.asyncio
async def test_length_short_ends_where_it_is_told(ask: Ask) -> None:
    """With @N the body ends behind that content chunk."""
    answer = await ask("echo?fault=length-short@2")

    assert ("eof", "one two ") == (answer.ended, answer.text)


@pytest.mark.asyncio
async def test_many_headers_are_as_many_as_asked(ask: Ask) -> None:
    """`count` is the number of fields."""
    answer = await ask("echo?fault=many-headers&count=300")

    assert 300 == sum(name.startswith("x-sim-") for name in answer.headers)


@pytest.mark.asyncio
async def test_a_huge_header_is_as_long_as_asked(ask: Ask) -> None:
    """`length` is the length of one field."""
    answer = await ask("echo?fault=huge-header&length=200000")

    assert 200_000 == len(answer.headers["x-sim-huge"])


@pytest.mark.asyncio
async def test_gzip_is_flushed_with_every_event(ask: Ask) -> None:
    """Each HTTP chunk of a compressed stream unpacks to whole events."""
    answer = await ask("echo?fault=gzip")
    unpacker = zlib.decompressobj(wbits=31)
    unpacked = [unpacker.decompress(chunk) for chunk in answer.chunks]

    assert ("gzip", True, 6) == (
        answer.headers["content-encoding"],
        unpacker.eof,
        len(unpacked) - 1,
    )
    assert all(part.endswith(b"\n\n") for part in unpacked[:-1])


@pytest.mark.asyncio
async def test_gzip_cut_lacks_its_end(ask: Ask) -> None:
    """The HTTP body is complete, the gzip stream in it is not."""
    answer = await ask("echo?fault=gzip-cut")
    unpacker = zlib.decompressobj(wbits=31)
    text = unpacker.decompress(answer.body)

    assert ("complete", False, True) == (answer.ended, unpacker.eof, b"[DONE]" in text)


@pytest.mark.asyncio
async def test_a_gzip_bomb_is_small(ask: Ask) -> None:
    """Sixteen MiB arrive as less than a two hundredth."""
    answer = await ask(f"echo?fault=gzip-bomb&length={16 * MIB}")
    unpacked = zlib.decompress(answer.body, wbits=31)

    assert (True, True) == (len(unpacked) > 16 * MIB, len(answer.body) * 200 < len(unpacked))


@pytest.mark.asyncio
async def test_gzip_twice_is_two_layers(ask: Ask) -> None:
    """Both codings are named and both are there."""
    answer = await ask("echo?fault=gzip-twice")
    inner = zlib.decompress(answer.body, wbits=31)

    assert "gzip, gzip" == answer.headers["content-encoding"]
    assert b"[DONE]" in zlib.decompress(inner, wbits=31)


@pytest.mark.asyncio
async def test_gzip_bad_is_no_gzip(ask: Ask) -> None:
    """The header says gzip over a plain body."""
    answer = await ask("echo?fault=gzip-bad")

    assert ("gzip", "one two three") == (answer.headers["content-encoding"], answer.text)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "status"), [("html", 502), ("html-200", 200), ("html&status=403", 403)]
)
async def test_html_is_a_page(ask: Ask, fault: str, status: int) -> None:
    """A gateway's page comes instead of JSON."""
    answer = await ask(f"echo?fault={fault}")

    assert (status, "text/html") == (answer.status, answer.content_type)
    assert answer.body.startswith(b"<!DOCTYPE html>")


@pytest.mark.asyncio
async def test_a_redirect_names_its_place(ask: Ask) -> None:
    """`location` is where it points."""
    answer = await ask("echo?fault=redirect&location=http://127.0.0.1:9/v1/chat/completions")

    assert (307, "http://127.0.0.1:9/v1/chat/completions") == (
        answer.status,
        answer.headers["location"],
    )


@pytest.mark.asyncio
async def test_a_huge_error_body_is_json(ask: Ask) -> None:
    """`length` bytes of one message, with a content-length."""
    answer = await ask(f"echo?fault=huge-error-body&length={3 * MIB}")

    assert (500, True) == (answer.status, len(answer.error["message"]) >= 3 * MIB)


@pytest.mark.asyncio
async def test_leak_repeats_the_credential_and_the_prompt(ask: Ask) -> None:
    """What a careless server says comes back in its error."""
    answer = await ask("echo?fault=leak", headers={"authorization": "Bearer canary"})

    assert (401, True, True) == (
        answer.status,
        "Bearer canary" in answer.error["message"],
        "one two three" in answer.error["message"],
    )


@pytest.mark.asyncio
async def test_bad_json_is_one_event_between_good_ones(ask: Ask) -> None:
    """The stream goes on behind an event that is not JSON."""
    answer = await ask("echo?fault=bad-json@1")
    bad = []
    for line in answer.data_lines[:-1]:
        try:
            json.loads(line)
        except ValueError:
            bad.append(line)

    assert ("complete", True, 1) == (answer.ended, answer.done, len(bad))


@pytest.mark.asyncio
async def test_a_bad_json_answer_is_half_an_object(ask: Ask) -> None:
    """Without a stream the object is cut, its length is not."""
    answer = await ask("echo?fault=bad-json", stream=False)

    assert "complete" == answer.ended
    with pytest.raises(ValueError, match="line 1"):
        _ = answer.json


@pytest.mark.asyncio
async def test_bad_utf8_is_not_utf8(ask: Ask) -> None:
    """One event has bytes that no UTF-8 text has."""
    answer = await ask("echo?fault=bad-utf8@1")

    assert b"\xff\xc3(" in answer.body
    with pytest.raises(UnicodeDecodeError):
        answer.body.decode()


@pytest.mark.asyncio
async def test_an_array_event_is_json_of_another_kind(ask: Ask) -> None:
    """One event's data is an array."""
    answer = await ask("echo?fault=array-event@1")

    assert ["not", "an", "object"] in [json.loads(line) for line in answer.data_lines[:-1]]


@pytest.mark.asyncio
async def test_deep_json_is_as_deep_as_asked(ask: Ask) -> None:
    """`length` brackets are open at once."""
    answer = await ask("echo?fault=deep-json@1&length=5000")

    assert b"[" * 5000 + b"]" * 5000 in answer.body


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ["huge-line", "huge-comment"])
async def test_a_huge_line_has_no_newline_before_its_length(ask: Ask, fault: str) -> None:
    """One line is `length` bytes long and the stream goes on behind it."""
    answer = await ask(f"echo?fault={fault}@1&length={2 * MIB}")

    assert (True, True) == (max(map(len, answer.body.split(b"\n"))) >= 2 * MIB, answer.done)


@pytest.mark.asyncio
async def test_a_huge_event_has_many_lines(ask: Ask) -> None:
    """The data lines of one event are `length` bytes together, each of them small."""
    answer = await ask(f"echo?fault=huge-event@1&length={2 * MIB}")
    event = max(answer.body.split(b"\n\n"), key=len)

    assert (True, True) == (len(event) >= 2 * MIB, max(map(len, event.split(b"\n"))) < 2000)


@pytest.mark.asyncio
async def test_tail_is_as_long_as_asked(ask: Ask) -> None:
    """`length` bytes of comments come behind [DONE]."""
    answer = await ask("echo?fault=tail&length=100000")

    assert 100_000 == len(answer.body.partition(b"[DONE]\n\n")[2])


@pytest.mark.asyncio
async def test_huge_arguments_are_json(ask: Ask) -> None:
    """A tool call's arguments are about `length` bytes."""
    answer = await ask(f"tools?fault=huge-arguments&length={MIB}")
    deltas = [choice["delta"] for each in answer.objects for choice in each["choices"]]
    pieces = [d["tool_calls"][0]["function"]["arguments"] for d in deltas if "tool_calls" in d]

    assert MIB == len(json.loads("".join(pieces))["text"])


@pytest.mark.asyncio
async def test_many_calls_are_as_many_as_asked(ask: Ask) -> None:
    """`count` tool calls come, each with an id of its own."""
    answer = await ask("tools?fault=many-calls&count=150")
    deltas = [choice["delta"] for each in answer.objects for choice in each["choices"]]
    ids = {delta["tool_calls"][0].get("id") for delta in deltas if "tool_calls" in delta}

    assert 150 == len(ids - {None})


@pytest.mark.asyncio
async def test_a_stream_request_may_get_json(ask: Ask) -> None:
    """json-answer sends one object although a stream was asked for."""
    answer = await ask("echo?fault=json-answer")

    assert ("application/json", "one two three") == (
        answer.content_type,
        answer.json["choices"][0]["message"]["content"],
    )


@pytest.mark.asyncio
async def test_an_endless_object_has_an_end(ask: Ask) -> None:
    """Without a stream even endless text is one object, of a bounded length."""
    answer = await ask("text?fault=endless", stream=False)

    assert 1_000_000 == len(answer.json["choices"][0]["message"]["content"])


@pytest.mark.asyncio
async def test_a_plain_request_may_get_a_stream(ask: Ask) -> None:
    """stream-answer sends events although none were asked for."""
    answer = await ask("echo?fault=stream-answer", stream=False)

    assert WHOLE == seen(answer, WHOLE)


@pytest.mark.asyncio
async def test_faults_combine(ask: Ask) -> None:
    """Several faults of one request all happen."""
    answer = await ask("echo?fault=no-done,trailers,informational")

    assert (False, [100, 103], {"x-sim-trailer": "done"}) == (
        answer.done,
        answer.informational,
        answer.trailers,
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ["reset@0", "close@0", "hang@0"])
async def test_a_json_answer_can_break_too(ask: Ask, fault: str) -> None:
    """Without a stream the connection ends between the headers and the object."""
    answer = await ask(f"echo?fault={fault}", stream=False, until=b"\r\n\r\n")

    ending = {"reset@0": "reset", "close@0": "eof", "hang@0": "silence"}[fault]
    assert (ending, 200, b"") == (answer.ended, answer.status, answer.body)


@pytest.mark.asyncio
async def test_fail_lets_later_requests_through(ask: Ask) -> None:
    """With fail=2 the third request with the same key is healthy."""
    found = [(await ask("echo?fault=server-error&fail=2&key=a")).status for _ in range(3)]
    other = await ask("echo?fault=server-error&fail=2&key=b")

    assert ([500, 500, 200], 500) == (found, other.status)
