"""Doubles and checks for the tests of programs that use penstock."""

from __future__ import annotations

from penstock.testing.check_dialect import check_case, check_dialect
from penstock.testing.check_provider import Trial, around_scripts, check_provider
from penstock.testing.check_transport import check_transport
from penstock.testing.cuts import cuts
from penstock.testing.scripted import ScriptedProvider, ScriptedStream
from penstock.testing.scripted_transport import ScriptedAnswer, ScriptedTransport

__all__ = [
    "ScriptedAnswer",
    "ScriptedProvider",
    "ScriptedStream",
    "ScriptedTransport",
    "Trial",
    "around_scripts",
    "check_case",
    "check_dialect",
    "check_provider",
    "check_transport",
    "cuts",
]
