"""What does sending a conversation cost in memory? One call over real HTTP, above the messages.

Each case is a fresh process. The server is the simulator in another one; it reads the body and
answers with a few tokens. The buffer is 16 KiB. ``traced`` is tracemalloc's peak over what the
caller already held; ``resident`` is the growth of the process, its peak sampled by a thread, and
says what tracemalloc hides (C allocations, fragments) and adds the interpreter's own noise.

`transport` is the same body sent by httpx alone from an iterator of ready 16 KiB pieces: the
transport's own share, which no client over httpx can avoid.

Not shown: kernel socket buffers, which are the same for all.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from benchmarks.fresh import fresh, installed, rss, setting, simulator

__all__ = ["main"]

KIB, MIB = 1024, 1024 * 1024
MODEL = "text?tokens=3"


def conversation(shape: str, size: int) -> list[dict[str, Any]]:
    """Return about `size` bytes: messages of ``100`` or ``2048`` each, a ``string``, ``image``."""
    if shape == "string":
        return [{"role": "user", "content": "x" * size}]
    if shape == "image":
        url = {"url": "data:image/png;base64," + "QUJD" * (size // 4)}
        return [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]
    each = int(shape)
    # Different objects, as a real conversation has them.
    return [
        {"role": "user", "content": f"{at:08d}" + "word " * ((each - 45) // 5)}
        for at in range(size // each)
    ]


class _Peak(threading.Thread):
    """Samples the resident size until told to stop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = rss()
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.002):
            self.peak = max(self.peak, rss())


async def _measure(
    kind: str, call: Callable[[], Awaitable[object]], warm: Callable[[], Awaitable[object]]
) -> int:
    """Return the bytes that `call` takes above what is there, ``traced`` or ``resident``."""
    await warm()
    gc.collect()
    if kind == "traced":
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        await call()
        return tracemalloc.get_traced_memory()[1] - before
    before = rss()
    peak = _Peak()
    peak.start()
    await call()
    peak.done.set()
    peak.join()
    return max(peak.peak, rss()) - before


async def penstock(
    url: str, shape: str, size: int, kind: str, calls: int = 1, framing: str = "auto"
) -> int:
    """Measure penstock: `calls` at once, the sum."""
    import penstock as ps

    messages = conversation(shape, size)
    deployment = ps.Deployment(f"{url}/v1", model=MODEL, body_framing=framing)
    limits = ps.Limits(body_buffer=16 * KIB)
    async with ps.Client(deployments={"d": deployment}, limits=limits) as client:

        async def call() -> None:
            await asyncio.gather(*(client.chat("d", messages) for _ in range(calls)))

        async def warm() -> None:
            some = messages[:2000] if len(messages) > 1 else conversation(shape, MIB)
            await asyncio.gather(*(client.chat("d", some) for _ in range(calls)))

        return await _measure(kind, call, warm)


