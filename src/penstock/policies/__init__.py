"""Providers around providers: what is tried, how often, and where next.

Each policy is a pure object that is told the time and the outcome and answers what to do, and a
driver beside it that sleeps and calls.
"""
