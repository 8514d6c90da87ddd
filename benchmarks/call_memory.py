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

import asyncio
import gc
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from benchmarks.fresh import fresh, rss, setting, simulator
from benchmarks.rounds import Case, Peer, Report, options, paired, present

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
    async with ps.Client(deployments={"d": deployment}, limits=limits, transport="httpx") as client:

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
    async with ps.Client(deployments={"d": deployment}, limits=limits, transport="httpx") as client:
        await client.chat("d", messages[:10] if len(messages) > 1 else "hi")
        gc.collect()
        gc.disable()
        asyncio.events.Handle._run = timed  # type: ignore[method-assign]
        await asyncio.sleep(0)  # what runs now began before there was a clock
        await client.chat("d", messages)
    return longest


PEERS = {
    "penstock": "penstock",
    "httpx json=": "httpx",
    "openai": "openai",
    "exoclaw": "exoclaw",
    "litellm": "litellm",
}
_FUNCTIONS = {"httpx json=": "httpx_json", "openai": "openai_sdk"}


def main() -> None:
    """Measure every case: what penstock holds, by shape and size, and then its peers."""
    chosen = options(__doc__, rounds=1)
    big, image = (4 * MIB, 2 * MIB) if chosen.smoke else (64 * MIB, 32 * MIB)
    report = Report("call_memory", __doc__ or "")
    peers = present(PEERS, chosen, report)
    print(f"Above the caller's messages, buffer 16 KiB. {setting()}")
    with simulator() as url:
        shapes = [("100", big), ("2048", big), ("string", image), ("image", image)]
        for shape, size in shapes[: 1 if chosen.smoke else None]:
            _compare(report, peers, (url, shape, size), chosen.rounds)
        for case in _own(url, big, image, chosen.rounds):
            report.add(case)
    report.finish(chosen.keep)


def _compare(report: Report, peers: list[Peer], what: tuple[str, str, int], rounds: int) -> None:
    url, shape, size = what

    def once(peer: Peer) -> float:
        function = _FUNCTIONS.get(peer.name, peer.name)
        more: dict[str, Any] = {"url": url, "shape": shape, "size": size, "kind": "resident"}
        found: int = fresh("benchmarks.call_memory", function, python=peer.python, **more)
        return found / KIB

    name = f"{size // MIB} MiB, one {shape}"
    if shape.isdigit():
        name = f"{size // MIB} MiB in messages of {shape} B"
    report.add(Case(name, "KiB resident", "penstock", paired(peers, rounds, once, report)))


def _own(url: str, big: int, image: int, rounds: int) -> Iterator[Case]:
    """Yield what tracemalloc says of penstock and of httpx alone, and the loop's longest stall."""

    def traced(function: str, shape: str, size: int, **more: Any) -> list[float]:
        arguments = {"url": url, "shape": shape, "size": size, "kind": "traced", **more}
        return [
            fresh("benchmarks.call_memory", function, **arguments) / more.get("calls", 1) / KIB
            for _ in range(rounds)
        ]

    found = {"httpx alone": traced("transport", "100", big)}
    for shape in ("100", "2048"):
        for size in (MIB, big):
            found[f"{size // MIB} MiB of {shape} B"] = traced("penstock", shape, size)
    found[f"{big // MIB} MiB counted"] = traced("penstock", "2048", big, framing="length")
    for shape in ("string", "image"):
        found[f"{image // MIB} MiB {shape}"] = traced("penstock", shape, image)
    found[f"32 x {big // 8 // MIB} MiB, each"] = traced("penstock", "2048", big // 8, calls=32)
    yield Case("penstock over httpx", "KiB traced", "httpx alone", found)
    stalls = {
        f"{size // MIB} MiB, {shape}": [
            fresh("benchmarks.call_memory", "stall", url=url, shape=shape, size=size) * 1000
            for _ in range(rounds)
        ]
        for shape, size in (("100", big), ("2048", big), ("string", image))
    }
    yield Case("penstock's longest stall", "ms of the loop", "", stalls)


if __name__ == "__main__":
    main()
