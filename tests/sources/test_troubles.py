"""Files of trouble: a row is held with its line and code, or the file is refused with what was seen."""

import codecs
import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Sources

HEADER = "Id,Email,Name\n"
GOOD = "1,a@example.com,Ann\n"
ROW = ("1", "a@example.com", "Ann")
LAST = "9,z@example.com,Zoe\n"


def utf8(text: str) -> bytes:
    return text.encode()


#: name → content, then the line and code of each held row; GOOD and LAST around them are always read
HELD = {
    "a short row": (HEADER + GOOD + "2,b@example.com\n" + LAST, [(3, "row-short")]),
    "a row of one cell": (HEADER + GOOD + "2\n" + LAST, [(3, "row-short")]),
    "a line of blanks": (HEADER + GOOD + "   \n" + LAST, [(3, "row-short")]),
    "a long row": (HEADER + GOOD + "2,b@example.com,Bob,x\n" + LAST, [(3, "row-long")]),
    "a row with an empty cell too many": (HEADER + GOOD + "2,b@example.com,Bob,\n" + LAST, [(3, "row-long")]),
    "a short and a long row side by side": (
        HEADER + GOOD + "2,b@example.com\n3,c@example.com,Cid,x\n" + LAST,
        [(3, "row-short"), (4, "row-long")],
    ),
    "an unquoted comma in a name": (HEADER + GOOD + "2,b@example.com,Bob, Jr\n" + LAST, [(3, "row-long")]),
    "an unquoted line break in a name": (
        HEADER + GOOD + "2,b@example.com,Bob\nthe builder\n" + LAST,
        [(4, "row-short")],
    ),
    "blank lines around a short row": (HEADER + "\n\n" + GOOD + "\n2,b\n\n" + LAST, [(6, "row-short")]),
    "a short row in a file with windows line ends": (
        (HEADER + GOOD + "2,b@example.com\n" + LAST).replace("\n", "\r\n"),
        [(3, "row-short")],
    ),
    "a NUL in a cell": (HEADER + GOOD + "2,b@example.com,B\0ob\n" + LAST, [(3, "row-nul")]),
    "a row of NULs": (HEADER + GOOD + "\0\0,\0,\0\n" + LAST, [(3, "row-nul")]),
    "a NUL in a quoted cell": (HEADER + GOOD + '2,b@example.com,"B\0\nob"\n' + LAST, [(3, "row-nul")]),
    "an invalid byte": (
        utf8(HEADER + GOOD) + b"2,b@example.com,B\xffb \xc3\xa9\n" + utf8(LAST + "3,é,é\n"),
        [(3, "row-encoding")],
    ),
    "a cut sequence": (
        utf8(HEADER + GOOD + "4,é,é\n") + b"2,b@example.com,B\xc3\n" + utf8(LAST),
        [(4, "row-encoding")],
    ),
    "an overlong sequence": (utf8(HEADER + GOOD + "4,éé,éé\n") + b"2,b,\xc0\xaf\n" + utf8(LAST), [(4, "row-encoding")]),
    "a surrogate": (utf8(HEADER + GOOD + "4,éé,éé\n") + b"2,b,\xed\xa0\x80\n" + utf8(LAST), [(4, "row-encoding")]),
    "a lone carriage return": (HEADER + GOOD + "2,b@example.com,Bob\r3,c,d\n" + LAST, [(3, "row-return")]),
    "a carriage return before the windows line end": (HEADER + GOOD + "2,b,Bob\r\r\n" + LAST, [(3, "row-return")]),
    "a quote in mid-cell": (HEADER + GOOD + '2,b@example.com,Bob 5" tall\n' + LAST, [(3, "row-quote")]),
    "a nickname in quotes": (HEADER + GOOD + '2,b@example.com,Bob "Bo" Roe\n' + LAST, [(3, "row-quote")]),
    "text behind a closing quote": (HEADER + GOOD + '2,b@example.com,"Bob" Roe\n' + LAST, [(3, "row-quote")]),
    "a blank before an opening quote": (HEADER + GOOD + '2,b@example.com, "Bob"\n' + LAST, [(3, "row-quote")]),
    "a quote that never closes": (HEADER + GOOD + '2,b@example.com,"Bob\n' + LAST, [(3, "row-quote")]),
    "a quote that closes in another row": (
        HEADER + GOOD + '2,b@example.com,"Bob\n' + LAST + '4,d@example.com,"Dan"\n',
        [(3, "row-quote")],
    ),
    "a quote that never closes among quoted rows": (
        '"Id","Email","Name"\n"1","a@example.com","Ann"\n"2","b@example.com","Bob\n"9","z@example.com","Zoe"\n',
        [(3, "row-quote")],
    ),
    "an open quote and text lines behind it": (
        HEADER + GOOD + '2,b@example.com,"Bob\nis\nhere\n' + LAST,
        [(3, "row-quote")],
    ),
    "two broken rows": (
        HEADER + GOOD + '2,b@example.com,"Bob\n' + LAST + '3,c@example.com,C"id\n',
        [(3, "row-quote"), (5, "row-quote")],
    ),
    "quotes escaped by a backslash": (
        HEADER + GOOD + '2,b@example.com,"Bob \\"Bo\\" Roe"\n' + LAST,
        [(3, "row-quote")],
    ),
    "a file cut in the last row": (HEADER + GOOD + LAST + "5,e@exam", [(4, "row-cut")]),
    "a file cut inside quotes": (HEADER + GOOD + LAST + '5,e@example.com,"Ev', [(4, "row-cut")]),
    "a file cut in a quoted line break": (HEADER + GOOD + LAST + '5,e@example.com,"Ev\nand', [(4, "row-cut")]),
    "a long last row without a line end": (HEADER + GOOD + LAST + "5,e@example.com,Ev,x", [(4, "row-long")]),
    "a cell over the limit": (HEADER + GOOD + f"2,b@example.com,{'x' * 1_100_000}\n" + LAST, [(3, "cell-too-long")]),
    "a quoted cell over the limit": (
        HEADER + GOOD + '2,b@example.com,"' + "many lines\n" * 110_000 + '"\n' + LAST,
        [(3, "cell-too-long")],
    ),
    "several faults in one row": (utf8(HEADER + GOOD + "4,é,é\n") + b"2,\0\xff\n" + utf8(LAST), [(4, "row-encoding")]),
}


