"""The incremental encoder: the bytes of ``json.dumps``, a buffer at a time, or a refusal."""

from __future__ import annotations

import enum
import json
import sys
from collections import OrderedDict, UserDict, namedtuple
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from pydantic import BaseModel, Field

from penstock.encoders import Raw, encode_json
from penstock.encoders.backends import Backend
from penstock.errors import EncodeError, UsageError
from penstock.fields import Each, Joined

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NASTY = st.text(st.sampled_from('\\"/\n\t\x00\x1f\x7fué日😀 '), max_size=80)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**62, max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | NASTY
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT | NASTY, inner), max_leaves=40
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "tool"]), "content": TEXT | NASTY}),
    max_size=60,
)
BUFFERS = st.integers(min_value=7, max_value=400)
VECTOR = {
    "model": "gpt-5.4",
    "messages": [
        {"role": "system", "content": '\x00\x1f"\\/\b\f\n\r\t\x7f\x80'},
        {"role": "user", "content": "größer 日本語 😀\u2028\u2029\ufeff\uffff" * 3},
        {"role": "user", "content": [{"type": "text", "text": "\\u0041\\\\" * 9}, {}, []]},
    ],
    "numbers": [0, -0.0, 1.5, 1e16, 1e-7, 5e-324, 1.7976931348623157e308, 2**64, -(2**63) - 1],
    "constants": [True, False, None],
    "": {"é": "", "\n": ""},
}


def compact(value: object) -> bytes:
    """The bytes that the contract names."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def encode(value: object, backend: Backend, *, buffer_size: int = 4096) -> bytes:
    """All the pieces together."""
    return b"".join(encode_json(value, buffer_size=buffer_size, backend=backend))


class Color(enum.Enum):
    """An enum whose values are texts."""

    RED = "red"


class Role(str, enum.Enum):  # noqa: UP042  # many users' enums are still of this kind
    """A text that prints as the name of a member."""

    USER = "user"


class Level(enum.IntEnum):
    """A number that prints as the name of a member."""

    HIGH = 3


class Word(str):
    """A text of a kind of its own."""


class Ratio(float):
    """A number of a kind of its own."""

    def __repr__(self) -> str:
        return "a ratio"


@dataclass
class Point:
    """A dataclass."""

    x: int
    label: str


class Part(Struct, omit_defaults=True, rename={"kind": "type"}):
    """A struct that renames and omits."""

    kind: str
    text: str = ""


class Reply(BaseModel):
    """A model with an alias and a default."""

    role: str = "assistant"
    content: str | None = None
    kind: str = Field(alias="type")


Pair = namedtuple("Pair", "left right")


# The bytes


@settings(max_examples=150, deadline=None)
@given(value=VALUES | MESSAGES, buffer_size=BUFFERS)
def test_the_bytes_are_those_of_json_dumps(value: Any, buffer_size: int, backend: Backend) -> None:
    """Compact, in UTF-8, in the order of the keys, whatever the buffer and the backend."""
    assert compact(value) == encode(value, backend, buffer_size=buffer_size)


@settings(max_examples=100, deadline=None)
@given(value=VALUES, buffer_size=BUFFERS)
def test_what_is_read_back_is_what_was_given(
    value: Any, buffer_size: int, backend: Backend
) -> None:
    """Another program's parser finds the same value."""
    assert value == json.loads(encode(value, backend, buffer_size=buffer_size))


@pytest.mark.parametrize("buffer_size", [*range(7, 140), 1000, 4096, 65536])
def test_every_buffer_gives_the_same_bytes(buffer_size: int, backend: Backend) -> None:
    """From the smallest buffer on, no cut shows."""
    assert compact(VECTOR) == encode(VECTOR, backend, buffer_size=buffer_size)


@settings(max_examples=100, deadline=None)
@given(value=VALUES | MESSAGES | NASTY, buffer_size=BUFFERS)
def test_pieces_are_full_but_never_above_the_buffer(
    value: Any, buffer_size: int, backend: Backend
) -> None:
    """No piece is empty or larger than the buffer, and each is UTF-8 by itself."""
    pieces = list(encode_json(value, buffer_size=buffer_size, backend=backend))

    assert all(0 < len(piece) <= buffer_size for piece in pieces)
    assert compact(value).decode() == "".join(piece.decode() for piece in pieces)


