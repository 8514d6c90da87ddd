"""The one place that runs an event loop: a thread that blocking callers hand their calls to.

anyio's blocking portal was tried first. It needs two round trips for a call (159 µs instead of 53,
``benchmarks/sync.py``), a Ctrl-C between them leaves the call running with nobody to cancel it, and
its exit in a forked child waits for a thread that is not there. What is here is asyncio's own
``call_soon_threadsafe`` with an inbox for each call.
"""

from penstock.sync.portal.inbox import closed, leave_at_exit, next_of, settle
from penstock.sync.portal.portal import Gate, Portal
from penstock.sync.portal.thread import Job

__all__ = ["Gate", "Job", "Portal", "closed", "leave_at_exit", "next_of", "settle"]
