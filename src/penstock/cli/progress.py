"""What ``penstock agent`` shows while it runs: events as JSON, plain lines, or a live terminal."""

from __future__ import annotations

import json
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, assert_never

import msgspec

from penstock.agents.events import (
    FinalEvent,
    LoopEvent,
    LoopResult,
    ReasoningEvent,
    StepEvent,
    TextEvent,
    ToolCallEvent,
    ToolProgressEvent,
    ToolResultEvent,
)
from penstock.cli.console import dumped

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from penstock.chunks import Usage
    from penstock.response import ToolCall

__all__ = ["JsonLines", "PlainLines", "Progress", "Terminal", "called", "progress_for"]

_SHORT = 80
"""Characters that are shown of arguments and results."""


class Progress(Protocol):
    """Shows a run to whoever started it."""

    def show(self, event: LoopEvent) -> None:
        """Show what has happened."""
        ...

    def pause(self) -> None:
        """Leave the terminal to a question, until `resume`."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...

    def failed(self, kind: str, message: str, code: int) -> None:
        """Say that the run has no result; standard error gets its line elsewhere."""
        ...

    def close(self) -> None:
        """End what moves; idempotent."""
        ...


def progress_for(*, as_json: bool, quiet: bool) -> Progress:
    """Return what fits the standard streams, and the user's wish."""
    if as_json:
        return JsonLines()
    if sys.stderr.isatty() and not quiet:
        return Terminal()
    return PlainLines(quiet=quiet)


class JsonLines:
    """One JSON object a line on stdout: `penstock.agents.LoopEvent` in its JSON form.

    The last line is ``final``, or ``error`` with the exit code.
    """

    def show(self, event: LoopEvent) -> None:
        """Print it."""
        if isinstance(event, FinalEvent):
            self._print({"type": "final", "step": event.step, **_figures(event.result)})
            return
        shown = msgspec.to_builtins(event)
        if isinstance(event, StepEvent):
            shown["usage"] = _tokens(event.usage)
        self._print(shown)

    def pause(self) -> None:
        """Nothing moves."""

    def resume(self) -> None:
        """Nothing was in the way."""

    def failed(self, kind: str, message: str, code: int) -> None:
        """Print it."""
        self._print({"type": "error", "kind": kind, "message": message, "exit_code": code})

    def close(self) -> None:
        """Nothing moves."""

    def _print(self, shown: dict[str, Any]) -> None:  # Any: JSON
        sys.stdout.write(dumped(shown) + "\n")
        sys.stdout.flush()


