"""Header fields out and in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest

from penstock.errors import InvalidHeaderError, LimitExceededError
from penstock.limits import Limits
from penstock.transports.headers import Names, checked, received

T = TypeVar("T")


def test_good_headers_pass() -> None:
    """Tokens and printable values, spaces and tabs within, become bytes."""
    assert [(b"X-A", b"b c\td"), (b"authorization", b"Bearer x")] == checked(
        [("X-A", "b c\td"), ("authorization", "Bearer x")]
    )


@pytest.mark.parametrize("control", [*map(chr, range(32)), "\x7f"])
def test_no_control_character_passes(control: str) -> None:
    """Row 40: RFC 9110 section 5.5 forbids them; a tab within a value is the exception."""
    if control == "\t":
        assert [(b"x", b"a\tb")] == checked([("x", "a\tb")])
        return
    for header in (("x", f"a{control}b"), (f"x{control}", "a"), ("x", f"a{control}")):
        with pytest.raises(InvalidHeaderError):
            checked([header])


def test_the_value_is_not_shown() -> None:
    """Row 39: a key with a newline at its end is not printed."""
    with pytest.raises(InvalidHeaderError) as caught:
        checked([("authorization", "Bearer sk-canary\n")])

    assert "canary" not in repr(caught.value)


def test_bounds_are_exact() -> None:
    """A block at its bound passes, one byte or field more does not."""
    fields = [(b"a", b"1"), (b"b", b"2")]
    assert {"a": "1", "b": "2"} == received(
        fields, Limits(max_response_header_count=2, max_response_headers=12)
    )
    for limits in (Limits(max_response_header_count=1), Limits(max_response_headers=11)):
        with pytest.raises(LimitExceededError):
            received(fields, limits)


def test_names_are_in_lower_case_and_joined() -> None:
    """Fields of one name are one, in their order; bytes beyond ASCII survive."""
    assert {"x": "1, 2", "y": "\xe9"} == received(
        [(b"X", b"1"), (b"Y", b"\xe9"), (b"x", b"2")], Limits()
    )


@pytest.mark.parametrize("fields", range(6))
def test_the_names_of_the_last_answer_change_nothing(fields: int) -> None:
    """Another answer of a peer is read as if it were its first, at every bound."""
    answers = [
        [],
        [(b"A", b"1"), (b"b", b"2")],
        [(b"A", b""), (b"b", b"\xe9")],
        [(b"A", b"1"), (b"a", b"2")],
        [(b"A", b"1\n"), (b"b", b"2")],
        [(b"A", b"1" * 5), (b"b", b"2" * 6)],
    ]
    bounds = [{"max_response_headers": size} for size in (9, 10, 11, 12, 20, 21, 22)]
    for bound in [{}, {"max_response_header_count": 1}, *bounds]:
        limits = Limits(**bound)
        for before in answers:
            names = Names()
            parted(names, before, Limits())
            found = outcome(partial(parted, names), answers[fields], limits)
            assert outcome(received, answers[fields], limits) == found


def parted(names: Names, fields: list[tuple[bytes, bytes]], limits: Limits) -> dict[str, str]:
    """Read an answer's fields as a parser has them: names and values apart."""
    return names.received([name for name, _ in fields], [value for _, value in fields], limits)


def outcome(read: Callable[[T, Limits], dict[str, str]], raw: T, limits: Limits) -> object:
    """Return the fields, or what is said of a bound."""
    try:
        return read(raw, limits)
    except LimitExceededError as error:
        return str(error)
