"""What may stand in a request's fields."""

from __future__ import annotations

import pytest

from penstock.encoders import Raw as ReExported
from penstock.fields import Each, Joined, Raw


def test_the_encoders_offer_raw_too() -> None:
    """`Raw` is one class, wherever it is imported from."""
    assert Raw is ReExported


@pytest.mark.parametrize("data", ["{}", b"", bytearray(b"{}"), None])
def test_raw_takes_the_bytes_of_a_value(data: object) -> None:
    """Text, nothing and what can still change are refused where they are made."""
    with pytest.raises(TypeError, match="Raw takes the bytes of one JSON value"):
        Raw(data)  # type: ignore[arg-type]


def test_raw_compares_by_its_bytes() -> None:
    """Two fragments of the same bytes are the same fragment."""
    assert Raw(b"{}") == Raw(b"{}")
    assert len({Raw(b"{}"), Raw(b"{}")}) == 1


def test_a_conversation_does_not_show_its_messages() -> None:
    """A log or a traceback with locals has no prompt in it (fault matrix, row 39)."""
    assert "secret" not in repr(Each([{"role": "user", "content": "secret"}]))
    assert "secret" not in repr(Joined(("secret", "secret")))
