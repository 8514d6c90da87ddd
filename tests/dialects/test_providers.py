"""Recorded answers of providers that speak OpenAI's chat with differences, and what they are sent.

Each provider has a directory of `tests/vectors/providers`, by its key in the catalogue. A case is
one of `penstock.testing.check_dialect`; where its ``request.json`` has ``sent``, the request goes
to that address with that body by the provider's row: its address filled with ``facts``, its path,
query, renames, drops and flags.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import pytest

from penstock.dialects import dialect
from penstock.dialects.openai_chat.manners import FLAGS
from penstock.encoders import encode_json
from penstock.interfaces import CallRecord, Target
from penstock.pipeline.fold import Fold
from penstock.providers.catalogue import ProviderRow, catalogue, find_row
from penstock.request import ChatRequest
from penstock.testing.check_dialect import TARGET, DialectCase, check_case, load_cases

FOLDER = Path(__file__).parents[1] / "vectors" / "providers"
PROVIDERS = sorted(path.name for path in FOLDER.iterdir())
NAMED = [
    *["azure", "vertex_ai", "openrouter", "deepseek", "xai", "groq", "vllm", "llamacpp"],
    *["lmstudio", "github_copilot", "github", "databricks", "cloudflare", "huggingface", "watsonx"],
]
"""The providers of the issue; watsonx, whose dialect is its own, has more cases beside these."""


class Recorded(NamedTuple):
    """A case of a provider."""

    provider: str
    case: DialectCase
    about: dict[str, Any]
    """Its ``request.json``."""

    @property
    def row(self) -> ProviderRow:
        """The provider's row, as it is for the case's dialect."""
        row = find_row(self.provider)
        assert row is not None, f"the catalogue has no {self.provider}"
        return row.speaking(self.about.get("dialect"))

    @property
    def name(self) -> str:
        """How the test is named."""
        return f"{self.provider}-{self.case.name}"


def recorded() -> list[Recorded]:
    """Every case of every provider."""
    found = []
    for provider in PROVIDERS:
        for case in load_cases(FOLDER / provider):
            about = json.loads((FOLDER / provider / case.name / "request.json").read_text("utf-8"))
            found.append(Recorded(provider, case, about))
    return found


ALL = recorded()
SENT = [each for each in ALL if "sent" in each.about]


def target(each: Recorded) -> Target:
    """The provider's row with the facts of a case, as its dialect gets to know it."""
    facts, row = each.about["facts"], each.row
    base_url = row.base_url
    query = dict(row.query)
    for name, value in facts.items():
        base_url = base_url.replace(f"{{{name}}}", value)
        query = {key: said.replace(f"{{{name}}}", value) for key, said in query.items()}
    assert "{" not in base_url, f"{each.provider} leaves {base_url} open"
    scheme, host, *_ = urlsplit(base_url)
    return Target(
        deployment="d",
        provider=row.key,
        model=facts["model"],
        base_url=base_url.rstrip("/"),
        origin=f"{scheme}://{host}",
        region=facts.get("region"),
        project=facts.get("project"),
        api_version=facts.get("api_version", row.api_version),
        path=row.chat_path or "",
        query=query,
        quirks=row.quirks_of("m"),
    )


def test_every_provider_that_is_named_has_its_directory() -> None:
    """At least its quirk, an error and a tool call, as the issue asks."""
    assert set(NAMED) <= set(PROVIDERS)
    for provider in NAMED:
        cases = [each.case for each in ALL if each.provider == provider]
        assert any(case.error is not None for case in cases), f"{provider} has no error"
        assert any(case.request.tools for case in cases), f"{provider} has no tool call"
        assert any(each.provider == provider for each in SENT), (
            f"{provider} says nothing of requests"
        )


@pytest.mark.parametrize("each", ALL, ids=[each.name for each in ALL])
def test_a_recorded_answer_gives_its_chunks_by_its_row(each: Recorded) -> None:
    """Through the dialect that the row names, however the bytes are cut, batched or ended."""
    check_case(dialect(each.about.get("dialect") or each.row.dialect), each.case)


@pytest.mark.parametrize("each", SENT, ids=[each.name for each in SENT])
def test_a_request_goes_out_as_the_provider_wants_it(each: Recorded) -> None:
    """The address, the body and what is dropped are the vector's; the conversation comes last."""
    dropped: list[str] = []
    expected = each.about["sent"]

    outgoing = dialect(each.row.dialect).encode(each.case.request, target(each), dropped=dropped)
    body = b"".join(encode_json(outgoing.fields))

    assert expected["url"] == outgoing.url
    assert expected["body"] == json.loads(body)
    assert expected.get("dropped", []) == dropped
    assert "messages" == list(json.loads(body))[-1]


def test_no_row_has_a_flag_that_nobody_knows() -> None:
    """A flag of a row that speaks `openai_chat` is one that the dialect documents."""
    known = set(FLAGS)

    assert {} == {
        key: row.flags - known
        for key, row in catalogue().items()
        if row.dialect == "openai_chat" and row.flags - known
    }


BACK = [
    each
    for each in ALL
    if each.case.error is None
    and each.case.name
    in (
        "reasoning_list",
        "reasoning_opaque",
        "signatures",
        "tool_call",
        "tool_calls",
        "reasoning_and_cost",
    )
]


@pytest.mark.parametrize("each", BACK, ids=[each.name for each in BACK])
def test_what_the_provider_wants_back_goes_back_to_it_alone(each: Recorded) -> None:
    """An answer appended to the conversation is sent with its state; elsewhere it is reported."""
    fold = Fold()
    fold.add(list(each.case.chunks))
    message = fold.reply(CallRecord(dialect="openai_chat", origin=TARGET.origin)).message
    conversation = [{"role": "user", "content": "?"}, message]

    def sent(to: Target, dropped: list[str]) -> Any:
        request = ChatRequest(model="m", messages=conversation)
        outgoing = dialect("openai_chat").encode(request, to, dropped=dropped)
        return json.loads(b"".join(encode_json(outgoing.fields)))["messages"][1]

    lost: list[str] = []
    elsewhere = sent(replace(TARGET, origin="https://else.test"), lost)
    kept: list[str] = []
    back = sent(TARGET, kept)

    state = {
        k: v for k, v in message.get("provider_state", {}).items() if k not in ("dialect", "origin")
    }
    assert [] == kept
    assert (["messages[1].provider_state"] if state else []) == lost
    assert not {"reasoning_opaque", "extra_content"} & elsewhere.keys()
    for text in _texts(state):
        assert text in msgspec.json.encode(back).decode(), f"{text!r} does not go back"


def _texts(state: Any) -> list[str]:
    """Signatures and other opaque texts in what is kept."""
    if isinstance(state, dict):
        return [text for value in state.values() for text in _texts(value)]
    if isinstance(state, list):
        return [text for value in state for text in _texts(value)]
    return [state] if isinstance(state, str) else []
