"""The body: the same bytes as often as they are needed, in one buffer."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import pytest

from penstock.encoders import Body, Raw
from penstock.encoders.backends import Backend
from penstock.errors import EncodeError, UsageError
from penstock.fields import Each

Runner: TypeAlias = "Callable[[Callable[[], Awaitable[Any]]], Any]"
Messages: TypeAlias = "list[dict[str, Any]]"

SMALL = 4096


def talk(count: int = 300, text: str = "größer\n") -> Messages:
    """A conversation; above the small buffer by default."""
    return [{"role": "user", "content": f"{number} {text * 4}"} for number in range(count)]


def compact(messages: Messages) -> bytes:
    """The body that `fields` is."""
    value = {"model": "m", "messages": messages, "temperature": 0.7}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def fields(source: Any, translate: Any = None) -> dict[str, Any]:
    """A body's fields with a conversation in them."""
    return {"model": "m", "messages": Each(source, translate), "temperature": 0.7}


def body(source: Any, **options: Any) -> Body:
    """A body with a small buffer."""
    return Body(fields(source), **{"buffer_size": SMALL} | options)


async def read(made: Body) -> bytes:
    """One pass."""
    return b"".join([piece async for piece in made.open()])


class Again:
    """An iterable that can be iterated again, but not indexed."""

    def __init__(self, messages: Messages) -> None:
        self.messages = messages

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from self.messages


class AgainAsync(Again):
    """The same for ``async for``."""

    __iter__ = None  # type: ignore[assignment]  # it is not both

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        for message in self.messages:
            yield message


async def waited(messages: Messages) -> AsyncIterator[dict[str, Any]]:
    """A generator that has to be waited for."""
    for message in messages:
        yield message


REPLAYABLE: dict[str, Callable[[Messages], Any]] = {
    "list": list,
    "tuple": tuple,
    "iterable": Again,
    "function of a list": lambda messages: lambda: messages,
    "function of an iterator": lambda messages: lambda: iter(messages),
    "async iterable": AgainAsync,
    "async function": lambda messages: lambda: waited(messages),
}
ONE_SHOT: dict[str, Callable[[Messages], Any]] = {
    "iterator": iter,
    "generator": lambda messages: (message for message in messages),
    "async generator": waited,
}
every_source = pytest.mark.parametrize(
    "make", (REPLAYABLE | ONE_SHOT).values(), ids=REPLAYABLE | ONE_SHOT
)
every_replayable = pytest.mark.parametrize("make", REPLAYABLE.values(), ids=REPLAYABLE)
every_one_shot = pytest.mark.parametrize("make", ONE_SHOT.values(), ids=ONE_SHOT)


# Passes


@every_source
@pytest.mark.parametrize("translate", [None, dict])
def test_the_bytes_are_those_of_json_dumps(
    make: Callable[[Messages], Any], translate: Any, backend: Backend, run: Runner
) -> None:
    """Whatever the messages come from, on asyncio and trio."""

    async def check() -> None:
        made = Body(fields(make(talk()), translate), buffer_size=SMALL, backend=backend)
        pieces = [piece async for piece in made.open()]

        assert compact(talk()) == b"".join(pieces)
        assert max(map(len, pieces)) <= SMALL

    run(check)


@every_source
@pytest.mark.parametrize("told", [False, True])
def test_each_piece_is_put_together_by_who_frames_it(
    make: Callable[[Messages], Any], told: bool, run: Runner
) -> None:
    """What a transport needs around a piece goes around each, and the rest is the body."""

    async def check(count: int) -> None:
        made = body(make(talk(count)), spool=told and make in ONE_SHOT.values())
        if told:
            await made.length()
        pieces = [piece async for piece in made.framed(lambda parts: b"<%b>" % b"".join(parts))]

        assert compact(talk(count)) == b"".join(piece[1:-1] for piece in pieces)
        assert {b"<", b">"} == {end for piece in pieces for end in (piece[:1], piece[-1:])}
        assert max(map(len, pieces)) <= SMALL + 2

    run(lambda: check(300))
    run(lambda: check(3))


