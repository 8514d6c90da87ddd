"""Messages on their way out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.openai_chat.messages import conversation
from penstock.encoders import encode_json
from penstock.errors import EncodeError, UnsupportedFeatureError
from penstock.fields import Each, Joined, Raw
from penstock.interfaces import Quirks
from penstock.messages import AssistantMessage, SystemMessage, ToolMessage, UserMessage
from penstock.response import ToolCall

ORIGIN = "https://api.example.com"
STATE = {"dialect": "openai_chat", "origin": ORIGIN, "reasoning_details": [{"type": "x"}]}


def sent(messages: Any, dropped: list[str] | None = None, *, strict: bool = False) -> Any:
    """The conversation as the encoder pulls it."""
    each = conversation(
        messages,
        dialect="openai_chat",
        origin=ORIGIN,
        dropped=[] if dropped is None else dropped,
        strict=strict,
    )
    return pulled(each)


def pulled(each: Each) -> list[Any]:
    """One pass over a conversation."""
    source: Any = each.source
    messages: Any = source() if callable(source) else source
    if each.translate is not None:
        messages = map(each.translate, messages)
    return [json.loads(each.data) if isinstance(each, Raw) else each for each in messages]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}},
        {"role": "assistant", "content": None, "reasoning_details": [{"type": "x"}]},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"a": 1}}]},
        {"role": "user", "content": "x", "_content_file": "/etc/hostname"},
        {"role": "narrator", "content": "x"},
    ],
)
def test_a_dict_goes_through_untouched(message: dict[str, Any]) -> None:
    """Unknown fields and roles too; no key of a dict names a file (exoclaw, fault 18)."""
    assert [message] == sent([message])


def test_a_dict_is_not_copied() -> None:
    """A message that needs no change is the caller's own object: a conversation may be large."""
    message = {"role": "user", "content": [{"type": "text", "text": "x"}]}
    each = conversation([message], dialect="d", origin="o", dropped=[], strict=False)

    assert each.translate is not None
    assert message is each.translate(message)


KEYS = ["role", "content", "name", "id", "tool_calls", "tool_call_id"]
TOLD = ["is_error", "cache_control", "provider_state"]
TEXTS = st.dictionaries(st.sampled_from(KEYS + TOLD), st.text())


@given(message=TEXTS)
def test_what_is_said_to_be_left_is_left(message: dict[str, str]) -> None:
    """By its keys alone, where all values are texts: such messages are not even looked at."""
    each = conversation([message] * 65, dialect="d", origin="o", dropped=[], strict=True)

    assert each.leaves is not None
    assert each.translate is not None
    if each.leaves([*message]):
        assert message is each.translate(message)


def test_messages_of_a_role_and_a_text_are_left() -> None:
    """Unless the provider wants something of each of them."""
    messages = [{"role": "user", "content": "x"}] * 65
    quirks = Quirks(drops=frozenset({"messages.name"}))
    usual, odd = (
        conversation(messages, dialect="d", origin="o", dropped=[], strict=False, quirks=each)
        for each in (Quirks(), quirks)
    )

    assert usual.leaves is not None
    assert usual.leaves(["role", "content"])
    assert odd.leaves is None


def test_a_few_plain_messages_are_sent_as_they_are() -> None:
    """The caller's list, with nothing to do for any of them, unless one is not plain."""
    plain = [{"role": "user", "content": "x"}, {"role": "user", "content": "x", "name": "n"}]
    typed = [*plain, UserMessage("x")]
    few, odd = (
        conversation(messages, dialect="d", origin="o", dropped=[], strict=False)
        for messages in (plain, typed)
    )

    assert Each(plain) == few
    assert few.source is plain
    assert odd.translate is not None


def test_typed_messages_and_dicts_mix() -> None:
    """Each says itself in the OpenAI shape."""
    call = ToolCall("call_a", "f", "{}")

    assert [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": "1"},
        {"role": "user", "content": "And?"},
    ] == sent(
        [
            SystemMessage("Be brief.", role="developer"),
            UserMessage("Hi"),
            AssistantMessage(None, (call,)),
            ToolMessage("1", "call_a"),
            MappingProxyType({"role": "user", "content": "And?"}),
        ]
    )


def test_a_ready_fragment_goes_through() -> None:
    """A store's JSON is copied, not read."""
    assert [{"role": "user", "content": "x"}] == sent([Raw(b'{"role":"user","content":"x"}')])


