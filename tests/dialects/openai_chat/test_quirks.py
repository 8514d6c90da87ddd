"""What a provider's row of the catalogue changes in a request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from penstock.dialects.openai_chat import OpenAIChat
from penstock.encoders import encode_json
from penstock.errors import UnsupportedFeatureError
from penstock.fields import Raw
from penstock.interfaces import Outgoing, Quirks, Target
from penstock.request import ChatRequest

TOOLS = ({"type": "function", "function": {"name": "f"}},)
LONG = "chatcmpl-tool-0f8fad5bd9cb469fa16570867728950e"
"""An id of vLLM's form: 46 characters."""


def encode(
    request: Mapping[str, Any],
    *,
    renames: Mapping[str, str] | None = None,
    drops: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
    dropped: list[str] | None = None,
    **about: Any,
) -> Outgoing:
    """Encode a request for a provider with these quirks."""
    target = Target(
        **{
            "deployment": "d",
            "provider": "p",
            "model": "@cf/a b",
            "base_url": "https://x.test",
            "origin": "https://x.test",
            "quirks": Quirks(renames=renames or {}, drops=frozenset(drops), flags=frozenset(flags)),
            **about,
        }
    )
    chat = ChatRequest(**{"model": "m", "messages": "Hello", "usage": False, **request})
    return OpenAIChat().encode(chat, target, dropped=[] if dropped is None else dropped)


def body(request: Mapping[str, Any], **quirks: Any) -> dict[str, Any]:
    """The body on the wire."""
    found = json.loads(b"".join(encode_json(encode(request, **quirks).fields)))
    assert isinstance(found, dict)
    return found


def params(request: Mapping[str, Any], **quirks: Any) -> dict[str, Any]:
    """What the body has beside the model, the stream and the conversation."""
    ours = ("model", "stream", "messages")
    return {name: each for name, each in body(request, **quirks).items() if name not in ours}


@pytest.mark.parametrize(
    ("given", "renames", "expected", "lost"),
    [
        (
            {"max_completion_tokens": 5},
            {"max_completion_tokens": "max_tokens"},
            {"max_tokens": 5},
            [],
        ),
        (
            {"max_completion_tokens": 5, "max_tokens": 6},
            {"max_completion_tokens": "max_tokens"},
            {"max_tokens": 6},
            ["max_completion_tokens"],
        ),
        (
            {"max_completion_tokens": None, "max_tokens": 6},
            {"max_completion_tokens": "max_tokens"},
            {"max_tokens": 6},
            [],
        ),
        (
            {"reasoning_effort": "low"},
            {"reasoning_effort": "reasoning.effort"},
            {"reasoning": {"effort": "low"}},
            [],
        ),
        ({"user": "a", "seed": 1}, {"user": "seed", "seed": "user"}, {"user": 1, "seed": "a"}, []),
    ],
)
def test_a_parameter_goes_by_the_name_that_the_provider_knows(
    given: dict[str, Any], renames: dict[str, str], expected: dict[str, Any], lost: list[str]
) -> None:
    """A rename may lead into an object; where both names are given, the wire's own wins."""
    dropped: list[str] = []

    assert expected == params({"params": given}, renames=renames, dropped=dropped)
    assert lost == dropped


@pytest.mark.parametrize(
    ("request_fields", "drops", "lost"),
    [
        ({"params": {"logit_bias": {"1": 1}}}, ("logit_bias",), ["logit_bias"]),
        ({"params": {"logit_bias": None}}, ("logit_bias",), []),
        ({"params": {"n": 1}}, ("n",), []),
        ({"usage": True}, ("stream_options",), []),
        ({"params": {"stream_options": {"x": 1}}}, ("stream_options",), ["stream_options"]),
        ({"tools": TOOLS}, ("tools",), ["tools"]),
        ({"response_format": {"type": "text"}}, ("response_format",), ["response_format"]),
    ],
)
def test_what_the_provider_refuses_is_left_out_and_reported(
    request_fields: dict[str, Any], drops: tuple[str, ...], lost: list[str]
) -> None:
    """Without a report where nothing is lost: one choice, a null, usage that nobody asked for."""
    dropped: list[str] = []

    assert {} == params(request_fields, drops=drops, dropped=dropped)
    assert lost == dropped


