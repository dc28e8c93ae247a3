"""What a file is, by its first bytes. Its name decides nothing."""

import re
from enum import StrEnum
from typing import Final

from syncengine.errors import SourceError
from syncengine.sources.content import Packing

HEAD: Final = 64 << 10  #: bytes looked at


class Kind(StrEnum):
    TEXT = "text"
    HTML = "html"
    PARQUET = "parquet"
    ZIP = "zip"  #: an xlsx, or an archive
    GZIP = "gzip"
    ZSTD = "zstd"
    BZ2 = "bz2"

    @property
    def packing(self) -> Packing | None:
        return Packing(self.value) if self in {Kind.GZIP, Kind.ZSTD, Kind.BZ2} else None


_KINDS: Final = (
    (b"PK\x03\x04", Kind.ZIP),
    (b"PK\x05\x06", Kind.ZIP),  # an empty one
    (b"\x1f\x8b", Kind.GZIP),
    (b"\x28\xb5\x2f\xfd", Kind.ZSTD),
    (b"BZh", Kind.BZ2),
)
_FOREIGN: Final = (
    (b"%PDF-", "a PDF", "export as CSV or xlsx"),
    (b"Rar!\x1a", "a RAR archive", "unpack it and name the file in it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it and name the file in it"),
    (b"\xfd7zXZ\x00", "compressed with xz", "unpack it, or compress with gzip or zstd"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"Obj\x01", "an Avro file", "convert it to Parquet or CSV"),
    (b"ARROW1\0\0", "an Arrow file", "convert it to Parquet or CSV"),
    (b"\x89PNG", "a picture", "name the export"),
    (b"\xff\xd8\xff", "a picture", "name the export"),
    (b"{\\rtf", "a rich-text document", "export as CSV or xlsx"),
)
_PARQUET: Final = re.compile(rb"PAR[1E](?:$|.{0,59}?[\x00-\x08\x0e-\x1f])", re.DOTALL)  # not a header PARENT,…
_OLE: Final = b"\xd0\xcf\x11\xe0"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_MARK: Final = re.compile(rb"^(?:\xef\xbb\xbf)*\s*")
_TAGS: Final = rb"!doctype|!--|html|head|body|meta|style|table|thead|tbody|tr|div|title|\?xml"
_HTML: Final = re.compile(rb"<(?:" + _TAGS + rb")\b|<!", re.IGNORECASE)
_SPREADSHEET_XML: Final = b"urn:schemas-microsoft-com:office:spreadsheet"
_JSON: Final = re.compile(rb'[{\[]\s*["{\[]')
_BZ2: Final = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")


def sniff(head: bytes, shown: str) -> Kind:
    """The kind of a file that begins with `head` (up to `HEAD` bytes).

    Raises SourceError for what is known and can't be read, with the way out.
    """
    if (kind := _known(head)) is not None:
        return kind
    _refuse_foreign(head, shown)
    body = _plain(head)
    if not _HTML.match(body):
        return Kind.TEXT
    if _SPREADSHEET_XML in body:
        raise _foreign(shown, "an Excel 2003 XML file", "open it in a spreadsheet, save it as xlsx or CSV")
    return Kind.HTML


def _known(head: bytes) -> Kind | None:
    if _PARQUET.match(head) and not head.startswith(b"PARE"):
        return Kind.PARQUET
    for magic, kind in _KINDS:
        if head.startswith(magic) and (kind is not Kind.BZ2 or _BZ2.match(head)):
            return kind
    return None


def _refuse_foreign(head: bytes, shown: str) -> None:
    if head.startswith(_OLE):
        raise _ole(head, shown)
    if _PARQUET.match(head):
        raise _foreign(shown, "an encrypted Parquet file", "export it without encryption")
    for magic, what, fix in _FOREIGN:
        if head.startswith(magic):
            raise _foreign(shown, what, fix)
    if head[257:262] == b"ustar":
        raise _foreign(shown, "a tar archive", "unpack it and name the file in it")
    if _JSON.match(_plain(head)):
        raise _foreign(shown, "JSON", "export as CSV, or convert it")


def _plain(head: bytes) -> bytes:
    """The beginning without marks and blanks, UTF-16 as bytes without zeros: enough to see a tag."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head[2:].replace(b"\0", b"")
    return head[_MARK.match(head).end() :] if head else head  # type: ignore[union-attr]  # matches anything


def _ole(head: bytes, shown: str) -> SourceError:
    if _ENCRYPTED in head:
        return _foreign(shown, "a workbook with a password", "save it without a password, or as CSV")
    return _foreign(shown, "an Excel 97-2003 workbook (.xls)", "save it as CSV (UTF-8) or xlsx")


def _foreign(shown: str, what: str, fix: str) -> SourceError:
    return SourceError(
        f"{shown} is {what}",
        why="that can't be read; CSV in any encoding, gzip, zstd, bz2, zip, Parquet, xlsx and HTML tables can",
        fix=fix,
        code="format",
    )
