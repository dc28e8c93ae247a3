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


def split_record(text: str, separator: str) -> tuple[str, ...]:
    """The cells of the first record of `text`."""
    return _record(text, 0, separator, 0).cells


def _record(text: str, at: int, separator: str, line: int) -> Record:
    cells = []
    while True:
        cell, at = _quoted(text, at + 1) if text.startswith('"', at) else ("", at)
        line_end = text.find("\n", at)
        stop = line_end if line_end >= 0 else len(text)
        found = text.find(separator, at, stop)
        if found >= 0:
            cells.append(cell + text[at:found])
            at = found + 1
            continue
        cells.append(cell + text[at:stop].removesuffix("\r"))
        return Record(line, tuple(cells), stop + (line_end >= 0), whole=line_end >= 0)


def _quoted(text: str, at: int) -> tuple[str, int]:
    """The cell whose opening quote is before `at`, and the place behind its closing quote."""
    parts: list[str] = []
    while True:
        close = text.find('"', at)
        if close < 0:
            return "".join([*parts, text[at:]]), len(text)
        parts.append(text[at:close])
        if not text.startswith('"', close + 1):
            return "".join(parts), close + 1
        parts.append('"')
        at = close + 2
