"""A request in watsonx's words."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.dialects.watsonx import WatsonX
from penstock.errors import BillingError, ConfigurationError, NotFoundError, UsageError
from penstock.interfaces import Outgoing, Target
from penstock.request import ChatRequest

HELLO = [{"role": "user", "content": "Hello"}]
HOST = "https://us-south.ml.cloud.ibm.com"


def encode(
    dropped: list[str] | None = None, *, about: dict[str, Any] | None = None, **more: Any
) -> Outgoing:
    """Encode a request of the fields that matter, for a deployment that is `about` so."""
    target = Target(
        **{
            "deployment": "d",
            "provider": "watsonx",
            "model": "ibm/granite",
            "base_url": HOST,
            "origin": HOST,
            **(about or {}),
        }
    )
    request = ChatRequest(**{"model": "m", "messages": HELLO, **more})
    return WatsonX().encode(request, target, dropped=[] if dropped is None else dropped)


def body(**more: Any) -> dict[str, Any]:
    """The body's fields but the conversation."""
    return {name: value for name, value in encode(**more).fields.items() if name != "messages"}


@pytest.mark.parametrize(
    ("more", "about", "expected"),
    [
        ({}, {}, f"{HOST}/ml/v1/text/chat_stream?version=2024-10-08"),
        ({"stream": False}, {}, f"{HOST}/ml/v1/text/chat?version=2024-10-08"),
        ({}, {"api_version": "2026-01-05"}, f"{HOST}/ml/v1/text/chat_stream?version=2026-01-05"),
        ({}, {"query": {"version": "1"}}, f"{HOST}/ml/v1/text/chat_stream?version=1"),
        (
            {},
            {"path": "/ml/v1/deployments/{model}/text/chat_stream"},
            f"{HOST}/ml/v1/deployments/ibm%2Fgranite/text/chat_stream?version=2024-10-08",
        ),
    ],
)
def test_the_path_says_whether_it_is_a_stream(
    more: dict[str, Any], about: dict[str, Any], expected: str
) -> None:
    """The version is in the query, as the API wants it on every call."""
    assert expected == encode(about=about, **more).url


@pytest.mark.parametrize(
    ("more", "about", "expected"),
    [
        ({}, {}, {"model_id": "ibm/granite"}),
        ({}, {"project": "p-1"}, {"model_id": "ibm/granite", "project_id": "p-1"}),
        (
            {"extra_body": {"space_id": "s-1"}},
            {"project": "p-1"},
            {"model_id": "ibm/granite", "space_id": "s-1"},
        ),
        ({}, {"path": "/ml/v1/deployments/x/text/chat", "project": "p-1"}, {}),
    ],
)
def test_the_body_names_model_and_project(
    more: dict[str, Any], about: dict[str, Any], expected: dict[str, Any]
) -> None:
    """The deployment's project, unless the caller names one or a space; a deployment has both."""
    assert expected == body(about=about, **more)


@pytest.mark.parametrize(
    ("params", "expected", "lost"),
    [
        ({"tool_choice": "required"}, {"tool_choice_option": "required"}, []),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            [],
        ),
        ({"tool_choice": {"type": "x"}}, {}, ["tool_choice"]),
        ({"function_call": "none"}, {"tool_choice_option": "none"}, []),
        ({"stop": "a"}, {"stop": ["a"]}, []),
        ({"reasoning_effort": "medium"}, {"reasoning_effort": "medium"}, []),
        ({"reasoning_effort": "max"}, {"reasoning_effort": "high"}, ["reasoning_effort"]),
        ({"reasoning_effort": "none"}, {}, ["reasoning_effort"]),
        ({"max_tokens": 5}, {"max_completion_tokens": 5}, []),
        (
            {"max_tokens": 5, "max_completion_tokens": 6},
            {"max_completion_tokens": 6},
            ["max_tokens"],
        ),
        ({"modalities": ["text"]}, {}, []),
        ({"modalities": ["text", "audio"]}, {}, ["modalities"]),
    ],
)
def test_parameters_are_said_in_its_words(
    params: dict[str, Any], expected: dict[str, Any], lost: list[str]
) -> None:
    """Values that it does not know are brought to the nearest, or left out, with a report."""
    dropped: list[str] = []

    fields = dict(encode(dropped, params=params).fields)

    assert {"model_id": "ibm/granite", **expected} == {
        name: value for name, value in fields.items() if name != "messages"
    }
    assert lost == dropped


def test_developers_speak_as_the_system() -> None:
    """The role is not among its own (TextChatMessages)."""
    messages = encode(messages=[{"role": "developer", "content": "Be brief."}]).fields["messages"]
    (said,) = map(messages.translate, messages.source)

    assert {"role": "system", "content": "Be brief."} == said


@pytest.mark.parametrize("name", ["messages", "stream"])
def test_what_is_ours_is_not_replaced(name: str) -> None:
    """The error says whose mistake it is."""
    with pytest.raises(UsageError):
        encode(extra_body={name: 1})
    with pytest.raises(ConfigurationError):
        encode(about={"extra_body": {name: 1}})


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(403, "token_quota_reached", BillingError), (404, "model_not_supported", NotFoundError)],
)
def test_its_own_codes_are_read(status: int, code: str, kind: type) -> None:
    """``errors`` is a list, with the code in its first."""
    said = b'{"errors":[{"code":"%b","message":"No."}],"trace":"t","status_code":%d}'

    error = WatsonX().error(
        status, {"x-global-transaction-id": "t-1"}, said % (code.encode(), status)
    )

    assert (kind, code, "No.", "t-1") == (type(error), error.code, error.body, error.request_id)
