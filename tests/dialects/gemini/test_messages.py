"""The conversation to contents: parts, results that find their call, and what goes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.genai import types

from penstock.chunks import Chunk
from penstock.dialects.gemini import Gemini
from penstock.dialects.gemini.messages import UNSIGNED
from penstock.encoders import encode_json
from penstock.errors import EncodeError, UnsupportedFeatureError
from penstock.interfaces import CallRecord, Target
from penstock.pipeline.fold import Fold
from penstock.request import ChatRequest

VECTORS = Path(__file__).parents[2] / "vectors" / "gemini"
ORIGIN = "https://generativelanguage.googleapis.com"


def sent(
    messages: Any,
    model: str = "gemini-2.5-flash",
    *,
    strict: bool = False,
    origin: str = ORIGIN,
    known: bool = True,
) -> tuple[Any, list[str]]:
    """The body, each content of the SDK's type, and what is dropped."""
    there = Target(
        deployment="d", provider="p", model=model, base_url=f"{origin}/v1beta", origin=origin
    )
    dropped: list[str] = []
    request = ChatRequest(model="m", messages=messages, strict=strict)
    outgoing = Gemini().encode(request, there, dropped=dropped)
    body = json.loads(b"".join(encode_json(dict(outgoing.fields))))
    for content in body["contents"] if known else ():
        types.Content.model_validate_json(json.dumps(content))
    return body, dropped


def parts(content: Any, **message: Any) -> tuple[Any, list[str]]:
    """The parts of one user message."""
    body, dropped = sent([{"role": "user", "content": content, **message}])
    return (body["contents"][0]["parts"] if body["contents"] else []), dropped


def call(id: str, name: str = "f", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    """A tool call."""
    function = {"name": name, "arguments": arguments}
    return {"id": id, "type": "function", "function": function, **more}


def inline(kind: str, data: str = "AAAA") -> dict[str, Any]:
    """A part of bytes."""
    return {"inlineData": {"mimeType": kind, "data": data}}


def at(uri: str, kind: str = "") -> dict[str, Any]:
    """A part with an address."""
    return {"fileData": {"fileUri": uri, **({"mimeType": kind} if kind else {})}}


FILE = f"{ORIGIN}/v1beta/files/abc-123"
# A part of the OpenAI shape, what it becomes, and what is lost.
PARTS: list[tuple[Any, Any, list[str]]] = [
    ("Hi", {"text": "Hi"}, []),
    ({"type": "text", "text": "Hi", "cache_control": {}}, {"text": "Hi"}, [".cache_control"]),
    (
        {"type": "text", "text": "Hi", "partMetadata": {"a": 1}},
        {"text": "Hi"} | {"partMetadata": {"a": 1}},
        [],
    ),
    ({"type": "refusal", "refusal": "No."}, {"text": "No."}, []),
    (
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "auto"}},
        inline("image/png"),
        [],
    ),
    (
        {"type": "image_url", "image_url": "data:;base64,AAAA"},
        inline("application/octet-stream"),
        [],
    ),
    (
        {"type": "image_url", "image_url": {"url": "data:text/plain,a%20b"}},
        inline("text/plain", "YSBi"),
        [],
    ),
    (
        {"type": "image_url", "image_url": {"url": "https://e.com/a.JPG?x=1", "detail": "low"}},
        at("https://e.com/a.JPG?x=1", "image/jpeg"),
        [".image_url.detail"],
    ),
    (
        {"type": "image_url", "image_url": {"url": "gs://b/a.webp"}},
        at("gs://b/a.webp", "image/webp"),
        [],
    ),
    (
        {"type": "image_url", "image_url": {"url": "https://e.com/a", "media_type": "image/heic"}},
        at("https://e.com/a", "image/heic"),
        [],
    ),
    ({"type": "image_url", "image_url": {"url": FILE}}, at(FILE), []),
    (
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        inline("audio/mp3"),
        [],
    ),
    (
        {"type": "audio_url", "audio_url": {"url": "https://e.com/a.wav"}},
        at("https://e.com/a.wav", "audio/wav"),
        [],
    ),
    (
        {
            "type": "video_url",
            "video_url": {"url": "https://youtu.be/x"},
            "videoMetadata": {"fps": 2.0},
        },
        at("https://youtu.be/x", "video/mp4") | {"videoMetadata": {"fps": 2.0}},
        [],
    ),
    (
        {"type": "video_url", "video_url": {"url": "data:video/webm;base64,AAAA"}},
        inline("video/webm"),
        [],
    ),
    (
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a"},
        },
        inline("application/pdf"),
        [],
    ),
    ({"type": "file", "file": {"file_data": "AAAA", "filename": "a.csv"}}, inline("text/csv"), []),
    ({"type": "file", "file": {"file_id": FILE, "format": "video/mov"}}, at(FILE, "video/mov"), []),
    ({"type": "document", "document": {"data": "AAAA"}}, inline("application/pdf"), []),
    (
        {"type": "document", "document": {"data": "https://e.com/a.txt", "media_type": "text/md"}},
        at("https://e.com/a.txt", "text/md"),
        [],
    ),
    (
        {"type": "executableCode", "executableCode": {"language": "PYTHON", "code": "1"}},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        [],
    ),
]


