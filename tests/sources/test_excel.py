"""Excel workbooks: what they hold, as text."""

import datetime as dt
import io
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from syncengine.testing.workbooks import workbook

if TYPE_CHECKING:
    from conftest import Sources

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
    assert read.described.unpacked_size > read.described.size
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
