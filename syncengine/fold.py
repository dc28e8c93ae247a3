"""From the rows of a plan and their verdicts to what the list holds now. Pure."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from syncengine.frames import (
    ADDRESS,
    AFTER,
    BATCH,
    CONFIRMED_AT,
    FINGERPRINT,
    KEY,
    KEY_HASH,
    OP,
    ORIGIN,
    POSITION,
    REPLACES,
    SNAPSHOT_SCHEMA,
    VARIABLES,
)
from syncengine.model import Op, Outcome
from syncengine.normalise.rows import key_hashes

VERDICT_SCHEMA = {
    BATCH: pl.UInt32,
    POSITION: pl.UInt32,
    "outcome": pl.String,
    "code": pl.String,
    "text": pl.String,
}


_NO_BATCHES = pl.Series([], dtype=pl.UInt32)
_KEPT = [op.value for op in (Op.ADD, Op.UPDATE, Op.RENAME)]
_NO_KEYS = pl.DataFrame(schema={KEY: pl.String, KEY_HASH: pl.UInt64})


@dataclass(frozen=True, slots=True)
class Folded:
    """What one slice of a plan changes in the snapshot.

    upserts   SNAPSHOT rows that replace or join those of the same key
    removed   KEY, KEY_HASH of contacts the list no longer has
    refused   KEY, ADDRESS, FINGERPRINT, outcome, code, text of contacts that were not confirmed
    unsure    KEY, KEY_HASH of contacts of which the list may hold what it held, or what was asked for
    missed    KEY, ADDRESS of contacts that the source has and the list does not any more
    """

    upserts: pl.DataFrame
    removed: pl.DataFrame
    refused: pl.DataFrame
    unsure: pl.DataFrame
    missed: pl.DataFrame


def with_positions(rows: pl.DataFrame) -> pl.DataFrame:
    """Plan rows with `batch`, whole batches in order → with each contact's position in its batch."""
    return rows.with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).over(BATCH).alias(POSITION))


def fold(
    rows: pl.DataFrame,
    verdicts: pl.DataFrame,
    settled: pl.Series,
    begun: pl.Series = _NO_BATCHES,
    *,
    origin: str,
    at: datetime,
) -> Folded:
    """`rows` of a plan with `batch`, whole batches; `verdicts` as in the journal.

    Only batches in `settled` are decided; of those in `begun` requests were made, and nothing is known.
    """
    decided = rows[BATCH].is_in(settled.implode())
    judged = _judged(rows if decided.all() else rows.filter(decided), verdicts)
    confirmed = pl.col("outcome").is_null() | (pl.col("outcome") == Outcome.CONFIRMED.value)
    left = (pl.col(OP) == Op.REMOVE.value) | (pl.col("code") == "gone")
    refused = judged.clear() if verdicts.is_empty() else judged.filter(~confirmed)
    granted = judged if refused.is_empty() else judged.filter(confirmed)
    gone = granted.filter(left.fill_null(value=False))
    present = granted if gone.is_empty() else granted.filter(~left.fill_null(value=False))
    return Folded(
        snapshot_rows(present, origin=origin, at=at),
        pl.concat([_all_keys(gone), replaced_keys(present)]),
        refused.select(KEY, ADDRESS, FINGERPRINT, "outcome", "code", "text"),
        pl.concat(
            [
                _all_keys(refused),  # too: an attempt before may have been applied
                _all_keys(rows.filter(pl.col(BATCH).is_in(begun.implode()))) if len(begun) else _NO_KEYS,
            ]
        ),
        gone.filter(pl.col(OP).is_in(_KEPT)).select(KEY, ADDRESS),
    )


def _judged(rows: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """Rows of whole batches with what became of each, null where it is plainly confirmed."""
    if verdicts.is_empty():
        return rows.with_columns(pl.lit(None, pl.String).alias(name) for name in ("outcome", "code", "text"))
    return with_positions(rows).join(verdicts, on=[BATCH, POSITION], how="left", maintain_order="left")


def snapshot_rows(changes: pl.DataFrame, *, origin: str, at: datetime) -> pl.DataFrame:
    """CHANGE rows that are on the list now, as SNAPSHOT."""
    told = {
        VARIABLES: pl.col(AFTER),
        ORIGIN: pl.lit(origin),
        CONFIRMED_AT: pl.lit(at).dt.convert_time_zone("UTC").dt.cast_time_unit("us"),
    }
    return changes.select(
        told.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in SNAPSHOT_SCHEMA.items()
    )


def _all_keys(changes: pl.DataFrame) -> pl.DataFrame:
    """KEY, KEY_HASH that contacts of CHANGE have, or had before."""
    return pl.concat([changes.select(KEY, KEY_HASH), replaced_keys(changes)]) if changes.height else _NO_KEYS


def replaced_keys(changes: pl.DataFrame) -> pl.DataFrame:
    """KEY, KEY_HASH that contacts of CHANGE had before."""
    replaced = changes[REPLACES].drop_nulls().alias(KEY)
    return pl.DataFrame([replaced, key_hashes(replaced)]) if len(replaced) else _NO_KEYS
