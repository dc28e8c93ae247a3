"""Text as exports write it: every separator, quoting, line end and place where a row can break."""

import csv
import io
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from conftest import Sources


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_every_separator_line_end_and_quoting_gives_the_same_rows(
    sources: "Sources", separator: str, line_end: str, quoting: int
) -> None:
    rows = [
        ("1", "a@example.com", 'Ann "A", x; y|z\tw'),
        ("2", "b@example.com", "two\nlines"),
        ("3", "c@example.com", ""),
    ]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator=line_end, quoting=quoting).writerows(
        [("Id", "Email", "Note"), *rows]
    )
    read = sources.text(out.getvalue())
    assert read.columns == ("Id", "Email", "Note")
    assert read.rows == [rows[0], rows[1], ("3", "c@example.com", None)]
    assert read.lines == [2, 3, 5]
    assert read.held == []


def test_rows_have_row_as_a_number_and_every_column_as_text(sources: "Sources") -> None:
    read = sources.text("Email,Zip,Ok\na@example.com,00501,true\n")
    (chunk,) = read.chunks
    assert chunk.rows.schema == {"row": pl.UInt64, "Email": pl.String, "Zip": pl.String, "Ok": pl.String}
    assert chunk.held.schema == {
        "row": pl.UInt64,
        "code": pl.String,
        "reason": pl.String,
        "Email": pl.String,
        "Zip": pl.String,
        "Ok": pl.String,
    }
    assert chunk.file == "contacts.csv"


def test_s15_text_stays_text_leading_zeros_powers_booleans_and_long_numbers(sources: "Sources") -> None:
    cells = ("00712", "1e5", "TRUE", "12345678901234567890", "-0", "NaN", "+79161234567", "01/02/03", "1.10")
    header = ",".join(f"c{number}" for number in range(len(cells)))
    read = sources.text(header + "\n" + ",".join(cells) + "\n")
    assert read.rows == [cells]


def test_s16_formula_text_is_read_unchanged(sources: "Sources") -> None:
    cells = ('=cmd|"/c calc"!A0', "@x", "+1", "-1", "\tx", "'007", "O'Neil")
    quoted = ";".join('"' + cell.replace('"', '""') + '"' for cell in cells)
    header = ";".join(f"c{number}" for number in range(len(cells)))
    assert sources.text(f"{header}\n{quoted}\n").rows == [cells]


def test_s9_what_can_be_sent_is_read_byte_for_byte(sources: "Sources") -> None:
    cells = (
        "\u2028",
        "\u202eabc",
        "e\u0301",
        "\U0001f382\U0001f468\u200d\U0001f469",
        "\x01\x1b",
        "\u00a0x\u00a0",
        "\ufeff",
    )
    header = ",".join(f"c{number}" for number in range(len(cells)))
    read = sources.text(f"{header}\n{','.join(cells)}\n")
    assert read.rows == [cells]
    assert not read.chunks[0].plain


@pytest.mark.parametrize(
    ("cell", "plain"),
    [
        ("plain", True),
        ("Müller", True),
        ("Қала", True),
        ('"tab\tand\nline\r\nend"', True),
        ("\uff1d", True),
        ("\x00", False),
        ("\x0b", False),
        ("\x1f", False),
        ("\ufffd", False),
    ],
)
def test_a_chunk_is_plain_only_if_no_cell_has_a_control_character(
    sources: "Sources", cell: str, *, plain: bool
) -> None:
    read = sources.text(f"Email,Note\na@example.com,x\nb@example.com,{cell}\n")
    assert all(chunk.plain for chunk in read.chunks) is plain


def test_a_tab_separated_text_and_one_with_windows_line_ends_are_plain(sources: "Sources") -> None:
    read = sources.text("Email\tNote\r\na@example.com\tx\r\n")
    assert [chunk.plain for chunk in read.chunks] == [True]


def test_empty_cells_are_null_quoted_or_not(sources: "Sources") -> None:
    assert sources.text('A,B,C\n"",,x\n').rows == [(None, None, "x")]


def test_a_row_of_empty_cells_is_a_row_and_a_blank_line_is_none(sources: "Sources") -> None:
    read = sources.text("A,B\n,\n\n1,2\n\n\n")
    assert read.rows == [(None, None), ("1", "2")]
    assert read.lines == [2, 4]
    assert read.described.facts["blank lines"] == "3 left out"


