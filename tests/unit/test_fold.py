"""What became of a plan turns into what the list holds: the confirmed, and nobody else."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.fold import VERDICT_SCHEMA, Folded, fold, with_positions
from syncengine.frames import (
    ACTIVE,
    ADDRESS,
    AFTER,
    BATCH,
    CONFIRMED_AT,
    EMAIL,
    FINGERPRINT,
    KEY,
    KEY_HASH,
    NAME,
    OP,
    ORIGIN,
    POSITION,
    REPLACES,
    SNAPSHOT_SCHEMA,
    VARIABLES,
)
from syncengine.model import Op, Outcome
from syncengine.normalise.rows import key_hashes

NOW = datetime(2026, 5, 1, 3, 0, tzinfo=UTC)
REJECTED = (Outcome.REJECTED, "arguments", "no")
UNRESOLVED = (Outcome.UNRESOLVED, "no-answer", "")
GONE = (Outcome.CONFIRMED, "gone", "")
SIZE = 3  #: contacts a batch

Verdicts = Mapping[tuple[int, int], tuple[Outcome, str, str]]


def rows(op: Op, count: int, *, first_batch: int = 0) -> pl.DataFrame:
    """`count` contacts of a wave, in batches of `SIZE`."""
    numbers = range(count)
    keys = pl.Series(KEY, [f"{op}-{number}" for number in numbers], dtype=pl.String)
    return pl.DataFrame(
        {
            KEY: keys,
            KEY_HASH: key_hashes(keys),
            EMAIL: [f"{key}@Example.com" for key in keys],
            ADDRESS: [f"{key}@example.com" for key in keys],
            NAME: [None if number % 2 else "O'Neil" for number in numbers],
            ACTIVE: [number % 3 > 0 for number in numbers],
            FINGERPRINT: pl.Series([2**64 - 1 - number for number in numbers], dtype=pl.UInt64),
            OP: [op.value] * count,
            VARIABLES: ["[]"] * count,
            AFTER: ['[{"name":"city","value":"Oslo"}]'] * count,
            REPLACES: pl.Series([None] * count, dtype=pl.String),
            BATCH: pl.Series([first_batch + number // SIZE for number in numbers], dtype=pl.UInt32),
        }
    )


def folded(plan: pl.DataFrame, verdicts: Verdicts, settled: list[int], *, at: datetime = NOW) -> Folded:
    frame = pl.DataFrame(
        [(batch, position, *verdict) for (batch, position), verdict in verdicts.items()],
        schema=VERDICT_SCHEMA,
        orient="row",
    )
    return fold(plan, frame, pl.Series(settled, dtype=pl.UInt32), origin="sync", at=at)


def keys(frame: pl.DataFrame) -> list[str]:
    return sorted(frame[KEY])


def test_a_settled_batch_without_verdicts_is_confirmed_whole() -> None:
    result = folded(rows(Op.ADD, 3), {}, [0])

    assert keys(result.upserts) == ["add-0", "add-1", "add-2"]
    assert (result.removed.height, result.refused.height) == (0, 0)


def test_a_confirmed_contact_holds_what_was_sent_and_what_was_there_before() -> None:
    (row,) = folded(rows(Op.UPDATE, 1), {}, [0]).upserts.rows(named=True)

    assert row == {
        KEY: "update-0",
        KEY_HASH: key_hashes(pl.Series(["update-0"]))[0],
        EMAIL: "update-0@Example.com",
        ADDRESS: "update-0@example.com",
        NAME: "O'Neil",
        ACTIVE: False,
        VARIABLES: '[{"name":"city","value":"Oslo"}]',
        FINGERPRINT: 2**64 - 1,
        ORIGIN: "sync",
        CONFIRMED_AT: NOW,
    }


def test_rejected_and_unresolved_contacts_are_told_with_the_content_they_were_refused_for() -> None:
    result = folded(rows(Op.ADD, 3), {(0, 0): REJECTED, (0, 2): UNRESOLVED}, [0])

    assert keys(result.upserts) == ["add-1"]
    assert sorted(result.refused.rows()) == [
        ("add-0", "add-0@example.com", 2**64 - 1, "rejected", "arguments", "no"),
        ("add-2", "add-2@example.com", 2**64 - 3, "unresolved", "no-answer", ""),
    ]


def test_a_batch_that_is_not_settled_counts_for_nothing() -> None:
    result = folded(rows(Op.ADD, 7), {(1, 0): REJECTED}, [0, 2])

    assert keys(result.upserts) == ["add-0", "add-1", "add-2", "add-6"]
    assert result.refused.is_empty()


def test_nothing_settled_changes_nothing() -> None:
    result = folded(rows(Op.ADD, 3), {}, [])

    assert (result.upserts.height, result.removed.height, result.refused.height) == (0, 0, 0)


def test_removed_contacts_leave_and_those_that_could_not_be_removed_stay() -> None:
    result = folded(rows(Op.REMOVE, 3), {(0, 1): REJECTED, (0, 2): GONE}, [0])

    assert keys(result.removed) == ["remove-0", "remove-2"]
    assert keys(result.refused) == ["remove-1"]
    assert result.upserts.is_empty()


@pytest.mark.parametrize("op", [Op.UNSUBSCRIBE, Op.UPDATE, Op.REMOVE])
def test_a_contact_that_turned_out_to_be_gone_leaves_the_state(op: Op) -> None:
    result = folded(rows(op, 1), {(0, 0): GONE}, [0])

    assert (keys(result.removed), result.upserts.height) == ([f"{op}-0"], 0)


def test_a_contact_under_a_new_key_is_no_longer_there_under_the_old_one() -> None:
    plan = rows(Op.RENAME, 3).with_columns(pl.Series(REPLACES, ["old-0", None, "old-2"]))

    result = folded(plan, {(0, 2): REJECTED}, [0])

    assert keys(result.upserts) == ["rename-0", "rename-1"]
    assert result.removed.rows() == [("old-0", key_hashes(pl.Series(["old-0"]))[0])]


def test_the_moment_is_kept_in_utc_to_the_microsecond() -> None:
    moment = datetime(2026, 5, 1, 9, 0, 0, 123456, tzinfo=timezone(timedelta(hours=6)))

    (row,) = folded(rows(Op.ADD, 1), {}, [0], at=moment).upserts.rows(named=True)

    assert row[CONFIRMED_AT] == datetime(2026, 5, 1, 3, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_frames_have_the_shape_of_a_snapshot_however_many_rows_there_are(count: int) -> None:
    result = folded(rows(Op.ADD, count), {}, [0, 1, 2])

    assert result.upserts.schema == SNAPSHOT_SCHEMA
    assert result.removed.schema == pl.Schema({KEY: pl.String(), KEY_HASH: pl.UInt64()})


def test_positions_count_within_each_batch_from_zero() -> None:
    assert with_positions(rows(Op.ADD, 7, first_batch=5)).select(BATCH, POSITION).rows() == [
        (5, 0),
        (5, 1),
        (5, 2),
        (6, 0),
        (6, 1),
        (6, 2),
        (7, 0),
    ]


OUTCOMES = st.sampled_from([REJECTED, UNRESOLVED, GONE])


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(Op),
    st.integers(0, 12),
    st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 2)), OUTCOMES),
    st.sets(st.integers(0, 3)),
)
def test_every_contact_of_a_settled_batch_is_in_exactly_one_of_the_three(
    op: Op, count: int, verdicts: Verdicts, settled: set[int]
) -> None:
    plan = rows(op, count)

    result = folded(plan, verdicts, sorted(settled))

    told = [*result.upserts[KEY], *result.removed[KEY], *result.refused[KEY]]
    assert sorted(told) == sorted(f"{op}-{number}" for number in range(count) if number // SIZE in settled)
    for number in range(count):
        place = (number // SIZE, number % SIZE)
        if place[0] in settled and place not in verdicts:
            assert f"{op}-{number}" in (result.removed if op is Op.REMOVE else result.upserts)[KEY]
