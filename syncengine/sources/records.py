"""The records of a sound stretch as texts: told apart and hashed without being taken apart, or copied."""

from dataclasses import dataclass
from typing import Final

import nanoarrow
import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash  # noqa: F401  # registers the namespace `nchash`

from syncengine.sources.bitmap import Places
from syncengine.sources.prescan import Shape

_BYTES: Final = nanoarrow.large_binary()


@dataclass(frozen=True, slots=True)
class Records:
    """A stretch, the places in it where each record begins and the last one ends, and the line each begins on."""

    data: bytes
    edges: Places
    first_lines: npt.NDArray[np.uint64]

    def hashes(self) -> npt.NDArray[np.uint64]:
        """xxh3-64 of the bytes of each record, its line end among them."""
        # The array has the stretch itself for its text: having the lines cut out of it costs three times the hashing.
        texts = nanoarrow.c_array_from_buffers(_BYTES, self.first_lines.size, [None, self.edges, self.data])
        hashed = pl.Series(texts).to_frame("record").select(pl.col("record").nchash.xxh3_64())  # type: ignore[attr-defined]
        found: npt.NDArray[np.uint64] = hashed.to_series().to_numpy()
        return found

    def text(self, numbers: npt.NDArray[np.int64]) -> bytes:
        """The records with these numbers, in order, as a text of their own."""
        starts, stops = self.edges[numbers].tolist(), self.edges[numbers + 1].tolist()
        return b"".join([self.data[start:stop] for start, stop in zip(starts, stops, strict=True)])


def records_of(data: bytes, shape: Shape) -> Records:
    """The records of a sound stretch."""
    first_lines = np.arange(shape.records, dtype=np.uint64) if shape.starts is None else shape.starts
    return Records(data, shape.edges(), first_lines)
