"""What every format offers, and the one Source made of it: files in order, each a table."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import polars as pl

from syncengine.digests import KnowsDigests
from syncengine.errors import SourceError
from syncengine.ports import Chunk, Description, Hashes
from syncengine.row_memory import Recollection
from syncengine.sources.entities import unescaped
from syncengine.sources.files import LocalFile, digest
from syncengine.sources.header import RESERVED
from syncengine.sources.options import SourceOptions
from syncengine.sources.spool import Spool

if TYPE_CHECKING:
    from syncengine.sources.delimited import DelimitedTable


class Table(Protocol):
    """One table, read from the start by each call of `chunks`."""

    @property
    def shown(self) -> str:
        """Name of the file, or of the member of a zip."""
        ...

    @property
    def format(self) -> str: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    def chunks(self) -> Iterator[Chunk]: ...

    def facts(self) -> dict[str, str]:
        """What was found, and how; more of it after `chunks`."""
        ...

    def warnings(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A table and the file it is in; a zip with several tables gives several parts with one file."""

    file: LocalFile
    table: Table


class TableSource:
    """A `ports.Source` of one or more tables."""

    def __init__(
        self,
        options: SourceOptions,
        parts: Sequence[Part],
        spool: Spool,
        *,
        ahead: KnowsDigests | None = None,
    ) -> None:
        """`parts` is not empty; `spool` holds what they were unpacked to; `ahead` may know their digest.

        Columns that a table lacks are empty in its rows where the options say "union"; otherwise all must have the
        same. Raises SourceError if they differ, or one is called like the `file_column`.
        """
        self._options = options
        self._parts = tuple(parts)
        self._file_column = options.file_column
        self._unescape = options.unescape_html
        union = options.columns == "union"
        self._own_columns = _all_columns(self._parts) if union else _common_columns(self._parts)
        self._columns = (*self._own_columns, *_free(options.file_column, self._own_columns))
        self._files = tuple(dict.fromkeys(part.file for part in self._parts))
        self._spool = spool
        self._ahead = ahead

    @property
    def name(self) -> str:
        return self._options.path

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns

    def chunks(self) -> Iterator[Chunk]:
        """The chunks of each table. A file that changed is noticed before the chunk that was read of it is given."""
        for part in self._parts:
            for chunk in part.table.chunks():
                part.file.verify_unchanged()
                yield self._shaped(chunk, part.table.columns)
        self.verify_unchanged()

    @property
    def reading(self) -> str:
        """How the text of all tables becomes cells, or nothing where rows can't be told apart by their bytes."""
        readings = {getattr(part.table, "reading", "") for part in self._parts}
        alike = all(part.table.columns == self._columns for part in self._parts)
        return readings.pop() if len(readings) == 1 and alike and not self._unescape else ""

    def chunks_but(self, recall: Callable[[Hashes], Recollection]) -> Iterator[Chunk]:
        """As `chunks`, without the rows that `recall` knows; only where there is a `reading`."""
        for part in self._parts:
            for chunk in cast("DelimitedTable", part.table).chunks_but(recall):
                part.file.verify_unchanged()
                yield chunk
        self.verify_unchanged()

    def digest(self) -> str:
        return self._options.as_read(digest(self._files, self._ahead))

    def describe(self) -> Description:
        several = len(self._parts) > 1
        first = self._parts[0].table
        warnings: list[str] = []
        for part in self._parts:
            warnings += [f"{part.table.shown}: {text}" if several else text for text in part.table.warnings()]
        return Description(
            files=tuple(part.table.shown for part in self._parts),
            size=sum(file.size for file in self._files),
            format=first.format,
            facts=first.facts(),
            warnings=tuple(warnings),
        )

    def verify_unchanged(self) -> None:
        for file in self._files:
            file.verify_unchanged()

    def _shaped(self, chunk: Chunk, columns: tuple[str, ...]) -> Chunk:
        """`chunk` with the columns of the whole source, in their order."""
        if self._unescape:
            chunk = Chunk(chunk.file, unescaped(chunk.rows, columns), unescaped(chunk.held, columns))
        if columns == self._columns:
            return chunk
        file = pl.lit(chunk.file.replace("\\", "/").rpartition("/")[2])
        cells = [
            pl.col(name)
            if name in columns
            else (file if name == self._file_column else pl.lit(None, pl.String)).alias(name)
            for name in self._columns
        ]
        return Chunk(
            chunk.file,
            chunk.rows.select("row", *cells),
            chunk.held.select("row", "code", "reason", *cells),
            chunk.plain,
        )


def _free(name: str | None, columns: tuple[str, ...]) -> tuple[str, ...]:
    """`name` as a further column, if there is to be one."""
    if name is None:
        return ()
    if name in columns or name in RESERVED or not name.strip():
        raise SourceError(
            f"the file can't be told in a column {name!r}",
            why="the source has a column of that name" if name in columns else "the name has another meaning",
            fix='file_column = "export file"',
            code="file-column",
        )
    return (name,)


def _all_columns(parts: Sequence[Part]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in parts for name in part.table.columns))


def _common_columns(parts: Sequence[Part]) -> tuple[str, ...]:
    first = parts[0].table
    for part in parts[1:]:
        extra = [name for name in part.table.columns if name not in first.columns]
        missing = [name for name in first.columns if name not in part.table.columns]
        if extra or missing:
            raise SourceError(
                f"{part.table.shown} has other columns than {first.shown}",
                why="; ".join(_difference(extra, "more") + _difference(missing, "missing")),
                fix='export them alike, or take the newest only: pick = "newest"; or, where they belong '
                'together all the same: columns = "union"',
                code="columns-differ",
            )
    return first.columns


def _difference(names: Sequence[str], word: str) -> list[str]:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return [f"{word}: {shown}"] if names else []
