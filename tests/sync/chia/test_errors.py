"""The modules' errors: the seed's constructors, our tree, and nothing lost on the way."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from tests.sync.chia.conftest import MODULES, shim
from tests.sync.chia.signatures import SIGNATURES
from tests.test_errors import FIELDS, state

from penstock import errors
from penstock.response import Choice, Reply
from penstock.sync.chia import ChiaError
from penstock.sync.chia._errors import Setting, node_id

CLASSES = [name for name in SIGNATURES if name.endswith("Error")]
WHEN = datetime(2026, 11, 28, 16, 0, tzinfo=UTC)
VALUES: dict[str, Any] = {
    "node_id": "node-1",
    "error_type": "odd",
    "exit_code": 7,
    "status_code": 418,
    "raw_message": "their words",
    "reset_time": WHEN,
    "retry_after": 9,
    "partial_text": "half an ans",
    "stderr": "oh no",
    "block_reason": "SAFETY",
}
TREE = {
    "RateLimitError": errors.RateLimitError,
    "AuthenticationError": errors.AuthenticationError,
    "BillingError": errors.BillingError,
    "InvalidRequestError": errors.InvalidRequestError,
    "ContextLengthExceededError": errors.ContextLengthError,
    "ContentBlockedError": errors.ContentBlockedError,
    "ServerError": errors.ServerError,
    "MaxOutputTokensError": errors.OutputTruncatedError,
}


def found(name: str) -> type[ChiaError]:
    """The class of that name."""
    module, _, kind = name.partition(".")
    cls: type[ChiaError] = getattr(importlib.import_module(f"penstock.sync.chia.{module}"), kind)
    return cls


def made(name: str) -> tuple[ChiaError, dict[str, Any]]:
    """An error made with the seed's arguments, and those."""
    given = {each.name: VALUES[each.name] for each in SIGNATURES[name].parameters}
    if name.startswith("bedrock.") and "status_code" in given:
        given["status_code"] = "ThrottlingException"
    return found(name)(*given.values()), given


@pytest.mark.parametrize("name", CLASSES)
def test_the_seeds_arguments_are_its_attributes(name: str) -> None:
    """In the seed's order, all of them; the message is the peer's."""
    error, given = made(name)

    assert given == {each: getattr(error, each) for each in given}
    assert "their words" == str(error) == error.message


@pytest.mark.parametrize("name", CLASSES)
def test_pickles_and_copies_lose_nothing(name: str) -> None:
    """Ray carries them from worker to caller."""
    error, _ = made(name)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))

        assert type(error) is type(again)
        assert (error.args, state(error)) == (again.args, state(again))
    assert state(error) == state(copy.copy(error)) == state(copy.deepcopy(error))


@pytest.mark.parametrize("name", CLASSES)
def test_each_is_one_of_ours(name: str) -> None:
    """Whoever catches `penstock.errors` catches them, and their types are our names."""
    kind = name.partition(".")[2]
    cls = found(name)

    assert issubclass(cls, TREE.get(kind, errors.PenstockError))
    if "error_type" not in {each.name for each in SIGNATURES[name].parameters}:
        assert cls.kind == made(name)[0].error_type


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("kind", TREE)
def test_nothing_of_ours_is_lost(name: str, kind: str) -> None:
    """An error of ours becomes the module's with every field, the exit code and what was said."""
    reply = Reply(choices=[Choice(text="half")])
    ours = TREE[kind]("it broke", **FIELDS | {"partial": reply})  # type: ignore[arg-type]  # fields
    error = shim(name).kinds.of(ours, Setting(exit_code=3, stderr="oh no"))
    kept = {each: getattr(error, each) for each in FIELDS}
    if kind == "ServerError" and kept["retry_after"] == 2:  # the seed's is a whole number
        kept["retry_after"] = 1.5

    assert FIELDS | {"partial": reply} == kept
    assert "it broke" == str(error)
    assert FIELDS["body"] == error.raw_message
    assert node_id() == error.node_id
    assert ours is error.__cause__
    assert 3 == getattr(error, "exit_code", 3)
    assert "half" == getattr(error, "partial_text", "half")
    assert pickle.loads(pickle.dumps(error)).__dict__ == error.__dict__


