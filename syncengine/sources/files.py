"""Files on this machine: which ones a path means, and whether they are still the ones that were opened."""

import difflib
import glob
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from syncengine.digests import Digest, Identity, KnowsDigests
from syncengine.errors import SourceError
from syncengine.sources.options import SourceOptions

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)  # a FIFO must not make us wait


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file as it was when the source was opened."""

    path: Path
    shown: str  #: for people
    identity: Identity

    @property
    def size(self) -> int:
        return self.identity.size

    @contextmanager
    def open(self) -> Iterator[int]:
        """A descriptor of exactly this file. Raises SourceError if something else is there now."""
        with reading(self.shown):
            descriptor = os.open(self.path, _OPEN_FLAGS)
        try:
            self.check(os.fstat(descriptor))
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def stream(self) -> Iterator[BufferedReader]:
        """`open` as a binary file object."""
        with self.open() as descriptor, os.fdopen(descriptor, "rb", closefd=False) as stream:
            yield stream

    def verify_unchanged(self) -> None:
        """Raises SourceError if the path no longer leads to the file that was opened, unaltered."""
        try:
            now = self.path.stat()
        except OSError as error:
            raise changed(self.shown, f"it can no longer be reached ({error.strerror})") from error
        self.check(now)

    def check(self, now: os.stat_result) -> None:
        found = Identity.of(now)
        if found == self.identity:
            return
        replaced = now.st_nlink == 0  # a descriptor outlives its name
        if replaced or (found.device, found.inode) != (self.identity.device, self.identity.inode):
            raise changed(self.shown, "another file has taken its place")
        if found.size != self.identity.size:
            raise changed(self.shown, f"it had {self.identity.size:,} bytes when opened and has {found.size:,} now")
        raise changed(self.shown, "its time of change moved, so it was written to or touched")


def changed(shown: str, why: str) -> SourceError:
    return SourceError(
        f"{shown} changed while it was being read",
        why=f"{why}; a mixture of two versions is never used",
        fix="run again when whoever writes the file has finished; write exports under another name and rename them",
        code="source-changed",
    )


@contextmanager
def reading(shown: str) -> Iterator[None]:
    """The operating system's refusals, told as SourceError."""
    try:
        yield
    except FileNotFoundError as error:
        raise SourceError(f"{shown} does not exist", code="no-file") from error
    except PermissionError as error:
        raise SourceError(
            f"{shown} may not be read by this user", fix=f"chmod u+r {shown}", code="unreadable"
        ) from error
    except OSError as error:
        raise SourceError(f"{shown} cannot be read", why=error.strerror or str(error), code="unreadable") from error


def find_files(options: SourceOptions) -> tuple[LocalFile, ...]:
    """The file, or those of the glob: the newest by mtime (of equals the last name), or all by name.

    Raises SourceError if there is none, or if it is no regular file.
    """
    if not options.path.strip() or "\0" in options.path:
        raise SourceError("the source has no path", fix='source = "exports/contacts.csv"', code="no-path")
    base = options.base.absolute()
    target = base / os.path.expanduser(options.path)  # noqa: PTH111  # leaves ~nobody as it is, Path's raises
    if not glob.has_magic(options.path) or target.exists():
        return (local_file(target, base, wanted=options.path),)
    matches = [Path(found) for found in sorted(glob.glob(str(target), recursive=True))]  # noqa: PTH207  # Path.glob takes no absolute pattern
    files = [local_file(path, base, wanted=options.path) for path in matches if path.is_file()]
    if not files:
        raise _nothing_matches(options.path, target)
    if options.pick == "all":
        return tuple(files)
    return (max(files, key=lambda file: (file.identity.mtime_ns, file.path.name)),)


def local_file(path: Path, base: Path, *, wanted: str) -> LocalFile:
    """`path` as it is now. Raises SourceError unless it is a regular file that can be opened."""
    shown = printable(str(path.relative_to(base)) if path.is_relative_to(base) else str(path))
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _missing(wanted, path) from error
    except OSError as error:
        raise SourceError(f"{shown} cannot be reached", why=error.strerror or str(error), code="unreadable") from error
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(shown, status.st_mode)
    file = LocalFile(path, shown, Identity.of(status))
    with file.open():  # may we read it?
        return file


def digest(files: Sequence[LocalFile], ahead: KnowsDigests | None = None) -> str:
    """The digest of all of them; `ahead` may have it already.

    Raises SourceError if a file is not what was opened, before or after.
    """
    if ahead is not None and len(files) == 1 and (known := ahead.of(files[0].path, files[0].identity)) is not None:
        files[0].verify_unchanged()
        return known
    made = Digest()
    for file in files:
        with file.stream() as stream, reading(file.shown):
            made.add(file.path, file.size, stream)
        file.verify_unchanged()
    return made.text


def printable(name: str) -> str:
    """A file name that can be shown: bytes that are no UTF-8 as U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _missing(wanted: str, path: Path) -> SourceError:
    return SourceError(f"no file {wanted}", why=f"looked for {path}", fix=_near(path.name, path.parent), code="no-file")


def _nothing_matches(pattern: str, target: Path) -> SourceError:
    return SourceError(
        f"no file matches {pattern}",
        why=f"looked for {target}",
        fix=_near(target.name, target.parent),
        code="no-file",
    )


def _near(name: str, folder: Path) -> str:
    """A sentence with what there is instead: the nearest names, at most five."""
    if glob.has_magic(str(folder)) or not folder.is_dir():
        return f"there is no folder {folder}" if not glob.has_magic(str(folder)) else ""
    names = sorted(printable(entry.name) for entry in folder.iterdir() if not entry.name.startswith("."))
    near = difflib.get_close_matches(name, names, n=5, cutoff=0.4) or names[:5]
    return f"there is: {', '.join(near)}" if near else f"{folder} is empty"


def _not_regular(shown: str, mode: int) -> SourceError:
    if stat.S_ISDIR(mode):
        return SourceError(
            f"{shown} is a folder", fix=f'name the files in it: source = "{shown}/*.csv"', code="not-a-file"
        )
    kind = "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
    return SourceError(
        f"{shown} is {kind}, not a file",
        why="a source is read more than once (plan, sync, resume), and must read the same each time",
        fix="save it to a file first",
        code="not-a-file",
    )
