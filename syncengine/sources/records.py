"""The records of a sound stretch as texts: told apart and hashed without being taken apart."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash  # noqa: F401  # registers the namespace `nchash`

from syncengine.sources.prescan import Shape

_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_STEP: Final = np.uint64(0xC2B2AE3D27D4EB4F)


@dataclass(frozen=True, slots=True)
class Records:
    """The lines of a stretch, and the line each record starts on; None: each line is a record."""

    lines: pl.Series
    starts: npt.NDArray[np.uint64] | None

    @property
    def first_lines(self) -> npt.NDArray[np.uint64]:
        return np.arange(len(self.lines), dtype=np.uint64) if self.starts is None else self.starts

    def hashes(self) -> npt.NDArray[np.uint64]:
        """xxh3-64 of each line; those of a record of several lines joined, each by its place."""
        hashed: npt.NDArray[np.uint64] = (
            self.lines.to_frame("line").select(pl.col("line").nchash.xxh3_64()).to_series().to_numpy()  # type: ignore[attr-defined]
        )
        if self.starts is None or self.starts.size == hashed.size:
            return hashed * _ODD
        starts = self.starts.astype(np.int64)
        spans = np.diff(starts, append=hashed.size)
        place = (np.arange(hashed.size) - np.repeat(starts, spans)).astype(np.uint64)
        return np.add.reduceat((hashed ^ (place * _STEP)) * _ODD, starts)

    def text(self, numbers: npt.NDArray[np.int64]) -> bytes:
        """The records with these numbers, in order, as a text of their own."""
        if self.starts is not None:
            starts = self.starts.astype(np.int64)
            spans = np.diff(starts, append=len(self.lines))[numbers]
            first = np.repeat(starts[numbers] - np.cumsum(spans) + spans, spans)
            numbers = first + np.arange(first.size)
        return "\n".join([*self.lines.gather(numbers).to_list(), ""]).encode()


def records_of(data: bytes, shape: Shape) -> Records | None:
    """The records of a sound stretch, or None where polars does not find its lines."""
    body = data if shape.end == len(data) else data[: shape.end]
    try:
        if shape.starts is not None and b"\r" in body:  # within a cell it must stay; `scan_lines` is ten times as fast
            lines = pl.Series([body.decode()]).str.split("\n").explode().head(shape.lines)
        else:
            lines = pl.scan_lines(body).collect().to_series()
    except (pl.exceptions.PolarsError, UnicodeDecodeError):  # invalid UTF-8: found, and told, on the usual way
        return None
    if len(lines) != shape.lines:
        return None
    return Records(lines, shape.starts)
