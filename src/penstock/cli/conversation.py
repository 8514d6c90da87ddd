"""``penstock conversation``: look at, move and sum up conversations."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync

from penstock.cli.pick import announce, pick
from penstock.cli.settings import configured
from penstock.conversations import Conversation, SyncConversation
from penstock.conversations.exports import imported
from penstock.errors import ConversationError, UsageError

if TYPE_CHECKING:
    from penstock.conversations.windows import Window

__all__ = ["compact", "export", "load", "show"]

# A message of the OpenAI shape.
Message = dict[str, Any]

_MOST_NAMES = 20
"""Conversations of a file that an error lists."""
_ASK = (
    "Sum up the conversation below for somebody who goes on with it: facts, decisions, names, open"
    " questions and wishes. Keep what an earlier summary says. Answer with the summary only."
)


def _open(file: str, name: str) -> Conversation:
    """Open a conversation that is there."""
    if not Path(file).exists():
        raise UsageError(f"there is no {file}", param="file")
    names = SyncConversation.names(file)
    if name in names:
        return Conversation.open(file, name=name)
    if not names:
        raise UsageError(f"{file} has no conversation yet", param="file")
    there = ", ".join(map(repr, names[:_MOST_NAMES]))
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    what = f"has no conversation {name!r}" if name else "has conversations with names: give --name"
    raise UsageError(f"{file} {what}; there are {there}{more}", param="name")


def _check_source(source: str, *, lines: bool) -> None:
    if not Path(source).is_file():
        raise UsageError(f"there is no file {source}", param="source")
    for _ in imported(Path(source)) if lines else ():
        pass


async def show(file: str, name: str, last: int | None, as_json: bool) -> int:
    """Print the messages, or the last of them; return the exit code."""
    async with _open(file, name) as kept:
        view = kept if last is None else await kept.last(last)
        async for message in view:
            sys.stdout.write(json.dumps(message, default=_described) if as_json else _said(message))
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
    fresh = name not in SyncConversation.names(file)  # what cannot be loaded makes none
    await run_sync(partial(_check_source, source, lines=fresh))
    async with Conversation.open(file, name=name) as kept:
        count = await kept.load(source)
        length = await kept.length()
    sys.stderr.write(f"penstock: {count} messages added, {length} in {file}\n")
    return 0


async def compact(file: str, name: str, model: str | None, keep: int) -> int:
    """Sum up the earlier messages with a model; return the exit code."""
    async with _open(file, name) as kept:
        picked = await pick(model)
        announce(picked)
        view = await _compacted(kept, picked.model, keep)
        length = await kept.length()
    sys.stderr.write(f"penstock: {len(view)} messages are sent for {length}\n")
    return 0


async def _compacted(kept: Conversation, model: str, keep: int) -> Window:
    async with configured(default_model=model) as client:

        async def summarise(so_far: str, messages: Sequence[Message]) -> str:
            asked = [{"role": "system", "content": _ASK}]
            if so_far:
                asked.append({"role": "user", "content": f"The summary so far:\n{so_far}"})
            asked.append({"role": "user", "content": "\n".join(map(_said, messages))})
            reply = await client.chat(None, asked)
            if not reply.text.strip():
                raise ConversationError(
                    f"{reply.model} answered without a summary"
                    f" ({reply.refusal or reply.finish_reason}): what was summed up before stays;"
                    " try again, or another --model",
                    code="summary",
                )
            sys.stderr.write(f"penstock: summed up {len(messages)} messages\n")
            return reply.text

        return await kept.compact(summarise, keep=keep)


def _described(part: Any) -> Any:  # Any: an attachment that is kept where it is, and its JSON
    """Return what is kept of a file that a message refers to."""
    return {"type": "attachment", **part.described()} if hasattr(part, "described") else repr(part)


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
