"""Web pages with a table, as Bitrix24 exports them under the name .xls."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Sources

HEAD = (
    '<!DOCTYPE html><html><head><meta charset="utf-8"><title>Contacts</title><style>td {x: "<td>"}</style></head><body>'
)
TABLE = (
    "<table border=1><thead><tr><th>ID</th><th>Имя</th><th>Рабочий e-mail</th></tr></thead><tbody>"
    "<tr><td>1</td><td>Анна &quot;А&quot;&#160;Я</td><td>anna@example.com</td></tr>\n"
    "<tr><td>2</td><td>Два<br>слова  и\n конец </td><td></td></tr></tbody></table>"
)
PAGE = HEAD + TABLE + "</body></html>"


def test_a_table_is_read_with_its_entities_unescaped(sources: "Sources") -> None:
    read = sources.read(sources.write("contacts.xls", PAGE))
    assert read.columns == ("ID", "Имя", "Рабочий e-mail")
    assert read.rows == [("1", 'Анна "А"\u00a0Я', "anna@example.com"), ("2", "Два\nслова и конец", None)]
    assert read.lines == [2, 3]
    assert read.described.format == "html"
    assert "web page" in " ".join(read.described.warnings)


def test_a_preset_that_expects_a_table_is_not_surprised(sources: "Sources") -> None:
    assert sources.text(PAGE, html_table=True).described.warnings == ()


@pytest.mark.parametrize(
    "start", ["", "\ufeff", "\n  ", "<!-- made by Bitrix -->", '<?xml version="1.0" encoding="utf-8"?>']
)
def test_a_page_is_told_by_its_bytes(sources: "Sources", start: str) -> None:
    assert len(sources.text(start + PAGE).rows) == 2
    assert len(sources.text(start + TABLE).rows) == 2


@pytest.mark.parametrize("encoding", ["cp1251", "utf-16", "utf-8-sig"])
def test_a_page_in_another_encoding_is_read(sources: "Sources", encoding: str) -> None:
    page = PAGE.replace("utf-8", "windows-1251") if encoding == "cp1251" else PAGE
    read = sources.text(page.replace("\u00a0", " ").encode(encoding))
    assert read.columns == ("ID", "Имя", "Рабочий e-mail")
    if encoding == "cp1251":
        assert read.described.facts["encoding"] == "cp1251 (declared in the file)"


def test_cells_and_rows_without_closing_tags_are_read(sources: "Sources") -> None:
    read = sources.text("<table><tr><td>A<td>B<tr><td>1<td>2<tr><td>3<td>4</table>")
    assert read.rows == [("1", "2"), ("3", "4")]


def test_rows_of_another_width_are_held(sources: "Sources") -> None:
    read = sources.text(
        "<table><tr><td>A</td><td>B</td></tr><tr><td>1</td></tr><tr><td>1</td><td>2</td><td>3</td></tr>"
        "<tr><td colspan=2>x</td></tr><tr><td></td><td></td></tr></table>"
    )
    assert read.held == [(2, "row-short"), (3, "row-long")]
    assert read.rows == [("x", None)]
    assert read.described.facts["blank lines"] == "1 left out"


def test_a_page_that_ends_in_a_row_holds_that_row(sources: "Sources") -> None:
    read = sources.text("<table><tr><td>A</td><td>B</td></tr><tr><td>1</td><td>2</td></tr><tr><td>3</td><td>4")
    assert read.rows == [("1", "2")]
    assert read.held == [(3, "row-cut")]


def test_bytes_that_are_not_valid_and_nul_hold_their_row(sources: "Sources") -> None:
    page = TABLE.encode().replace(b"anna@", b"an\xffna@") + b""
    read = sources.text(page)
    assert read.held == [(2, "row-encoding")]
    assert read.held_cells[0][2] is None
    read = sources.text(TABLE.replace("anna@", "an\0na@"))
    assert read.held == [(2, "row-nul")]


def test_a_long_cell_is_held_and_does_not_grow_in_memory(sources: "Sources") -> None:
    page = TABLE.replace("anna@", "x" * 5_000)
    read = sources.text(page, max_cell_bytes=1_000)
    assert read.held == [(2, "cell-too-long")]


def test_the_first_table_counts_and_tables_in_its_cells_are_text(sources: "Sources") -> None:
    inner = (
        "<table><tr><td>A</td><td>B</td></tr><tr><td>1</td><td>x<table><tr><td>y</td></tr></table></td></tr></table>"
    )
    read = sources.text(inner + TABLE)
    assert read.rows == [("1", "xy")]
    assert "the first of 2 tables is read" in read.described.warnings


def test_scripts_and_styles_are_no_text(sources: "Sources") -> None:
    read = sources.text("<table><tr><td>A</td></tr><tr><td>1<script>var x = '<td>';</script></td></tr></table>")
    assert read.rows == [("1",)]


def test_a_title_row_is_skipped_and_rows_can_be(sources: "Sources") -> None:
    page = (
        "<table><tr><td>Contacts of May</td></tr><tr><td>A</td><td>B</td><td>C</td></tr>"
        "<tr><td>1</td><td>2</td><td>3</td></tr></table>"
    )
    assert sources.text(page).columns == ("A", "B", "C")
    assert sources.text(page, skip_rows=1).lines == [3]


def test_a_large_page_is_read_in_chunks(sources: "Sources") -> None:
    rows = "".join(f"<tr><td>{number}</td><td>a{number}@example.com</td></tr>" for number in range(21_000))
    read = sources.text(f"{HEAD}<table><tr><th>Id</th><th>Email</th></tr>{rows}</table>")
    assert len(read.chunks) == 2
    assert read.lines == list(range(2, 21_002))


@pytest.mark.parametrize(
    ("page", "code"),
    [
        ("<html><body>Please log in</body></html>", "no-table"),
        ("<table></table>", "no-table"),
        ("<table><tr><td></td></tr></table>", "source-empty"),
        ("<table><tr><td>A</td><td>A</td></tr></table>", "header-duplicate"),
        ("<table><tr><td>A</td><td></td></tr><tr><td>1</td><td>2</td></tr></table>", "header-empty"),
        ("<table><tr><td " + "x" * (5 << 20), "unreadable"),
    ],
)
def test_a_page_that_holds_no_table_is_refused(sources: "Sources", page: str, code: str) -> None:
    assert sources.text_refusal(page).code == code
