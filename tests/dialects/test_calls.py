"""Tool calls of earlier turns, in each of their shapes."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.dialects.calls import Called, called_id, calls_of, object_of
from penstock.dialects.places import Losses, Place
from penstock.errors import EncodeError
from penstock.fields import Raw

PLACE = Place(Losses("d", [], strict=False), lambda: 4)

SHAPES: list[tuple[dict[str, Any], Called]] = [
    (
        {"id": "1", "type": "function", "function": {"name": "a", "arguments": "{}"}},
        Called("1", "a", "{}", {}),
    ),
    (
        {"id": "1", "index": 0, "function": {"name": "a", "arguments": {"n": 1}}, "x": 2},
        Called("1", "a", '{"n":1}', {"x": 2}),
    ),
    ({"function": {"name": "a"}}, Called("", "a", "{}", {})),
    (
        {"id": "1", "type": "custom", "custom": {"name": "a", "input": "é"}},
        Called("1", "a", '{"input":"é"}', {}),
    ),
]


@pytest.mark.parametrize(("call", "opened"), SHAPES)
def test_calls_are_opened(call: dict[str, Any], opened: Called) -> None:
    """Arguments are text, whatever they were; the text of a custom tool is an object's."""
    assert [opened] == calls_of({"tool_calls": [call]}, PLACE)


def test_the_deprecated_call_is_one_too() -> None:
    """Its id is made of the tool's name, as its result's is."""
    function = {"name": "a", "arguments": "{}"}

    assert [Called("call_a", "a", "{}", {})] == calls_of({"function_call": function}, PLACE)
    assert "call_a" == called_id({"name": "a"})
    assert [] == calls_of({"tool_calls": None}, PLACE)


@pytest.mark.parametrize("calls", [{"a": 1}, [5], [{}], [{"function": {}}]])
def test_what_is_no_call_is_an_error(calls: Any) -> None:
    """With its place."""
    with pytest.raises(EncodeError, match=r"messages\[4\]\.tool_calls"):
        calls_of({"tool_calls": calls}, PLACE)


def test_arguments_are_objects_number_for_number() -> None:
    """What they are is not changed: a large number stays one."""
    for text in ('{"n": 123456789012345678901234567890, "f": 1.50}', '{"f": 1e400}'):
        assert Raw(text.encode()) == object_of(Called("1", "a", text, {}), PLACE)
    assert {"n": 1, "f": 1.5} == object_of(Called("1", "a", '{"n": 1, "f": 1.50}', {}), PLACE)
    assert {} == object_of(Called("1", "a", " ", {}), PLACE)


@pytest.mark.parametrize("text", ["[1]", "{", "5", '{"a":"\ud800"}'])
def test_arguments_that_are_no_object_are_an_error(text: str) -> None:
    """It names the tool."""
    with pytest.raises(EncodeError, match="'a' are not a JSON object"):
        object_of(Called("1", "a", text, {}), PLACE)
