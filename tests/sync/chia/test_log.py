"""What a prompt tells its log, and a log that is slow, fails or asks itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.agents.cli.conftest import VECTORS
from tests.sync.chia.conftest import Stage

from penstock.sync.chia._cli import CLITurn
from penstock.sync.chia._log import shortened, weight
from penstock.sync.chia.claude import ClaudeCodeLLM
from penstock.sync.chia.openai_compat import OpenAICompatLLM
from penstock.sync.shared import shared_portal

SUCCESS = VECTORS / "claude_code/claude-code-success.jsonl"


class Handler(logging.Handler):
    """Calls a function with every record."""

    def __init__(self, take: Callable[[logging.LogRecord], object]) -> None:
        super().__init__()
        self.take = take

    def emit(self, record: logging.LogRecord) -> None:
        """Call it."""
        self.take(record)


@contextmanager
def handled(name: str, take: Callable[[logging.LogRecord], object]) -> Iterator[None]:
    """Have `take` called with every record of the logger of that name."""
    handler, logger = Handler(take), logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def test_a_slow_log_is_waited_for(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that says much is not read on while its log is behind; nothing is left out."""
    first, said, last = SUCCESS.read_text().splitlines()
    (tmp_path / "much.jsonl").write_text("\n".join([first, *[said] * 500, last]))
    stage.plays(str(tmp_path / "much.jsonl"))
    begun: list[str] = []
    hear = CLITurn._hear

    async def counted(self: CLITurn, chunk: Any, tell: Any) -> None:
        begun.append(type(chunk).__name__)
        await hear(self, chunk, tell)

    monkeypatch.setattr(CLITurn, "_hear", counted)
    ahead: list[int] = []
    heard: list[str] = []

    def slow(record: logging.LogRecord) -> None:
        if record.levelno == logging.DEBUG and record.getMessage().startswith("text: "):
            heard.append(record.getMessage())
            while not ahead and shared_portal().call(begun.count, "TextDelta") < 65:
                pass
            ahead.append(shared_portal().call(begun.count, "TextDelta") - len(heard))

    with handled("slow", slow):
        assert ClaudeCodeLLM(model="sonnet", logging_name="slow").prompt("x").success
    assert 500 == len(heard) == begun.count("TextDelta")
    assert (64, 64) == (ahead[0], max(ahead))  # one is heard, 63 wait, and one waits for room


def test_a_log_may_ask(stage: Stage) -> None:
    """A handler that prompts another model holds nothing that this needs."""
    other = OpenAICompatLLM("echo", base_url=f"{stage.url}/v1", logging_name="other")
    answers: list[str] = []
    thread = threading.current_thread()

    def ask(record: logging.LogRecord) -> None:
        assert thread is threading.current_thread()
        answers.append(other.prompt(record.getMessage()[:20]).result)

    llm = OpenAICompatLLM("echo", base_url=f"{stage.url}/v1", logging_name="asks")
    with other, llm, handled("asks", ask):
        assert "one" == llm.prompt("one").result
    assert "prompt: one" in answers
    assert len(answers) > 3  # the prompt, the start, steps, the end


def test_a_log_that_fails_ends_the_prompt(stage: Stage) -> None:
    """What a handler raises is raised, and the next prompt is answered."""

    def fail(record: logging.LogRecord) -> None:
        if record.getMessage().startswith("step: "):
            raise LookupError("no such log")

    with OpenAICompatLLM("echo", base_url=f"{stage.url}/v1", logging_name="fails") as llm:
        with handled("fails", fail), pytest.raises(LookupError, match="no such log"):
            llm.prompt("one")
        assert "two" == llm.prompt("two").result


def test_news_are_weighed_as_they_are_kept() -> None:
    """In bytes, of what a record has: no more of it waits for the log."""
    news = shortened(("text", "\N{EURO SIGN}" * 20_000))

    assert ("text", 4 + 3 * 10_000 + len("... (10000 more characters)")) == (news[0], weight(news))
    assert 4 + len("{'a': 1}") == weight(shortened(("tool", {"a": 1})))
    assert 4 + 3 == weight(("text", "\ud800"))  # half a pair, as a model may write