@pytest.mark.parametrize(("part", "expected", "lost"), PARTS, ids=lambda value: str(value)[:60])
def test_a_part_of_openai_is_one_of_gemini(part: Any, expected: Any, lost: list[str]) -> None:
    """Bytes as they are, addresses with the type that their ending says."""
    assert ([expected], [f"messages[0].content[0]{end}" for end in lost]) == parts([part])


def test_what_has_no_part_is_reported() -> None:
    """An unknown part, and texts without a letter, which the API refuses."""
    found, dropped = parts([{"type": "hologram"}, {"type": "text", "text": ""}, "a"], name="N")

    assert ([{"text": "a"}], ["messages[0].content[0]", "messages[0].name"]) == (
        found,
        sorted(dropped),
    )


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:nothing"}},
        {"type": "input_audio", "input_audio": {}},
        {"type": "file", "file": {}},
        {"type": "file"},
        {"type": "document", "document": {"data": 5}},
        {"type": "text"},
        5,
    ],
)
def test_what_is_no_part_is_an_error(part: Any) -> None:
    """Its path is in the error."""
    with pytest.raises(EncodeError, match=r"messages\[0\]\.content\[0\]"):
        parts([part])


def test_an_image_is_not_copied() -> None:
    """The base64 of a `data:` address goes out as the end of the address that it is."""
    from penstock.dialects.gemini.parts import inlined

    address = "data:image/png;base64," + "A" * 1000
    data = inlined(address)["data"]

    assert (address,) == data.parts
    assert 22 == data.start


def test_the_system_speaks_first_and_alone() -> None:
    """Leading system messages are an instruction; later ones are said as the user's, reported."""
    body, dropped = sent(
        [
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            {"role": "user", "content": "c"},
            {"role": "system", "content": "d"},
        ]
    )

    assert {"parts": [{"text": "a"}, {"text": "b"}]} == body["systemInstruction"]
    assert [{"role": "user", "parts": [{"text": "c"}, {"text": "d"}]}] == body["contents"]
    assert ["messages[3].role"] == dropped


def test_results_find_their_calls() -> None:
    """A result has its call's name, in whichever order; the results of a turn are together."""
    body, dropped = sent(
        [
            {"role": "user", "content": "a"},
            {
                "role": "assistant",
                "content": "b",
                "tool_calls": [call("1", "f", '{"x": 1.0}'), call("2", "g", {"y": 2})],
            },
            {"role": "tool", "tool_call_id": "2", "content": "two"},
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "one"}]},
            {"role": "assistant", "content": None, "tool_calls": [call("1", "h")]},
            {"role": "tool", "tool_call_id": "1", "content": "bad", "is_error": True},
        ]
    )

    assert [
        {"text": "b"},
        {"functionCall": {"id": "1", "name": "f", "args": {"x": 1.0}}},
        {"functionCall": {"id": "2", "name": "g", "args": {"y": 2}}},
    ] == body["contents"][1]["parts"]
    responses = [part["functionResponse"] for part in body["contents"][2]["parts"]]
    assert [
        {"id": "2", "name": "g", "response": {"output": "two"}},
        {"id": "1", "name": "f", "response": {"output": "one"}},
    ] == responses
    last = body["contents"][4]["parts"][0]["functionResponse"]
    assert {"id": "1", "name": "h", "response": {"error": "bad"}} == last
    assert [] == dropped