@pytest.mark.parametrize("buffer_size", range(7, 40))
def test_no_piece_ends_inside_an_escape(buffer_size: int, backend: Backend) -> None:
    r"""A reader of one piece never sees half of ``\u0000`` or of ``\\``."""
    text = '\x00\\"\n\\u' * 30
    pieces = list(encode_json(text, buffer_size=buffer_size, backend=backend))
    whole = pieces[0] + b'"', *(b'"' + piece + b'"' for piece in pieces[1:-1])

    assert text.startswith("".join(json.loads(piece) for piece in whole))


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_written_as_repr_has_them(number: float, backend: Backend) -> None:
    """``1e-07`` stays that, though orjson and msgspec write ``1e-7``."""
    assert repr(number).encode() == encode(number, backend)
    assert f"[{number!r}]".encode() == encode([number], backend)


@pytest.mark.parametrize("number", [2**53, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, 10**400])
def test_integers_are_written_in_full(number: int, backend: Backend) -> None:
    """Beyond 64 bits too, which orjson refuses."""
    assert str(number).encode() == encode(number, backend)
    assert f'{{"n":[{number}]}}'.encode() == encode({"n": [number]}, backend)


def test_text_is_utf8_and_not_escaped(backend: Backend) -> None:
    r"""Other scripts take two to four bytes and not six or twelve (exoclaw, fault 17)."""
    assert '"日😀é"'.encode() == encode("日😀é", backend)


# What has a JSON form


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Color.RED, b'"red"'),
        (Role.USER, b'"user"'),
        (Level.HIGH, b"3"),
        (Word("x\n"), b'"x\\n"'),
        (Ratio(1.5), b"1.5"),
        ({Role.USER: 1, Word("b"): 2}, b'{"user":1,"b":2}'),
        (Point(1, "é"), '{"x":1,"label":"é"}'.encode()),
        (Part("text"), b'{"type":"text"}'),
        ([Part("text", "é")], '[{"type":"text","text":"é"}]'.encode()),
        (Reply(type="message", content=None), b'{"content":null,"type":"message"}'),
        (OrderedDict(b=1, a=2), b'{"b":1,"a":2}'),
        (UserDict(b=[1]), b'{"b":[1]}'),
        ((1, (2,)), b"[1,[2]]"),
        (Pair(1, "r"), b'[1,"r"]'),
        (Raw(b'{"ready": true}'), b'{"ready": true}'),
        ({"a": [Raw(b"1"), Raw(b"2")]}, b'{"a":[1,2]}'),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("buffer_size", [7, 4096])
def test_more_than_json_has_a_form(
    value: object, expected: bytes, buffer_size: int, backend: Backend
) -> None:
    """Enums, subclasses, structs, models and mappings are written as users expect."""
    assert expected == encode(value, backend, buffer_size=buffer_size)


def test_a_key_of_another_kind_hides_behind_an_equal_one(backend: Backend) -> None:
    """A `str` subclass that equals a plain key is written like it."""
    value = [{"role": "user"}] * 20 + [{Word("role"): "user"}] * 20

    assert compact(value) == encode(value, backend)


def test_a_fragment_larger_than_the_buffer_is_cut(backend: Backend) -> None:
    """A fragment is copied through the buffer as it is."""
    fragment = compact({"text": "日" * 1000})
    pieces = list(encode_json([Raw(fragment)], buffer_size=64, backend=backend))

    assert b"[" + fragment + b"]" == b"".join(pieces)
    assert max(map(len, pieces)) <= 64


