"""Doubles and checks for the tests of programs that use penstock."""

from __future__ import annotations

from penstock.testing.cuts import cuts

__all__ = ["cuts"]
