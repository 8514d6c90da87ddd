"""Messages to input items: roles, parts, calls and results, from any source, judged by the SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from openai.types.responses.response_input_param import ResponseInputItemParam
from pydantic import ConfigDict, TypeAdapter
from tests.dialects.saying import Said, say, target_at

from penstock.dialects.openai_responses import OpenAIResponses
from penstock.encoders import Body
from penstock.errors import EncodeError, UnsupportedFeatureError
from penstock.fields import Raw
from penstock.interfaces import Quirks
from penstock.messages import AssistantMessage, SystemMessage, ToolMessage, UserMessage
from penstock.request import ChatRequest
from penstock.response import ToolCall

TAKEN = TypeAdapter(list[ResponseInputItemParam], config=ConfigDict(extra="forbid"))


def said(*messages: Any, **request: Any) -> Said:
    """What the dialect makes of a conversation."""
    return say("openai_responses", list(messages), **request)


def items(*messages: Any) -> list[Any]:
    """The items of a conversation that loses nothing; the SDK's types take them."""
    found: list[Any] = said(*messages, strict=True).body["input"]
    TAKEN.validate_python(found)
    return found


def user(*parts: Any) -> dict[str, Any]:
    """A user's message of parts."""
    return {"role": "user", "content": list(parts)}


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
CALLED = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'}
DATA = "data:image/png;base64,AAAA"


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_a_role_and_a_text_are_an_item_as_they_are(role: str) -> None:
    """System and developer messages stay where they stand: `instructions` is the caller's."""
    message = {"role": role, "content": "Hi"}

    assert [message, message] == items(message, message)


PARTS: list[tuple[Any, Any]] = [
    ({"type": "text", "text": "a"}, {"type": "input_text", "text": "a"}),
    (
        {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
    ),
    (
        {"type": "image_url", "image_url": {"url": DATA, "detail": "low"}},
        {"type": "input_image", "image_url": DATA, "detail": "low"},
    ),
    (
        {"type": "image_url", "image_url": "https://x.test/a.png"},
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "auto"},
    ),
    (
        {"type": "file", "file": {"file_id": "file_1"}},
        {"type": "input_file", "file_id": "file_1"},
    ),
    (
        {"type": "file", "file": {"file_data": "data:a/b;base64,AA==", "filename": "a.b"}},
        {"type": "input_file", "file_data": "data:a/b;base64,AA==", "filename": "a.b"},
    ),
    (
        {"type": "document", "document": {"data": "AA==", "media_type": "text/csv"}},
        {
            "type": "input_file",
            "filename": "document",
            "file_data": "data:text/csv;base64,AA==",
        },
    ),
    (
        {"type": "document", "document": {"data": "data:a/b;base64,AA==", "filename": "x"}},
        {"type": "input_file", "filename": "x", "file_data": "data:a/b;base64,AA=="},
    ),
    (
        {"type": "document", "document": {"data": "https://x.test/a.pdf"}},
        {"type": "input_file", "file_url": "https://x.test/a.pdf"},
    ),
    *(
        (part, part)
        for part in (
            {"type": "input_text", "text": "a"},
            {"type": "input_image", "file_id": "file_1", "detail": "original"},
            {"type": "input_file", "file_url": "https://x.test/a.pdf", "detail": "low"},
        )
    ),
]


@pytest.mark.parametrize(("part", "expected"), PARTS)
def test_parts_of_users_and_results(part: Any, expected: Any) -> None:
    """Chat's parts become the Responses', in messages and in results of tools."""
    assert [{"role": "user", "content": [expected]}] == items(user(part))
    result = {"role": "tool", "tool_call_id": "call_1", "content": [part]}
    output = {"type": "function_call_output", "call_id": "call_1", "output": [expected]}
    assert [output] == items(result)


def test_audio_is_sent_as_it_is() -> None:
    """Both of OpenAI's APIs have the same part; whether a model hears is for its provider."""
    part = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}

    assert [user(part)] == said(user(part), strict=True).body["input"]