def test_blank_lines_in_one_column_are_left_out_and_empty_quotes_are_a_row(sources: "Sources") -> None:
    read = sources.text('Email\n\na@example.com\r\n\r\n""\nb@example.com')
    assert read.rows == [("a@example.com",), (None,), ("b@example.com",)]
    assert read.lines == [3, 5, 6]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\r"])
def test_s4_the_last_line_needs_no_line_end(sources: "Sources", ending: str) -> None:
    assert sources.text(f"A,B\r\n1,2\r\n3,4{ending}").rows == [("1", "2"), ("3", "4")]


def test_s7_mixed_line_ends_are_fine(sources: "Sources") -> None:
    read = sources.text("A,B\r\n1,2\n3,4\r\n5,6\n")
    assert read.rows == [("1", "2"), ("3", "4"), ("5", "6")]
    assert read.described.facts["line ends"] == "LF and CRLF mixed"


def test_a_lone_return_inside_quotes_is_text(sources: "Sources") -> None:
    assert sources.text('A,B\n"old\rmac",2\n').rows == [("old\rmac", "2")]


def test_a_byte_order_mark_in_mid_file_is_text(sources: "Sources") -> None:
    read = sources.text("A,B\n" + "".join(f"\ufeff{number},x\n" for number in range(200)), chunk_bytes=64)
    assert read.rows == [(f"\ufeff{number}", "x") for number in range(200)]


def test_one_column_is_a_table(sources: "Sources") -> None:
    read = sources.text("Email\na@example.com\nb@example.com\n")
    assert read.columns == ("Email",)
    assert read.rows == [("a@example.com",), ("b@example.com",)]


def test_one_column_whose_cells_have_commas_is_one_column(sources: "Sources") -> None:
    assert sources.text("Name\nDoe, John\nRoe, Jane\n").rows == [("Doe, John",), ("Roe, Jane",)]


def test_s5_a_header_without_rows_gives_no_rows_and_no_error(sources: "Sources") -> None:
    read = sources.text("Email,Name\n")
    assert read.columns == ("Email", "Name")
    assert read.chunks == ()


def test_rows_are_the_same_however_the_file_is_cut_into_chunks(sources: "Sources") -> None:
    text = "Id,Note\n" + "".join(f'{number},"note\n{"x" * (number % 40)}"\n' for number in range(300))
    whole = sources.text(text)
    for chunk_bytes in (256, 300, 1_000, 4_096):
        pieces = sources.text(text, chunk_bytes=chunk_bytes)
        assert len(pieces.chunks) > 1
        assert (pieces.rows, pieces.lines) == (whole.rows, whole.lines)


def test_a_source_can_be_read_twice_and_given_up_halfway(sources: "Sources") -> None:
    path = sources.write("contacts.csv", "A,B\n" + "1,2\n" * 5_000)
    source = sources.open(path, chunk_bytes=1_024)
    next(source.chunks())
    assert sum(chunk.rows.height for chunk in source.chunks()) == 5_000
    assert sum(chunk.rows.height for chunk in source.chunks()) == 5_000


def test_a_row_over_many_lines_is_pointed_out(sources: "Sources") -> None:
    read = sources.text('A,B\n1,"' + "line\n" * 150 + '"\n2,x\n')
    assert len(read.rows) == 2
    assert any("line 2 spans 151 lines" in warning for warning in read.described.warnings)


def test_names_the_frames_need_for_themselves_are_spelled_otherwise(sources: "Sources") -> None:
    read = sources.text("row,code,reason,Code\n1,2,3,4\n")
    assert read.columns == ("Row", "CODE", "Reason", "Code")
    assert read.rows == [("1", "2", "3", "4")]
    assert "column 'code' is called 'CODE' here: the name has another meaning" in read.described.warnings


def test_names_that_polars_takes_for_patterns_are_spelled_otherwise(sources: "Sources") -> None:
    read = sources.text('*,^.*$,A\n"",2,3\n4,5\n')
    assert read.columns == ("* 2", "^.*$ 2", "A")
    assert read.rows == [(None, "2", "3")]
    assert read.held_cells == [("4", "5", None)]
