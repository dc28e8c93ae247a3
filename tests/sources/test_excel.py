"""Excel workbooks, built cell by cell: what they hold, as text."""

import datetime as dt
import io
import sys
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import pytest

if TYPE_CHECKING:
    from conftest import Sources

Cell = str | int | float | bool | dt.date | None
_OFFICE = "http://schemas.openxmlformats.org"
_MAIN = f"{_OFFICE}/spreadsheetml/2006/main"
_RELATIONS = f"{_OFFICE}/package/2006/relationships"
_DOCUMENT = f"{_OFFICE}/officeDocument/2006/relationships"
_EPOCH = dt.datetime(1899, 12, 30)  # noqa: DTZ001  # Excel knows no zones


def cell(row: int, column: int, value: Cell) -> str:
    name = f"{chr(65 + column)}{row}"
    match value:
        case None:
            return ""
        case bool():
            return f'<c r="{name}" t="b"><v>{int(value)}</v></c>'
        case dt.datetime():
            days = (value - _EPOCH) / dt.timedelta(days=1)
            return f'<c r="{name}" s="2"><v>{days}</v></c>'
        case dt.date():
            return f'<c r="{name}" s="1"><v>{(value - _EPOCH.date()).days}</v></c>'
        case int() | float():
            return f'<c r="{name}"><v>{value}</v></c>'
        case str() if value.startswith("#"):
            return f'<c r="{name}" t="e"><v>{value}</v></c>'
        case _:
            return f'<c r="{name}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'


def workbook(sheets: Mapping[str, Mapping[int, Sequence[Cell]]]) -> bytes:
    """An xlsx file: sheet name → row number → cells."""
    out = io.BytesIO()
    names = list(sheets)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("[Content_Types].xml", f'<Types xmlns="{_OFFICE}/package/2006/content-types"/>')
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" Type="{_DOCUMENT}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        listed = "".join(
            f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>' for number, name in enumerate(names, 1)
        )
        book.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}"><sheets>{listed}</sheets></workbook>'
        )
        related = "".join(
            f'<Relationship Id="rId{number}" Type="{_DOCUMENT}/worksheet" Target="worksheets/sheet{number}.xml"/>'
            for number in range(1, len(names) + 1)
        )
        styles = f'<Relationship Id="rId99" Type="{_DOCUMENT}/styles" Target="styles.xml"/>'
        book.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{_RELATIONS}">{related}{styles}</Relationships>'
        )
        formats = "".join(f'<xf numFmtId="{number}"/>' for number in (0, 14, 22))
        book.writestr(
            "xl/styles.xml", f'<styleSheet xmlns="{_MAIN}"><cellXfs count="3">{formats}</cellXfs></styleSheet>'
        )
        for number, rows in enumerate(sheets.values(), 1):
            body = "".join(
                f'<row r="{row}">{"".join(cell(row, column, value) for column, value in enumerate(cells))}</row>'
                for row, cells in rows.items()
            )
            book.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData></worksheet>',
            )
    return out.getvalue()


HEADER = ["Email", "Born", "Seen", "Phone", "Score", "Ok", "Zip"]
ROW = [
    "a@example.com",
    dt.date(2024, 5, 1),
    dt.datetime(2024, 5, 1, 10, 22, 33),  # noqa: DTZ001
    79161234567,
    1.5,
    True,
    "00712",
]
TEXT = ("a@example.com", "2024-05-01", "2024-05-01T10:22:33", "79161234567", "1.5", "true", "00712")


def test_a_workbook_is_read_as_text_with_the_rows_numbered_as_in_excel(sources: "Sources") -> None:
    content = workbook({"Contacts": {1: HEADER, 2: ROW, 4: ["b@example.com", None, None, 2.0, None, False, " x "]}})
    read = sources.text(content)
    assert read.columns == tuple(HEADER)
    assert read.rows == [TEXT, ("b@example.com", None, None, "2", None, "false", " x ")]
    assert read.lines == [2, 4]
    assert read.described.format == "xlsx"
    assert read.described.facts["blank lines"] == "1 left out"


