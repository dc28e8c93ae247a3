"""Tables in web pages: what some CRMs (Bitrix24) call Excel and name .xls. Read as a stream, entities unescaped.

The first table counts. A `<br>` in a cell is a line break, other runs of blanks are one blank, as a browser shows them.
"""

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import islice
from typing import Final

import polars as pl

from syncengine.errors import SourceError
from syncengine.ports import Chunk
from syncengine.sources.anatomy import Fault
from syncengine.sources.content import Content
from syncengine.sources.dialect import find_header
from syncengine.sources.encoding import SAMPLE, Encoding, decide_encoding
from syncengine.sources.header import data_without_name, name_columns
from syncengine.sources.held import HeldRow, fit, held_frame, readable
from syncengine.sources.options import MIB, SourceOptions
from syncengine.sources.text import Text
from syncengine.sources.tokens import Record

_STRETCH: Final = 4 * MIB
_PIECE: Final = 64 << 10  #: characters fed at a time
_CHUNK_ROWS: Final = 20_000
_HEAD: Final = 60  #: rows in which the header is looked for
_MAX_MARKUP: Final = 4 * MIB  #: characters of a tag that does not end
_BLANKS: Final = re.compile(r"[ \t\r\n\f]+")
_DECLARED: Final = re.compile(rb"<meta[^>]{0,200}charset=[\"']?([\w-]+)", re.IGNORECASE)


@dataclass(slots=True)
class _Row:
    number: int  #: from 1, as a spreadsheet shows it
    cells: list[str] = field(default_factory=list)
    whole: bool = True  #: its end was seen
    long: bool = False  #: a cell passed the limit and was cut

    @property
    def blank(self) -> bool:
        return not any(self.cells)


class HtmlTable:
    """The first table of a web page."""

    format = "html"

    def __init__(self, content: Content, options: SourceOptions) -> None:
        """Raises SourceError if there is no table, or its header can't be used."""
        self._content = content
        self._options = options
        with content.open(SAMPLE) as raw:
            head = raw.take(0)
        self._declared = _declared_encoding(head)
        self._encoding = self._decide(head)
        first = [row for row in islice(self._rows(), options.skip_rows + _HEAD) if row.number > options.skip_rows]
        if not first:
            raise _no_table(content.shown, head)
        records = [Record(row.number, tuple(row.cells), 0, whole=True) for row in first if not row.blank]
        if not records:
            raise SourceError(f"{content.shown} is empty", why="its table has only empty rows", code="source-empty")
        header = records[find_header(records)]
        self._header_row = header.line
        self._columns = name_columns(
            header.cells, shown=content.shown, line=header.line, max_columns=options.max_columns
        )
        self._blank = 0
        self._tables = 1

    @property
    def shown(self) -> str:
        return self._content.shown

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns.shown

    def chunks(self) -> Iterator[Chunk]:
        self._blank = 0
        rows = (row for row in self._rows() if row.number > self._header_row)
        while batch := list(islice(rows, _CHUNK_ROWS)):
            chunk = self._chunk([row for row in batch if not row.blank])
            self._blank += sum(row.blank for row in batch)
            if chunk is not None:
                yield chunk

    def facts(self) -> dict[str, str]:
        encoding = self._encoding
        facts = {"encoding": f"{encoding.codec} ({encoding.how})" if encoding else "ASCII"}
        facts["header"] = f"row {self._header_row}"
        if encoding and encoding.sample:
            facts["sample"] = encoding.sample
        if self._blank:
            facts["blank lines"] = f"{self._blank:,} left out"
        if self._content.wrapping:
            facts["packed"] = self._content.wrapping
        return facts

    def warnings(self) -> tuple[str, ...]:
        notes = list(self._columns.notes)
        if not self._options.html_table:
            notes.append("the file is a web page with a table, whatever its name says")
        if self._tables > 1:
            notes.append(f"the first of {self._tables} tables is read")
        return tuple(notes)

    def _decide(self, sample: bytes) -> Encoding | None:
        options = self._options
        return decide_encoding(
            sample,
            shown=self._content.shown,
            option=options.encoding,
            presets=options.encodings,
            declared=self._declared,
        )

    def _rows(self) -> Iterator[_Row]:
        """Every row of the first table. Raises SourceError for markup that does not end."""
        parser = _TableParser(self._options.max_cell_bytes, self._options.max_columns)
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        with self._content.open(_STRETCH) as raw:
            text = Text(raw, self._encoding, self._decide, shown=self._content.shown)
            while data := text.take(0):
                page = decoder.decode(data, final=text.ended)
                for start in range(0, len(page), _PIECE):
                    parser.feed(page[start : start + _PIECE])
                    yield from parser.finished()
                    if len(parser.rawdata) > _MAX_MARKUP:
                        raise _endless(self._content.shown)
            parser.close()
            yield from parser.finished(last=True)
        self._tables = parser.tables

    def _chunk(self, rows: list[_Row]) -> Chunk | None:
        names, limit = self._columns.names, self._options.max_cell_bytes
        good: list[tuple[object, ...]] = []
        held: list[HeldRow] = []
        for row in rows:
            fault = self._fault(row, len(names))
            cells = fit((readable(cell, limit) for cell in row.cells), len(names))
            if fault is None:
                good.append((row.number, *cells))
            else:
                held.append(HeldRow(row.number, fault, _reason(fault, row, len(names), limit), cells))
        if not good and not held:
            return None
        schema = {"row": pl.UInt64(), **dict.fromkeys(names, pl.String())}
        frame = pl.DataFrame(good, schema=schema, orient="row")
        self._refuse_unnamed(frame)
        table = held_frame(held, names, self._columns.unnamed)
        return Chunk(self._content.shown, frame.drop(self._columns.unnamed), table)

    def _fault(self, row: _Row, columns: int) -> Fault | None:
        if not row.whole:
            return Fault.CUT
        if row.long:
            return Fault.CELL
        if len(row.cells) != columns:
            return Fault.SHORT if len(row.cells) < columns else Fault.LONG
        if any("\udc80" <= character <= "\udcff" for cell in row.cells if not cell.isascii() for character in cell):
            return Fault.ENCODING
        return Fault.NUL if any("\0" in cell for cell in row.cells) else None

    def _refuse_unnamed(self, rows: pl.DataFrame) -> None:
        for name in self._columns.unnamed:
            if (with_data := rows.filter(pl.col(name).is_not_null())).height:
                row = int(with_data["row"][0])
                raise data_without_name(name, shown=self._content.shown, header_line=self._header_row, row=row)


