"""The concrete stream keeps the seam's promises for any source."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from penstock.errors import (
    LimitExceededError,
    PenstockError,
    StreamClosedError,
    TruncatedError,
    UsageError,
)
from penstock.interfaces import CallRecord, Outcome
from penstock.pipeline.stream import MAX_PROLOGUE, BatchStream, Interrupted

pytestmark = pytest.mark.asyncio

ERROR = TruncatedError("cut short")


class Last(str):
    """A word behind which nothing comes."""

    __slots__ = ()


class Letters:
    """A source of letters; a batch is a word, an exception is raised."""

    def __init__(self, *lines: str | Exception | asyncio.Event) -> None:
        self.lines = list(lines)
        self.complete = False
        self.aborted: list[PenstockError | None] = []
        self.closed = 0
        self.wake = asyncio.Event()

    async def receive(self) -> str | Exception:
        """The next line; an empty one at the end."""
        if self.aborted:
            raise self.aborted[0] or StreamClosedError("aborted")
        if not self.lines:
            return ""
        line = self.lines.pop(0)
        if isinstance(line, asyncio.Event):
            await self.wake.wait()
            return await self.receive()
        return line

    def take(self, line: str | Exception, /) -> list[str]:
        """A word's letters."""
        if isinstance(line, Exception):
            raise line
        self.complete = not line or isinstance(line, Last)
        return list(line)

    def abort(self, error: PenstockError | None = None) -> None:
        """Note it, and wake a reader."""
        self.aborted.append(error)
        self.wake.set()

    async def aclose(self) -> None:
        """Note it."""
        self.closed += 1


class Heard:
    """A stream over letters, and how it ended."""

    def __init__(self, *lines: str | Exception | asyncio.Event) -> None:
        self.source = Letters(*lines)
        self.stream: BatchStream[str] = BatchStream(self.source, CallRecord(model="a/b"))
        self.outcomes: list[Outcome] = []
        self.stream.on_close.append(self.outcomes.append)

    @property
    def kinds(self) -> list[str]:
        """How it ended, as often as it was told."""
        return [outcome.kind for outcome in self.outcomes]

    async def words(self) -> list[str]:
        """Read to the end."""
        words = []
        while batch := await self.stream.read():
            words.append("".join(batch))
        return words


class HoldBack:
    """A stage that keeps the last letter until there is another."""

    def __init__(self) -> None:
        self.held: list[str] = []

    def __call__(self, batch: list[str]) -> list[str]:
        """Give all but the last."""
        *ready, last = self.held + batch
        self.held = [last]
        return ready

    def flush(self) -> list[str]:
        """Give the last."""
        return self.held


def stop_after(letter: str, error: Exception | None = None) -> object:
    """A stage that ends the stream after `letter`."""

    def stage(batch: list[str]) -> list[str]:
        if letter in batch:
            raise Interrupted(batch[: batch.index(letter) + 1], error)
        return batch

    return stage


def upper(batch: list[str]) -> list[str]:
    """A stage that shouts."""
    return [letter.upper() for letter in batch]


async def test_batches_come_as_the_source_made_them() -> None:
    """A read is what one read of the source completed; after the end all reads are empty."""
    heard = Heard("ab", "c")

    assert ["ab", "c"] == await heard.words()
    assert [] == await heard.stream.read()
    assert ["end"] == heard.kinds


async def test_a_source_that_is_over_is_left_alone() -> None:
    """A stream that was read to its end neither aborts its source nor closes it."""
    heard = Heard("ab")
    await heard.words()

    await heard.stream.aclose()
    await heard.stream.aclose()

    assert 0 == heard.source.closed
    assert [] == heard.source.aborted


async def test_abandoning_aborts() -> None:
    """A stream that is closed before its end aborts its source, and closes it once."""
    heard = Heard("ab", "c")
    await heard.stream.read()

    await heard.stream.aclose()
    await heard.stream.aclose()

    assert ["abandon"] == heard.kinds
    assert 1 == heard.source.closed
    assert 1 == len(heard.source.aborted)
    with pytest.raises(StreamClosedError):
        await heard.stream.read()


