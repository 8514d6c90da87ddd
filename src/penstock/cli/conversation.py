"""``penstock conversation``: look at, move and sum up conversations."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penstock.cli.pick import announce, pick
from penstock.cli.settings import configured
from penstock.conversations import Conversation
from penstock.errors import UsageError

__all__ = ["compact", "export", "load", "show"]

# A message of the OpenAI shape.
Message = dict[str, Any]

_ASK = (
    "Sum up the conversation below for somebody who goes on with it: facts, decisions, names, open"
    " questions and wishes. Keep what an earlier summary says. Answer with the summary only."
)


def _open(file: str, name: str) -> Conversation:
    if not Path(file).exists():
        raise UsageError(f"there is no {file}", param="file")
    return Conversation.open(file, name=name)


async def show(file: str, name: str, last: int | None, as_json: bool) -> int:
    """Print the messages, or the last of them; return the exit code."""
    async with _open(file, name) as kept:
        view = kept if last is None else await kept.last(last)
        async for message in view:
            sys.stdout.write(json.dumps(message, default=repr) if as_json else _said(message))
            sys.stdout.write("\n")
        if not as_json:
            length, size, tokens = await kept.length(), await kept.size(), await kept.tokens()
            sys.stderr.write(
                f"penstock: {length} messages, {size:,} bytes, about {tokens:,} tokens\n"
            )
    return 0


async def export(file: str, name: str, to: str) -> int:
    """Write the messages to a new JSONL file; return the exit code."""
    async with _open(file, name) as kept:
        try:
            count = await kept.export(to)
        except FileExistsError:
            raise UsageError(f"there is a file {to} already", param="to") from None
    sys.stderr.write(f"penstock: {count} messages in {to}\n")
    return 0


async def load(source: str, file: str, name: str) -> int:
    """Append the messages of a JSONL file; return the exit code."""
    async with Conversation.open(file, name=name) as kept:
        try:
            count = await kept.load(source)
        except FileNotFoundError:
            raise UsageError(f"there is no {source}", param="source") from None
        length = await kept.length()
    sys.stderr.write(f"penstock: {count} messages added, {length} in {file}\n")
    return 0


async def compact(file: str, name: str, model: str | None, keep: int) -> int:
    """Sum up the earlier messages with a model; return the exit code."""
    picked = await pick(model)
    announce(picked)
    async with configured(default_model=picked.model) as client, _open(file, name) as kept:

        async def summarise(so_far: str, messages: Sequence[Message]) -> str:
            asked = [{"role": "system", "content": _ASK}]
            if so_far:
                asked.append({"role": "user", "content": f"The summary so far:\n{so_far}"})
            asked.append({"role": "user", "content": "\n".join(map(_said, messages))})
            reply = await client.chat(None, asked)
            sys.stderr.write(f"penstock: summed up {len(messages)} messages\n")
            return reply.text

        view = await kept.compact(summarise, keep=keep)
        length = await kept.length()
    sys.stderr.write(f"penstock: {len(view)} messages are sent for {length}\n")
    return 0


def _said(message: Message) -> str:
    """Return a message as a person reads it."""
    content = message.get("content")
    if isinstance(content, list):
        content = " ".join(
            part.get("text") or f"[{part.get('type')}]" if isinstance(part, dict) else str(part)
            for part in content
        )
    lines = [f"{message['role']}: {content or ''}".rstrip()]
    for call in message.get("tool_calls") or ():
        function = call.get("function") or call.get("custom") or {}
        said = function.get("arguments") or function.get("input") or ""
        lines.append(f"  calls {function.get('name')}({said})")
    return "\n".join(lines)