def test_results_are_a_content_of_their_own() -> None:
    """What the user says behind them is another; neighbours of one kind are together."""
    body, _ = sent(
        [
            {"role": "user", "content": "a"},
            {"role": "user", "content": "b"},
            {"role": "assistant", "tool_calls": [call("1"), call("2")]},
            {"role": "tool", "tool_call_id": "1", "content": "r"},
            {"role": "tool", "tool_call_id": "2", "content": "s"},
            {"role": "user", "content": "c"},
        ]
    )

    assert [("user", 2), ("model", 2), ("user", 2), ("user", 1)] == [
        (content["role"], len(content["parts"])) for content in body["contents"]
    ]


def test_the_deprecated_call_and_its_result() -> None:
    """They have no ids, here as there."""
    body, _ = sent(
        [
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "r"},
        ]
    )

    assert {"name": "f", "args": {}} == body["contents"][0]["parts"][0]["functionCall"]
    assert {"name": "f", "response": {"output": "r"}} == (
        body["contents"][1]["parts"][0]["functionResponse"]
    )


def test_a_result_without_a_call_is_an_error() -> None:
    """Gemini wants the name, and nobody has said it; a name in the message is as good."""
    with pytest.raises(EncodeError, match=r"no earlier message has a call 'x'"):
        sent([{"role": "tool", "tool_call_id": "x", "content": "r"}])

    body, _ = sent([{"role": "tool", "tool_call_id": "x", "name": "f", "content": "r"}])
    assert "f" == body["contents"][0]["parts"][0]["functionResponse"]["name"]


@pytest.mark.parametrize("make", [list, iter, lambda messages: lambda: iter(messages)])
def test_calls_are_found_however_the_conversation_is_kept(make: Any) -> None:
    """Many open calls are bounded, and every pass starts anew."""
    messages: list[Any] = [{"role": "user", "content": "a"}]
    for turn in range(40):
        messages.append({"role": "assistant", "tool_calls": [call(f"c{turn}", f"f{turn}")]})
        messages.append({"role": "tool", "tool_call_id": f"c{turn}", "content": "r"})
    body, _ = sent(make(messages))
    names = [
        part["functionResponse"]["name"]
        for content in body["contents"]
        for part in content["parts"]
        if "functionResponse" in part
    ]

    assert [f"f{turn}" for turn in range(40)] == names


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-pro-preview"])
def test_a_result_may_have_an_image(model: str) -> None:
    """Within the result for models that take it there, in a content of its own for others."""
    body, _ = sent(
        [
            {"role": "assistant", "tool_calls": [call("1")]},
            {"role": "tool", "tool_call_id": "1", "content": ["see", IMAGE]},
        ],
        model,
    )
    found = body["contents"][1]["parts"]
    response = {"id": "1", "name": "f", "response": {"output": "see"}}

    if model == "gemini-2.5-flash":
        assert [{"functionResponse": response}] == found
        assert {"role": "user", "parts": [inline("image/png")]} == body["contents"][2]
    else:
        assert [{"functionResponse": response | {"parts": [inline("image/png")]}}] == found


def test_arguments_that_are_no_object_are_shown_as_they_were() -> None:
    """A slip of a model does not end the conversation, unless it is a strict one."""
    messages = [{"role": "assistant", "tool_calls": [call("1", "f", "[1")]}]
    body, dropped = sent(messages)

    assert {"INVALID_JSON": "[1"} == body["contents"][0]["parts"][0]["functionCall"]["args"]
    assert ["messages[0].tool_calls[0].function.arguments"] == dropped
    with pytest.raises(UnsupportedFeatureError):
        sent(messages, strict=True)


def test_calls_of_others_are_marked_where_a_signature_is_due() -> None:
    """Gemini 3 refuses the first call of a step without one; earlier models do not ask."""
    messages = [{"role": "assistant", "tool_calls": [call("toolu_1"), call("toolu_2")]}]
    newer, older = sent(messages, "gemini-3-pro-preview")[0], sent(messages)[0]

    assert [UNSIGNED, None] == [
        part.get("thoughtSignature") for part in newer["contents"][0]["parts"]
    ]
    assert "thoughtSignature" not in json.dumps(older)


