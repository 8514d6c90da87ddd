"""The blocking stream: batches over a bounded window, and a call that ends with its ``with``."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import pytest

from penstock.chunks import (
    AudioDelta,
    Chunk,
    Finish,
    ImageDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock.errors import RateLimitError, StreamClosedError, TruncatedError, UsageError
from penstock.limits import Limits
from penstock.pipeline.composition import compose
from penstock.request import ChatRequest
from penstock.stats import OpenStreams
from penstock.stream import ChatStream, Surroundings
from penstock.sync.portal import Portal
from penstock.sync.stream import SyncStream
from penstock.testing.scripted import Line, ScriptedProvider

Opener = Callable[..., SyncStream]


async def nothing() -> None:
    """Close nothing."""


@pytest.fixture
def portal() -> Iterator[Portal]:
    """A portal that is closed after the test."""
    portal = Portal(nothing)
    yield portal
    portal.close()


def answer(
    portal: Portal,
    *script: Line,
    limits: Limits | None = None,
    collect: bool = True,
    provider: ScriptedProvider | None = None,
) -> SyncStream:
    """A stream that says what `script` says."""
    limits = limits or Limits()
    stream = ChatStream(
        Surroundings(provider or ScriptedProvider(script), compose(), limits, OpenStreams()),
        lambda: (ChatRequest(model="scripted", messages="hello"), None),
        collect=collect,
    )
    return SyncStream(portal, stream, limits)


def test_iterating_gives_the_chunks_in_order(portal: Portal) -> None:
    """Whatever batches they travel in."""
    with answer(portal, ["a", "b"], 0, "c", 0, Finish("stop")) as stream:
        chunks = list(stream)

    assert [TextDelta("a"), TextDelta("b"), TextDelta("c"), Finish("stop")] == chunks


def test_text_gives_the_first_choices_text(portal: Portal) -> None:
    """Other chunks and other choices are passed over."""
    script: list[Chunk | str] = ["a", TextDelta("x", 1), ReasoningDelta("hm"), "b"]
    with answer(portal, script, Finish("stop")) as stream:
        assert ["a", "b"] == list(stream.text())


def test_collect_reads_what_is_left(portal: Portal) -> None:
    """The reply is the whole answer, whatever was iterated before."""
    with answer(portal, ["a", "b"], ["c"], Finish("stop")) as stream:
        next(iter(stream))
        reply = stream.collect()

    assert ("abc", "stop") == (reply.text, reply.finish_reason)


def test_a_loop_that_was_left_goes_on(portal: Portal) -> None:
    """``break`` loses no chunk for the next loop over the same stream."""
    with answer(portal, ["a", "b", "c"], Finish("stop")) as stream:
        for _ in stream:
            break

        assert [TextDelta("b"), TextDelta("c"), Finish("stop")] == list(stream)


def test_facts_are_there_while_it_streams(portal: Portal) -> None:
    """The record and the fold can be asked at any time, and after the end."""
    gate = anyio.Event()
    usage = Usage(input_tokens=1, output_tokens=2)
    with answer(portal, ["a"], gate, ["b"], usage, Finish("stop")) as stream:
        first = next(iter(stream))
        early = (first, stream.provider, stream.response.text, stream.finish_reason)
        portal.call(gate.set)
        list(stream)

    assert (TextDelta("a"), "scripted", "a", None) == early
    assert ("ab", "stop", usage) == (stream.response.text, stream.finish_reason, stream.usage)


def test_facts_outlive_the_portal(portal: Portal) -> None:
    """A reply can be asked for after the client is closed."""
    with answer(portal, ["a"], Finish("stop")) as stream:
        list(stream)
    portal.close()

    assert "a" == stream.response.text


def test_an_error_before_content_is_raised_on_entering(portal: Portal) -> None:
    """The ``with`` statement raises it, and nothing stays open."""
    provider = ScriptedProvider([RateLimitError("busy")])

    with pytest.raises(RateLimitError, match="busy"):
        answer(portal, provider=provider).__enter__()

    assert 0 == provider.left_open


def test_an_error_amid_the_answer_comes_after_what_arrived(portal: Portal) -> None:
    """Its chunks are handed out first, then it is raised, and raised again."""
    with answer(portal, ["a"], TruncatedError("cut")) as stream:
        chunks = iter(stream)

        assert TextDelta("a") == next(chunks)
        with pytest.raises(TruncatedError, match="cut") as caught:
            next(chunks)
        with pytest.raises(TruncatedError, match="cut"):
            list(stream)

    assert caught.value.partial is not None
    assert "a" == caught.value.partial.text


def test_leaving_the_with_cancels_the_call(portal: Portal) -> None:
    """A break closes the source, which would have gone on for ever."""
    provider = ScriptedProvider([["a"], anyio.Event()])
    with answer(portal, provider=provider) as stream:
        for _ in stream:
            break

    assert 0 == provider.left_open


def test_a_closed_stream_says_so(portal: Portal) -> None:
    """Reading on after the end of the ``with`` is an error, not an end."""
    with answer(portal, ["a", "b"], Finish("stop")) as stream:
        next(iter(stream))

    with pytest.raises(StreamClosedError, match="closed"):
        list(stream)


def test_a_stream_that_ended_stays_ended(portal: Portal) -> None:
    """After its end a stream gives nothing more, closed or not."""
    with answer(portal, ["a"], Finish("stop")) as stream:
        list(stream)

        assert [] == list(stream)
    assert [] == list(stream)


def test_it_must_be_opened(portal: Portal) -> None:
    """Iterating without ``with`` is refused."""
    with pytest.raises(UsageError, match="open the stream first"):
        next(iter(answer(portal, ["a"])))


def test_it_opens_once(portal: Portal) -> None:
    """A second ``with`` is refused."""
    with answer(portal, ["a"], Finish("stop")) as stream:
        pass

    with pytest.raises(UsageError, match="opened before"):
        stream.__enter__()


def test_closing_without_opening_does_nothing(portal: Portal) -> None:
    """`close` on a stream that was never opened is no error."""
    answer(portal, ["a"]).close()


def test_another_thread_may_close(portal: Portal) -> None:
    """The reader raises instead of waiting for ever."""
    with answer(portal, ["a"], anyio.Event()) as stream:
        chunks = iter(stream)
        next(chunks)
        closer = threading.Thread(target=stream.close)
        closer.start()
        with pytest.raises(StreamClosedError):
            next(chunks)
        closer.join()


def test_closing_the_portal_ends_the_stream(portal: Portal) -> None:
    """A stream that is open when its client is closed raises, and keeps nobody waiting."""
    with answer(portal, ["a"], anyio.Event()) as stream:
        chunks = iter(stream)
        next(chunks)
        portal.close()
        with pytest.raises(StreamClosedError):
            next(chunks)


def test_without_collecting_there_is_no_reply(portal: Portal) -> None:
    """With ``collect=False`` the chunks come, and nothing is folded."""
    with answer(portal, ["a"], Finish("stop"), collect=False) as stream:
        assert 2 == len(list(stream))
        with pytest.raises(UsageError, match="collect=False"):
            stream.collect()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="platform: needs POSIX signals")
def test_an_interrupt_leaves_nothing_behind(portal: Portal) -> None:
    """Ctrl-C while a chunk is awaited leaves the ``with``, which cancels the call."""
    provider = ScriptedProvider([["a"], anyio.Event()])

    def read() -> None:
        with answer(portal, provider=provider) as stream:
            portal.call(interrupt_soon)
            list(stream)

    with pytest.raises(KeyboardInterrupt):
        read()

    assert 0 == provider.left_open


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="platform: needs POSIX signals")
def test_an_interrupt_while_opening_leaves_nothing_behind(portal: Portal) -> None:
    """Ctrl-C while the first content is awaited cancels the call."""

    class Slow(ScriptedProvider):
        async def open(self, request):  # type: ignore[no-untyped-def]  # generic in the base
            interrupt()
            return await super().open(request)

    provider = Slow([anyio.Event(), ["a"]])
    with pytest.raises(KeyboardInterrupt):
        answer(portal, provider=provider).__enter__()

    assert 0 == provider.left_open


def interrupt() -> None:
    """Send Ctrl-C to the main thread."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