@pytest.mark.parametrize(
    "source",
    [
        [1, 2, 3],
        (1, 2, 3),
        {1: "", 2: "", 3: ""}.keys(),
        lambda: [1, 2, 3],
        lambda: iter([1, 2, 3]),
    ],
)
def test_a_source_is_an_array(source: Any, backend: Backend) -> None:
    """Lists, iterables and functions that return them are arrays of their items."""
    assert b'{"a":[1,2,3],"b":0}' == encode({"a": Each(source), "b": 0}, backend)


def test_an_iterator_is_an_array(backend: Backend) -> None:
    """Its one pass is the encoding: the check leaves it alone."""
    assert b"[1,2,3]" == encode(Each(iter([1, 2, 3])), backend)


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 33, 500])
@pytest.mark.parametrize("make", [list, iter, lambda items: lambda: iter(items)])
def test_items_are_translated_as_they_are_pulled(
    count: int, make: Callable[[list[int]], Any], backend: Backend
) -> None:
    """Each item goes through the function, in order."""
    expected = compact([{"n": str(number)} for number in range(count)])

    each = Each(make(list(range(count))), lambda number: {"n": str(number)})

    assert expected == encode(each, backend, buffer_size=128)


def test_a_translation_may_be_a_fragment(backend: Backend) -> None:
    """A store gives messages that are JSON already."""
    each = Each(range(3), lambda number: Raw(b'{"n":%d}' % number))

    assert b'[{"n":0},{"n":1},{"n":2}]' == encode(each, backend)


@pytest.mark.parametrize("buffer_size", [7, 64, 4096])
def test_fragments_and_values_mix(buffer_size: int, backend: Backend) -> None:
    """A store of fragments is copied in groups; what stands between is encoded."""
    fragments: list[Any] = [Raw(b'{"n":"%d"}' % number) for number in range(50)]
    items = [*fragments, {"n": "é"}, *fragments, {"n": 1.5}, Raw(b'"' + b"x" * 5000 + b'"'), 1]
    expected = [json.loads(item.data) if isinstance(item, Raw) else item for item in items]

    assert compact(expected) == encode(Each(iter(items)), backend, buffer_size=buffer_size)
    assert compact(expected) == encode(items, backend, buffer_size=buffer_size)


def test_no_key_names_a_file(backend: Backend) -> None:
    """A message from outside is a value and nothing else (exoclaw, fault 18)."""
    message = {"role": "user", "_content_file": "/etc/passwd"}

    assert compact([message]) == encode([message], backend)


def test_what_is_unchanged_is_not_translated_again(backend: Backend) -> None:
    """What a translation gives back as it is goes out as it is, right after the check."""
    items = [{"role": "user", "content": str(number)} for number in range(300)]
    items[123] = {"role": "tool", "content": "x", "private": "y"}
    calls = 0

    def translate(item: dict[str, str]) -> dict[str, str]:
        nonlocal calls
        calls += 1
        if "private" not in item:
            return item
        return {name: value for name, value in item.items() if name != "private"}

    expected = compact([translate(item) for item in items])
    calls = 0

    assert expected == encode(Each(items, translate), backend)
    assert calls < 2 * 300


