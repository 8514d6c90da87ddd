"""The child that runs Antigravity's SDK: lines down its stdin, the SDK's steps up its stdout.

A child, because the SDK starts its runtime in our own process group, with all of our variables, and
waits for it on the caller's thread. It knows nothing of penstock, and is run as a file.

Down: ``{"config": ...}`` once, then ``{"prompt": ...}``, ``{"cancel": true}``, ``{"decide": id,
"allow": ...}``. Up: the SDK's steps as they are, ``{"session": ...}``, ``{"ask": id, "tool": ...}``
and, at the end of a turn, ``{"done": ..., "usage": ...}`` or ``{"python_exception", "message"}``.

The end of stdin ends the turn of a child that stays. One that does not has only one turn, whose
prompt stdin ends behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["Worker", "main"]

# JSON on both ways, and the SDK's own objects.
Json = Any


class Worker:
    """One conversation of the SDK.

    Args:
        out: Where lines go.
    """

    def __init__(self, out: Any) -> None:  # Any: a binary file
        self._out = out
        self._asked: dict[int, asyncio.Future[bool]] = {}
        self._turn: asyncio.Task[None] | None = None
        self._main: asyncio.Task[Any] | None = None
        self._stays = True

    def say(self, line: Json) -> None:
        """Print a line."""
        self._out.write(json.dumps(line).encode() + b"\n")
        self._out.flush()

    async def run(self, lines: asyncio.StreamReader) -> None:
        """Talk until the lines end."""
        self._main = asyncio.current_task()
        config = json.loads(await lines.readline())["config"]
        self._stays = config["stays"]
        try:
            async with _agent(config, self._ask) as agent:
                self.say({"session": agent.conversation_id})
                while line := await lines.readline():
                    await self._take(json.loads(line), agent.conversation)
                if self._turn is not None and not self._stays:
                    await self._turn
                await self._cancelled(agent.conversation)
        except asyncio.CancelledError:
            pass  # a turn failed
        except Exception as exc:  # the edge: its end is told, not shown
            self._fail(exc)

    async def _take(self, told: Json, conversation: Json) -> None:
        if "prompt" in told:
            self._turn = asyncio.ensure_future(self._answer(told["prompt"], conversation))
        elif "decide" in told:
            asked = self._asked.pop(told["decide"], None)
            if asked is not None and not asked.done():
                asked.set_result(bool(told["allow"]))
        elif "cancel" in told:
            await self._cancelled(conversation)

    async def _cancelled(self, conversation: Json) -> None:
        if self._turn is not None and not self._turn.done():
            await conversation.cancel()

    async def _answer(self, prompt: str, conversation: Json) -> None:
        try:
            await conversation.send(prompt)
            async for step in conversation.receive_steps():
                self._out.write(step.model_dump_json().encode() + b"\n")
                self._out.flush()
        except asyncio.CancelledError as exc:  # the SDK's own, after `cancel`
            self._fail(exc)
        except Exception as exc:
            self._fail(exc)
            # What failed once answers the next turn with nothing (0.1.22): a fresh child resumes.
            if self._main is not None:
                self._main.cancel()
        else:
            usage = conversation.last_turn_usage
            said = None if usage is None else usage.model_dump(mode="json")
            self.say({"done": True, "session": conversation.conversation_id, "usage": said})
        conversation.clear_history()  # it keeps every step else

    def _fail(self, exc: BaseException) -> None:
        self.say({"python_exception": type(exc).__name__, "message": str(exc)})

    async def _ask(self, call: Json) -> bool:
        if not self._stays:  # nobody could answer
            return False
        number = len(self._asked) + 1
        while number in self._asked:
            number += 1
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        more = {"call": call.id, "arguments": call.args, "server": call.server_name}
        self.say({"ask": number, "tool": call.name, **more})
        return await answer


def _agent(config: Json, ask: Json) -> Json:
    from google import antigravity as sdk
    from google.antigravity import models, types
    from google.antigravity.hooks import policy

    async def asked(call: Json) -> bool:  # the SDK copies what it is told: a function as it is
        return bool(await ask(call))

    servers = [_server(types, each) for each in config["servers"]]
    if config["bypass"]:
        policies = [policy.allow_all()]
    else:
        policies = [policy.allow(tool) for tool in config["allowed"]]
        for server, each in zip(servers, config["servers"], strict=True):
            policies += policy.allow(server) if each["allow"] else []
        policies.append(policy.ask_user("*", handler=asked))
    folder = Path(os.environ.get("HOME") or Path.home(), config["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    endpoint = models.GeminiAPIEndpoint(
        base_url=config["endpoint"], http_headers=config["endpoint_headers"] or None
    )
    model = config["model"] or models.DEFAULT_MODEL
    if config["endpoint"]:
        model = models.ModelTarget(name=model, types=[models.ModelType.TEXT], endpoint=endpoint)
    retry = types.ModelAPIRetryConfig(max_retries=0)
    return sdk.Agent(
        sdk.LocalAgentConfig(
            model=model,
            system_instructions=config["system"],
            mcp_servers=servers,
            policies=policies,
            workspaces=config["workspaces"],
            save_dir=str(folder),
            app_data_dir=str(folder),
            conversation_id=config["conversation_id"],
            retry_config=types.RetryConfig(api_retry=retry),
        )
    )


def _server(types: Json, told: Json) -> Json:
    # Eager: else the model sees one tool that finds tools, whatever a server has.
    more = {"name": told["name"], "force_all_tools_eager": True}
    if told.get("url"):
        return types.McpStreamableHttpServer(url=told["url"], headers=told["headers"], **more)
    return types.McpStdioServer(command=told["command"], args=told["args"], env=told["env"], **more)


async def main() -> None:
    """Read stdin, until it ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints, prints no lines of ours
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await Worker(out).run(reader)


if __name__ == "__main__":
    asyncio.run(main())  # noqa: TID251  # a program of its own
