"""Parameters that were replaced, said by those that took their place; fields that are added."""

from __future__ import annotations

from typing import Any

import pytest
from tests.dialects.saying import target_at

from penstock.dialects.extras import add_extras
from penstock.dialects.modern import (
    EFFORTS,
    asked_call,
    effort_of,
    modern,
    one_choice,
    stops,
    text_only,
    usage_only,
)
from penstock.dialects.places import Losses
from penstock.errors import ConfigurationError, UnsupportedFeatureError, UsageError
from penstock.request import ChatRequest

FUNCTION = {"name": "f", "parameters": {}}
TOOL = {"type": "function", "function": FUNCTION}
ONE = {"type": "function", "function": {"name": "f"}}


def asked(**fields: Any) -> ChatRequest:
    """A request."""
    return ChatRequest(model="m", messages="x", **fields)


CASES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"params": {"functions": [FUNCTION]}}, {"tools": [TOOL]}, []),
    ({"params": {"functions": [FUNCTION]}, "tools": (TOOL,)}, {"tools": [TOOL, TOOL]}, []),
    ({"params": {"functions": [], "function_call": None}}, {}, []),
    ({"params": {"function_call": "none"}}, {"tool_choice": "none"}, []),
    ({"params": {"function_call": {"name": "f"}}}, {"tool_choice": ONE}, []),
    (
        {"params": {"function_call": "none", "tool_choice": "auto"}},
        {"tool_choice": "auto"},
        [],
    ),
    (
        {"params": {"max_tokens": 1, "max_completion_tokens": 2}},
        {"max_completion_tokens": 2},
        ["max_tokens"],
    ),
    (
        {"params": {"max_tokens": None, "max_completion_tokens": 2}},
        {"max_completion_tokens": 2},
        [],
    ),
    ({"params": {"max_tokens": 1}}, {"max_tokens": 1}, []),
    ({"response_format": {"type": "text"}}, {"response_format": {"type": "text"}}, []),
]


@pytest.mark.parametrize(("fields", "given", "dropped"), CASES, ids=str)
def test_old_parameters_are_new_ones(
    fields: dict[str, Any], given: dict[str, Any], dropped: list[str]
) -> None:
    """Where the new one is not given, too."""
    lost: list[str] = []

    assert given == modern(asked(**fields), Losses("d", lost, strict=False))
    assert dropped == lost


CHOICES: list[tuple[Any, tuple[str, str], list[str]]] = [
    ("auto", ("auto", ""), []),
    ("required", ("required", ""), []),
    (ONE, ("function", "f"), []),
    ({"type": "custom", "custom": {"name": "f"}}, ("function", "f"), []),
    (
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [ONE]}},
        ("required", ""),
        ["tool_choice.allowed_tools"],
    ),
    ({"type": "allowed_tools"}, ("auto", ""), ["tool_choice.allowed_tools"]),
    ({"type": "other"}, ("", ""), []),
    (5, ("", ""), []),
]


@pytest.mark.parametrize(("value", "choice", "dropped"), CHOICES, ids=str)
def test_choices_of_a_tool(value: Any, choice: tuple[str, str], dropped: list[str]) -> None:
    """In OpenAI's words, or none."""
    lost: list[str] = []

    assert choice == asked_call(value, Losses("d", lost, strict=False))
    assert dropped == lost


def test_stops_are_lists() -> None:
    """Of texts."""
    assert (["a"], ["a", "b"]) == (stops("a"), stops(("a", "b")))
    for value in (5, [5]):
        with pytest.raises(UsageError, match="stop"):
            stops(value)


def test_one_choice_is_no_loss() -> None:
    """More are refused."""
    assert {} == one_choice(1, "d")
    with pytest.raises(UnsupportedFeatureError, match="d cannot say n"):
        one_choice(2, "d")


@pytest.mark.parametrize(
    ("value", "dropped"), [(["text"], []), (["text", "audio"], ["modalities"])]
)
def test_text_is_what_is_answered(value: list[str], dropped: list[str]) -> None:
    """Other modalities are reported."""
    lost: list[str] = []
    text_only(value, Losses("d", lost, strict=False))

    assert dropped == lost


def test_usage_that_always_comes_needs_no_option() -> None:
    """Other options of a stream are reported."""
    lost: list[str] = []
    usage_only(
        {"include_usage": True, "include_obfuscation": False}, Losses("d", lost, strict=False)
    )

    assert ["stream_options.include_obfuscation"] == lost
    assert {} == usage_only(None, Losses("d", [], strict=True))


def test_efforts_are_words() -> None:
    """Of those that there are."""
    assert [*EFFORTS] == [effort_of(each) for each in EFFORTS]
    with pytest.raises(UsageError, match="none, minimal, low"):
        effort_of("enormous")


def test_extra_fields_win_and_options_are_added_to() -> None:
    """The deployment's come first, the request's last."""
    target = target_at("https://e.com", extra_body={"a": 1, "options": {"x": 1, "y": 1}})
    fields: dict[str, Any] = {"a": 0, "options": {"w": 0, "x": 0}}
    request = asked(extra_body={"a": 2, "options": {"y": 2}, "b": 3})
    add_extras(fields, request, target, merged=("options",))

    assert {"a": 2, "options": {"w": 0, "x": 1, "y": 2}, "b": 3} == fields


@pytest.mark.parametrize("name", ["messages", "stream"])
def test_ours_stay_ours(name: str) -> None:
    """Whose fault it is shows in the error."""
    with pytest.raises(UsageError, match=name):
        add_extras({}, asked(extra_body={name: 1}), target_at("https://e.com"))
    with pytest.raises(ConfigurationError, match=name):
        add_extras({}, asked(), target_at("https://e.com", extra_body={name: 1}))
