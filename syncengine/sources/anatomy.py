"""Where each record of an unsound stretch begins and ends, and which of them are bad.

Works by lines, with no loop but over lines that are no record of their own. Each line is read twice, as if it began
outside quotes and as if it began inside. A record goes on over the lines that end inside; where a quote neither opens,
closes nor is doubled, the record is broken. After a quote that never closes, reading goes on at the first line that is
a whole row by itself: everything between belongs to the broken row.
"""

from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from syncengine.sources.bitmap import (
    Flags,
    Places,
    Words,
    count_between,
    earlier,
    has,
    later,
    mark,
    parity,
    places_of,
    where,
)
from syncengine.sources.prescan import CR, LF, QUOTE


class Fault(StrEnum):
    """Codes of rows that could not be taken apart."""

    SHORT = "row-short"
    LONG = "row-long"
    CUT = "row-cut"
    NUL = "row-nul"
    RETURN = "row-return"
    ENCODING = "row-encoding"
    QUOTE = "row-quote"
    CELL = "cell-too-long"


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a text, blank ones too: one value each, in order, without gaps."""

    start: Places
    stop: Places  #: behind the last character, before the line end
    line: Places  #: on which it starts, from 0
    last: Places  #: line on which it ends
    fields: Places
    broken: Flags  #: a quote is where none can be, or never closes

    @property
    def count(self) -> int:
        return int(self.start.size)


@dataclass(frozen=True, slots=True)
class Dissection:
    records: Records
    end: int  #: bytes dealt with; the rest is to be given again with what follows
    lines: int  #: line ends before `end`
    lone_returns: Places  #: carriage returns outside quotes that no line feed follows
    lost: bool = False  #: the last record is broken and its end was not found: what follows belongs to it


class Lines:
    """What can be said of each line without knowing whether it begins inside quotes."""

    def __init__(self, data: bytes, separator: int, *, ended: bool) -> None:
        self.size = len(data)
        text = np.frombuffer(data, np.uint8)
        newlines, separators, quotes = where(text, LF), where(text, separator), where(text, QUOTE)
        returns = where(text, CR)
        self.newlines = newlines
        self.starts, self.stops = _bounds(places_of(newlines), self.size, ended=ended)
        length = self.stops - self.starts
        self.blank: Flags = length == 0
        one = np.flatnonzero(length == 1)
        self.blank[one] = text[self.starts[one]] == CR
        self._edges = np.append(self.starts, self.stops[-1:])  # nothing that is counted stands on a line end
        self.odd: Flags = (count_between(quotes, self._edges) & 1).astype(np.bool_)
        turns = mark(self.size, self.stops[self.odd & (self.stops < self.size)])
        self.inside = parity(quotes | turns)  # as if every line began outside
        structure = separators | newlines
        follower = structure | returns  # a lone return outside quotes is a fault of its own
        opening = quotes & self.inside
        closing = quotes ^ opening
        self.wrong_outside = self._wrong(opening, closing, structure, follower)
        self.wrong_inside = self._wrong(closing, opening, structure, follower)
        self.fields_outside = 1 + count_between(separators & ~self.inside, self._edges)
        self.separators_inside = count_between(separators & self.inside, self._edges)
        lone = places_of(returns & ~earlier(newlines))
        self.lone_returns = lone[lone < self.size - 1] if ended else lone  # the very last byte may be one

    @property
    def count(self) -> int:
        return int(self.starts.size)

    def after(self, *, ended: bool) -> int:
        """The place behind the last line."""
        if ended:
            return self.size
        return int(self.stops[-1]) + 1 if self.count else 0

    def _wrong(self, opening: Words, closing: Words, structure: Words, follower: Words) -> Flags:
        """Lines in which a quote stands where it can't, given which quotes open and which close."""
        misplaced = opening & ~later(structure | closing, first=True)
        ends_text = mark(self.size, np.array([self.size - 1])[: self.size])
        misplaced |= closing & ~(earlier(follower | opening) | ends_text)
        return count_between(misplaced, self._edges) > 0


def dissect(data: bytes, *, separator: int, columns: int, ended: bool) -> Dissection:
    """The records of `data`, which begins with one, up to one whose end is not in it.

    `ended`: nothing follows. Takes some 80 bytes of memory a line: meant for a window. A record longer than that
    is for `dissect_one`; `end` is 0 then.
    """
    walk = _Walk(Lines(data, separator, ended=ended), columns)
    walk.run(ended=ended)
    return walk.dissection(ended=ended)


