"""How a delimited text is written, worked out from its beginning: separator, header line, number of fields."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from syncengine.errors import SourceError
from syncengine.sources.header import clean_header, too_many
from syncengine.sources.tokens import Record, records

SEPARATORS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
SAMPLE_ROWS: Final = 50

_DECLARATION: Final = re.compile(r'"?sep=([^"\r\n])"?\r?\n', re.IGNORECASE)
_QUOTED: Final = re.compile(r'"[^"]*"')
_UNUSUAL: Final = "^~:#\x01\x1e\x1f"  # separators nobody looks for, worth a word when one fits
_TITLES: Final = 10  #: lines before a header that may still be a title


@dataclass(frozen=True, slots=True)
class Dialect:
    separator: str
    decided: str  #: how the separator was found, for people
    header: tuple[str, ...]  #: cells as spelled, empty ones for fields without a name
    header_line: int  #: from 1
    data_line: int  #: from 1
    data_at: int  #: place of the first row in the text, bytes of UTF-8
    line_ends: str
    sample: tuple[Record, ...]  #: rows; `line` is that of the file, from 1
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Reading:
    """The head read with one separator."""

    separator: str
    header: Record
    rows: tuple[Record, ...]
    titled: bool  #: there are records above the header

    @property
    def width(self) -> int:
        return len(self.header.cells)

    @property
    def agreement(self) -> float:
        """The share of rows that have as many fields as the header, and quotes only where they belong."""
        records = (self.header, *self.rows)
        return sum(len(record.cells) == self.width and record.clean for record in records) / len(records)


def find_dialect(
    text: str, *, complete: bool, shown: str, separator: str | None = None, skip_rows: int = 0, max_columns: int
) -> Dialect:
    """The dialect of a text that begins with `text` (all of it if `complete`).

    Raises SourceError, with what was seen, for an empty text, old Mac line ends, a separator that does not fit,
    rows and header that can't belong together, or a header that does not end.
    """
    _refuse_lone_returns(text, shown)
    start = _after_lines(text, skip_rows)
    declared = _DECLARATION.match(text, start)
    if declared is not None:
        start = declared.end()
    if not text[start:].strip():
        raise _empty(shown, skip_rows)
    fixed = separator or (declared.group(1) if declared else None)
    reading = _choose(text[start:], fixed, complete=complete, shown=shown)
    _refuse_endless(reading.header, complete=complete, shown=shown, max_columns=max_columns)
    _refuse_other_separator(text[start:], reading, explicit=separator, shown=shown, complete=complete)
    lines_before = text.count("\n", 0, start)
    header = reading.header
    decided = "set in the config" if separator else "said by its first line" if declared else "detected"
    return Dialect(
        separator=reading.separator,
        decided=decided,
        header=_fit(reading),
        header_line=lines_before + header.line + 1,
        data_line=text.count("\n", 0, start + header.end) + 1 + (not header.whole),
        data_at=len(text[: start + header.end].encode("utf-8", "surrogateescape")),
        line_ends=_line_ends(text),
        sample=tuple(replace(row, line=lines_before + row.line + 1) for row in reading.rows),
        warnings=_unusual_separator(reading),
    )


def find_header(rows: Sequence[Record]) -> int:
    """Which record is the header: the first, unless what comes before another is unmistakably a title.

    That is: one filled cell at most in each record before it, then a line of three or more names (two, after a
    blank line), each filled, different and no address, and a row of as many fields below it.
    """
    if not rows or _filled(rows[0]) > 1:
        return 0
    for at, record in enumerate(rows[:_TITLES]):
        if _filled(record) <= 1:
            continue
        apart = record.line > rows[at - 1].line + 1
        names = {clean_header(cell) for cell in record.cells}
        width = len(record.cells)
        clear = len(names) == width and "" not in names and not any("@" in name for name in names)
        followed = any(len(row.cells) == width and _filled(row) > 1 for row in rows[at + 1 :])
        return at if clear and followed and (width >= 3 or apart) else 0
    return 0


def separator_name(separator: str) -> str:
    return SEPARATORS.get(separator, repr(separator))


def _choose(text: str, fixed: str | None, *, complete: bool, shown: str) -> _Reading:
    if fixed is not None:
        return _read(text, fixed, complete=complete)
    readings = [_read(text, candidate, complete=complete) for candidate in SEPARATORS]
    tables = [reading for reading in readings if reading.width > 1]
    if tables:
        return max(tables, key=lambda reading: (reading.agreement, not reading.titled, reading.width))
    _refuse_lonely_header(readings, shown)
    return max(readings, key=lambda reading: reading.agreement)  # one column: a separator that its cells do without


def _read(text: str, separator: str, *, complete: bool) -> _Reading:
    found = list(islice((record for record in records(text, separator) if not record.blank), SAMPLE_ROWS + _TITLES))
    if len(found) > 1 and not found[-1].whole and not complete:
        found.pop()
    at = find_header(found)
    return _Reading(separator, found[at], tuple(found[at + 1 :]), titled=at > 0)


def _fit(reading: _Reading) -> tuple[str, ...]:
    """The header cells, made as many as the rows have fields where only empty cells differ.

    `a,b` over `1,2,` and `a,b,` over `1,2` are common; nothing is lost by either. All other differences are the rows'.
    """
    cells = reading.header.cells
    rows = [row for row in reading.rows if row.clean and len(row.cells) > 1]  # a lone cell is a footer, or a bad row
    widths = {len(row.cells) for row in rows}
    if len(widths) != 1:
        return cells
    (usual,) = widths
    if usual > len(cells) and not any(any(row.cells[len(cells) :]) for row in rows):
        return cells + ("",) * (usual - len(cells))
    if usual < len(cells) and not any(clean_header(cell) for cell in cells[usual:]):
        return cells[:usual]
    return cells


def _filled(record: Record) -> int:
    return sum(bool(clean_header(cell)) for cell in record.cells)


def _after_lines(text: str, count: int) -> int:
    at = 0
    for _ in range(count):
        found = text.find("\n", at)
        at = found + 1 if found >= 0 else len(text)
    return at


def _line_ends(text: str) -> str:
    both, feeds = text.count("\r\n"), text.count("\n")
    if not feeds:
        return "none"
    return "LF" if not both else "CRLF" if both == feeds else "LF and CRLF mixed"


def _refuse_lone_returns(text: str, shown: str) -> None:
    if text.count("\r") <= 2 * text.count("\n"):
        return
    outside = _QUOTED.sub("", text)  # inside quotes they are text
    feeds = outside.count("\n")
    lone = outside.count("\r") - outside.count("\r\n")
    if lone and lone > 2 * feeds:
        raise SourceError(
            f"{shown} has the line ends of old Macs",
            why=f"{lone:,} carriage returns and {feeds:,} line feeds; read as it is, it would have next to no rows",
            fix=r"convert it: tr '\r' '\n' < old.csv > new.csv",
            code="line-ends",
        )


def _empty(shown: str, skip_rows: int) -> SourceError:
    return SourceError(
        f"{shown} is empty",
        why=f"there is nothing after the {skip_rows} skipped lines" if skip_rows else "it has neither header nor rows",
        fix="an empty export usually means that the export failed: look there; nobody is removed because of it",
        code="source-empty",
    )


def _refuse_endless(header: Record, *, complete: bool, shown: str, max_columns: int) -> None:
    """A header line that does not end, or a quote in it that does not close."""
    if len(header.cells) > max_columns:
        raise too_many(len(header.cells), shown=shown, max_columns=max_columns)
    longest = max(header.cells, key=len)
    if (header.whole or complete) and len(longest) <= 1_000:
        return
    raise SourceError(
        f"{shown}: the header does not end",
        why=f"line {header.line + 1} begins {header.cells[0][:40]!r} and has a name of {len(longest):,} characters; "
        "a quote may be missing, or this is no table",
        fix="open the file in a text editor and look at its first line",
        code="header-endless",
    )


def _refuse_other_separator(text: str, reading: _Reading, *, explicit: str | None, shown: str, complete: bool) -> None:
    """One column by the config's separator, and a table by another one."""
    if explicit is None or reading.width > 1:
        return
    for other in SEPARATORS:
        found = _read(text, other, complete=complete)
        if other != explicit and found.width > 1 and found.agreement > 0.9:
            raise SourceError(
                f"{shown} is not separated by {separator_name(explicit)}",
                why=f"its header has 1 column that way and {found.width} with {separator_name(other)}: "
                f"{clean_header(reading.header.cells[0])[:80]}",
                fix=f"separator = {other!r}, or leave it out: it is detected".replace("'", '"'),
                code="separator",
            )


def _refuse_lonely_header(readings: Sequence[_Reading], shown: str) -> None:
    for reading in readings:
        widths = Counter(len(row.cells) for row in reading.rows)
        usual, count = widths.most_common(1)[0] if widths else (1, 0)
        if usual > 2 and count > 1 and count > 0.9 * len(reading.rows):
            raise SourceError(
                f"{shown}: header and rows do not belong together",
                why=f"line {reading.header.line + 1} is {reading.header.cells[0][:60]!r}, one column; the rows below "
                f"have {usual}, separated by {separator_name(reading.separator)}",
                fix="if that line is a title, leave it out: skip_rows = 1; if the header is missing, add one",
                code="header-mismatch",
            )


def _unusual_separator(reading: _Reading) -> tuple[str, ...]:
    if reading.width > 1 or len(reading.rows) < 2:
        return ()
    lines = [reading.header.cells[0], *(row.cells[0] for row in reading.rows)]
    for character in _UNUSUAL:
        counts = {line.count(character) for line in lines}
        if len(counts) == 1 and counts != {0}:
            return (f"one column, but every line has {character!r}: if it separates, set separator = {character!r}",)
    return ()
