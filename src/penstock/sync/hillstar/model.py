"""What every model of hillstar's is: a name, a clock, and one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.sync.hillstar.calling import TEMPERATURE, TIMEOUT

if TYPE_CHECKING:
    from penstock.sync.hillstar.calling import Caller
    from penstock.sync.hillstar.contract import CallResult

__all__ = ["Model"]


class Model:
    """A model that answers a prompt, blocking; each class says where it is, and under which key."""

    TEMPERATURE_DEFAULT = TEMPERATURE
    timeout: float = TIMEOUT
    """Seconds that a call may take, a server's start included; an instance's own comes over it."""
    model_name: str
    """The model's own name, as results have it."""
    _caller: Caller

    def call(
        self,
        prompt: str,
        max_tokens: int = 4096,
        temperature: float | None = None,
        system: str | None = None,
    ) -> CallResult:
        """Return the answer to `prompt`; what fails raises, or is in it as ``error``.

        Args:
            prompt: What to say.
            max_tokens: Tokens of the answer at most.
            temperature: Sampling temperature; by default `TEMPERATURE_DEFAULT`, which is left out
                and reported as dropped where the model refuses it.
            system: What the model is told first.

        Raises:
            Exception: What `penstock.sync.hillstar.FAILURES` says of the class.
        """
        ask = self._caller.ask(prompt, max_tokens, temperature, system, self.timeout)
        del prompt, system  # a traceback that shows locals must not show them (fault matrix, 39)
        return ask()
