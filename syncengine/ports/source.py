"""What a source gives."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.row_memory import Recollection

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Recalled:
    """A chunk of which some rows were read in an earlier run, and are not in its `rows`.

    hashes   of the bytes of every row, in file order
    known    which of them were read before, and what they meant then
    parse    the rows at these places in the chunk, as `Chunk.rows` would have them
    """

    hashes: Hashes
    known: Recollection
    parse: Callable[[npt.NDArray[np.int64]], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of one file of the source, in file order.

    rows   `row` UInt64, then every source column as String, headers as spelled; an empty cell is null
    held   `row` UInt64, `code` String, `reason` String, then the source columns as far as they could be read

    `row` is the line on which the row starts, the header being line 1; in Parquet and Excel it is the
    number a spreadsheet shows. A row is in exactly one of the two frames. `plain` says that no cell can hold a
    control character (besides tab and line ends), so that nobody needs to look for one.
    """

    file: str
    rows: pl.DataFrame
    held: pl.DataFrame
    plain: bool = False
    recalled: Recalled | None = None


TIMES_PACKED: Final = 6  #: 1.2 GB of contacts are 0.2 as Parquet packed by zstd, 0.3 gzipped


@dataclass(frozen=True, slots=True)
class Description:
    """How a source was understood: shown by `plan` and `inspect` so that a wrong guess is seen."""

    files: tuple[str, ...]
    size: int  #: bytes on disk, all files
    format: str  #: "csv", "parquet", "xlsx", "html"
    facts: Mapping[str, str] = field(default_factory=dict)  #: encoding, separator, … → what was found, and how
    warnings: tuple[str, ...] = ()

    @property
    def unpacked_size(self) -> int:
        """About how many bytes it would have as text."""
        is_packed = self.format in {"parquet", "xlsx"} or "packed" in self.facts
        return self.size * TIMES_PACKED if is_packed else self.size


class Source(Protocol):
    """Where contacts come from. Reading it twice gives the same rows, or raises."""

    @property
    def name(self) -> str:
        """As the user wrote it, for messages."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Headers after hygiene, in file order, unique."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """All rows, once, in bounded memory. Raises SourceError, at the latest at the end if the source changed."""
        ...

    def digest(self) -> str:
        """`algorithm:hex` over the bytes of all files, without parsing. Equal digests mean equal rows."""
        ...

    def describe(self) -> Description:
        """What the source looks like; complete after `chunks` was exhausted."""
        ...

    def verify_unchanged(self) -> None:
        """Raises SourceError if the files are no longer those that were opened."""
        ...


@runtime_checkable
class RecallsRows(Protocol):
    """A source that can tell rows apart by their bytes, without taking them apart."""

    @property
    def reading(self) -> str:
        """How text becomes cells: rows with equal bytes are equal under equal readings. Empty: it can't tell."""
        ...

    def chunks_but(self, recall: Callable[[Hashes], Recollection]) -> Iterator[Chunk]:
        """As `chunks`; where a chunk has `recalled`, rows that `recall` knows are left out of its `rows`.

        Such a chunk has no `held`. `recall` is asked with the hashes of the rows of a chunk.
        """
        ...