FALLBACKS = {
    # what a module has no class for: the class that it has instead, in words of its page
    ("claude", errors.ContentBlockedError): "InvalidRequestError",
    ("claude", errors.ContextLengthError): "InvalidRequestError",
    ("claude", errors.MissingCredentialsError): "AuthenticationError",
    ("claude", errors.PermissionDeniedError): "AuthenticationError",
    ("claude", errors.NotFoundError): "InvalidRequestError",
    ("claude", errors.OverloadedError): "ServerError",
    ("claude", errors.TruncatedError): "UnknownClaudeError",
    ("claude", errors.DeadlineError): "UnknownClaudeError",
    ("claude", errors.ResponseError): "UnknownClaudeError",
    ("opencode", errors.TransportError): "UnknownOpenCodeError",
    ("codex", errors.ProtocolError): "UnknownCodexError",
    ("antigravity", errors.ToolCrashedError): "UnknownAntigravityError",
    ("bedrock", errors.BillingError): "RateLimitError",
    ("bedrock", errors.DeadlineError): "ServerError",
    ("bedrock", errors.ConnectError): "ServerError",
    ("bedrock", errors.ContentBlockedError): "InvalidRequestError",
    ("vertex", errors.BillingError): "RateLimitError",
    ("vertex", errors.ContentBlockedError): "ContentBlockedError",
    ("vertex", errors.TruncatedError): "ServerError",
    ("vertex", errors.ProtocolError): "UnknownVertexError",
    ("openai_compat", errors.ContextLengthError): "ContextLengthExceededError",
    ("openai_compat", errors.UnknownModelError): "InvalidRequestError",
    ("openai_compat", errors.ContentBlockedError): "InvalidRequestError",
    ("openai_compat", errors.LimitExceededError): "UnknownOpenAIError",
}


@pytest.mark.parametrize(("module", "ours"), FALLBACKS)
def test_what_is_what(module: str, ours: type[errors.PenstockError]) -> None:
    """Each of our errors has one class in each module."""
    name = next(name for name, home in MODULES.items() if home == module)

    assert FALLBACKS[module, ours] == type(shim(name).kinds.of(ours("x"))).__name__


def test_a_limits_end_is_the_best_that_is_known() -> None:
    """The peer's time, else its seconds from now, else a minute; only Codex and agy have None."""
    limit = errors.RateLimitError
    now = datetime.now(UTC).timestamp()
    told = {
        name: [
            shim(name).kinds.of(error).reset_time  # type: ignore[attr-defined]  # of that class
            for error in (limit("x", reset_at=2e9), limit("x", retry_after=30.0), limit("x"))
        ]
        for name in ("OpenAICompatLLM", "CodexLLM")
    }

    for times in told.values():
        assert datetime.fromtimestamp(2e9, UTC) == times[0]
        assert 29 <= times[1].timestamp() - now <= 40
    assert 59 <= told["OpenAICompatLLM"][2].timestamp() - now <= 70
    assert told["CodexLLM"][2] is None


def test_seconds_to_wait_are_whole_for_a_server() -> None:
    """The seed's ``retry_after`` is an int; it is never less than what was said."""
    error = shim("ClaudeCodeLLM").kinds.of(errors.ServerError("x", retry_after=1.2))

    assert (2, True) == (error.retry_after, isinstance(error.retry_after, int))


def test_a_node_is_rays_inside_of_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray is asked only where the program has loaded it; else it is the machine."""
    context = SimpleNamespace(get_node_id=lambda: "ray-node")
    fake = SimpleNamespace(is_initialized=lambda: True, get_runtime_context=lambda: context)
    monkeypatch.setitem(sys.modules, "ray", fake)

    assert "ray-node" == node_id()
    monkeypatch.delitem(sys.modules, "ray")
    assert "ray-node" != node_id()


def test_the_constructors_say_their_types() -> None:
    """No signature hides behind ``*args``."""
    assert [] == [
        name
        for name in CLASSES
        for each in inspect.signature(found(name)).parameters.values()
        if each.kind is not each.POSITIONAL_OR_KEYWORD or each.annotation is each.empty
    ]
