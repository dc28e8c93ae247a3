"""Parquet files, in windows of rows, each cell as text (see `as_text`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from syncengine.errors import SourceError
from syncengine.ports import Chunk
from syncengine.sources.as_text import flat_names, text_columns
from syncengine.sources.cells import hold_long_cells, reserved_names
from syncengine.sources.header import clean_header, too_many
from syncengine.sources.options import SourceOptions
from syncengine.sources.panics import polars_errors

_FIX: Final = "export or copy the file again; a damaged or encrypted one is never used in part"
_WINDOW_CHUNKS: Final = 8  #: keeps a huge row group from being held whole: 290 MB instead of 710 for 10 M rows
_MAX_ROWS: Final = 200_000
_TRIAL_ROWS: Final = 1_000


class ParquetTable:
    """A Parquet file. Page checksums are not verified by polars: only the digest tells a flipped bit."""

    format = "parquet"

    def __init__(self, path: Path, options: SourceOptions, *, shown: str, packed: str) -> None:
        """Raises SourceError if the file is truncated, foreign or encrypted, or has no column that can be read."""
        self._path = path
        self._shown = shown
        self._packed = packed
        self._cell_bytes = options.max_cell_bytes
        with polars_errors(shown, fix=_FIX):
            schema = pl.read_parquet_schema(path)
            self._height = int(self._scan().select(pl.len()).collect().item())
        self._refuse(flat_names(schema), options.max_columns)
        self._text, self._left_out = text_columns(schema)
        self._names, self._notes = reserved_names(list(self._text))
        with polars_errors(shown, fix=_FIX):
            trial = self._scan().head(_TRIAL_ROWS).collect()
        row_bytes = max(16, int(trial.estimated_size()) // max(1, trial.height))
        self._chunk_rows = max(1_000, min(_MAX_ROWS, options.chunk_bytes // row_bytes))

    @property
    def shown(self) -> str:
        return self._shown

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self._names.values())

    def chunks(self) -> Iterator[Chunk]:
        """Row 2 is the first: the names would be row 1 of a spreadsheet."""
        batches = self._batches()
        row = 2
        while (batch := self._next(batches)) is not None:
            numbers = pl.int_range(row, row + batch.height, dtype=pl.UInt64, eager=True).alias("row")
            row += batch.height
            rows, held = hold_long_cells(batch.insert_column(0, numbers), self._cell_bytes)
            yield Chunk(self._shown, rows, held)
        if row - 2 != self._height:
            raise SourceError(
                f"{self._shown} gave {row - 2:,} rows", why=f"it says it has {self._height:,}", fix=_FIX, code="damaged"
            )

    def facts(self) -> dict[str, str]:
        facts = {"rows": f"{self._height:,}"}
        return facts | ({"packed": self._packed} if self._packed else {})

    def warnings(self) -> tuple[str, ...]:
        left_out = [f"column {name!r} is left out: {dtype} has no text form" for name, dtype in self._left_out.items()]
        return (*self._notes, *left_out)

    def _scan(self) -> pl.LazyFrame:
        return pl.scan_parquet(self._path, glob=False, hive_partitioning=False)

    def _batches(self) -> Iterator[pl.DataFrame]:
        cells = [text.alias(self._names[name]) for name, text in self._text.items()]
        window = self._chunk_rows * _WINDOW_CHUNKS
        for start in range(0, self._height, window):
            rows = self._scan().slice(start, window).select(cells)
            yield from rows.collect_batches(chunk_size=self._chunk_rows, maintain_order=True)

    def _next(self, batches: Iterator[pl.DataFrame]) -> pl.DataFrame | None:
        with polars_errors(self._shown, fix=_FIX):
            return next(batches, None)

    def _refuse(self, names: list[str], max_columns: int) -> None:
        if len(names) > max_columns:
            raise too_many(len(names), shown=self._shown, max_columns=max_columns)
        cleaned = [clean_header(name) for name in names]
        repeated = next((name for position, name in enumerate(cleaned) if name in cleaned[:position]), None)
        if repeated is not None:
            raise SourceError(
                f"{self._shown}: the column {repeated!r} is there twice",
                why="two columns differ in blanks only, or a field of a struct has the name of another column",
                fix="rename one of them where the file is written",
                code="header-duplicate",
            )
        if not all(cleaned):
            raise SourceError(
                f"{self._shown} has a column without a name, or none at all",
                fix="name the columns where the file is written",
                code="header-empty",
            )
