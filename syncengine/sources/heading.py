"""The head of a delimited text: encoding, dialect and columns. Imports nothing that is slow to load."""

from dataclasses import dataclass

from syncengine.errors import SourceError
from syncengine.sources.content import Content
from syncengine.sources.dialect import Dialect, find_dialect
from syncengine.sources.encoding import SAMPLE, Encoding, decide_encoding
from syncengine.sources.header import Columns, data_without_name, name_columns
from syncengine.sources.options import SourceOptions
from syncengine.sources.text import Transcoder


@dataclass(frozen=True, slots=True)
class Heading:
    """What the first MiB tells. `encoding` is None while all of it is ASCII."""

    encoding: Encoding | None
    dialect: Dialect
    columns: Columns


def read_heading(content: Content, options: SourceOptions) -> Heading:
    """Raises SourceError if there is no table that can be read, telling what was seen."""
    encoding, head, complete = _head(content, options)
    dialect = find_dialect(
        head,
        complete=complete,
        shown=content.shown,
        separator=_separator(options),
        skip_rows=options.skip_rows,
        max_columns=options.max_columns,
    )
    columns = name_columns(
        dialect.header, shown=content.shown, line=dialect.header_line, max_columns=options.max_columns
    )
    _refuse_unnamed_sample(dialect, columns, content.shown)
    return Heading(encoding, dialect, columns)


def decide(sample: bytes, *, shown: str, options: SourceOptions) -> Encoding | None:
    """The encoding of a text by a sample of it, as far as the options leave that open; None while all is ASCII."""
    return decide_encoding(sample, shown=shown, option=options.encoding, presets=options.encodings)


def _head(content: Content, options: SourceOptions) -> tuple[Encoding | None, str, bool]:
    """Encoding, the first MiB of text, and whether that is all of it."""
    with content.open(SAMPLE) as raw:
        sample = raw.take(0)
        complete = raw.ended
    encoding = decide(sample, shown=content.shown, options=options)
    if encoding is None:
        return None, sample.decode("ascii"), complete
    body = sample[encoding.mark :]
    if not encoding.utf8:
        body = Transcoder(encoding.codec, shown=content.shown).feed(body, final=complete)
    return encoding, body.decode("utf-8", "surrogateescape"), complete


def _refuse_unnamed_sample(dialect: Dialect, columns: Columns, shown: str) -> None:
    names = columns.names
    places = [place for place, name in enumerate(names) if name in columns.unnamed]
    for record in dialect.sample:
        for place in places:
            if len(record.cells) == len(names) and record.cells[place]:
                line = dialect.header_line
                raise data_without_name(names[place], shown=shown, header_line=line, row=record.line)


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
