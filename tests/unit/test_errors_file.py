"""errors.csv tells each row that was not sent and each contact not confirmed, with the row as the source has it."""

import csv
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.errors_file import HEAD, keep_copy, verdict_frame, write_errors
from syncengine.frames import (
    CODE,
    EMAIL,
    FINGERPRINT,
    KEY,
    KEY_HASH,
    KNOWN,
    LEVEL,
    NOT_BEFORE,
    OP,
    ORDINAL,
    REASON,
    ROW,
    SOURCE,
)
from syncengine.frozen import FrozenPlan, PlanWriter
from syncengine.guarded import guarded, unguarded
from syncengine.model import Op

COLUMNS = ("Email", "code", "row")  #: a source may well have columns called like ours

Cells = tuple[str | None, ...]


def source(rows: Sequence[Cells], columns: Sequence[str] = COLUMNS) -> pl.Series:
    schema = pl.Struct(dict.fromkeys(columns, pl.String))
    return pl.Series(SOURCE, [dict(zip(columns, cells, strict=True)) for cells in rows], dtype=schema)


def held(rows: Sequence[Cells], *, code: str = "email-invalid", reason: str = "no period") -> pl.DataFrame:
    count = len(rows)
    return pl.DataFrame(
        {
            ORDINAL: pl.Series(range(count), dtype=pl.UInt64),
            ROW: pl.Series(range(2, count + 2), dtype=pl.UInt64),
            KEY: [cells[0] for cells in rows],
            EMAIL: [cells[0] for cells in rows],
            CODE: [code] * count,
            REASON: [reason] * count,
            SOURCE: source(rows),
        },
        schema_overrides={KEY: pl.String, EMAIL: pl.String},
    )


def changed(op: Op, rows: Sequence[Cells] | int) -> pl.DataFrame:
    """Changes of an operation; a number stands for contacts that have left the source."""
    left = isinstance(rows, int)
    count = rows if isinstance(rows, int) else len(rows)
    names = [f"{op}{number}@example.com" for number in range(count)] if left else [cells[0] for cells in rows]  # type: ignore[union-attr]
    return pl.DataFrame(
        {
            ROW: pl.Series([None] * count if left else range(100, 100 + count), dtype=pl.UInt64),
            KEY: pl.Series(names, dtype=pl.String),
            KEY_HASH: pl.Series(range(count), dtype=pl.UInt64),
            EMAIL: pl.Series(names, dtype=pl.String),
            FINGERPRINT: pl.Series(range(count), dtype=pl.UInt64),
            OP: [op.value] * count,
            KNOWN: [op is not Op.ADD] * count,
            LEVEL: pl.Series([0] * count, dtype=pl.UInt32),
            NOT_BEFORE: [0.0] * count,
            SOURCE: pl.Series([None] * count) if left else source(rows),  # type: ignore[arg-type]
        }
    )


def plan(folder: Path, *, holds: Sequence[pl.DataFrame] = (), changes: Sequence[pl.DataFrame] = ()) -> FrozenPlan:
    writer = PlanWriter(folder, batch_size=2)
    for frame in holds:
        writer.hold(frame)
    for frame in changes:
        writer.change(frame)
    return writer.freeze({})


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.reader(file)]


def written(
    folder: Path,
    frozen: FrozenPlan,
    verdicts: Sequence[tuple[int, int, str, str, str]] = (),
    columns: Sequence[str] = COLUMNS,
) -> list[list[str]]:
    """The lines of errors.csv below its header."""
    target = folder / "errors.csv"
    count = write_errors(frozen, verdicts, target, columns)
    header, *lines = read(target)
    assert header == [*HEAD, *columns]
    assert count == len(lines)
    assert target.stat().st_mode & 0o777 == 0o600
    return lines


def test_a_run_without_errors_has_a_file_with_a_header(tmp_path: Path) -> None:
    assert written(tmp_path, plan(tmp_path)) == []


def test_a_held_row_is_told_with_its_line_and_its_own_columns(tmp_path: Path) -> None:
    frozen = plan(tmp_path, holds=[held([("a@b", "their code", None)]), held([(None, "", "7")], code="email-empty")])

    assert written(tmp_path, frozen) == [
        ["2", "a@b", "a@b", "held", "email-invalid", "no period", "a@b", "their code", ""],
        ["2", "", "", "held", "email-empty", "no period", "", "", "7"],
    ]


