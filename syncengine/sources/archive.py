"""Zip archives: which tables are inside. A workbook (xlsx) is one too, told by what it contains."""

import fnmatch
import re
import zipfile
from typing import Final

from syncengine.errors import SourceError
from syncengine.sources.content import Limits, ZipMember, opened_zip
from syncengine.sources.files import LocalFile

_WORKBOOK: Final = "xl/workbook.xml"
_OTHER_DOCUMENTS: Final = {
    "xl/workbook.bin": ("a binary workbook (.xlsb)", "save it as xlsx or CSV"),
    "word/document.xml": ("a Word document", "save the table as CSV or xlsx"),
    "content.xml": ("an OpenDocument file", "save it as xlsx or CSV"),
    "Index/Document.iwa": ("a Numbers document", "export it as CSV or xlsx"),
}
_TABLE_NAMES: Final = re.compile(r"\.(csv|tsv|tab|txt|xlsx?|html?|parquet|gz|zst|bz2)$", re.IGNORECASE)


def is_workbook(file: LocalFile) -> bool:
    """Whether a zip is an xlsx. Raises SourceError for other office documents, and for a damaged zip."""
    with file.stream() as stream, opened_zip(stream, file.shown) as archive:
        names = set(archive.namelist())
    for member, (what, fix) in _OTHER_DOCUMENTS.items():
        if member in names:
            raise SourceError(f"{file.shown} is {what}", fix=fix, code="format")
    return _WORKBOOK in names


def table_members(file: LocalFile, limits: Limits) -> tuple[ZipMember, ...]:
    """The members that may be tables, in the order of the archive: no folders, no system files, no documents.

    A lone member counts whatever its name. Raises SourceError for a damaged or encrypted archive.
    """
    with file.stream() as stream, opened_zip(stream, file.shown) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir() and not _system(entry.filename)]
    if len(entries) > 1:
        entries = [entry for entry in entries if _TABLE_NAMES.search(entry.filename)]
    for entry in entries:
        _refuse_encrypted(entry, file.shown)
    return tuple(ZipMember(file, entry.filename, entry.compress_size, limits) for entry in entries)


def select_members(members: tuple[ZipMember, ...], wanted: str | None, shown: str) -> tuple[ZipMember, ...]:
    """The one table inside, or those whose name matches `wanted` (a name or a glob, with or without folders).

    Raises SourceError if there is none, or several and nothing says which.
    """
    if not members:
        raise SourceError(f"{shown} has no table inside", fix="zip a CSV file, or name it directly", code="no-member")
    names = ", ".join(member.member for member in members[:8])
    if wanted is None:
        if len(members) == 1:
            return members
        raise SourceError(
            f"{shown} has {len(members)} tables inside",
            why=f"they are: {names}",
            fix=f'say which: member = "{members[0].member}"   (globs are fine: "subscribed_*")',
            code="several-members",
        )
    chosen = tuple(member for member in members if _matches(member.member, wanted))
    if not chosen:
        raise SourceError(f"{shown} has no member {wanted!r}", why=f"it has: {names}", code="no-member")
    return chosen


def _matches(name: str, wanted: str) -> bool:
    return fnmatch.fnmatchcase(name, wanted) or fnmatch.fnmatchcase(name.rpartition("/")[2], wanted) or name == wanted


def _system(name: str) -> bool:
    parts = name.split("/")
    return "__MACOSX" in parts or parts[-1].startswith(".") or parts[-1] in {"Thumbs.db", "desktop.ini"}


def _refuse_encrypted(entry: zipfile.ZipInfo, shown: str) -> None:
    if entry.flag_bits & 1:
        raise SourceError(
            f"{shown} is encrypted",
            why=f"{entry.filename} in it has a password",
            fix="unpack it and name the file in it",
            code="encrypted",
        )
