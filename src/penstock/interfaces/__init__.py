"""The seams, in the order of the flow.

    ChatRequest -> dialect -> encoder -> transport -> decoder -> dialect -> pipeline -> caller
                   fields     bytes      bytes        frames     chunks     chunks

Everything that answers a request is a `Provider`; whatever routes, limits or counts is a provider
around a provider. `open` connects, sends the whole body and returns when the first content chunk
is in hand, so that retry and fallback are a plain ``try`` around one await.
"""

from penstock.interfaces.dialects import (
    Answer,
    Begins,
    Decoder,
    Dialect,
    Ending,
    Framing,
    Outgoing,
    Quirks,
    Recalls,
    Target,
)
from penstock.interfaces.streams import (
    CallRecord,
    ChunkMiddleware,
    Middleware,
    Outcome,
    Provider,
    Stage,
    StageFactory,
    Stream,
)
from penstock.interfaces.transports import (
    BodySource,
    Buffer,
    FramedBody,
    HttpCall,
    Rounds,
    Timer,
    Transport,
    Watch,
    Wire,
)

__all__ = [
    "Answer",
    "Begins",
    "BodySource",
    "Buffer",
    "CallRecord",
    "ChunkMiddleware",
    "Decoder",
    "Dialect",
    "Ending",
    "FramedBody",
    "Framing",
    "HttpCall",
    "Middleware",
    "Outcome",
    "Outgoing",
    "Provider",
    "Quirks",
    "Recalls",
    "Rounds",
    "Stage",
    "StageFactory",
    "Stream",
    "Target",
    "Timer",
    "Transport",
    "Watch",
    "Wire",
]
