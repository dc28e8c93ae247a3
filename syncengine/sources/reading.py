"""One pass over a delimited text: stretches in, chunks out, and what was met on the way."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.errors import SourceError
from syncengine.ports import Chunk, Hashes, Recalled
from syncengine.row_memory import Recollection
from syncengine.sources.content import Content
from syncengine.sources.encoding import Encoding
from syncengine.sources.files import changed
from syncengine.sources.footer import Footer, find_footer, without_footer
from syncengine.sources.header import Columns, data_without_name
from syncengine.sources.held import HeldRow, Place, Rules, held_frame
from syncengine.sources.panics import polars_errors
from syncengine.sources.prescan import Shape
from syncengine.sources.records import records_of
from syncengine.sources.stretch import (
    Layout,
    Part,
    examine,
    longest_of,
    read_records,
    read_sound,
    read_unsound,
    skip_lost,
)
from syncengine.sources.text import Text

Recall = Callable[[Hashes], Recollection]

_LONG_RECORD: Final = 100  #: lines; a note, a signature, an address have fewer
_HOPELESS: Final = 100  #: held rows in a stretch without a good one


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of a text before its rows are read."""

    content: Content
    columns: Columns
    layout: Layout
    header_line: int
    data_line: int
    data_at: int  #: place of the first row in the text
    chunk_bytes: int
    footer_texts: tuple[str, ...]
    encoding: Encoding | None
    decide: Callable[[bytes], Encoding | None]


@dataclass(frozen=True, slots=True)
class _Stretch:
    data: bytes
    offset: int  #: in the text
    ended: bool
    shape: Shape | None  #: None while a broken row goes on
    file_offset: Callable[[int], int | None]  #: taken with the data: the text has moved on when a row is found bad


