"""Every row is accounted for: what we read equals what Python's csv module reads, and damage loses nothing else."""

import csv
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncengine.errors import SourceError
from syncengine.sources import SourceOptions, open_source
from syncengine.sources.prescan import prescan

if TYPE_CHECKING:
    from conftest import Sources

QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])

CELL = st.text(
    st.one_of(
        st.sampled_from([",", ";", "\t", "|", '"', "\n", "\r", "'", " ", "é", "ж", "\u2028", "\ufeff", "a", "@", "1"]),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=12,
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    columns = draw(st.integers(1, 5))
    return draw(st.lists(st.lists(CELL, min_size=columns, max_size=columns), max_size=30))


@st.composite
def writing(draw: st.DrawFn) -> dict[str, str | bool]:
    return {
        "separator": draw(st.sampled_from(",;\t|")),
        "line_end": draw(st.sampled_from(["\n", "\r\n"])),
        "all_quoted": draw(st.booleans()),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "gb18030"])),
        "cut_last_line_end": draw(st.booleans()),
    }


def written(rows: list[list[str]], *, separator: str, line_end: str, all_quoted: bool) -> str:
    def cell(text: str, *, alone: bool) -> str:
        needed = all_quoted or (alone and not text) or any(mark in text for mark in (separator, '"', "\r", "\n"))
        return '"' + text.replace('"', '""') + '"' if needed else text

    return "".join(separator.join(cell(text, alone=len(row) == 1) for text in row) + line_end for row in rows)


def read(content: bytes, **options: object) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Rows and held rows, each with its line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "contacts.csv")
        path.write_bytes(content)
        chunks = list(open_source(SourceOptions(str(path), **options)).chunks())
    rows = [row for chunk in chunks for row in chunk.rows.iter_rows()]
    return rows, [row for chunk in chunks for row in chunk.held.iter_rows()]


@QUICK
@given(tables(), writing(), st.integers(0, 200))
def test_well_formed_files_are_read_as_the_csv_module_reads_them(
    rows: list[list[str]], how: dict[str, str], more: int
) -> None:
    encoding, cut = how.pop("encoding"), how.pop("cut_last_line_end")
    header = [f"h{number}" for number in range(len(rows[0]) if rows else 2)]
    text = written([header, *rows], **how)
    body = text.removesuffix(how["line_end"]) if cut and rows else text
    by_csv = list(csv.reader(_lines(body), delimiter=how["separator"]))
    assert by_csv == [header, *rows]
    longest = max(len(written([row], **how).encode()) for row in [header, *rows])
    found, held = read(
        body.encode(encoding), separator=how["separator"], encoding=encoding, chunk_bytes=5 * longest + more
    )
    assert held == []
    assert [row[1:] for row in found] == [tuple(cell or None for cell in row) for row in by_csv[1:]]
    assert [row[0] for row in found] == _start_lines(body, how["separator"], len(rows))