LOST: list[tuple[Any, list[str]]] = [
    (user({"type": "video_url", "video_url": {"url": "x"}}), ["messages[0].content[0]"]),
    (
        user({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}),
        ["messages[0].content[0].cache_control"],
    ),
    ({"role": "user", "content": "a", "name": "ann"}, ["messages[0].name"]),
    (
        {"role": "tool", "tool_call_id": "c", "content": "a", "is_error": True},
        ["messages[0].is_error"],
    ),
    (
        {"role": "assistant", "content": "a", "reasoning_content": "b", "audio": {"id": "x"}},
        ["messages[0].reasoning_content", "messages[0].audio"],
    ),
    (
        {"role": "assistant", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
        ["messages[0].content[0]"],
    ),
    (
        {"role": "assistant", "content": None, "tool_calls": [{**CALL, "extra_content": {"a": 1}}]},
        ["messages[0].tool_calls[0].extra_content"],
    ),
    (
        {"role": "assistant", "content": "a", "provider_state": {"dialect": "x", "origin": "y"}},
        ["messages[0].provider_state"],
    ),
]


@pytest.mark.parametrize(("message", "paths"), LOST)
def test_what_has_no_words_is_reported(message: Any, paths: list[str]) -> None:
    """By its path; from a strict request it is refused."""
    assert paths == said(message).dropped
    with pytest.raises(UnsupportedFeatureError) as caught:
        said(message, strict=True)
    assert caught.value.param in paths


BAD: list[tuple[Any, str]] = [
    ("text", "messages[0]"),
    ({"content": "a"}, "messages[0]"),
    ({"role": "robot", "content": "a"}, "messages[0].role"),
    ({"role": "user", "content": None}, "messages[0].content"),
    ({"role": "user", "content": ["a"]}, "messages[0].content[0]"),
    (user({"type": "text", "text": 1}), "messages[0].content[0].text"),
    (user({"type": "image_url", "image_url": {}}), "messages[0].content[0].image_url"),
    (user({"type": "file", "file": "x"}), "messages[0].content[0].file"),
    (user({"type": "document", "document": {}}), "messages[0].content[0].document.data"),
    ({"role": "tool", "content": "a"}, "messages[0].tool_call_id"),
    ({"role": "tool", "tool_call_id": "c", "content": 5}, "messages[0].content"),
    ({"role": "assistant", "content": 5}, "messages[0].content"),
    ({"role": "assistant", "tool_calls": [{}]}, "messages[0].tool_calls[0]"),
    ({"role": "assistant", "tool_calls": [{**CALL, "id": 5}]}, "messages[0].tool_calls[0].id"),
    ({"role": "assistant", "tool_calls": 5}, "messages[0].tool_calls"),
    (
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": None}}]},
        "messages[0].tool_calls[0].function.name",
    ),
]


@pytest.mark.parametrize(("message", "path"), BAD)
def test_what_is_malformed_is_refused_by_its_path(message: Any, path: str) -> None:
    """The error names the place."""
    with pytest.raises(EncodeError) as caught:
        said(message)

    assert path == caught.value.param


def test_an_assistants_turn_is_several_items() -> None:
    """Its text, then each of its calls; results follow with the calls' ids."""
    custom = {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": "x"}}
    turn = {"role": "assistant", "content": "Wait.", "tool_calls": [CALL, custom]}

    assert [
        {"role": "assistant", "content": "Wait."},
        CALLED,
        {"type": "custom_tool_call", "call_id": "call_2", "name": "c", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "2"},
        {"type": "function_call_output", "call_id": "call_1", "output": ""},
    ] == items(
        turn,
        {"role": "tool", "tool_call_id": "call_2", "content": "2"},
        {"role": "tool", "tool_call_id": "call_1", "content": None},
    )


@pytest.mark.parametrize("content", [None, ""])
def test_a_turn_of_calls_has_no_message(content: str | None) -> None:
    """An empty message would be one that says nothing."""
    assert [CALLED] == items({"role": "assistant", "content": content, "tool_calls": [CALL]})


def test_arguments_that_are_kept_parsed_are_said_as_text() -> None:
    """Some callers keep the object."""
    call = {"id": "call_1", "function": {"name": "f", "arguments": {"a": 1}}}

    assert [CALLED] == items({"role": "assistant", "tool_calls": [call]})


def test_a_refusal_is_a_part_of_its_own() -> None:
    """Beside a text both are parts, without the id that only the SDK's type wants."""
    parts = [{"type": "output_text", "text": "No."}, {"type": "refusal", "refusal": "I won't."}]
    message = {"role": "assistant", "content": "No.", "refusal": "I won't."}

    assert [{"role": "assistant", "content": parts}] == said(message, strict=True).body["input"]
    alone = {"role": "assistant", "content": [{"type": "refusal", "refusal": "I won't."}]}
    assert [{"role": "assistant", "content": parts[1:]}] == said(alone).body["input"]


def test_texts_of_the_assistant_are_one() -> None:
    """Parts of a text are said as the text."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    assert [{"role": "assistant", "content": "ab"}] == items(
        {"role": "assistant", "content": parts}
    )


def test_the_deprecated_function_call_finds_its_result() -> None:
    """Neither has an id in Chat: one is made, the same for both and in every pass."""
    call = {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a":1}'}}
    result = {"role": "function", "name": "f", "content": "1"}
    found = items({"role": "user", "content": "x"}, call, result)

    assert {**CALLED, "call_id": found[1]["call_id"]} == found[1]
    assert found[1]["call_id"] == found[2]["call_id"]
    assert found == items({"role": "user", "content": "x"}, call, result)


@pytest.mark.parametrize("id", ["x" * 65, "toolu_01" * 20, "a/b:c" * 30])
def test_ids_of_other_vendors_are_made_to_fit(id: str) -> None:
    """At most 64 characters, the same in call and result."""
    call, result = items(
        {"role": "assistant", "tool_calls": [{**CALL, "id": id}]},
        {"role": "tool", "tool_call_id": id, "content": "1"},
    )

    assert call["call_id"] == result["call_id"] != id
    assert len(call["call_id"]) <= 64


def test_calls_without_an_id_find_their_results_in_order() -> None:
    """Some servers give none: ids are made, and results take them as they come."""
    nameless = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    found = items(
        {"role": "assistant", "tool_calls": [nameless, {**nameless, "id": ""}]},
        {"role": "tool", "tool_call_id": "", "content": "1"},
        {"role": "tool", "content": "2"},
    )

    assert found[0]["call_id"] == found[2]["call_id"] != found[1]["call_id"] == found[3]["call_id"]


@pytest.mark.parametrize("id", ["c", "functions.f:0", "x" * 64])
def test_ids_that_fit_stay(id: str) -> None:
    """OpenAI takes any text."""
    assert id == items({"role": "assistant", "tool_calls": [{**CALL, "id": id}]})[0]["call_id"]


ITEMS: list[dict[str, Any]] = [
    {"type": "item_reference", "id": "msg_1"},
    {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
    {
        "type": "computer_call_output",
        "call_id": "call_1",
        "output": {"type": "computer_screenshot", "image_url": DATA},
    },
    {"type": "shell_call_output", "call_id": "call_1", "output": [], "max_output_length": 9},
    {"type": "apply_patch_call_output", "call_id": "call_1", "status": "completed"},
    {"type": "compaction", "encrypted_content": "gA=="},
    {"type": "function_call_output", "call_id": "call_1", "output": "x", "status": "completed"},
]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: str(item["type"]))
def test_an_input_item_is_sent_as_it_is(item: dict[str, Any]) -> None:
    """A mapping with a type and no role: what Chat has no message for can be said all the same."""
    assert [item] == items(item)
    assert [item] == items(Raw(json.dumps(item).encode()))


def test_a_message_of_the_responses_keeps_its_fields() -> None:
    """One with a role, too, may have the Responses' shape already."""
    message = {
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "a"}],
    }

    assert [message] == items(message)
    commentary = {"role": "assistant", "content": "a", "phase": "commentary"}
    assert [commentary] == items(commentary)


