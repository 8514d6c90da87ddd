"""The bounds and clocks: their defaults, what they refuse, how they combine."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import FrozenInstanceError, fields

import pytest

from penstock.errors import ConfigurationError
from penstock.limits import Limits, Timeouts

KIB = 1024
MIB = 1024 * KIB

BOUNDS = {  # the bounds table of the fault matrix, and design section 3
    "body_buffer": 64 * KIB,
    "max_line": 16 * MIB,
    "max_event": 16 * MIB,
    "max_frame": 16 * MIB,
    "max_frame_headers": 128 * KIB,
    "max_response_headers": 100 * KIB,
    "max_response_header_count": 128,
    "max_error_body": 64 * KIB,
    "max_ratio": 100,
    "max_json_depth": 256,
    "max_tool_arguments": MIB,
    "max_tool_calls": 128,
    "max_queue_items": 64,
    "max_queue_bytes": MIB,
    "max_silence": MIB,
    "drain": 64 * KIB,
}

CLOCKS = {  # design section 4
    "pool": 30.0,
    "connect": 10.0,
    "write": 30.0,
    "response": 60.0,
    "ttft": 60.0,
    "idle": 60.0,
    "progress": 300.0,
    "total": 1800.0,
    "min_rate": None,
}


@pytest.mark.parametrize(("name", "default"), BOUNDS.items())
def test_bounds_have_the_documented_defaults(name: str, default: int) -> None:
    """Each bound of the fault matrix is there, with its default."""
    assert default == getattr(Limits(), name)


@pytest.mark.parametrize("name", [bound.name for bound in fields(Limits)])
@pytest.mark.parametrize("value", [0, -1, True, 1.5, "1", None])
def test_bounds_are_whole_numbers_above_zero(name: str, value: object) -> None:
    """Anything else is refused, with the bound's name in the message."""
    with pytest.raises(ConfigurationError, match=rf"Limits\.{name} "):
        Limits(**{name: value})  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize("size", [4096, 4097, 64 * MIB])
def test_buffers_from_four_kib_are_accepted(size: int) -> None:
    """The body buffer can be as small as 4 KiB."""
    assert size == Limits(body_buffer=size).body_buffer


def test_smaller_buffers_are_refused() -> None:
    """Below 4 KiB framing would cost more than it carries."""
    with pytest.raises(ConfigurationError, match="at least 4096 bytes, not 4095"):
        Limits(body_buffer=4095)


def test_limits_are_frozen() -> None:
    """A bound cannot change under a call that runs."""
    with pytest.raises(FrozenInstanceError):
        Limits().max_line = 1  # type: ignore[misc]  # that is what is tested


@pytest.mark.parametrize(("name", "default"), CLOCKS.items())
def test_clocks_have_the_documented_defaults(name: str, default: float | None) -> None:
    """Each clock of the design is there, with its default."""
    assert default == getattr(Timeouts(), name)


@pytest.mark.parametrize("name", CLOCKS)
@pytest.mark.parametrize("value", [0, -1, True, math.nan, math.inf, "5"])
def test_clocks_are_finite_seconds_above_zero(name: str, value: object) -> None:
    """Anything else is refused, with the clock's name in the message."""
    with pytest.raises(ConfigurationError, match=rf"Timeouts\.{name} "):
        Timeouts(**{name: value})  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize("name", CLOCKS)
def test_none_switches_a_clock_off(name: str) -> None:
    """None is a value of its own, not a missing one."""
    clocks = Timeouts(**{name: None})  # type: ignore[arg-type]  # the name is a variable

    assert getattr(clocks, name) is None
    assert {name} == clocks.given


def test_unknown_clocks_are_refused() -> None:
    """A mistyped clock does not pass in silence."""
    with pytest.raises(ConfigurationError, match="no clock 'read'"):
        Timeouts(read=5)  # type: ignore[call-arg]  # that is what is tested


def test_clocks_are_frozen() -> None:
    """A clock cannot change under a call that runs."""
    with pytest.raises(FrozenInstanceError):
        Timeouts().ttft = 1.0  # type: ignore[misc]  # that is what is tested


@pytest.mark.parametrize(
    ("mine", "later", "expected"),
    [
        (Timeouts(), None, Timeouts()),
        (Timeouts(ttft=15), None, Timeouts(ttft=15)),
        (Timeouts(ttft=15), Timeouts(), Timeouts(ttft=15)),
        (Timeouts(ttft=15), Timeouts(idle=5), Timeouts(ttft=15, idle=5)),
        (Timeouts(ttft=15), Timeouts(ttft=5), Timeouts(ttft=5)),
        (Timeouts(ttft=15), Timeouts(ttft=None), Timeouts(ttft=None)),
        (Timeouts(ttft=15), Timeouts(ttft=60), Timeouts(ttft=60)),
    ],
)
def test_a_later_clock_wins(mine: Timeouts, later: Timeouts | None, expected: Timeouts) -> None:
    """A call's clocks win over the deployment's, for the clocks that they name."""
    assert expected == mine.override(later)


def test_overrides_chain() -> None:
    """Client, deployment and call: each names what it changes and leaves the rest."""
    client, deployment, call = Timeouts(ttft=15, idle=5), Timeouts(idle=9), Timeouts(total=100)

    chained = client.override(deployment).override(call)

    assert Timeouts(ttft=15, idle=9, total=100) == chained
    assert {"ttft", "idle", "total"} == chained.given


@pytest.mark.parametrize("value", [Limits(max_line=5), Timeouts(ttft=5, idle=None)])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_equal(value: Limits | Timeouts, protocol: int) -> None:
    """Configuration travels to another process whole."""
    again = pickle.loads(pickle.dumps(value, protocol))

    assert value == again


@pytest.mark.parametrize("value", [Limits(max_line=5), Timeouts(ttft=5, idle=None)])
def test_copies_are_equal(value: Limits | Timeouts) -> None:
    """Copies, deep ones too, are equal, and keep which clocks were named."""
    assert value == copy.copy(value) == copy.deepcopy(value)
    assert getattr(value, "given", None) == getattr(copy.deepcopy(value), "given", None)
