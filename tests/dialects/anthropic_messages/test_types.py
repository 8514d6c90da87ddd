"""What penstock sends is what the anthropic SDK's request types allow, field for field."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from anthropic.types import ContentBlockParam, MessageCreateParams
from anthropic.types.beta import BetaMessageParam
from pydantic import ConfigDict, TypeAdapter, ValidationError
from tests.dialects.anthropic_messages import test_messages, test_parts, test_tools
from tests.dialects.anthropic_messages.sending import HELLO, ORIGIN, sent, target
from typing_extensions import get_type_hints, is_typeddict

from penstock.interfaces import CallRecord
from penstock.pipeline import Fold
from penstock.testing.check_dialect import load_cases

VECTORS = Path(__file__).parents[2] / "vectors" / "anthropic_messages"
REMOVED = ("temperature", "top_p")
"""Sent to API version 2023-06-01 only, whose types (anthropic 1.17) had them in the request's;
those of 2.14 are of 2026-10-21, which has none."""


def typed_dicts(kind: Any, found: set[Any]) -> set[Any]:
    """Every TypedDict in a type."""
    if is_typeddict(kind):
        if kind in found:
            return found
        found.add(kind)
        hints = get_type_hints(kind, vars(sys.modules[kind.__module__]), include_extras=True)
        for hint in hints.values():
            typed_dicts(hint, found)
    for argument in getattr(kind, "__args__", ()):
        typed_dicts(argument, found)
    return found


def strict(params: Any) -> TypeAdapter[Any]:
    """A validator that allows no field more than the types have; the types stay as they are."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in typed_dicts(params, set()):
            kept = getattr(kind, "__pydantic_config__", {})
            if kept.get("extra") is None:
                config = {**kept, **ConfigDict(extra="forbid")}
                patch.setattr(kind, "__pydantic_config__", config, raising=False)
        return TypeAdapter(params)


PLAIN, BETA_TURN = strict(MessageCreateParams), strict(BetaMessageParam)
BLOCK = strict(ContentBlockParam)


def consumed(value: Any) -> Any:
    """Read the iterables that pydantic validates as they are read."""
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, Mapping):
        return {name: consumed(each) for name, each in value.items()}
    if isinstance(value, Iterable):
        return [consumed(each) for each in value]
    return value


def check(body: dict[str, Any], *, echoed: bool = False) -> None:
    """Hold a body to the types; blocks that an answer had may have all of an answer's fields."""
    given = {name: value for name, value in body.items() if name not in REMOVED}
    consumed(PLAIN.validate_python(given))
    for turn in body["messages"]:
        for block in turn["content"]:
            if not echoed:
                consumed(BLOCK.validate_python(block))


def test_the_types_are_strict() -> None:
    """A field that nobody knows is refused, however deep."""
    with pytest.raises(ValidationError):
        check({**sent().body, "nobody": 1})
    turn = {"role": "user", "content": [{"type": "text", "text": "a", "nobody": 1}]}
    with pytest.raises(ValidationError):
        check({**sent().body, "messages": [turn]})


MODELS = ["claude-opus-4-6", "claude-sonnet-4-5"]
PARAMS: list[dict[str, Any]] = [
    {},
    {"max_tokens": 5, "stop": "x", "user": "u", "service_tier": "default"},
    *(
        {"reasoning_effort": e}
        for e in ("none", "minimal", "low", "medium", "high", "xhigh", "max")
    ),
    *({"tool_choice": c} for c in ("auto", "none", "required")),
    {"tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": False},
    {"parallel_tool_calls": True},
    {"web_search_options": {"user_location": {"approximate": {"city": "Ulm", "country": "DE"}}}},
    {"temperature": 0.5, "top_p": 0.5},
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("params", PARAMS)
def test_parameters_are_of_the_types(params: dict[str, Any], model: str, stream: bool) -> None:
    """Each of them, for models that think in either way."""
    check(sent(to=target(model=model), params=params, stream=stream).body)


@pytest.mark.parametrize(("tool", "expected", "dropped"), test_tools.CASES)
def test_tools_are_of_the_types(tool: Any, expected: Any, dropped: Any) -> None:
    """Functions and the vendor's own."""
    del expected, dropped
    check(sent(tools=(tool,)).body)


@pytest.mark.parametrize(("given", "expected", "dropped"), test_tools.FORMATS)
def test_formats_are_of_the_types(given: Any, expected: Any, dropped: Any) -> None:
    """The shape of the answer."""
    del expected, dropped
    check(sent(response_format=given).body)


@pytest.mark.parametrize("messages", [case[0] for case in test_messages.CASES.values()])
def test_messages_are_of_the_types(messages: Any) -> None:
    """Every turn."""
    check(sent(messages).body)


@pytest.mark.parametrize("messages", [test_messages.LATE])
def test_late_system_messages_are_of_the_types(messages: Any) -> None:
    """Said as the user's."""
    check(sent(messages).body)


NOT_TYPED = ("image/svg+xml",)
"""Media types that the API refuses, and says so."""


@pytest.mark.parametrize(("part", "expected"), test_parts.CASES)
def test_parts_are_of_the_types(part: Any, expected: Any) -> None:
    """Images and documents."""
    if expected.get("source", {}) and NOT_TYPED[0] in str(expected["source"]):
        return
    check(sent([{"role": "user", "content": [part]}]).body)


def conversations() -> Iterator[tuple[str, list[Any]]]:
    """The turn after each recorded answer."""
    for case in load_cases(VECTORS):
        if case.error is not None or case.name == "unknown":
            continue
        fold = Fold()
        fold.add(list(case.chunks))
        record = CallRecord(dialect="anthropic_messages", origin=ORIGIN)
        message = fold.reply(record).message
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "r"}
            for call in message.get("tool_calls", ())
        ]
        yield case.name, [*HELLO, message, *results]


AFTER = dict(conversations())
OF_BETA = {"mcp", "compaction"}


@pytest.mark.parametrize("name", AFTER)
def test_what_goes_back_is_of_the_types(name: str) -> None:
    """Thinking, searches and their results, citations, calls."""
    body = sent(AFTER[name]).body
    if name not in OF_BETA:
        check(body, echoed=True)
    for turn in body["messages"]:
        consumed(BETA_TURN.validate_python(turn))
