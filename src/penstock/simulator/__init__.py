"""A loopback server that answers as the vendors do, well or badly, on demand.

Part of the product: users test their own fallbacks and clocks with it. A request chooses what
happens by its model string (``echo?ttft=2&fault=reset@3``) or by the header ``x-penstock-sim``,
so that any vendor's SDK can ask for it.

    async with Simulator() as simulator:
        client = AsyncOpenAI(base_url=simulator.url + "/v1", api_key="any")
"""

from penstock.simulator.behavior import BehaviorError, settings
from penstock.simulator.catalogue import faults, models, shapes, styles
from penstock.simulator.recordings import Recording, load_recording
from penstock.simulator.records import Connections, RequestRecord, SimulatorStats
from penstock.simulator.server import Simulator, serve
from penstock.simulator.thread import SimulatorThread

__all__ = [
    "BehaviorError",
    "Connections",
    "Recording",
    "RequestRecord",
    "Simulator",
    "SimulatorStats",
    "SimulatorThread",
    "faults",
    "load_recording",
    "models",
    "serve",
    "settings",
    "shapes",
    "styles",
]
