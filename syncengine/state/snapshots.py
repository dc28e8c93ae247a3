"""Snapshot files: immutable, sorted by key hash, written whole or not at all.

    snapshot-<n>.parquet   all of a list (SNAPSHOT), merged range by range of the key hash, so that memory does not grow
                           with it
    changes-<n>.parquet    what generation n changed in the one before: SNAPSHOT rows, with `gone` for who left the list

A few changes are written by themselves. All is merged into a new snapshot when they are no longer few, and when one is
about a contact whose key has the same hash as another's: by the hash alone it could not be told which it replaces.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import polars as pl
from polars.io.plugins import register_io_source

from syncengine.durable import drafted
from syncengine.errors import InternalError
from syncengine.frames import FINGERPRINT, GONE, KEY, KEY_HASH, SNAPSHOT_SCHEMA, collected
from syncengine.ports import Changes
from syncengine.snapshot import NO_ROWS, FrameSnapshot
from syncengine.sorted_hashes import UNKNOWN

ROWS_PER_RANGE: Final = 200_000
ROWS_PER_GROUP: Final = 100_000
_HASHES: Final = 1 << 64
_KEYS: Final = pl.Schema({KEY: pl.String(), KEY_HASH: pl.UInt64()})


def merge(target: Path, old: pl.LazyFrame, changes: Changes, *, rows: int) -> int:
    """Write `target`: `old` without the removed and replaced keys, plus the upserts; gives its number of rows.

    rows   upper bound of the rows of the result; decides how many ranges it takes
    """
    new = pl.concat([*changes.upserts, NO_ROWS])
    left = pl.concat([new.select(KEY, KEY_HASH), *(frame.select(KEY, KEY_HASH) for frame in changes.removed)])
    renewed = [frame.select(KEY, KEY_HASH, pl.col(FINGERPRINT).alias("renewed")) for frame in changes.renewed]
    ranges = max(1, -(-rows // ROWS_PER_RANGE))
    edges = [number * _HASHES // ranges for number in range(ranges)] + [_HASHES]
    fresh = pl.concat(renewed) if renewed else None
    queries = (_sorted_range(old, new, left, fresh, low, high - 1) for low, high in itertools.pairwise(edges))
    pieces = (collected(query, rows=rows) for query in queries)
    with drafted(target) as draft:
        return write_pieces(draft, pieces)


def _sorted_range(
    base: pl.LazyFrame, new: pl.LazyFrame, left: pl.LazyFrame, renewed: pl.LazyFrame | None, low: int, high: int
) -> pl.LazyFrame:
    inside = pl.col(KEY_HASH).is_between(pl.lit(low, pl.UInt64), pl.lit(high, pl.UInt64))
    kept = base.filter(inside).join(left.filter(inside), on=[KEY_HASH, KEY], how="anti")
    if renewed is not None:
        kept = kept.join(renewed.filter(inside), on=[KEY_HASH, KEY], how="left").with_columns(
            pl.coalesce("renewed", FINGERPRINT).alias(FINGERPRINT)
        )
    return pl.concat([kept.select(SNAPSHOT_SCHEMA.names()), new.filter(inside)]).sort(KEY_HASH, KEY)


def rows_in(frames: Iterable[pl.LazyFrame]) -> int:
    """How many rows frames have together; of files their footers are read."""
    return sum(int(frame.select(pl.len()).collect(engine="in-memory").item()) for frame in frames)


def few_changes(old: FrameSnapshot, changes: Changes, *, most: int) -> pl.DataFrame | None:
    """`changes` as rows of a file of their own, or None if they are more than `most`, or can't be told apart."""
    keyed = [frame.select(KEY, KEY_HASH) for frame in (*changes.upserts, *changes.removed, *changes.renewed)]
    if rows_in(keyed) > most:
        return None
    asked = pl.concat(keyed).collect().unique()
    there = old.keys_of(asked[KEY_HASH].to_numpy())
    if pl.concat([asked, there]).unique().get_column(KEY_HASH).is_duplicated().any():
        return None
    new = pl.concat([*changes.upserts, NO_ROWS]).collect()
    removed = pl.concat([pl.LazyFrame(schema=_KEYS), *(frame.select(KEY, KEY_HASH) for frame in changes.removed)])
    gone = removed.collect().unique().join(there, on=_KEYS.names(), how="semi").join(new, on=_KEYS.names(), how="anti")
    left = pl.concat([new.select(_KEYS.names()), gone])
    again = _renewed(old, changes, left)
    return pl.concat(
        [
            pl.concat([new, again]).with_columns(pl.lit(value=False).alias(GONE)),
            gone.with_columns(pl.lit(value=True).alias(GONE)),
        ],
        how="diagonal",
    ).sort(KEY_HASH)


def added(old: FrameSnapshot, few: pl.DataFrame) -> int:
    """How many contacts more the list has after these changes; less than 0 where it has fewer."""
    known = old.recognise(few[KEY_HASH].to_numpy(), few[FINGERPRINT].fill_null(0).to_numpy()).positions != UNKNOWN
    return int(few.filter(~pl.Series(known) & ~few[GONE]).height) - int(few[GONE].sum())


def _renewed(old: FrameSnapshot, changes: Changes, left: pl.DataFrame) -> pl.DataFrame:
    """SNAPSHOT rows of contacts of which the fingerprint alone is new."""
    if not changes.renewed:
        return pl.DataFrame(schema=SNAPSHOT_SCHEMA)
    told = pl.concat([frame.select(KEY, KEY_HASH, pl.col(FINGERPRINT).alias("renewed")) for frame in changes.renewed])
    renewed = told.collect().join(left, on=_KEYS.names(), how="anti")
    rows = old.rows_of(renewed[KEY_HASH].to_numpy()).join(renewed, on=_KEYS.names(), how="inner")
    return rows.with_columns(pl.col("renewed").alias(FINGERPRINT)).select(SNAPSHOT_SCHEMA.names())


def write_pieces(draft: Path, pieces: Iterable[pl.DataFrame]) -> int:
    """SNAPSHOT rows into one file, a piece in memory at a time; gives their number.

    lz4, not zstd: a third more bytes, and fetching one row in a hundred costs 0.6 of the CPU.
    """
    total = 0

    def told(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        nonlocal total
        if columns is not None or predicate is not None or rows is not None:
            raise InternalError("a snapshot is written whole", why=f"{columns} {predicate} {rows} {size}")
        for piece in pieces:
            total += piece.height
            yield piece

    source = register_io_source(told, schema=SNAPSHOT_SCHEMA, validate_schema=True)
    source.sink_parquet(draft, compression="lz4", row_group_size=ROWS_PER_GROUP, maintain_order=True)
    return total