TAGGED = st.lists(
    st.sampled_from([{"role": "user", "content": "é" * 9}, {"role": "user", "content": "x" * 900}])
    | st.fixed_dictionaries({"role": TEXT, "content": NASTY}, optional={"private": NASTY}),
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(items=TAGGED, times=st.integers(1, 8), buffer_size=BUFFERS | st.sampled_from([4096, 65536]))
def test_what_a_translation_leaves_is_as_if_it_was_translated(
    items: list[dict[str, str]], times: int, buffer_size: int, backend: Backend
) -> None:
    """Whether many messages are taken together or each is asked for makes no other bytes."""
    items = items * times

    def translate(item: dict[str, str]) -> dict[str, str]:
        return {name: text for name, text in item.items() if name != "private"}

    each = Each(items, translate, leaves=lambda keys: "private" not in keys)

    assert compact([translate(item) for item in items]) == encode(
        each, backend, buffer_size=buffer_size
    )


def test_what_a_translation_leaves_is_not_given_to_it(backend: Backend) -> None:
    """Nothing is called for each message of a long conversation of plain ones."""
    items = [{"role": "user", "content": f"{number}é"} for number in range(300)]
    given: list[object] = []
    each = Each(items, given.append, leaves=lambda keys: [*keys] == ["role", "content"])

    assert compact(items) == encode(each, backend)
    assert [] == given


# What is refused


def cycle() -> list[Any]:
    """A list in itself."""
    inside: list[Any] = ["x"]
    inside.append({"again": inside})
    return inside


def nested(levels: int) -> Any:
    """So many arrays in each other."""
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


REFUSED = [
    (float("nan"), "", "nan"),
    ({"temperature": float("inf")}, "temperature", "inf"),
    ({"a": [1, -float("inf")]}, "a[1]", "inf"),
    ("\ud800", "", "surrogate"),
    ({"messages": [{"content": "x\udfff"}]}, "messages[0].content", "surrogate"),
    ({"messages": [{"content": "é" * 9000 + "\udfff"}]}, "messages[0].content", "surrogate"),
    ({"a": {"\ud800": 1}}, "a.\\ud800", "surrogate"),
    ({1: "x"}, "", "key 1 is int"),
    ({"a": [{"b": {None: 1}}]}, "a[0].b", "key None is NoneType"),
    ({"a": {True: 1}}, "a", "key True is bool"),
    ({"a": {(1,): 1}}, "a", "is tuple"),
    ([{"content": [{"text": b"x"}]}], "[0].content[0].text", "bytes has no JSON form"),
    ({"a": {1, 2}}, "a", "make it a list"),
    ({"a": iter([1])}, "a", "make it a list"),
    ({"a": object()}, "a", "object has no JSON form"),
    ({"a": 1j}, "a", "complex has no JSON form"),
    ({"a": 10**5000}, "a", "digits"),
    ({"a": Ratio("nan")}, "a", "nan"),
    (cycle(), "[1].again", "contains itself"),
    (nested(257), "[0]" * 256, "more than 256 levels"),
    (nested(100_000), "[0]" * 256, "more than 256 levels"),
]
every_refusal = pytest.mark.parametrize(
    ("value", "path", "words"),
    REFUSED,
    ids=[f"{words}-{place}" for place, (_, _, words) in enumerate(REFUSED)],
)


@every_refusal
@pytest.mark.parametrize("buffer_size", [16, 65536])
def test_what_has_no_form_is_refused_with_its_path(
    value: object, path: str, words: str, buffer_size: int, backend: Backend
) -> None:
    """The error says where and why, in the words of the caller's own structure."""
    with pytest.raises(EncodeError, match=words.replace("(", r"\(")) as caught:
        encode(value, backend, buffer_size=buffer_size)

    assert (path or None) == caught.value.param
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize("value", [value for value, _, _ in REFUSED], ids=range(len(REFUSED)))
def test_refusal_comes_before_the_first_byte(value: object, backend: Backend) -> None:
    """However late the fault stands, nothing leaves the process (exoclaw, fault 16)."""
    messages = [{"role": "user", "content": "x" * 100} for _ in range(500)]
    pieces = encode_json({"messages": messages, "last": value}, buffer_size=64, backend=backend)

    with pytest.raises(EncodeError):
        next(pieces)


def test_an_error_holds_no_surrogate(backend: Backend) -> None:
    """The message can be written to a log, even where a key cannot."""
    with pytest.raises(EncodeError) as caught:
        encode({"\ud800": 1}, backend)

    assert str(caught.value).encode()


def test_the_bound_on_depth_is_exact(backend: Backend) -> None:
    """256 levels pass, in every backend."""
    assert b"[" * 256 + b"]" * 256 == encode(nested(256), backend)


def test_shared_values_are_no_cycle(backend: Backend) -> None:
    """The same list twice side by side is two lists."""
    shared = [1, {"a": "é"}]

    assert compact([shared, shared, {"b": shared}]) == encode(
        [shared, shared, {"b": shared}], backend
    )


def test_a_fault_in_a_function_s_items_is_found_when_reached(backend: Backend) -> None:
    """What is not in memory is checked as it comes."""
    items = ["x" * 50, "y" * 50, float("nan")]
    pieces = encode_json(Each(lambda: iter(items)), buffer_size=16, backend=backend)

    assert b'["' == next(pieces)[:2]
    with pytest.raises(EncodeError, match=r"\[2\]"):
        list(pieces)


@pytest.mark.parametrize("buffer_size", [-1, 0, 6])
def test_a_buffer_is_at_least_an_escape(buffer_size: int) -> None:
    """Seven bytes are the least that can be kept."""
    with pytest.raises(UsageError, match="at least 7 bytes"):
        list(encode_json(1, buffer_size=buffer_size))


@pytest.mark.parametrize("source", ["text", b"bytes", {"a": 1}, 5, None, lambda: 5])
def test_a_source_must_be_iterable(source: Any, backend: Backend) -> None:
    """A text or an object in the place of a conversation is a mistake."""
    with pytest.raises(UsageError, match="a conversation is"):
        encode(Each(source), backend)


def test_async_sources_need_a_body(backend: Backend) -> None:
    """A plain generator cannot wait, and says what can."""

    async def items() -> Any:
        yield 1

    with pytest.raises(UsageError, match="needs a Body"):
        encode(Each(items), backend)


# Memory, and the caller's values


def held(value: Any) -> int:
    """The bytes of all texts in `value`, with what hides in them."""
    match value:
        case str():
            return sys.getsizeof(value)
        case dict():
            return sum(held(key) + held(each) for key, each in value.items())
        case list():
            return sum(map(held, value))
    return 0


@pytest.mark.parametrize("buffer_size", [16, 256, 65536])
@pytest.mark.parametrize("length", [1, 20, 300, 3000])
def test_no_hidden_copy_is_left_in_the_caller_s_texts(
    length: int, buffer_size: int, backend: Backend
) -> None:
    """orjson, msgspec and pydantic-core leave UTF-8 in each text that is not ASCII."""
    value = [{"schlüssel" * 2: "é" * length, "b": ["日" * length]} for _ in range(40)]
    before = held(value)

    encode(value, backend, buffer_size=buffer_size)

    assert before == held(value)


def test_a_huge_text_is_sliced(backend: Backend) -> None:
    """No piece of it is above the buffer, and no slice is below half of it for nothing."""
    text = "x" * 100_000
    pieces = list(encode_json(text, buffer_size=1000, backend=backend))

    assert compact(text) == b"".join(pieces)
    assert len(pieces) <= 2 * len(compact(text)) // 1000 + 2


@settings(max_examples=40, deadline=None)
@given(text=NASTY | TEXT, times=st.integers(1, 200), start=st.integers(0, 99), buffer_size=BUFFERS)
def test_a_text_s_slices_are_the_text(
    text: str, times: int, start: int, buffer_size: int, backend: Backend
) -> None:
    """From any character on, however much denser one part of it is than another."""
    text = text * times + "x" * (7 * times) + text
    start = min(start, len(text))
    pieces = [*encode_json(Joined((text,), start), buffer_size=buffer_size, backend=backend)]

    assert compact(text[start:]) == b"".join(pieces)
    assert all(0 < len(piece) <= buffer_size for piece in pieces)


@pytest.mark.parametrize("text", ["x", 'said "jump"\n', "größer", "日本語", "\x00x"])
def test_a_text_s_pieces_are_full(text: str, backend: Backend) -> None:
    """A slice is cut to what is left of a piece, whatever the escapes and the script."""
    pieces = [*encode_json(text * 50_000, buffer_size=4096, backend=backend)]

    assert sum(map(len, pieces)) / len(pieces) > 0.9 * 4096


def test_small_messages_share_pieces(backend: Backend) -> None:
    """One piece holds many messages (exoclaw, fault 17: one chunk for each, and for each comma)."""
    messages = [{"role": "user", "content": str(number)} for number in range(10_000)]
    pieces = list(encode_json(messages, buffer_size=4096, backend=backend))

    assert len(pieces) <= 2 * sum(map(len, pieces)) // 4096


def test_items_are_not_pulled_ahead_of_the_buffer(backend: Backend) -> None:
    """A source is read about as far as its bytes have left."""
    pulled = []

    def items() -> Iterator[str]:
        for number in range(1000):
            pulled.append(number)
            yield "x" * 90

    pieces = encode_json(Each(items), buffer_size=1000, backend=backend)
    next(pieces)

    assert len(pulled) <= 40
    pieces.close()  # type: ignore[attr-defined]  # it is a generator


def test_closing_early_closes_the_source(backend: Backend) -> None:
    """A generator's own clean-up runs when the consumer stops."""
    closed = []

    def items() -> Iterator[str]:
        try:
            while True:
                yield "x" * 90
        finally:
            closed.append(True)

    pieces = encode_json(Each(items), buffer_size=64, backend=backend)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]  # it is a generator

    assert [True] == closed


