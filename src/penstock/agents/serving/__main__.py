"""The server over stdio, by ``penstock.toml`` and the environment."""

from __future__ import annotations

import anyio

from penstock.agents.serving import Desk, leave_on_term, serve_stdio
from penstock.agents.serving.desk import DEFAULT_MODEL
from penstock.client import Client
from penstock.config import load_config


async def _main() -> None:
    model = load_config().values.get("default_model", DEFAULT_MODEL)
    async with Desk(Client.from_config(), model=model) as desk:
        leave_on_term(desk)
        await serve_stdio(desk)


if __name__ == "__main__":
    anyio.run(_main)
