"""What a peer repeats of a conversation is taken out of its errors (row 39)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.messages import AssistantMessage, UserMessage
from penstock.providers.echo import conceal, spoken
from penstock.request import ChatRequest
from penstock.response import ToolCall

SAID = "Tell me what the harbour master of Ost said on the fourth of May."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"no: {SAID}", "no: [prompt]"),
        (f"no: '{SAID}' and '{SAID}'", "no: '[prompt]' and '[prompt]'"),
        ("blocked: harbour master of Ost; code 7", "blocked:[prompt]; code 7"),
        ("blocked: the harbour", "blocked: the harbour"),
        ("", ""),
        ("Unsupported value: 'temperature'.", "Unsupported value: 'temperature'."),
        (SAID[:15], SAID[:15]),
        (SAID[:16], "[prompt]"),
        (f"x{SAID[20:60]}x", "x[prompt]x"),
    ],
)
def test_what_is_common_is_concealed(text: str, shown: str) -> None:
    """A whole text of 8 characters, and a part of 16, wherever they stand; no less."""
    assert shown == conceal(text, [SAID])


def test_line_breaks_do_not_matter() -> None:
    """An error is on one line, where the prompt had several."""
    said = SAID.replace(" ", "\n  ")

    assert "no: [prompt]" == conceal(f"no: {SAID}", [said])


def test_a_short_text_is_concealed_whole() -> None:
    """A prompt of eight characters is one, of seven a word."""
    assert "[prompt]!" == conceal("my prom!!", ["my prom!"]).replace("!!", "!")
    assert "said pancake" == conceal("said pancake", ["pancake"])


@given(
    said=st.text(min_size=16, max_size=60, alphabet="abcdefgh "),
    before=st.text(max_size=20),
    after=st.text(max_size=20),
    data=st.data(),
)
def test_no_part_of_sixteen_is_left(said: str, before: str, after: str, data: Any) -> None:
    """Whatever is quoted, and wherever, sixteen characters in a row never stay."""
    said = " ".join(said.split())
    if len(said) < 16:
        return
    start = data.draw(st.integers(0, len(said) - 16))
    end = data.draw(st.integers(start + 16, len(said)))

    shown = conceal(f"{before}{said[start:end]}{after}", [said])

    assert not any(said[at : at + 16] in shown for at in range(start, end - 15))


@pytest.mark.parametrize(
    "messages",
    [
        SAID,
        [{"role": "user", "content": SAID}],
        [UserMessage(SAID)],
        [UserMessage([{"type": "text", "text": SAID}])],
        [{"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": SAID}]}],
        [AssistantMessage(tool_calls=(ToolCall("1", "f", SAID),))],
        ({"role": "user", "content": SAID}, {"role": "user", "content": "x" * 1_000_000}),
    ],
)
def test_every_place_of_a_message_is_known(messages: Any) -> None:
    """Texts, parts, arguments and results, in dicts and typed messages, before long ones too."""
    assert SAID in list(spoken(ChatRequest(model="m", messages=messages), None))


def test_a_body_stands_for_what_cannot_be_read_again() -> None:
    """Of a factory or an iterator the small body tells what was said."""
    request = ChatRequest(model="m", messages=lambda: iter(()))
    body = b'{"model":"a model of 20 chars","messages":[{"role":"user","content":"what was said"}]}'

    assert ["what was said"] == list(spoken(request, body))
    assert [] == list(spoken(request, None))
    assert [] == list(spoken(request, b"not JSON"))
    assert [] == list(spoken(request, b"[1]"))


def test_words_of_the_api_are_not_the_conversations() -> None:
    """Roles, types, names and ids stay readable in an error."""
    message = {"role": "developer", "name": "somebody-else", "content": "hi"}

    assert [] == list(spoken(ChatRequest(model="m", messages=[message]), None))


def test_what_is_compared_is_bounded() -> None:
    """Of a conversation of any length at most 128 Ki characters are looked at, the last first."""
    messages = [{"role": "user", "content": f"{n} " + "x" * 1000} for n in range(1000)]

    texts = list(spoken(ChatRequest(model="m", messages=messages), None))

    assert texts[0].startswith("999 ")
    assert sum(map(len, texts)) < 140 * 1024
