"""Conversations, held to the service model: `penstock.dialects.bedrock_converse.messages`."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from tests.dialects.bedrock_converse.model import encoded, faults, service, target

from penstock.conversations.attachments import AudioFile, DocumentFile, ImageFile, VideoFile
from penstock.dialects import dialect
from penstock.dialects.bedrock_converse.media import AUDIO, DOCUMENT, IMAGE, VIDEO, Names
from penstock.dialects.bedrock_converse.parts import BLOCKS
from penstock.encoders import Body
from penstock.errors import EncodeError, UnsupportedFeatureError
from penstock.interfaces import CallRecord, Quirks
from penstock.pipeline.fold import Fold
from penstock.request import ChatRequest
from penstock.testing.check_dialect import load_cases

Json = Any
PIXEL = "iVBORw0KGgo="
PNG = f"data:image/png;base64,{PIXEL}"
PDF = "data:application/pdf;base64,JVBERi0="


def said(messages: Json, *, dropped: list[str] | None = None, **fields: Any) -> list[Json]:
    """The turns that `messages` become; botocore has nothing against them."""
    body = encoded(messages, dropped=dropped, **fields)[1]
    assert "" == faults(body)
    found: list[Json] = body["messages"]
    return found


def parts(*given: Json, dropped: list[str] | None = None) -> list[Json]:
    """The blocks that a user's parts become."""
    return list(said([{"role": "user", "content": list(given)}], dropped=dropped)[0]["content"])


MEDIA: list[tuple[Json, Json]] = [
    ({"type": "text", "text": "Hi"}, {"text": "Hi"}),
    ("Hi", {"text": "Hi"}),
    (
        {"type": "image_url", "image_url": {"url": PNG}},
        {"image": {"format": "png", "source": {"bytes": PIXEL}}},
    ),
    (
        {"type": "image_url", "image_url": "data:image/jpg;base64,AAAA"},
        {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
    ),
    (
        {"type": "image_url", "image_url": {"url": "s3://bucket-1/a/b.webp"}},
        {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket-1/a/b.webp"}}}},
    ),
    (
        {"type": "video_url", "video_url": {"url": "data:video/quicktime;base64,AAAA"}},
        {"video": {"format": "mov", "source": {"bytes": "AAAA"}}},
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"audio": {"format": "wav", "source": {"bytes": "AAAA"}}},
    ),
    (
        {"type": "file", "file": {"file_data": PDF, "filename": "a b/Ärger (1).v2.pdf"}},
        {"document": {"format": "pdf", "name": "rger (1)-v2", "source": {"bytes": "JVBERi0="}}},
    ),
    (
        {"type": "file", "file": {"file_data": "QSxC", "filename": "table.csv"}},
        {"document": {"format": "csv", "name": "table", "source": {"bytes": "QSxC"}}},
    ),
    (
        {"type": "document", "document": {"data": "SGk=", "media_type": "text/markdown"}},
        {"document": {"format": "md", "name": "document", "source": {"bytes": "SGk="}}},
    ),
    (
        {"type": "document", "document": {"data": "data:text/plain,a%20b"}},
        {
            "document": {
                "format": "txt",
                "name": "document",
                "source": {"bytes": b64encode(b"a b").decode()},
            }
        },
    ),
    (
        {"type": "document", "document": {"data": "s3://bucket-1/x.docx"}},
        {
            "document": {
                "format": "docx",
                "name": "document",
                "source": {"s3Location": {"uri": "s3://bucket-1/x.docx"}},
            }
        },
    ),
    ({"type": "refusal", "refusal": "No."}, {"text": "No."}),
    # Bedrock's own
    ({"text": "Hi"}, {"text": "Hi"}),
    (
        {"image": {"format": "gif", "source": {"bytes": b"GIF89a"}}},
        {"image": {"format": "gif", "source": {"bytes": "R0lGODlh"}}},
    ),
    (
        {"guardContent": {"text": {"text": "x", "qualifiers": ["query"]}}},
        {"guardContent": {"text": {"text": "x", "qualifiers": ["query"]}}},
    ),
    ({"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default"}}),
    (
        {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}]}},
        {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}]}},
    ),
]


