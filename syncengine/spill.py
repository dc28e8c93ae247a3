"""Rows set aside by key hash: in memory while they are few, on disk when they are many.

One partition is the unit of work of planning, so that memory does not grow with the source.
"""

import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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

FRAMES: Final = 32
"""Frames that rows are written in at first: while they are not many, neighbouring partitions share one. 200,000 rows of
10 M would be 512 frames in 256 partitions: 1.4 s of CPU to write and read, where these 64 take 1.0."""
SHARED: Final = 4  #: times that rows are written so; before a partition is read what it shares is cut, in memory

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


@dataclass(slots=True)
class _Shelf:
    """Frames on disk: those of `width` neighbouring partitions in one file, under the number of the first."""

    folder: Path
    width: int
    sizes: dict[int, list[int]] = field(default_factory=dict)  #: bytes of each frame in a file

    def put(self, number: int, frame: pl.DataFrame) -> None:
        with self._file(number).open("ab") as file:
            written = file.write(_packed(frame, compression="lz4").getbuffer())
        self.sizes.setdefault(number, []).append(written)

    def frames(self, number: int) -> list[pl.DataFrame]:
        if number not in self.sizes:
            return []
        with self._file(number).open("rb") as file:
            return [pl.read_ipc_stream(file.read(size)) for size in self.sizes[number]]

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:03}-{self.width}.arrows"


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
        self._bytes = [0.0] * partitions  # on disk
        self._flushes = 0
        self._shared = _Shelf(folder, max(1, partitions // FRAMES))
        self._own = self._shared if self._shared.width == 1 else _Shelf(folder, 1)

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
        if self._flushes:
            if self._loose:
                self._flush()
            width = self._own.width if self._own.sizes else self._shared.width
            sizes = [sum(self._bytes[number : number + width]) for number in range(0, self.partitions, width)]
            yield from self._neighbours(sizes, self._read(width))
        elif self._loose:
            here = self._cut(self._loose, 1)
            if not keep:
                self._forget_loose()
            sizes = [here[number].estimated_size() if number in here else 0 for number in range(self.partitions)]
            yield from self._neighbours(sizes, ([here.pop(n)] if n in here else [] for n in range(self.partitions)))

    def _neighbours(self, sizes: Sequence[float], partitions: Iterator[list[pl.DataFrame]]) -> Iterator[pl.DataFrame]:
        """`partitions` of these sizes, each of them one frame, or several in one frame if they are small."""
        frames: list[pl.DataFrame] = []
        gathered = 0.0
        for size in sizes:
            if frames and gathered + size > self._together:
                yield pl.concat(frames)
                frames, gathered = [], 0.0
            frames += next(partitions)
            gathered += size
        if frames:
            yield pl.concat(frames)

    def _read(self, width: int) -> Iterator[list[pl.DataFrame]]:
        """The frames of so many partitions at a time."""
        cut: dict[int, pl.DataFrame] = {}
        for number in range(0, self.partitions, width):
            if width == self._shared.width:
                yield self._shared.frames(number)
                continue
            if number % self._shared.width == 0:
                shared = self._shared.frames(number)
                cut = self._cut(shared, 1) if shared else {}
            mine = [cut.pop(number)] if number in cut else []
            yield mine + self._own.frames(number)

    def close(self) -> None:
        """Forget everything, files included."""
        self._forget_loose()
        self._flushes = 0
        shutil.rmtree(self._folder, ignore_errors=True)

    def _cut(self, frames: list[pl.DataFrame], width: int) -> dict[int, pl.DataFrame]:
        """Rows by partition, or by so many neighbouring ones, under the number of the first."""
        rows = pl.concat(frames)
        if self.partitions == width:
            return {0: rows}
        part = (pl.col(KEY_HASH) // (width << self._shift) * width).alias("part")
        cut = rows.with_columns(part).partition_by("part", as_dict=True, include_key=False, maintain_order=True)
        return {int(number): frame for (number,), frame in cut.items()}

    def _flush(self) -> None:
        make_private_folder(self._folder)
        shelf = self._shared if self._flushes < SHARED else self._own
        for number, frame in self._cut(self._loose, shelf.width).items():
            shelf.put(number, frame)
            for one in range(number, number + shelf.width):
                self._bytes[one] += frame.estimated_size() / shelf.width
        self._flushes += 1
        self._forget_loose()

    def _forget_loose(self) -> None:
        self._loose, self._loose_bytes = [], 0


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
