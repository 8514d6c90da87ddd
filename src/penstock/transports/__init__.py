"""Stage 3 of 6: bytes out, bytes in; the only sockets and processes.

Nothing here is loaded by `import penstock`, and ``httpx`` only with the first call.
"""

from __future__ import annotations

from penstock.transports.dates import retry_after
from penstock.transports.http import HttpxTransport, TransportStats
from penstock.transports.watchdog import Clock, Watchdog

__all__ = ["Clock", "HttpxTransport", "TransportStats", "Watchdog", "retry_after"]
