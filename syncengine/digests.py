"""The digest of a source's files, and one that is begun while the program is still being loaded.

Loading polars and the rest takes half a second, one core of it; hashing lets go of the interpreter, and uses another.
Imports nothing that is slow to load.
"""

import contextlib
import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import xxhash

SLOW_ENOUGH: Final = 16 << 20  #: bytes; a smaller file is hashed in no time
_WINDOW: Final = 1 << 20
_OPEN_FLAGS: Final = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class Identity:
    """What `fstat` says of a file. ctime is in it: size and mtime can be put back, ctime can't.

    Two writes within one tick of the kernel's clock (up to 4 ms) that keep the size look alike.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity":
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class KnowsDigests(Protocol):
    """Who may have the digest of a file already."""

    def of(self, path: Path, identity: Identity) -> str | None:
        """As `Digest.text` of that one file; None: not known."""
        ...


class Digest:
    """`xxh3-128:<hex>` over name, size and bytes of each file, in order. No parsing; as fast as the disk."""

    def __init__(self) -> None:
        self._state = xxhash.xxh3_128()
        self._window = memoryview(bytearray(_WINDOW))

    def add(self, path: Path, size: int, stream: BinaryIO) -> None:
        name = path.name.encode("utf-8", "surrogateescape")
        self._state.update(b"%d:%b:%d:" % (len(name), name, size))  # framed: no two lists of files look alike
        while got := stream.readinto(self._window):  # type: ignore[attr-defined]  # every binary file has it
            self._state.update(self._window[:got])

    @property
    def text(self) -> str:
        return f"xxh3-128:{self._state.hexdigest()}"


class DigestAhead:
    """The digest of one file, computed by a thread from now on. Never fails: what went wrong is not known.

    at_least   bytes of a file that is worth it
    """

    def __init__(self, path: Path, *, at_least: int = SLOW_ENOUGH) -> None:
        self._path = path
        self._at_least = at_least
        self._found: tuple[Identity, str] | None = None
        self._thread = threading.Thread(target=self._work, name="digest", daemon=True)
        self._thread.start()

    def of(self, path: Path, identity: Identity) -> str | None:
        """Waits for the thread. None if that is not the file it has read."""
        if path != self._path:
            return None
        self._thread.join()
        return self._found[1] if self._found is not None and self._found[0] == identity else None

    def _work(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # whoever opens it as a source tells the reason
            descriptor = os.open(self._path, _OPEN_FLAGS)
            try:
                self._read(descriptor)
            finally:
                os.close(descriptor)

    def _read(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        before = Identity.of(status)
        if not stat.S_ISREG(status.st_mode) or before.size < self._at_least:
            return
        digest = Digest()
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            digest.add(self._path, before.size, stream)
        if Identity.of(os.fstat(descriptor)) == before:
            self._found = before, digest.text