def _lines(text: str) -> list[str]:
    """Lines as a file opened with newline="" gives them, for LF and CRLF; a lone CR is no line end."""
    parts = text.split("\n")
    return [part + "\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _start_lines(text: str, separator: str, count: int) -> list[int]:
    reader = csv.reader(_lines(text), delimiter=separator)
    next(reader)
    starts = []
    for _ in range(count):
        starts.append(reader.line_num + 1)
        next(reader)
    return starts


PLAIN = st.text(st.sampled_from("abcdeé1@ '"), max_size=8)


@QUICK
@given(st.lists(st.lists(PLAIN, min_size=1, max_size=6), max_size=60), st.sampled_from(",;\t|"), st.integers(64, 400))
def test_without_quotes_every_line_is_a_row_or_held_or_blank(
    rows: list[list[str]], separator: str, chunk_bytes: int
) -> None:
    rows = [["a", "b", "c"], *rows]
    lines = [separator.join(row) for row in rows]
    content = "".join(f"{line}\n" for line in [separator.join("xyz"), *lines]).encode()
    found, held = read(content, separator=separator, chunk_bytes=chunk_bytes)
    expected = {
        number: tuple(cell or None for cell in row) for number, row in enumerate(rows, start=2) if len(row) == 3
    }
    assert {row[0]: row[1:] for row in found} == expected
    bad = {
        number: "row-short" if len(row) < 3 else "row-long"
        for number, row in enumerate(rows, start=2)
        if len(row) != 3 and separator.join(row)
    }
    assert {row[0]: row[1] for row in held} == bad


@st.composite
def ragged_tables(draw: st.DrawFn) -> tuple[int, list[list[str]]]:
    """A width, and rows of which more have it than not: else another row might rightly be taken for the header."""
    width = draw(st.integers(2, 4))
    sizes = draw(st.lists(st.sampled_from([width] * 4 + [width - 1, width + 1, 1, width + 3]), max_size=24))
    odd = sum(size != width for size in sizes)
    rows = [draw(st.lists(CELL, min_size=size, max_size=size)) for size in sizes]
    full = [[*row[:-1], "x"] if len(row) > width else row for row in rows]  # an empty last cell may be no column at all
    return width, [["good"] * width] * (odd + 1) + full


@QUICK
@given(ragged_tables(), writing(), st.integers(0, 300))
def test_of_a_ragged_file_the_csv_module_finds_the_rows_we_read_and_the_rows_we_hold(
    table: tuple[int, list[list[str]]], how: dict[str, Any], more: int
) -> None:
    width, rows = table
    encoding, cut = how.pop("encoding"), how.pop("cut_last_line_end")
    text = written([[f"h{number}" for number in range(width)], *rows], **how)
    body = text.removesuffix(how["line_end"]) if cut and rows and len(rows[-1]) >= width else text
    reader = csv.reader(_lines(body), delimiter=how["separator"])
    next(reader)
    whole: dict[int, tuple[str | None, ...]] = {}
    odd: dict[int, str] = {}
    line = reader.line_num + 1
    for row in reader:
        if len(row) == width:
            whole[line] = tuple(cell or None for cell in row)
        else:
            odd[line] = "row-short" if len(row) < width else "row-long"
        line = reader.line_num + 1
    longest = max(len(record.encode("utf-32")) for record in text.split(how["line_end"])) + len(text)
    options = {"separator": how["separator"], "encoding": encoding, "chunk_bytes": longest + more}
    found, held = read(body.encode(encoding), **options)
    assert {row[0]: row[1:] for row in found} == whole
    assert {row[0]: row[1] for row in held} == odd


def outcome(content: bytes, **options: Any) -> tuple[str, object]:
    try:
        return "read", read(content, **options)
    except SourceError as error:
        return error.code, None


@QUICK
@given(
    tables().filter(bool),
    writing(),
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(['"', "\n", "\0", "\r", ",", '""', "DEL"])), min_size=1, max_size=3
    ),
)
def test_damage_is_told_the_same_way_however_the_file_is_taken(
    rows: list[list[str]], how: dict[str, str], damages: list[tuple[float, str]]
) -> None:
    how.pop("encoding")
    how.pop("cut_last_line_end")
    text = written(rows, **how)
    for where, what in damages:
        at = int(where * len(text))
        text = text[:at] + text[at + 1 :] if what == "DEL" else text[:at] + what + text[at:]
    header = how["separator"].join(f"h{number}" for number in range(len(rows[0])))
    content = f"{header}\n{text}".encode()
    whole = outcome(content, separator=how["separator"], encoding="utf-8")
    in_windows = outcome(content, separator=how["separator"], encoding="utf-8", chunk_bytes=len(content) + 1)
    assert whole == in_windows
    assert whole[0] in {"read", "no-rows"}


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from('ab,"\n\r\t\0é'), max_size=300), columns=st.integers(1, 4), ended=st.booleans())
def test_the_prescan_says_the_same_whatever_its_tiles(text: str, columns: int, *, ended: bool) -> None:
    data = text.encode()
    if not data:
        return

    def told(tile: int) -> tuple[object, ...]:
        shape = prescan(data, separator=ord(","), columns=columns, ended=ended, cell_bytes=1 << 20, tile=tile)
        starts = None if shape.starts is None else shape.starts.tolist()
        return shape.end, shape.records, shape.sound, shape.sound and (shape.lines, starts), shape.plain

    assert told(64) == told(128) == told(1 << 18)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "", '"x"', '"x,\ny"', '""']), min_size=2, max_size=4), min_size=1))
def test_a_sound_stretch_has_only_whole_rows(rows: list[list[str]]) -> None:
    """The totals miss a short row only where a long one makes up for it, and a long one polars refuses."""
    data = "".join(",".join(row) + "\n" for row in rows).encode()
    shape = prescan(data, separator=ord(","), columns=3, ended=True, cell_bytes=1 << 20)
    widths = {len(row) for row in rows}
    assert shape.records == len(rows)
    assert shape.end == len(data)
    if widths == {3}:
        assert shape.sound
    elif shape.sound:
        assert max(widths) > 3
    if shape.sound and shape.starts is not None:
        lines = np.cumsum([0] + ["".join(row).count("\n") + 1 for row in rows])
        assert shape.starts.tolist() == lines[:-1].tolist()


@pytest.mark.parametrize("first", ["1,2", "1,2,3,4"])
def test_a_short_and_a_long_row_that_make_up_for_each_other_are_both_held(sources: "Sources", first: str) -> None:
    second = "1,2" if first.count(",") > 1 else "1,2,3,4"
    read = sources.text(f"A,B,C\nx,y,z\n{first}\nx,y,z\n{second}\nx,y,z\n")
    assert [line for line, _ in read.held] == [3, 5]
    assert len(read.rows) == 3


@QUICK
@given(
    pairs=st.lists(st.tuples(PLAIN, PLAIN), min_size=2, max_size=40),
    which=st.integers(0, 10_000),
    where=st.integers(0, 10_000),
    all_quoted=st.booleans(),
)
def test_a_stray_quote_costs_one_row(pairs: list[tuple[str, str]], which: int, where: int, *, all_quoted: bool) -> None:
    rows = [[f"id{number}", *pair] for number, pair in enumerate(pairs)]
    lines = written(rows, separator=",", line_end="\n", all_quoted=all_quoted).splitlines(keepends=True)
    hit = which % len(lines)
    at = where % len(lines[hit])
    lines[hit] = lines[hit][:at] + '"' + lines[hit][at:]
    found, held = read(("id,b,c\n" + "".join(lines)).encode(), encoding="utf-8")
    assert [row[0] for row in held] == [hit + 2]
    assert held[0][1] in {"row-quote", "row-cut"}
    assert [row[1:] for row in found] == [
        tuple(cell or None for cell in row) for number, row in enumerate(rows) if number != hit
    ]