@pytest.mark.parametrize("name", HELD)
def test_a_bad_row_is_held_with_its_line_and_the_others_are_read(sources: "Sources", name: str) -> None:
    content, held = HELD[name]
    read = sources.text(content, footer_texts=())
    assert read.held == held
    assert ROW in read.rows
    assert ("9", "z@example.com", "Zoe") in read.rows
    assert all(read.reasons)
    assert [len(cells) for cells in read.held_cells] == [3] * len(held)


@pytest.mark.parametrize("name", [name for name, (content, _) in HELD.items() if len(content) < 10_000])
@pytest.mark.parametrize("chunk_bytes", [200, 1_000])
def test_a_bad_row_is_held_wherever_the_chunks_are_cut(sources: "Sources", name: str, chunk_bytes: int) -> None:
    content, held = HELD[name]
    filler = "7,f@example.com,Fay\n" * 100
    text = content if isinstance(content, str) else content.decode("latin-1")
    end = "\r\n" if "\r\n" in text and "\r\r" not in text else "\n"
    head, _, tail = text.partition(end)
    many = head + end + filler.replace("\n", end) + tail
    data = many.encode() if isinstance(content, str) else many.encode("latin-1")
    read = sources.text(data, chunk_bytes=chunk_bytes, encoding="utf-8")
    assert read.held == [(line + 100, code) for line, code in held]


