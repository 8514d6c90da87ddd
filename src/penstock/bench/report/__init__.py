"""A run as one page for people: HTML that holds all it needs, its plots in SVG."""

from penstock.bench.report.page import html

__all__ = ["html"]
