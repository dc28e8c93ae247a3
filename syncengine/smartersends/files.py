"""Exported files, read piece by piece: an array of JSON objects, and the CSV that holds two tables."""

import csv
import json
from collections.abc import Iterator
from typing import IO, Any, Final

from syncengine.errors import UnavailableError
from syncengine.smartersends.usage import GROUP_COLUMNS, METRICS

_PIECE: Final = 1 << 18  #: characters
_MOST: Final = 64 << 20  #: characters of one object
_BLANK: Final = " \t\r\n"


def odd_file(why: str) -> UnavailableError:
    """The error for a file that is not what the page describes."""
    return UnavailableError(
        "the exported file is not what the page describes", why=why, fix="run it again", code="export-odd",
        sent="the export was made; nothing else",
    )  # fmt: skip


def iter_array(file: IO[str]) -> Iterator[dict[str, Any]]:
    """The objects of a JSON array, one after the other. Raises UnavailableError where it is none, or is cut off."""
    reader = _Pieces(file)
    if reader.next() != "[":
        raise odd_file("it is no array")
    reader.skip()
    first = True
    while (sign := reader.next()) != "]":
        if not first:
            if sign != ",":
                raise odd_file("its rows are not separated by commas" if sign else "it breaks off")
            reader.skip()
        first = False
        yield reader.row()
    reader.skip()
    if reader.next():
        raise odd_file("something stands behind the array")


class _Pieces:
    """A text that is read as it is needed."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._decoder = json.JSONDecoder()

    def next(self) -> str:
        """The next character that is no blank, not taken; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _BLANK:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def skip(self) -> None:
        self._at += 1

    def row(self) -> dict[str, Any]:
        """The next object."""
        if self.next() != "{":
            raise odd_file("a row is no object")
        while True:
            try:
                row, self._at = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if len(self._text) - self._at > _MOST or not self._more():
                    raise odd_file("it breaks off, or is no JSON") from error
            else:
                if not isinstance(row, dict):
                    raise odd_file("a row is no object")
                return row

    def _more(self) -> bool:
        try:
            piece = self._file.read(max(_PIECE, len(self._text) - self._at))  # doubles: a long row is not tried n times
        except UnicodeDecodeError as error:
            raise odd_file("it is not UTF-8") from error
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)


def usage_tables(text: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Metrics and groups of a conversations export: `metric,value` rows, a blank row, and the table of groups.

    Raises UnavailableError for anything else. An empty cell is an empty text.
    """
    rows = list(csv.reader(text.splitlines(keepends=True)))
    blank = next((at for at, row in enumerate(rows) if not any(cell.strip() for cell in row)), len(rows))
    above, below = rows[:blank], [row for row in rows[blank + 1 :] if row]
    if not above or above[0] != ["metric", "value"] or any(len(row) != 2 for row in above):
        raise odd_file("it does not begin with metric,value")
    if not below or below[0] != list(GROUP_COLUMNS):
        raise odd_file("it has no table of groups")
    if any(len(row) != len(below[0]) for row in below):
        raise odd_file("a group has more or fewer cells than the table's head")
    metrics = {name: value for name, value in above[1:] if name in METRICS}
    return metrics, [dict(zip(below[0], row, strict=True)) for row in below[1:]]