def test_a_ready_fragment_with_state_is_translated() -> None:
    """What must not be sent is taken out of a fragment too."""
    fragment = Raw(json.dumps({"role": "user", "content": "x", "provider_state": {}}).encode())

    assert [{"role": "user", "content": "x"}] == sent([fragment])


@pytest.mark.parametrize("fault", ["text", 5, None, ["role", "user"]])
def test_what_is_no_message_is_named(fault: object) -> None:
    """The error says which of the conversation it is, and what it is instead."""
    with pytest.raises(EncodeError, match=type(fault).__name__) as caught:
        sent([{"role": "user", "content": "x"}, fault])

    assert "messages[1]" == caught.value.param


@pytest.mark.parametrize("message", [{}, {"content": "x"}, {"role": None}, {"role": 1}])
def test_a_message_needs_a_role(message: dict[str, Any]) -> None:
    """It is checked when the message is pulled."""
    with pytest.raises(EncodeError, match=r"messages\[2\]: a message needs a role"):
        sent([{"role": "user", "content": "x"}, {"role": "user", "content": "y"}, message])


def generated() -> Iterator[object]:
    """A conversation with a fault at its third place."""
    yield {"role": "user", "content": "x"}
    yield {"role": "user", "content": "y"}
    yield {"content": "z"}


class Again:
    """A conversation that can be read again."""

    def __iter__(self) -> Iterator[object]:
        return generated()


@pytest.mark.parametrize("source", [generated(), generated, Again()])
def test_a_message_is_named_whatever_it_comes_from(source: object) -> None:
    """Iterators, factories and iterables count too."""
    with pytest.raises(EncodeError) as caught:
        sent(source)

    assert "messages[2]" == caught.value.param


def test_each_pass_counts_anew() -> None:
    """A second pass over a factory names the same place."""
    each = conversation(generated, dialect="d", origin="o", dropped=[], strict=False)

    for _ in range(2):
        with pytest.raises(EncodeError) as caught:
            pulled(each)
        assert "messages[2]" == caught.value.param


async def counted(each: Each) -> AsyncIterator[object]:
    """Each message as it is translated, or the place of what is wrong with it."""
    assert each.translate is not None
    async for message in each.source:  # type: ignore[union-attr]
        try:
            yield each.translate(message)
        except EncodeError as error:
            yield error.param


class Later:
    """An async conversation that can be read again."""

    async def __aiter__(self) -> AsyncIterator[object]:
        for message in generated():
            yield message


@pytest.mark.asyncio
async def test_async_passes_count_anew() -> None:
    """An async iterable stays one, and each pass over it starts at 0."""
    each = conversation(Later(), dialect="d", origin="o", dropped=[], strict=False)  # type: ignore[arg-type]
    assert each.translate is not None
    for _ in range(2):
        *good, bad = [message async for message in counted(each)]
        assert 2 == len(good)
        assert "messages[2]" == bad


def answer(**more: Any) -> dict[str, Any]:
    """An assistant's message."""
    return {"role": "assistant", "content": "x", **more}


def test_state_of_the_same_origin_goes_back_into_the_message() -> None:
    """Its fields are what the provider wants to see again; the key itself is never sent."""
    assert [answer(reasoning_details=[{"type": "x"}])] == sent([answer(provider_state=STATE)])


def test_a_field_of_the_message_wins_over_its_state() -> None:
    """What the caller wrote is what is sent."""
    assert [answer(reasoning_details=[])] == sent(
        [answer(reasoning_details=[], provider_state=STATE)]
    )


def test_state_of_tool_calls_goes_back_by_index() -> None:
    """A thought signature stands where the provider put it (Gemini's ``extra_content``)."""
    calls = [{"id": "a", "function": {}}, {"id": "b", "function": {}}]
    state = {**STATE, "tool_calls": [{"index": 1, "extra_content": {"google": 1}}]}

    message = sent([answer(tool_calls=calls, provider_state=state)])[0]

    assert [calls[0], {"extra_content": {"google": 1}, **calls[1]}] == message["tool_calls"]


@pytest.mark.parametrize(
    "state",
    [
        {**STATE, "origin": "https://other.example.com"},
        {**STATE, "dialect": "anthropic_messages"},
        {"reasoning": "x"},
        "text",
    ],
)
def test_state_from_elsewhere_is_left_out_and_reported(state: object) -> None:
    """Signatures and encrypted thoughts mean nothing to another provider."""
    dropped: list[str] = []

    assert [answer()] == sent([answer(provider_state=state)], dropped)
    assert ["messages[0].provider_state"] == dropped