@pytest.mark.parametrize(("part", "block"), MEDIA)
def test_every_part_has_its_block(part: Json, block: Json) -> None:
    """Text, pictures, films, sound, documents, and blocks of Bedrock's own with their bytes."""
    assert [block] == parts(part)


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        ({"type": "image_url", "image_url": {"url": "https://x/a.png"}}, "content[1]"),
        ({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA=="}}, "content[1]"),
        ({"type": "video_url", "video_url": {"url": "https://x/a.mp4"}}, "content[1]"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "content[1]"),
        ({"type": "document", "document": {"data": "https://x/a.pdf"}}, "content[1]"),
        ({"type": "thinking", "thinking": "hm"}, "content[1]"),
    ],
)
def test_what_has_no_block_is_reported(part: Json, lost: str) -> None:
    """By its path; a strict request refuses it."""
    dropped: list[str] = []
    given = [{"role": "user", "content": ["Hi", part]}]

    assert [{"text": "Hi"}] == said(given, dropped=dropped)[0]["content"]
    assert [f"messages[0].{lost}"] == dropped
    with pytest.raises(UnsupportedFeatureError):
        encoded(given, strict=True)


def test_an_images_detail_is_reported() -> None:
    """Every image is seen as it is."""
    dropped: list[str] = []
    parts({"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}, dropped=dropped)

    assert ["messages[0].content[0].image_url.detail"] == dropped


def test_names_of_documents_are_unique_in_a_request() -> None:
    """Bedrock refuses two documents of one name; each pass names them alike."""
    file = {"type": "file", "file": {"file_data": PDF, "filename": "Report.pdf"}}
    other = {"type": "file", "file": {"file_data": PDF, "filename": "report.docx"}}
    turn = {"role": "user", "content": ["See:", file, other]}
    messages = [turn, {"role": "assistant", "content": "Yes."}, turn]
    names = [
        [block["document"]["name"] for block in each["content"] if "document" in block]
        for each in said(messages)
    ]

    assert [["Report", "report-2"], [], ["Report-3", "report-4"]] == names


def test_formats_are_those_of_the_service_model() -> None:
    """Every format that is said, and every one that there is."""
    shapes = {"Image": IMAGE, "Document": DOCUMENT, "Video": VIDEO, "Audio": AUDIO}
    for name, table in shapes.items():
        assert set(service().shape_for(f"{name}Format").enum) == set(table.values())
    pattern = r"[A-Za-z0-9\s\-()\[\]]{1,200}"
    for given in ("", "...", "ä" * 300, "x" * 300, "a\n\tb", None, "/etc/passwd"):
        import re

        assert re.fullmatch(pattern, Names().named(given))


def test_blocks_are_those_of_the_service_model() -> None:
    """A member that the model gains is no longer lost in silence."""
    known = {*service().shape_for("ContentBlock").members}
    known |= {*service().shape_for("ToolResultContentBlock").members}

    assert known == BLOCKS


@pytest.mark.parametrize(
    ("make", "member"),
    [
        (lambda path: ImageFile(path, media_type="image/png"), "image"),
        (lambda path: VideoFile(path, media_type="video/mp4"), "video"),
        (lambda path: AudioFile(path, media_type="audio/wav"), "audio"),
        (lambda path: DocumentFile(path, media_type="application/pdf"), "document"),
    ],
)
def test_attachments_are_read_while_they_are_sent(make: Any, member: str, tmp_path: Any) -> None:
    """penstock's own parts: their base64 is made on the way."""
    path = tmp_path / "file.bin"
    path.write_bytes(b"some bytes")

    async def sent() -> Json:
        request = ChatRequest(model="m", messages=[{"role": "user", "content": [make(path)]}])
        outgoing = dialect("bedrock_converse").encode(request, target(), dropped=[])
        body = Body(outgoing.fields)
        return json.loads(b"".join([piece async for piece in body.open()]))

    body = asyncio.run(sent())
    block = body["messages"][0]["content"][0]

    assert "" == faults(body)
    assert b64encode(b"some bytes").decode() == block[member]["source"]["bytes"]


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1.50}'}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def test_a_turn_holds_neighbouring_messages() -> None:
    """Roles alternate; results of calls are the user's; the system's words are apart."""
    body = encoded(
        [
            {"role": "system", "content": "A"},
            {"role": "developer", "content": [{"type": "text", "text": "B"}]},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "I look.", "tool_calls": [CALL, CALL | {"id": "c2"}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": "", "is_error": True},
            {"role": "user", "content": " "},
            {"role": "user", "content": "Go on."},
        ],
        tools=(TOOL,),
    )[1]

    assert "" == faults(body)
    assert [{"text": "A"}, {"text": "B"}] == body["system"]
    assert [
        {"role": "user", "content": [{"text": "Hi"}]},
        {
            "role": "assistant",
            "content": [
                {"text": "I look."},
                {"toolUse": {"toolUseId": "call_1", "name": "f", "input": {"a": 1.5}}},
                {"toolUse": {"toolUseId": "c2", "name": "f", "input": {"a": 1.5}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "call_1", "content": [{"text": "one"}]}},
                {"toolResult": {"toolUseId": "c2", "content": [], "status": "error"}},
                {"text": "Go on."},
            ],
        },
    ] == body["messages"]


@pytest.mark.parametrize("many", [False, True])
def test_calls_without_tools_bring_a_placeholder(many: bool) -> None:
    """Bedrock wants a toolConfig beside every call; a long conversation learns it at its end."""
    messages: list[Json] = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "one"},
    ]
    if many:
        talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        messages = talk * 50 + messages
    body = encoded(messages)[1]

    assert ["no_tools"] == [each["toolSpec"]["name"] for each in body["toolConfig"]["tools"]]
    assert "" == faults(body)
    assert "toolConfig" not in encoded(messages[:1])[1]
    assert ["f"] == [
        each["toolSpec"]["name"]
        for each in encoded(messages, tools=(TOOL,))[1]["toolConfig"]["tools"]
    ]