# Edits meanwhile


def test_a_list_ends_where_it_ended_at_first(backend: Backend) -> None:
    """What is appended during the pass is not sent with it (exoclaw, fault 16)."""
    items = ["x" * 50 for _ in range(20)]
    expected = compact(items)
    pieces = encode_json(items, buffer_size=64, backend=backend)
    first = next(pieces)
    items.extend(["late"] * 100)

    assert expected == first + b"".join(pieces)


@pytest.mark.parametrize("each", [list, lambda items: Each(items, lambda item: item)])
def test_a_shrunk_list_is_an_error(each: Callable[[Any], Any], backend: Backend) -> None:
    """A body with messages missing is never taken for the whole."""
    items = ["x" * 50 for _ in range(200)]
    value = items if each is list else each(items)
    pieces = encode_json({"messages": value}, buffer_size=64, backend=backend)
    next(pieces)
    del items[100:]

    with pytest.raises(UsageError, match="the list had 200 items"):
        list(pieces)


def test_an_object_that_changes_is_an_error(backend: Backend) -> None:
    """A dict that grows while it is sent says so itself."""
    value = {str(number): "x" * 50 for number in range(100)}
    pieces = encode_json(value, buffer_size=64, backend=backend)
    next(pieces)
    value["more"] = "y"

    with pytest.raises(UsageError, match="edited while it was sent"):
        list(pieces)


