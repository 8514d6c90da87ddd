"""The error tree: drawn as it is, picklable with nothing lost, and classified."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import pickle
import pkgutil
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

import penstock
from penstock import errors
from penstock.errors import Attempt, PenstockError

for _module in pkgutil.walk_packages(penstock.__path__, "penstock.", onerror=lambda _: None):
    # Imported so that every subclass is known; a bare installation has fewer modules.
    with suppress(errors.MissingExtraError, ModuleNotFoundError):
        if _module.name != "penstock.__main__":
            importlib.import_module(_module.name)

ATTEMPT = Attempt("a", "m", "ServerError", "it broke", 500, 1.5, 0.25, 2.0, "req-1", ("seed",))

FIELDS: dict[str, object] = {
    "provider": "openai",
    "model": "openai/gpt-5.4",
    "deployment": "main",
    "status": 429,
    "code": "rate_limit_exceeded",
    "request_id": "req-2",
    "retry_after": 1.5,
    "reset_at": 1.7e9,
    "phase": "ttft",
    "limit": 15.0,
    "elapsed": 15.01,
    "param": "messages",
    "body": '{"error": "é"}',
    "partial": None,
    "dropped": ("seed",),
    "attempts": (ATTEMPT,),
    "metadata": {"job": 7},
    "committed": True,
    "retryable": True,
    "elsewhere": True,
    "peer_fault": True,
}


def subclasses(cls: type[PenstockError]) -> Iterator[type[PenstockError]]:
    """`cls` and everything under it, each once."""
    seen = [cls]
    for known in seen:
        seen.extend(sub for sub in known.__subclasses__() if sub not in seen)
    return iter(seen)


SHIMS = "penstock.sync.chia."
"""Has constructors that another program's page fixes; tests/sync/chia holds them to their own."""
ALL = sorted(
    (cls for cls in subclasses(PenstockError) if not cls.__module__.startswith(SHIMS)),
    key=lambda cls: cls.__qualname__,
)
every_class = pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)


def state(error: PenstockError) -> dict[str, object]:
    """What an error carries, as far as a pickle must keep it."""
    return {name: value for name, value in vars(error).items() if name != "frames"}


@every_class
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_lose_nothing(cls: type[PenstockError], protocol: int) -> None:
    """Every field and the message survive each pickle protocol."""
    error = cls("it broke", **FIELDS)  # type: ignore[arg-type]  # a table of all fields

    again = pickle.loads(pickle.dumps(error, protocol))

    assert type(error) is type(again)
    assert ("it broke",) == again.args
    assert state(error) == state(again)
    assert str(error) == str(again)
    assert FIELDS == {name: getattr(again, name) for name in FIELDS}


@every_class
@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_copies_lose_nothing(cls: type[PenstockError], make: type[PenstockError]) -> None:
    """Every field survives a copy and a deep copy."""
    error = cls("it broke", **FIELDS)  # type: ignore[arg-type]  # a table of all fields

    again = make(error)

    assert type(error) is type(again)
    assert state(error) == state(again)


@every_class
def test_no_argument_is_required(cls: type[PenstockError]) -> None:
    """Unpickling and contextlib call the class with its message, or with nothing."""
    error = cls()

    assert "" == error.message
    assert () == error.attempts


@every_class
def test_only_the_message_is_positional(cls: type[PenstockError]) -> None:
    """All else is keyword-only, so that a new field breaks no caller."""
    with pytest.raises(TypeError):
        cls("it broke", "openai")  # type: ignore[misc]  # that is what is tested


@every_class
def test_unknown_fields_are_refused(cls: type[PenstockError]) -> None:
    """A field that no class has is a mistake at the place that raises."""
    with pytest.raises(TypeError):
        cls("it broke", api_key="k")  # type: ignore[call-arg]  # that is what is tested


@every_class
def test_kinds_are_names_of_their_own(cls: type[PenstockError]) -> None:
    """Logs and metrics tell the classes apart by `kind`."""
    if cls.__module__.startswith(f"{errors.__name__}.") and cls is not PenstockError:
        assert [cls] == [other for other in ALL if other.kind == cls.kind]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", cls.kind)


