"""What every format offers, and the one Source made of it: files in order, each a table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from syncengine.errors import SourceError
from syncengine.ports import Chunk, Description
from syncengine.sources.files import LocalFile, digest
from syncengine.sources.spool import Spool


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
    """A `ports.Source` of one or more tables that have the same columns."""

    def __init__(self, name: str, parts: Sequence[Part], spool: Spool) -> None:
        """`parts` is not empty; `spool` holds what they were unpacked to. Raises SourceError if the columns differ."""
        self._name = name
        self._parts = tuple(parts)
        self._columns = _common_columns(self._parts)
        self._files = tuple(dict.fromkeys(part.file for part in self._parts))
        self._spool = spool

    @property
    def name(self) -> str:
        return self._name

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns

    def chunks(self) -> Iterator[Chunk]:
        """The chunks of each table. A file that changed is noticed before the chunk that was read of it is given."""
        for part in self._parts:
            reorder = part.table.columns != self._columns
            for chunk in part.table.chunks():
                part.file.verify_unchanged()
                yield self._reordered(chunk) if reorder else chunk
        self.verify_unchanged()

    def digest(self) -> str:
        return digest(self._files)

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

    def _reordered(self, chunk: Chunk) -> Chunk:
        return Chunk(
            chunk.file,
            chunk.rows.select("row", *self._columns),
            chunk.held.select("row", "code", "reason", *self._columns),
            chunk.plain,
        )


def _common_columns(parts: Sequence[Part]) -> tuple[str, ...]:
    first = parts[0].table
    for part in parts[1:]:
        extra = [name for name in part.table.columns if name not in first.columns]
        missing = [name for name in first.columns if name not in part.table.columns]
        if extra or missing:
            raise SourceError(
                f"{part.table.shown} has other columns than {first.shown}",
                why="; ".join(_difference(extra, "more") + _difference(missing, "missing")),
                fix='export them alike, or take the newest only: pick = "newest"',
                code="columns-differ",
            )
    return first.columns


def _difference(names: Sequence[str], word: str) -> list[str]:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return [f"{word}: {shown}"] if names else []