def test_ids_are_made_valid_and_still_belong_together() -> None:
    """Another vendor's id may be longer, or have other characters."""
    id = "call:" + "x" * 90
    turns = said(
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "tool_calls": [CALL | {"id": id}]},
            {"role": "tool", "tool_call_id": id, "content": "one"},
        ]
    )
    call = turns[1]["content"][0]["toolUse"]["toolUseId"]

    assert call == turns[2]["content"][0]["toolResult"]["toolUseId"]
    assert call.startswith("tooluse_")


def test_the_deprecated_call_keeps_working() -> None:
    """``function_call`` and the role ``function``; a custom tool's text is an object."""
    turns = said(
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "one"},
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "c", "type": "custom", "custom": {"name": "g", "input": "x"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": [{"json": {"a": 1}}, {"text": "b"}]},
        ]
    )

    assert (
        turns[1]["content"][0]["toolUse"]["toolUseId"]
        == (turns[2]["content"][0]["toolResult"]["toolUseId"])
    )
    assert {"input": "x"} == turns[3]["content"][0]["toolUse"]["input"]
    assert [{"json": {"a": 1}}, {"text": "b"}] == turns[4]["content"][0]["toolResult"]["content"]


def test_cut_arguments_are_said_as_what_they_are() -> None:
    """An answer that was cut by its limit can be gone on with."""
    dropped: list[str] = []
    cut = {"id": "c", "function": {"name": "f", "arguments": '{"a": '}}
    turns = said([{"role": "assistant", "tool_calls": [cut]}], dropped=dropped)

    assert {"INVALID_JSON": '{"a": '} == turns[0]["content"][0]["toolUse"]["input"]
    assert ["messages[0].tool_calls.arguments"] == dropped


def test_cache_marks_are_points_behind_what_they_mark() -> None:
    """Of a part, a message, a result and the system."""
    mark = {"type": "ephemeral"}
    long = mark | {"ttl": "1h"}
    point = {"cachePoint": {"type": "default"}}
    body = encoded(
        [
            {"role": "system", "content": "S", "cache_control": long},
            {
                "role": "user",
                "content": [{"type": "text", "text": "A", "cache_control": mark}, "B"],
            },
            {"role": "assistant", "tool_calls": [CALL], "cache_control": mark},
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": [{"type": "text", "text": "C", "cache_control": mark}],
            },
        ]
    )[1]

    assert "" == faults(body)
    assert [{"text": "S"}, {"cachePoint": {"type": "default", "ttl": "1h"}}] == body["system"]
    assert [{"text": "A"}, point, {"text": "B"}] == body["messages"][0]["content"]
    assert point == body["messages"][1]["content"][-1]
    assert [{"text": "C"}] == body["messages"][2]["content"][0]["toolResult"]["content"]
    assert point == body["messages"][2]["content"][1]


