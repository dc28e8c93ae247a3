"""Waits grow and stay bounded; retries are paid for from one purse."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.dispatch.retry import Backoff, RetryBudget, may_arrive_late, overloaded
from syncengine.model import NoAnswer

FAULT = NoAnswer("HTTP 500", status=500)
TIMEOUT = NoAnswer("no complete answer within 30 s")
NOT_SENT = NoAnswer("ConnectError", sent=False)

JITTER = st.floats(0, 1, exclude_max=True)
ATTEMPTS = st.integers(1, 10**9)


@pytest.mark.parametrize(
    ("attempt", "most"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 16.0), (6, 20.0), (99, 20.0)]
)
def test_the_longest_wait_doubles_up_to_the_cap(attempt: int, most: float) -> None:
    backoff = Backoff(base=0.5, cap=20.0)

    assert backoff.wait(attempt, 0.0) == 0.0
    assert backoff.wait(attempt, 0.5) == most / 2
    assert backoff.wait(attempt, 1.0) == most


@settings(deadline=None)
@given(ATTEMPTS, ATTEMPTS, JITTER, st.floats(0.01, 10), st.floats(0.01, 1000))
def test_a_wait_is_bounded_and_never_shorter_after_more_attempts(
    attempt: int, more: int, jitter: float, base: float, cap: float
) -> None:
    backoff = Backoff(base, cap)

    assert 0 <= backoff.wait(attempt, jitter) <= cap
    assert backoff.wait(attempt, jitter) <= backoff.wait(attempt + more, jitter)


@pytest.mark.parametrize(("answer", "failures"), [(FAULT, 20), (TIMEOUT, 10), (NOT_SENT, 20)])
def test_the_budget_stands_for_so_many_failures_in_a_row(answer: NoAnswer, failures: int) -> None:
    budget = RetryBudget()

    stands = [budget.spend(answer) for _ in range(failures)]

    assert stands == [True] * (failures - 1) + [False]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["fault", "timeout", "success", "refill"]), max_size=300))
def test_the_budget_stays_within_its_bounds_and_tells_the_truth(happenings: list[str]) -> None:
    budget = RetryBudget()
    for happening in happenings:
        match happening:
            case "success":
                budget.earn()
            case "refill":
                budget.refill_half()
                assert budget.tokens >= budget.capacity / 2
            case _:
                assert budget.spend(FAULT if happening == "fault" else TIMEOUT) is (budget.tokens > 0)
        assert 0 <= budget.tokens <= budget.capacity


def test_five_successes_pay_for_one_more_retry() -> None:
    budget = RetryBudget()
    while budget.spend(FAULT):
        pass

    for _ in range(6):
        budget.earn()

    assert budget.spend(FAULT)
    assert not budget.spend(FAULT)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (NoAnswer("HTTP 429", status=429), True),
        (NoAnswer("HTTP 503", status=503), True),
        (NoAnswer("HTTP 504", status=504), True),
        (TIMEOUT, True),
        (FAULT, False),
        (NoAnswer("HTTP 502", status=502), False),
        (NoAnswer("HTTP 200: no JSON", status=200), False),
        (NOT_SENT, False),
    ],
)
def test_what_asks_for_less_pressure(answer: NoAnswer, *, expected: bool) -> None:
    assert overloaded(answer) is expected


@pytest.mark.parametrize(
    ("answer", "late"),
    [
        (TIMEOUT, True),
        (NoAnswer("ReadError"), True),
        (NOT_SENT, False),
        *((NoAnswer(f"HTTP {status}", status=status), True) for status in (408, 502, 504, 520, 524)),
        *((NoAnswer(f"HTTP {status}", status=status), False) for status in (200, 204, 429, 500, 501, 503, 530)),
    ],
)
def test_only_what_nobody_answered_may_still_be_carried_out(answer: NoAnswer, *, late: bool) -> None:
    assert may_arrive_late(answer) is late