def test_a_sheet_is_chosen_by_name_and_a_missing_one_is_answered_with_those_there_are(sources: "Sources") -> None:
    content = workbook({"Notes": {1: ["A"], 2: ["x"]}, "Contacts": {1: HEADER, 2: ROW}})
    path = sources.write("contacts.xls", content)
    assert sources.read(path).columns == ("A",)
    assert sources.read(path, sheet="Contacts").rows == [TEXT]
    error = sources.refusal(path, sheet="Contcats")
    assert error.code == "no-sheet"
    assert error.why == "it has: Notes, Contacts"


def test_a_title_above_the_header_is_skipped_and_empty_rows_above_it_too(sources: "Sources") -> None:
    read = sources.text(workbook({"S": {3: ["Contacts of May"], 5: HEADER, 6: ROW}}))
    assert read.columns == tuple(HEADER)
    assert read.lines == [6]
    assert read.described.facts["header"] == "row 5"
    assert sources.text(workbook({"S": {1: ["x", "y"], 2: HEADER, 3: ROW}}), skip_rows=1).lines == [3]


def test_an_error_in_a_cell_is_an_empty_cell(sources: "Sources") -> None:
    assert sources.text(workbook({"S": {1: ["A", "B"], 2: ["x", "#N/A"]}})).rows == [("x", None)]


def test_a_footer_is_cut_off(sources: "Sources") -> None:
    read = sources.text(workbook({"S": {1: ["A", "B"], 2: ["x", "y"], 4: ["Grand Totals (1 records)"]}}))
    assert read.rows == [("x", "y")]
    assert "1 rows cut" in read.described.facts["footer"]


def test_columns_without_a_name_are_left_out_or_refused(sources: "Sources") -> None:
    assert sources.text(workbook({"S": {1: ["A", None, "B"], 2: ["x", None, "y"]}})).columns == ("A", "B")
    error = sources.text_refusal(workbook({"S": {1: ["A", None, "B"], 2: ["x", "z", "y"]}}))
    assert error.code == "header-empty"
    error = sources.text_refusal(workbook({"S": {1: ["A", "B"], 2: ["x", "y", "z"]}}))
    assert error.code == "header-empty"
    assert "column 3" in error.what


def test_a_cell_over_the_limit_is_held(sources: "Sources") -> None:
    read = sources.text(workbook({"S": {1: ["A", "B"], 2: ["x", "y" * 200], 3: ["z", "w"]}}), max_cell_bytes=100)
    assert read.rows == [("z", "w")]
    assert read.held == [(2, "cell-too-long")]


def test_an_empty_workbook_and_a_broken_one_are_refused(sources: "Sources") -> None:
    assert sources.text_refusal(workbook({"S": {}})).code == "source-empty"
    content = workbook({"S": {1: HEADER, 2: ROW}})
    assert sources.text_refusal(content[: len(content) // 2]).code == "damaged"
    broken = io.BytesIO()
    with zipfile.ZipFile(broken, "w") as book:
        book.writestr("xl/workbook.xml", "<nothing")
    assert sources.text_refusal(broken.getvalue()).code == "unreadable"


def test_a_sheet_that_would_take_too_much_memory_is_refused_before_it_is_unpacked(sources: "Sources") -> None:
    bomb = bytearray(workbook({"S": {1: HEADER, 2: ROW}}))
    entry = bomb.index(b"xl/worksheets/sheet1.xml", bomb.index(b"PK\x01\x02")) - 46
    bomb[entry + 24 : entry + 28] = (600 << 20).to_bytes(4, "little")  # the size it says it has, unpacked
    error = sources.text_refusal(bytes(bomb))
    assert error.code == "inflates"


def test_a_workbook_in_a_zip_is_read(sources: "Sources") -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("contacts.xlsx", workbook({"S": {1: HEADER, 2: ROW}}))
    read = sources.text(out.getvalue())
    assert read.rows == [TEXT]
    assert [chunk.file for chunk in read.chunks] == ["contacts.xlsx"]


def test_without_the_extra_package_the_line_to_install_it_is_given(
    sources: "Sources", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    error = sources.text_refusal(workbook({"S": {1: HEADER, 2: ROW}}))
    assert error.code == "missing-package"
    assert "pip install 'syncengine[excel]'" in error.fix
