"""Chunks fold into the reply that a one-shot call would have given, within bounds."""

from __future__ import annotations

import tracemalloc
from base64 import b64encode
from collections.abc import Sequence

import pytest

from penstock.chunks import (
    AudioDelta,
    Chunk,
    Citation,
    Finish,
    ImageDelta,
    LogProbs,
    Meta,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    State,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock.errors import Attempt, LimitExceededError
from penstock.interfaces import CallRecord
from penstock.limits import Limits
from penstock.pipeline.fold import Fold
from penstock.response import Audio, RateLimit, Reply, ToolCall

RECORD = CallRecord(
    model="some/model-1",
    provider="some",
    deployment="some/model-1",
    wire_model="model-1",
    dialect="openai_chat",
    origin="https://api.some.example",
)


def fold(*chunks: Chunk, limits: Limits | None = None) -> Reply:
    """The reply that `chunks` amount to."""
    folded = Fold(limits)
    folded.add(chunks)
    return folded.reply(RECORD)


def test_text_is_joined() -> None:
    """Pieces of text become one text."""
    assert "Hello, world" == fold(TextDelta("Hel"), TextDelta("lo"), TextDelta(", world")).text


@pytest.mark.parametrize("size", [1, 2, 7])
def test_batches_do_not_matter(size: int) -> None:
    """However the network cut the answer, the reply is the same."""
    chunks: list[Chunk] = [
        Meta(id="a1", role="assistant"),
        TextDelta("Hel"),
        TextDelta("x", choice=1),
        TextDelta("lo"),
        ToolCallDelta(0, id="c1", name="f", arguments='{"a'),
        ToolCallDelta(0, arguments='": 1}'),
        Finish("stop", choice=1),
        Finish("tool_calls"),
    ]
    cut = Fold()
    for start in range(0, len(chunks), size):
        cut.add(chunks[start : start + size])

    assert fold(*chunks) == cut.reply(RECORD)


def test_choices_are_kept_apart() -> None:
    """Each of ``n`` choices has its own text and finish reason, in order of its index."""
    reply = fold(
        TextDelta("b", choice=1),
        TextDelta("a"),
        Finish("length", choice=1, raw="max_tokens"),
        Finish("stop"),
    )

    assert [(0, "a", "stop", None), (1, "b", "length", "max_tokens")] == [
        (choice.index, choice.text, choice.finish_reason, choice.finish_raw)
        for choice in reply.choices
    ]


def test_an_empty_answer_has_one_choice() -> None:
    """A reply always has a first choice to speak of."""
    reply = fold()

    assert ("", None, []) == (reply.text, reply.finish_reason, reply.tool_calls)


def test_tool_calls_are_joined_by_index() -> None:
    """Interleaved pieces find their call; id and name are those of the first piece."""
    reply = fold(
        ToolCallDelta(1, id="c2", name="g"),
        ToolCallDelta(0, id="c1", name="f", arguments='{"a'),
        ToolCallDelta(1, arguments="{}"),
        ToolCallDelta(0, arguments='": 1}'),
        ToolCallDelta(2, id="c3", name="h", arguments="anything", kind="custom"),
    )

    assert [
        ToolCall("c1", "f", '{"a": 1}'),
        ToolCall("c2", "g", "{}"),
        ToolCall("c3", "h", "anything", "custom"),
    ] == reply.tool_calls


def test_refusal_is_none_or_text() -> None:
    """An answer that does not refuse has no refusal; one that does has its words."""
    assert fold(TextDelta("yes")).refusal is None
    assert "I cannot" == fold(RefusalDelta("I "), RefusalDelta("cannot")).refusal


@pytest.mark.parametrize("spelling", ["reasoning_content", "reasoning"])
def test_reasoning_goes_back_as_it_was_spelled(spelling: str) -> None:
    """The thinking is text, and the next turn's provider state has it under the wire's name."""
    reply = fold(
        ReasoningDelta("hm, ", spelling=spelling), ReasoningDelta("yes", spelling=spelling)
    )

    assert "hm, yes" == reply.reasoning
    assert {
        "dialect": "openai_chat",
        "origin": "https://api.some.example",
        spelling: "hm, yes",
    } == reply.message["provider_state"]


def test_reasoning_details_go_back_whole() -> None:
    """Pieces of one item become that item, signature and all; encrypted ones stay whole.

    The items are those of OpenRouter's documentation (use-cases/reasoning-tokens).
    """
    text = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    items = [
        {**text, "text": "Let me ", "signature": None},
        {**text, "text": "see."},
        {**text, "signature": "sig=="},
        {"type": "reasoning.encrypted", "data": "abc", "id": "r1", "index": 1},
        {"type": "reasoning.encrypted", "data": "def", "id": "r1", "index": 1},
        {"type": "reasoning.summary", "summary": "It ", "index": 2},
        {"type": "reasoning.summary", "summary": "is.", "index": 2},
        {"type": "reasoning.summary", "summary": "New.", "index": 3},
    ]
    reply = fold(
        ReasoningDelta("Let me ", spelling="reasoning", details=(items[0],)),
        ReasoningDelta("see.", spelling="reasoning", details=(items[1],)),
        ReasoningDelta("", spelling="reasoning_details", details=tuple(items[2:])),
    )

    state = reply.message["provider_state"]
    assert "Let me see." == state["reasoning"]
    assert [
        {**text, "text": "Let me see.", "signature": "sig=="},
        items[3],
        items[4],
        {"type": "reasoning.summary", "summary": "It is.", "index": 2},
        items[7],
    ] == state["reasoning_details"]


def test_reasoning_details_can_be_read_while_they_grow() -> None:
    """A partial reply in the middle of an item changes nothing of the whole."""
    folded = Fold()
    seen = []
    for piece in ("a", "b", "c"):
        item = {"type": "reasoning.text", "text": piece, "index": 0}
        folded.add([ReasoningDelta(piece, spelling="reasoning_details", details=(item,))])
        seen.append(folded.reply(RECORD).choices[0].state["reasoning_details"])

    assert [
        [{"type": "reasoning.text", "text": text, "index": 0}] for text in ("a", "ab", "abc")
    ] == seen


@pytest.mark.parametrize("odd", ["text", 7, {"type": "reasoning.text", "text": ["x"]}, {}])
def test_odd_reasoning_details_are_kept(odd: object) -> None:
    """What is not of a known form goes back as it came."""
    item = {"type": "reasoning.text", "text": "a"}
    reply = fold(ReasoningDelta("", details=(item, odd, item)))

    assert [item, odd, item] == reply.choices[0].state["reasoning_details"]


def test_reasoning_without_an_origin_is_not_given_back() -> None:
    """State that nobody could be given back is not kept."""
    folded = Fold()
    folded.add([ReasoningDelta("hm")])

    assert {} == folded.reply(CallRecord()).choices[0].state


def test_opaque_state_goes_back_as_it_came() -> None:
    """Lists are added to, other values are replaced, and the origin is said."""
    reply = fold(
        ReasoningDelta("hm", spelling=""),
        State({"blocks": [{"signature": "a"}], "id": "1"}),
        TextDelta("yes"),
        State({"blocks": [{"signature": "b"}], "id": "2"}),
        State({"other": 1}, choice=1),
    )

    whose = {"dialect": "openai_chat", "origin": "https://api.some.example"}
    assert [
        whose | {"blocks": [{"signature": "a"}, {"signature": "b"}], "id": "2"},
        whose | {"other": 1},
    ] == [choice.message["provider_state"] for choice in reply.choices]


def test_a_replys_state_is_its_own() -> None:
    """What comes after a reply was asked for does not change it."""
    folded = Fold()
    folded.add([State({"blocks": [1]})])
    early = folded.reply(RECORD)
    folded.add([State({"blocks": [2]})])

    assert [1] == early.message["provider_state"]["blocks"]
    assert [1, 2] == folded.reply(RECORD).message["provider_state"]["blocks"]


def test_opaque_state_is_bounded() -> None:
    """It counts as what it is as JSON."""
    with pytest.raises(LimitExceededError, match="max_answer"):
        fold(State({"blocks": ["x" * 2000]}), limits=Limits(max_answer=2000))


def test_audio_is_joined() -> None:
    """Data, transcript, id and expiry come in pieces."""
    reply = fold(
        AudioDelta(id="au1"),
        AudioDelta(data="AAEC", transcript="Good "),
        AudioDelta(data="AwQF", transcript="day", expires_at=1_700_000_000),
    )

    assert Audio("AAECAwQF", "Good day", "au1", 1_700_000_000) == reply.audio


def test_audio_that_was_padded_in_pieces_is_one_base64() -> None:
    """Pieces that were encoded each by itself decode to all of their bytes."""
    pieces = [b"a", b"bc", b"def", b"gh"]
    reply = fold(*(AudioDelta(data=b64encode(piece).decode()) for piece in pieces))

    assert reply.audio is not None
    assert b64encode(b"abcdefgh").decode() == reply.audio.data


def test_audio_that_is_not_base64_is_kept() -> None:
    """What cannot be decoded is left as it came."""
    reply = fold(AudioDelta(data="a=b"))

    assert reply.audio is not None
    assert "a=b" == reply.audio.data


def test_images_are_kept_once_each() -> None:
    """Images are in order; one that is repeated at the end of the stream counts once."""
    images = [ImageDelta("data:a"), ImageDelta("data:b", index=1), ImageDelta("data:a")]

    assert ["data:a", "data:b"] == fold(*images).images


def test_citations_are_kept() -> None:
    """Annotations are in order, as they came."""
    one, two = {"type": "url_citation", "n": 1}, {"type": "url_citation", "n": 2}

    assert [one, two] == fold(Citation(one), Citation(two)).citations


def test_logprobs_are_joined() -> None:
    """Token entries of text and refusal are in the OpenAI shape; None where none came."""
    reply = fold(
        LogProbs(tokens=({"token": "a"},)),
        LogProbs(tokens=({"token": "b"},), refusal=({"token": "c"},)),
    )

    assert {
        "content": [{"token": "a"}, {"token": "b"}],
        "refusal": [{"token": "c"}],
    } == reply.choices[0].logprobs
    assert fold(TextDelta("a")).choices[0].logprobs is None


def test_the_last_usage_counts() -> None:
    """Providers that report usage with every chunk report the sum so far."""
    reply = fold(Usage(input_tokens=5, output_tokens=1), Usage(input_tokens=5, output_tokens=2))

    assert Usage(input_tokens=5, output_tokens=2) == reply.usage


def test_the_answers_own_words_are_kept() -> None:
    """Id, model, creation, fingerprint and tier are the last that came."""
    reply = fold(
        Meta(id="a1", model="model-1-0301", created=1_700_000_000, role="assistant"),
        Meta(system_fingerprint="fp", service_tier="default"),
    )

    assert ("a1", "model-1-0301", 1_700_000_000, "fp", "default") == (
        reply.id,
        reply.model,
        reply.created,
        reply.system_fingerprint,
        reply.service_tier,
    )


def test_what_the_record_knows_is_on_the_reply() -> None:
    """Everything that the headers and the attempts said is copied, not shared."""
    attempt = Attempt("some/model-1", "model-1", None)
    record = CallRecord(
        model="some/model-1",
        provider="some",
        deployment="some/model-1",
        wire_model="model-1",
        request_id="r1",
        headers={"server": "x"},
        rate_limit=RateLimit(remaining_requests=3),
        attempts=[attempt],
        usage=Usage(output_tokens=4),
        dropped=["seed"],
        metadata={"user": 7},
        command="curl",
        raw=[{"id": 1}],
    )
    record.timings.ttft = 0.5

    reply = Fold().reply(record)
    record.timings.ttft = 9.0
    record.dropped.append("later")

    assert (
        Reply(
            model="model-1",
            provider="some",
            deployment="some/model-1",
            request_id="r1",
            headers={"server": "x"},
            rate_limit=RateLimit(remaining_requests=3),
            attempts=(attempt,),
            usage=Usage(output_tokens=4),
            timings=reply.timings,
            dropped=["seed"],
            metadata={"user": 7},
            command="curl",
            raw=[{"id": 1}],
        )
        == reply
    )
    assert 0.5 == reply.timings.ttft


def test_unknown_fields_are_kept() -> None:
    """The last of each name, from a chunk, a choice, a delta or an event of its own."""
    reply = fold(
        ProviderEvent("delta", {"mood": "fine"}),
        ProviderEvent("choice", {"score": 1}),
        ProviderEvent("chunk", {"score": 2, "x": None}),
        ProviderEvent("ping", {"n": 1}),
        ProviderEvent("delta", "odd"),
    )

    assert {
        "mood": "fine",
        "score": 2,
        "x": None,
        "ping": {"n": 1},
        "delta": "odd",
    } == reply.choices[0].extra


def test_a_reply_can_be_had_at_any_time() -> None:
    """A partial reply has what came, and changes nothing of the whole."""
    folded = Fold()
    folded.add([TextDelta("Hel"), ToolCallDelta(0, id="c1", name="f", arguments='{"a')])
    partial = folded.reply(RECORD)
    folded.add([TextDelta("lo"), ToolCallDelta(0, arguments='": 1}'), Finish("stop")])
    whole = folded.reply(RECORD)

    assert ("Hel", '{"a', None) == (
        partial.text,
        partial.tool_calls[0].arguments,
        partial.finish_reason,
    )
    assert ("Hello", '{"a": 1}', "stop") == (
        whole.text,
        whole.tool_calls[0].arguments,
        whole.finish_reason,
    )


def test_what_is_no_chunk_is_refused() -> None:
    """A middleware that returns something else is found out."""
    with pytest.raises(TypeError, match="not a chunk: str"):
        fold("text")  # type: ignore[arg-type]


LARGE = "x" * 600


@pytest.mark.parametrize(
    "chunks",
    [
        [TextDelta(LARGE), TextDelta("é" * 300)],
        [TextDelta(LARGE, choice=1), TextDelta(LARGE, choice=1)],
        [ReasoningDelta(LARGE), ReasoningDelta("", details=({"data": LARGE},))],
        [ToolCallDelta(0, arguments=LARGE), ToolCallDelta(1, arguments=LARGE)],
        [RefusalDelta(LARGE), RefusalDelta(LARGE)],
        [AudioDelta(data=LARGE), AudioDelta(transcript=LARGE)],
        [ImageDelta(LARGE), ImageDelta(LARGE + "y")],
        [Citation({"a": LARGE}), Citation({"b": LARGE})],
        [LogProbs(tokens=({"token": LARGE},)), LogProbs(refusal=({"token": LARGE},))],
        [ProviderEvent("chunk", {"a": LARGE}), ProviderEvent("chunk", {"b": LARGE})],
        [TextDelta("", choice=1), TextDelta("x", choice=2), TextDelta("x", choice=3)],
    ],
    ids=lambda chunks: type(chunks[0]).__name__,
)
def test_an_answer_is_bounded(chunks: Sequence[Chunk]) -> None:
    """Every kind counts; the bound is named, and what came before it is kept."""
    limits = Limits(max_answer=1024 + 1100)
    folded = Fold(limits)
    folded.add(chunks[:1])
    folded.add(chunks[1:-1])
    before = folded.reply(RECORD)

    with pytest.raises(LimitExceededError, match=r"Limits\.max_answer") as caught:
        folded.add(chunks[-1:])

    assert ("max_answer", limits.max_answer) == (caught.value.phase, caught.value.limit)
    assert limits.max_answer < (caught.value.elapsed or 0)
    assert before == folded.reply(RECORD)
    assert folded.size <= limits.max_answer


def test_text_before_a_bound_is_kept() -> None:
    """A batch that breaks a bound of its calls leaves the text that came with it."""
    folded = Fold(Limits(max_tool_arguments=3))

    with pytest.raises(LimitExceededError):
        folded.add([TextDelta("a"), ToolCallDelta(0, arguments="long"), TextDelta("b")])

    assert "a" == folded.reply(RECORD).text


def test_a_repeated_unknown_field_does_not_add_up() -> None:
    """Only the last of each name is kept, so only the last counts: a nonce in every chunk is."""
    folded = Fold(Limits(max_answer=2048))
    for n in range(1000):
        folded.add([ProviderEvent("chunk", {"obfuscation": f"{n:08}"})])

    assert folded.size < 2048


def test_a_tool_call_is_bounded() -> None:
    """The arguments of one call have a bound of their own."""
    folded = Fold(Limits(max_tool_arguments=1024))
    folded.add([ToolCallDelta(0, arguments="x" * 1024), ToolCallDelta(1, arguments="x")])

    with pytest.raises(LimitExceededError) as caught:
        folded.add([ToolCallDelta(0, arguments="x")])

    assert ("max_tool_arguments", 1024, 1025) == (
        caught.value.phase,
        caught.value.limit,
        caught.value.elapsed,
    )


def test_the_number_of_tool_calls_is_bounded() -> None:
    """128 calls in one answer are enough."""
    folded = Fold()
    folded.add([ToolCallDelta(index) for index in range(128)])

    with pytest.raises(LimitExceededError) as caught:
        folded.add([ToolCallDelta(0, choice=1)])

    assert ("max_tool_calls", 128, 129) == (
        caught.value.phase,
        caught.value.limit,
        caught.value.elapsed,
    )


def test_the_size_of_pieces_is_that_of_utf8() -> None:
    """Sizes are bytes, as on the wire, lone surrogates included."""
    folded = Fold()
    folded.add([TextDelta("aé€𝄞\ud800")])

    assert 1024 + 1 + 2 + 3 + 4 + 3 == folded.size


@pytest.mark.parametrize("chunk", [TextDelta("ab"), ToolCallDelta(0, arguments="ab")])
def test_small_pieces_cost_little_more_than_their_text(chunk: Chunk) -> None:
    """A megabyte in pieces of two characters is kept in a few of them (row 28)."""
    folded = Fold(Limits(max_tool_arguments=2**20))
    batch = [chunk] * 64
    tracemalloc.start()
    for _ in range(2**20 // 2 // 64):
        folded.add(batch)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 2**20 + 160 * 1024
