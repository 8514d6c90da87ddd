"""Kept texts are said unopened, and nobody can tell: the bytes are those of a list of messages."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dialects.saying import target_at

from penstock.conversations import SyncConversation
from penstock.dialects import DIALECTS, dialect
from penstock.dialects.plain_lines import Plain, said
from penstock.dialects.texts import Texts, grouped
from penstock.encoders import Body, encode_json
from penstock.errors import ConversationError
from penstock.fields import Lines
from penstock.request import ChatRequest


def say(role: str, content: Any) -> dict[str, Any]:
    """A message."""
    return {"role": role, "content": content}


CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    ],
}
RESULT = {"role": "tool", "tool_call_id": "call_1", "name": "f", "content": "found"}
LONG = "x" * 1500
PARTS = [{"type": "text", "text": "in parts"}]
CHAT = [say(("user", "assistant")[number % 2], f"{number}: {LONG}") for number in range(60)]
CASES: dict[str, list[dict[str, Any]]] = {
    "a chat": CHAT,
    "the system first": [say("system", "Be brief."), *CHAT],
    "the system late": [*CHAT[:4], say("system", "Be brief."), *CHAT[4:]],
    "one message": [say("user", "hi")],
    "a side that goes on": [say("user", f"{number}") for number in range(100)],
    "sides that go on": [say(("user", "assistant")[n // 3 % 2], f"{n}") for n in range(90)],
    "a turn over two blocks": [say("user", f"{n}: {LONG}") for n in range(30)] + CHAT[1:],
    "tools": [
        dict(message)  # a list's messages are found by what they are
        for _ in range(3)
        for message in [say("user", "look"), CALL, RESULT, say("user", "and?"), *CHAT[1:]]
    ],
    "text behind a call": [say("user", "look"), say("assistant", "I do"), CALL, RESULT, *CHAT],
    "parts": [*CHAT[:2], say("user", PARTS), say("user", "more"), *CHAT[1:]],
    "blanks": [say("user", "a"), say("assistant", " \n"), say("user", "b"), say("assistant", "")],
    "nothing said": [say("user", "a"), say("assistant", None), say("user", "b")],
    "names": [say("user", "a") | {"name": "Ann"}, say("assistant", "b"), say("user", "c")],
    "quotes": [
        say("user", 'He said "no",'),
        say("assistant", 'a\\"b\\\\'),
        say("user", '","name":"x'),
        say("assistant", '"'),
        say("user", '\\"'),
    ]
    * 20,
    "another script": [say("user", "日本語 ü"), say("assistant", "ü 日本語")] * 20,
    "a large one": [*CHAT[:3], say("assistant", "y" * 100_000), *CHAT[4:]],
    "state of another": [*CHAT[:1], CHAT[1] | {"provider_state": {"dialect": "x", "origin": "y"}}],
}


def kept(messages: list[dict[str, Any]]) -> SyncConversation:
    """`messages`, kept in memory."""
    conversation = SyncConversation.open()
    conversation.extend(messages)
    return conversation


def body_of(name: str, messages: Any, dropped: list[str]) -> Body:
    """What the dialect `name` makes of `messages`."""
    request = ChatRequest(model="m", messages=messages)
    outgoing = dialect(name).encode(request, target_at("https://api.example.com"), dropped=dropped)
    return Body(outgoing.fields, buffer_size=4096)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("case", CASES)
async def test_the_bytes_are_those_of_the_list(name: str, case: str) -> None:
    """In every dialect and pass; what is lost is reported alike."""
    dropped: list[str] = []
    expected: list[str] = []
    body = body_of(name, kept(CASES[case]), dropped)
    wanted = b"".join([piece async for piece in body_of(name, CASES[case], expected).open()])

    length = await body.length()

    sent = b"".join([piece async for piece in body.open()])
    assert wanted == sent
    assert len(wanted) == length
    if name not in ("openai_chat", "watsonx"):  # they count only what they translate
        assert sorted(expected) == sorted(dropped)


class Told:
    """A conversation of blocks."""

    def __init__(self, *blocks: bytes, plain: bool = False) -> None:
        self.told = [Lines(data, plain=plain) for data in blocks]

    async def blocks(self) -> AsyncIterator[Lines]:
        """Return them."""
        for each in self.told:
            yield each


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        (b'{"role":"user","content":"a"}', True),
        (b'{"role":"assistant","content":"a \\" b \\\\"}', True),
        (b'{"role":"system","content":"a"}', False),
        (b'{"role":"user","content":""}', False),
        (b'{"role":"user","content":" "}', False),
        (b'{"role":"user","content":"\\n"}', False),
        (b'{"role":"user","content":"\xc3\xbc"}', True),
        (b'{"role":"user","content":"  a"}', True),
        (b'{"role":"user","content":"\xe3\x80\x80\xe6\x97\xa5"}', True),
        (b'{"role":"user","content":"\xe3\x80\x80"}', False),  # a blank of another script
        (b'{"role":"user","content":"\\t"}', False),
        (b'{"role":"user","content":"' + b" " * 40 + b'a"}', False),  # it is found out otherwise
        (b'{"role":"user","content":null}', False),
        (b'{"role":"user","content":["a"]}', False),
        (b'{"role":"user","content":"a","name":"b"}', False),
        (b'{"role":"user","content":"a\\\\","name":"b"}', False),
        (b'{"role":"user","content":"a","n":1}', False),
        (b'{"role": "user", "content": "a"}', False),
        (b'{"content":"a","role":"user"}', False),
    ],
)
@pytest.mark.asyncio
async def test_only_a_role_and_a_text_is_told_unopened(line: bytes, plain: bool) -> None:
    """Whatever else a line may be."""
    (found,) = [each async for each in grouped(Told(line))]

    assert plain == isinstance(found, Texts)
    assert json.loads(line) == (found.pop() if isinstance(found, Texts) else found)


@pytest.mark.parametrize(
    "line", [b'{"role":"user",', b'{"role":"user","content":["\xff"]}', b"[" * 100_000]
)
@pytest.mark.asyncio
async def test_a_line_that_another_program_broke_is_told(line: bytes) -> None:
    """Not with the error of a parser."""
    with pytest.raises(ConversationError, match="another program changed it") as caught:
        [each async for each in grouped(Told(line))]
    assert "changed" == caught.value.code


@given(
    st.lists(
        st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=8), st.booleans()),
        max_size=12,
    )
)
@pytest.mark.asyncio
async def test_any_text_is_what_it_was(said: list[tuple[str, str, bool]]) -> None:
    """Grouped or not, nothing is lost, made up or moved."""
    messages = [
        say(role, text.encode("utf-8", "replace").decode()) | ({"name": "n"} if named else {})
        for role, text, named in said
    ]
    found: list[Any] = []
    async for each in grouped(kept(messages)):
        if isinstance(each, Texts):
            assert len(each) == len(json.loads(b"[" + each.lines().data + b"]"))
            while each:
                found.append(each.pop())
        else:
            found.append(each)

    assert messages == found


SAID = st.text(st.characters(codec="utf-8"), max_size=8).map(lambda text: f"{text}.")
PLAIN = Plain({"user": "user", "assistant": "assistant"}, "c", b'{"t":')


@given(
    st.lists(st.lists(st.tuples(SAID, st.integers(0, 9)), min_size=1, max_size=6), max_size=4),
    st.sampled_from(["anthropic_messages", "gemini", "bedrock_converse", "mistral"]),
    st.integers(0, 1),
)
@pytest.mark.asyncio
async def test_lines_that_are_known_to_be_plain_are_said_as_others(
    blocks: list[list[tuple[str, int]]], name: str, side: int
) -> None:
    """Byte for byte, whichever side speaks how often, and wherever a block ends."""
    messages: list[dict[str, Any]] = []
    kept_as: list[bytes] = []
    for block in blocks:
        lines = []
        for text, chance in block:
            side = side ^ (chance > 0)  # one in ten goes on
            messages.append(say(("user", "assistant")[side], text))
            lines.append(b"".join(encode_json(messages[-1])))
        kept_as.append(b"\n".join(lines))

    sent = [
        b"".join([piece async for piece in body_of(name, given, []).open()])
        for given in (messages, Told(*kept_as), Told(*kept_as, plain=True))
    ]

    assert [sent[0]] * 3 == sent


@pytest.mark.parametrize(
    ("sides", "count"),
    [
        ("u", 0),
        ("ua", 1),
        ("uau", 2),
        ("auau", 3),
        ("uu", None),
        ("uaau", None),
        ("uauu", None),
        ("uaa", None),
    ],
)
def test_turns_are_said_at_once_where_sides_take_turns(sides: str, count: int | None) -> None:
    """All but the last line, which may go on; nothing where a side speaks twice."""
    roles = {"u": "user", "a": "assistant"}
    messages = [say(roles[side], f"{number}") for number, side in enumerate(sides)]
    lines = [b"".join(encode_json(each)) for each in messages]

    held = [b"\n".join(lines)]

    found = said(held, PLAIN)

    if count is None:
        assert (None, [b"\n".join(lines)]) == (found, held)
        return
    assert found is not None
    assert not held
    assert (count, lines[-1]) == (found[0], found[2])
    expected = [{"role": each["role"], "c": [{"t": each["content"]}]} for each in messages]
    assert expected[:-1] == json.loads(b"[" + found[1] + b"]")


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["anthropic_messages", "gemini", "bedrock_converse", "mistral"])
async def test_memory_is_a_block(name: str) -> None:
    """A conversation of 2 MiB costs no more than one of a quarter MiB, above what it is itself."""
    peaks = []
    for count in (170, 1400):
        conversation = kept(CHAT[:20] * (count // 20))
        tracemalloc.start()
        async for _ in body_of(name, conversation, []).open():
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < peaks[0] + 32 * 1024