def resume(data: bytes, *, separator: int, columns: int, ended: bool, window: int) -> tuple[int, int] | None:
    """Where to go on in a broken row that reaches into `data`: bytes and line ends to leave out.

    That is the first line, not counting the one `data` begins in, that is a whole row by itself. None: not in here.
    """
    at, line = data.find(b"\n") + 1 or len(data), 1
    while at < len(data):
        stop = at + window
        if stop < len(data):  # whole lines, so that no row is cut in two
            stop = data.find(b"\n", stop) + 1 or len(data)
        lines = Lines(data[at:stop], separator, ended=ended and stop >= len(data))
        own = np.flatnonzero(_whole_rows(lines, columns))
        if own.size:
            return at + int(lines.starts[own[0]]), line + int(own[0])
        at, line = stop, line + lines.count
    return None


def _bounds(newlines: Places, size: int, *, ended: bool) -> tuple[Places, Places]:
    """Start and stop of each line; what follows the last line end is a line only if nothing more comes."""
    starts = np.concatenate([np.zeros(1, np.int64), newlines + 1])
    if ended and starts[-1] < size:
        return starts, np.append(newlines, size)
    return starts[:-1], newlines


def _whole_rows(lines: Lines, columns: int) -> Flags:
    """Lines that are a row with every field, read on their own."""
    whole: Flags = ~lines.odd & ~lines.wrong_outside & ~lines.blank & (lines.fields_outside == columns)
    return whole


class _Walk:
    """From record to record; plain lines are passed in runs."""

    def __init__(self, lines: Lines, columns: int) -> None:
        self.lines = lines
        self.whole_rows: list[int] = np.flatnonzero(_whole_rows(lines, columns)).tolist()
        self.special: list[int] = np.flatnonzero(lines.odd | lines.wrong_outside).tolist()
        self.closers: list[int] = np.flatnonzero(lines.odd | lines.wrong_inside).tolist()
        self.first: list[npt.NDArray[np.int64]] = []
        self.last: list[npt.NDArray[np.int64]] = []
        self.broken: list[Flags] = []
        self.next = 0  # line

    def run(self, *, ended: bool) -> None:
        for line in self.special:
            if line < self.next:
                continue
            self._plain(line)
            stop = self._record(line, ended=ended)
            if stop is None:
                return
            self.next = stop
        self._plain(self.lines.count)

    def _plain(self, stop: int) -> None:
        span = np.arange(self.next, stop)
        self._add(span, span, np.zeros(span.size, np.bool_))
        self.next = stop

    def _add(self, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64], broken: Flags) -> None:
        self.first.append(first)
        self.last.append(last)
        self.broken.append(broken)

    def _one(self, first: int, stop: int, *, broken: bool) -> int:
        self._add(np.array([first]), np.array([stop - 1]), np.array([broken]))
        return stop

    def _record(self, line: int, *, ended: bool) -> int | None:
        """Take the record that starts on special `line`; the line behind it, or None if its end is not in sight."""
        lines = self.lines
        if not lines.odd[line]:  # quotes in mid-cell, but as many open as close: the damage ends with the line
            return self._one(line, line + 1, broken=True)
        closer = None if lines.wrong_outside[line] else _next(self.closers, line + 1)
        if closer is not None and not lines.wrong_inside[closer]:
            return self._one(line, closer + 1, broken=False)
        if closer is None and not lines.wrong_outside[line] and not ended:
            return None  # a long cell, or a quote that never closes: what follows will tell
        resume_at = _next(self.whole_rows, line + 1)
        if resume_at is None and not ended:
            return None
        return self._one(line, lines.count if resume_at is None else resume_at, broken=True)

    def dissection(self, *, ended: bool) -> Dissection:
        lines = self.lines
        none = np.zeros(0, np.int64)
        first, last = np.concatenate([none, *self.first]), np.concatenate([none, *self.last])
        after_inside = np.concatenate([np.zeros(1, np.int64), np.cumsum(lines.separators_inside)])
        fields = lines.fields_outside[first] + after_inside[last + 1] - after_inside[first + 1]
        broken = np.concatenate([np.zeros(0, np.bool_), *self.broken])
        found = Records(lines.starts[first], lines.stops[last], first, last, fields, broken)
        end = int(lines.starts[self.next]) if self.next < lines.count else lines.after(ended=ended)
        return Dissection(found, end, self.next, self._outside(found, end))

    def _outside(self, found: Records, end: int) -> Places:
        """Of the lone carriage returns those that no quotes protect."""
        places = self.lines.lone_returns
        places = places[places < end]
        if not places.size:
            return places
        line = np.searchsorted(self.lines.starts, places, side="right") - 1
        record = np.searchsorted(found.line, line, side="right") - 1
        inside: Flags = has(self.lines.inside, places) ^ (line > found.line[record])
        return places[~inside]


def _next(sorted_lines: list[int], line: int) -> int | None:
    at = bisect_left(sorted_lines, line)
    return sorted_lines[at] if at < len(sorted_lines) else None