class PlainLines:
    """The answer on stdout, a line for each tool on stderr.

    Args:
        quiet: Whether there is nothing but the answer.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._calls: dict[str, ToolCall] = {}
        self._at_start = True

    def show(self, event: LoopEvent) -> None:
        """Print it."""
        match event:
            case TextEvent(text=text):
                self._say(text)
            case ToolCallEvent(call=call):
                self._calls[call.id] = call
            case ToolResultEvent():
                self._clear()
                self._done(event, self._calls.pop(event.call_id, None))
            case FinalEvent(result=result):
                self._clear()
                self._note(_summary(result))
            case ToolProgressEvent() | ReasoningEvent() | StepEvent():
                pass
            case _:
                assert_never(event)

    def pause(self) -> None:
        """End a line of text that has begun."""
        self._clear()

    def resume(self) -> None:
        """Nothing was in the way."""

    def failed(self, kind: str, message: str, code: int) -> None:
        """End a line of text that has begun."""
        self._clear()

    def close(self) -> None:
        """End a line of text that has begun."""
        self._clear()

    def _clear(self) -> None:
        """See that a line can begin."""
        if not self._at_start:
            self._say("\n")

    def _say(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._at_start = text.endswith("\n")

    def _done(self, event: ToolResultEvent, call: ToolCall | None) -> None:
        how = "failed" if event.is_error else "ok"
        name = event.name if call is None else called(call.name, call.arguments)
        self._note(f"{how} {name} -> {_result(event)} ({event.elapsed:.1f} s)")

    def _note(self, line: str) -> None:
        if not self._quiet:
            sys.stderr.write(f"penstock: {line}\n")


class Terminal(PlainLines):
    """The answer on stdout; on stderr the tools that run, each with its clock, and what they gave.

    What moves is gone before anything else is written, so that nothing is written over.
    """

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__(quiet=False)
        self._console = Console(stderr=True, highlight=False)
        self._begun: dict[str, float] = {}
        self._said: dict[str, str] = {}
        self._live: Live | None = None
        self._asking = False

    def show(self, event: LoopEvent) -> None:
        """Print it, or let it move."""
        if isinstance(event, ToolProgressEvent):
            self._said[event.call_id] = _how_far(event)
        elif isinstance(event, ToolCallEvent):
            self._begun[event.call.id] = monotonic()
        super().show(event)
        if self._calls and not isinstance(event, TextEvent):
            self._move()

    def pause(self) -> None:
        """Take away what moves, until `resume`."""
        self._asking = True
        self._clear()

    def resume(self) -> None:
        """Let it move again."""
        self._asking = False
        if self._calls:
            self._move()

    def _clear(self) -> None:
        self._still()
        super()._clear()

    def _say(self, text: str) -> None:
        self._still()
        super()._say(text)

    def _still(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _move(self) -> None:
        from rich.live import Live

        if self._live is None and not self._asking:
            super()._clear()
            self._live = Live(
                self,
                console=self._console,
                transient=True,
                refresh_per_second=8,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def __rich__(self) -> Text:
        """Return the tools that run, a line each; asked for at each refresh."""
        from rich.text import Text

        now, lines = monotonic(), []
        for id, call in list(self._calls.items()):
            line = f"{called(call.name, call.arguments)} {self._said.get(id, '')}".rstrip()
            lines.append(Text(f"... {line} {now - self._begun.get(id, now):.0f} s", "dim"))
        return Text("\n").join(lines)

    def _done(self, event: ToolResultEvent, call: ToolCall | None) -> None:
        from rich.text import Text

        name = event.name if call is None else called(call.name, call.arguments)
        how = ("failed ", "red") if event.is_error else ("ok ", "green")
        rest = (f" -> {_result(event)} ({event.elapsed:.1f} s)", "dim")
        self._said.pop(event.call_id, None)
        self._begun.pop(event.call_id, None)
        self._console.print(Text.assemble(how, name, rest), soft_wrap=True)


def called(name: str, arguments: object) -> str:
    """Return a call as it is shown: on one line, its arguments in brief."""
    said = arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
    return f"{_line(name)}({_line('' if said == '{}' else said)})"


def _result(event: ToolResultEvent) -> str:
    content = event.content
    if isinstance(content, str):
        return _line(content)
    texts = [p.get("text") or f"[{p.get('type')}]" if isinstance(p, dict) else p for p in content]
    return _line(" ".join(map(str, texts)))


def _line(text: str) -> str:
    """Return `text` in brief on one line, without what a terminal takes for a command."""
    brief = text if len(text) <= _SHORT else f"{text[:_SHORT]}..."
    return "".join(c if c.isprintable() else " " for c in brief).strip()


def _how_far(event: ToolProgressEvent) -> str:
    of = "" if event.total is None else f"/{event.total:g}"
    return _line(f"{event.progress:g}{of} {event.message or ''}")


def _tokens(usage: Usage | None) -> dict[str, Any] | None:  # Any: as OpenAI counts
    return None if usage is None else usage.to_dict()


def _figures(result: LoopResult) -> dict[str, Any]:  # Any: JSON
    """Return what a run amounts to, without the last answer's every detail."""
    return {
        "text": result.text,
        "steps": result.steps or None,
        "calls": result.calls,
        "usage": _tokens(result.usage),
        "cost": result.cost,
        "elapsed": result.elapsed,
    }


def _summary(result: LoopResult) -> str:
    """Return one line on what a run took."""
    parts = [_count(result.steps, "step")] if result.steps else []
    parts.append(_count(result.calls, "call"))
    if result.usage is not None:
        usage = result.usage
        parts.append(f"{usage.input_tokens} tokens in, {usage.output_tokens} out")
    if result.cost is not None:
        parts.append(f"${result.cost:.6f}")
    return "; ".join([*parts, f"{result.elapsed:.1f} s"])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