def test_a_mapping_is_read_in_its_own_order(backend: Backend) -> None:
    """A mapping of the caller's own kind is an object with its items."""

    class Reversed(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            return int(key)

        def __iter__(self) -> Iterator[str]:
            return iter("321")

        def __len__(self) -> int:
            return 3

    assert b'{"3":3,"2":2,"1":1}' == encode(Reversed(), backend)


@given(st.lists(TEXT | NASTY, max_size=4), BUFFERS, st.booleans())
def test_a_text_in_pieces_is_one_text(
    backend: Backend, texts: list[str], size: int, inside: bool
) -> None:
    """`Joined` writes what its texts write together, in any buffer, alone and in an object."""
    texts = [texts[0], *texts] if texts else texts
    start = len(texts[0]) // 2 if texts else 0
    made, whole = Joined(tuple(texts), start), "".join(texts)[start:]
    value, expected = ({"a": [made, 1]}, {"a": [whole, 1]}) if inside else (made, whole)
    pieces = list(encode_json(value, buffer_size=size, backend=backend))

    assert compact(expected) == b"".join(pieces)
    assert max(map(len, pieces)) <= size


@pytest.mark.parametrize("texts", [("a", "\ud83d"), ("\ud83d", "\ude00"), ("é\udc00", "b")])
@pytest.mark.parametrize("size", [7, 4096])
def test_each_piece_of_a_text_is_text(backend: Backend, texts: tuple[str, ...], size: int) -> None:
    """Half of a surrogate pair is refused before the first byte, and so are both, in two texts."""
    with pytest.raises(EncodeError, match="half of a surrogate pair") as caught:
        next(encode_json({"a": [Joined(texts)]}, buffer_size=size, backend=backend))

    assert "a[0]" == caught.value.param
