"""Rows set aside by key hash: in memory while they are few, on disk when they are many.

One partition is the unit of work of planning, so that memory does not grow with the source.
"""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.durable import make_private_folder, reserve
from syncengine.frames import KEY_HASH

MEMORY: Final = 32 * 1024 * 1024
"""Bytes of rows as polars estimates them, which leaves out 16 bytes a cell: contacts of 12 columns take 2.5 times that.
Kept up to 128 MB, a first load of a million peaked at 720 MB; to 32, a chunk of the source, at 490 in no more time."""
PARTITION: Final = 8 * 1024 * 1024  #: bytes of source a partition is meant for
MOST: Final = 256
MARKS: Final = 2_000_000  #: marks that are kept in memory
TOGETHER: Final = 4 * 1024 * 1024
"""Bytes of rows taken out at a time: partitions of few rows cost more than they save. Comparing rows with what the list
holds takes twenty times their bytes: a delta of 1 % of 10 M rows peaks at 560 MB with 8 of them, at 510 with 4."""

_PLAIN: Final = pl.CompatLevel.oldest()
"""Texts one behind the other. As polars has them they are views into the text of a whole chunk, and all of that is
written with each partition: of 140,000 rows in 128 partitions 407 MB in 3 s of CPU, where this is 27 MB in 0.2 s."""


def partitions_for(size: int) -> int:
    """How many partitions a source of `size` bytes is cut into: a power of two."""
    wanted = max(1, size // PARTITION)
    return min(MOST, 1 << (wanted - 1).bit_length())


def marks(size: int, kind: type[np.uint8 | np.uint32], file: Path) -> npt.NDArray[Any]:
    """A 0 for each of `size` things: in `file` where they are many, so that private memory does not grow with them.

    Raises OSError where the disk has no room for it.
    """
    if size <= MARKS:
        return np.zeros(size, kind)
    make_private_folder(file.parent)
    file.write_bytes(b"")
    reserve(file, size * np.dtype(kind).itemsize)
    return np.asarray(np.memmap(file, kind, "r+", shape=(size,)))  # itself: each access of a memmap makes another


class Spill:
    """Frames with a `key_hash`, put in by the chunk and taken out by the partition. Remove it with `close`.

    `memory` is how many bytes of rows are kept before they go to disk, `together` how many are taken out at a time if
    partitions are small.
    """

    def __init__(self, folder: Path, partitions: int, *, memory: int = MEMORY, together: int = TOGETHER) -> None:
        self._folder = folder
        self._memory = memory
        self.partitions = partitions
        self._together = together
        self._shift = 65 - partitions.bit_length()
        self._loose: list[pl.DataFrame] = []  # as they came, not yet cut into partitions
        self._loose_bytes = 0
        self._bytes = [0] * partitions
        self._written: list[list[int]] = [[] for _ in range(partitions)]  # bytes of each frame in a partition's file

    def append(self, rows: pl.DataFrame) -> None:
        """Set rows aside; order within a partition is kept."""
        if rows.is_empty():
            return
        self._loose_bytes += int(rows.estimated_size())
        if self._loose_bytes > self._memory:
            self._loose.append(rows)
            self._flush()
        else:
            self._loose.append(_for_itself(rows))

    def parts(self, *, keep: bool = False) -> Iterator[pl.DataFrame]:
        """The partitions that hold rows, by number, neighbours of few rows together, each whole; with `keep` they can
        be had once more.
        """
        in_files = any(self._written)
        if in_files and self._loose:
            self._flush()
        here = {} if in_files else self._cut()
        sizes = self._bytes if in_files else {number: frame.estimated_size() for number, frame in here.items()}
        if not keep:
            self._forget_loose()
        frames: list[pl.DataFrame] = []
        gathered = 0
        for number in range(self.partitions) if in_files else sorted(here):
            if frames and gathered + sizes[number] > self._together:
                yield pl.concat(frames)
                frames, gathered = [], 0
            frames += self._read(number) if in_files else [here.pop(number)]
            gathered += int(sizes[number])
        if frames:
            yield pl.concat(frames)

    def close(self) -> None:
        """Forget everything, files included."""
        self._forget_loose()
        self._written = [[] for _ in range(self.partitions)]
        shutil.rmtree(self._folder, ignore_errors=True)

    def _cut(self) -> dict[int, pl.DataFrame]:
        """What is in memory, by partition."""
        if not self._loose:
            return {}
        rows = pl.concat(self._loose)
        if self.partitions == 1:
            return {0: rows}
        part = (pl.col(KEY_HASH) // (1 << self._shift)).alias("part")
        cut = rows.with_columns(part).partition_by("part", as_dict=True, include_key=False, maintain_order=True)
        return {int(number): frame for (number,), frame in cut.items()}

    def _flush(self) -> None:
        make_private_folder(self._folder)
        for number, frame in self._cut().items():
            with self._file(number).open("ab") as file:
                self._written[number].append(file.write(_packed(frame, compression="lz4").getbuffer()))
            self._bytes[number] += int(frame.estimated_size())
        self._forget_loose()

    def _forget_loose(self) -> None:
        self._loose, self._loose_bytes = [], 0

    def _read(self, number: int) -> list[pl.DataFrame]:
        if not self._written[number]:
            return []
        with self._file(number).open("rb") as file:
            return [pl.read_ipc_stream(file.read(size)) for size in self._written[number]]

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:03}.arrows"


def _for_itself(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` with texts of their own: where few were picked out of many, all texts of the many would be kept for them.

    Of each chunk of 16 MB one row in a hundred: 9 MB a chunk without this, a third of one with it.
    """
    return pl.read_ipc_stream(_packed(rows, compression="uncompressed"))


def _packed(rows: pl.DataFrame, compression: Literal["lz4", "uncompressed"]) -> io.BytesIO:
    stream = io.BytesIO()
    rows.write_ipc_stream(stream, compression=compression, compat_level=_PLAIN)
    stream.seek(0)
    return stream
