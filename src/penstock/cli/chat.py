"""``penstock chat``: one question, or a conversation."""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.cli.console import ask, dumped, spoken
from penstock.cli.exits import interrupted
from penstock.cli.measure import Meter
from penstock.cli.pick import announce, pick
from penstock.cli.settings import configured
from penstock.conversations import Conversation
from penstock.errors import PenstockError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.client import Client
    from penstock.conversations.windows import Window
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
    conversation: str | None = None
    name: str = ""


async def converse(options: Options) -> int:
    """Answer the prompt, or hold a conversation on a terminal; return the exit code."""
    if options.name and not options.conversation:
        raise UsageError("--name is of a conversation in an SQLite file: give --conversation")
    interactive = options.prompt is None and sys.stdin.isatty() and not options.dry_run
    prompt = None if interactive else spoken(options.prompt, quiet=options.quiet)
    picked = await pick(options.model)
    if not options.quiet:
        announce(picked)
    async with (
        configured(default_model=picked.model) as client,
        Conversation.open(options.conversation, name=options.name) as kept,
    ):
        await _begin(kept, options)
        if prompt is None:
            return await _interactive(client, kept, options)
        if options.dry_run:
            opening = [_system(options.system)] if options.system else []
            return await _dry_run(client, kept, [*opening, _user(prompt)])
        async with _turn(kept, prompt, options.system):
            if options.as_json:
                kept.sync.append(await _as_json(client, kept))
            else:
                kept.sync.append(await _answer(client, kept, quiet=options.quiet))
    return 0


async def _begin(kept: Conversation, options: Options) -> None:
    """Say how large a conversation is that goes on; the system's words begin a new one only."""
    length, size = await kept.length(), await kept.size()
    if length and options.system:
        raise UsageError(
            f"{options.conversation} has {length} messages already: --system begins a conversation",
            param="system",
        )
    if options.conversation and not options.quiet:
        sys.stderr.write(f"penstock: {options.conversation}: {length} messages, {size:,} bytes\n")


def _system(words: str) -> Message:
    return {"role": "system", "content": words}


def _user(prompt: str) -> Message:
    return {"role": "user", "content": prompt}


@asynccontextmanager
async def _turn(kept: Conversation, prompt: str, system: str | None = None) -> AsyncIterator[None]:
    """Keep what the user says, and take it back where no answer comes.

    So are the system's words: with them kept, the same command would be refused the next time.
    Nothing of a turn is kept or taken back by an await, the answer neither: Ctrl-C would cancel
    that, and whether its thread keeps the message all the same could not be known.
    """
    numbers: list[int] = []
    try:
        if system:
            numbers.append(kept.sync.append(_system(system)))
        numbers.append(kept.sync.append(_user(prompt)))
        yield
    except BaseException:
        for number in reversed(numbers):  # another process may have appended since
            kept.sync.delete(number)
        raise


async def _dry_run(client: Client, kept: Conversation, turn: list[Message]) -> int:
    """Show the request that the next turn would be; the conversation stays as it is."""

    async def messages() -> AsyncIterator[Message]:
        async for message in await kept.summarised():
            yield message
        for message in turn:
            yield message

    _show(await client.preview(None, messages))
    return 0


async def _sent(kept: Conversation) -> Conversation | Window:
    """Return what is sent of a conversation: all of it, where nothing is summed up.

    What is sent whole is compared with what was appended.
    """
    view = await kept.summarised()
    return view if view.summaries else kept


async def _answer(client: Client, kept: Conversation, *, quiet: bool) -> Message:
    """Stream one answer to stdout; return it as a message."""
    meter = Meter()
    async with client.stream(None, await _sent(kept)) as stream:
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


async def _as_json(client: Client, kept: Conversation) -> Message:
    """Print one answer as JSON; return it as a message."""
    reply = await client.chat(None, await _sent(kept))
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
    sys.stdout.write(dumped(answer) + "\n")
    return reply.message


def _show(preview: Preview) -> None:
    sys.stdout.write(f"{preview.method} {preview.url}\n")
    for name, value in preview.headers.items():
        sys.stdout.write(f"{name}: {value}\n")
    sys.stdout.write(f"\n{preview.size} bytes of body\n")
    if preview.body is not None:
        sys.stdout.write(dumped(json.loads(preview.body), indent=2) + "\n")
    for path in preview.dropped:
        sys.stderr.write(f"penstock: {path} cannot be said there\n")


async def _interactive(client: Client, kept: Conversation, options: Options) -> int:
    """Hold a conversation until the end of input or Ctrl-C; a failed turn is taken back."""
    import contextlib

    with contextlib.suppress(ImportError):  # not on Windows; input() works without
        import readline  # noqa: F401  # gives input() its line editing and history
    if not options.quiet:
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
        try:
            async with _turn(kept, line, None if await kept.length() else options.system):
                kept.sync.append(await _answer(client, kept, quiet=options.quiet))
        except PenstockError as error:
            sys.stderr.write(f"penstock: {error.kind}: {error.message}\n")