async def interrupt_soon() -> None:
    """Send it when the caller has had time to wait for a chunk; the result is the same before."""
    asyncio.get_running_loop().call_later(0.02, interrupt)


class Counting(ScriptedProvider):
    """Counts the reads that a stream makes of it."""

    def __init__(self, *scripts: list[Line]) -> None:
        super().__init__(*scripts)
        self.read = 0

    async def open(self, request):  # type: ignore[no-untyped-def]  # generic in the base
        """Open, and count what is read from then on."""
        stream = await super().open(request)

        def count(batch: list[Chunk]) -> list[Chunk]:
            self.read += len(batch)
            return batch

        stream.stages.append(count)
        return stream


def read_ahead(portal: Portal, provider: Counting, limits: Limits) -> int:
    """How much is read while the caller holds the first chunk."""
    with answer(portal, provider=provider, limits=limits) as stream:
        next(iter(stream))
        for _ in range(50):  # turns of the loop, of which each could read one more
            portal.call(turn)
        return provider.read


async def turn() -> None:
    """Let every task that is ready go on."""
    await anyio.lowlevel.checkpoint()


def test_the_window_is_bounded_in_items(portal: Portal) -> None:
    """A caller that does not ask leaves the source unread from the bound on."""
    script: list[Line] = [line for _ in range(40) for line in (["x"], 0)]

    assert 8 == read_ahead(portal, Counting(script), Limits(max_queue_items=8))