def test_typed_messages_are_said_like_dicts() -> None:
    """`penstock.messages` and their calls."""
    call = ToolCall("call_1", "f", '{"a":1}')

    assert [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"role": "assistant", "content": "b"},
        CALLED,
        {"type": "function_call_output", "call_id": "call_1", "output": "1"},
    ] == items(
        SystemMessage("Be brief.", role="developer"),
        UserMessage([{"type": "text", "text": "a"}]),
        AssistantMessage("b", (call,)),
        ToolMessage("1", "call_1"),
    )


def test_a_plain_message_that_is_json_is_copied() -> None:
    """Its bytes go out as they are; one with more to it is opened."""
    plain = Raw(b'{ "role":"user", "content":"\\u0041" }')
    asked = ChatRequest(model="m", messages=[plain])
    fields = OpenAIResponses().encode(asked, target_at("https://x.test"), dropped=[]).fields

    assert [plain] == fields["input"]
    assert [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}] == items(
        Raw(json.dumps(user({"type": "text", "text": "a"})).encode())
    )


def test_developers_may_have_to_be_system() -> None:
    """A flag of providers that know the older role only."""
    quirks = Quirks(flags=frozenset({"system_for_developer"}))
    target = target_at("https://x.test", quirks=quirks)
    messages: list[Any] = [
        {"role": "developer", "content": "a"},
        {"role": "developer", "content": [{"type": "text", "text": "b"}]},
        Raw(b'{"role":"developer","content":"c"}'),
    ]
    asked = ChatRequest(model="m", messages=messages)
    fields = OpenAIResponses().encode(asked, target, dropped=[]).fields

    assert ["system"] * 3 == [item["role"] for item in fields["input"]]