def test_the_drawn_tree_is_the_real_one() -> None:
    """The docstring's drawing has every class of the module under its true parent, in order."""
    drawn = re.findall(r"^    ([│ ├└─]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE)
    parents: dict[int, str] = {}
    pairs = []
    for indent, name in drawn:
        depth = len(indent) // 4
        parents[depth] = name
        pairs.append((name, parents.get(depth - 1)))

    real = [
        (name, next((b.__name__ for b in cls.__bases__ if issubclass(b, PenstockError)), None))
        for name, cls in vars(errors).items()
        if inspect.isclass(cls) and issubclass(cls, PenstockError)
    ]
    assert sorted(real) == sorted(pairs)
    assert len(pairs) == len(set(pairs))


CLASSIFICATION = {
    # name: (retryable, elsewhere, peer_fault), from design section 5
    "PenstockError": (False, False, False),
    "UsageError": (False, False, False),
    "ConfigurationError": (False, False, False),
    "UnknownModelError": (False, False, False),
    "MissingCredentialsError": (False, True, False),
    "MissingExtraError": (False, False, False),
    "ConversationError": (False, False, False),
    "EncodeError": (False, False, False),
    "InvalidHeaderError": (False, False, False),
    "UnsupportedFeatureError": (False, True, False),
    "StreamClosedError": (False, False, False),
    "TransportError": (True, True, True),
    "ConnectError": (True, True, True),
    "PoolError": (False, True, False),
    "DeadlineError": (True, True, True),
    "TruncatedError": (True, True, True),
    "ProtocolError": (False, True, True),
    "DecodeError": (False, True, True),
    "LimitExceededError": (False, True, False),
    "ResponseError": (False, False, False),
    "AuthenticationError": (False, True, False),
    "PermissionDeniedError": (False, True, False),
    "BillingError": (False, True, False),
    "NotFoundError": (False, True, False),
    "InvalidRequestError": (False, False, False),
    "ContextLengthError": (False, True, False),
    "ConflictError": (True, False, False),
    "ContentBlockedError": (False, True, False),
    "RateLimitError": (True, True, False),
    "ServerError": (True, True, True),
    "UnavailableError": (True, True, True),
    "OverloadedError": (True, True, True),
    "OutputTruncatedError": (False, False, False),
    "StructuredOutputError": (False, False, False),
    "ToolCrashedError": (False, False, False),
    "AllProvidersFailedError": (False, False, False),
    "InternalError": (False, False, False),
}


def test_every_class_is_classified() -> None:
    """What helps against an error, and whose fault it is, is decided here for each class."""
    assert CLASSIFICATION == {
        name: (cls.retryable, cls.elsewhere, cls.peer_fault)
        for name, cls in vars(errors).items()
        if inspect.isclass(cls) and issubclass(cls, PenstockError)
    }


@pytest.mark.parametrize("name", ["retryable", "elsewhere", "peer_fault"])
@every_class
def test_an_instance_may_differ_from_its_class(cls: type[PenstockError], name: str) -> None:
    """A header such as `x-should-retry` decides for one error, not for its class."""
    default = getattr(cls, name)

    error = cls("it broke", **{name: not default})  # type: ignore[arg-type]  # a variable name

    assert (not default) is getattr(error, name)
    assert default is getattr(cls, name)
    assert default is getattr(cls("it broke"), name)


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.MissingExtraError, ImportError),
        (errors.EncodeError, ValueError),
        (errors.DeadlineError, TimeoutError),
    ],
)
def test_some_are_the_builtin_too(cls: type[PenstockError], builtin: type[Exception]) -> None:
    """Code that knows nothing of penstock catches them by the name it knows."""
    assert issubclass(cls, builtin)


def test_attempts_are_plain_records() -> None:
    """An attempt compares, pickles and refuses change; it holds no exception."""
    assert pickle.loads(pickle.dumps(ATTEMPT)) == ATTEMPT
    assert json.dumps([getattr(ATTEMPT, name) for name in ATTEMPT.__slots__])
    with pytest.raises(AttributeError):
        ATTEMPT.status = 200  # type: ignore[misc]  # that is what is tested


@pytest.mark.parametrize("cls", [errors.DecodeError, errors.LimitExceededError])
def test_frames_stay_at_home(cls: type[errors.DecodeError]) -> None:
    """The frames before a fault reach the stream that asked, and no other process."""
    error = cls("torn", frames=[b"one", b"two"], phase="max_line")

    again = pickle.loads(pickle.dumps(error))

    assert [b"one", b"two"] == error.frames
    assert [] == list(getattr(again, "frames", []))
    assert "max_line" == again.phase


def test_structured_output_keeps_the_answer() -> None:
    """The text and the faults found in it travel with the error."""
    error = errors.StructuredOutputError("no", text="{}", problems=[{"loc": ["a"], "msg": "b"}])

    again = pickle.loads(pickle.dumps(error))

    assert ("{}", [{"loc": ["a"], "msg": "b"}]) == (again.text, again.problems)
