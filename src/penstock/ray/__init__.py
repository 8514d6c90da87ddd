"""Ray: prompts as tasks, providers on actors, rows of a data set; needs the extra ``ray``.

======== =========================================================================================
module   what it has
======== =========================================================================================
tasks    `remote` and `chia_remote`: a call as a task, never run again by itself; `get`
pool     `ActorPool`: a provider whose answers are made on actors, and streamed from there
source   such an answer, as the source of a stream here
worker   what runs on such an actor
batches  `ChatBatch`: a callable for ``ray.data.Dataset.map_batches``
======== =========================================================================================

Nothing else of penstock imports Ray.
"""

from __future__ import annotations

from penstock.errors import MissingExtraError

try:
    import ray as _ray  # noqa: F401  # its absence is told here, once for all modules
except ModuleNotFoundError as exc:
    raise MissingExtraError(f"penstock.ray needs {exc.name}: pip install 'penstock[ray]'") from None

from penstock.ray.batches import ChatBatch
from penstock.ray.pool import ActorPool
from penstock.ray.tasks import ChiaCall, Remote, RemoteMethod, chia_remote, get, remote

__all__ = [
    "ActorPool",
    "ChatBatch",
    "ChiaCall",
    "Remote",
    "RemoteMethod",
    "chia_remote",
    "get",
    "remote",
]