def test_late_system_messages_are_the_users_unless_the_model_takes_them() -> None:
    """With a report; the flag ``late_system`` says that it does."""
    messages = [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}]
    dropped: list[str] = []

    assert [{"role": "user", "content": [{"text": "Hi"}, {"text": "Be brief."}]}] == said(
        messages, dropped=dropped
    )
    assert ["messages[1].role"] == dropped
    at = target(quirks=Quirks(flags=frozenset({"late_system"})))
    assert "system" == said(messages, at=at)[1]["role"]


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"role": "nobody", "content": "x"}, "messages[0].role"),
        ({"role": "user", "content": 5}, "messages[0].content"),
        ({"role": "user", "content": [5]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{"image": {}, "x": 1}]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "messages[0].content[0].text"),
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
            "messages[0].content[0].input_audio.data",
        ),
        ({"role": "user", "content": [{"type": "file", "file": 1}]}, "messages[0].content[0].file"),
        ({"role": "tool", "content": "x"}, "messages[0].tool_call_id"),
        ({"role": "assistant", "tool_calls": 5}, "messages[0].tool_calls"),
        ({"role": "assistant", "tool_calls": [{"id": "a"}]}, "messages[0].tool_calls[0]"),
    ],
)
def test_what_is_malformed_is_named_by_its_path(message: Json, path: str) -> None:
    """Before a byte leaves."""
    with pytest.raises(EncodeError) as caught:
        encoded([message])

    assert path == caught.value.param


def test_unknown_fields_of_a_message_are_reported() -> None:
    """They are another vendor's."""
    dropped: list[str] = []
    said([{"role": "user", "content": "Hi", "name": "ann", "x": None}], dropped=dropped)

    assert ["messages[0].name"] == dropped


def reply_of(case: str, origin: str = target().origin) -> dict[str, Json]:
    """The message that a recorded answer becomes."""
    from tests.dialects.test_vectors import VECTORS

    found = next(c for c in load_cases(VECTORS / "bedrock_converse") if c.name == case)
    fold = Fold()
    fold.add(list(found.chunks))
    message: dict[str, Json] = fold.reply(
        CallRecord(dialect="bedrock_converse", origin=origin)
    ).message
    return message


@pytest.mark.parametrize(
    "case",
    [
        "reasoning_tools",
        "reasoning_redacted",
        "citations",
        "server_tool",
        "image",
        "whole_tools",
        "whole_blocks",
        "tool_calls_parallel",
    ],
)
def test_an_answer_goes_back_as_it_came(case: str) -> None:
    """Blocks in their order, thinking and signatures to the letter, calls and sources."""
    dropped: list[str] = []
    message = json.loads(json.dumps(reply_of(case)))
    found = said([{"role": "user", "content": "?"}, message], dropped=dropped, strict=True)[1]

    assert [] == dropped
    assert BACK[case] == found["content"]


SIG = "EuYBCkQYAiJAgCs1le6/Pol5Z4/JMomVOouGrWdhYNsH3ukzECbB6iWrSQtsQuRHJID6lWV0lY="
SOURCE = {
    "title": "Sky",
    "source": "sky.pdf",
    "sourceContent": [{"text": "blue"}],
    "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
}


def used(id: str, name: str, **input: Json) -> Json:
    """A call."""
    return {"toolUse": {"toolUseId": id, "name": name, "input": input}}


