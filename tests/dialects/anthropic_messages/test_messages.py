"""The conversation to turns and blocks, from whatever dialect it comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.anthropic_messages.sending import sent, target, turns

from penstock.errors import EncodeError, UnsupportedFeatureError
from penstock.interfaces import Quirks
from penstock.messages import AssistantMessage, SystemMessage, ToolMessage, UserMessage
from penstock.response import ToolCall

MARK = {"type": "ephemeral"}


def text(said: str, **more: Any) -> dict[str, Any]:
    """A text block."""
    return {"type": "text", "text": said, **more}


def call(id: str = "toolu_1", name: str = "f", arguments: str = "{}", **more: Any) -> Any:
    """A tool call of the OpenAI shape."""
    function = {"name": name, "arguments": arguments}
    return {"id": id, "type": "function", "function": function, **more}


def used(id: str = "toolu_1", name: str = "f", given: Any = None, **more: Any) -> Any:
    """A ``tool_use`` block."""
    return {"type": "tool_use", "id": id, "name": name, "input": given or {}, **more}


def user(*parts: Any) -> Any:
    """A user's turn."""
    return {"role": "user", "content": list(parts)}


def model(*parts: Any) -> Any:
    """The model's turn."""
    return {"role": "assistant", "content": list(parts)}


def of(role: str, content: Any, **more: Any) -> Any:
    """A message."""
    return {"role": role, "content": content, **more}


CASES: dict[str, tuple[Any, Any]] = {
    "text": ("Hi", [user(text("Hi"))]),
    "parts": ([of("user", ["a", text("b", cache_control=MARK)])], None),
    "neighbours are one turn": (
        [of("user", "a"), of("user", "b"), of("assistant", "c"), of("assistant", "d")],
        [user(text("a"), text("b")), model(text("c"), text("d"))],
    ),
    "white space is no text": (
        [of("user", "a"), of("assistant", "\n\n", tool_calls=[call()]), of("user", " ")],
        [user(text("a")), model(used())],
    ),
    "a call and its result": (
        [
            of("user", "a"),
            of("assistant", "b", tool_calls=[call(arguments='{"x": 1.0}')]),
            of("tool", "sunny", tool_call_id="toolu_1"),
            of("user", "c"),
        ],
        [
            user(text("a")),
            model(text("b"), used(given={"x": 1.0})),
            user({"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}, text("c")),
        ],
    ),
    "parallel calls": (
        [
            of("user", "a"),
            of("assistant", None, tool_calls=[call("toolu_1"), call("toolu_2", arguments="")]),
            of("tool", "", tool_call_id="toolu_1"),
            of("tool", [text("r")], tool_call_id="toolu_2", is_error=True),
        ],
        [
            user(text("a")),
            model(used("toolu_1"), used("toolu_2")),
            user(
                {"type": "tool_result", "tool_use_id": "toolu_1"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [text("r")],
                    "is_error": True,
                },
            ),
        ],
    ),
    "a tool of free text": (
        [
            of("user", "a"),
            of(
                "assistant",
                None,
                tool_calls=[
                    {"id": "toolu_1", "type": "custom", "custom": {"name": "f", "input": "x"}}
                ],
            ),
        ],
        [user(text("a")), model(used(given={"input": "x"}))],
    ),
    "the deprecated function call": (
        [
            of("user", "a"),
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            of("function", "r", name="f"),
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            of("function", "s", name="f"),
        ],
        [
            user(text("a")),
            model(used("function_call_1")),
            user({"type": "tool_result", "tool_use_id": "function_call_1", "content": "r"}),
            model(used("function_call_3")),
            user({"type": "tool_result", "tool_use_id": "function_call_3", "content": "s"}),
        ],
    ),
    "a refusal": (
        [of("user", "a"), of("assistant", None, refusal="No.")],
        [user(text("a")), model(text("No."))],
    ),
    "marks of the cache": (
        [
            of("user", "a", cache_control=MARK),
            of("assistant", "b", tool_calls=[call(cache_control=MARK)]),
            of("tool", "r", tool_call_id="toolu_1", cache_control=MARK),
        ],
        [
            user(text("a", cache_control=MARK)),
            model(text("b"), used(cache_control=MARK)),
            user(
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": "r",
                    "cache_control": MARK,
                }
            ),
        ],
    ),
    "blocks of its own": (
        [
            of("user", [{"type": "container_upload", "file_id": "file_1"}]),
            of(
                "assistant",
                [
                    {"type": "thinking", "thinking": "t", "signature": "s"},
                    text("b"),
                    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
                ],
            ),
            of("user", [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "r"}]),
        ],
        [
            user({"type": "container_upload", "file_id": "file_1"}),
            model({"type": "thinking", "thinking": "t", "signature": "s"}, text("b"), used()),
            user({"type": "tool_result", "tool_use_id": "toolu_1", "content": "r"}),
        ],
    ),
    "typed messages": (
        [
            UserMessage("a"),
            AssistantMessage("b", tool_calls=(ToolCall("toolu_1", "f", "{}"),)),
            ToolMessage("r", "toolu_1"),
        ],
        [
            user(text("a")),
            model(text("b"), used()),
            user({"type": "tool_result", "tool_use_id": "toolu_1", "content": "r"}),
        ],
    ),
}
CASES["parts"] = (CASES["parts"][0], [user(text("a"), text("b", cache_control=MARK))])


