"""What is sent can be a view of what is kept; a call and its results are never parted."""

from __future__ import annotations

import itertools
import random
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.conversations.log import LOG, call, say

import penstock as ps
from penstock.conversations import SyncConversation
from penstock.conversations.memory import MemoryStore
from penstock.conversations.tokens import EstimatedTokens, tokens_of
from penstock.conversations.windows import Window
from penstock.errors import ConfigurationError, ConversationError


@pytest.fixture(params=["memory", "jsonl", "sqlite"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncConversation]:
    """`LOG` in each store."""
    suffix = {"jsonl": "chat.jsonl", "sqlite": "chat.db"}.get(request.param)
    with SyncConversation.open(suffix and tmp_path / suffix) as conversation:
        conversation.extend(LOG)
        yield conversation


def numbers(window: Window) -> list[int]:
    """Which messages of `LOG` a view has."""
    return [LOG.index(message) for message in window]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, [0, 1]),
        (1, [0, 1, 9]),
        (2, [0, 1, 8, 9]),
        (3, [0, 1, 5, 6, 7, 8, 9]),  # a result is not sent without its call
        (4, [0, 1, 5, 6, 7, 8, 9]),
        (5, [0, 1, 5, 6, 7, 8, 9]),
        (6, [0, 1, 4, 5, 6, 7, 8, 9]),
        (8, list(range(10))),
        (99, list(range(10))),
    ],
)
def test_the_last_messages_come_with_the_system_and_whole_calls(
    kept: SyncConversation, count: int, expected: list[int]
) -> None:
    """However many are asked for."""
    window = kept.last(count)

    assert expected == numbers(window)
    assert len(expected) == len(window)


def test_the_system_is_in_every_view_wherever_it_speaks(kept: SyncConversation) -> None:
    """Later rules count as much as the first ones; a call is not parted from its results by one."""
    kept.truncate(7)
    kept.extend([say("developer", "d7"), LOG[7], say("assistant", "a system"), say("user", "u10")])
    kept.append(say("system", "x" * 50_000))

    def said(window: Window) -> list[str]:
        return [str(message["content"])[:8] for message in window]

    rules = ["s0", "s1", "d7", "x" * 8]
    assert [rules, rules] == [said(kept.last(0)), said(kept.last(1))]
    assert ["s0", "s1", "d7", "u10", "x" * 8] == said(kept.last(2))
    for count in (4, 5, 6):
        assert ["s0", "s1", "None", "t6", "d7", "t7", *said(kept)[9:]] == said(kept.last(count))
    assert ["s0", "s1", "d7", "u10", "x" * 8] == said(kept.within_tokens(70, Each()))
    with pytest.raises(ConfigurationError, match="messages have 56 tokens: the budget is 55"):
        kept.within_tokens(55, Each())
    kept.compact(lambda *_: "summary", keep=2)
    whole = ["None", "t6", "d7", "t7"]  # of which no summary may have a part
    left = ["s0", "s1", "Summary ", *whole, "Summary ", "u10", "x" * 8]
    assert left == said(kept.summarised())


def test_a_role_may_be_written_in_escapes(tmp_path: Path) -> None:
    """Another program may have written the file, and JSON has more than one form of a text."""
    lines = ['{"content": "d0", "role": "develop\\u0065r"}', '{"role": "user", "content": "u1"}']
    (tmp_path / "chat.jsonl").write_text("\n".join([*lines, ""]))
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        assert ["d0"] == [message["content"] for message in kept.last(0)]


def test_a_function_of_old_is_not_parted_from_its_call() -> None:
    """OpenAI's calls before there were tools; a redacted one is still a call."""
    called = {"name": "f", "arguments": '{"x": "secret"}'}
    kept = SyncConversation.open()
    kept.append(say("user", "u0"))
    kept.append({"role": "assistant", "content": None, "function_call": called})
    kept.append({"role": "function", "name": "f", "content": "r2"})
    kept.append(say("user", "u3"))
    kept.redact(1)

    assert [1, 2, 3] == [list(kept).index(message) for message in kept.last(2)]
    assert {"name": "f", "arguments": "{}"} == kept[1]["function_call"]
    assert tokens_of(kept[1], Each()) == 4 + 10 + 14


def test_pinned_messages_are_in_every_view(kept: SyncConversation) -> None:
    """A pinned result brings its call, a pinned call its results; unpinning ends it."""
    kept.pin(2)
    kept.pin(6)
    assert [0, 1, 2, 5, 6, 7, 9] == numbers(kept.last(1))
    kept.unpin(6)
    kept.pin(5)
    assert [0, 1, 2, 5, 6, 7, 9] == numbers(kept.last(1))
    kept.unpin(5)
    kept.unpin(2)
    kept.unpin(2)
    assert [0, 1, 9] == numbers(kept.last(1))