def test_empty_state_is_no_loss() -> None:
    """A null is not worth a report."""
    dropped: list[str] = []

    assert [answer()] == sent([answer(provider_state=None)], dropped)
    assert [] == dropped


def test_a_strict_request_refuses_to_lose_state() -> None:
    """The error names the message."""
    state = {**STATE, "origin": "https://other.example.com"}

    with pytest.raises(UnsupportedFeatureError) as caught:
        sent([answer(), answer(provider_state=state)], strict=True)

    assert "messages[1].provider_state" == caught.value.param


def test_reports_of_many_messages_are_bounded() -> None:
    """The first three by name, then one for all the others, over any number of passes."""
    dropped: list[str] = []
    messages = [answer(provider_state={"dialect": "other"}) for _ in range(50)]
    each = conversation(messages, dialect="d", origin="o", dropped=dropped, strict=False)

    for _ in range(3):
        pulled(each)

    assert [
        "messages[0].provider_state",
        "messages[1].provider_state",
        "messages[2].provider_state",
        "messages[...].provider_state",
    ] == dropped


def document(**fields: Any) -> dict[str, Any]:
    """A user's message with a document."""
    return {
        "role": "user",
        "content": [
            {"type": "text", "text": "Sum it up."},
            {"type": "document", "document": fields, "cache_control": {"type": "ephemeral"}},
        ],
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"data": "JVBERi0=", "media_type": "application/pdf"},
            {
                "file_data": Joined(("data:application/pdf;base64,", "JVBERi0=")),
                "filename": "document",
            },
        ),
        (
            {"data": "YSxi", "mediaType": "text/csv", "filename": "a.csv"},
            {"file_data": Joined(("data:text/csv;base64,", "YSxi")), "filename": "a.csv"},
        ),
        (
            {"data": "data:application/pdf;base64,JVBERi0="},
            {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "document"},
        ),
    ],
)
def test_a_document_becomes_a_file_part(fields: dict[str, Any], expected: object) -> None:
    """The reference systems' part is OpenAI's, with its other fields and neighbors kept."""
    parts = sent([document(**fields)])[0]["content"]

    assert [
        {"type": "text", "text": "Sum it up."},
        {"type": "file", "file": expected, "cache_control": {"type": "ephemeral"}},
    ] == parts


def test_a_documents_address_is_one_text_on_the_wire() -> None:
    """It is said in two, so that nobody copies 32 MiB of base64; the peer sees none of that."""
    content = sent([document(data="JVBERi0=", media_type="text/csv")])[0]["content"]
    (wire,) = encode_json(content[1]["file"])

    assert b'{"file_data":"data:text/csv;base64,JVBERi0=","filename":"document"}' == wire


def test_the_callers_document_is_left_as_it_is() -> None:
    """Translation makes a new message where it changes one."""
    message = document(data="JVBERi0=")

    sent([message])

    assert document(data="JVBERi0=") == message


def test_a_document_by_address_cannot_be_said() -> None:
    """OpenAI's file part takes data or an id, and without it the question is another one."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        sent([document(data="https://example.com/a.pdf")])

    assert "messages[0].content[1].document.data" == caught.value.param


def test_a_document_without_data_is_named() -> None:
    """The error says where it is."""
    with pytest.raises(EncodeError, match=r"messages\[0\].content\[1\].document.data"):
        sent([document(media_type="application/pdf")])


def test_content_may_be_a_tuple() -> None:
    """Parts need not be in a list."""
    part = {"type": "text", "text": "x"}

    assert (part,) == sent([{"role": "user", "content": (part,)}])[0]["content"]


@pytest.mark.parametrize("failed", [True, False])
@pytest.mark.parametrize("ready", [True, False])
def test_that_a_tool_failed_is_anthropics_to_say(*, failed: bool, ready: bool) -> None:
    """Strict servers refuse the field; leaving it out is reported where it says something."""
    bare = {"role": "tool", "tool_call_id": "c1", "content": "no"}
    message: Any = {**bare, "is_error": failed}
    if ready:
        message = Raw(json.dumps(message).encode())

    dropped: list[str] = []

    assert [bare] == sent([message], dropped)
    assert (["messages[0].is_error"] if failed else []) == dropped
