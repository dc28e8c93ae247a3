"""Private local copies: of what can only be read at random (Parquet, xlsx) when it comes packed, and of objects in a
store (s3, gs, az).

An object is fetched by polars, which has the stores' clients and credentials. polars offers rows, not bytes: a Parquet
object is rewritten as Parquet, any other is taken as lines of UTF-8 text (gzip and zstd are unpacked on the way), so
that only line ends may differ from the original. Text in another encoding, zip and xlsx have to be downloaded first.
The copy is what is read, hashed and checked for changes; a new version in the store is seen by the next run.
"""

import re
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Final

import polars as pl

from syncengine.errors import SourceError
from syncengine.sources.content import Content
from syncengine.sources.files import LocalFile, local_file
from syncengine.sources.options import MIB
from syncengine.sources.panics import polars_errors

_SCHEME: Final = re.compile(r"^([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_STORES: Final = ("s3", "gs", "az", "abfs", "abfss")
_FIX: Final = "check name and credentials (environment of the store's own tools); or download it and name the file"


class Spool:
    """A private folder that lives as long as this object."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="syncengine-"))  # 0700 by itself
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._count = 0

    def keep(self, content: Content) -> LocalFile:
        """A copy of all bytes of `content`."""
        self._count += 1
        target = self.folder / str(self._count)
        with content.open(MIB) as raw, target.open("wb") as out:
            while data := raw.take(0):
                out.write(data)
        return LocalFile(target, content.shown, local_file(target, self.folder, wanted=content.shown).identity)

    def fetch(self, url: str) -> LocalFile:
        """A copy of the object at `url`. Raises SourceError if it can't be had."""
        target = self.folder / url.rstrip("/").rpartition("/")[2].removesuffix(".gz").removesuffix(".zst")
        with polars_errors(url, fix=_FIX):
            if _is_parquet(url):
                pl.scan_parquet(url, glob=False).sink_parquet(target)
            else:
                pl.scan_lines(url, glob=False).sink_csv(target, include_header=False, quote_style="never")
        return LocalFile(target, url, local_file(target, self.folder, wanted=url).identity)


def scheme_of(path: str) -> str | None:
    """The scheme of a URL of an object store, or None for a local path. Raises SourceError for other schemes."""
    found = _SCHEME.match(path)
    if found is None:
        return None
    scheme = found.group(1).lower()
    if scheme not in _STORES:
        raise SourceError(
            f"a source is not read from {scheme}://",
            why=f"files and objects in a store ({', '.join(_STORES)}) are",
            fix="download it, and name the file",
            code="scheme",
        )
    if any(character in path for character in "*?["):
        raise SourceError(
            f"no globs in a store: {path}",
            why="which object is the newest can't be asked through polars",
            fix="name one object",
            code="scheme",
        )
    return scheme


def _is_parquet(url: str) -> bool:
    try:
        pl.read_parquet_schema(url)
    except pl.exceptions.ComputeError as error:
        if "PAR1" in str(error) or "out of specification" in str(error):
            return False
        raise
    return True