def test_a_pinned_result_brings_its_call_from_many_blocks_before(kept: SyncConversation) -> None:
    """With all that is between them; what is pinned of the system makes no difference."""
    results = [{"role": "tool", "tool_call_id": "x", "content": f"{n}" * 9000} for n in range(9)]
    turn = [call("x"), *results[:5], say("system", "amid"), *results[5:]]
    kept.extend([*turn, say("user", "behind"), *turn])
    first = len(LOG)
    kept.pin(first + 6)
    assert [*LOG[:2], *[say("system", "amid")] * 2] == list(kept.last(0))
    kept.pin(first + 10)

    assert [*LOG[:2], *turn, say("system", "amid")] == list(kept.last(0))
    tokens = sum(tokens_of(message, Each()) for message in kept.last(0))
    with pytest.raises(ConfigurationError, match=f"have {tokens} tokens"):
        kept.within_tokens(tokens - 1, Each())


CHOICES: list[Callable[[SyncConversation], object]] = [
    lambda kept: kept.pin(4),
    lambda kept: kept.unpin(2),
    lambda kept: kept.compact(lambda *_: "summary", keep=240),
]


@pytest.mark.parametrize("change", CHOICES)
@pytest.mark.parametrize("turns", [120, 140])
def test_what_is_pinned_or_summed_up_later_is_in_no_view(
    kept: SyncConversation, turns: int, change: Callable[[SyncConversation], object]
) -> None:
    """One that holds no more stretches is an error then: it never sends what it was not."""
    kept.pin(2)
    system = itertools.chain.from_iterable([say("user", "u"), say("system", "s")] for _ in LOG)
    kept.extend(itertools.islice(itertools.cycle([*system]), 2 * turns))
    view = kept.last(0)
    before = list(view)
    kept.pin(2)  # as it is already
    kept.append(say("user", "behind"))
    kept.pin(len(kept) - 1)
    assert before == list(view)
    change(kept)

    if turns < 128:
        assert before == list(view)
    else:
        with pytest.raises(ConversationError, match="decide another view") as caught:
            list(view)
        assert "changed" == caught.value.code
    assert len(kept.last(0)) == len(list(kept.last(0)))


def test_a_summary_is_not_sent_once_what_it_may_repeat_is_redacted(kept: SyncConversation) -> None:
    """By a view that was decided before; one without it is sent."""
    kept.compact(lambda *_: "summary", keep=4)
    view, without = kept.summarised(), kept.last(2)
    kept.redact(2)

    with pytest.raises(ConversationError, match="redacted since"):
        list(view)
    assert [0, 1, 8, 9] == numbers(without)


def test_a_budget_is_kept_while_another_pins(kept: SyncConversation) -> None:
    """What is pinned between the two looks at the messages is in no view that counted without."""

    class Pinning:
        def count(self, text: str) -> int:
            kept.pin(2)
            return len(text)

    with pytest.raises(ConversationError, match="pinned, unpinned or summed up since"):
        kept.within_tokens(100, Pinning())
    assert 100 >= sum(tokens_of(each, Each()) for each in kept.within_tokens(100, Each()))


def test_a_view_is_an_error_where_messages_go_while_it_is_decided(kept: SyncConversation) -> None:
    """Whichever look at them finds fewer than there were."""

    class Cutting:
        def count(self, text: str) -> int:
            kept.truncate(1)
            return len(text)

    with pytest.raises(ConversationError, match="taken out or cut off") as caught:
        kept.within_tokens(100, Cutting())
    assert "changed" == caught.value.code


def test_a_view_in_memory_knows_of_no_move_before_the_messages_move() -> None:
    """It would take those for its own that are about to go."""

    class Store(MemoryStore):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "_lines" and (found := getattr(self, "_lines", None)):
                assert len(found) == len(LOG)
                thread.start()
                thread.join(0.05)  # it comes to its end only once this is done
            super().__setattr__(name, value)

    kept = SyncConversation(Store())
    kept.extend(LOG)
    views: list[Window] = []
    thread = threading.Thread(target=lambda: views.append(kept.summarised()))
    kept.truncate(2)
    thread.join()

    assert 2 == len(views[0]) == len(list(views[0]))


def test_a_result_whose_call_was_deleted_is_sent_once(kept: SyncConversation) -> None:
    """Also where it comes behind a summary, as if it were of the last message of that."""
    kept.delete(8)
    kept.compact(lambda *_: "summary", keep=4, part_tokens=1)
    kept.delete(5)
    kept.pin(4)

    said = [str(message["content"])[:7] for message in kept.summarised()]
    assert ["s0", "s1", "Summary", "u4", "t6", "t7", "u9"] == said


