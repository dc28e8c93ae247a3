"""One stretch of delimited text → rows and held rows.

A sound stretch goes to polars as it is. An unsound one is taken in windows, so that only the surroundings of a bad row
pay for finding it: each window that is sound goes to polars, from the others the good records go.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.sources.anatomy import Dissection, Fault, dissect, resume
from syncengine.sources.held import HeldRow, Place, Rules, Verdict, held_row, judge
from syncengine.sources.long_record import dissect_one
from syncengine.sources.prescan import Shape, prescan
from syncengine.sources.records import Records

_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}".encode()


@dataclass(frozen=True, slots=True)
class Layout:
    """What a row looks like, and what its fields are called."""

    names: tuple[str, ...]
    separator: str
    cell_bytes: int
    window: int  #: bytes of an unsound stretch taken at a time

    @property
    def columns(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Part:
    """What was read of a stretch. rows: `row`, then one String column for each field."""

    rows: pl.DataFrame
    held: list[HeldRow]
    blank: int  #: lines without anything on them
    plain: bool
    longest: int = 1  #: lines of the record that spans most
    longest_at: int = 0  #: line of the file on which it starts


@dataclass(frozen=True, slots=True)
class Outcome:
    """An unsound stretch, dealt with up to `end`."""

    part: Part
    end: int
    lines: int
    lost: bool  #: what follows belongs to a broken row, see `skip_lost`


def examine(data: bytes, layout: Layout, *, ended: bool) -> Shape:
    return prescan(
        data,
        separator=ord(layout.separator),
        columns=layout.columns,
        ended=ended,
        cell_bytes=layout.cell_bytes,
    )


def read_sound(data: bytes, shape: Shape, layout: Layout, line: int) -> Part | None:
    """The rows of a sound stretch that begins on `line` of the file; None if polars finds otherwise."""
    body = data if shape.end == len(data) else data[: shape.end]
    try:
        rows = _parse(body, layout, empty_quotes=shape.empty_quotes)
    except pl.exceptions.PolarsError:  # a long row, or invalid UTF-8: the pre-scan leaves both to polars
        return None
    if rows.height != shape.records:
        return None
    starts = np.arange(shape.records, dtype=np.uint64) if shape.starts is None else shape.starts
    longest, at = _longest(shape.starts)
    return Part(_numbered(rows, starts, line), [], 0, shape.plain, longest, line + at)


def read_records(
    records: Records, numbers: npt.NDArray[np.int64], shape: Shape, layout: Layout, line: int
) -> pl.DataFrame | None:
    """Some rows of a sound stretch that begins on `line` of the file; None if polars finds otherwise."""
    if not numbers.size:
        return _no_rows(layout)
    try:
        rows = _parse(records.text(numbers), layout, empty_quotes=shape.empty_quotes)
    except pl.exceptions.PolarsError:
        return None
    return _numbered(rows, records.first_lines[numbers], line) if rows.height == numbers.size else None


def longest_of(shape: Shape, line: int) -> tuple[int, int]:
    """Lines of the record that spans most, and the line of the file on which it starts."""
    longest, at = _longest(shape.starts)
    return longest, line + at


def read_unsound(data: bytes, layout: Layout, rules: Rules, place: Place, *, ended: bool) -> Outcome:
    """The rows and held rows of a stretch, as far as it is sure where they end.

    `data` is as much as is ever looked at: a record that does not end in it is held, and `lost` is set.
    """
    parts: list[Part] = []
    at, line = 0, place.line
    while at < len(data):
        piece = data[at : at + layout.window]
        last = at + layout.window >= len(data)
        here = Place(line, place.offset + at, place.file_offset)
        step = _window(piece, layout, rules, here, ended=ended and last)
        if not step.end:
            step = _long_record(data[at:], layout, rules, here, ended=ended, whole=not at)
        parts.append(step.part)
        at, line = at + step.end, line + step.lines
        if step.lost or not step.end:
            return Outcome(_joined(parts), at, line - place.line, step.lost)
    return Outcome(_joined(parts), at, line - place.line, lost=False)


def skip_lost(data: bytes, layout: Layout, *, ended: bool) -> tuple[int, int, bool]:
    """Bytes and lines of `data` that still belong to a broken row, and whether all that follows does too."""
    found = resume(data, separator=ord(layout.separator), columns=layout.columns, ended=ended, window=layout.window)
    if found is not None:
        return (*found, False)
    return len(data), data.count(b"\n"), True


def _window(data: bytes, layout: Layout, rules: Rules, place: Place, *, ended: bool) -> Outcome:
    shape = examine(data, layout, ended=ended)
    part = read_sound(data, shape, layout, place.line) if shape.sound else None
    if part is not None:
        return Outcome(part, shape.end, shape.lines, lost=False)
    found = dissect(data, separator=ord(layout.separator), columns=layout.columns, ended=ended)
    return _told(data, found, layout, rules, place, ended=ended, plain=shape.plain)


def _long_record(data: bytes, layout: Layout, rules: Rules, place: Place, *, ended: bool, whole: bool) -> Outcome:
    """The first record of `data`, which no window held."""
    found = dissect_one(
        data,
        separator=ord(layout.separator),
        columns=layout.columns,
        ended=ended,
        whole=whole,
        window=layout.window,
    )
    if not found.end and whole:
        return _endless(data, layout, rules, place)
    ended_here = ended and found.end == len(data)
    return _told(data[: found.end], found, layout, rules, place, ended=ended_here, plain=False)


def _told(
    data: bytes, found: Dissection, layout: Layout, rules: Rules, place: Place, *, ended: bool, plain: bool
) -> Outcome:
    """Good records as rows, bad ones as held rows."""
    verdict = judge(data, found, rules, ended=ended)
    held = [held_row(data, found, verdict, number, rules, place) for number in sorted(verdict.faults)]
    rows = _good_rows(data, found, verdict, layout, place.line)
    span = found.records.last - found.records.line + 1
    longest = int(span.argmax()) if span.size else 0
    part = Part(
        rows,
        held,
        int(verdict.blank.sum()),
        plain,
        int(span[longest]) if span.size else 1,
        place.line + int(found.records.line[longest]) if span.size else 0,
    )
    return Outcome(part, found.end, found.lines, found.lost)


def _endless(data: bytes, layout: Layout, rules: Rules, place: Place) -> Outcome:
    """A line that is longer than the most that is looked at."""
    reason = f"a line of more than {len(data):,} bytes; a cell may have {rules.cell_bytes:,}"
    row = HeldRow(place.line, Fault.CELL, reason, (None,) * rules.columns)
    return Outcome(Part(_no_rows(layout), [row], 0, plain=True), len(data), 0, lost=True)


def _good_rows(data: bytes, found: Dissection, verdict: Verdict, layout: Layout, line: int) -> pl.DataFrame:
    """The records without fault, parsed. Raises ComputeError if polars does not find as many."""
    records = found.records
    good = ~verdict.blank
    good[list(verdict.faults)] = False
    numbers = np.flatnonzero(good)
    if not numbers.size:
        return _no_rows(layout)
    edges = np.append(records.start, found.end)
    body = b"".join(data[edges[first] : edges[stop]] for first, stop in _runs(numbers))
    rows = _parse(body, layout, empty_quotes=True)
    if rows.height != numbers.size:
        raise pl.exceptions.ComputeError(f"{rows.height:,} rows where {numbers.size:,} were counted")
    return _numbered(rows, records.line[numbers].astype(np.uint64), line)


def _runs(numbers: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Unbroken runs of rising numbers, each as first and behind its last."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    for run in np.split(numbers, breaks):
        yield int(run[0]), int(run[-1]) + 1


def _parse(body: bytes, layout: Layout, *, empty_quotes: bool) -> pl.DataFrame:
    if body.startswith(_BOM):
        body = _BOM + body  # polars takes one off each body; in mid-file it is a character like others
    schema = dict.fromkeys(layout.names, pl.String())
    rows = pl.scan_csv(body, has_header=False, schema=schema, separator=layout.separator).collect()
    return _without_empty(rows) if empty_quotes else rows


def _without_empty(rows: pl.DataFrame) -> pl.DataFrame:
    """`""` as null, as an empty cell without quotes is. Half the cost of `null_values` where few columns have any."""
    shortest = rows.select(pl.all().str.len_bytes().min())
    empty = [name for name in rows.columns if shortest[name][0] == 0]
    return rows.with_columns(pl.when(pl.col(name) != "").then(pl.col(name)) for name in empty)


def _numbered(rows: pl.DataFrame, starts: npt.NDArray[np.uint64], line: int) -> pl.DataFrame:
    return rows.insert_column(0, pl.Series("row", starts + np.uint64(line)))


def _no_rows(layout: Layout) -> pl.DataFrame:
    return pl.DataFrame(schema={"row": pl.UInt64(), **dict.fromkeys(layout.names, pl.String())})


def _longest(starts: npt.NDArray[np.uint64] | None) -> tuple[int, int]:
    """Lines of the record that spans most, and the line on which it starts."""
    if starts is None or starts.size < 2:
        return 1, 0
    spans = np.diff(starts)
    at = int(spans.argmax())
    return int(spans[at]), int(starts[at])


def _joined(parts: Sequence[Part]) -> Part:
    longest = max(parts, key=lambda part: part.longest)
    return Part(
        pl.concat([part.rows for part in parts]),
        [row for part in parts for row in part.held],
        sum(part.blank for part in parts),
        all(part.plain for part in parts),
        longest.longest,
        longest.longest_at,
    )
