"""The pre-scan: is this stretch of delimited text what polars may be trusted with?

polars pads short rows, takes a cut row for a whole one, keeps NUL bytes and reads a lone carriage return as text, all
without a word (measured with 2.1). It does refuse long rows. So a stretch is sound when its separators, counted
outside quotes, are rows × (columns - 1): then no row is short, or one would have to be long. Everything here is
totals; no row is looked at. Which rows are bad is only worked out (`anatomy`) for a stretch that is not sound.

Cost on UTF-8: see `benchmarks/prescan.py`. The text is taken in tiles that stay in the second-level cache, so that each
byte comes from memory once.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from syncengine.sources.bitmap import (
    WORD,
    Bytes,
    Flags,
    Places,
    Words,
    bits_before,
    count,
    later,
    parity,
    places_of,
    where,
)

TILE: Final = 768 << 10  #: bytes; a multiple of 64. 512 KiB are 8 % slower (calls), 2 MiB 4 % (cache)

TAB: Final = 0x09
LF: Final = 0x0A
CR: Final = 0x0D
BLANK: Final = 0x20
QUOTE: Final = 0x22

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}".encode()


@dataclass(frozen=True, slots=True)
class Shape:
    """What the totals of a stretch say, and where its records end. Only `end`, `records` and `sound` mean anything when
    it is not sound.
    """

    end: int  #: bytes up to the end of the last whole record
    records: int
    sound: bool  #: polars may parse `[:end]`, and must find `records` rows
    lines: int  #: line ends before `end`
    starts: npt.NDArray[np.uint64] | None  #: line on which each record starts, from 0; None: one record a line
    empty_quotes: bool  #: there may be `""` cells
    plain: bool  #: no control character but tab and line ends, and no U+FFFD
    endings: tuple[
        tuple[int, Words], ...
    ]  #: where line ends stand that end a record: a bitmap from each of some places

    def edges(self) -> Places:
        """Where each record begins, and the last one ends: `records` + 1 places of a sound stretch."""
        edges = np.zeros(self.records + 1, np.int64)
        edges[-1] = self.end  # where the last record has no line end
        at = 1
        for start, words in self.endings:
            places = places_of(words)
            edges[at : at + places.size] = places + (start + 1)
            at += places.size
        return edges


def prescan(data: bytes, *, separator: int, columns: int, ended: bool, cell_bytes: int, tile: int = TILE) -> Shape:
    """The shape of `data`, which begins with a record and is UTF-8, or at least ASCII where it matters.

    `ended`: nothing follows, so that a last line without a line end is a record. Linear, at several GB/s.
    """
    scan = _Scan(data, separator, cell_bytes, tile)
    for start in range(0, len(data), tile):
        scan.take(start, min(start + tile, len(data)))
    return scan.shape(columns, ended=ended)


class _Scan:
    """The pass over the tiles: totals, and what the last character of a tile means for the first of the next."""

    def __init__(self, data: bytes, separator: int, cell_bytes: int, tile: int) -> None:
        self.data = data
        self.flags: Flags = np.empty(tile, np.bool_)  # scratch
        self.scratch: Bytes = self.flags.view(np.uint8)  # the same
        self.bytes: Bytes = np.frombuffer(data, np.uint8)
        self.separator = separator
        self.cell_bytes = cell_bytes
        self.structure_at = 0  # a place at or before the last separator or line end
        self.inside = self.opened = self.closed = self.returned = False  # as the last character left it
        self.edge = True  # a quote may open at the very start
        self.end = self.records = self.separators = 0
        self.separators_at_end = 0
        self.inner: list[Places] = []  # for each line end within a record, the number of the record
        self.endings: list[tuple[int, Words]] = []
        self.wrong = self.empty_quotes = False
        self.plain = True

    def take(self, start: int, stop: int) -> None:
        text = self.bytes[start:stop]
        newlines, separators = self._where(text, LF), self._where(text, self.separator)
        line_ends = count(newlines)
        expected = line_ends + (count(separators) if self.separator == TAB else 0)
        returns = self._control(text, start, expected)
        outside: Words | None = None
        if self.data.find(b'"', start, stop) >= 0:
            outside = ~self._quotes(text, newlines, separators, returns)
        else:
            self._no_quotes(text)
            outside = np.zeros_like(newlines) if self.inside else None
        self._scars(start, stop)
        if returns is not None or self.returned:
            self._returns(text, newlines, returns, outside)
        if outside is None:
            self._count(start, newlines, newlines, separators, line_ends)
        else:
            self._count(start, newlines, newlines & outside, separators & outside, line_ends)

    def _where(self, text: Bytes, character: int) -> Words:
        return where(text, character, self.flags)

    def _control(self, text: Bytes, start: int, expected: int) -> Words | None:
        """Where carriage returns are; finds other control characters, beyond those `expected`, on the way."""
        stop = start + text.size
        returned = self.data.find(b"\r", start, stop) >= 0
        if not returned and not self._controlled(text):
            return None
        low = np.less(text, BLANK, out=self.flags[: text.size])
        others = int(np.count_nonzero(low)) - expected
        returns = self._where(text, CR) if returned else None
        others -= 0 if returns is None else count(returns)
        if others and self.separator != TAB:
            others -= int(np.count_nonzero(text == TAB))
        if others:
            self.plain = False
            self.wrong = self.wrong or self.data.find(b"\0", start, stop) >= 0
        return returns

    def _scars(self, start: int, stop: int) -> None:
        """Whether U+FFFD is in it, the scar of a wrong decoding. Its first byte alone is rare, and found fast."""
        if self.data.find(_REPLACEMENT[:1], start, stop) >= 0:
            reach = stop + len(_REPLACEMENT) - 1  # one may lie across two tiles
            self.plain = self.plain and self.data.find(_REPLACEMENT, start, reach) < 0

    def _controlled(self, text: Bytes) -> bool:
        """Whether a control character other than LF is in it. Two minima cost half of counting those below a blank."""
        if int(text.min()) < LF:
            return True
        above = np.subtract(text, np.uint8(LF + 1), out=self.scratch[: text.size])  # LF wraps round to 255
        return int(above.min()) < BLANK - LF - 1

    def _quotes(self, text: Bytes, newlines: Words, separators: Words, returns: Words | None) -> Words:
        """The places inside quotes; notes a quote that neither opens a cell, nor closes one, nor is doubled."""
        quotes = self._where(text, QUOTE)
        inside = parity(quotes)
        if self.inside:
            inside = ~inside
        opening = quotes & inside
        closing = quotes ^ opening
        structure = separators | newlines
        misplaced = opening & ~later(structure | closing, first=self.edge)
        structure |= opening
        if returns is not None:
            structure |= returns
        misplaced |= _cut(later(closing, first=self.closed) & ~structure, text.size)  # what may follow a closing quote
        self.wrong = self.wrong or bool(misplaced.any())
        if not self.empty_quotes:
            self.empty_quotes = bool((closing & later(opening, first=self.opened)).any())
        self._carry(text, inside, opening, closing)
        return inside

    def _carry(self, text: Bytes, inside: Words, opening: Words, closing: Words) -> None:
        word, bit = divmod(text.size - 1, WORD)
        self.inside = bool(int(inside[word]) >> bit & 1)
        self.opened = bool(int(opening[word]) >> bit & 1)
        self.closed = bool(int(closing[word]) >> bit & 1)
        self.edge = self.closed or int(text[-1]) in (self.separator, LF)

    def _no_quotes(self, text: Bytes) -> None:
        if self.closed and int(text[0]) not in (self.separator, LF, CR):
            self.wrong = True
        self.opened = self.closed = False
        self.edge = int(text[-1]) in (self.separator, LF)

    def _returns(self, text: Bytes, newlines: Words, returns: Words | None, outside: Words | None) -> None:
        """A carriage return outside quotes must stand before a line feed."""
        found = returns if returns is not None else np.zeros_like(newlines)
        if outside is not None:
            found = found & outside
        alone = _cut(later(found, first=self.returned) & ~newlines, text.size)
        self.wrong = self.wrong or bool(alone.any())
        self.returned = int(text[-1]) == CR and not self.inside

    def _count(self, start: int, newlines: Words, ending: Words, separators: Words, line_ends: int) -> None:
        """Totals of a tile, and where the last record in it ends. `ending`: the newlines outside quotes."""
        records = line_ends if ending is newlines else count(ending)
        self.endings.append((start, ending))
        if records != line_ends:
            self.inner.append(self.records + bits_before(ending, places_of(newlines & ~ending)))
        self._long_cell(start, ending | separators)
        each = np.bitwise_count(separators)
        if records:
            word = ending.size - 1 - int(np.argmax(ending[::-1] != 0))
            bit = int(ending[word]).bit_length() - 1
            self.end = start + word * WORD + bit + 1
            before = (int(separators[word]) & ((1 << bit) - 1)).bit_count()
            self.separators_at_end = self.separators + int(each[:word].sum(dtype=np.int64)) + before
        self.records += records
        self.separators += int(each.sum(dtype=np.int64))

    def _long_cell(self, start: int, structure: Words) -> None:
        """No cell may be longer than the distance of two words with structure; errs to the safe side."""
        if structure[0] and structure[-1] and self.cell_bytes >= self.flags.size:  # as nearly always
            first, last = 0, structure.size - 1
        else:
            words = np.flatnonzero(structure)
            if not words.size:
                return
            first, last = int(words[0]), int(words[-1])
            if words.size > 1 and (int(np.diff(words).max()) + 1) * WORD > self.cell_bytes:
                self.wrong = True
        self.wrong = self.wrong or start + (first + 1) * WORD - self.structure_at > self.cell_bytes
        self.structure_at = start + last * WORD

    def shape(self, columns: int, *, ended: bool) -> Shape:
        size = len(self.data)
        self.wrong = self.wrong or size - self.structure_at > self.cell_bytes
        if ended and self.end < size:
            self.wrong = self.wrong or self.inside
            self.end, self.records, self.separators_at_end = size, self.records + 1, self.separators
        consistent = self.separators_at_end == self.records * (columns - 1)
        starts = self._starts() if self.inner else None
        return Shape(
            end=self.end,
            records=self.records,
            sound=consistent and self.records > 0 and not self.wrong and (columns > 1 or not self._blank_lines()),
            lines=self._lines(ended=ended),
            starts=starts,
            empty_quotes=self.empty_quotes,
            plain=self.plain,
            endings=tuple(self.endings),
        )

    def _blank_lines(self) -> bool:
        """In one column a blank line counts like a row; only there the totals can't tell."""
        data = self.data
        at_edge = data.startswith((b"\n", b"\r\n")) or data.endswith(b"\n\r") or data == b"\r"
        return at_edge or b"\n\n" in data or b"\n\r\n" in data

    def _lines(self, *, ended: bool) -> int:
        closed = self.records - (ended and not self.data.endswith(b"\n"))
        return closed + sum(int(np.count_nonzero(records < closed)) for records in self.inner)

    def _starts(self) -> npt.NDArray[np.uint64]:
        """A record starts on a line of its own for each before it, and one for each line end within those."""
        inner = np.concatenate(self.inner)
        within = np.bincount(inner[inner < self.records], minlength=self.records)
        starts = np.arange(self.records, dtype=np.uint64)
        starts[1:] += np.cumsum(within[:-1]).astype(np.uint64)
        return starts


def _cut(words: Words, size: int) -> Words:
    """Without the bits behind the end of a text of `size` bytes."""
    if size % WORD:
        words[-1] &= np.uint64((1 << size % WORD) - 1)
    return words
