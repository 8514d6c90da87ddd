"""A request in Anthropic's words: address, version, betas, and the body's fields."""

from __future__ import annotations

from typing import Any

import pytest
from tests.dialects.anthropic_messages.sending import HELLO, ORIGIN, sent, target

from penstock.dialects.anthropic_messages import AnthropicMessages, body
from penstock.dialects.places import Losses
from penstock.errors import ConfigurationError, UnsupportedFeatureError, UsageError
from penstock.interfaces import Quirks
from penstock.request import ChatRequest

TURNS = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]


def test_a_plain_request() -> None:
    """The deployment's model, a stream, the limit that the API requires, and the conversation."""
    found = sent()

    assert {
        "model": "claude-opus-4-6",
        "stream": True,
        "max_tokens": 32_000,
        "messages": TURNS,
    } == found.body
    assert {"anthropic-version": "2023-06-01"} == found.headers
    assert [] == found.dropped


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        (ORIGIN, f"{ORIGIN}/v1/messages"),
        (f"{ORIGIN}/v1", f"{ORIGIN}/v1/messages"),
        ("http://localhost:11434", "http://localhost:11434/v1/messages"),
        ("https://api.z.ai/api/anthropic", "https://api.z.ai/api/anthropic/v1/messages"),
        ("https://api.minimax.io/anthropic/v1", "https://api.minimax.io/anthropic/v1/messages"),
        ("https://x.test/v2beta1", "https://x.test/v2beta1/messages"),
        ("https://x.test/av1", "https://x.test/av1/v1/messages"),
    ],
)
def test_a_base_with_a_version_gets_no_second_one(base_url: str, expected: str) -> None:
    """The SDK's base has no version, and many write one."""
    assert expected == sent(to=target(base_url=base_url)).url


def test_a_provider_may_have_a_path_and_a_query_of_its_own() -> None:
    """The model in the path is one segment."""
    there = target(path="/m/{model}/messages", query={"api-version": "1"}, model="a/b")

    assert f"{ORIGIN}/m/a%2Fb/messages?api-version=1" == sent(to=there).url


def test_the_version_is_the_targets() -> None:
    """A deployment may ask for another version of the API."""
    found = sent(to=target(api_version="2026-10-21"))

    assert {"anthropic-version": "2026-10-21"} == found.headers


def test_a_later_version_has_no_sampling_parameters() -> None:
    """2026-10-21 answers 400 to temperature and top_p, even at their defaults."""
    params = {"temperature": 1, "top_p": 0.9}
    found = sent(to=target(api_version="2026-10-21"), params=params)

    assert {"temperature", "top_p"} == set(found.dropped)
    assert not found.body.keys() & params.keys()


VERTEX = {"project": "my-project", "region": "us-east5", "model": "claude-sonnet-4@20250514"}
PLACE = "projects/my-project/locations/us-east5/publishers/anthropic/models"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "base", ["https://us-east5-aiplatform.googleapis.com/v1", "https://v.test"]
)
def test_vertex_has_the_model_in_its_address(base: str, stream: bool) -> None:
    """As in the SDK's ``lib/vertex``: no model in the body, the version in it, no header."""
    found = sent(to=target(base_url=base, **VERTEX), stream=stream)
    verb = "streamRawPredict" if stream else "rawPredict"

    there = base if base.endswith("/v1") else f"{base}/v1"
    assert f"{there}/{PLACE}/claude-sonnet-4@20250514:{verb}" == found.url
    assert {} == found.headers
    assert {
        "anthropic_version": "vertex-2023-10-16",
        "stream": stream,
        "max_tokens": 32_000,
        "messages": TURNS,
    } == found.body


def test_a_vertex_base_may_name_the_project_itself() -> None:
    """Then only the model is added, as one segment."""
    base = "https://v.test/v1/projects/p/locations/global"
    there = target(base_url=base, model="a/b:c", project="p")

    assert f"{base}/publishers/anthropic/models/a%2Fb%3Ac:streamRawPredict" == sent(to=there).url


def test_an_account_alone_is_no_project_of_vertex() -> None:
    """Other clouds have accounts in their addresses, too."""
    assert f"{ORIGIN}/v1/messages" == sent(to=target(project="account")).url


@pytest.mark.parametrize(
    ("fields", "missing"), [({"project": "p"}, "region"), ({"region": "r"}, "project")]
)
def test_vertex_needs_project_and_region(fields: dict[str, str], missing: str) -> None:
    """What is missing is named."""
    there = target(quirks=Quirks(flags=frozenset({"vertex"})), **fields)

    with pytest.raises(ConfigurationError, match=missing) as caught:
        sent(to=there)
    assert missing == caught.value.param


