"""errors.csv: who was not sent or not confirmed, and why, with the row as it stands in the source.

    row, key, email, stage (held|rejected|unresolved), code, reason, <source columns>

Cells a spreadsheet would take for a formula are given a leading apostrophe (OWASP CSV injection).
"""

import csv
import io
import shutil
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import polars as pl

from syncengine.durable import drafted
from syncengine.fold import VERDICT_SCHEMA, with_positions
from syncengine.frames import BATCH, CODE, EMAIL, KEY, POSITION, REASON, ROW, SOURCE
from syncengine.frozen import FrozenPlan
from syncengine.guarded import guarded
from syncengine.model import Outcome

HEAD: Final = (ROW, KEY, EMAIL, "stage", CODE, REASON)

Verdicts = Sequence[tuple[int, int, str, str, str]]


def verdict_frame(verdicts: Verdicts) -> pl.DataFrame:
    """Verdicts of the journal as the frame `fold` takes."""
    return pl.DataFrame(list(verdicts), schema=VERDICT_SCHEMA, orient="row")


def write_errors(plan: FrozenPlan, verdicts: Verdicts, target: Path, columns: Sequence[str]) -> int:
    """Write errors.csv of a run; gives its number of rows. `columns` are the source's."""
    rows = 0
    with drafted(target) as draft, draft.open("wb") as file:
        file.write(_header(tuple(columns)))
        for entries in _entries(plan, verdict_frame(verdicts)):
            frame = _shaped(entries, columns)
            frame.write_csv(file, include_header=False)
            rows += frame.height
    return rows


def _entries(plan: FrozenPlan, verdicts: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """HELD rows and refused contacts with their `stage`, a file of the plan at a time."""
    for held in plan.held():
        yield held.with_columns(pl.lit("held").alias("stage"))
    if verdicts.is_empty():
        return
    refused = verdicts.filter(pl.col("outcome") != Outcome.CONFIRMED.value)
    for wave in plan.waves:
        last = wave.first_batch + wave.batches
        mine = refused.filter(pl.col(BATCH).is_between(wave.first_batch, last, closed="left"))
        if mine.is_empty():
            continue
        for rows in plan.slices(wave):
            told = with_positions(rows).join(mine, on=[BATCH, POSITION], how="inner", maintain_order="left")
            if not told.is_empty():
                yield told.with_columns(
                    pl.col("outcome").alias("stage"),
                    pl.when(pl.col("text") != "").then("text").otherwise("code").alias(REASON),
                )


def _shaped(entries: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The columns of errors.csv, named by place: a source may have a column `email` of its own."""
    has_source = entries.schema[SOURCE] != pl.Null
    cells = [pl.col(SOURCE).struct.field(column) if has_source else pl.lit(None, pl.String) for column in columns]
    return entries.select(
        pl.col(ROW).cast(pl.UInt64),
        *(guarded(pl.col(name)).alias(name) for name in HEAD[1:]),
        *(guarded(cell).alias(f"source:{number}") for number, cell in enumerate(cells)),
    )


@lru_cache(maxsize=8)
def _header(columns: tuple[str, ...]) -> bytes:
    """The names of the columns. The source's are as strange as its cells."""
    own = pl.DataFrame({"name": columns}, schema={"name": pl.String}).select(guarded(pl.col("name"))).to_series()
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow((*HEAD, *own))
    return line.getvalue().encode()


def keep_copy(source: Path, target: Path) -> None:
    """The errors of a run that found nothing new are those of the run before."""
    if source.is_file():
        shutil.copyfile(source, target)
        target.chmod(0o600)
