"""The bytes of one text, whatever they are wrapped in: a file, a compressed file, a member of a zip.

`RawBytes` gives them in stretches; `Content` says where they come from and opens them anew for each pass.
"""

import bz2
import gzip
import importlib
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from io import BufferedReader
from typing import Final, Protocol, assert_never

from syncengine.errors import SourceError
from syncengine.sources.files import LocalFile, changed, reading
from syncengine.sources.options import MIB

AHEAD: Final = 64 << 10  #: the last stretch is never shorter than this, so that a footer is never cut in two
ZSTD_WINDOW_LOG: Final = 27  #: 128 MiB, `zstd --long`; more would be memory the file decides about
RATIO_FROM: Final = 64 * MIB  #: below this a bomb does no harm, and a column of zeros may honestly shrink 1,000 to 1


class RawBytes(Protocol):
    """One pass over the bytes of a text."""

    @property
    def ended(self) -> bool:
        """Whether the last stretch was the last."""
        ...

    def take(self, unread: int) -> bytes:
        """The next stretch, beginning with the last `unread` bytes of the one before; empty at the end."""
        ...

    def skip(self, count: int) -> None:
        """Leave out the next `count` bytes; only before the first `take`."""
        ...


class Content(Protocol):
    """Where the bytes of a text come from."""

    @property
    def shown(self) -> str: ...

    @property
    def wrapping(self) -> str:
        """`""`, or how the text is packed: "gzip", "zip member" …"""
        ...

    def open(self, chunk: int) -> AbstractContextManager[RawBytes]:
        """A pass from the first byte, in stretches of about `chunk` bytes."""
        ...


