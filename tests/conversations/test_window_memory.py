"""A view costs no more memory than an index, however many messages every view has."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from tests.conversations.log import call, say
from tests.dialects.saying import target_at

from penstock.conversations import SyncConversation
from penstock.conversations.numbered import PINNED, SUMMARIES
from penstock.conversations.stretches import stretches
from penstock.conversations.windows import Window
from penstock.dialects import dialect
from penstock.encoders import Body
from penstock.request import ChatRequest

KIB = 1024
COUNT = 6_000
"""Messages, half of which are in every view: as many objects they would be 400 KiB."""
KEPT = 24 * KIB
"""Bytes of a view: a file's index has up to 32 KiB."""
PEAK = 420 * KIB
"""Bytes of a decision or a pass: a few blocks, and their messages one by one."""


def developers() -> Iterator[dict[str, Any]]:
    """The system speaks every second time."""
    return (say("developer" if n % 2 else "user", f"{n}") for n in range(COUNT))


def amid() -> Iterator[dict[str, Any]]:
    """It speaks amid the results of calls."""
    result = {"role": "tool", "tool_call_id": "c", "content": "t"}
    turn = [say("user", "u"), call("c"), say("system", "s"), result]
    return chain.from_iterable(turn for _ in range(COUNT // 4))


def users() -> Iterator[dict[str, Any]]:
    """Of which every second is pinned."""
    return (say("user", f"{n}") for n in range(COUNT))


def calls() -> Iterator[dict[str, Any]]:
    """Of which every result is pinned."""
    result = {"role": "tool", "tool_call_id": "c", "content": "t"}
    return chain.from_iterable([call("c"), result] for _ in range(COUNT // 2))


SOURCES = {"developers": developers, "amid": amid, "users": users, "calls": calls}


@pytest.fixture(params=["memory", "jsonl", "sqlite"])
def store(request: pytest.FixtureRequest) -> str:
    """Which store."""
    name: str = request.param
    return name


@pytest.fixture(params=SOURCES)
def kept(request: pytest.FixtureRequest, store: str, tmp_path: Path) -> Iterator[SyncConversation]:
    """A conversation that was opened again, by one who only reads."""
    path = {"jsonl": tmp_path / "chat.jsonl", "sqlite": tmp_path / "chat.db"}.get(store)
    with SyncConversation.open(path) as conversation:
        conversation.extend(SOURCES[request.param]())
        if request.param in ("users", "calls"):
            pinned = [*range(1, COUNT, 2)]
            conversation.store.note(lambda _: {PINNED: pinned})
        if path is None:
            yield conversation
    if path is not None:
        with SyncConversation.open(path) as conversation:
            yield conversation


def cost(do: Callable[[], object]) -> tuple[int, int]:
    """Bytes that what is returned holds, and those that were held at once until then."""
    do()  # loads what is loaded once
    gc.collect()
    tracemalloc.start()
    try:
        result = [do()]
        gc.collect()
        found = tracemalloc.get_traced_memory()
        result.clear()
    finally:
        tracemalloc.stop()
    return found


def over(view: Window) -> int:
    """Go over a view; return how many messages it has."""
    return sum(block.data.count(b"\n") + 1 for block in view.kept())  # type: ignore[union-attr]


async def sent_twice(view: Window) -> None:
    """Count the bytes of a call, and send them."""
    request = ChatRequest(model="m", messages=view)
    fields = dialect("openai_chat").encode(request, target_at("https://a.example"), dropped=[])
    body = Body(fields.fields)
    length = await body.length()
    size = 0
    async for piece in body.open():
        size += len(piece)
    assert length == size


def test_a_view_is_decided_kept_and_gone_over_in_bounded_memory(kept: SyncConversation) -> None:
    """With nothing for each of the messages that every view has."""
    views: Sequence[Callable[[], Window]] = [
        lambda: kept.last(10),
        lambda: kept.within_tokens(10**7),
        kept.summarised,
    ]
    for decide in views:
        held, peak = cost(decide)
        assert (held < KEPT, peak < PEAK) == (True, True), (held, peak)
    view = kept.last(10)
    assert len(view) == over(view) >= COUNT // 4
    held, peak = cost(lambda: over(view))
    assert peak < PEAK
    peak = cost(lambda: sum(1 for _ in stretches(kept.store, 0, COUNT)))[1]
    assert peak < PEAK


@pytest.mark.parametrize("name", ["developers"])
def test_a_view_is_sent_in_bounded_memory(name: str, store: str, tmp_path: Path) -> None:
    """In several passes."""
    path = {"jsonl": tmp_path / "chat.jsonl", "sqlite": tmp_path / "chat.db"}.get(store)
    with SyncConversation.open(path) as conversation:
        conversation.extend(SOURCES[name]())
        view = conversation.last(10)
        with asyncio.Runner() as runner:
            _, peak = cost(lambda: runner.run(sent_twice(view)))
    assert peak < 2 * PEAK


def test_summaries_cost_a_view_no_more_than_the_notes_that_have_them() -> None:
    """It has none of its own for each."""
    kept = SyncConversation.open()
    kept.extend(users())
    summary = say("user", "Summary of the conversation so far:\nx")
    spans = [{"start": n, "stop": n + 1, "message": summary} for n in range(0, COUNT, 2)]
    kept.store.note(lambda _: {SUMMARIES: spans})
    held, peak = cost(kept.summarised)

    assert (held < KEPT, peak < PEAK) == (True, True), (held, peak)
    assert COUNT // 2 == kept.summarised().summaries
    assert COUNT == over(kept.summarised()) == len(kept.summarised())
    assert cost(lambda: over(kept.summarised()))[1] < PEAK