class Reading:
    """The pass. While polars parses a stretch, another thread reads and pre-scans the next."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.encoding = ground.encoding
        self._line = ground.data_line
        self._lost = False
        self._blank = 0
        self._footer = Footer(0)
        self._longest, self._longest_at = 1, 0
        self._rows = 0
        self._first_held: list[HeldRow] = []

    def chunks(self, recall: Recall | None = None) -> Iterator[Chunk]:
        """Raises SourceError if the text can't be read, changed, or has no row that can be taken apart.

        recall   tells rows that need not be taken apart, see `ports.RecallsRows`
        """
        ground = self._ground
        with ground.content.open(ground.chunk_bytes) as raw, ThreadPoolExecutor(1, "sources") as ahead:
            text = Text(raw, ground.encoding, ground.decide, shown=ground.content.shown)
            text.skip(ground.data_at)
            coming = ahead.submit(self._next, text, 0)
            while (stretch := coming.result()) is not None:
                self.encoding = text.encoding
                if stretch.shape is not None and stretch.shape.sound:
                    end, line = stretch.shape.end, self._line
                    self._line += stretch.shape.lines
                    coming = ahead.submit(self._next, text, len(stretch.data) - end)
                    # of the last stretch every row is looked at: it may end with a footer
                    if recall is not None and not stretch.ended:
                        chunk = self._recalled(stretch.data, stretch.shape, line, recall)
                        if chunk is not None:
                            yield chunk
                            continue
                    part: Part | None = self._sound(stretch, stretch.shape, line)
                else:
                    part, end = self._unsound(stretch)
                    coming = ahead.submit(self._next, text, len(stretch.data) - end)
                if part is not None:
                    yield from self._given(part, ended=stretch.ended)
        self._refuse_nothing()

    def facts(self) -> dict[str, str]:
        facts = {}
        if self._blank:
            facts["blank lines"] = f"{self._blank:,} left out"
        if self._footer:
            first = self._footer.texts[0][:60]
            facts["footer"] = f"{len(self._footer.texts)} rows cut, from line {self._footer.line:,}: {first}"
        return facts

    def warnings(self) -> Iterator[str]:
        if self._longest > _LONG_RECORD:
            yield (
                f"the row on line {self._longest_at:,} spans {self._longest:,} lines: "
                "a quote that is missing may have swallowed rows"
            )

    def _next(self, text: Text, unread: int) -> _Stretch | None:
        if text.ended and not unread:
            return None
        data = text.take(unread)
        if not data:
            return None
        shape = None if self._lost else examine(data, self._ground.layout, ended=text.ended)
        return _Stretch(data, text.position, text.ended, shape, text.file_offsets())

    def _sound(self, stretch: _Stretch, shape: Shape, line: int) -> Part:
        layout = self._ground.layout
        with polars_errors(self._ground.content.shown, fix=_REPORT):
            part = read_sound(stretch.data, shape, layout, line)
            if part is not None:
                return part
            whole = stretch.data[: shape.end]
            place = Place(line, stretch.offset, stretch.file_offset)
            outcome = read_unsound(whole, layout, self._rules(), place, ended=stretch.ended)
        return outcome.part

    def _recalled(self, data: bytes, shape: Shape, line: int, recall: Recall) -> Chunk | None:
        """A sound stretch of which known rows are not parsed; None if that can't be had."""
        layout = self._ground.layout
        records = records_of(data, shape)
        hashes = records.hashes()
        known = recall(hashes)
        if known.known.any():
            rows = read_records(records, np.flatnonzero(~known.known), shape, layout, line)
        else:
            part = read_sound(data, shape, layout, line)
            rows = part.rows if part is not None else None
        if rows is None:
            return None
        self._rows += shape.records
        longest = longest_of(shape, line)
        if longest[0] > self._longest:
            self._longest, self._longest_at = longest

        def parse(numbers: npt.NDArray[np.int64]) -> pl.DataFrame:
            again = read_records(records, numbers, shape, layout, line)
            if again is None:
                raise changed(self._ground.content.shown, f"rows from line {line:,} are not what they were")
            return again

        shown = self._ground.content.shown
        nobody = held_frame([], self._ground.columns.names)
        return Chunk(shown, rows, nobody, shape.plain, Recalled(hashes, known, parse))

    def _unsound(self, stretch: _Stretch) -> tuple[Part | None, int]:
        layout = self._ground.layout
        if stretch.shape is None:
            end, lines, self._lost = skip_lost(stretch.data, layout, ended=stretch.ended)
            self._line += lines
            return None, end
        place = Place(self._line, stretch.offset, stretch.file_offset)
        with polars_errors(self._ground.content.shown, fix=_REPORT):
            outcome = read_unsound(stretch.data, layout, self._rules(), place, ended=stretch.ended)
        self._line += outcome.lines
        self._lost = outcome.lost
        return outcome.part, outcome.end

    def _rules(self) -> Rules:
        layout = self._ground.layout
        codec = self.encoding.codec if self.encoding else "utf-8"
        return Rules(layout.separator, layout.columns, layout.cell_bytes, codec)

    def _given(self, part: Part, *, ended: bool) -> Iterator[Chunk]:
        rows, held = part.rows, part.held
        if ended:
            self._footer = find_footer(rows, held, self._ground.footer_texts)
            if self._footer:
                rows, held = without_footer(rows, held, self._footer)
        self._note(part, rows, held)
        self._refuse_unnamed(rows)
        if not ended and not self._rows and len(held) > _HOPELESS:
            self._refuse_nothing()
        if rows.height or held:
            columns = self._ground.columns
            table = held_frame(held, columns.names, columns.unnamed)
            yield Chunk(self._ground.content.shown, rows.drop(columns.unnamed), table, part.plain)

    def _note(self, part: Part, rows: pl.DataFrame, held: list[HeldRow]) -> None:
        self._blank += part.blank
        self._rows += rows.height
        self._first_held += held[: 3 - len(self._first_held)] if len(self._first_held) < 3 else []
        if part.longest > self._longest:
            self._longest, self._longest_at = part.longest, part.longest_at

    def _refuse_unnamed(self, rows: pl.DataFrame) -> None:
        for name in self._ground.columns.unnamed:
            if rows[name].null_count() < rows.height:
                row = int(rows.filter(pl.col(name).is_not_null())["row"][0])
                shown = self._ground.content.shown
                raise data_without_name(name, shown=shown, header_line=self._ground.header_line, row=row)

    def _refuse_nothing(self) -> None:
        if self._rows or not self._first_held:
            return
        seen = "; ".join(f"line {row.line:,}: {row.reason}" for row in self._first_held)
        names = ", ".join(self._ground.columns.shown[:6])
        raise SourceError(
            f"{self._ground.content.shown}: no row could be taken apart",
            why=f"the header has {len(self._ground.columns.names)} columns ({names}); {seen}",
            fix="if separator or header line were misread, set them: separator, skip_rows",
            code="no-rows",
        )


_REPORT: Final = "please report this, with a line of the file that shows it"