def test_betas_and_profiles_are_headers() -> None:
    """As the SDK's ``betas``, ``user_profile_id`` and ``workspace_id``."""
    extra = {"betas": ["a", "b"], "user_profile_id": "u", "workspace_id": "w", "top_k": 5}
    found = sent(extra_body=extra)

    assert {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "a,b",
        "anthropic-user-profile-id": "u",
        "anthropic-workspace-id": "w",
    } == found.headers
    assert {"top_k": 5} == {name: found.body[name] for name in extra if name in found.body}


@pytest.mark.parametrize("where", ["request", "target"])
def test_a_beta_header_of_the_callers_wins_and_that_is_said(where: str) -> None:
    """As in the SDK, whose ``extra_headers`` replace its own."""
    header = {"Anthropic-Beta": "c"}
    extra: Any = {"extra_headers": header} if where == "request" else {}
    there = target(headers=header) if where == "target" else target()

    assert ["extra_body.betas"] == sent(to=there, extra_body={"betas": ["a"]}, **extra).dropped


@pytest.mark.parametrize("betas", ["a", [1]])
def test_betas_are_a_list_of_names(betas: Any) -> None:
    """A text would be sent letter by letter."""
    with pytest.raises(UsageError, match="betas"):
        sent(extra_body={"betas": betas})


@pytest.mark.parametrize("name", ["messages", "system", "stream"])
def test_the_conversation_and_the_stream_are_penstocks(name: str) -> None:
    """extra_body may replace everything else."""
    with pytest.raises(UsageError, match=name):
        sent(extra_body={name: 1})
    with pytest.raises(ConfigurationError, match=name):
        sent(to=target(extra_body={name: 1}))


def test_extra_bodies_are_stronger_the_requests_most() -> None:
    """Shallow, over ours; top-level ``cache_control`` goes this way."""
    found = sent(
        to=target(extra_body={"max_tokens": 1, "inference_geo": "us"}),
        extra_body={"max_tokens": 2, "cache_control": {"type": "ephemeral"}},
    )

    assert (2, "us", {"type": "ephemeral"}) == (
        found.body["max_tokens"],
        found.body["inference_geo"],
        found.body["cache_control"],
    )


def test_the_conversation_comes_last_and_the_order_is_ours() -> None:
    """The same request gives the same bytes, whatever the order of the caller's arguments."""
    messages = [{"role": "system", "content": "s"}, *HELLO]
    tools = ({"type": "function", "function": {"name": "f"}},)
    found = sent(
        messages,
        params={"tool_choice": "auto", "stop": ["x"], "max_tokens": 7},
        tools=tools,
        extra_body={"top_k": 1},
    )

    assert [
        *("model", "stream", "max_tokens", "stop_sequences", "tool_choice", "tools", "top_k"),
        *("system", "messages"),
    ] == list(found.body)


def test_a_providers_quirks_are_heeded() -> None:
    """Parameters that it refuses are left out with a report; others have its names."""
    quirks = Quirks(
        drops=frozenset({"stop", "response_format"}), renames={"reasoning_effort": "think.level"}
    )
    found = sent(
        to=target(quirks=quirks),
        params={"stop": "x", "reasoning_effort": "high"},
        response_format={"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
    )

    assert {"stop", "response_format"} == set(found.dropped)
    assert {"level": "high"} == found.body["think"]
    assert not found.body.keys() & {"stop_sequences", "output_config", "thinking"}


def test_a_strict_request_is_refused_where_something_is_lost() -> None:
    """Before a byte leaves."""
    with pytest.raises(UnsupportedFeatureError, match="seed"):
        sent(params={"seed": 1}, strict=True)


def test_another_server_of_the_same_bodies_adds_its_own() -> None:
    """`body` has all but model, stream and version, which Bedrock's InvokeModel says elsewhere."""
    dropped: list[str] = []
    losses = Losses("bedrock_invoke", dropped, strict=False)
    request = ChatRequest(model="m", messages=HELLO, extra_body={"betas": ["a"]})
    found = body(request, target(), losses, dialect="bedrock_invoke")

    assert ({"max_tokens": 32_000, "messages": TURNS}, ("a",), {}) == (
        found.fields,
        found.betas,
        found.headers,
    )


def test_encode_leaves_the_conversation_to_the_encoder() -> None:
    """Messages are pulled when the body is sent, not before."""

    def conversation() -> Any:
        raise AssertionError("pulled")

    request = ChatRequest(model="m", messages=conversation)
    outgoing = AnthropicMessages().encode(request, target(), dropped=[])

    assert "messages" == list(outgoing.fields)[-1]
