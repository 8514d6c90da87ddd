"""The decoder of a body that is one frame."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from penstock.decoders.whole import WholeDecoder
from penstock.errors import LimitExceededError

BODY = b'{"a":1}'


@pytest.mark.parametrize("wire", [BODY, b"x", b""])
def test_no_cut_changes_the_body(wire: bytes, outcomes: Any) -> None:
    """The whole body comes at the end, however its bytes came; no bytes are no frame."""
    (outcome,) = outcomes(WholeDecoder, wire)

    assert ((wire,) if wire else ()) == outcome.frames


def test_no_cut_changes_the_bound(outcomes: Any) -> None:
    """Row 35: a body one byte too long is refused, one as long as the bound is not."""
    (short,) = outcomes(partial(WholeDecoder, max_event=7), BODY)
    (long,) = outcomes(partial(WholeDecoder, max_event=6), BODY)

    assert (BODY,) == short.frames
    assert ("LimitExceededError", "max_event", 6) == (long.error[0], *long.error[3:])


def test_an_error_is_final() -> None:
    """A spent decoder keeps nothing and raises the same error again."""
    decoder = WholeDecoder(max_event=6)
    for call in (lambda: decoder.decode(BODY), lambda: decoder.decode(b""), decoder.flush):
        with pytest.raises(LimitExceededError, match="max_event=6"):
            call()

    assert 0 == decoder.buffered


def test_buffered_bytes_are_counted() -> None:
    """All that has come waits for the end."""
    decoder = WholeDecoder()
    decoder.decode(b"abc")

    assert (3, 0) == (decoder.buffered, decoder.ignored)
    assert [b"abc"] == decoder.flush()
    assert 0 == decoder.buffered
