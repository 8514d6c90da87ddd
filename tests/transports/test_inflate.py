"""Decompression in bounded steps."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from tests.transports.test_http import packed

from penstock.errors import LimitExceededError, ProtocolError
from penstock.transports.inflate import Inflater, inflater

TEXT = b"data: one\n\n" * 50 + bytes(range(256))


def fed(decoder: Inflater, data: bytes, size: int) -> bytes:
    """What comes of `data` in pieces of `size`."""
    pieces = (data[i : i + size] for i in range(0, len(data), size))
    return b"".join(out for piece in pieces for out in decoder.feed(piece))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
@pytest.mark.parametrize("size", [1, 2, 3, 11, 10_000])
def test_cuts_do_not_matter(coding: str, size: int) -> None:
    """The same bytes decode to the same, however the network cuts them."""
    decoder = Inflater(gzip=coding == "gzip", max_ratio=100)

    assert TEXT == fed(decoder, packed(TEXT, coding), size)
    assert decoder.complete


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
def test_every_cut_end_is_seen(coding: str) -> None:
    """Row 10: no prefix of a compressed body passes as a whole one."""
    body = packed(TEXT, coding)
    for size in range(len(body)):
        decoder = Inflater(gzip=coding == "gzip", max_ratio=100)
        fed(decoder, body[:size], 7)
        assert not decoder.complete


def test_what_is_flushed_comes_at_once() -> None:
    """An event that the peer flushed is not held back until the next."""
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(b"data: 1\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)

    assert [b"data: 1\n\n"] == list(Inflater(gzip=True, max_ratio=100).feed(first))


@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_members_follow_each_other(size: int) -> None:
    """A gzip body may have several members, and padding (RFC 1952 section 2.2)."""
    decoder = Inflater(gzip=True, max_ratio=100)
    body = gzip.compress(b"one", mtime=0) + gzip.compress(b"two", mtime=0) + b"\x00\x00"

    assert b"onetwo" == fed(decoder, body, size)
    assert decoder.complete


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", b"plain text"),
        ("gzip", gzip.compress(b"one", mtime=0) + b"tail"),
        ("deflate", zlib.compress(b"one") + b"tail"),
        ("gzip", gzip.compress(TEXT, mtime=0)[:-8] + bytes(8)),
    ],
    ids=["no gzip", "tail of gzip", "tail of deflate", "checksum"],
)
def test_what_does_not_fit_is_refused(coding: str, data: bytes) -> None:
    """Bytes that are not what the header says, or come after the end, are a `ProtocolError`."""
    with pytest.raises(ProtocolError):
        fed(Inflater(gzip=coding == "gzip", max_ratio=100), data, 10_000)


def test_a_bomb_costs_a_step() -> None:
    """A body of 64 MiB in 64 KiB ends past 1 MiB, and no step is above 64 KiB."""
    body = packed(bytes(64 * 1024 * 1024), "gzip")
    decoder = Inflater(gzip=True, max_ratio=100)
    tracemalloc.start()
    sizes: list[int] = []
    with pytest.raises(LimitExceededError) as caught:
        sizes.extend(map(len, decoder.feed(body)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert 64 * 1024 == max(sizes)
    assert sum(sizes) <= 100 * len(body)
    assert peak < 512 * 1024
    assert 100 == caught.value.limit


def test_a_short_answer_may_shrink_well() -> None:
    """The ratio is not judged within the first MiB."""
    decoder = Inflater(gzip=True, max_ratio=100)

    assert 1024 * 1024 == len(fed(decoder, packed(bytes(1024 * 1024), "gzip"), 10_000))


@pytest.mark.parametrize("coding", ["", " identity ", "Identity"])
def test_nothing_to_decode(coding: str) -> None:
    """``identity`` is no coding."""
    assert None is inflater(coding, max_ratio=100)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, deflate", "compress", "x" * 1000])
def test_other_codings(coding: str) -> None:
    """One coding, gzip or deflate."""
    with pytest.raises(ProtocolError):
        inflater(coding, max_ratio=100)
