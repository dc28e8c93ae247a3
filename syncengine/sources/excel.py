"""Excel workbooks (xlsx) through fastexcel, an optional package; one sheet, whole: its size is capped instead.

A cell is given as Excel stores it: `007` typed as text stays, as a number it is 7. A day is `2024-05-01`, a moment
`2024-05-01T10:22:33`; Excel has no type for a day alone, so a moment at midnight is shown as a day. A cell with an
error (#N/A) is empty.
"""

import importlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import polars as pl

from syncengine.errors import SourceError
from syncengine.ports import Chunk
from syncengine.sources.cells import hold_long_cells
from syncengine.sources.dialect import find_header
from syncengine.sources.files import LocalFile
from syncengine.sources.footer import Footer, find_footer
from syncengine.sources.header import Columns, data_without_name, name_columns
from syncengine.sources.options import SourceOptions
from syncengine.sources.panics import polars_errors
from syncengine.sources.tokens import Record

MAX_SHEET_BYTES: Final = 512 << 20  #: XML of a sheet, unpacked; a million rows of 12 columns have 400 MB
_FIX: Final = "open it in a spreadsheet program and save it as CSV (UTF-8)"
_CHUNK_ROWS: Final = 50_000
_HEAD: Final = 60  #: rows in which the header is looked for
_MIDNIGHT: Final = r"^(\d{4}-\d\d-\d\d) 00:00:00$"
_MOMENT: Final = r"^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)$"


class ExcelTable:
    """A sheet of an xlsx file, header found as in a text."""

    format = "xlsx"

    def __init__(self, file: LocalFile, options: SourceOptions, *, shown: str, packed: str) -> None:
        """Raises SourceError if fastexcel is missing, or the workbook, the sheet or its header can't be used."""
        self._file = file
        self._options = options
        self._shown = shown
        self._packed = packed
        _refuse_bombs(file.path, shown)
        sheet = self._sheet(limit=options.skip_rows + _HEAD)
        head = [
            Record(number, tuple(cell or "" for cell in row), 0, whole=True)
            for number, row in enumerate(sheet.iter_rows())
            if number >= options.skip_rows and any(row)
        ]
        if not head:
            raise SourceError(f"{shown} is empty", why="the sheet has no cell with anything in it", code="source-empty")
        at = find_header(head)
        self._header_row = head[at].line  # from 0
        self._columns: Columns = name_columns(
            head[at].cells, shown=shown, line=self._header_row + 1, max_columns=options.max_columns
        )
        self._blank = 0
        self._footer = Footer(0)

    @property
    def shown(self) -> str:
        return self._shown

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns.shown

    def chunks(self) -> Iterator[Chunk]:
        rows = self._rows()
        self._footer = find_footer(rows, (), self._options.footer_texts)
        if self._footer:
            rows = rows.filter(pl.col("row") < self._footer.line)
        for name in self._columns.unnamed:
            if (with_data := rows.filter(pl.col(name).is_not_null())).height:
                row = int(with_data["row"][0])
                raise data_without_name(name, shown=self._shown, header_line=self._header_row + 1, row=row)
        rows = rows.drop(self._columns.unnamed)
        for start in range(0, rows.height, _CHUNK_ROWS):
            good, held = hold_long_cells(rows.slice(start, _CHUNK_ROWS), self._options.max_cell_bytes)
            yield Chunk(self._shown, good, held)

    def facts(self) -> dict[str, str]:
        facts = {"sheet": self._options.sheet or "the first", "header": f"row {self._header_row + 1}"}
        if self._blank:
            facts["blank lines"] = f"{self._blank:,} left out"
        if self._footer:
            facts["footer"] = f"{len(self._footer.texts)} rows cut, from row {self._footer.line:,}"
        return facts | ({"packed": self._packed} if self._packed else {})

    def warnings(self) -> tuple[str, ...]:
        return self._columns.notes

    def _rows(self) -> pl.DataFrame:
        sheet = self._sheet()
        names = self._columns.names
        sheet.columns = [*names, *(f"\0{number}" for number in range(sheet.width - len(names)))]
        cells = [
            pl.col(name).replace("", None).str.replace(_MIDNIGHT, "$1").str.replace(_MOMENT, "${1}T$2")
            for name in names
        ]
        numbered = sheet.select(cells).with_row_index("row", offset=1).with_columns(pl.col("row").cast(pl.UInt64))
        below = numbered.slice(self._header_row + 1)
        filled = below.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in names))
        self._blank = below.height - filled.height
        return filled

    def _sheet(self, limit: int | None = None) -> pl.DataFrame:
        """All rows of the sheet as text, from its very first row."""
        fastexcel = _fastexcel(self._shown)
        wanted = self._options.sheet if self._options.sheet is not None else 0
        try:
            with polars_errors(self._shown, fix=_FIX):
                with self._file.stream() as stream:  # as bytes: by its path, the name would decide what it is
                    book = fastexcel.read_excel(stream.read())
                sheet = book.load_sheet(wanted, header_row=None, skip_rows=0, n_rows=limit, dtypes="string")
                frame: pl.DataFrame = sheet.to_polars()
                return frame
        except fastexcel.SheetNotFoundError as error:
            there = ", ".join(book.sheet_names)
            fix = f'sheet = "{book.sheet_names[0]}"'
            raise SourceError(
                f"{self._shown} has no sheet {wanted!r}", why=f"it has: {there}", fix=fix, code="no-sheet"
            ) from error
        except fastexcel.FastExcelError as error:
            why = str(error).partition("\n")[0]
            raise SourceError(f"{self._shown} cannot be read", why=why, fix=_FIX, code="unreadable") from error


def _fastexcel(shown: str) -> ModuleType:
    try:
        return importlib.import_module("fastexcel")
    except ImportError as error:
        raise SourceError(
            f"{shown} is an Excel workbook, which needs another package",
            fix="pip install 'syncengine[excel]'   (or save the sheet as CSV)",
            code="missing-package",
        ) from error


def _refuse_bombs(path: Path, shown: str) -> None:
    """A sheet is held whole, so its size is looked at before it is unpacked."""
    try:
        with zipfile.ZipFile(path) as book:
            largest = max((member.file_size for member in book.infolist()), default=0)
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{shown} is damaged or cut off", why=str(error), fix=_FIX, code="damaged") from error
    if largest > MAX_SHEET_BYTES:
        raise SourceError(
            f"{shown} is too large for Excel's format",
            why=f"a part of it has {largest:,} bytes unpacked; the limit is {MAX_SHEET_BYTES:,}",
            fix="export as CSV: it is read in pieces, whatever its size",
            code="inflates",
        )