@pytest.mark.parametrize(
    "chunk",
    [
        TextDelta("x" * 1000),
        ReasoningDelta("x" * 1000),
        ToolCallDelta(0, arguments="x" * 1000),
        AudioDelta("x" * 1000),
        ImageDelta("x" * 1000),
    ],
    ids=lambda chunk: type(chunk).__name__,
)
def test_the_window_is_bounded_in_bytes(portal: Portal, chunk: Chunk) -> None:
    """Whatever kind of chunk is large."""
    script: list[Line] = [line for _ in range(40) for line in ([chunk], 0)]

    assert 4 == read_ahead(portal, Counting(script), Limits(max_queue_bytes=4000))


def test_a_chunk_above_the_window_passes(portal: Portal) -> None:
    """One item is always let through, however large."""
    limits = Limits(max_queue_bytes=10)
    with answer(portal, ["x" * 1000, "y" * 1000], Finish("stop"), limits=limits) as stream:
        assert 3 == len(list(stream))


@pytest.mark.parametrize("items", [1, 2, 7, 64])
def test_no_window_changes_the_answer(portal: Portal, items: int) -> None:
    """A window of any size gives every chunk, in order."""
    words = [str(number) for number in range(500)]
    script: list[Line] = [words[:200], *words[200:210], 0, words[210:], Finish("stop")]
    with answer(portal, *script, limits=Limits(max_queue_items=items)) as stream:
        assert words == list(stream.text())


def test_middleware_runs_on_the_portals_thread(portal: Portal) -> None:
    """A caller's middleware is used where the call is, and its result comes over."""
    threads: list[threading.Thread] = []

    async def shout(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        async for chunk in chunks:
            threads.append(threading.current_thread())
            yield TextDelta(chunk.text.upper()) if chunk.text else chunk

    provider = ScriptedProvider([["a"], Finish("stop")])
    stream = ChatStream(
        Surroundings(provider, compose(shout), Limits(), OpenStreams()),
        lambda: (ChatRequest(model="scripted", messages="hello"), None),
    )
    with SyncStream(portal, stream, Limits()) as opened:
        assert "A" == opened.collect().text
    assert threading.current_thread() not in threads
