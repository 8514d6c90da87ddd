"""A recording that cannot be written any more, while its call is under way."""

from __future__ import annotations

import errno
import io
import logging

import pytest
from tests.road import Road, at_rest, fails

from penstock.errors import ConfigurationError
from penstock.providers import capture

pytestmark = pytest.mark.asyncio


class Full(io.StringIO):
    """A file on a disk that is full from the first line with `mark` on."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = mark

    def write(self, line: str, /) -> int:
        """Take a line."""
        if self.mark in line:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(line)


@pytest.fixture
def full(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Full:
    """The file of the next recording."""
    made = Full(request.param)
    monkeypatch.setattr(capture, "open", lambda *_, **__: made, raising=False)
    return made


@pytest.mark.parametrize("full", ['"status"', '"text"'], indirect=True, ids=["head", "piece"])
async def test_a_full_disk_ends_the_call_and_leaves_nothing(full: Full, road: Road) -> None:
    """The error names the file; connection, place and file are let go."""
    client = road.client("text?tokens=1000&rate=20", transport="direct")

    error = await fails(client.chat(None, "hi", capture="full.jsonl"))

    assert isinstance(error, ConfigurationError)
    assert "capture='full.jsonl' cannot be written: No space left on device" in error.message
    assert full.closed
    await at_rest(client)


@pytest.mark.parametrize("full", ['"end"'], indirect=True)
async def test_a_disk_that_is_full_at_the_end_takes_no_answer(
    full: Full, road: Road, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer is whole by then: that its recording is not is a warning."""
    client = road.client("text?tokens=3", transport="direct")

    with caplog.at_level(logging.WARNING, "penstock.providers"):
        reply = await client.chat(None, "hi", capture="full.jsonl")

    assert "stop" == reply.finish_reason
    said = [each.getMessage() for each in caplog.records if each.name.startswith("penstock.")]
    assert ["the recording has no end"] == [each.partition("; ")[2] for each in said]
    assert full.closed