def reply(case: str, origin: str = ORIGIN) -> dict[str, Any]:
    """The message that a recorded answer becomes."""
    told = json.loads((VECTORS / case / "chunks.json").read_text("utf-8"))
    fold = Fold()
    fold.add(msgspec.convert(told["chunks"], list[Chunk]))
    return fold.reply(CallRecord(dialect="gemini", origin=origin)).message


def recorded(case: str) -> list[Any]:
    """The parts of a recorded answer, its thoughts and empty parts left out, neighbours joined."""
    wire = (VECTORS / case / "wire").read_text("utf-8")
    if wire.startswith("data:"):
        events = [json.loads(line[6:]) for line in wire.splitlines() if line.startswith("data: {")]
    else:
        found = json.loads(wire)
        events = found if isinstance(found, list) else [found]
    joined: list[Any] = []
    for event in events:
        for part in event["candidates"][0].get("content", {}).get("parts", ()):
            signed = "thoughtSignature" in part
            if (part.get("thought") and not signed) or part == {"text": ""}:
                continue
            if part.keys() == {"text"} and joined and joined[-1].keys() == {"text"}:
                joined[-1] = {"text": joined[-1]["text"] + part["text"]}
            else:
                joined.append(part)
    return joined


@pytest.mark.parametrize(
    "case",
    [
        "plain",
        "exchange",
        "exchange_array",
        "signature_last",
        "signature_on_text",
        "call_whole",
        "calls_without_ids",
        "code_execution",
        "server_tools",
        "image",
        "unknown_fields",
    ],
)
def test_an_answer_goes_back_as_it_came(case: str) -> None:
    """Each part where it stood, each signature on the part that had it."""
    messages = [{"role": "user", "content": "a"}, reply(case)]
    body, dropped = sent(messages, known=case != "unknown_fields")
    expected = recorded(case)
    found = body["contents"][1]["parts"]
    for part in [*found, *expected]:
        if case in ("call_whole", "calls_without_ids"):
            part.get("functionCall", {}).pop("id", None)  # it was given here
        part.pop("newField", None)  # nobody knows whether it is for the way back

    assert expected == found
    assert [] == dropped


@pytest.mark.parametrize("case", ["exchange", "signature_last", "image"])
def test_state_is_for_its_own_origin(case: str) -> None:
    """Elsewhere it is left out and reported; a region of Vertex is no elsewhere."""
    message = reply(case, "https://us-central1-aiplatform.googleapis.com")
    _, here = sent([message], origin="https://europe-west1-aiplatform.googleapis.com")
    body, elsewhere = sent([message])

    assert ([], ["messages[0].provider_state"]) == (here, elsewhere)
    assert "thoughtSignature" not in json.dumps(body)


def test_an_edited_answer_is_said_plainly() -> None:
    """Signatures of its calls stay where there are as many; the rest is reported."""
    message = reply("exchange") | {"content": "Something else."}
    body, dropped = sent([message])

    assert ["messages[0].provider_state"] == dropped
    found = body["contents"][0]["parts"]
    assert {"text": "Something else."} == found[0]
    assert "EtoBCtcBAXLI2nyJXG7tjZ5aGGZ0Hn0q" == found[1]["thoughtSignature"]
    fewer = message | {"tool_calls": message["tool_calls"][:1]}
    assert "thoughtSignature" not in json.dumps(sent([fewer])[0])


@pytest.mark.parametrize(
    "entries",
    [
        "x",
        [5],
        [{"text": 99}],
        [{"text": -1}],
        [{"functionCall": 1}],
        [{"image": "https://x"}],
        [{"image": 5, "text": 2}],
    ],
)
def test_state_that_does_not_fit_is_reported(entries: Any) -> None:
    """Whatever somebody made of it, the request is valid."""
    state = {"dialect": "gemini", "origin": ORIGIN, "parts": entries}
    body, dropped = sent([{"role": "assistant", "content": "abc", "provider_state": state}])

    assert [{"role": "model", "parts": [{"text": "abc"}]}] == body["contents"]
    assert ["messages[0].provider_state"] == dropped
