"""Of several rows for one contact one counts, the others are told, and a single "no" is a no."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.duplicates import resolve_duplicates
from syncengine.frames import ACTIVE, CODE, CONTENT_UNKNOWN, FINGERPRINT, KEY, NAME, ORDINAL, REASON, ROW
from syncengine.normalise.mapping import Winner

Row = tuple[str, bool]  #: key, active

SCHEMA = {
    ORDINAL: pl.UInt64,
    ROW: pl.UInt64,
    KEY: pl.String,
    NAME: pl.String,
    ACTIVE: pl.Boolean,
    FINGERPRINT: pl.UInt64,
    CODE: pl.String,
    REASON: pl.String,
}


def frame(rows: list[Row]) -> pl.DataFrame:
    """Row n of the source has ordinal n, line n + 2, and fingerprint 100 + n."""
    return pl.DataFrame(
        [(n, n + 2, key, f"name {n}", active, 100 + n, None, None) for n, (key, active) in enumerate(rows)],
        schema=SCHEMA,
        orient="row",
    )


def taken(rows: list[Row], winner: Winner) -> list[tuple[int, bool, int]]:
    winners, _ = resolve_duplicates(frame(rows), winner)
    return winners.select(ORDINAL, ACTIVE, FINGERPRINT).rows()


@pytest.mark.parametrize("winner", Winner)
def test_contacts_that_stand_once_pass_as_they_are(winner: Winner) -> None:
    rows = frame([("a", True), ("b", False), ("c", True)])

    winners, losers = resolve_duplicates(rows, winner)

    assert winners.equals(rows)
    assert losers.is_empty()


@pytest.mark.parametrize(("winner", "ordinal"), [(Winner.LAST, 3), (Winner.FIRST, 0)])
def test_the_last_row_counts_or_the_first_where_the_config_says_so(winner: Winner, ordinal: int) -> None:
    rows = [("a", True), ("b", True), ("a", True), ("a", True)]

    assert taken(rows, winner) == sorted([(ordinal, True, 100 + ordinal), (1, True, 101)])


def test_rows_that_lost_are_told_with_the_row_that_was_taken() -> None:
    _, losers = resolve_duplicates(frame([("a", True), ("b", True), ("a", True)]), Winner.LAST)

    assert losers.select(ROW, CODE, REASON).rows() == [(2, "duplicate", "row 4 is the same contact and was taken")]


@pytest.mark.parametrize(
    ("flags", "active", "fingerprint"),
    [
        ((True, True), True, 101),
        ((True, False), False, 101),
        ((False, True), False, CONTENT_UNKNOWN),
        ((False, False), False, 101),
    ],
)
def test_whoever_is_off_in_one_of_the_rows_is_off(flags: tuple[bool, bool], *, active: bool, fingerprint: int) -> None:
    """Where the row taken says otherwise its fingerprint would lie: the contact is compared in every run."""
    assert taken([("a", flag) for flag in flags], Winner.LAST) == [(1, active, fingerprint)]


def test_what_else_the_winner_says_is_sent_as_it_says_it() -> None:
    winners, _ = resolve_duplicates(frame([("a", False), ("a", True)]), Winner.LAST)

    assert winners.select(NAME, ACTIVE, CODE).rows() == [("name 1", False, None)]


def test_no_rows_are_no_trouble() -> None:
    winners, losers = resolve_duplicates(frame([]), Winner.LAST)

    assert (winners.height, losers.height) == (0, 0)


ROWS = st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=15)


@settings(deadline=None, max_examples=80)
@given(ROWS, st.sampled_from(Winner), st.integers(0, 99))
def test_each_contact_wins_once_and_every_row_is_accounted_for(rows: list[Row], winner: Winner, seed: int) -> None:
    shuffled = frame(rows).sample(fraction=1.0, shuffle=True, seed=seed)

    winners, losers = resolve_duplicates(shuffled, winner)

    assert sorted([*winners[ORDINAL], *losers[ORDINAL]]) == [*range(len(rows))]
    assert winners.schema == losers.schema == frame(rows).schema
    assert sorted(winners[KEY]) == sorted({key for key, _ in rows})
    for ordinal, key, active, fingerprint in winners.select(ORDINAL, KEY, ACTIVE, FINGERPRINT).iter_rows():
        places = [place for place, row in enumerate(rows) if row[0] == key]
        assert ordinal == (max(places) if winner is Winner.LAST else min(places))
        assert active is all(rows[place][1] for place in places)
        assert fingerprint == (100 + ordinal if active is rows[ordinal][1] else CONTENT_UNKNOWN)