@pytest.mark.parametrize("line", [Interrupted(["b"], ERROR), ERROR])
async def test_an_error_is_final(line: Exception) -> None:
    """What came before an error in its batch is read first; then every read raises that error."""
    heard = Heard("a", line)
    words = await heard.stream.read()
    if isinstance(line, Interrupted):
        words += await heard.stream.read()
        assert ["a", "b"] == words

    for _ in range(2):
        with pytest.raises(TruncatedError) as caught:
            await heard.stream.read()
        assert ERROR is caught.value
    assert ["error"] == heard.kinds
    assert ERROR is heard.outcomes[0].error
    assert ERROR.committed
    assert 1 == len(heard.source.aborted)


async def test_closing_keeps_the_error() -> None:
    """A failed stream that is closed still says how it failed."""
    heard = Heard("a", TruncatedError("cut short"))
    await heard.stream.read()
    with pytest.raises(TruncatedError):
        await heard.stream.read()

    await heard.stream.aclose()

    with pytest.raises(TruncatedError):
        await heard.stream.read()
    assert ["error"] == heard.kinds


async def test_stages_are_applied_in_order() -> None:
    """Each stage sees what the one before it made; a batch that they empty is not handed out."""
    heard = Heard("ab", "x", "c")
    heard.stream.stages += [lambda batch: [a for a in batch if a != "x"], upper]

    assert ["AB", "C"] == await heard.words()


@pytest.mark.parametrize(
    "lines", [["abc"], ["a", "b", "c"], ["ab", "c"], [Last("abc")], ["a", Last("bc")]]
)
async def test_what_a_stage_holds_back_comes_at_the_end(lines: list[str]) -> None:
    """`flush` is asked once, and goes through the stages behind it."""
    heard = Heard(*lines)
    heard.stream.stages += [HoldBack(), upper]

    assert "ABC" == "".join(await heard.words())
    assert ["end"] == heard.kinds


async def test_what_a_stage_holds_back_comes_before_an_error() -> None:
    """A truncated answer loses nothing of what came."""
    heard = Heard("abc", TruncatedError("cut short"))
    heard.stream.stages += [HoldBack(), upper]

    assert ["A", "B"] == await heard.stream.read()
    assert ["C"] == await heard.stream.read()
    with pytest.raises(TruncatedError):
        await heard.stream.read()


@pytest.mark.parametrize("lines", [["abcd"], ["a", "b", "c", "d"], ["ab", "cd"], ["abc", "d"]])
async def test_a_failing_stage_delivers_what_it_made(lines: list[str]) -> None:
    """However the batches are cut, the reader sees the same items before the same error."""
    error = ValueError("no c")
    heard = Heard(*lines)
    heard.stream.stages += [HoldBack(), stop_after("b", error), HoldBack(), upper]
    seen: list[str] = []

    async def read_on() -> None:
        while True:
            seen.extend(await heard.stream.read())

    with pytest.raises(ValueError, match="no c") as caught:
        await read_on()

    assert ["A", "B"] == seen
    assert error is caught.value
    assert ["error"] == heard.kinds


async def test_a_stage_that_breaks_ends_the_stream() -> None:
    """An exception of a plain stage reaches the reader unchanged, and the wire is aborted."""
    heard = Heard("ab", "cd")

    def broken(batch: list[str]) -> list[str]:
        raise KeyError(batch[0])

    heard.stream.stages.append(broken)

    with pytest.raises(KeyError):
        await heard.stream.read()
    assert ["error"] == heard.kinds
    assert 1 == len(heard.source.aborted)


@pytest.mark.parametrize("lines", [["abcd"], ["a", "b", "c", "d"]])
async def test_a_stage_can_end_the_answer(lines: list[str]) -> None:
    """A stage that wants no more ends the stream normally, and the wire is aborted."""
    heard = Heard(*lines)
    heard.stream.stages += [stop_after("b"), upper]

    assert "AB" == "".join(await heard.words())
    assert ["abandon"] == heard.kinds
    assert 1 == len(heard.source.aborted)