def test_a_strict_request_is_refused_instead() -> None:
    """The error names the parameter, before a byte leaves."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        encode({"params": {"logprobs": True}, "strict": True}, drops=("logprobs",))

    assert "logprobs" == caught.value.param


def test_more_choices_than_the_provider_gives_are_refused() -> None:
    """Fewer choices than asked would be another answer."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        encode({"params": {"n": 2}}, drops=("n",))

    assert "n" == caught.value.param


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, "https://x.test/chat/completions"),
        ({"path": "/v1/x"}, "https://x.test/v1/x"),
        (
            {"path": "/openai/deployments/{model}/chat/completions", "query": {"api-version": "1"}},
            "https://x.test/openai/deployments/%40cf%2Fa%20b/chat/completions?api-version=1",
        ),
        ({"query": {"a": "b c", "d": "&"}}, "https://x.test/chat/completions?a=b+c&d=%26"),
    ],
)
def test_the_address_is_the_rows(about: dict[str, Any], expected: str) -> None:
    """Its path, the model in it as one segment, and its query."""
    assert expected == encode({}, **about).url


CONVERSATION = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "name": "ann", "content": "?"},
    {"role": "assistant", "content": "!", "name": "bot"},
]


def test_fields_of_messages_are_left_out_and_reported() -> None:
    """A drop of ``messages.name`` means the field of every message."""
    dropped: list[str] = []

    messages = body({"messages": CONVERSATION}, drops=("messages.name",), dropped=dropped)[
        "messages"
    ]

    assert [{"role", "content"}] * 3 == [set(message) for message in messages]
    assert ["messages[1].name", "messages[2].name"] == dropped


def test_what_penstock_itself_would_give_back_goes_without_a_report() -> None:
    """Thinking that a provider does not take back is nothing that the caller said."""
    message = {
        "role": "assistant",
        "content": "!",
        "provider_state": {
            "dialect": "openai_chat",
            "origin": "https://x.test",
            "reasoning_content": "Hm.",
        },
    }
    dropped: list[str] = []
    request = {"messages": [message], "strict": True}

    sent = body(request, drops=("messages.reasoning_content",), dropped=dropped)["messages"]

    assert ([{"role": "assistant", "content": "!"}], []) == (sent, dropped)


def test_developers_may_speak_as_the_system() -> None:
    """By the flag, and only the role changes."""
    messages = body({"messages": CONVERSATION}, flags=("system_for_developer",))["messages"]

    assert ["system", "user", "assistant"] == [message["role"] for message in messages]
    assert "developer" == CONVERSATION[0]["role"]


@pytest.mark.parametrize(("tools", "expected"), [(TOOLS, ["", "Hm.", ""]), ((), [None, "Hm.", ""])])
def test_with_tools_every_answer_has_its_thinking(
    tools: tuple[Any, ...], expected: list[Any]
) -> None:
    """By the flag: empty where another model thought, untouched where no tools are near."""
    messages = [
        {"role": "assistant", "content": "!"},
        {"role": "assistant", "content": "!", "reasoning_content": "Hm."},
        calling("call_1")[0],
    ]

    sent = body({"messages": messages, "tools": tools}, flags=("reasoning_content_with_tools",))

    assert expected == [message.get("reasoning_content") for message in sent["messages"]]


def calling(id: str, **more: Any) -> list[dict[str, Any]]:
    """A call and its result."""
    call = {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call], **more},
        {"role": "tool", "tool_call_id": id, "content": "1"},
    ]


@pytest.mark.parametrize("content", [None, "Let me see."])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_long_id_is_made_shorter_in_call_and_result(content: Any, as_json: bool) -> None:
    """OpenAI takes 40 characters; the same id becomes the same in every message."""
    messages: list[Any] = calling(LONG, content=content)
    if as_json:
        messages = [Raw(json.dumps(message).encode()) for message in messages]

    asked, answered = body({"messages": messages})["messages"]

    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"]
    assert 40 >= len(answered["tool_call_id"])
    assert answered["tool_call_id"].startswith("call_")


def test_an_id_that_is_short_enough_stays() -> None:
    """The caller's own message is sent, not a copy."""
    messages = calling("call_1")

    assert messages == body({"messages": messages})["messages"]
