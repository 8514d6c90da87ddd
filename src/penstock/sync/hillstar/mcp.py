"""hillstar's models behind MCP servers: a script, or the server that penstock has itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from penstock.agents.mcp import MCPServer, ModelOverMCP
from penstock.agents.streaming import stream_of
from penstock.keys import Secret
from penstock.sync.hillstar.calling import Caller
from penstock.sync.hillstar.model import Model

if TYPE_CHECKING:
    from penstock.calls import CallOptions
    from penstock.interfaces import Stream
    from penstock.messages import Messages
    from penstock.request import ItemT, Request
    from penstock.stream import ChatStream

__all__ = [
    "OWN_SERVER",
    "AnthropicMCPModel",
    "MCPModel",
    "MistralMCPModel",
    "OllamaMCPModel",
    "OpenAIMCPModel",
]

OWN_SERVER = "penstock mcp"
"""The `server_script` that is none: penstock's own server."""

_VARIABLES = {
    "google_ai_studio": "GOOGLE_API_KEY",
    "google": "GOOGLE_API_KEY",
    "gemini": "GEMINI_API_KEY",
}


class MCPModel(Model):
    """A model behind an MCP server: a process that speaks MCP over stdin and stdout.

    The server starts with the first call and has this process's environment. Calls of several
    threads share it, and run at once as far as it can; one that died or hangs is started anew by
    the next call.

    `max_tokens` and `temperature` are said where the server's tool takes them, and reported as
    dropped where it does not; a system prompt stands before the prompt where the tool has no place
    for it. An error that the server tells is in what a call returns, as ``error``. A server that
    does not start, dies, or lets the clock run out raises a ``RuntimeError``, and one that writes
    no JSON a ``json.JSONDecodeError``.

    Args:
        provider: The provider's name, such as ``anthropic_mcp``.
        model_name: The model's name, in the server's words.
        server_script: The server's path: a Python script, or any program; a relative one is seen
            from the current directory. Of its tools ``execute_task`` or ``chat`` is asked, or the
            only one that takes a prompt.
        api_key: The key, which the server sees as the provider's variable (``OPENAI_API_KEY``,
            ...); by default that variable is the environment's.
    """

    def __init__(
        self, provider: str, model_name: str, server_script: str, api_key: str | None = None
    ) -> None:
        self.provider = provider
        """The provider's name."""
        self.model_name = model_name
        self.server_script = server_script
        """The server's path."""
        base = provider.removesuffix("_mcp")
        own = server_script == OWN_SERVER and not model_name.startswith(f"{base}/")
        self._caller = Caller(
            type(self),
            _Server(provider, server_script, api_key),
            asked=f"{base}/{model_name}" if own else model_name,
            model=model_name,
            provider=provider,
            server=provider,
        )


class _Own(MCPModel):
    """A model of `_provider` behind penstock's own server."""

    _provider: ClassVar[str]

    def __init__(self, model_name: str, api_key: str | None = None) -> None:
        super().__init__(self._provider, model_name, OWN_SERVER, api_key)


class AnthropicMCPModel(_Own):
    """Claude behind penstock's own MCP server.

    Args:
        model_name: Anthropic's name of the model.
        api_key: The key; by default ``ANTHROPIC_API_KEY`` has it.
    """

    _provider = "anthropic_mcp"


class OpenAIMCPModel(_Own):
    """GPT behind penstock's own MCP server, which knows OpenAI's two ways in.

    With ``OPENAI_CHATGPT_LOGIN_MODE=true`` it is the subscription that the Codex CLI is signed in
    to; else, or where nobody is signed in, the key.

    Args:
        model_name: OpenAI's name of the model.
        api_key: The key; by default ``OPENAI_API_KEY`` has it.
    """

    _provider = "openai_mcp"


class MistralMCPModel(_Own):
    """Mistral's models behind penstock's own MCP server.

    Args:
        model_name: Mistral's name of the model.
        api_key: The key; by default ``MISTRAL_API_KEY`` has it.
    """

    _provider = "mistral_mcp"


class OllamaMCPModel(_Own):
    """Models of an Ollama on this machine, behind penstock's own MCP server.

    Args:
        model_name: Ollama's name of the model.
        api_key: A key, where Ollama wants one.
    """

    _provider = "ollama_mcp"


class _Server:
    """The model's provider, made with the first call, which has the environment of then."""

    def __init__(self, name: str, script: str, key: str | None) -> None:
        base = name.removesuffix("_mcp")
        self._name = name
        self._script = script
        self._variable = _VARIABLES.get(base, f"{base.upper()}_API_KEY")
        self._key = Secret(key) if key else None
        self._model: ModelOverMCP | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_model": None}

    def stream(
        self,
        model: str | None = None,
        messages: Messages | None = None,
        /,
        **options: Unpack[CallOptions],
    ) -> ChatStream:
        """Return the answer, to be opened."""
        return stream_of(self, model or "", messages or (), **options)

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Ask the server."""
        model = self._model or await self._made()
        return await model.open(request)

    async def _made(self) -> ModelOverMCP:
        key = None if self._key is None else await self._key.reveal(self._name)
        if self._model is None:  # another call may have been quicker
            given = {} if key is None else {self._variable: key}
            server = MCPServer(
                command=_command(self._script),
                name=self._name,
                env={**os.environ, **given},
                mode="legacy",  # what hillstar's servers speak, and all others as well
            )
            self._model = ModelOverMCP(server)
        return self._model

    async def aclose(self) -> None:
        """End the server."""
        if self._model is not None:
            await self._model.aclose()


def _command(script: str) -> list[str]:
    if script == OWN_SERVER:
        return [sys.executable, "-m", "penstock.agents.serving"]
    path = str(Path(script).absolute())
    return [sys.executable, path] if path.endswith(".py") else [path]