TURNS = [
    {"role": "user", "content": "0"},
    {"role": "assistant", "content": "1", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "2"},
] * 40


def iterated() -> Iterator[Any]:
    """The conversation as a generator."""
    yield from TURNS


async def awaited() -> AsyncIterator[Any]:
    """The conversation as an async generator."""
    for message in TURNS:
        yield message


class Again:
    """The conversation as an async iterable that can be read again."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return awaited()


SOURCES: dict[str, Callable[[], Any]] = {
    "list": lambda: TURNS,
    "tuple": lambda: tuple(TURNS),
    "iterator": iterated,
    "factory": lambda: iterated,
    "async": Again,
    "async iterator": awaited,
    "async factory": lambda: awaited,
}


async def sent(messages: Any) -> bytes:
    """The body that goes out."""
    asked = ChatRequest(model="m", messages=messages)
    fields = OpenAIResponses().encode(asked, target_at("https://x.test"), dropped=[]).fields
    body = Body(dict(fields), buffer_size=4096)
    await body.prepare()
    return b"".join([piece async for piece in body.open()])


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same_bytes(source: str) -> None:
    """A conversation need not be in memory."""
    expected = say("openai_responses", TURNS).body["input"]

    assert expected == json.loads(asyncio.run(sent(SOURCES[source]())))["input"]
    assert 160 == len(expected)


def test_open_calls_of_custom_tools_are_remembered_up_to_a_bound() -> None:
    """A conversation without end costs no more than its last 1024 calls without a result."""
    calls = [
        {"id": f"c{number}", "type": "custom", "custom": {"name": "t", "input": ""}}
        for number in range(1025)
    ]
    messages = [
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "remembered"},
        {"role": "tool", "tool_call_id": "c0", "content": "forgotten"},
    ]
    items = say("openai_responses", messages).body["input"]

    assert ["custom_tool_call_output", "function_call_output"] == [
        item["type"] for item in items[-2:]
    ]
