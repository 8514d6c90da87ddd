"""``penstock chat``: one question, or a conversation."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.cli.console import ask, pending
from penstock.cli.exits import interrupted
from penstock.cli.measure import Meter
from penstock.cli.pick import announce, pick
from penstock.client import Client
from penstock.errors import PenstockError, UsageError

if TYPE_CHECKING:
    from penstock.preview import Preview
    from penstock.stream import ChatStream

__all__ = ["Options", "converse"]

# A message of the OpenAI shape.
Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for."""

    prompt: str | None
    model: str | None
    system: str | None
    as_json: bool
    dry_run: bool
    quiet: bool


async def converse(options: Options) -> int:
    """Answer the prompt, or hold a conversation on a terminal; return the exit code."""
    messages: list[Message] = []
    if options.system:
        messages.append({"role": "system", "content": options.system})
    interactive = options.prompt is None and sys.stdin.isatty() and not options.dry_run
    prompt = None if interactive else _prompt(options.prompt, quiet=options.quiet)
    picked = await pick(options.model)
    if not options.quiet:
        announce(picked)
    async with Client(default_model=picked.model) as client:
        if prompt is None:
            return await _interactive(client, messages, quiet=options.quiet)
        messages.append({"role": "user", "content": prompt})
        if options.dry_run:
            _show(await client.preview(None, messages))
        elif options.as_json:
            await _as_json(client, messages)
        else:
            await _answer(client, messages, quiet=options.quiet)
    return 0


def _prompt(given: str | None, *, quiet: bool) -> str:
    """Return the prompt: the argument, standard input, or both, the argument first."""
    piped = ""
    if given in (None, "-") or pending():
        piped = sys.stdin.read().strip()
    elif not (quiet or sys.stdin.isatty()):
        sys.stderr.write("penstock: standard input is open but silent, and is not read\n")
    spoken = "" if given in (None, "-") else given
    prompt = "\n\n".join(part for part in (spoken, piped) if part)
    if not prompt:
        raise UsageError("nothing to say: give a prompt, or pipe one in")
    return prompt


async def _answer(client: Client, messages: list[Message], *, quiet: bool) -> Message:
    """Stream one answer to stdout; return it as a message."""
    meter = Meter()
    async with client.stream(None, messages) as stream:
        try:
            await _print(stream, meter)
        finally:
            sys.stdout.write("\n")
            sys.stdout.flush()
        reply = stream.response
    if reply.refusal:
        sys.stderr.write(f"penstock: the model declines: {reply.refusal}\n")
    for call in reply.tool_calls:
        sys.stderr.write(f"penstock: the model calls {call.name}({call.arguments})\n")
    if reply.finish_reason == "length":
        sys.stderr.write("penstock: the answer was cut at its token limit\n")
    if not quiet:
        sys.stderr.write(f"penstock: {meter.report(reply)}\n")
    return reply.message


async def _print(stream: ChatStream, meter: Meter) -> None:
    async for chunk in stream:
        if chunk.text:
            sys.stdout.write(chunk.text)
            sys.stdout.flush()
        meter.tick()


async def _as_json(client: Client, messages: list[Message]) -> None:
    reply = await client.chat(None, messages)
    answer = reply.to_openai()
    answer["penstock"] = {
        "provider": reply.provider,
        "deployment": reply.deployment,
        "request_id": reply.request_id,
        "ttft": reply.timings.ttft,
        "total": reply.timings.total,
        "attempts": len(reply.attempts),
        "cost": reply.cost,
    }
    sys.stdout.write(_dumped(answer) + "\n")


def _dumped(value: object, indent: int | None = None) -> str:
    """Return JSON in the characters that stdout has: escapes lose nothing, question marks do."""
    escaped = sys.stdout.encoding.lower() != "utf-8"
    return json.dumps(value, ensure_ascii=escaped, indent=indent)


def _show(preview: Preview) -> None:
    sys.stdout.write(f"{preview.method} {preview.url}\n")
    for name, value in preview.headers.items():
        sys.stdout.write(f"{name}: {value}\n")
    sys.stdout.write(f"\n{preview.size} bytes of body\n")
    if preview.body is not None:
        sys.stdout.write(_dumped(json.loads(preview.body), indent=2) + "\n")
    for path in preview.dropped:
        sys.stderr.write(f"penstock: {path} cannot be said there\n")


async def _interactive(client: Client, messages: list[Message], *, quiet: bool) -> int:
    """Hold a conversation until the end of input or Ctrl-C; a failed turn is taken back."""
    import contextlib

    with contextlib.suppress(ImportError):  # not on Windows; input() works without
        import readline  # noqa: F401  # gives input() its line editing and history
    if not quiet:
        sys.stderr.write("penstock: an empty line or Ctrl-D ends it\n")
    while True:
        try:
            line = await ask("> ")
        except EOFError:
            sys.stderr.write("\n")
            return 0
        except KeyboardInterrupt:
            return interrupted()
        if not line.strip():
            return 0
        messages.append({"role": "user", "content": line})
        try:
            messages.append(await _answer(client, messages, quiet=quiet))
        except PenstockError as error:
            messages.pop()
            sys.stderr.write(f"penstock: {error.kind}: {error.message}\n")
