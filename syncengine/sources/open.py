"""The front door: a path and what the config says of it → a Source. Formats are told by their bytes."""

from syncengine.digests import KnowsDigests
from syncengine.errors import SourceError
from syncengine.ports import Source
from syncengine.sources.archive import is_workbook, select_members, table_members
from syncengine.sources.content import Content, Limits, PackedFile, PlainFile, ZipMember
from syncengine.sources.delimited import DelimitedTable
from syncengine.sources.excel import ExcelTable
from syncengine.sources.files import LocalFile, find_files
from syncengine.sources.html_table import HtmlTable
from syncengine.sources.options import Format, SourceOptions
from syncengine.sources.parquet import ParquetTable
from syncengine.sources.sniff import HEAD, Kind, sniff
from syncengine.sources.spool import Spool, scheme_of
from syncengine.sources.table import Part, Table, TableSource


def open_source(options: SourceOptions, ahead: KnowsDigests | None = None) -> Source:
    """The source, its head read: columns and dialect are known, and that it can be read at all. `ahead` may know its
    digest.

    Raises SourceError with what was seen and a fix.
    """
    spool = Spool()
    if scheme_of(options.path):
        files: tuple[LocalFile, ...] = (spool.fetch(options.path),)
    else:
        files = find_files(options)
    parts = [Part(file, table) for file in files for table in _tables(file, options, spool)]
    return TableSource(options, parts, spool, ahead=ahead)


def members(options: SourceOptions) -> tuple[str, ...]:
    """The tables inside the zip that `options` leads to, by name; none if it is no archive.

    Each can be read by itself: `open_source(replace(options, member=name))`.
    """
    found: list[str] = []
    for file in find_files(options):
        if _kind(PlainFile(file)) is Kind.ZIP and not is_workbook(file):
            found += [member.member for member in table_members(file, _limits(options))]
    return tuple(found)


def _tables(file: LocalFile, options: SourceOptions, spool: Spool) -> list[Table]:
    kind = _kind(PlainFile(file))
    if kind is Kind.ZIP and not is_workbook(file):
        chosen = select_members(table_members(file, _limits(options)), options.member, file.shown)
        return [_unpacked(member, options, spool) for member in chosen]
    if kind.packing is not None:
        return [_unpacked(PackedFile(file, kind.packing, _limits(options)), options, spool)]
    return [_table(PlainFile(file), file, kind, options)]


def _unpacked(content: PackedFile | ZipMember, options: SourceOptions, spool: Spool) -> Table:
    """The table in a wrapping; what is read at random is spooled first. Wrapped twice is refused."""
    kind = _kind(content)
    if kind.packing is not None or (kind is Kind.ZIP and isinstance(content, PackedFile)):
        raise SourceError(
            f"{content.shown} is packed twice ({content.wrapping}, then {kind})",
            fix="unpack it once and name the file in it",
            code="format",
        )
    if kind is Kind.PARQUET or kind is Kind.ZIP:
        return _table(content, spool.keep(content), kind, options)
    return _table(content, content.file, kind, options)


def _table(content: Content, file: LocalFile, kind: Kind, options: SourceOptions) -> Table:
    """`file` is where the bytes of `content` lie, for formats that are read at random."""
    _refuse_other_format(content.shown, kind, options.format)
    match kind:
        case Kind.PARQUET:
            return ParquetTable(file.path, options, shown=content.shown, packed=content.wrapping)
        case Kind.ZIP:
            if not is_workbook(file):
                raise SourceError(f"{content.shown} is a zip in a zip", fix="unpack it", code="format")
            return ExcelTable(file, options, shown=content.shown, packed=content.wrapping)
        case Kind.HTML:
            return HtmlTable(content, options)
        case _:
            return DelimitedTable(content, options)


def _refuse_other_format(shown: str, kind: Kind, wanted: Format | None) -> None:
    """The bytes decide; a format in the config is a promise they must keep."""
    found = {Kind.PARQUET: "parquet", Kind.ZIP: "xlsx", Kind.HTML: "html"}.get(kind, "csv")
    if wanted is None or found == ("csv" if wanted == "tsv" else wanted):
        return
    raise SourceError(
        f"{shown} is not {wanted}",
        why=f"by its bytes it is {found}",
        fix="take `format` out of the config, or name the right file",
        code="format",
    )


def _kind(content: Content) -> Kind:
    with content.open(HEAD) as raw:
        return sniff(raw.take(0)[:HEAD], content.shown)


def _limits(options: SourceOptions) -> Limits:
    return Limits(options.max_inflated_ratio, options.max_inflated_bytes)