class _TableParser(HTMLParser):
    """Collects the rows of the first table; tables inside its cells are text of the cell."""

    def __init__(self, cell_bytes: int, max_columns: int) -> None:
        super().__init__(convert_charrefs=True)
        self.tables = 0
        self._cell_bytes = cell_bytes
        self._max_cells = 2 * max_columns
        self._depth = 0
        self._number = 0
        self._row: _Row | None = None
        self._cell: list[str] | None = None
        self._size = 0
        self._span = 1
        self._hidden = False  # script, style
        self._finished: list[_Row] = []

    def finished(self, *, last: bool = False) -> list[_Row]:
        """The rows since the last call; at the end of the page also one that was not closed."""
        if last and self._row is not None:
            self._end_cell()
            self._row.whole = False
            self._finished.append(self._row)
            self._row = None
        rows, self._finished = self._finished, []
        return rows

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._depth += 1
            self.tables += self._depth == 1
        self._hidden = self._hidden or tag in {"script", "style"}
        if self._depth != 1 or self.tables != 1:
            return
        if tag == "tr":
            self._end_row()
            self._number += 1
            self._row = _Row(self._number)
        elif tag in {"td", "th"} and self._row is not None:
            self._end_cell()
            self._cell, self._size, self._span = [], 0, _span(attrs)
        elif tag == "br":
            self._add("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._hidden = False
        if tag == "table":
            if self._depth == 1:
                self._end_row()
            self._depth = max(0, self._depth - 1)
        elif self._depth == 1 and tag in {"td", "th"}:
            self._end_cell()
        elif self._depth == 1 and tag == "tr":
            self._end_row()

    def handle_data(self, data: str) -> None:
        if self._cell is not None and not self._hidden:
            self._add(_BLANKS.sub(" ", data))

    def _add(self, text: str) -> None:
        if self._cell is None or self._row is None:
            return
        self._size += len(text)
        if self._size > self._cell_bytes:
            self._row.long = True
        else:
            self._cell.append(text)

    def _end_cell(self) -> None:
        if self._cell is None or self._row is None:
            return
        if len(self._row.cells) < self._max_cells:
            text = "".join(self._cell).replace(" \n", "\n").replace("\n ", "\n").strip(" \n")
            self._row.cells += [text, *[""] * (self._span - 1)]
        self._cell = None

    def _end_row(self) -> None:
        self._end_cell()
        if self._row is not None:
            self._finished.append(self._row)
        self._row = None


def _span(attrs: list[tuple[str, str | None]]) -> int:
    value = dict(attrs).get("colspan") or "1"
    return min(max(int(value), 1), 1_000) if value.isdecimal() and len(value) < 5 else 1


def _reason(fault: Fault, row: _Row, columns: int, limit: int) -> str:
    match fault:
        case Fault.CUT:
            return f"the file ends in this row, after {len(row.cells)} of {columns} cells"
        case Fault.CELL:
            return f"a cell is longer than the limit of {limit:,}"
        case Fault.ENCODING:
            return "a cell has bytes that are not valid in the encoding of the page"
        case Fault.NUL:
            return "a NUL character in a cell"
        case _:
            return f"{len(row.cells)} cells, the header has {columns}"


def _declared_encoding(head: bytes) -> str | None:
    """What a `<meta charset>` says, if it means anything here."""
    found = _DECLARED.search(head)
    if found is None:
        return None
    with suppress(LookupError):
        return codecs.lookup(found.group(1).decode("ascii")).name
    return None


def _no_table(shown: str, head: bytes) -> SourceError:
    title = re.search(rb"<title[^>]*>([^<]{1,80})", head, re.IGNORECASE)
    seen = f", titled {title.group(1).decode('utf-8', 'replace').strip()!r}" if title else ""
    return SourceError(
        f"{shown} is a web page without a table",
        why=f"it begins with <{seen}; downloads that ask for a login give such files",
        fix="export again, logged in, and look at the file before using it",
        code="no-table",
    )


def _endless(shown: str) -> SourceError:
    return SourceError(
        f"{shown} is no web page that can be read",
        why=f"a tag in it has more than {_MAX_MARKUP:,} characters",
        fix="export as CSV or xlsx",
        code="unreadable",
    )
