"""Rows set aside by key hash: in memory while they are few, on disk when they are many.

One partition, or a piece of one that is too large, is the unit of work of planning, so that memory does not grow with
the source. All rows of one key hash come out together.
"""

import io
import math
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.durable import make_private_folder, reserve
from syncengine.frames import KEY_HASH

MEMORY: Final = 16 * 1024 * 1024
"""Bytes of rows as polars estimates them, which leaves out 16 bytes a cell: contacts of 12 columns take 2.5 times that.
Kept up to 128 MB, a first load of a million peaked at 720 MB, up to 32 at 490; a delta of 30 M rows peaked at 530 with
32 and at 460 with 16. All in the same time."""
BY_THEMSELVES: Final = 0.5  #: share of that: rows of more are neither copied nor joined with others
PARTITION: Final = 8 * 1024 * 1024  #: bytes of source a partition is meant for
MOST: Final = 512
MARKS: Final = 2_000_000  #: marks that are kept in memory
TOGETHER: Final = 4 * 1024 * 1024
"""Bytes of rows taken out at a time: partitions of few rows cost more than they save. Comparing rows with what the list
holds takes twenty times their bytes: a delta of 1 % of 10 M rows peaks at 560 MB with 8 of them, at 510 with 4."""

LARGE: Final = 20 * 1024 * 1024
"""Bytes of a partition that is cut further, in memory: of 60 M rows one has 35 MB, and of a packed source there is no
telling. Uncut, a first load of 30 M rows in partitions of 34 MB peaked at 670 MB."""

FRAMES: Final = 32
"""Frames that rows are written in at first: while they are not many, neighbouring partitions share one. Of 200,000 rows
of 10 M, 512 frames in 256 partitions took 1.4 s of CPU to write and read, and 64 of these 1.0."""
SHARED: Final = 8  #: times that rows are written so; before a partition is read what it shares is cut, in memory
UNPACKED: Final = 512 * 1024 * 1024
"""Bytes of rows that are not packed: of a million rows they are 0.5 GB on disk, packed 0.1 in three times the CPU."""

_PLAIN: Final = pl.CompatLevel.oldest()
"""Texts one behind the other. As polars has them they are views into the text of a whole chunk, and all of that is
written with each partition: of 140,000 rows in 128 partitions 407 MB in 3 s of CPU, where this is 27 MB in 0.2 s, both
packed by lz4."""


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

    def put(self, number: int, frame: pl.DataFrame, *, pack: bool) -> None:
        sizes = self.sizes.setdefault(number, [])
        with self._file(number).open("ab") as file:
            _stream(frame, file, compression="zstd" if pack else "uncompressed")
            sizes.append(os.fstat(file.fileno()).st_size - sum(sizes))

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
    partitions are small, `unpacked` from how many on disk they are packed, `large` of how many a partition is cut.
    """

    def __init__(
        self,
        folder: Path,
        partitions: int,
        *,
        memory: int = MEMORY,
        together: int = TOGETHER,
        unpacked: int = UNPACKED,
        large: int = LARGE,
    ) -> None:
        self._folder = folder
        self._memory = memory
        self._unpacked = unpacked
        self._large = large
        self.partitions = partitions
        self._together = min(together, large)
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
        size = int(rows.estimated_size())
        are_many = size > self._memory * BY_THEMSELVES
        if self._loose and (are_many or self._loose_bytes + size > self._memory):
            self._flush()
        if are_many and (self._flushes or size > self._memory):
            self._write([rows])  # all of a chunk, or nearly: joined with others, or copied, they would be there twice
            return
        self._loose.append(rows if are_many else _for_itself(rows))
        self._loose_bytes += size

    def parts(self, *, keep: bool = False) -> Iterator[pl.DataFrame]:
        """The partitions that hold rows, by number: neighbours of few rows together, one of too many in pieces. With
        `keep` they can be had once more.
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
                yield _as_one(frames)
                frames, gathered = [], 0.0
            if size > self._large:
                yield from self._pieces(next(partitions), size)
                continue
            frames += next(partitions)
            gathered += size
        if frames:
            yield _as_one(frames)

    def _pieces(self, frames: list[pl.DataFrame], size: float) -> Iterator[pl.DataFrame]:
        """A partition in pieces, each of those of the next bits of their hash."""
        bits = min(math.ceil(math.log2(size / self._large)), self._shift)
        number = (pl.col(KEY_HASH) // (1 << (self._shift - bits))).alias("piece")
        pieces: defaultdict[int, list[pl.DataFrame]] = defaultdict(list)
        while frames:  # some at a time: cut all at once they would be there twice
            cut = pl.concat(frames[:FRAMES]).with_columns(number).partition_by("piece", as_dict=True, include_key=False)
            del frames[:FRAMES]
            for (piece,), frame in cut.items():
                pieces[piece].append(frame)
        for piece in sorted(pieces):
            yield _as_one(pieces.pop(piece))

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
        self._write(self._loose)
        self._forget_loose()

    def _write(self, frames: list[pl.DataFrame]) -> None:
        make_private_folder(self._folder)
        shelf = self._shared if self._flushes < SHARED else self._own
        pack = sum(self._bytes) > self._unpacked
        for number, frame in self._cut(frames, shelf.width).items():
            shelf.put(number, frame, pack=pack)
            for one in range(number, number + shelf.width):
                self._bytes[one] += frame.estimated_size() / shelf.width
        self._flushes += 1

    def _forget_loose(self) -> None:
        self._loose, self._loose_bytes = [], 0


def _as_one(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """`frames` in one chunk: 120 pieces of 300 rows, as they were put in, took three times as long to compare."""
    return pl.concat(frames).rechunk()  # asked to rechunk, `concat` gives a single frame back as it is


def _for_itself(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` with texts of their own: where few were picked out of many, all texts of the many would be kept for them.

    Of each chunk of 16 MB one row in a hundred: 9 MB a chunk without this, a third of one with it.
    """
    stream = io.BytesIO()
    _stream(rows, stream, compression="uncompressed")
    stream.seek(0)
    return pl.read_ipc_stream(stream)


def _stream(rows: pl.DataFrame, into: IO[bytes], compression: Literal["zstd", "uncompressed"]) -> None:
    rows.write_ipc_stream(into, compression=compression, compat_level=_PLAIN)