async def test_a_stage_may_fail_while_flushing() -> None:
    """An error in the last moment is an error all the same."""

    class Late(HoldBack):
        def flush(self) -> list[str]:
            raise Interrupted(self.held, ValueError("late"))

    heard = Heard("ab")
    heard.stream.stages += [Late(), upper]

    assert [["A"], ["B"]] == [await heard.stream.read(), await heard.stream.read()]
    with pytest.raises(ValueError, match="late"):
        await heard.stream.read()
    assert ["error"] == heard.kinds


async def test_a_plain_error_while_flushing_is_the_error() -> None:
    """A stage that breaks in `flush` fails the stream."""

    class Late(HoldBack):
        def flush(self) -> list[str]:
            raise ValueError("late")

    heard = Heard("ab")
    heard.stream.stages.append(Late())

    assert ["a"] == await heard.stream.read()
    with pytest.raises(ValueError, match="late"):
        await heard.stream.read()


async def test_a_source_may_end_with_its_last_items() -> None:
    """Where it is complete with them the outcome is known with them, and nothing more is asked."""
    heard = Heard("a", Last("bc"))

    assert [["a"], ["b", "c"]] == [await heard.stream.read(), await heard.stream.read()]
    assert ["end"] == heard.kinds
    assert [] == await heard.stream.read()


async def test_last_items_that_a_stage_drops_are_the_end() -> None:
    """Nobody gets an empty batch before it."""
    heard = Heard("a", Last("b"))
    heard.stream.stages.append(lambda batch: [each for each in batch if each != "b"])

    assert [["a"], []] == [await heard.stream.read(), await heard.stream.read()]
    assert ["end"] == heard.kinds


async def test_a_stage_that_ends_the_answer_in_the_last_items_abandons_it() -> None:
    """What it left out was the reader's, though the source had no more."""
    heard = Heard(Last("ab"))
    heard.stream.stages.append(stop_after("a"))

    assert ["a"] == await heard.words()
    assert ["abandon"] == heard.kinds


async def test_closing_wakes_a_pending_read() -> None:
    """`aclose` from another task makes a read that waits raise StreamClosedError (row 26)."""
    heard = Heard(asyncio.Event())
    reading = asyncio.create_task(heard.stream.read())
    await asyncio.sleep(0)

    await heard.stream.aclose()

    with pytest.raises(StreamClosedError):
        await reading
    assert ["abandon"] == heard.kinds


async def test_a_read_that_ends_as_it_is_closed_gives_nothing() -> None:
    """A source that answers after the close has no say any more."""
    heard = Heard("ab")
    heard.stream.stages.append(upper)
    gate = asyncio.Event()
    receive = heard.source.receive

    async def late() -> str | Exception:
        await gate.wait()
        heard.source.aborted.clear()
        return await receive()

    heard.source.receive = late  # type: ignore[method-assign]
    reading = asyncio.create_task(heard.stream.read())
    await asyncio.sleep(0)
    await heard.stream.aclose()
    gate.set()

    with pytest.raises(StreamClosedError):
        await reading


async def test_cancellation_passes_through() -> None:
    """A cancelled read re-raises at once, aborts the wire and closes the stream (row 27)."""
    heard = Heard(asyncio.Event(), "a")
    reading = asyncio.create_task(heard.stream.read())
    await asyncio.sleep(0)

    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading
    assert ["cancel"] == heard.kinds
    assert 1 == len(heard.source.aborted)
    with pytest.raises(StreamClosedError):
        await heard.stream.read()


async def test_a_cancelled_read_after_the_close_says_nothing_new() -> None:
    """The outcome is the first one."""
    heard = Heard(asyncio.Event())
    reading = asyncio.create_task(heard.stream.read())
    await asyncio.sleep(0)

    reading.cancel()
    await heard.stream.aclose()

    with pytest.raises(asyncio.CancelledError):
        await reading
    assert ["abandon"] == heard.kinds