#: name → content, code of the refusal, a part of its message
REFUSED = {
    "nothing": (b"", "source-empty", "is empty"),
    "only a mark": (codecs.BOM_UTF8, "source-empty", "is empty"),
    "only blanks": ("\n \r\n\n", "source-empty", "is empty"),
    "old Mac line ends": ("Id,Email\r1,a@example.com\r2,b@example.com\r", "line-ends", "old Macs"),
    "a header twice": ("Email,Name,Email\na,b,c\n", "header-duplicate", "columns 1 and 3"),
    "a header twice after trimming": ("Email,Name,\u00a0Email\u200b \na,b,c\n", "header-duplicate", "'Email'"),
    "no header, addresses": ("a@example.com,Ann\nb@example.com,Bob\n", "header-missing", "a@example.com"),
    "no header, numbers": ("1,2,3\n4,5,6\n", "header-missing", "1, 2, 3"),
    "a column without a name": ("Email,,Name\na@example.com,x,Ann\n", "header-empty", "column 2"),
    "only separators in the header": (",,\n1,2,3\n", "header-missing", "nothing"),
    "a title above rows without a header": (
        "Contacts\na@example.com,Ann,1\nb@example.com,Bob,2\nc@example.com,Cid,3\n",
        "header-mismatch",
        "one column; the rows below have 3",
    ),
    "a quote open in the header": ('"Id,Email,Name\n' + GOOD * 200, "header-endless", "does not end"),
    "too many columns": (",".join(f"c{n}" for n in range(2_001)) + "\n", "too-many-columns", "2,001"),
    "100,000 columns": (",".join(f"c{n}" for n in range(100_000)) + "\n1\n", "too-many-columns", "2,000"),
    "a million columns": ("," * 1_000_000 + "\n", "too-many-columns", "2,000"),
    "a line without end": ("x" * 3_000_000, "header-endless", "does not end"),
    "every row short": (HEADER + "1\n2\n3\n", "no-rows", "line 2: 1 fields"),
    "every row broken": (HEADER + '1,"2"3,4\n' * 3, "no-rows", "line 2"),
    "zero bytes": (bytes(5_000), "not-text", "zero"),
    "random bytes": (random.Random(7).randbytes(5_000), "not-text", "control characters"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(50), "format", "a picture"),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "format", "a PDF"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "format", "Excel 97-2003"),
    "a workbook with a password": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le"),
        "format",
        "password",
    ),
    "an Excel 2003 XML file": (
        '<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
        "format",
        "Excel 2003 XML",
    ),
    "a web page": ("<!DOCTYPE html><title>Log in</title><body>Please log in</body>", "no-table", "Log in"),
    "JSON": ('[{"email": "a@example.com"}]', "format", "JSON"),
    "JSON lines": ('{"email": "a@example.com"}\n', "format", "JSON"),
    "a database": (b"SQLite format 3\0" + bytes(80), "format", "SQLite"),
    "a RAR archive": (b"Rar!\x1a\x07\x01\x00", "format", "RAR"),
    "a 7z archive": (b"7z\xbc\xaf\x27\x1c\x00\x04", "format", "7z"),
    "a tar archive": (b"contacts.csv".ljust(257, b"\0") + b"ustar\x0000" + bytes(200), "format", "tar"),
    "an xz file": (b"\xfd7zXZ\x00\x00\x04", "format", "xz"),
    "an encrypted Parquet file": (b"PARE\x15\x04\x15\x00" + bytes(20), "format", "encrypted"),
    "half a Parquet file": (b"PAR1\x15\x04\x15\x00" + bytes(200), "unreadable", "cannot be read"),
    "half a gzip file": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b", "damaged", "damaged or cut off"),
    "half a zip file": (b"PK\x03\x04\x14\x00\x00\x00", "damaged", "damaged or cut off"),
    "an empty zip": (b"PK\x05\x06" + bytes(18), "no-member", "no table inside"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_table_is_refused_with_what_was_seen(sources: "Sources", name: str) -> None:
    content, code, part = REFUSED[name]
    error = sources.text_refusal(content)
    assert error.code == code
    assert part in str(error)
    assert "contacts.csv" in error.what


def test_there_are_at_least_sixty_files_of_trouble() -> None:
    assert len(HELD) + len(REFUSED) >= 60


@pytest.mark.parametrize("content", [b"", b"\n\n \r\n", codecs.BOM_UTF8 + b"\n"])
def test_s5_an_empty_file_is_refused_and_says_that_nobody_is_removed(sources: "Sources", content: bytes) -> None:
    error = sources.text_refusal(content)
    assert error.code == "source-empty"
    assert "nobody is removed" in error.fix


def test_s21_a_column_more_or_less_is_seen_in_the_columns(sources: "Sources") -> None:
    assert sources.text("Email,Name\na@example.com,Ann\n").columns == ("Email", "Name")
    assert sources.text("Email,Name,City\na@example.com,Ann,Ulm\n").columns == ("Email", "Name", "City")


def test_s7_short_and_long_rows_are_held_with_their_line(sources: "Sources") -> None:
    read = sources.text("A,B,C\n1,2\n1,2,3\n1,2,3,4,5\n")
    assert read.rows == [("1", "2", "3")]
    assert read.held == [(2, "row-short"), (4, "row-long")]
    assert read.held_cells == [("1", "2", None), ("1", "2", "3")]
    assert read.reasons == ["2 fields, the header has 3", "5 fields, the header has 3"]


def test_s7_a_quote_that_never_closes_names_the_line_it_opens_on(sources: "Sources") -> None:
    read = sources.text('A,B\n1,x\n2,"y\nmore\n3,z\n')
    assert read.rows == [("1", "x"), ("3", "z")]
    assert read.reasons == ["a quote that opens on line 3 is not closed as it should be; held up to line 4"]


def test_s4_a_row_cut_at_the_end_of_the_file_is_held_and_the_others_are_read(sources: "Sources") -> None:
    read = sources.text("A,B\n1,x\n2")
    assert read.rows == [("1", "x")]
    assert read.held == [(3, "row-cut")]
    assert read.reasons == ["the file ends in this row, without a line end, after 1 of 2 fields"]


def test_s9_a_nul_is_held_with_the_byte_it_stands_at(sources: "Sources") -> None:
    read = sources.text(b"A,B\n1,x\n2,\0y\n")
    assert read.held == [(3, "row-nul")]
    assert read.reasons == ["a NUL byte at byte 10 of the file"]
    assert read.held_cells == [("2", None)]


def test_s10_an_invalid_byte_is_held_with_its_offset_and_the_readable_cells(sources: "Sources") -> None:
    content = "\ufeffA,B\né,ü\n".encode() + b"2,y\xff\n"
    read = sources.text(content)
    assert read.reasons == [f"not valid utf-8 at byte {content.index(0xFF)} of the file"]
    assert read.held_cells == [("2", None)]


def test_s13_a_ten_megabyte_cell_is_held_and_the_rows_around_it_are_read(sources: "Sources") -> None:
    read = sources.text("A,B\n1,x\n2," + "y" * 10_000_000 + "\n3,z\n")
    assert read.rows == [("1", "x"), ("3", "z")]
    assert read.held == [(3, "cell-too-long")]
    assert read.held_cells == [("2", None)]
    assert read.reasons == ["a cell of 10,000,000 bytes; the limit is 1,048,576"]


def test_s13_a_line_longer_than_is_ever_looked_at_is_held_and_reading_goes_on_behind_it(sources: "Sources") -> None:
    read = sources.text("A,B\n1,x\n2," + "y" * 5_000 + "\n3,z\n4,w\n", chunk_bytes=1_000)
    assert read.rows == [("1", "x"), ("3", "z"), ("4", "w")]
    assert read.held == [(3, "cell-too-long")]
    assert read.lines == [2, 4, 5]


def test_s7_an_open_quote_longer_than_is_ever_looked_at_costs_one_row(sources: "Sources") -> None:
    lines = "".join(f"word {number}\n" for number in range(1_000))
    read = sources.text('A,B\n1,x\n2,"y\n' + lines + "3,z\n4,w\n", chunk_bytes=1_000)
    assert read.rows == [("1", "x"), ("3", "z"), ("4", "w")]
    assert read.held == [(3, "row-quote")]
    assert read.lines == [2, 1_004, 1_005]


def test_a_file_of_nothing_but_bad_rows_is_given_up_before_its_end(sources: "Sources") -> None:
    error = sources.text_refusal("A,B\n" + "1\n" * 50_000, chunk_bytes=10_000)
    assert error.code == "no-rows"
    assert "line 2: 1 fields, the header has 2; line 3" in error.why


def test_max_cell_bytes_is_kept_to_the_byte(sources: "Sources") -> None:
    read = sources.text("A,B\n1,éé\n2,ééx\n3,x\n", max_cell_bytes=4)
    assert read.rows == [("1", "éé"), ("3", "x")]
    assert read.held == [(3, "cell-too-long")]
