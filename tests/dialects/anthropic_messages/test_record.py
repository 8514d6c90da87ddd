"""An answer that goes back: every block at its place, as the SDK has it, in whatever message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from tests.dialects.anthropic_messages.sending import ORIGIN, sent, turns

from penstock.chunks import Chunk, State, TextDelta, ToolCallDelta
from penstock.decoders import SSEDecoder
from penstock.dialects.anthropic_messages import AnthropicMessages, MessagesAnswer
from penstock.dialects.anthropic_messages.record import read, restored
from penstock.dialects.kept_blocks import Record
from penstock.errors import UnsupportedFeatureError
from penstock.interfaces import CallRecord
from penstock.limits import Limits
from penstock.pipeline import Fold
from penstock.testing.check_dialect import DialectCase, load_cases

VECTORS = Path(__file__).parents[2] / "vectors" / "anthropic_messages"
WHOLE = [
    case
    for case in load_cases(VECTORS)
    if case.error is None
    and case.content_type == "text/event-stream"
    and "data: [" not in str(case.wire)
]
"""Answers that are read to their end."""
ELSEWHERE = {
    "unknown": "blocks that the SDK has no type for",
    "block_without_stop": "an index that begins anew, which the SDK takes for another block",
    "tool_call_cut_off": "input that is no JSON, of which the SDK keeps what it can read",
}
"""Cases of which the SDK makes something else, and what that is about."""


def reply_of(case: DialectCase) -> dict[str, Any]:
    """The message that a caller appends, as it is after a round trip through JSON."""
    fold = Fold()
    fold.add(list(case.chunks))
    record = CallRecord(dialect="anthropic_messages", origin=ORIGIN)
    message: dict[str, Any] = json.loads(json.dumps(fold.reply(record).message))
    return message


def sdks_blocks(case: DialectCase) -> list[dict[str, Any]]:
    """The content of the answer as the SDK puts it together, as it sends it back."""
    headers = {"content-type": case.content_type}

    def answered(request: httpx2.Request) -> httpx2.Response:
        del request
        return httpx2.Response(200, headers=headers, content=case.wire)

    plug = anthropic.DefaultHttpxClient(transport=httpx2.MockTransport(answered))
    with (
        anthropic.Anthropic(api_key="k", http_client=plug) as client,
        client.beta.messages.stream(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]
        ) as stream,
    ):
        message = stream.get_final_message()
    return [block.model_dump(mode="json", exclude_none=True) for block in message.content]


@pytest.mark.parametrize(
    "case", [case for case in WHOLE if case.name not in ELSEWHERE], ids=lambda case: case.name
)
def test_blocks_go_back_as_the_sdk_has_them(case: DialectCase) -> None:
    """What the SDK puts together of an answer is what penstock sends with the next turn."""
    calls = [block["id"] for block in sdks_blocks(case) if block["type"] == "tool_use"]
    results = [{"role": "tool", "tool_call_id": id, "content": "r"} for id in calls]
    found = sent([{"role": "user", "content": "x"}, reply_of(case), *results]).body["messages"]
    said = found[1]["content"] if len(found) > 1 and found[1]["role"] == "assistant" else []

    assert [plain(block) for block in sdks_blocks(case)] == [plain(block) for block in said]


def plain(block: Any) -> Any:
    """A block without what is null or says no more than its absence."""
    if isinstance(block, list):
        return [plain(each) for each in block]
    if not isinstance(block, dict):
        return block
    given = {name: plain(value) for name, value in block.items() if value is not None}
    if given.get("caller") == {"type": "direct"}:
        del given["caller"]
    if given.get("citations") == []:
        del given["citations"]
    return given


STATELESS = {"plain", "tool_call", "tool_calls_parallel", "max_tokens", "cache", "stop_sequence"}


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_a_plain_answer_needs_no_state(case: DialectCase) -> None:
    """One text and then calls are the same in every message: nothing is kept of them."""
    if case.name in STATELESS:
        assert "provider_state" not in reply_of(case)


def test_text_and_arguments_are_not_kept_twice() -> None:
    """The state has their places: not a word of the answer is in it but thinking."""
    case = next(case for case in WHOLE if case.name == "interleaved_thinking")
    state = json.dumps(reply_of(case)["provider_state"])

    assert "look" not in state
    assert "Ulm" not in state
    assert "The user wants two cities" in state


THOUGHT = {"type": "thinking", "thinking": "t", "signature": "s"}
STATE = {
    "dialect": "anthropic_messages",
    "origin": ORIGIN,
    "blocks": [THOUGHT, {"type": "text", "length": 2}, {"type": "tool_use", "index": 0}],
}
CALL = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USED = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
EDITS: list[tuple[dict[str, Any], list[Any]]] = [
    ({"content": "Hello"}, [THOUGHT, {"type": "text", "text": "Hello"}, USED]),
    ({"content": None}, [THOUGHT, USED]),
    ({"tool_calls": []}, [THOUGHT, {"type": "text", "text": "Hi"}]),
    (
        {"tool_calls": [CALL, CALL]},
        [THOUGHT, {"type": "text", "text": "Hi"}, USED, {**USED, "id": "made_call_1_1"}],
    ),
    (
        {"content": [{"type": "image", "source": {}}]},
        [THOUGHT, {"type": "image", "source": {}}, USED],
    ),
]


@pytest.mark.parametrize(("edit", "expected"), EDITS)
def test_an_edited_message_is_said_plainly(edit: dict[str, Any], expected: list[Any]) -> None:
    """References that no longer fit are given up, with a report; thinking stays in front."""
    message = {"role": "assistant", "content": "Hi", "tool_calls": [CALL], "provider_state": STATE}
    messages = [{"role": "user", "content": "x"}, {**message, **edit}]
    found = sent(messages)

    assert expected == found.body["messages"][1]["content"]
    assert ["messages[1].provider_state"] == found.dropped
    with pytest.raises(UnsupportedFeatureError):
        sent(messages, strict=True)


@pytest.mark.parametrize(
    "content", ["Hi", ["Hi"], [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]]
)
def test_the_text_may_be_in_parts(content: Any) -> None:
    """A message whose text was cut into parts still fits."""
    if content == ["Hi"]:
        content = [{"type": "text", "text": "Hi"}]
    message = {"role": "assistant", "content": content, "tool_calls": [CALL]}
    found = turns([{"role": "user", "content": "x"}, {**message, "provider_state": STATE}])

    assert [THOUGHT, {"type": "text", "text": "Hi"}, USED] == found[1]["content"]


def test_a_mark_of_the_cache_goes_to_the_last_block_that_takes_it() -> None:
    """Thinking takes none."""
    state = {**STATE, "blocks": [{"type": "text", "length": 2}, THOUGHT]}
    message = {"role": "assistant", "content": "Hi", "cache_control": {"type": "ephemeral"}}
    found = turns([{"role": "user", "content": "x"}, {**message, "provider_state": state}])

    assert [
        {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
        THOUGHT,
    ] == found[1]["content"]


@pytest.mark.parametrize(
    "blocks",
    [
        "no list",
        [5],
        [{"length": 2}],
        [{"type": "text", "length": 0}],
        [{"type": "text", "length": 3}],
        [{"type": "text", "length": True}],
        [{"type": "text", "length": 2}, {"type": "tool_use", "index": 1}],
        [
            {"type": "text", "length": 2},
            {"type": "tool_use", "index": 0},
            {"type": "tool_use", "index": 1},
        ],
        [{"type": "text", "length": 2}],
        [{"type": "tool_use", "index": 0}],
    ],
)
def test_a_state_that_does_not_fit_is_none(blocks: Any) -> None:
    """Whoever changed it, or the message."""
    assert restored(blocks, "Hi", [USED]) is None


def test_plain_blocks_are_told_once_there_is_another() -> None:
    """From then on each as it ends."""
    record, into = Record(read), list[Chunk]()
    text, call = {"type": "text", "length": 2}, {"type": "tool_use", "index": 0}
    record.add(text, into)
    record.add(call, into)

    assert [] == into
    record.add(text, into)
    record.add(call, into)
    assert [State({"blocks": [text, call, text]}), State({"blocks": [call]})] == into


def test_a_pause_goes_on_with_the_answer_so_far() -> None:
    """The blocks of a paused turn are the last turn of the next request."""
    case = next(case for case in WHOLE if case.name == "pause_turn")
    found = turns([{"role": "user", "content": "x"}, reply_of(case)])

    assert "assistant" == found[-1]["role"]
    assert ["server_tool_use"] == [block["type"] for block in found[-1]["content"]]


def test_bytes_of_an_event_are_a_frame() -> None:
    """Bedrock's InvokeModel has each event's JSON, without server-sent events around it."""
    case = next(case for case in WHOLE if case.name == "interleaved_thinking")
    answer, into = MessagesAnswer(Limits()), list[Chunk]()
    answer.feed([str(frame.data).encode() for frame in SSEDecoder().decode(case.wire)], into)

    assert answer.complete
    assert list(case.chunks) == into


def test_the_dense_path_says_what_the_other_says() -> None:
    """An event with a field more is read generically, to the same chunk."""
    dialect = AnthropicMessages()
    case = next(case for case in WHOLE if case.name == "interleaved_thinking")
    longer = case.wire.replace(
        b'"type":"content_block_delta",', b'"type":"content_block_delta","x":null,'
    )
    answer, into = dialect.answer(case.request, "", Limits(), origin=""), list[Chunk]()
    answer.feed(SSEDecoder().decode(longer), into)

    assert list(case.chunks) == into
    assert {TextDelta, ToolCallDelta} < {type(chunk) for chunk in into}
