"""A request in OpenAI's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from penstock.dialects.openai_chat import OpenAIChat
from penstock.errors import ConfigurationError, PenstockError, UnsupportedFeatureError, UsageError
from penstock.interfaces import Outgoing, Target
from penstock.request import ChatRequest

HELLO = [{"role": "user", "content": "Hello"}]


def target(**more: Any) -> Target:
    """A deployment."""
    fields = {
        "deployment": "d",
        "provider": "p",
        "model": "wire-model",
        "base_url": "https://api.example.com/v1",
        "origin": "https://api.example.com",
    }
    return Target(**{**fields, **more})


def encode(request: Mapping[str, Any], dropped: list[str] | None = None, **more: Any) -> Outgoing:
    """Encode a request of the fields that matter."""
    chat = ChatRequest(**{"model": "m", "messages": HELLO, **request})
    return OpenAIChat().encode(chat, target(**more), dropped=[] if dropped is None else dropped)


def body(request: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The body's fields, the conversation as a list."""
    fields = dict(encode(request, **more).fields)
    return {**fields, "messages": list(fields["messages"].source)}


def test_a_plain_request() -> None:
    """The deployment's model, a stream with its usage, and the conversation."""
    assert {
        "model": "wire-model",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": HELLO,
    } == body({})


def test_it_goes_below_the_deployments_address() -> None:
    """The path is OpenAI's."""
    outgoing = encode({})

    assert ("POST", "https://api.example.com/v1/chat/completions") == (
        outgoing.method,
        outgoing.url,
    )


def test_a_text_is_one_user_message() -> None:
    """A plain `str` is what a user says."""
    assert [{"role": "user", "content": "Hi"}] == body({"messages": "Hi"})["messages"]


@pytest.mark.parametrize(
    ("request_fields", "expected"),
    [
        ({}, {"include_usage": True}),
        ({"usage": False}, None),
        ({"stream": False}, None),
        (
            {"params": {"stream_options": {"include_obfuscation": False}}},
            {"include_usage": True, "include_obfuscation": False},
        ),
        ({"params": {"stream_options": {"include_usage": False}}}, {"include_usage": False}),
        (
            {"usage": False, "params": {"stream_options": {"include_obfuscation": False}}},
            {"include_obfuscation": False},
        ),
        ({"params": {"stream_options": None}}, {"include_usage": True}),
        ({"usage": False, "params": {"stream_options": None}}, None),
        ({"extra_body": {"stream_options": {"x": 1}}}, {"x": 1}),
    ],
)
def test_stream_options(request_fields: dict[str, Any], expected: object) -> None:
    """The usage is asked for unless it is switched off; the caller's own options are kept."""
    assert expected == body(request_fields).get("stream_options")


def test_stream_options_without_a_stream_are_reported() -> None:
    """The API takes them only with a stream, so they are dropped and named."""
    dropped: list[str] = []

    encode({"stream": False, "params": {"stream_options": {}}}, dropped)

    assert ["stream_options"] == dropped


def test_a_strict_request_drops_nothing() -> None:
    """What would be dropped is an error that names it."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        encode({"strict": True, "stream": False, "params": {"stream_options": {}}})

    assert "stream_options" == caught.value.param


def test_none_is_sent_as_null() -> None:
    """A parameter that is None was given."""
    fields = body({"params": {"temperature": None}})

    assert "temperature" in fields
    assert fields["temperature"] is None


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_token_limit_goes_by_the_name_that_the_caller_used(name: str) -> None:
    """OpenAI and its copies differ on which of the two they know."""
    assert 5 == body({"params": {name: 5}})[name]


def test_tools_and_a_response_format_go_through() -> None:
    """Functions, custom tools and schemas are sent as they are."""
    tools = ({"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {}})
    shape = {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}

    fields = body({"tools": tools, "response_format": shape})

    assert list(tools) == fields["tools"]
    assert shape == fields["response_format"]


def test_deprecated_functions_may_come_from_an_iterator() -> None:
    """They are kept, as a request may be sent more than once."""
    functions = iter([{"name": "f"}])

    fields = body({"params": {"functions": functions, "function_call": "auto"}})

    assert ([{"name": "f"}], "auto") == (fields["functions"], fields["function_call"])


def test_extra_body_wins_and_is_shallow() -> None:
    """The deployment's fields win over ours, the request's over both."""
    fields = body(
        {"params": {"temperature": 0.1, "seed": 1}, "extra_body": {"seed": 3, "top_k": 40}},
        extra_body={"seed": 2, "temperature": 0.9, "provider": {"only": ["x"]}},
    )

    assert (0.9, 3, 40, {"only": ["x"]}) == (
        fields["temperature"],
        fields["seed"],
        fields["top_k"],
        fields["provider"],
    )


@pytest.mark.parametrize("name", ["messages", "stream"])
@pytest.mark.parametrize(
    ("request_fields", "target_fields", "error"),
    [(True, False, UsageError), (False, True, ConfigurationError)],
)
def test_extra_body_may_not_replace_what_is_ours(
    name: str, *, request_fields: bool, target_fields: bool, error: type[PenstockError]
) -> None:
    """The conversation and the stream are penstock's: the error says whose mistake it is."""
    extra = {"extra_body": {name: []}}

    with pytest.raises(error) as caught:
        encode(extra if request_fields else {}, **(extra if target_fields else {}))

    assert error is type(caught.value)
    assert name == caught.value.param


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("temprature", "did you mean 'temperature'"),
        ("top_k", "extra_body"),
        ("metadata", "extra_body"),
        ("stream", "an argument of its own"),
        ("tools", "an argument of its own"),
    ],
)
def test_an_unknown_parameter_is_refused(name: str, hint: str) -> None:
    """A slip does not go to the provider, and the error says where the thing belongs."""
    with pytest.raises(UsageError, match=hint) as caught:
        encode({"params": {name: 1}})

    assert name == caught.value.param


def test_the_conversation_comes_last() -> None:
    """A server can route by the small fields while the conversation is still on its way."""
    fields = encode({"params": {"user": "u"}, "extra_body": {"top_k": 1}}).fields

    assert "messages" == list(fields)[-1]
