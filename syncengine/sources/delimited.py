"""Tables as delimited text: CSV and its kin, in any encoding, in any wrapping."""

from collections.abc import Iterator

from syncengine.errors import SourceError
from syncengine.ports import Chunk
from syncengine.sources.content import Content
from syncengine.sources.dialect import find_dialect, separator_name
from syncengine.sources.encoding import SAMPLE, Encoding, How, decide_encoding
from syncengine.sources.header import data_without_name, name_columns
from syncengine.sources.options import SourceOptions
from syncengine.sources.reading import Ground, Reading, Recall
from syncengine.sources.stretch import Layout
from syncengine.sources.text import Transcoder


class DelimitedTable:
    """A delimited text whose head was read: dialect and columns are known, encoding unless it is ASCII so far."""

    format = "csv"

    def __init__(self, content: Content, options: SourceOptions) -> None:
        """Raises SourceError if there is no table that can be read, telling what was seen."""
        self._content = content
        self._options = options
        encoding, head, complete = self._head()
        self._dialect = find_dialect(
            head,
            complete=complete,
            shown=content.shown,
            separator=_separator(options),
            skip_rows=options.skip_rows,
            max_columns=options.max_columns,
        )
        self._columns = name_columns(
            self._dialect.header,
            shown=content.shown,
            line=self._dialect.header_line,
            max_columns=options.max_columns,
        )
        self._refuse_unnamed_sample()
        self._ground = Ground(
            content=content,
            columns=self._columns,
            layout=self._layout(),
            header_line=self._dialect.header_line,
            data_line=self._dialect.data_line,
            data_at=self._dialect.data_at,
            chunk_bytes=options.chunk_bytes,
            footer_texts=options.footer_texts,
            encoding=encoding,
            decide=self._decide,
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

    def _decide(self, sample: bytes) -> Encoding | None:
        options = self._options
        return decide_encoding(sample, shown=self.shown, option=options.encoding, presets=options.encodings)

    def _head(self) -> tuple[Encoding | None, str, bool]:
        """Encoding, the first MiB of text, and whether that is all of it."""
        with self._content.open(SAMPLE) as raw:
            sample = raw.take(0)
            complete = raw.ended
        encoding = self._decide(sample)
        if encoding is None:
            return None, sample.decode("ascii"), complete
        body = sample[encoding.mark :]
        if not encoding.utf8:
            body = Transcoder(encoding.codec, shown=self.shown).feed(body, final=complete)
        return encoding, body.decode("utf-8", "surrogateescape"), complete

    def _refuse_unnamed_sample(self) -> None:
        names = self._columns.names
        places = [place for place, name in enumerate(names) if name in self._columns.unnamed]
        for record in self._dialect.sample:
            for place in places:
                if len(record.cells) == len(names) and record.cells[place]:
                    line = self._dialect.header_line
                    raise data_without_name(names[place], shown=self.shown, header_line=line, row=record.line)


def _separator(options: SourceOptions) -> str | None:
    """The separator of the config, or what the format says. Raises SourceError unless it is one ASCII character."""
    separator = options.separator
    if separator is None:
        return "\t" if options.format == "tsv" else None
    if len(separator) == 1 and separator.isascii() and separator not in '"\r\n\0':
        return separator
    raise SourceError(
        f"a separator is one character, not {separator!r}",
        fix='separator = ";"   (a tab is "\\t"); leave it out and it is detected',
        code="separator",
    )