class Each:
    """Counts ten tokens for any text."""

    def count(self, text: str) -> int:
        """Say ten."""
        return 10 if text else 0


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (42, [0, 1, 9]),
        (56, [0, 1, 8, 9]),
        # The results alone would fit, but not their call.
        (56 + 28, [0, 1, 8, 9]),
        (56 + 28 + 4 + 28, [0, 1, 5, 6, 7, 8, 9]),
        (500, list(range(10))),
    ],
)
def test_a_budget_of_tokens_is_kept(
    kept: SyncConversation, budget: int, expected: list[int]
) -> None:
    """The system's messages count, and what does not fit is left out from its beginning."""
    window = kept.within_tokens(budget, Each())

    assert expected == numbers(window)
    assert sum(tokens_of(message, Each()) for message in window) <= budget


def test_a_budget_that_the_system_exceeds_is_refused(kept: SyncConversation) -> None:
    """With both figures; so is one in which nothing of what was said last fits beside it."""
    with pytest.raises(ConfigurationError, match="have 28 tokens: the budget is 27"):
        kept.within_tokens(27, Each())
    for budget in (28, 41):
        with pytest.raises(ConfigurationError, match=f"it has 42 tokens or more.* is {budget}"):
            kept.within_tokens(budget, Each())
    kept.truncate(8)  # a result alone fits, and not its call
    with pytest.raises(ConfigurationError, match="the call that it is a result of"):
        kept.within_tokens(70, Each())
    kept.pin(7)
    assert [0, 1, 5, 6, 7] == numbers(kept.within_tokens(28 + 28 + 28 + 4, Each()))


@pytest.mark.parametrize("name", ["chat.jsonl", "chat.db"])
def test_a_view_with_a_large_message_holds_nothing_of_it(tmp_path: Path, name: str) -> None:
    """Neither a picture's base64 nor a long text: who says it, and how many tokens it is."""
    picture, text = b"\x89PNG\r\n\x1a\n" + bytes(1 << 20), "a word of é\n" * 100_000
    with SyncConversation.open(tmp_path / name) as kept:
        kept.append({"role": "user", "content": [ps.ImageFile(picture), "Look"]})
        kept.append({"role": "assistant", "content": text})
        kept.append(say("user", "u2"))
        kept.pin(0)
        expected = sum(tokens_of(message, EstimatedTokens()) for message in kept)
        tracemalloc.start()
        view, whole = kept.last(1), kept.within_tokens(10**7)
        tokens, peak = kept.tokens(), tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert [kept[0], kept[2]] == list(view)

    assert (2, 3) == (len(view), len(whole))
    assert expected <= tokens < expected + 100
    assert peak < 512 * 1024


@pytest.mark.parametrize(
    "text", ["one two\t" * 9000, "é\n" * 40_000, "\\" * 20_000 + " " + "日本" * 10_000]
)
def test_tokens_of_a_long_text_are_those_of_all_of_its_words(tmp_path: Path, text: str) -> None:
    """Cut at spaces where there are any, never inside of a character or an escape."""
    plain = {"content": text, "role": "assistant"}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": text}}
    calling = {"content": None, "role": "assistant", "tool_calls": [call]}
    expected = tokens_of(plain, EstimatedTokens())
    with SyncConversation.open(tmp_path / "chat.jsonl") as kept:
        kept.append(plain)
        assert abs(kept.tokens() - expected) < 30
        assert [plain] == list(kept.last(1))
        kept.append(calling)
        assert abs(kept.tokens() - 2 * expected) < 60


def test_a_view_does_not_grow(kept: SyncConversation) -> None:
    """It is of the conversation as it was."""
    window = kept.last(2)
    kept.append(say("user", "more"))

    assert [0, 1, 8, 9] == numbers(window)


