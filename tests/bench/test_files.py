"""Datasets and traces: every form of a line, and what is wrong with one before it is sent."""

from __future__ import annotations

import gc
import json
import tracemalloc
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from penstock.bench import Ask, Conversation, Lengths, synthetic
from penstock.bench.files import dataset, trace
from penstock.bench.rows import RowFile
from penstock.errors import UsageError


def lines(tmp_path: Path, *rows: Any, name: str = "rows.jsonl") -> Path:
    """Write `rows` as JSON lines."""
    path = tmp_path / name
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def asks(conversation: Conversation) -> list[Ask]:
    """Return the turns of a conversation."""
    return list(conversation.asks)


def texts(conversation: Conversation) -> list[str]:
    """Return what the user says, turn by turn."""
    return [ask.messages[-1]["content"] for ask in conversation.asks]


MESSAGES = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
FORMS: dict[str, tuple[Any, list[str]]] = {
    "a string": ("hi", ["hi"]),
    "a prompt": ({"prompt": "hi", "id": 7}, ["hi"]),
    "AIPerf's": ({"text_input": "hi"}, ["hi"]),
    "messages": ({"messages": MESSAGES}, ["hi"]),
    "turns": ({"turns": ["hi", "and?"]}, ["hi", "and?"]),
    "ShareGPT's": (
        {
            "conversations": [
                {"from": "human", "value": "hi"},
                {"from": "gpt", "value": "hello"},
                {"from": "human", "value": "and?"},
            ]
        },
        ["hi", "and?"],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_dataset_may_have_any_of_these_lines(form: str, tmp_path: Path) -> None:
    """Other fields are ignored."""
    row, said = FORMS[form]

    assert said == texts(next(dataset(lines(tmp_path, row))))


@pytest.mark.parametrize("indent", [None, 2])
def test_a_dataset_may_be_one_array(indent: int | None, tmp_path: Path) -> None:
    """As ShareGPT's file is, however it is laid out."""
    path = tmp_path / "data.json"
    path.write_text("\n " + json.dumps([row for row, _ in FORMS.values()], indent=indent), "utf-8")
    found = list(islice(dataset(path), len(FORMS)))

    assert [said for _, said in FORMS.values()] == [texts(each) for each in found]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "first\r\nsecond\r\n"),
        ("a.jsonl", '"first"\r\n\r\n"second"\r\n'),
        ("a.json", '["first", "second"]'),
    ],
)
def test_a_file_may_be_from_windows(name: str, text: str, tmp_path: Path) -> None:
    """A mark before its first byte is no part of a prompt, and lines may end in CR LF."""
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())

    assert ["first", "second", "first"] == [
        texts(each)[0] for each in islice(dataset(tmp_path / name), 3)
    ]


