"""Rows for people's programs: CSV (guarded against spreadsheets' formulas), Parquet or JSON, whole or absent."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from syncengine.durable import drafted
from syncengine.errors import ConfigError
from syncengine.guarded import guarded

SUFFIXES: Final = (".csv", ".parquet", ".json")
Schema = Mapping[str, pl.DataType | type[pl.DataType]]


def checked_target(target: str) -> Path:
    """A file to be written, by its suffix. Raises ConfigError before any work is done for it."""
    path = Path(target).absolute()
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{target}: in which form?",
            why="the name says it: .csv, .parquet or .json",
            fix=f"--out {path.stem}.csv",
            code="out-format",
        )
    if not path.parent.is_dir():
        raise ConfigError(
            f"{target}: there is no folder {path.parent}", fix=f"mkdir -p {path.parent}", code="out-folder"
        )
    return path


def write_rows(target: Path, rows: Sequence[dict[str, Any]], schema: Schema) -> None:
    """`rows` in the form that the suffix of `target` names."""
    with drafted(target) as draft:
        if target.suffix.lower() == ".json":
            with draft.open("w", encoding="utf-8") as out:
                json.dump(list(rows), out, ensure_ascii=False, default=str, indent=1)
                out.write("\n")
            return
        frame = pl.DataFrame(rows, schema=dict(schema))
        if target.suffix.lower() == ".parquet":
            frame.write_parquet(draft)
        else:
            texts = [name for name, kind in frame.schema.items() if kind == pl.String]
            frame.with_columns(guarded(pl.col(name)).alias(name) for name in texts).write_csv(draft)
