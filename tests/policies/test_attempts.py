"""The plan of one call: `penstock.policies.attempts`."""

from __future__ import annotations

import random as randomness
from collections import Counter

import pytest

from penstock.errors import (
    AuthenticationError,
    ConflictError,
    DeadlineError,
    InvalidRequestError,
    PenstockError,
    RateLimitError,
    ServerError,
    TruncatedError,
)
from penstock.policies.attempts import Again, AttemptPlan, Elsewhere, GiveUp, Step
from penstock.policies.budget import RetryBudget


def plan(deployments: int = 1, *, max_retries: int = 2, jitter: float = 0.5) -> AttemptPlan:
    """Return a plan with a full budget and a steady jitter."""
    return AttemptPlan(
        deployments, max_retries=max_retries, budget=RetryBudget(), random=lambda: jitter
    )


def after(a_plan: AttemptPlan, error: PenstockError, remaining: float = 100.0) -> Step:
    """Ask `a_plan` what comes after `error`, at time 0."""
    return a_plan.after(error, now=0.0, remaining=remaining)


def test_a_single_deployment_is_tried_three_times() -> None:
    """Without a list there are `max_retries` tries more, with exponential jitter, and no fourth."""
    a_plan = plan()

    steps = [after(a_plan, ServerError()) for _ in range(3)]

    assert steps == [Again(0.25), Again(0.5), GiveUp(exhausted=True)]


def test_a_list_goes_on_at_once() -> None:
    """With a list each deployment is tried once, and only the last again (design, section 6)."""
    a_plan = plan(2)

    steps = [after(a_plan, ServerError()) for _ in range(3)]

    assert steps == [Elsewhere(), Again(0.25), GiveUp(exhausted=True)]


def test_the_budget_is_never_smaller_than_the_list() -> None:
    """Five deployments are five tries, whatever `max_retries` says."""
    a_plan = plan(5, max_retries=0)

    steps = [after(a_plan, ServerError()) for _ in range(5)]

    assert steps == [*[Elsewhere()] * 4, GiveUp(exhausted=True)]


@pytest.mark.parametrize(
    ("retry_after", "expected"), [(1.0, Again(1.25)), (1.1, Elsewhere()), (None, Elsewhere())]
)
def test_only_a_second_is_waited_out_before_a_fallback(
    retry_after: float | None, expected: Step
) -> None:
    """A wait of at most a second is spent in place, where tries are left for the list behind."""
    assert expected == after(plan(2), RateLimitError(retry_after=retry_after))


def test_waiting_in_place_leaves_a_try_for_each_deployment() -> None:
    """Three tries for three deployments: none is spent on waiting."""
    assert Elsewhere() == after(plan(3), RateLimitError(retry_after=0.5))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AuthenticationError(), Elsewhere()),
        (InvalidRequestError(), GiveUp(exhausted=False)),
        (ConflictError(), GiveUp(exhausted=False)),
        (InvalidRequestError(elsewhere=True), Elsewhere()),
    ],
)
def test_an_error_says_whether_another_deployment_helps(
    error: PenstockError, expected: Step
) -> None:
    """`elsewhere` decides about the fallback, for a class or an instance."""
    assert expected == after(plan(2), error)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AuthenticationError(), GiveUp(exhausted=True)),
        (ConflictError(), Again(0.25)),
        (ConflictError(retryable=False), GiveUp(exhausted=True)),
    ],
)
def test_an_error_says_whether_the_same_again_helps(error: PenstockError, expected: Step) -> None:
    """`retryable` decides about the retry, for a class or an instance."""
    assert expected == after(plan(), error)


def test_fallback_on_chooses_the_kinds() -> None:
    """With `fallback_on` only those kinds of error lead to the next deployment."""
    a_plan = AttemptPlan(
        2,
        max_retries=2,
        budget=RetryBudget(),
        random=lambda: 0.0,
        fallback_on=frozenset({"rate_limit"}),
    )

    assert GiveUp(exhausted=False) == after(a_plan, AuthenticationError())


def test_row_14_nothing_follows_a_chunk_that_was_seen() -> None:
    """Row 14: a committed error is final, however retryable its kind."""
    assert GiveUp(exhausted=False) == after(plan(2), TruncatedError(committed=True))


@pytest.mark.parametrize("retry_after", [0.0, -5.0])
def test_row_18_a_negative_wait_is_none(retry_after: float) -> None:
    """Row 18: negative values do not crash and do not go back in time."""
    assert Again(0.25) == after(plan(), RateLimitError(retry_after=retry_after))


@pytest.mark.parametrize(("retry_after", "remaining"), [(61.0, 1e9), (30.0, 29.0)])
def test_row_18_a_long_wait_is_the_callers_to_decide(retry_after: float, remaining: float) -> None:
    """Row 18: beyond the cap or the call's own deadline the error comes at once."""
    step = after(plan(), RateLimitError(retry_after=retry_after), remaining)

    assert GiveUp(exhausted=True) == step


def test_row_13_a_plan_ends() -> None:
    """Row 13: whatever fails, the number of tries is what was allowed."""
    a_plan = plan(3, max_retries=7)
    tries = 1
    while not isinstance(after(a_plan, RateLimitError(retry_after=0.0)), GiveUp):
        tries += 1

    assert tries == 8


def test_row_19_a_thousand_clients_do_not_return_together() -> None:
    """Row 19: full jitter; no tenth of the window gets twice the mean, with or without a wait."""
    rng = randomness.Random(19)
    for error in (ServerError(), RateLimitError(retry_after=3.0)):
        waits = []
        for _ in range(1000):
            a_plan = AttemptPlan(1, max_retries=2, budget=RetryBudget(), random=rng.random)
            step = after(a_plan, error)
            assert isinstance(step, Again)
            waits.append(step.after)
        low, high = min(waits), max(waits)
        buckets = Counter(int((wait - low) / (high - low + 1e-9) * 10) for wait in waits)
        assert max(buckets.values()) <= 200


def test_a_timeout_costs_the_budget_twice_as_much() -> None:
    """The AWS SDKs' standard mode: 500 tokens, 5 for a retry and 10 for one after a timeout."""
    budget = RetryBudget()
    budget.take(ServerError(), now=0.0)
    budget.take(DeadlineError(), now=0.0)

    assert budget.tokens == 485


def test_an_empty_budget_allows_no_retry() -> None:
    """A client whose calls all fail stops asking twice."""
    budget = RetryBudget()
    taken = sum(budget.take(DeadlineError(), now=at * 0.5) for at in range(100))

    assert taken == 50
    assert AttemptPlan(1, max_retries=2, budget=budget, random=lambda: 0.0).after(
        ServerError(), now=50.0, remaining=9.0
    ) == GiveUp(exhausted=True)


def test_a_success_gives_back() -> None:
    """A success after a retry returns its price, one at once a single token; never beyond 500."""
    budget = RetryBudget()
    for _ in range(4):
        budget.take(ServerError(), now=0.0)
    budget.succeeded(retried=True)
    budget.succeeded(retried=False)
    before = budget.tokens
    for _ in range(100):
        budget.succeeded(retried=True)

    assert (before, budget.tokens) == (486, 500)


def test_retries_are_a_share_of_the_calls() -> None:
    """Beyond ten a second, retries are at most a fifth of the calls."""
    budget = RetryBudget()
    for _ in range(100):
        budget.called(0.0)
        budget.succeeded(retried=True)
    taken = 0
    for _ in range(1000):
        taken += budget.take(ServerError(), now=1.0)
        budget.succeeded(retried=True)

    assert taken == 120
