"""What a first sync with a mapping would hold, row by row, counted in bounded memory."""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from syncengine.frames import ACTIVE, CODE, KEY_HASH, REASON, ROW, source_column
from syncengine.normalise.mapping import Mapping, Several
from syncengine.normalise.rows import normalise, opted_out
from syncengine.ports import Chunk, Source
from syncengine.spill import Spill
from syncengine.spread_rows import SpreadRows

_FIRST: Final = 3  #: rows named of each code
_ROWS_A_PART: Final = 1 << 20  #: rows that are compared with each other at a time
MEMORY: Final = 32 << 20  #: bytes of them kept before they go to disk: a million rows
_MOST_PARTS: Final = 256
_LEFT: Final = "left"


@dataclass(slots=True)
class HeldRows:
    """Rows held for one code: how many, the first of them, and why the first of all."""

    count: int = 0
    first: tuple[int, ...] = ()
    reason: str = ""

    def note(self, count: int, first: Sequence[int], reason: str) -> None:
        """`count` more rows, the `first` of them by their line."""
        self.reason = reason if not self.first or min(first) < self.first[0] else self.reason
        self.count += count
        self.first = tuple(sorted({*self.first, *first}))[:_FIRST]


class Held(defaultdict[str, HeldRows]):
    """Code → the rows held for it."""

    def __init__(self) -> None:
        super().__init__(HeldRows)

    def note(self, rows: pl.DataFrame) -> None:
        """Count `rows` (`row`, `code`, `reason`) by their code."""
        first = pl.col(ROW).unique().sort().head(_FIRST)  # several files, or cells, may share a line
        why = pl.col(REASON).sort_by(ROW).first()
        by_code = rows.group_by(CODE, maintain_order=True).agg(pl.len().alias("count"), first, why)
        for code, count, lines, reason in by_code.select(CODE, "count", ROW, REASON).iter_rows():
            self[code].note(count, lines, reason)


def count_held(
    source: Source, mapping: Mapping, rows: int, held: Held, pulse: Callable[[], None], *, memory: int = MEMORY
) -> None:
    """Add to `held` what a first sync of `source` would hold, besides the rows that can't be read.

    Which row of a contact counts is told as by default: the last. `rows` is how many the source has; what is to be
    compared goes to disk when it takes more than `memory` bytes.
    """
    if mapping.email.several is Several.ALL:
        source = SpreadRows(source, mapping.email.columns)
    with _aside(rows, memory) as aside:
        for chunk in source.chunks():
            pulse()
            found = _normalised(chunk, source.columns, mapping)
            held.note(found.filter(pl.col(CODE).is_not_null()))
            aside.append(_compared(found.filter(pl.col(CODE).is_null()), mapping))
        for part in aside.parts():
            _note_contacts(part, held)


@contextmanager
def _aside(rows: int, memory: int) -> Iterator[Spill]:
    parts = min(_MOST_PARTS, 1 << max(0, rows // _ROWS_A_PART).bit_length())
    with tempfile.TemporaryDirectory(prefix="syncengine-") as folder:  # 0700 by itself
        yield Spill(Path(folder) / "rows", parts, memory=memory)


def _compared(rows: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    """KEY_HASH, `row`, and in `left` why the person opted out, null where they did not."""
    why = opted_out(mapping.opt_outs, pl.col("source").struct.field) if mapping.opt_outs else pl.lit(None, pl.String)
    return rows.select(KEY_HASH, ROW, pl.when(~pl.col(ACTIVE)).then(why).alias(_LEFT))


def _note_contacts(rows: pl.DataFrame, held: Held) -> None:
    """Rows that lose against another of the same contact, and contacts who left by any of their rows."""
    wins = rows[KEY_HASH].is_last_distinct()
    losers, winners = rows.filter(~wins), rows.filter(wins)
    if losers.height:
        held.note(_as(losers, "duplicate", pl.lit("the same contact is in a later row, which is taken")))
        left = losers.filter(pl.col(_LEFT).is_not_null()).unique(KEY_HASH, keep="first", maintain_order=True)
        winners = winners.join(left.select(KEY_HASH, pl.col(_LEFT).alias("before")), on=KEY_HASH, how="left")
        winners = winners.with_columns(pl.coalesce(_LEFT, "before").alias(_LEFT))
    held.note(_as(winners.filter(pl.col(_LEFT).is_not_null()), "opted-out", pl.col(_LEFT)))


def _as(rows: pl.DataFrame, code: str, reason: pl.Expr) -> pl.DataFrame:
    return rows.select(ROW, pl.lit(code).alias(CODE), reason.alias(REASON))


def _normalised(chunk: Chunk, columns: tuple[str, ...], mapping: Mapping) -> pl.DataFrame:
    raw = chunk.rows.select(
        pl.int_range(pl.len(), dtype=pl.UInt64).alias("ordinal"),
        ROW,
        *(pl.col(column).alias(source_column(column)) for column in columns),
    )
    return normalise(raw.lazy(), mapping, columns=columns, plain=chunk.plain).collect()