BACK: dict[str, Json] = {
    "reasoning_tools": [
        {
            "reasoningContent": {
                "reasoningText": {"text": "Two cities, two calls.", "signature": SIG}
            }
        },
        {"text": "Let me check both."},
        used("tooluse_paris0000000000000000", "get_weather", city="Paris"),
        used("tooluse_rome00000000000000000", "get_weather", city="Rome"),
    ],
    "reasoning_redacted": [
        {"reasoningContent": {"redactedContent": "AAECAwQFBg=="}},
        {"reasoningContent": {"reasoningText": {"text": "Then openly.", "signature": "c2lnbmVk"}}},
        {"text": "Done."},
    ],
    "citations": [
        {"citationsContent": {"content": [{"text": "The sky is blue"}], "citations": [SOURCE]}},
        {"text": ", says the page."},
    ],
    "server_tool": [
        {
            "toolUse": {
                "toolUseId": "tooluse_ground",
                "name": "nova_grounding",
                "type": "server_tool_use",
                "input": {"query": "sky"},
            }
        },
        {
            "toolResult": {
                "toolUseId": "tooluse_ground",
                "type": "nova_grounding_result",
                "status": "success",
                "content": [{"json": {"hits": 3}}],
            }
        },
        {"text": "It is blue."},
    ],
    "image": [{"text": "Here:"}, {"image": {"format": "png", "source": {"bytes": PIXEL}}}],
    "whole_tools": [
        {"reasoningContent": {"reasoningText": {"text": "Look it up.", "signature": SIG}}},
        {"text": "One moment."},
        used("tooluse_a", "get_weather", city="Rome"),
        used("tooluse_b", "get_time"),
    ],
    "whole_blocks": [
        {"reasoningContent": {"redactedContent": "AAEC"}},
        {"citationsContent": {"content": [{"text": "Blue."}], "citations": [{"title": "Sky"}]}},
        {"image": {"format": "png", "source": {"bytes": PIXEL}}},
    ],
    "tool_calls_parallel": [
        used("tooluse_1aaaaaaaaaaaaaaaaaaaaa", "get_weather", city="Oslo"),
        used("tooluse_2bbbbbbbbbbbbbbbbbbbbb", "get_time"),
        used("tooluse_3cccccccccccccccccccccc", "get_weather", city="Rom"),
    ],
}


def test_an_edited_answer_keeps_its_first_thoughts() -> None:
    """Their signature is of the thinking alone; the rest is said plainly, with a report."""
    dropped: list[str] = []
    message = reply_of("reasoning_tools") | {"content": "Edited."}
    found = said([message], dropped=dropped)[0]["content"]

    assert ["messages[0].provider_state"] == dropped
    assert [BACK["reasoning_tools"][0], {"text": "Edited."}] == found[:2]
    assert 4 == len(found)


def test_state_goes_to_its_origins_family_only() -> None:
    """Another region of Bedrock reads it; another host does not get it."""
    elsewhere = reply_of("reasoning", "https://bedrock-runtime.eu-west-1.amazonaws.com")
    other = reply_of("reasoning", "https://proxy.example.com")
    dropped: list[str] = []

    assert "reasoningContent" in said([elsewhere], dropped=dropped)[0]["content"][0]
    assert [] == dropped
    assert [{"text": "It is 51."}] == said([other], dropped=dropped)[0]["content"]
    assert ["messages[0].provider_state"] == dropped


@pytest.mark.parametrize(
    "blocks",
    [5, [5], [{"text": 99}], [{"text": 0}], [{"toolUse": 1}], [{"toolUse": 0}, {"toolUse": 0}]],
)
def test_state_that_does_not_fit_is_left_out(blocks: Json) -> None:
    """Whatever somebody made of it."""
    state = {"dialect": "bedrock_converse", "origin": target().origin, "blocks": blocks}
    dropped: list[str] = []
    message = {"role": "assistant", "content": "Hi", "provider_state": state}

    assert [{"text": "Hi"}] == said([message], dropped=dropped)[0]["content"]
    assert ["messages[0].provider_state"] == dropped


def test_a_conversation_is_pulled_while_it_is_sent() -> None:
    """However long: nothing of it is kept, and each pass says the same."""

    def talk() -> Iterator[Json]:
        for number in range(100):
            yield {"role": "user", "content": f"a{number}"}
            yield {"role": "assistant", "content": f"b{number}"}

    assert said(list(talk())) == said(talk)
