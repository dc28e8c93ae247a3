"""A disk that fails at the n-th write or sync of SQLite, or loses power: what strace does, where there is no strace.

SQLite reaches files through a VFS, a table of functions. `FaultyDisk` registers a copy of it whose functions look at
each write, sync and truncation of files below a folder before they pass it on. Nothing of the engine is replaced.
"""

import _sqlite3
import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

FULL: Final = 13  #: SQLITE_FULL
IOERR_WRITE: Final = 10 | 3 << 8
IOERR_FSYNC: Final = 10 | 4 << 8
OK: Final = 0

Image = dict[str, bytes]  #: relative path → content

_NAME: Final = b"faulty-disk"
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)  # the name as an address: SQLite keeps it
_OTHER_METHODS = ("xFileSize", "xLock", "xUnlock", "xCheckReservedLock", "xFileControl", "xSectorSize",
                  "xDeviceCharacteristics", "xShmMap", "xShmLock", "xShmBarrier", "xShmUnmap", "xFetch",
                  "xUnfetch")  # fmt: skip
_OTHER_CALLS = ("xDelete", "xAccess", "xFullPathname", "xDlOpen", "xDlError", "xDlSym", "xDlClose", "xRandomness",
                "xSleep", "xCurrentTime", "xGetLastError", "xCurrentTimeInt64", "xSetSystemCall", "xGetSystemCall",
                "xNextSystemCall")  # fmt: skip


class _Methods(Structure):
    """sqlite3_io_methods."""

    _fields_ = (
        ("iVersion", c_int), ("xClose", c_void_p), ("xRead", c_void_p), ("xWrite", _WRITE), ("xTruncate", _TRUNCATE),
        ("xSync", _SYNC), *((name, c_void_p) for name in _OTHER_METHODS),
    )  # fmt: skip


class _File(Structure):
    """sqlite3_file: what follows belongs to the VFS."""

    _fields_ = (("pMethods", POINTER(_Methods)),)


class _Vfs(Structure):
    """sqlite3_vfs."""

    _fields_ = (
        ("iVersion", c_int), ("szOsFile", c_int), ("mxPathname", c_int), ("pNext", c_void_p), ("zName", c_char_p),
        ("pAppData", c_void_p), ("xOpen", _OPEN), *((name, c_void_p) for name in _OTHER_CALLS),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """What SQLite is about to do to a file. `number` counts all steps, from 1."""

    number: int
    kind: str  #: "write", "sync", "truncate"
    file: str


@dataclass(slots=True)
class _OnDisk:
    """One file: what would survive a power cut for certain, and what was done since."""

    durable: bytes
    since: list[tuple[int, bytes | None]] = field(default_factory=list)  #: offset, bytes; None: cut off there


class FaultyDisk:
    """Within the block SQLite's writes below `folder` are watched. `on_step` gives OK, or the error to fail with."""

    def __init__(self, folder: Path, on_step: Callable[[Step], int] = lambda _: OK) -> None:
        self._folder = str(folder.resolve())
        self._on_step = on_step
        self._files: dict[int, Path] = {}
        self._disk: dict[Path, _OnDisk] = {}
        self.steps = 0
        self._library = _library()
        self._find = self._library.sqlite3_vfs_find
        self._find.restype = POINTER(_Vfs)
        self._original = self._find(None)
        self._vfs = _Vfs.from_buffer_copy(self._original.contents)
        self._vfs.zName = _NAME
        self._vfs.xOpen = _OPEN(self._open)
        self._methods: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.sqlite3_vfs_register(self._original, 1)
        self._library.sqlite3_vfs_unregister(ctypes.byref(self._vfs))

    def after_power_cut(self, image: Image, chance: Random) -> Image:
        """`image`, a copy of the folder as it is, without a random part of what SQLite has not synced."""
        cut = dict(image)
        for path, on_disk in self._disk.items():
            name = str(path.relative_to(self._folder))
            if name in cut:
                cut[name] = _survivors(on_disk, chance)
        return cut

    def _open(self, _vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        code: int = self._original.contents.xOpen(ctypes.cast(self._original, c_void_p).value, name, file, flags, out)
        path = Path(ctypes.string_at(name).decode()) if name else None
        if code == OK and path is not None and str(path).startswith(self._folder):
            as_file = ctypes.cast(file, POINTER(_File)).contents
            as_file.pMethods = ctypes.pointer(self._watched(as_file.pMethods))
            self._files[file] = path
            self._disk.setdefault(path, _OnDisk(path.read_bytes()))
        return code

    def _watched(self, original: Any) -> Any:
        """A copy of the functions of a file that look before they pass on."""
        address = ctypes.addressof(original.contents)
        if address not in self._methods:
            plain = original.contents
            watched = _Methods.from_buffer_copy(plain)
            watched.xWrite = _WRITE(lambda *call: self._write(plain.xWrite, *call))
            watched.xSync = _SYNC(lambda *call: self._sync(plain.xSync, *call))
            watched.xTruncate = _TRUNCATE(lambda *call: self._truncate(plain.xTruncate, *call))
            self._methods[address] = watched
        return self._methods[address]

    def _write(self, original: Any, file: int, data: int, size: int, offset: int) -> int:
        code = self._step("write", file)
        if code == OK:
            code = original(file, data, size, offset)
            self._disk[self._files[file]].since.append((offset, ctypes.string_at(data, size)))
        return code

    def _sync(self, original: Any, file: int, flags: int) -> int:
        code = self._step("sync", file)
        if code == OK:
            code = original(file, flags)
            path = self._files[file]
            self._disk[path] = _OnDisk(path.read_bytes())
        return code

    def _truncate(self, original: Any, file: int, size: int) -> int:
        code = self._step("truncate", file)
        if code == OK:
            code = original(file, size)
            self._disk[self._files[file]].since.append((size, None))
        return code

    def _step(self, kind: str, file: int) -> int:
        self.steps += 1
        return self._on_step(Step(self.steps, kind, self._files[file].name))


def _survivors(on_disk: _OnDisk, chance: Random) -> bytes:
    """The durable content with some of what was done since: some writes whole, some torn between sectors, some not
    at all.
    """
    content = bytearray(on_disk.durable)
    for offset, data in on_disk.since:
        if chance.random() < 0.5:
            continue
        if data is None:
            del content[offset:]
            continue
        kept = data if chance.random() < 0.8 else data[: _sectors(offset, chance.randrange(len(data) + 1))]
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(kept)] = kept
    return bytes(content)


def _sectors(offset: int, size: int) -> int:
    """Of so many bytes at `offset`, those in whole sectors: a disk writes no half one."""
    return max(0, (offset + size) // 512 * 512 - offset)


def no_faulty_disk() -> str:
    """Why SQLite can't be watched here; "" if it can. Some builds of Python hide the SQLite they are linked with."""
    try:
        _library().sqlite3_vfs_find  # noqa: B018  # looked up, not called
    except (AttributeError, OSError) as error:
        return f"this Python hides its SQLite: {error}"
    return ""


def _library() -> Any:
    """The SQLite that Python is linked with."""
    return ctypes.CDLL(getattr(_sqlite3, "__file__", None))
