"""A contact is recognised by two numbers, found by its hash, and missed only when nobody saw it."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.frames import ADDRESS, FINGERPRINT, KEY, KEY_HASH, LEFT_SOURCE, SNAPSHOT_SCHEMA
from syncengine.normalise.rows import key_hashes
from syncengine.snapshot import FrameSnapshot, empty_snapshot, open_snapshot
from syncengine.sorted_hashes import UNKNOWN, Hashes

BIG = (1 << 64) - 1


def rows(contacts: list[tuple[int, int]]) -> pl.DataFrame:
    """SNAPSHOT rows of (key hash, fingerprint), sorted as they are kept."""
    ordered = sorted(contacts)
    names = [f"k{hashed}-{number}" for number, (hashed, _) in enumerate(ordered)]
    return pl.DataFrame(
        {
            KEY: names,
            KEY_HASH: pl.Series([hashed for hashed, _ in ordered], dtype=pl.UInt64),
            "email": [f"{name}@Example.com" for name in names],
            ADDRESS: [f"{name}@example.com" for name in names],
            "name": [None] * len(names),
            "active": [True] * len(names),
            "variables": ["[]"] * len(names),
            FINGERPRINT: pl.Series([fingerprint for _, fingerprint in ordered], dtype=pl.UInt64),
            "origin": ["sync"] * len(names),
            "confirmed_at": [datetime(2026, 5, 1, tzinfo=UTC)] * len(names),
        },
        schema=SNAPSHOT_SCHEMA,
    )


def of(*contacts: tuple[int, int]) -> FrameSnapshot:
    return FrameSnapshot(rows([*contacts]).lazy())


def numbers(*values: int) -> Hashes:
    return np.array(values, dtype=np.uint64)


def seen(snapshot: FrameSnapshot, *positions: int) -> np.ndarray:
    flags = np.zeros(snapshot.size, dtype=np.bool_)
    flags[list(positions)] = True
    return flags


def test_a_known_contact_is_told_from_a_stranger_and_an_unchanged_one_from_a_changed() -> None:
    found = of((10, 1), (20, 2), (BIG, BIG)).recognise(numbers(20, 15, BIG, 10, 0), numbers(2, 2, BIG, 9, 0))

    assert found.positions.tolist() == [1, UNKNOWN, 2, 0, UNKNOWN]
    assert found.same.tolist() == [True, False, True, False, False]


def test_nobody_is_known_to_an_empty_snapshot() -> None:
    snapshot = empty_snapshot()
    found = snapshot.recognise(numbers(0, 1, BIG), numbers(0, 0, 0))

    assert (snapshot.size, snapshot.present) == (0, 0)
    assert found.positions.tolist() == [UNKNOWN] * 3
    assert not found.same.any()
    assert snapshot.missing(np.zeros(0, dtype=np.bool_)).tolist() == []
    assert snapshot.rows_of(numbers(1)).schema == SNAPSHOT_SCHEMA
    assert snapshot.owners_at(numbers(1, 2)).tolist() == [UNKNOWN, UNKNOWN]


def test_asking_about_nobody_is_no_trouble() -> None:
    found = of((10, 1)).recognise(numbers(), numbers())

    assert (len(found.positions), len(found.same)) == (0, 0)


def test_who_was_not_seen_is_missing() -> None:
    snapshot = of((10, 5), (20, 6), (30, 7))

    assert snapshot.missing(seen(snapshot, 1)).tolist() == [0, 2]
    assert snapshot.missing(seen(snapshot, 0, 1, 2)).tolist() == []


def test_who_left_before_does_not_leave_again_and_is_not_counted_as_present() -> None:
    snapshot = of((10, 5), (20, LEFT_SOURCE), (30, 7))

    assert (snapshot.size, snapshot.present) == (3, 2)
    assert snapshot.missing(seen(snapshot)).tolist() == [0, 2]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_contacts_that_share_a_hash_are_never_missing(which: int) -> None:
    """Seeing one of them does not tell which was seen."""
    snapshot = of((10, 5), (20, 6), (20, 7), (20, 8), (30, 9))

    assert snapshot.missing(seen(snapshot, 1 + which)).tolist() == [0, 4]
    assert snapshot.missing(seen(snapshot)).tolist() == [0, 4]


def test_contacts_that_share_a_hash_are_both_fetched() -> None:
    snapshot = of((10, 5), (20, 6), (20, 7))

    assert sorted(snapshot.rows_of(numbers(20, 99))[FINGERPRINT]) == [6, 7]


def test_rows_are_fetched_whole_by_position_or_by_hash() -> None:
    kept = rows([(10, 5), (20, 6), (30, 7)])
    snapshot = FrameSnapshot(kept.lazy())

    assert snapshot.rows_at(np.array([2, 0])).sort(KEY_HASH).equals(kept[[0, 2]])
    assert snapshot.rows_of(numbers(20, 20, 99)).equals(kept[[1]])
    assert snapshot.rows_at(np.array([], dtype=np.int64)).is_empty()


def test_the_owner_of_an_address_is_found_by_its_hash() -> None:
    kept = rows([(number * 1000, 5) for number in range(1, 50)])
    snapshot = FrameSnapshot(kept.lazy())
    asked = pl.Series([*kept[ADDRESS], "nobody@example.com"])

    owners = snapshot.owners_at(key_hashes(asked).to_numpy())

    assert owners.tolist() == [*range(49), UNKNOWN]


def test_a_snapshot_file_gives_the_same_as_the_frame(tmp_path: Path) -> None:
    kept = rows([(10, 5), (BIG, BIG)])
    kept.write_parquet(tmp_path / "snapshot.parquet")
    snapshot = open_snapshot(tmp_path / "snapshot.parquet")

    assert (snapshot.size, snapshot.present) == (2, 2)
    assert snapshot.rows_at(np.array([0, 1])).sort(KEY_HASH).equals(kept)


HASHES = st.integers(0, 15).map(lambda number: number * 0x1111_1111_1111_1111)
CONTACTS = st.lists(st.tuples(HASHES, st.integers(0, 3)), max_size=12, unique_by=lambda contact: contact[0])
QUESTIONS = st.lists(st.tuples(HASHES, st.integers(0, 3)), max_size=20)


@settings(deadline=None, max_examples=80)
@given(CONTACTS, QUESTIONS)
def test_recognising_is_looking_up_in_a_dictionary(
    contacts: list[tuple[int, int]], questions: list[tuple[int, int]]
) -> None:
    snapshot = of(*contacts)
    ordered = sorted(contacts)
    places = {hashed: place for place, (hashed, _) in enumerate(ordered)}

    found = snapshot.recognise(
        numbers(*(hashed for hashed, _ in questions)), numbers(*(fingerprint for _, fingerprint in questions))
    )

    assert found.positions.tolist() == [places.get(hashed, UNKNOWN) for hashed, _ in questions]
    assert found.same.tolist() == [question in contacts for question in questions]


@settings(deadline=None, max_examples=60)
@given(CONTACTS, st.data())
def test_missing_are_those_present_that_nobody_saw(contacts: list[tuple[int, int]], data: st.DataObject) -> None:
    snapshot = of(*contacts)
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=len(contacts), max_size=len(contacts))), dtype=np.bool_)

    missing = snapshot.missing(flags)

    assert missing.tolist() == [
        place
        for place, (_, fingerprint) in enumerate(sorted(contacts))
        if not flags[place] and fingerprint != LEFT_SOURCE
    ]


def test_of_contacts_that_were_expected_the_keys_stay_at_hand(tmp_path: Path) -> None:
    base, later = rows([(10, 1), (20, 2), (20, 3), (30, 4)]), rows([(30, 5), (40, 6)]).with_columns(gone=False)
    base.write_parquet(tmp_path / "base.parquet")
    later.write_parquet(tmp_path / "later.parquet")
    snapshot = open_snapshot(tmp_path / "base.parquet", [tmp_path / "later.parquet"])
    expected = snapshot.recognise(numbers(20, 30, 40), numbers(0, 0, 0)).positions
    snapshot.expect(expected)
    asked = numbers(40, 20, 15)

    before = snapshot.rows_of(asked)
    for path in tmp_path.iterdir():
        path.unlink()
    snapshot.let_go()

    assert sorted(before[FINGERPRINT]) == [2, 3, 6]
    assert snapshot.keys_of(asked).sort(KEY).equals(before.select(KEY, KEY_HASH).sort(KEY))
