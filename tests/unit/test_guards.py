"""A guard stops a run with the numbers, and with a flag that really lets it pass."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncengine.config.model import Bound, read_bound
from syncengine.errors import GuardError
from syncengine.guards import Guards, check_held, check_missing, check_rows

DEFAULTS = Guards(max_missing=Bound(share=0.05), max_shrink=Bound(share=0.2), max_held=Bound(share=0.5))


def flagged(fix: str) -> Bound:
    """The limit after the flag a fix tells to paste."""
    match = re.search(r"--max-(?:missing|shrink|held) (\S+)$", fix)
    assert match
    bound = read_bound(match[1])
    assert isinstance(bound, Bound)
    return bound


def all_at(bound: Bound) -> Guards:
    return Guards(bound, bound, bound)


@pytest.mark.parametrize(("gone", "known"), [(0, 0), (0, 100), (5, 100), (1, 20), (50, 1000)])
def test_as_many_may_leave_as_the_limit_says(gone: int, known: int) -> None:
    check_missing(DEFAULTS, gone, known)


@pytest.mark.parametrize(("gone", "known"), [(1, 1), (6, 100), (1, 19), (100, 100), (51, 1000)])
def test_one_more_leaver_stops_the_run(gone: int, known: int) -> None:
    with pytest.raises(GuardError) as stopped:
        check_missing(DEFAULTS, gone, known)

    assert (stopped.value.code, stopped.value.exit_code) == ("max-missing", 5)
    assert stopped.value.sent == "nothing was sent"


def test_a_guard_tells_the_numbers_the_limit_and_the_flag() -> None:
    with pytest.raises(GuardError) as stopped:
        check_missing(DEFAULTS, 13_000, 128_274)

    assert stopped.value.what == ("13,000 of the 128,274 contacts known have left the source (10.1 %); the limit is 5%")
    assert stopped.value.fix == "check the file; if it is right: --max-missing 11%"


@pytest.mark.parametrize(("rows", "before"), [(100, None), (100, 0), (0, None), (80, 100), (100, 100), (1_000, 1)])
def test_a_source_may_grow_and_shrink_a_little(rows: int, before: int | None) -> None:
    check_rows(DEFAULTS, rows, before, mirror=False)


def test_a_source_that_shrank_too_much_stops_the_run() -> None:
    with pytest.raises(GuardError) as stopped:
        check_rows(DEFAULTS, 60_000, 100_000, mirror=False)

    assert stopped.value.code == "max-shrink"
    assert stopped.value.what == (
        "the source has 60,000 rows, the last run saw 100,000: 40.0 % fewer; the limit is 20%"
    )


@pytest.mark.parametrize("before", [None, 0, 5, 100_000])
def test_an_empty_source_never_mirrors_whatever_the_limits(before: int | None) -> None:
    with pytest.raises(GuardError) as stopped:
        check_rows(all_at(Bound(share=1.0)), 0, before, mirror=True)

    assert stopped.value.code == "empty-source"
    assert stopped.value.what == "the source has a header and 0 rows" + (
        f"; the last run saw {before:,}" if before else ""
    )
    assert "no flag overrides that" in stopped.value.why


def test_too_many_held_rows_stop_the_run_and_the_commonest_reasons_are_told() -> None:
    held = {"email-empty": 10, "duplicate": 700, "row-short": 30, "active-empty": 20}

    with pytest.raises(GuardError) as stopped:
        check_held(DEFAULTS, held, 1_000)

    assert stopped.value.code == "max-held"
    assert stopped.value.why == (
        "most often: 700 duplicate, 30 row-short, 20 active-empty; perhaps a column is mapped wrongly"
    )


@pytest.mark.parametrize("rows", [0, 1, 1_000])
def test_nothing_held_is_never_too_much(rows: int) -> None:
    check_held(all_at(Bound(count=0)), {}, rows)


PARTS = st.integers(1, 10**7).flatmap(lambda whole: st.tuples(st.integers(1, whole), st.just(whole)))


@settings(deadline=None)
@given(PARTS)
@example((29, 100))
@example((57, 100))
@example((7, 100))
def test_the_flag_a_guard_tells_to_paste_lets_the_run_pass(numbers: tuple[int, int]) -> None:
    part, whole = numbers
    none = all_at(Bound(count=0))

    with pytest.raises(GuardError) as missing:
        check_missing(none, part, whole)
    with pytest.raises(GuardError) as shrunk:
        check_rows(none, whole - part, whole, mirror=False)
    with pytest.raises(GuardError) as held:
        check_held(none, {"duplicate": part}, whole)

    check_missing(all_at(flagged(missing.value.fix)), part, whole)
    check_rows(all_at(flagged(shrunk.value.fix)), whole - part, whole, mirror=False)
    check_held(all_at(flagged(held.value.fix)), {"duplicate": part}, whole)