async def transport(url: str, shape: str, size: int, kind: str) -> int:
    """Measure httpx alone with ready pieces."""
    import httpx

    del shape
    piece = b"x" * (16 * KIB)

    async def pieces(total: int) -> AsyncIterator[bytes]:
        yield b'{"model":"text?tokens=3","messages":[{"role":"user","content":"'
        for _ in range(total // len(piece)):
            yield piece
        yield b'"}]}'

    async with httpx.AsyncClient(timeout=60) as client:

        async def send(total: int) -> None:
            address = f"{url}/v1/chat/completions"
            async with client.stream("POST", address, content=pieces(total)) as answer:
                async for _ in answer.aiter_raw():
                    pass

        return await _measure(kind, lambda: send(size), lambda: send(MIB))


async def httpx_json(url: str, shape: str, size: int, kind: str) -> int:
    """Measure ``httpx`` with ``json=``."""
    import httpx

    messages = conversation(shape, size)
    async with httpx.AsyncClient(timeout=60) as client:

        async def send(some: list[dict[str, Any]]) -> None:
            request = {"model": MODEL, "messages": some, "stream": True}
            async with client.stream("POST", f"{url}/v1/chat/completions", json=request) as answer:
                async for _ in answer.aiter_raw():
                    pass

        return await _measure(kind, lambda: send(messages), lambda: send(messages[:10]))


async def openai_sdk(url: str, shape: str, size: int, kind: str) -> int:
    """Measure ``openai.AsyncOpenAI``."""
    import openai

    messages = conversation(shape, size)
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:

        async def send(some: Any) -> None:
            async for _ in await client.chat.completions.create(
                model=MODEL, messages=some, stream=True
            ):
                pass

        return await _measure(kind, lambda: send(messages), lambda: send(conversation("100", 1000)))


async def litellm(url: str, shape: str, size: int, kind: str) -> int:
    """Measure ``litellm.acompletion``."""
    import litellm as peer

    messages = conversation(shape, size)

    async def send(some: Any) -> None:
        async for _ in await peer.acompletion(
            model=f"openai/{MODEL}",
            api_base=f"{url}/v1",
            api_key="none",
            messages=some,
            stream=True,
        ):
            pass

    return await _measure(kind, lambda: send(messages), lambda: send(conversation("100", 1000)))


async def exoclaw(url: str, shape: str, size: int, kind: str) -> int:
    """Measure ``exoclaw_provider_openai``."""
    from exoclaw_provider_openai import Deployment, OpenAIStreamingProvider

    messages = conversation(shape, size)
    provider = OpenAIStreamingProvider(
        default_model=MODEL,
        deployments={MODEL: Deployment(base_url=f"{url}/v1", api_key="none")},
        fallbacks={},
    )
    return await _measure(
        kind,
        lambda: provider.chat(messages),
        lambda: provider.chat(conversation("100", 1000)),
    )


async def stall(url: str, shape: str, size: int) -> float:
    """Return the longest time in seconds that penstock keeps the loop while it sends.

    Every callback of the loop is timed from outside (`asyncio.events.Handle._run`), so that what
    waits in the kernel or another process does not count; the CPU clock is used, so that another
    process on the core does not count either.
    """
    import penstock as ps

    messages = conversation(shape, size)
    longest = 0.0
    original = asyncio.events.Handle._run

    def timed(handle: asyncio.events.Handle) -> None:
        nonlocal longest
        before = time.thread_time()
        original(handle)
        longest = max(longest, time.thread_time() - before)

    limits = ps.Limits(body_buffer=16 * KIB)
    deployment = ps.Deployment(f"{url}/v1", model=MODEL)
    async with ps.Client(deployments={"d": deployment}, limits=limits) as client:
        await client.chat("d", messages[:10] if len(messages) > 1 else "hi")
        gc.collect()
        gc.disable()
        asyncio.events.Handle._run = timed  # type: ignore[method-assign]
        await client.chat("d", messages)
    return longest


_PEERS = {
    "httpx_json": "httpx",
    "openai_sdk": "openai",
    "exoclaw": "exoclaw_provider_openai",
    "litellm": "litellm",
}


def main() -> None:
    """Measure every case, and print bytes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="a small, quick run")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    big, image = (4 * MIB, 2 * MIB) if options.smoke else (64 * MIB, 32 * MIB)
    with simulator() as url:
        rows = _ours(url, big, image) | _peers(url, big, image)
    if options.json:
        print(json.dumps(rows))
        return
    print(f"Memory of one call above the caller's messages, buffer 16 KiB. {setting()}")
    for name, value in rows.items():
        text = f"{value:10.2f} ms" if name.endswith("ms") else f"{value / KIB:10.0f} KiB"
        print(f"{name:60} {text}")


def _ours(url: str, big: int, image: int) -> dict[str, float]:
    """Return what penstock takes, and httpx alone, by case."""
    rows: dict[str, float] = {}

    def add(name: str, function: str, **arguments: Any) -> None:
        rows[name] = fresh("benchmarks.call_memory", function, url=url, **arguments)

    def ours(name: str, shape: str, size: int, kind: str, **more: Any) -> None:
        label = f"penstock {size // MIB} MiB {name}, {kind}"
        add(label, "penstock", shape=shape, size=size, kind=kind, **more)

    for shape in ("100", "2048"):
        for size in (MIB, big):
            ours(f"of {shape} B", shape, size, "traced")
    ours("of 2048 B", "2048", big, "resident")
    ours("of 2048 B counted", "2048", big, "traced", framing="length")
    add(
        f"transport alone {big // MIB} MiB, traced",
        "transport",
        shape="100",
        size=big,
        kind="traced",
    )
    for shape in ("string", "image"):
        for kind in ("traced", "resident"):
            ours(shape, shape, image, kind)
    many = "penstock 32 calls of 8 MiB at once, traced, each"
    add(many, "penstock", shape="2048", size=big // 8, kind="traced", calls=32)
    rows[many] /= 32
    for shape, size in (("100", big), ("2048", big), ("string", image)):
        stall = f"penstock longest stall, {size // MIB} MiB {shape}, ms"
        add(stall, "stall", shape=shape, size=size)
        rows[stall] *= 1000
    return rows


def _peers(url: str, big: int, image: int) -> dict[str, float]:
    """Return what the peers that are installed take, by case."""
    return {
        f"{peer} {size // MIB} MiB {shape}, resident": fresh(
            "benchmarks.call_memory", peer, url=url, shape=shape, size=size, kind="resident"
        )
        for peer, module in _PEERS.items()
        if installed(module)
        for shape, size in (("2048", big), ("string", image))
    }


if __name__ == "__main__":
    main()