def test_an_array_is_unpacked_an_element_at_a_time(tmp_path: Path) -> None:
    """Its size costs no memory, and what it was unpacked to goes when nobody reads it."""
    path = tmp_path / "data.json"
    path.write_text(json.dumps([{"prompt": f"{n} " + "word " * 200} for n in range(4000)]), "utf-8")
    tracemalloc.start()
    try:
        file = RowFile(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    unpacked = file._lines

    assert 4000 == len(file)
    assert file[3999].prompts()[0].startswith("3999 word")
    assert peak < path.stat().st_size / 8
    assert unpacked.exists()
    del file
    gc.collect()
    assert not unpacked.exists()


def test_messages_are_sent_as_they_are(tmp_path: Path) -> None:
    """One request, whatever roles are in it."""
    (ask,) = asks(next(dataset(lines(tmp_path, {"messages": MESSAGES, "output_tokens": 9}))))

    assert (tuple(MESSAGES), 9) == (ask.messages, ask.output_tokens)


def test_a_text_file_has_a_prompt_a_line(tmp_path: Path) -> None:
    """Empty lines are none; what looks like JSON is text."""
    path = tmp_path / "prompts.txt"
    path.write_text('first\n\n  {"prompt": 1}\n', encoding="utf-8")

    assert ["first", '{"prompt": 1}', "first"] == [
        texts(each)[0] for each in islice(dataset(path), 3)
    ]


def test_a_shuffled_dataset_has_everything_once_a_round(tmp_path: Path) -> None:
    """In the order that the seed gives, another one each round."""
    path = lines(tmp_path, *map(str, range(20)))
    found = [texts(each)[0] for each in islice(dataset(path, shuffle=True, seed=1), 40)]
    again = [texts(each)[0] for each in islice(dataset(path, shuffle=True, seed=1), 40)]

    assert found == again
    assert [str(n) for n in range(20)] == sorted(found[:20], key=int) == sorted(found[20:], key=int)
    assert found[:20] != found[20:]


def test_recorded_answers_are_limits(tmp_path: Path) -> None:
    """A token for a word of ShareGPT's answer to a turn; one without has the line's limit."""
    said = [
        {"from": "system", "value": "be kind"},
        {"from": "human", "value": "hi"},
        {"from": "gpt", "value": "hello to you"},
        {"from": "human", "value": "and?"},
    ]
    path = lines(tmp_path, {"conversations": said, "max_tokens": 9}, {"prompt": "hi"})
    first, second = islice(dataset(path, recorded=True), 2)

    assert [("hi", 3), ("and?", 9)] == [
        (ask.messages[0]["content"], ask.output_tokens) for ask in asks(first)
    ]
    assert [None] == [ask.output_tokens for ask in asks(second)]


def test_options_win_over_the_file(tmp_path: Path) -> None:
    """The limit on answers, and the most turns."""
    path = lines(tmp_path, {"turns": ["a", "b", "c"], "max_tokens": 5})
    made = dataset(path, output_tokens=Lengths.parse("7"), turns=Lengths.parse("2"), turn_delay=0.5)

    assert [("a", 7, 0.5), ("b", 7, 0.5)] == [
        (ask.messages[0]["content"], ask.output_tokens, ask.delay) for ask in next(made).asks
    ]
    assert [5, 5, 5] == [ask.output_tokens for ask in next(dataset(path)).asks]


WRONG: dict[str, tuple[str, str]] = {
    "empty": ("", "has no lines"),
    "no JSON": ('{"prompt": "a"}\n{"prompt": \n', "line 2: "),
    "a torn array": ('[{"prompt": "a"}, {"prom', "after 1 elements"),
    "something behind an array": ('["a"] ["b"]', "after 1 elements"),
    "an array of numbers": ("[5]", "element 1"),
    "another type": ('{"prompt": 5}\n', r"line 1: .*prompt"),
    "nothing to ask": ('"a"\n{"question": "b"}\n', 'line 2: it has no "prompt"'),
    "an empty prompt": ('{"prompt": ""}\n', "line 1"),
    "not UTF-8": ("\udcff\n", "line 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_line_is_named(case: str, tmp_path: Path) -> None:
    """At the beginning, though it be the last one."""
    text, complaint = WRONG[case]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(UsageError, match=complaint):
        dataset(path)


def test_a_mooncake_trace_is_replayed(tmp_path: Path) -> None:
    """In the order of time; the same blocks are the same words, as the server's cache saw them."""
    path = lines(
        tmp_path,
        {"timestamp": 3000, "input_length": 600, "output_length": 40, "hash_ids": [1, 3]},
        {"timestamp": 1000, "input_length": 520, "output_length": 20, "hash_ids": [1, 2]},
    )
    first, second = trace(path)
    (one,), (two,) = asks(first), asks(second)
    words = [each.messages[0]["content"].split() for each in (one, two)]

    assert (0.0, 2.0) == (first.due, second.due)
    assert [(520, 20), (600, 40)] == [(a.input_tokens, a.output_tokens) for a in (one, two)]
    assert [520, 600] == [len(each) for each in words]
    assert words[0][:512] == words[1][:512]
    assert words[0][512:] != words[1][512:520]


def test_lines_of_a_session_are_its_turns(tmp_path: Path) -> None:
    """Each after its delay, or not before its timestamp; others may come in between."""
    path = lines(
        tmp_path,
        {"timestamp": 0, "session_id": "a", "text_input": "one"},
        {"timestamp": 500, "text_input": "between"},
        {"session_id": "a", "delay": 250, "text_input": "two"},
        {"timestamp": 4000, "session_id": "a", "text_input": "three"},
    )
    session, between = trace(path)

    assert ["between"] == texts(between)
    assert [("one", 0.0, 0.0), ("two", 0.25, None), ("three", 0.0, 4.0)] == [
        (ask.messages[0]["content"], ask.delay, ask.due) for ask in session.asks
    ]


def test_a_runs_own_records_are_a_trace(tmp_path: Path) -> None:
    """Its first load, without the warm-up: times, lengths and conversations."""
    usual = {"started": 0, "ended": 0, "input_tokens": 12, "output_tokens": 3}
    path = lines(
        tmp_path,
        {"number": 0, "scheduled": 0.0, "warmup": True, **usual},
        {"number": 1, "scheduled": 1.0, "conversation": 1, **usual},
        {"number": 2, "scheduled": 1.5, "conversation": 2, **usual},
        {"number": 3, "scheduled": 2.0, "conversation": 1, "turn": 1, **usual},
        {"number": 0, "scheduled": 0.0, "point": 1, **usual},
    )
    first, second = trace(path)

    assert (0.0, 0.5) == (first.due, second.due)
    assert [(12, 3, 0.0), (12, 3, 1.0)] == [
        (ask.input_tokens, ask.output_tokens, ask.due) for ask in first.asks
    ]


def test_a_trace_of_warm_up_alone_is_refused(tmp_path: Path) -> None:
    """Nothing in it is replayed."""
    row = {"number": 0, "scheduled": 0.0, "warmup": True, "input_tokens": 3}

    with pytest.raises(UsageError, match="nothing to replay"):
        trace(lines(tmp_path, row))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"input_length": 5}, 'no "timestamp"'),
        ({"timestamp": 5}, 'no "input_length"'),
        ({"timestamp": 5, "input_length": 0}, 'no "input_length"'),
        ({"session_id": 1, "delay": 5, "prompt": ""}, 'no "input_length"'),
    ],
)
def test_a_trace_needs_times_and_something_to_ask(
    row: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    """The line is named."""
    with pytest.raises(UsageError, match=f"line 1: it has {complaint}"):
        trace(lines(tmp_path, row))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"timestamp": -1}, "timestamp"),
        ({"scheduled": -0.5}, "scheduled"),
        ({"input_length": -5}, "input_length"),
        ({"output_length": -5}, "output_length"),
        ({"output_length": 0}, "output_length"),
        ({"session_id": 1, "delay": -1}, "delay"),
    ],
)
def test_what_is_below_nothing_is_refused(
    fields: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    """The file's own line is named, empty ones counted, and the field."""
    path = lines(tmp_path, {"timestamp": 5, "input_length": 5})
    row = {"timestamp": 5, "input_length": 5} | fields
    path.write_text(f"{path.read_text('utf-8')}\n{json.dumps(row)}\n", encoding="utf-8")

    with pytest.raises(UsageError, match=rf"rows\.jsonl, line 3: Expected .*\$\.{complaint}"):
        trace(path)


def test_what_was_not_answered_is_asked_again(tmp_path: Path) -> None:
    """A run's own record of a failure has no tokens but those that were asked for."""
    row = {"scheduled": 1.0, "error": "server", "asked_input_tokens": 4, "asked_output_tokens": 2}
    (made,) = trace(lines(tmp_path, row))
    (ask,) = made.asks

    assert (4, 2) == (ask.input_tokens, ask.output_tokens)


def drawn(seed: int = 0, **options: Any) -> list[Conversation]:
    """Return three conversations of drawn words."""
    usual: dict[str, Any] = {
        "input_tokens": Lengths.parse("5-9"),
        "output_tokens": Lengths.parse("4"),
        "turns": Lengths.parse("2"),
    }
    return list(islice(synthetic(seed=seed, **(usual | options)), 3))


def test_drawn_words_are_as_many_as_asked() -> None:
    """Of lengths between the bounds, two turns each, the same for the same seed."""
    found = drawn()

    assert drawn() == found
    assert drawn(seed=1) != found
    for ask in (ask for each in found for ask in each.asks):
        assert ask.input_tokens == len(ask.messages[-1]["content"].split())
        assert 5 <= (ask.input_tokens or 0) <= 9
        assert 4 == ask.output_tokens
    assert [2, 2, 2] == [len(asks(each)) for each in found]


def test_no_two_prompts_begin_alike() -> None:
    """A cache of prompts helps nobody by chance."""
    found = drawn(input_tokens=Lengths.parse("20"))

    assert 6 == len({text[:40] for each in found for text in texts(each)})


def test_a_prefix_is_the_same_for_all() -> None:
    """As system message, once a conversation, and counted."""
    found = drawn(prefix_tokens=50, input_tokens=Lengths.parse("5"))
    prefixes = {asks(each)[0].messages[0]["content"] for each in found}

    assert (1, 50) == (len(prefixes), len(prefixes.pop().split()))
    assert [(55, 2), (5, 1)] == [(a.input_tokens, len(a.messages)) for a in found[0].asks]