async def test_two_readers_are_refused() -> None:
    """A batch has one reader; the second is told so and the first goes on."""
    heard = Heard(asyncio.Event(), "a")
    reading = asyncio.create_task(heard.stream.read())
    await asyncio.sleep(0)

    with pytest.raises(UsageError, match="tee"):
        await heard.stream.read()

    heard.source.wake.set()
    assert ["a"] == await reading


async def test_everyone_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A callback that fails is logged and hides the outcome from nobody."""
    heard = Heard("a")
    heard.stream.on_close.insert(0, lambda _: 1 / 0)

    await heard.words()

    assert ["end"] == heard.kinds
    assert "an on_close callback failed" in caplog.text


async def test_a_close_that_failed_can_be_repeated() -> None:
    """Only a close that came to its end is not repeated."""
    heard = Heard("a")
    close = heard.source.aclose

    async def broken() -> None:
        heard.source.aclose = close  # type: ignore[method-assign]
        raise OSError("cannot")

    heard.source.aclose = broken  # type: ignore[method-assign]
    with pytest.raises(OSError, match="cannot"):
        await heard.stream.aclose()
    await heard.stream.aclose()

    assert 1 == heard.source.closed
    assert ["abandon"] == heard.kinds


def is_vowel(letter: str) -> bool:
    """Letters that count as content here."""
    return letter in "aeiou"


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        (["x", "ya", "b"], "xya"),
        (["x"], "x"),
        ([], ""),
        (["x", Interrupted(["a"], TruncatedError("cut short"))], "xa"),
        (["x", Last("y")], "xy"),
    ],
)
async def test_priming_reads_up_to_content(lines: Sequence[str | Exception], first: str) -> None:
    """What was read ahead is the first batch, through stages that were added since."""
    heard = Heard(*lines)

    await heard.stream.prime(is_vowel)
    heard.stream.stages.append(upper)

    assert list(first.upper()) == await heard.stream.read()


@pytest.mark.parametrize(
    "lines", [["x", ERROR], ["x", Interrupted(["y"], ERROR)]], ids=["alone", "with items"]
)
async def test_priming_raises_what_comes_before_content(lines: list[str | Exception]) -> None:
    """A failure before content is raised, is not committed, and the source is aborted."""
    ERROR.committed = False
    heard = Heard(*lines)

    with pytest.raises(TruncatedError) as caught:
        await heard.stream.prime(is_vowel)

    assert ERROR is caught.value
    assert not ERROR.committed
    assert 1 == len(heard.source.aborted)


async def test_an_error_behind_content_waits_for_the_reader() -> None:
    """Once content is in hand `open` succeeds; an error then is the reader's (row 14)."""
    heard = Heard(Interrupted(["a"], TruncatedError("cut short")))

    await heard.stream.prime(is_vowel)

    assert [] == heard.kinds
    assert ["a"] == await heard.stream.read()
    with pytest.raises(TruncatedError) as caught:
        await heard.stream.read()
    assert caught.value.committed


async def test_priming_is_bounded() -> None:
    """An answer that never comes to the point is refused."""
    heard = Heard(*["x" * 512] * (MAX_PROLOGUE // 512 + 1))

    with pytest.raises(LimitExceededError) as caught:
        await heard.stream.prime(is_vowel)

    assert ("prologue", MAX_PROLOGUE) == (caught.value.phase, caught.value.limit)


async def test_cancelled_priming_aborts() -> None:
    """A cancelled `open` holds nothing."""
    heard = Heard(asyncio.Event())
    priming = asyncio.create_task(heard.stream.prime(is_vowel))
    await asyncio.sleep(0)

    priming.cancel()

    with pytest.raises(asyncio.CancelledError):
        await priming
    assert 1 == len(heard.source.aborted)
