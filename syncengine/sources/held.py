"""Rows that could not be taken apart: which, why, and what could be read of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np
import polars as pl

from syncengine.sources.anatomy import Dissection, Fault, Records
from syncengine.sources.bitmap import Flags, Places
from syncengine.sources.encoding import invalid_utf8
from syncengine.sources.prescan import CR
from syncengine.sources.tokens import split_record

_AT_BYTE: Final = {
    Fault.NUL: "a NUL byte",
    Fault.RETURN: "a carriage return without a line feed",
    Fault.ENCODING: "not valid {encoding}",
}


@dataclass(frozen=True, slots=True)
class HeldRow:
    line: int  #: of the file, from 1
    code: Fault
    reason: str
    cells: tuple[str | None, ...]  #: as far as they could be read, None elsewhere

    @property
    def filled(self) -> int:
        return sum(cell is not None for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stretch stands, for messages."""

    line: int  #: of its first byte, from 1
    offset: int  #: of its first byte, in the text
    file_offset: Callable[[int], int | None]  #: place in the text → offset in the file


@dataclass(frozen=True, slots=True)
class Rules:
    """What a row must be like."""

    separator: str
    columns: int
    cell_bytes: int
    encoding: str  #: for messages


@dataclass(frozen=True, slots=True)
class Verdict:
    blank: Flags
    faults: dict[int, Fault]  #: record number → what is wrong with it
    offsets: dict[int, int]  #: record number → place of the byte that is wrong, where one is


def judge(data: bytes, found: Dissection, rules: Rules, *, ended: bool) -> Verdict:
    """Which records are bad. Of several faults the one that explains the others counts."""
    records = found.records
    blank = _blank(data, records)
    verdict = Verdict(blank, {}, {})
    short, long = (records.fields < rules.columns) & ~blank, records.fields > rules.columns
    verdict.faults.update(dict.fromkeys(np.flatnonzero(short).tolist(), Fault.SHORT))
    verdict.faults.update(dict.fromkeys(np.flatnonzero(long).tolist(), Fault.LONG))
    for number in np.flatnonzero((records.stop - records.start > rules.cell_bytes) & ~short & ~long).tolist():
        if any(size > rules.cell_bytes for size in _cell_sizes(data, records, number, rules.separator)):
            verdict.faults[number] = Fault.CELL
    _note(verdict, records, found.lone_returns, Fault.RETURN)
    read = data[: found.end]
    if b"\0" in read:
        _note(verdict, records, np.flatnonzero(np.frombuffer(read, np.uint8) == 0), Fault.NUL)
    _note(verdict, records, np.fromiter(invalid_utf8(read), np.int64), Fault.ENCODING)
    verdict.faults.update(dict.fromkeys(np.flatnonzero(records.broken).tolist(), Fault.QUOTE))
    last = records.count - 1
    if ended and not data.endswith(b"\n") and verdict.faults.get(last) in {Fault.SHORT, Fault.QUOTE}:
        verdict.faults[last] = Fault.CUT
    return verdict


def held_row(data: bytes, found: Dissection, verdict: Verdict, number: int, rules: Rules, place: Place) -> HeldRow:
    """Record `number` of `found`, told to people."""
    records = found.records
    code = verdict.faults[number]
    start, stop = int(records.start[number]), int(records.stop[number])
    if code in {Fault.QUOTE, Fault.CUT}:  # behind a stray quote nothing can be told apart: its first line must do
        line_end = data.find(b"\n", start, stop)
        stop = line_end if line_end >= 0 else stop
    reason = _reason(data, records, verdict, number, rules, place)
    return HeldRow(place.line + int(records.line[number]), code, reason, _cells(data[start:stop], rules))


def held_frame(rows: Sequence[HeldRow], names: Sequence[str], left_out: Sequence[str] = ()) -> pl.DataFrame:
    """`row`, `code`, `reason`, then a String column for each of `names` that is not in `left_out`."""
    columns: dict[str, pl.Series] = {
        "row": pl.Series("row", [row.line for row in rows], pl.UInt64),
        "code": pl.Series("code", [str(row.code) for row in rows], pl.String),
        "reason": pl.Series("reason", [row.reason for row in rows], pl.String),
    }
    for position, name in enumerate(names):
        if name not in left_out:
            columns[name] = pl.Series(name, [row.cells[position] for row in rows], pl.String)
    return pl.DataFrame(columns)


def readable(cell: str, cell_bytes: int) -> str | None:
    """The cell, or None where it is empty or can't be passed on: too long, with NUL, or not decoded."""
    if not cell or "\0" in cell or len(cell) > cell_bytes:
        return None
    try:
        size = len(cell.encode())
    except UnicodeEncodeError:  # a surrogate stands for an invalid byte
        return None
    return cell if size <= cell_bytes else None


def fit(cells: Iterable[str | None], columns: int) -> tuple[str | None, ...]:
    """As many cells as columns: the surplus is dropped, the missing are None."""
    fitted = tuple(cells)[:columns]
    return fitted + (None,) * (columns - len(fitted))


def _blank(data: bytes, records: Records) -> Flags:
    text = np.frombuffer(data, np.uint8)
    length = records.stop - records.start
    lone_return = np.zeros(records.count, np.bool_)
    one = length == 1
    lone_return[one] = text[records.start[one]] == CR
    blank: Flags = ((length == 0) | lone_return) & (records.line == records.last)
    return blank


def _note(verdict: Verdict, records: Records, places: Places, fault: Fault) -> None:
    """`fault` for the records in which `places` are; the first place of each is remembered."""
    numbers = np.searchsorted(records.start, places, side="right") - 1
    for number, place in zip(numbers.tolist(), places.tolist(), strict=True):
        if verdict.faults.get(number) != fault:
            verdict.faults[number] = fault
            verdict.offsets[number] = place


def _cell_sizes(data: bytes, records: Records, number: int, separator: str) -> list[int]:
    text = data[records.start[number] : records.stop[number]].decode("utf-8", "surrogateescape")
    return [len(cell.encode("utf-8", "surrogateescape")) for cell in split_record(text, separator)]


def _cells(record: bytes, rules: Rules) -> tuple[str | None, ...]:
    cells = split_record(record.decode("utf-8", "surrogateescape"), rules.separator, limit=rules.columns)
    return fit((readable(cell, rules.cell_bytes) for cell in cells), rules.columns)


def _reason(data: bytes, records: Records, verdict: Verdict, number: int, rules: Rules, place: Place) -> str:
    fault = verdict.faults[number]
    fields = int(records.fields[number])
    line, last = place.line + int(records.line[number]), place.line + int(records.last[number])
    match fault:
        case Fault.SHORT | Fault.LONG:
            return f"{fields} fields, the header has {rules.columns}"
        case Fault.CUT if records.broken[number]:
            return f"the file ends inside quotes that open on line {line}"
        case Fault.CUT:
            return f"the file ends in this row, without a line end, after {fields} of {rules.columns} fields"
        case Fault.QUOTE if last > line:
            return f"a quote that opens on line {line} is not closed as it should be; held up to line {last}"
        case Fault.QUOTE:
            return "a quote in the middle of a cell"
        case Fault.CELL:
            longest = max(_cell_sizes(data, records, number, rules.separator))
            return f"a cell of {longest:,} bytes; the limit is {rules.cell_bytes:,}"
        case Fault.NUL | Fault.RETURN | Fault.ENCODING:
            at = place.file_offset(place.offset + verdict.offsets[number])
            where = f" at byte {at:,} of the file" if at is not None else ""
            return _AT_BYTE[fault].format(encoding=rules.encoding) + where
        case _:
            assert_never(fault)
