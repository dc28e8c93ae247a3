"""What a job's config says about its source."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import xxhash

Format = Literal["csv", "tsv", "parquet", "xlsx", "html"]
Pick = Literal["newest", "all"]
Columns = Literal["same", "union"]

MIB = 1 << 20

_DECIDE_CELLS: Final = (
    "format",
    "encoding",
    "separator",
    "skip_rows",
    "sheet",
    "member",
    "encodings",
    "footer_texts",
    "unescape_html",
    "columns",
    "file_column",
)
"""Options by which the same bytes become other rows."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to find and read a source. All but `path` may be left to what the bytes say.

    `encodings` and `footer_texts` come from a preset; an explicit `encoding` or `separator` beats every detection.
    """

    path: str  #: file, glob, or object-store URL (s3, gs, az, abfs)
    base: Path = field(default_factory=Path)  #: a relative path starts here
    format: Format | None = None  #: None: the bytes decide; otherwise the bytes must agree
    encoding: str | None = None
    separator: str | None = None
    pick: Pick = "newest"  #: which files of a glob
    skip_rows: int = 0  #: physical lines before the header
    sheet: str | None = None  #: of an Excel file; None is the first
    member: str | None = None  #: name or glob inside a zip
    encodings: tuple[str, ...] = ()  #: tried in this order when the bytes are not UTF-8
    footer_texts: tuple[str, ...] = ()  #: beginnings of footer lines, besides the built-in ones
    html_table: bool = False  #: an HTML table is expected here, so that none is no surprise
    unescape_html: bool = False  #: cells hold entities (&quot;) that stand for characters
    columns: Columns = "same"  #: of several files; "union": what one lacks is empty there
    file_column: str | None = None  #: a column of this name says which file a row is from
    max_columns: int = 2_000
    max_cell_bytes: int = MIB
    max_inflated_ratio: int = 200  #: inflated ÷ compressed, looked at once 64 MiB have come out
    max_inflated_bytes: int = 64 << 30
    chunk_bytes: int = 16 * MIB  #: text read, checked and parsed at a time

    def as_read(self, digest: str) -> str:
        """The digest of files (`files.digest`) as these options have them read: the same bytes in another encoding are
        another source. Where nothing is said, it is that of the bytes.
        """
        usual = SourceOptions(self.path)
        said = [(name, getattr(self, name)) for name in _DECIDE_CELLS if getattr(self, name) != getattr(usual, name)]
        return f"{digest}/{xxhash.xxh3_64_hexdigest(repr(said).encode())}" if said else digest
