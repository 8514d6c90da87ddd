"""Which model to ask when the user names none."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from penstock.cli.settings import configured, default_model
from penstock.errors import PenstockError
from penstock.limits import Timeouts

__all__ = ["LOCAL", "Picked", "announce", "local_models", "pick"]

LOCAL = ("ollama", "llamacpp", "vllm")
"""Providers that listen on this machine, in the order they are asked."""

_OPENAI = "openai/gpt-5.4-mini"
_ECHO = "sim/echo?rate=30"
# A local server answers in milliseconds, or is not there.
_PATIENCE = Timeouts(connect=0.3, response=0.7, ttft=None, total=1.0)


@dataclass(frozen=True, slots=True)
class Picked:
    """A model, and why it was taken."""

    model: str
    why: str


async def pick(named: str | None, *, simulated: str = _ECHO) -> Picked:
    """Return the model to ask: the one that was named, or what is at hand.

    Args:
        named: What the user named.
        simulated: The simulator's model, where nothing else is at hand.
    """
    if named:
        return Picked(named, "")
    default = default_model()
    if default is not None:
        return Picked(default[0], f"default_model of {default[1]}")
    if os.environ.get("OPENAI_API_KEY"):
        return Picked(_OPENAI, "OPENAI_API_KEY is set")
    for provider in LOCAL:
        served = await local_models(provider)
        if served:
            return Picked(f"{provider}/{served[0]}", f"a local {provider} answers")
    does = "echoes" if simulated == _ECHO else "answers"
    return Picked(simulated, f"no key and no local server: the built-in simulator {does}")


async def local_models(provider: str) -> list[str]:
    """Return what the local `provider` serves; nothing where it is not running."""
    try:
        async with configured(timeouts=_PATIENCE) as client:
            return await client.list_models(provider)
    except PenstockError:
        return []


def announce(picked: Picked) -> None:
    """Say on stderr what will be asked, before anything is sent."""
    if picked.why:
        sys.stderr.write(f"penstock: {picked.model} ({picked.why})\n")
