"""Conversations of one object a message: from any source, in any number of passes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from penstock.conversations.conversation import Conversation
from penstock.dialects.one_by_one import one_by_one
from penstock.dialects.places import Losses, Place
from penstock.encoders import encode_json
from penstock.encoders.body import Body
from penstock.errors import EncodeError
from penstock.fields import Raw
from penstock.messages import UserMessage

PLAIN = {"role": "user", "content": "a"}
ODD = {"role": "user", "content": [{"type": "text", "text": "b"}]}


class Speaker:
    """Says odd messages by their numbers."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self.losses = Losses("d", self.dropped, strict=False)
        self.asked = 0

    def translate(self, message: dict[str, Any], place: Place) -> dict[str, Any]:
        """Say a message, and that it lost something."""
        self.asked += 1
        place.drop("x")
        return {"number": place.index}


def function() -> Iterator[Any]:
    """A source that is called for each pass."""
    yield from (PLAIN, ODD, PLAIN, ODD)


SOURCES: dict[str, Callable[[], Any]] = {
    "list": lambda: [PLAIN, ODD, PLAIN, dict(ODD)],
    "tuple": lambda: (PLAIN, ODD, PLAIN, dict(ODD)),
    "function": lambda: function,
    "iterable": lambda: {1: PLAIN, 2: ODD, 3: PLAIN, 4: ODD}.values(),
}


@pytest.mark.parametrize("source", SOURCES)
def test_messages_have_their_numbers_in_every_pass(source: str) -> None:
    """However they are held; plain ones are sent as they are, and not asked about."""
    speaker = Speaker()
    fields = {"messages": one_by_one(SOURCES[source](), speaker.translate, speaker.losses)}
    passes = [json.loads(b"".join(encode_json(fields)))["messages"] for _ in range(2)]

    assert [[PLAIN, {"number": 1}, PLAIN, {"number": 3}]] * 2 == passes
    assert ["messages[1].x", "messages[3].x"] == speaker.dropped


def test_an_iterator_has_one_pass() -> None:
    """It is counted as it goes."""
    speaker = Speaker()
    fields = {"messages": one_by_one(function(), speaker.translate, speaker.losses)}

    assert {"number": 3} == json.loads(b"".join(encode_json(fields)))["messages"][3]


def test_text_is_one_message() -> None:
    """Of the user."""
    speaker = Speaker()
    fields = {"messages": one_by_one("Hello", speaker.translate, speaker.losses)}

    assert {"messages": [{"role": "user", "content": "Hello"}]} == json.loads(
        b"".join(encode_json(fields))
    )


OPENED: list[Any] = [
    UserMessage("a"),
    Raw(b'{"role": "user", "content": "a"}'),
    {"role": "developer", "content": "a"},
    {**PLAIN, "name": "Ada"},
]


@pytest.mark.parametrize("message", OPENED, ids=str)
def test_what_is_not_plain_is_opened(message: Any) -> None:
    """Typed messages, JSON, other roles, more fields."""
    speaker = Speaker()
    list(encode_json(one_by_one([message], speaker.translate, speaker.losses)))

    assert speaker.asked


@pytest.mark.parametrize("message", [5, None, {"content": "a"}, {"role": 5, "content": "a"}])
def test_what_is_no_message_is_an_error(message: Any) -> None:
    """With its number."""
    speaker = Speaker()

    with pytest.raises(EncodeError, match=r"messages\[1\]"):
        list(encode_json(one_by_one([PLAIN, message], speaker.translate, speaker.losses)))


class Awaited:
    """An async source that can be read again."""

    async def _read(self) -> AsyncIterator[Any]:
        for message in (PLAIN, ODD):
            yield message

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._read()


async def sent(messages: Any) -> tuple[list[Any], list[str]]:
    """What goes out, twice the same."""
    speaker = Speaker()
    body = Body({"messages": one_by_one(messages, speaker.translate, speaker.losses)})
    await body.prepare()
    passes = [b"".join([piece async for piece in body.open()]) for _ in range(2)]
    assert passes[0] == passes[1]
    said: list[Any] = json.loads(passes[0])["messages"]
    return said, speaker.dropped


@pytest.mark.asyncio
async def test_async_sources_are_counted_anew() -> None:
    """In each pass."""
    assert ([PLAIN, {"number": 1}], ["messages[1].x"]) == await sent(Awaited())


@pytest.mark.asyncio
async def test_a_kept_conversation_is_read_message_by_message() -> None:
    """It is an async source like any other."""
    async with Conversation.open() as conversation:
        await conversation.extend([PLAIN, ODD])

        assert ([PLAIN, {"number": 1}], ["messages[1].x"]) == await sent(conversation)