@every_replayable
def test_every_pass_is_the_same(make: Callable[[Messages], Any], run: Runner) -> None:
    """A retry, a fallback and a signature are passes like the first."""

    async def check() -> None:
        made = body(make(talk()))
        whole = compact(talk())

        assert whole == await read(made)
        assert len(whole) == await made.length()
        assert hashlib.sha256(whole).hexdigest() == await made.sha256()
        assert whole == await read(made)

    run(check)


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_every_process_makes_the_same_bytes(seed: str) -> None:
    """The order of a set or a hash is no part of a body."""
    program = (
        "import hashlib\n"
        "from penstock.encoders import encode_json\n"
        "value = {'b': 1, 'a': [{'z': 'é', 'y': 1.5}] * 99, 'c': {'x': None}}\n"
        "print(hashlib.sha256(b''.join(encode_json(value, buffer_size=64))).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": "src", "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    value = {"b": 1, "a": [{"z": "é", "y": 1.5}] * 99, "c": {"x": None}}
    expected = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    assert hashlib.sha256(expected).hexdigest() == done.stdout.strip()


def test_two_passes_at_once_do_not_meet(run: Runner) -> None:
    """A hedged request reads the same body twice side by side."""

    async def check() -> None:
        made = body(talk())
        one, other = made.open(), made.open()
        pieces: tuple[list[bytes], list[bytes]] = ([], [])
        for _ in range(3):
            pieces[0].append(await anext(one))
            pieces[1].append(await anext(other))
        pieces[0].extend([piece async for piece in one])
        pieces[1].extend([piece async for piece in other])

        assert compact(talk()) == b"".join(pieces[0])
        assert compact(talk()) == b"".join(pieces[1])

    run(check)


@pytest.mark.parametrize("told", [False, True])
def test_a_pass_can_be_left_early(told: bool, run: Runner) -> None:
    """An early answer ends the upload, and the next pass starts anew."""

    async def check() -> None:
        made = body(talk())
        if told:
            await made.length()
        pieces = made.open()
        await anext(pieces)
        await pieces.aclose()

        assert compact(talk()) == await read(made)

    run(check)


# Small bodies


@pytest.mark.parametrize("count", [0, 1, 20])
def test_a_body_that_fits_is_there_at_once(count: int, backend: Backend, run: Runner) -> None:
    """It goes out in one write with its length."""
    made = Body(fields(talk(count)), backend=backend)

    assert compact(talk(count)) == made.small

    async def check() -> None:
        assert [made.small] == [piece async for piece in made.open()]
        assert len(made.small or b"") == await made.length()
        assert hashlib.sha256(made.small or b"").hexdigest() == await made.sha256()

    run(check)


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_small_ends_at_the_buffer(off: int, run: Runner) -> None:
    """A body of exactly the buffer is small, and one byte more is not."""
    messages = talk(20)
    size = len(compact(messages))
    made = body(messages, buffer_size=size + off)

    assert (off >= 0) == (made.small is not None)

    async def check() -> None:
        assert compact(messages) == await read(made)

    run(check)


@every_source
def test_a_small_conversation_is_small_wherever_it_comes_from(
    make: Callable[[Messages], Any], run: Runner
) -> None:
    """After `prepare` it is bytes, and can be sent again even if it came from an iterator."""

    async def check() -> None:
        made = body(make(talk(3)))
        await made.prepare()

        assert compact(talk(3)) == made.small
        assert compact(talk(3)) == await read(made)
        assert compact(talk(3)) == await read(made)

    run(check)


def test_fragments_and_models_can_be_small(backend: Backend) -> None:
    """What a walk has to make is made at once too, where it fits."""
    value = {"a": Raw(b"1"), "b": Each([Raw(b"2"), Raw(b'"3"')])}

    assert b'{"a":1,"b":[2,"3"]}' == Body(value, backend=backend).small


def test_a_small_body_is_a_snapshot(run: Runner) -> None:
    """It is bytes before the caller can edit anything."""
    messages = talk(2)
    made = body(messages)
    messages.append({"role": "user", "content": "late"})
    messages[0]["content"] = "edited"

    async def check() -> None:
        assert compact(talk(2)) == await read(made)

    run(check)


# Refusals


def test_a_small_body_is_refused_when_it_is_made(backend: Backend) -> None:
    """Before there is a connection."""
    with pytest.raises(EncodeError, match=r"messages\[0\]\.content"):
        Body(fields([{"role": "user", "content": float("nan")}]), backend=backend)


@pytest.mark.parametrize("make", [list, Again], ids=["list", "iterable"])
@pytest.mark.parametrize("bad", [float("nan"), "\ud800", b"", {1: 2}], ids=repr)
def test_a_large_body_is_refused_before_its_first_byte(
    make: Callable[[Messages], Any], bad: object, backend: Backend, run: Runner
) -> None:
    """The last message of many is checked before the first is sent (exoclaw, fault 16)."""

    async def check() -> None:
        made = body(make([*talk(), {"role": "user", "content": bad}]), backend=backend)
        with pytest.raises(EncodeError, match=r"messages\[300\]\.content"):
            await anext(made.open())

    run(check)


@pytest.mark.parametrize("way", ["length", "sha256", "prepare"])
def test_counting_refuses_too(way: str, run: Runner) -> None:
    """Every way to ask something of a body checks it."""

    async def check() -> None:
        made = body([*talk(), {"content": float("nan")}])
        with pytest.raises(EncodeError):
            await getattr(made, way)()

    run(check)


@pytest.mark.parametrize("source", [None, talk(2), talk()], ids=["none", "small", "large"])
def test_a_field_s_name_is_text(source: Messages | None, run: Runner) -> None:
    """A number for a name is refused in a body of any size."""

    async def check() -> None:
        value: Any = {1: "x"} if source is None else {"messages": Each(source), 1: "x"}
        with pytest.raises(EncodeError, match="the key 1 is int"):
            await read(Body(value, buffer_size=SMALL))

    run(check)


def test_fields_beside_an_iterator_are_checked_first(run: Runner) -> None:
    """A mistake in a parameter is found before a one-shot conversation is touched."""
    pulled = []

    def messages() -> Iterator[dict[str, Any]]:
        pulled.append(True)
        yield from talk()

    async def check() -> None:
        made = Body({"messages": Each(messages()), "temperature": float("nan")})
        with pytest.raises(EncodeError, match="temperature"):
            await made.prepare()

    run(check)
    assert [] == pulled


@every_one_shot
def test_a_fault_that_cannot_be_seen_ahead_is_found_when_reached(
    make: Callable[[Messages], Any], run: Runner
) -> None:
    """The path counts the items that came."""

    async def check() -> None:
        made = body(make([*talk(), {"content": float("nan")}]))
        with pytest.raises(EncodeError, match=r"messages\[300\]\.content"):
            await read(made)

    run(check)


def test_depth_has_a_bound_of_the_caller_s(backend: Backend) -> None:
    """``Limits.max_json_depth`` counts the body itself and the list of messages."""
    value = {"messages": Each([{"content": [[]]}])}

    assert Body(value, max_depth=5, backend=backend).small
    with pytest.raises(EncodeError, match="more than 4 levels"):
        Body(value, max_depth=4, backend=backend)


def test_a_buffer_is_at_least_an_escape() -> None:
    """Seven bytes are the least that can be kept."""
    with pytest.raises(UsageError, match="at least 7 bytes"):
        Body({}, buffer_size=6)


# One-shot sources


@every_one_shot
@pytest.mark.parametrize("first", ["open", "length", "sha256"])
def test_a_second_pass_over_an_iterator_is_refused(
    make: Callable[[Messages], Any], first: str, run: Runner
) -> None:
    """What is left of it is never sent as the conversation (exoclaw, fault 3)."""

    async def check() -> None:
        made = body(make(talk()))
        await (read(made) if first == "open" else getattr(made, first)())
        with pytest.raises(UsageError, match=r"one pass in it.*a list or a function"):
            await anext(made.open())

    run(check)


@every_one_shot
def test_a_pass_that_was_left_early_is_over_too(
    make: Callable[[Messages], Any], run: Runner
) -> None:
    """Half of an iterator is no conversation."""

    async def check() -> None:
        made = body(make(talk()))
        pieces = made.open()
        await anext(pieces)
        await pieces.aclose()
        with pytest.raises(UsageError, match="one pass in it"):
            await anext(made.open())

    run(check)


@every_one_shot
def test_spool_keeps_an_iterator_for_more_passes(
    make: Callable[[Messages], Any], run: Runner
) -> None:
    """Counting, signing and sending are three passes over a file."""

    async def check() -> None:
        made = body(make(talk()), spool=True)
        whole = compact(talk())
        try:
            assert len(whole) == await made.length()
            assert hashlib.sha256(whole).hexdigest() == await made.sha256()
            assert whole == await read(made)
            assert whole == await read(made)
        finally:
            await made.aclose()

    run(check)


@every_one_shot
def test_spool_goes_on_after_a_pass_that_was_cut(
    make: Callable[[Messages], Any], run: Runner
) -> None:
    """A retry after an early answer sends the whole conversation."""

    async def check() -> None:
        made = body(make(talk()), spool=True)
        pieces = made.open()
        for _ in range(2):
            await anext(pieces)
        await pieces.aclose()

        assert compact(talk()) == await read(made)
        await made.aclose()

    run(check)


def test_spool_means_nothing_for_a_list(run: Runner) -> None:
    """What can be iterated again needs no file."""

    async def check() -> None:
        made = body(talk(), spool=True)

        assert compact(talk()) == await read(made)
        assert compact(talk()) == await read(made)

    run(check)


# Edits


def test_a_pass_ends_where_the_list_ended_when_the_body_was_made(run: Runner) -> None:
    """A message appended for the next turn is not part of this one (exoclaw, fault 16)."""

    async def check() -> None:
        messages = talk()
        made = body(messages)
        messages.extend(talk(5))

        assert compact(talk()) == await read(made)
        messages.extend(talk(5))
        assert compact(talk()) == await read(made)

    run(check)


@pytest.mark.parametrize("translate", [None, dict])
def test_a_shrunk_list_is_an_error(translate: Any, run: Runner) -> None:
    """Never a shorter conversation that looks whole."""

    async def check() -> None:
        messages = talk()
        made = Body(fields(messages, translate), buffer_size=SMALL)
        del messages[100:]
        with pytest.raises(UsageError, match="had 300 items when the call began and has 100 now"):
            await read(made)

    run(check)


def longer(messages: Messages) -> None:
    """An edit that changes the length."""
    messages[150]["content"] += "x"


def same_length(messages: Messages) -> None:
    """An edit that does not."""
    messages[150]["content"] = messages[150]["content"].replace("g", "G")


def last(messages: Messages) -> None:
    """An edit of the last message."""
    messages[-1]["content"] = messages[-1]["content"].replace("g", "G")


@pytest.mark.parametrize("edit", [longer, same_length, last])
@pytest.mark.parametrize("way", ["length", "sha256"])
def test_an_edit_after_a_promise_is_caught_before_the_last_byte(
    edit: Callable[[Messages], None], way: str, run: Runner
) -> None:
    """A peer that was told a length or digest never gets a whole body of another."""

    async def check() -> None:
        messages = talk()
        made = body(messages)
        size = await made.length()
        await getattr(made, way)()
        edit(messages)
        sent: list[bytes] = []

        async def send() -> None:
            async for piece in made.open():
                sent.append(piece)  # noqa: PERF401  # what comes before the error counts

        with pytest.raises(UsageError, match="edited after its length or digest"):
            await send()

        assert 0 < len(b"".join(sent)) < size

    run(check)


def test_a_digest_is_compared_with_the_length_that_was_told(run: Runner) -> None:
    """An edit between the two promises is caught by the second."""

    async def check() -> None:
        messages = talk()
        made = body(messages)
        await made.length()
        longer(messages)
        with pytest.raises(UsageError, match="edited after"):
            await made.sha256()

    run(check)


def test_an_edit_without_a_promise_is_sent(run: Runner) -> None:
    """Nothing is copied for a caller who edits between two attempts."""

    async def check() -> None:
        messages = talk()
        made = body(messages)
        await read(made)
        longer(messages)

        assert compact(messages) == await read(made)

    run(check)


def test_an_edit_between_passes_is_checked_again(run: Runner) -> None:
    """What JSON cannot say is refused in the second pass as in the first."""

    async def check() -> None:
        messages = talk()
        made = body(messages)
        await read(made)
        messages[200]["content"] = float("nan")
        with pytest.raises(EncodeError, match=r"messages\[200\]\.content"):
            await read(made)

    run(check)


# Closing


@pytest.mark.parametrize("wrap", [lambda items: items, lambda items: lambda: items])
def test_leaving_early_closes_the_caller_s_generator(wrap: Any, run: Runner) -> None:
    """Its files and connections are let go of at once."""
    closed = []

    def messages() -> Iterator[dict[str, Any]]:
        try:
            yield from talk()
        finally:
            closed.append(True)

    async def check() -> None:
        pieces = body(wrap(messages())).open()
        await anext(pieces)
        await pieces.aclose()

        assert [True] == closed

    run(check)


@pytest.mark.parametrize("wrap", [lambda items: items, lambda items: lambda: items])
def test_leaving_early_closes_the_caller_s_async_generator(wrap: Any, run: Runner) -> None:
    """Its own clean-up may wait."""
    closed = []

    async def messages() -> AsyncIterator[dict[str, Any]]:
        try:
            for message in talk():
                yield message
        finally:
            closed.append(True)

    async def check() -> None:
        pieces = body(wrap(messages())).open()
        await anext(pieces)
        await pieces.aclose()

        assert [True] == closed

    run(check)


@every_one_shot
@pytest.mark.parametrize("spool", [False, True])
def test_a_body_that_was_only_prepared_can_be_closed(
    make: Callable[[Messages], Any], spool: bool, run: Runner
) -> None:
    """A call that fails before its upload leaves nothing open; twice is once."""

    async def check() -> None:
        made = body(make(talk()), spool=spool)
        await made.prepare()
        await made.aclose()
        await made.aclose()

    run(check)


def test_an_error_of_the_source_passes_through(run: Runner) -> None:
    """What a database says is for the caller to see."""

    async def messages() -> AsyncIterator[dict[str, Any]]:
        for message in talk():
            yield message
        raise ConnectionError("the database is gone")

    async def check() -> None:
        for buffer_size in (SMALL, 1024 * 1024):
            with pytest.raises(ConnectionError, match="the database is gone"):
                await read(body(messages(), buffer_size=buffer_size))

    run(check)


def test_a_waiting_source_inside_of_a_field_is_found(run: Runner) -> None:
    """A conversation may stand deeper than the body's own fields."""

    async def check() -> None:
        made = Body({"batch": [{"body": {"messages": Each(AgainAsync(talk()))}}]})

        assert made.small is None
        expected = {"batch": [{"body": {"messages": talk()}}]}
        assert expected == json.loads(await read(made))
        assert expected == json.loads(await read(made))

    run(check)


# The loop


@pytest.mark.parametrize("way", ["open", "length", "sha256", "prepare", "open text", "length text"])
def test_the_loop_is_given_back(way: str, run: Runner) -> None:
    """Other tasks run while a body is checked, counted, hashed or sent to one who never waits."""
    way, _, one = way.partition(" ")
    count, text = (1, "é" * 1_000_000) if one else (40_000, "x" * 20)

    async def check() -> None:
        import anyio

        made = Body(fields(talk(count, text), lambda message: message))
        turns, done = 0, False

        async def others() -> None:
            nonlocal turns
            while not done:
                turns += 1
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(others)
            await (read(made) if way == "open" else getattr(made, way)())
            done = True

        size = await made.length()
        assert turns >= (size // 65536 if way != "prepare" else 3)

    run(check)
