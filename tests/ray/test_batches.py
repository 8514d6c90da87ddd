"""Rows as prompts: by hand, and in a data set of Ray's."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas
import pyarrow
import pytest
import ray
import ray.data

import penstock as ps
from penstock.errors import ConfigurationError, UsageError
from penstock.mapping import MapResult
from penstock.ray import ChatBatch

TOKENS = {"input_tokens": [28, 28], "output_tokens": [1, 1], "cost": [None, None]}
FINE = {"error": [None, None], "error_kind": [None, None], "retryable": [None, None]}

pytestmark = pytest.mark.timeout(240)  # Ray is slow to start on a busy machine

RAYS_OWN = pytest.mark.filterwarnings(
    # Ray 2.60 sets deprecated fields of a context of its own, and warns of each.
    "ignore::DeprecationWarning:ray.data.context"
)


@pytest.mark.parametrize("kind", [dict, pandas.DataFrame, pyarrow.table])
def test_each_row_has_its_answer(kind: Any) -> None:
    """The columns that were there, in any format of Ray's, and the answers', in the rows' order."""
    ask = ChatBatch(ps.Client(), model="sim/echo")
    columns = {"id": [7, 8], "prompt": ["one", "two"]}

    assert columns | {"text": ["one", "two"], "finish_reason": ["stop"] * 2} | TOKENS | FINE == ask(
        kind(columns)
    )


def test_a_row_that_fails_has_its_error() -> None:
    """In its own columns; the others have their answers. So has one that cannot be asked at all."""

    def ask(row: Mapping[str, Any]) -> dict[str, Any]:
        return {"model": row["model"], "messages": [{"role": "user", "content": "hi"}]}

    batch = {"model": ["sim/echo", "sim/text?fault=error-rate-limit", "nosuch/model"]}
    told = ChatBatch(ps.Client(), ask, prefix="a_", max_retries=0)(batch)

    assert ["hi", None, None] == told["a_text"]
    assert [None, "rate_limit", "unknown_model"] == told["a_error_kind"]
    assert [None, True, False] == told["a_retryable"]
    assert "nosuch/model" in told["a_error"][2]
    assert [28, None, None] == told["a_input_tokens"]


class Watched:
    """A client that tells how it was asked."""

    asked: tuple[list[Mapping[str, Any]], int]

    async def map(
        self, requests: Iterable[Mapping[str, Any]], *, concurrency: int
    ) -> AsyncGenerator[MapResult, None]:
        """Note it."""
        self.asked = (list(requests), concurrency)
        for at, _ in enumerate(self.asked[0]):
            yield MapResult(at, error=ValueError("its own"))


def test_options_reach_each_call() -> None:
    """The bound too; messages stay messages, and an error of another kind is told by its class."""
    client: Any = Watched()
    messages = [{"role": "user", "content": "x"}]
    told = ChatBatch(client, "p", model="m", concurrency=3, temperature=0.5)({"p": [messages]})

    assert ([{"temperature": 0.5, "model": "m", "messages": messages}], 3) == client.asked
    assert (["its own"], ["ValueError"]) == (told["error"], told["error_kind"])


def test_mistakes_are_found_before_anything_is_asked() -> None:
    """A column that is not there, one that is there already, a bound of nothing."""
    ask = ChatBatch(ps.Client(), model="sim/echo")
    with pytest.raises(UsageError, match="no column 'prompt'"):
        ask({"text_": ["x"]})
    with pytest.raises(UsageError, match="'text' already"):
        ask({"prompt": ["x"], "text": ["y"]})
    with pytest.raises(ConfigurationError, match="concurrency"):
        ChatBatch(ps.Client(), concurrency=0)

    assert {"prompt": [], "text": []}.items() <= ask({"prompt": []}).items()


@pytest.fixture
def quiet() -> None:
    """Keep Ray Data from printing its progress."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False


@RAYS_OWN
@pytest.mark.usefixtures("cluster", "quiet")
def test_data_set_is_answered_in_workers() -> None:
    """Blocks of which one has errors only, and one none, are one table in the end."""

    def ask(row: Mapping[str, Any]) -> dict[str, Any]:
        return {"model": row["model"], "messages": row["prompt"]}

    rows = [{"model": "sim/echo", "prompt": f"p{at}"} for at in range(2)]
    rows += [{"model": "sim/echo?fault=bad-request", "prompt": "x"} for _ in range(2)]
    prompts = ray.data.from_items(rows, override_num_blocks=2)
    answers = prompts.map_batches(ChatBatch(ps.Client(), ask), batch_size=2)
    table = pyarrow.concat_tables(
        ray.get(answers.to_arrow_refs()), promote_options="permissive"
    ).sort_by("prompt")

    assert ["p0", "p1", None, None] == table["text"].to_pylist()
    assert [None, None, *["invalid_request"] * 2] == table["error_kind"].to_pylist()
    assert [28, 28, None, None] == table["input_tokens"].to_pylist()


class Deadly:
    """Makes requests, and notes them; the first time its process dies after the first of them."""

    def __init__(self, notes: Path) -> None:
        self._notes = notes

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Note it."""
        first = not self._notes.exists()
        with self._notes.open("a") as file:
            file.write(f"{row['prompt']}\n")
        if first:
            os._exit(1)
        return {"messages": row["prompt"]}


@RAYS_OWN
@pytest.mark.usefixtures("cluster", "quiet")
def test_batch_of_a_worker_that_dies_is_not_asked_again(tmp_path: Path) -> None:
    """Ray runs it again, without end; then its rows say what became of them."""
    notes = tmp_path / "notes"
    ask = ChatBatch(ps.Client(), Deadly(notes), model="sim/echo", concurrency=1)
    rows = ray.data.from_items([{"prompt": "a"}, {"prompt": "b"}], override_num_blocks=1)
    told = rows.map_batches(ask).take_all()

    assert ["a"] == notes.read_text().splitlines()
    assert [("a", None, "interrupted", False), ("b", None, "interrupted", False)] == [
        (row["prompt"], row["text"], row["error_kind"], row["retryable"]) for row in told
    ]


def test_who_wants_it_can_have_a_batch_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a task's second run `rerun` decides; elsewhere there is no second run."""
    monkeypatch.setattr("penstock.ray.batches._runs", lambda: 1)
    batch = {"prompt": ["a"]}

    assert [None] == ChatBatch(ps.Client(), model="sim/echo")(batch)["text"]
    assert ["a"] == ChatBatch(ps.Client(), model="sim/echo", rerun=True)(batch)["text"]
