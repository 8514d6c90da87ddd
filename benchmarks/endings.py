"""What does a client say when an answer goes wrong? The same faults, asked of each peer.

The simulator plays one fault at a time, chosen by the model's name; each client streams the answer
as its documentation shows. A line says what its caller got: the error's class, ``normal end`` where
nothing told the caller that the answer was not whole, or ``still waiting`` after three seconds,
where the client had been told to wait one second for a first token.

Not shown: what a caller could find out by looking at finish reasons.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.fresh import fresh, setting, simulator
from benchmarks.rounds import Peer, Report, options, paired, present

__all__ = ["main"]

PROMPT = [{"role": "user", "content": "hi"}]
PATIENCE = 1.0
"""Seconds that each client is told to wait for a first token."""

FAULTS = {
    "cut off, no finish": "text?tokens=8&fault=no-finish",
    "connection reset": "text?tokens=8&fault=reset@3",
    "error inside a 200": "text?tokens=8&fault=error-overloaded@3",
    "error as an event": "text?tokens=8&fault=error-event@3",
    "only keep-alives": "text?tokens=8&fault=pings&interval=0.2",
    "silence": "text?tokens=8&fault=silent",
}


async def _said(call: Callable[[], Awaitable[Any]]) -> str:
    try:
        await asyncio.wait_for(asyncio.ensure_future(call()), 3 * PATIENCE)
    except TimeoutError as error:  # ours, or the client's own of a kind that is one
        return "still waiting" if type(error) is TimeoutError else type(error).__name__
    except Exception as error:  # whatever a peer raises is what is asked for
        return type(error).__name__
    return "normal end"


async def penstock(url: str, model: str) -> str:
    """Ask ``Client.stream``."""
    import penstock as ps

    deployments = {"d": ps.Deployment(f"{url}/v1", model=model)}
    timeouts = ps.Timeouts(ttft=PATIENCE)
    async with ps.Client(deployments=deployments, timeouts=timeouts, max_retries=0) as client:

        async def call() -> None:
            async with client.stream("d", PROMPT) as stream:
                async for _ in stream:
                    pass

        return await _said(call)


async def openai_sdk(url: str, model: str) -> str:
    """Ask ``openai.AsyncOpenAI``."""
    import openai

    async with openai.AsyncOpenAI(
        base_url=f"{url}/v1", api_key="none", timeout=PATIENCE, max_retries=0
    ) as client:

        async def call() -> None:
            async for _ in await client.chat.completions.create(
                model=model, messages=PROMPT, stream=True
            ):
                pass

        return await _said(call)


async def litellm(url: str, model: str) -> str:
    """Ask ``litellm.acompletion``."""
    import litellm as peer

    async def call() -> None:
        async for _ in await peer.acompletion(
            model=f"openai/{model}",
            api_base=f"{url}/v1",
            api_key="none",
            messages=PROMPT,
            stream=True,
            timeout=PATIENCE,
            max_retries=0,
        ):
            pass

    return await _said(call)


async def exoclaw(url: str, model: str) -> str:
    """Ask ``exoclaw_provider_openai``."""
    from exoclaw_provider_openai import Deployment, OpenAIStreamingProvider

    provider = OpenAIStreamingProvider(
        default_model=model,
        deployments={model: Deployment(base_url=f"{url}/v1", api_key="none")},
        fallbacks={},
        stream_ttft_timeout=PATIENCE,
    )
    return await _said(lambda: provider.chat(PROMPT))


PEERS = {
    "penstock": "penstock",
    "openai": "openai",
    "litellm": "litellm",
    "exoclaw": "exoclaw",
}
_FUNCTIONS = {"openai": "openai_sdk"}


def main() -> None:
    """Ask every peer, and print what its caller got."""
    chosen = options(__doc__, rounds=1)
    faults = list(FAULTS.items())
    faults = faults[:2] if chosen.smoke else faults
    report = Report("endings", __doc__ or "")
    peers = present(PEERS, chosen, report)
    print(f"What the caller got. {setting()}")
    print(f"{'':22}" + "".join(f"{peer.name:28}" for peer in peers))
    with simulator() as url:
        for what, model in faults:

            def ask(peer: Peer, model: str = model) -> str:
                function = _FUNCTIONS.get(peer.name, peer.name)
                more = {"python": peer.python, "url": url, "model": model}
                said: str = fresh("benchmarks.endings", function, **more)
                return said

            found = paired(peers, chosen.rounds, ask, report)
            report.said[what] = {name: ", ".join(sorted(set(all_))) for name, all_ in found.items()}
            print(f"{what:22}" + "".join(f"{each:28}" for each in report.said[what].values()))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
