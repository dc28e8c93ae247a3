"""Tables as delimited text: CSV and its kin, in any encoding, in any wrapping."""

import functools
from collections.abc import Iterator

from syncengine.ports import Chunk
from syncengine.sources.content import Content
from syncengine.sources.dialect import separator_name
from syncengine.sources.encoding import How
from syncengine.sources.heading import decide, read_heading
from syncengine.sources.options import SourceOptions
from syncengine.sources.reading import Ground, Reading, Recall
from syncengine.sources.stretch import Layout


class DelimitedTable:
    """A delimited text whose head was read: dialect and columns are known, encoding unless it is ASCII so far."""

    format = "csv"

    def __init__(self, content: Content, options: SourceOptions) -> None:
        """Raises SourceError if there is no table that can be read, telling what was seen."""
        self._content = content
        self._options = options
        heading = read_heading(content, options)
        self._dialect = heading.dialect
        self._columns = heading.columns
        self._ground = Ground(
            content=content,
            columns=self._columns,
            layout=self._layout(),
            header_line=self._dialect.header_line,
            data_line=self._dialect.data_line,
            data_at=self._dialect.data_at,
            chunk_bytes=options.chunk_bytes,
            footer_texts=options.footer_texts,
            encoding=heading.encoding,
            decide=functools.partial(decide, shown=content.shown, options=options),
        )
        self._reading = Reading(self._ground)

    @property
    def shown(self) -> str:
        return self._content.shown

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns.shown

    def chunks(self) -> Iterator[Chunk]:
        self._reading = Reading(self._ground)
        return self._reading.chunks()

    @property
    def reading(self) -> str:
        """See `ports.RecallsRows`. The text is UTF-8 by then, whatever the file is in."""
        columns = self._columns
        if columns.unnamed:
            return ""  # somebody has to look whether these stay empty
        return "\0".join((self._dialect.separator, str(self._options.max_cell_bytes), *columns.shown, *columns.names))

    def chunks_but(self, recall: Recall) -> Iterator[Chunk]:
        self._reading = Reading(self._ground)
        return self._reading.chunks(recall)

    def facts(self) -> dict[str, str]:
        dialect, encoding = self._dialect, self._reading.encoding
        facts = {
            "encoding": f"{encoding.codec} ({encoding.how})" if encoding else "ASCII so far, which is UTF-8 too",
            "separator": f"{separator_name(dialect.separator)} ({dialect.decided})",
            "quote": '"',
            "line ends": dialect.line_ends,
            "header": f"line {dialect.header_line}",
        }
        if encoding and encoding.sample:
            facts["sample"] = encoding.sample
        if dialect.header_line > 1:
            facts["skipped"] = f"{dialect.header_line - 1} lines before the header"
        if self._content.wrapping:
            facts["packed"] = self._content.wrapping
        return facts | self._reading.facts()

    def warnings(self) -> tuple[str, ...]:
        encoding = self._reading.encoding
        notes = [*self._columns.notes, *self._dialect.warnings]
        if encoding is not None and encoding.how is How.GUESS:
            other = "cp1251" if encoding.codec == "cp1252" else "cp1252"
            notes.append(
                f"the encoding is a guess: {encoding.codec} makes {encoding.sample!r} of one value; "
                f'if that is wrong, set it: encoding = "{other}"'
            )
        return (*notes, *self._reading.warnings())

    def _layout(self) -> Layout:
        options = self._options
        window = max(1, options.chunk_bytes // 16)  # 1 MiB: what one bad row costs, and the memory of the slow path
        return Layout(self._columns.names, self._dialect.separator, options.max_cell_bytes, window)