@pytest.mark.parametrize("seed", range(8))
def test_any_view_is_one_that_a_provider_takes(seed: int) -> None:
    """Calls with all their results, what is always sent, each once, in order, within the budget."""
    draw = random.Random(seed)
    kept = SyncConversation.open()
    said = itertools.count()
    kept.extend(say("system", f"s{next(said)}") for _ in range(draw.randrange(3)))
    while len(kept) < 12 + seed:
        kept.extend(say("system", f"later{next(said)}") for _ in range(draw.randrange(5) // 4))
        ids = [f"c{len(kept)}{number}" for number in range(draw.randrange(4))]
        kept.append(call(*ids) if ids else say("user", f"u{next(said)}" * draw.randrange(1, 9)))
        for id in ids:
            kept.extend(say("system", f"amid{next(said)}") for _ in range(draw.randrange(6) // 5))
            kept.append({"role": "tool", "tool_call_id": id, "content": "t"})
    for change in draw.sample(["pin", "compact", "pin", "compact", "pin"], 4):
        if change == "pin":
            kept.pin(draw.randrange(len(kept)))
        else:
            kept.compact(lambda *_: "summary", keep=draw.randrange(9), part_tokens=9)
    views = [kept.summarised(), *map(kept.last, range(len(kept) + 2))]
    for budget in range(20, 400, 40):
        with suppress(ConfigurationError):  # what is always sent is more
            views.append(kept.within_tokens(budget, Each()))
            assert sum(tokens_of(message, Each()) for message in views[-1]) <= budget

    messages = list(kept)
    system = [number for number, each in enumerate(messages) if each["role"] == "system"]
    for view in views:
        sent = list(view)
        called = [id["id"] for each in sent for id in each.get("tool_calls", ())]
        assert called == [each["tool_call_id"] for each in sent if each["role"] == "tool"]
        shown = [messages.index(message) for message in sent if message in messages]
        assert sorted({*shown}) == shown
        assert len(sent) - len(shown) == view.summaries
        assert {*system, *kept.pinned()} <= {*shown}
        assert len(sent) == len(view)


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: kept.delete(0),
        lambda kept: kept.truncate(9),
        lambda kept: (kept.truncate(8), kept.extend([say("user", "x"), say("user", "y")])),
        lambda kept: [(kept.append(say("user", "x")), kept.truncate(10)) for _ in range(70)],
    ],
)
def test_a_view_of_messages_that_are_gone_is_an_error(
    kept: SyncConversation, change: Callable[[SyncConversation], object]
) -> None:
    """Other messages have their numbers now; what was decided before is not sent as if it were."""
    view = kept.last(2)
    change(kept)

    with pytest.raises(ConversationError, match="decide another view") as caught:
        list(view)
    assert "changed" == caught.value.code
    assert len(kept.last(2)) == len(list(kept.last(2)))


def test_a_view_outlives_what_happens_behind_it(kept: SyncConversation) -> None:
    """As a turn that is taken back, or another text for a message."""
    view = kept.last(2)
    kept.extend([say("user", "x"), say("user", "y")])
    kept.delete(11)
    kept.truncate(10)
    kept.redact(9, "other")

    assert ["s0", "s1", "a8", "other"] == [message["content"] for message in view]


def test_a_models_name_is_an_estimate_and_what_cannot_count_is_refused() -> None:
    """A text has a ``count`` of its own, which is of something else."""
    kept = SyncConversation.open()
    kept.append(say("user", "word " * 700))

    assert (1004, 879) == (kept.tokens("anthropic/claude-sonnet-4-6"), kept.tokens("gpt-5.4"))
    kept.pin(0)
    with pytest.raises(ConfigurationError, match="the budget is 900"):
        kept.within_tokens(900, "claude-sonnet-4-6")
    for wrong in ([], b"gpt", len):
        with pytest.raises(ConfigurationError, match=r"has count\(text\)"):
            kept.within_tokens(900, wrong)  # type: ignore[arg-type]  # that is the point


def test_an_estimate_goes_towards_what_is_reported() -> None:
    """Half of the way each time, and never to nonsense."""
    counter = EstimatedTokens("anthropic/claude-sonnet-4-6")
    assert 3.5 == counter.bytes_per_token
    for name, expected in (
        ("bedrock/us.anthropic.claude-sonnet-4-6-v1:0", 3.5),
        ("gpt-5.4", 4.0),
        ("openrouter/google/gemini-3-pro", 4.0),
        ("o3-mini", 4.0),
        ("claudette", 3.7),
        ("llama3.1:8b", 3.7),
    ):
        assert expected == EstimatedTokens(name).bytes_per_token
    text = "word " * 700
    assert 1000 == counter.count(text)

    for _ in range(12):
        counter.correct(counter.count(text), 1400)

    assert abs(counter.count(text) - 1400) <= 2
    counter.correct(0, 5)
    counter.correct(5, None)
    counter.correct(1, 10**9)
    assert counter.bytes_per_token >= 0.5
    assert 0 == counter.count("")
    assert 1 == EstimatedTokens().count("a")


def test_tokens_of_a_message_are_its_texts_and_calls() -> None:
    """And four for what is around it."""
    assert 14 == tokens_of(say("user", "a"), Each())
    assert 4 + 14 + 14 == tokens_of(call("a", "b"), Each())
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]
    assert 4 + 10 + 765 == tokens_of({"role": "user", "content": parts}, Each())
