"""What a parameter changes, as a row of a table; and where in a prompt to look for it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.sync.chia.conftest import Seen, Stage, after

Look = Callable[[Seen], Any]


@dataclass
class Effect:
    """A parameter, another value of it, and what is seen without and with that."""

    shim: str
    parameter: str
    given: Any
    look: Look
    without: Any
    with_it: Any
    base: dict[str, Any] = field(default_factory=dict)
    """What is given both times."""

    @property
    def name(self) -> str:
        """The parameter, behind its class."""
        return f"{self.shim}.{self.parameter}"

    def check(self, stage: Stage) -> None:
        """Ask without it and with it."""
        assert self.without != self.with_it
        before = stage.ask(self.shim, **self.base)
        then = stage.ask(self.shim, **(self.base | {self.parameter: self.given}))

        assert [self.without, self.with_it] == [self.look(before), self.look(then)]


def flag(name: str) -> Look:
    """The values behind an option of the program."""
    return lambda seen: after(seen.argv, name)


def has(text: str) -> Look:
    """Whether an argument is that text."""
    return lambda seen: text in seen.argv


def configured(name: str) -> Look:
    """The values of a name of Codex' configuration."""
    return lambda seen: [
        each.partition("=")[2] for each in after(seen.argv, "-c") if each.startswith(f"{name}=")
    ]


def variable(name: str) -> Look:
    """A variable of the program's environment."""
    return lambda seen: seen.environment.get(name)


def directory(seen: Seen) -> str:
    """The name of the folder where the program worked."""
    return Path(seen.notes[-1]["directory"]).name


def program(seen: Seen) -> str:
    """The program that was started."""
    return str(seen.notes[-1]["program"])


def sent(name: str) -> Look:
    """A field of the last request's body, by its path; None where it has none."""

    def look(seen: Seen) -> Any:
        value = seen.body
        for part in name.split("."):
            value = value.get(part)
        return value

    return look


def header(name: str) -> Look:
    """A header of the last request."""
    return lambda seen: seen.requests[-1].headers.get(name)


def path(at: int) -> Look:
    """A segment of where the last request went."""
    return lambda seen: seen.requests[-1].path.partition("?")[0].split("/")[at]


def region(seen: Seen) -> str:
    """The region that the last request was signed for."""
    return seen.requests[-1].headers["authorization"].split("/")[2]


def asked(seen: Seen) -> int:
    """How often an API or a program was asked."""
    return len(seen.requests) + len(seen.notes)


def said(seen: Seen) -> list[str]:
    """The kinds of what was logged of what was said, each once."""
    lines = [r.getMessage() for r in seen.records if r.levelno == logging.DEBUG]
    return list(dict.fromkeys(line.partition(":")[0] for line in lines))


def bound(seen: Seen) -> tuple[Any, Any]:
    """The bound that ended a prompt: its name and its value."""
    error = getattr(seen.result, "error", seen.result)
    return error.phase, error.limit


def config(seen: Seen) -> Any:
    """opencode's configuration of this prompt."""
    return json.loads(seen.environment["OPENCODE_CONFIG_CONTENT"])