@pytest.mark.parametrize(("messages", "expected"), CASES.values(), ids=CASES)
def test_messages_become_turns(messages: Any, expected: Any) -> None:
    """Nothing is lost, or a strict request would be refused."""
    assert expected == turns(messages)


def test_what_the_system_says_first_stands_apart() -> None:
    """System and developer alike, with their marks; what comes later does not."""
    messages = [
        of("system", "a", cache_control=MARK),
        SystemMessage("b", role="developer"),
        of("system", [text("c"), {"type": "image_url", "image_url": {"url": "https://x.test/a"}}]),
        of("user", "d"),
    ]
    found = sent(messages)

    assert [text("a", cache_control=MARK), text("b"), text("c")] == found.body["system"]
    assert ["messages[2].content"] == found.dropped


LATE = [of("user", "a"), of("developer", "b"), of("assistant", "c"), of("system", "d")]


def test_late_words_of_the_system_are_the_users() -> None:
    """Most models take no such turn; their rank is lost, and that is said."""
    found = sent(LATE)

    assert [user(text("a"), text("b")), model(text("c")), user(text("d"))] == found.body["messages"]
    assert ["messages[1].role", "messages[3].role"] == found.dropped
    with pytest.raises(UnsupportedFeatureError, match=r"messages\[1\]\.role"):
        sent(LATE, strict=True)


def test_models_that_take_late_words_get_them() -> None:
    """With the flag of the catalogue (Claude Opus 4.8 and later)."""
    there = target(quirks=Quirks(flags=frozenset({"late_system"})))

    assert [
        user(text("a")),
        {"role": "system", "content": [text("b")]},
        model(text("c")),
        {"role": "system", "content": [text("d")]},
    ] == turns(LATE, to=there)


@pytest.mark.parametrize("id", ["call.1", "a b", "x" * 129, "ü", "functions.get:0"])
def test_another_vendors_ids_are_made_valid(id: str) -> None:
    """The API takes letters, digits, dashes and underscores; call and result stay together."""
    messages = [
        of("user", "a"),
        of("assistant", None, tool_calls=[call(id)]),
        of("tool", "r", tool_call_id=id),
    ]
    found = turns(messages)
    made = found[1]["content"][0]["id"]

    assert made == found[2]["content"][0]["tool_use_id"]
    assert made.startswith("toolu_")
    assert 30 == len(made)


@pytest.mark.parametrize("arguments", ['{"a": [1, ', "[1]", "null", "text"])
def test_arguments_that_are_no_object_are_given_back_as_what_they_are(arguments: str) -> None:
    """A cut-off call does not end the conversation; what was done to it is said."""
    found = sent([of("user", "a"), of("assistant", None, tool_calls=[call(arguments=arguments)])])

    assert {"INVALID_JSON": arguments} == found.body["messages"][1]["content"][0]["input"]
    assert ["messages[1].tool_calls[0].function.arguments"] == found.dropped


