"""What all tables that are not text share: names that are free, cells that are not too long."""

from collections.abc import Sequence

import polars as pl

from syncengine.sources.anatomy import Fault
from syncengine.sources.header import clean_header, free_name


def reserved_names(names: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The name each column gets in a chunk, cleaned as headers are, and a note for each that can't keep its own."""
    taken = {clean_header(name) for name in names}
    notes: list[str] = []
    return {name: free_name(clean_header(name), taken, notes) for name in names}, tuple(notes)


def hold_long_cells(rows: pl.DataFrame, cell_bytes: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`rows` without those that have a cell over the limit, and those as held rows.

    rows   `row`, then String columns
    held   `row`, `code`, `reason`, then the same columns, the long cells null
    """
    names = rows.columns[1:]
    longest = rows.select(pl.max_horizontal(0, *(pl.col(name).str.len_bytes().max() for name in names))).item()
    if longest <= cell_bytes:
        return rows, no_held(names)
    size = pl.max_horizontal(pl.col(name).str.len_bytes() for name in names)
    short = [pl.when(pl.col(name).str.len_bytes() <= cell_bytes).then(pl.col(name)).alias(name) for name in names]
    held = rows.filter(size > cell_bytes).select(
        "row",
        pl.lit(str(Fault.CELL)).alias("code"),
        pl.format("a cell of {} bytes; the limit is {}", size, cell_bytes).alias("reason"),
        *short,
    )
    return rows.filter((size <= cell_bytes).fill_null(value=True)), held


def no_held(names: Sequence[str]) -> pl.DataFrame:
    """No held rows, in the frame a chunk wants."""
    schema = {"row": pl.UInt64(), "code": pl.String(), "reason": pl.String()}
    return pl.DataFrame(schema={**schema, **dict.fromkeys(names, pl.String())})