class Packing(StrEnum):
    GZIP = "gzip"
    ZSTD = "zstd"
    BZ2 = "bz2"


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a compressed file may inflate."""

    ratio: int
    size: int  #: bytes


class PlainBytes:
    """A file as it is, with pread: a mapping would die of SIGBUS when the file is cut while we read.

    Stretches end with a line where they can, so that the caller seldom has to copy one to cut it: `unread` bytes
    are read again instead of being joined to the next stretch, which doubled the time. The next stretch is read by
    `pool` while the caller looks at this one: reading, with its page faults, takes a third of what looking takes.
    """

    def __init__(self, descriptor: int, file: LocalFile, chunk: int, pool: Executor) -> None:
        self._descriptor = descriptor
        self._file = file
        self._chunk = chunk
        self._pool = pool
        self._at = 0
        self._coming: Future[bytes] | None = None  # what stands at `_at`, unless the caller leaves bytes unread

    @property
    def ended(self) -> bool:
        return self._at >= self._file.size

    def skip(self, count: int) -> None:
        self._at += count

    def take(self, unread: int) -> bytes:
        coming, self._coming = self._coming, None
        self._at -= unread
        data = self._stretch(self._at) if coming is None or unread else coming.result()
        self._at += len(data)
        if self._at < self._file.size:
            self._coming = self._pool.submit(self._stretch, self._at)
        return data

    def _stretch(self, at: int) -> bytes:
        left = self._file.size - at
        return self._read(left if left <= self._chunk + min(AHEAD, self._chunk) else self._whole_lines(at), at)

    def _whole_lines(self, at: int) -> int:
        """`chunk`, less what follows the last line end in it."""
        tail = min(AHEAD, self._chunk)
        start = self._chunk - tail
        return start + (self._read(tail, at + start).rfind(b"\n") + 1 or tail)

    def _read(self, count: int, at: int) -> bytes:
        with reading(self._file.shown):
            data = os.pread(self._descriptor, count, at)
            if len(data) < count:  # one call gives at most 2 GiB, and less where a signal came between
                data = b"".join(_preads(self._descriptor, data, count, at))
        if len(data) < count:
            raise changed(self._file.shown, f"it ended at byte {at + len(data):,} of {self._file.size:,}")
        self._file.check(os.fstat(self._descriptor))
        return data


def _preads(descriptor: int, data: bytes, count: int, at: int) -> Iterator[bytes]:
    yield data
    done = len(data)
    while done < count and (more := os.pread(descriptor, count - done, at + done)):
        yield more
        done += len(more)


class Stream(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class StreamBytes:
    """Bytes that can only be read once, from front to back."""

    def __init__(self, stream: Stream, chunk: int) -> None:
        self._stream = stream
        self._chunk = chunk
        self._ahead = b""
        self._last = b""
        self._ended = False

    @property
    def ended(self) -> bool:
        return self._ended

    def skip(self, count: int) -> None:
        while count > 0 and (dropped := len(self._stream.read(min(count, MIB)))):
            count -= dropped

    def take(self, unread: int) -> bytes:
        pieces = [self._last[len(self._last) - unread :], self._ahead]
        if not self._ended:
            pieces += read_up_to(self._stream, self._chunk)
            room = min(AHEAD, self._chunk)
            self._ahead = b"".join(read_up_to(self._stream, room))
            if len(self._ahead) < room:
                self._ended = True
                pieces.append(self._ahead)
                self._ahead = b""
        self._last = b"".join(pieces)
        return self._last


def read_up_to(stream: Stream, count: int) -> list[bytes]:
    """The next `count` bytes in pieces; less at the end only."""
    pieces = []
    while count > 0 and (piece := stream.read(count)):
        pieces.append(piece)
        count -= len(piece)
    return pieces


class Inflating:
    """A stream that stops at a bomb: what comes out is counted against what went in."""

    def __init__(self, inner: Stream, shown: str, limits: Limits, *, packed: int) -> None:
        self._inner = inner
        self._shown = shown
        self._limits = limits
        self._packed = packed  # bytes of the compressed form
        self._out = 0

    def read(self, size: int = -1, /) -> bytes:
        try:
            data = self._inner.read(min(size, MIB) if size >= 0 else MIB)
        except (EOFError, zlib.error, OSError, zipfile.BadZipFile, lzma.LZMAError) as error:
            raise damaged(self._shown, str(error)) from error
        self._out += len(data)
        if self._out > self._limits.size or self._out > max(RATIO_FROM, self._packed * self._limits.ratio):
            raise self._bomb()
        return data

    def _bomb(self) -> SourceError:
        return SourceError(
            f"{self._shown} inflates beyond all measure",
            why=f"{self._packed:,} bytes gave more than {self._out:,}; the limits are "
            f"{self._limits.ratio} to 1 and {self._limits.size:,} bytes",
            fix="if the file is honest, unpack it and name the unpacked file",
            code="inflates",
        )


def damaged(shown: str, why: str) -> SourceError:
    return SourceError(
        f"{shown} is damaged or cut off",
        why=f"unpacking it failed: {why}",
        fix="export or copy it again; a half file is never used",
        code="damaged",
    )


@dataclass(frozen=True, slots=True)
class PlainFile:
    file: LocalFile
    wrapping: str = ""

    @property
    def shown(self) -> str:
        return self.file.shown

    @contextmanager
    def open(self, chunk: int) -> Iterator[RawBytes]:
        with self.file.open() as descriptor, ThreadPoolExecutor(1, "reads") as pool:
            yield PlainBytes(descriptor, self.file, chunk, pool)


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A gzip, zstd or bz2 file; several frames one after the other are one text."""

    file: LocalFile
    packing: Packing
    limits: Limits

    @property
    def shown(self) -> str:
        return self.file.shown

    @property
    def wrapping(self) -> str:
        return str(self.packing)

    @contextmanager
    def open(self, chunk: int) -> Iterator[RawBytes]:
        with self.file.stream() as packed, self._unpacker(packed) as stream:
            inflating = Inflating(stream, self.shown, self.limits, packed=self.file.size)
            yield StreamBytes(inflating, chunk)

    def _unpacker(self, packed: BufferedReader) -> AbstractContextManager[Stream]:
        match self.packing:
            case Packing.GZIP:
                return gzip.GzipFile(fileobj=packed, mode="rb")
            case Packing.BZ2:
                return bz2.BZ2File(packed)
            case Packing.ZSTD:
                return _zstd(packed, self.shown)
            case _:
                assert_never(self.packing)


@contextmanager
def _zstd(packed: BufferedReader, shown: str) -> Iterator[Stream]:
    try:
        zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    except ImportError as error:
        raise SourceError(
            f"{shown} is compressed with zstd, which needs another package",
            fix="pip install backports.zstd",
            code="missing-package",
        ) from error
    with zstd.ZstdFile(packed, options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}) as stream:
        yield _ZstdStream(stream, zstd.ZstdError)


class _ZstdStream:
    """zstd's own exception as the OSError the other formats raise."""

    def __init__(self, inner: Stream, error: type[Exception]) -> None:
        self._inner = inner
        self._error = error

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._inner.read(size)
        except self._error as error:
            raise OSError(str(error)) from error


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One file inside a zip."""

    file: LocalFile
    member: str
    packed: int  #: bytes, compressed
    limits: Limits
    wrapping: str = "zip"

    @property
    def shown(self) -> str:
        return self.member

    @contextmanager
    def open(self, chunk: int) -> Iterator[RawBytes]:
        with self.file.stream() as packed, opened_zip(packed, self.file.shown) as archive:
            try:
                stream = archive.open(self.member)
            except (RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
                raise damaged(f"{self.file.shown}: {self.member}", str(error)) from error
            with stream:
                yield StreamBytes(Inflating(stream, self.member, self.limits, packed=self.packed), chunk)


@contextmanager
def opened_zip(packed: BufferedReader, shown: str) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(packed)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise damaged(shown, str(error)) from error
    with archive:
        yield archive