def test_arguments_are_sent_number_for_number() -> None:
    """They are copied, not read and written again."""
    from penstock.dialects.anthropic_messages import AnthropicMessages
    from penstock.encoders import encode_json
    from penstock.request import ChatRequest

    arguments = '{"a": 1.0, "b": 123456789012345678901234567890, "a": 2e400}'
    messages = [of("user", "a"), of("assistant", None, tool_calls=[call(arguments=arguments)])]
    request = ChatRequest(model="m", messages=messages)
    outgoing = AnthropicMessages().encode(request, target(), dropped=[])

    assert arguments.encode() in b"".join(encode_json(outgoing.fields))


LOST: list[tuple[Any, list[str]]] = [
    (of("user", "a", name="n"), ["name"]),
    (
        of("assistant", "a", reasoning_content="t", annotations=[]),
        ["reasoning_content", "annotations"],
    ),
    (of("assistant", "a", audio={"id": "x"}), ["audio"]),
    (
        of("assistant", "a", tool_calls=[call(extra_content={"google": 1})]),
        ["tool_calls[0].extra_content"],
    ),
    (of("user", [{"type": "input_audio", "input_audio": {}}]), ["content[0]"]),
    (of("user", [{"type": "video_url", "video_url": {"url": "x"}}]), ["content[0]"]),
    (of("assistant", [{"type": "thinking", "thinking": [{"type": "text"}]}]), ["content[0]"]),
    (of("user", [text("a", annotations=[1])]), ["content[0].annotations"]),
    (
        of("assistant", "a", provider_state={"dialect": "gemini", "origin": "https://x.test"}),
        ["provider_state"],
    ),
    (
        of(
            "assistant",
            "a",
            provider_state={"dialect": "anthropic_messages", "origin": "https://x.test"},
        ),
        ["provider_state"],
    ),
]


@pytest.mark.parametrize(("message", "fields"), LOST)
def test_what_has_no_words_is_reported_by_its_path(message: Any, fields: list[str]) -> None:
    """The rest is sent; a strict request is refused."""
    messages = [of("user", "x"), message]

    assert [f"messages[1].{field}" for field in fields] == sent(messages).dropped
    with pytest.raises(UnsupportedFeatureError):
        sent(messages, strict=True)


FAULTS: list[tuple[Any, str]] = [
    (of("owner", "a"), "role"),
    (of("user", 5), "content"),
    (of("user", [5]), "content[0]"),
    (of("user", [{"text": "a"}]), "content[0]"),
    (of("user", [{"type": "text"}]), "content[0].text"),
    (of("user", [{"type": "image_url", "image_url": {}}]), "content[0].image_url.url"),
    (of("user", [{"type": "file"}]), "content[0].file"),
    (of("user", [{"type": "file", "file": {}}]), "content[0].file.file_data"),
    (of("tool", "a"), "tool_call_id"),
    (of("assistant", None, tool_calls=5), "tool_calls"),
    (of("assistant", None, tool_calls=[5]), "tool_calls[0]"),
    (of("assistant", None, tool_calls=[{"id": "a"}]), "tool_calls[0].function"),
    (
        of("assistant", None, tool_calls=[{"id": "a", "function": {}}]),
        "tool_calls[0].function.name",
    ),
    (
        of("assistant", None, tool_calls=[{"id": "a", "function": {"name": "f", "arguments": 5}}]),
        "tool_calls[0].function.arguments",
    ),
]


@pytest.mark.parametrize(("message", "field"), FAULTS)
def test_what_is_malformed_is_named(message: Any, field: str) -> None:
    """The error has its path."""
    with pytest.raises(EncodeError) as caught:
        sent([of("user", "x"), message])

    assert f"messages[1].{field}" == caught.value.param


def test_a_long_conversation_is_the_same_turn_by_turn() -> None:
    """One that is pulled while it is sent gives what a short one gives."""
    few = [of("system", "s"), of("user", "a"), of("assistant", "b", tool_calls=[call()])]
    many = few + [of("tool", f"{n}", tool_call_id="toolu_1") for n in range(100)]
    short, long = sent(few).body, sent(many).body

    assert short["system"] == long["system"]
    assert short["messages"] == long["messages"][:2]
    assert [f"{n}" for n in range(100)] == [
        block["content"] for block in long["messages"][2]["content"]
    ]
    assert json.dumps(long) == json.dumps(sent(lambda: iter(many)).body)
