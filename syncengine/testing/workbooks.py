"""Excel workbooks, built cell by cell."""

import datetime as dt
import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

Cell = str | int | float | bool | dt.date | None
_OFFICE = "http://schemas.openxmlformats.org"
_MAIN = f"{_OFFICE}/spreadsheetml/2006/main"
_RELATIONS = f"{_OFFICE}/package/2006/relationships"
_DOCUMENT = f"{_OFFICE}/officeDocument/2006/relationships"
_EPOCH = dt.datetime(1899, 12, 30)  # noqa: DTZ001  # Excel knows no zones


def _cell(row: int, column: int, value: Cell) -> str:
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
                f'<row r="{row}">{"".join(_cell(row, column, value) for column, value in enumerate(cells))}</row>'
                for row, cells in rows.items()
            )
            book.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData></worksheet>',
            )
    return out.getvalue()