def test_a_refused_contact_is_told_with_the_words_of_the_service(tmp_path: Path) -> None:
    rows = [(f"user{number}@example.com", "c", "r") for number in range(5)]
    frozen = plan(tmp_path, changes=[changed(Op.UPDATE, rows), changed(Op.ADD, [("new@example.com", "", "")])])
    verdicts = [
        (0, 1, "rejected", "unknown-text", "is listed"),
        (2, 0, "unresolved", "no-answer", ""),
        (1, 0, "confirmed", "gone", ""),
        (3, 0, "rejected", "already-exists", "already exists"),
    ]

    assert written(tmp_path, frozen, verdicts) == [
        ["101", *["user1@example.com"] * 2, "rejected", "unknown-text", "is listed", "user1@example.com", "c", "r"],
        ["104", *["user4@example.com"] * 2, "unresolved", "no-answer", "no-answer", "user4@example.com", "c", "r"],
        ["100", *["new@example.com"] * 2, "rejected", "already-exists", "already exists", "new@example.com", "", ""],
    ]


def test_a_contact_that_left_the_source_has_no_row_there(tmp_path: Path) -> None:
    frozen = plan(tmp_path, changes=[changed(Op.UNSUBSCRIBE, 3)])

    assert written(tmp_path, frozen, [(1, 0, "rejected", "not-found", "not found!")]) == [
        ["", "unsubscribe2@example.com", "unsubscribe2@example.com", "rejected", "not-found", "not found!", "", "", ""]
    ]


def test_writing_it_again_replaces_it(tmp_path: Path) -> None:
    frozen = plan(tmp_path, changes=[changed(Op.ADD, [("a@example.com", "", "")])])

    assert len(written(tmp_path, frozen, [(0, 0, "rejected", "arguments", "no")])) == 1
    assert written(tmp_path, frozen) == []


def test_columns_are_told_by_place_where_names_repeat_or_are_odd(tmp_path: Path) -> None:
    frozen = plan(tmp_path, holds=[held([("a@b", "x", "y")])])

    columns = ("row", "Email", "code", "row")
    assert written(tmp_path, frozen, columns=columns)[0][6:] == ["y", "a@b", "x", "y"]


# Formulas -------------------------------------------------------------------------------------------------------------

FORMULAS = [
    "=1+1",
    "+7 999 123 45 67",
    "-5",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    '"=1',
    "'=1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    '=HYPERLINK("http://example.com";"x")',
    "\n=1",
    "\x00=1",
]
HARMLESS = ["", "a=b", "1+1", "anna@example.com", "O'Neil", "'quoted'", "1-5", "Ünï", "(+7)", "x\t=1"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_what_a_spreadsheet_takes_for_a_formula_is_only_text_there(tmp_path: Path, cell: str) -> None:
    frozen = plan(tmp_path, holds=[held([(cell, "x", cell)], reason=cell)])

    row = written(tmp_path, frozen)[0]

    assert [row[place] for place in (1, 2, 5, 6, 8)] == [f"'{cell}"] * 5


@pytest.mark.parametrize("cell", HARMLESS)
def test_any_other_text_is_as_it_was(tmp_path: Path, cell: str) -> None:
    frozen = plan(tmp_path, holds=[held([(cell, "x", cell)])])

    assert written(tmp_path, frozen)[0][6:] == [cell, "x", cell]


def test_headers_of_the_source_are_guarded_too(tmp_path: Path) -> None:
    write_errors(plan(tmp_path), [], tmp_path / "errors.csv", ["=cmd|' /C calc'!A0", "Email"])

    assert read(tmp_path / "errors.csv")[0][len(HEAD) :] == ["'=cmd|' /C calc'!A0", "Email"]


@pytest.mark.parametrize("cell", [*FORMULAS, *HARMLESS, None])
def test_a_guard_is_taken_away_as_it_was_put_there(cell: str | None) -> None:
    frame = pl.DataFrame({"cell": [cell]}, schema={"cell": pl.String})

    back = frame.select(guarded(pl.col("cell")).alias("cell")).select(unguarded(pl.col("cell")))

    assert back.to_series().to_list() == [cell]


TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.text("=+-@'\"\t\r\n ,;a\\", max_size=6)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(TEXT.filter(bool), TEXT, TEXT), min_size=1, max_size=5))
def test_any_cells_are_read_back_by_any_csv_reader(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("errors")
    lines = written(folder, plan(folder, holds=[held(rows)]))

    for cells, line in zip(rows, lines, strict=True):
        told = pl.DataFrame({"cell": line[6:]}).select(unguarded(pl.col("cell"))).to_series().to_list()
        assert told == [*cells]


# Files ----------------------------------------------------------------------------------------------------------------


def test_the_errors_of_a_run_that_found_nothing_new_are_those_before(tmp_path: Path) -> None:
    (tmp_path / "before.csv").write_text("row\n")

    keep_copy(tmp_path / "before.csv", tmp_path / "now.csv")
    keep_copy(tmp_path / "none.csv", tmp_path / "nothing.csv")

    assert (tmp_path / "now.csv").read_text() == "row\n"
    assert (tmp_path / "now.csv").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "nothing.csv").exists()


def test_no_verdicts_are_a_frame_of_the_right_shape() -> None:
    assert verdict_frame([]).schema == verdict_frame([(0, 0, "rejected", "x", "y")]).schema
