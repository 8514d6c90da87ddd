"""OpenAI's two ways in, by the fourth seed's variable.

``OPENAI_CHATGPT_LOGIN_MODE=true`` asks the Codex CLI, which answers by the subscription that
``codex login`` signed in to; else, or where that is not to be had and there is a key, it is the
API with ``OPENAI_API_KEY``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from penstock.errors import AuthenticationError, ConfigurationError

if TYPE_CHECKING:
    from penstock.agents.cli import Agent
    from penstock.errors import PenstockError

__all__ = ["LOGIN_MODE", "Subscription"]

LOGIN_MODE = "OPENAI_CHATGPT_LOGIN_MODE"
"""The variable that asks for the subscription."""
_HOME = (".config", "openai", "codex-home")
"""Where the fourth seed's users have signed Codex in."""


class Subscription:
    """The Codex CLI in a read-only sandbox and an empty folder: a model, as far as it can be one.

    Args:
        source: The environment; default the process's.
    """

    def __init__(self, source: Mapping[str, str] | None = None) -> None:
        self._source = os.environ if source is None else source
        self._folder: TemporaryDirectory[str] | None = None
        self._agent: Agent | None = None

    @property
    def wanted(self) -> bool:
        """Whether the environment asks for it."""
        return self._source.get(LOGIN_MODE, "").strip().lower() in ("1", "true", "yes", "on")

    def agent(self) -> Agent:
        """Return the agent, which is made once."""
        if self._agent is None:
            from penstock.agents.cli import codex

            self._folder = TemporaryDirectory(prefix="penstock-codex-")
            self._agent = codex(
                directory=self._folder.name,
                ephemeral=True,
                # A key of Codex' own would come before the subscription; an empty one is none.
                environment={"CODEX_API_KEY": "", **self._home()},
            )
        return self._agent

    def excuses(self, error: PenstockError) -> bool:
        """Return whether the key may be used after `error`: nobody is signed in, and there is one.

        A limit that is reached is none: to go on at a price is not what was asked for.
        """
        absent = isinstance(error, ConfigurationError) and error.code == "not_found"
        nobody = isinstance(error, AuthenticationError)
        return (absent or nobody) and bool(self._source.get("OPENAI_API_KEY"))

    async def aclose(self) -> None:
        """End its children."""
        if self._agent is not None:
            await self._agent.aclose()
        if self._folder is not None:
            self._folder.cleanup()

    def _home(self) -> Mapping[str, str]:
        """The folder of the sign-in, where the environment names none."""
        usual = Path(self._source.get("HOME") or Path.home()).joinpath(*_HOME)
        if "CODEX_HOME" not in self._source and (usual / "auth.json").is_file():
            return {"CODEX_HOME": str(usual)}
        return {}
