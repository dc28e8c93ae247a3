"""Records one at a time, in Python: for the head of a file, and for the few rows that are broken.

Reads what RFC 4180 allows as everybody does, and makes the best of the rest: a quote in mid-cell is text, and so is
what follows a closing quote up to the separator.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    line: int  #: on which it starts, from 0
    cells: tuple[str, ...]
    end: int  #: offset behind its line end, in characters
    whole: bool  #: a line end was seen, so that nothing is missing
    clean: bool = True  #: no quote but where one belongs

    @property
    def blank(self) -> bool:
        return self.cells == ("",)


def records(text: str, separator: str) -> Iterator[Record]:
    """The records of `text`, blank ones too. Line ends are LF or CRLF."""
    at = line = 0
    while at < len(text):
        record = _record(text, at, separator, line)
        yield record
        line += text.count("\n", at, record.end)
        at = record.end


def split_record(text: str, separator: str, *, limit: int | None = None) -> tuple[str, ...]:
    """The cells of the first record of `text`, at most `limit` of them."""
    return _record(text, 0, separator, 0, limit=limit).cells


def _record(text: str, at: int, separator: str, line: int, *, limit: int | None = None) -> Record:
    cells: list[str] = []
    clean = True
    line_end = text.find("\n", at)
    while True:
        quoted = text.startswith('"', at)
        cell, at, closed = _quoted(text, at + 1) if quoted else ("", at, True)
        if line_end < at:  # it was inside the quotes; looked for once a line, not once a cell
            line_end = text.find("\n", at) if line_end >= 0 else -1
        stop = line_end if line_end >= 0 else len(text)
        found = text.find(separator, at, stop)
        rest = text[at:found] if found >= 0 else text[at:stop].removesuffix("\r")
        cells.append(cell + rest)
        clean = clean and closed and not (rest if quoted else '"' in rest)
        if found < 0 or len(cells) == limit:
            return Record(line, tuple(cells), stop + (line_end >= 0), whole=line_end >= 0, clean=clean)
        at = found + 1


def _quoted(text: str, at: int) -> tuple[str, int, bool]:
    """The cell whose opening quote is before `at`, the place behind its closing quote, and whether there is one."""
    parts: list[str] = []
    while True:
        close = text.find('"', at)
        if close < 0:
            return "".join([*parts, text[at:]]), len(text), False
        parts.append(text[at:close])
        if not text.startswith('"', close + 1):
            return "".join(parts), close + 1, True
        parts.append('"')
        at = close + 2
