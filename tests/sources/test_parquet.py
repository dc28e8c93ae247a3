"""Parquet: every type as the text people would have typed; damaged, foreign and encrypted files refused."""

import datetime as dt
import io
import math
import random
import zipfile
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.errors import SourceError
from syncengine.sources.as_text import as_text, text_columns
from syncengine.sources.panics import polars_errors

if TYPE_CHECKING:
    from conftest import Sources


def parquet(frame: pl.DataFrame, **options: Any) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out, **options)
    return out.getvalue()


def texts(values: list, dtype: pl.DataType | None = None) -> list[str | None]:
    series = pl.Series("x", values, dtype=dtype)
    expression = as_text(pl.col("x"), series.dtype)
    assert expression is not None
    return series.to_frame().select(expression)["x"].to_list()


BERLIN = pl.Datetime("us", "Europe/Berlin")
MOMENT = dt.datetime(2024, 5, 1, 10, 22, 33)  # noqa: DTZ001  # Parquet has moments without a zone


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (["00712", "", None], None, ["00712", "", None]),
        ([dt.date(2024, 5, 1), None], None, ["2024-05-01", None]),
        ([MOMENT], pl.Datetime("us"), ["2024-05-01T10:22:33"]),
        ([MOMENT], pl.Datetime("ns"), ["2024-05-01T10:22:33"]),
        ([MOMENT.replace(microsecond=120_000)], pl.Datetime("ms"), ["2024-05-01T10:22:33.12"]),
        ([MOMENT.replace(microsecond=100)], pl.Datetime("us"), ["2024-05-01T10:22:33.0001"]),
        ([dt.time(1, 2, 3), dt.time(1, 2, 3, 500_000)], None, ["01:02:03", "01:02:03.5"]),
        ([dt.timedelta(hours=1, minutes=30)], None, ["PT1H30M"]),
        ([Decimal("12.50"), Decimal("-0.05"), Decimal(100)], pl.Decimal(12, 2), ["12.50", "-0.05", "100.00"]),
        ([1.0, 0.1, -2.5, 0.0, 1e-7], pl.Float64, ["1", "0.1", "-2.5", "0", "1e-7"]),
        ([79161234567.0, 1.5e300, 123456789012345678.0], pl.Float64, ["79161234567", "1.5e+300", "123456789012345680"]),
        ([float("nan"), float("inf"), None], pl.Float64, ["NaN", "inf", None]),
        ([0.1, 16777216.0], pl.Float32, ["0.1", "16777216"]),
        ([True, False, None], None, ["true", "false", None]),
        ([2**64 - 1], pl.UInt64, ["18446744073709551615"]),
        (["x", None], pl.Categorical, ["x", None]),
        (["x"], pl.Enum(["x", "y"]), ["x"]),
        ([["a", None, "b"], [], None], pl.List(pl.String), ["a;b", "", None]),
        ([[1.0, 2.5], [None]], pl.List(pl.Float64), ["1;2.5", ""]),
        ([[dt.date(2024, 5, 1)]], pl.List(pl.Date), ["2024-05-01"]),
        ([[1, 2], [3, 4]], pl.Array(pl.Int64, 2), ["1;2", "3;4"]),
        ([None, None], pl.Null, [None, None]),
    ],
)
def test_s17_each_type_as_text(values: list[Any], dtype: pl.DataType | None, expected: list[str | None]) -> None:
    assert texts(values, dtype) == expected


def test_a_moment_with_a_zone_keeps_its_offset() -> None:
    moments = pl.Series([MOMENT, MOMENT.replace(microsecond=5_000)]).dt.replace_time_zone("Europe/Berlin")
    expression = as_text(pl.col("x"), BERLIN)
    assert moments.to_frame("x").select(expression)["x"].to_list() == [
        "2024-05-01T10:22:33+02:00",
        "2024-05-01T10:22:33.005+02:00",
    ]


@pytest.mark.parametrize(
    "dtype",
    [
        pl.Binary(),
        pl.List(pl.List(pl.Int64)),
        pl.List(pl.Struct({"key": pl.String, "value": pl.String})),
        pl.List(pl.Binary),
    ],
)
def test_what_has_no_text_form_has_none(dtype: pl.DataType) -> None:
    assert as_text(pl.col("x"), dtype) is None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(), min_size=1))
def test_a_float_reads_back_as_it_was(values: list[float]) -> None:
    for value, text in zip(values, texts(values, pl.Float64), strict=True):
        assert text is not None
        assert float(text) == value or math.isnan(value)
        assert not text.endswith(".0")


def test_s17_a_nested_file_is_flattened_and_what_has_no_text_form_is_left_out_with_a_word(sources: "Sources") -> None:
    frame = pl.DataFrame(
        {
            "Email": ["a@example.com", "b@example.com"],
            "Address": [{"City": "Ulm", "Zip": 89073}, None],
            "Tags": [["vip", "new"], []],
            "Photo": [b"\xff", None],
            "Map": [[{"key": "a", "value": "b"}], []],
        }
    )
    read = sources.text(parquet(frame))
    assert read.columns == ("Email", "Address.City", "Address.Zip", "Tags")
    assert read.rows == [("a@example.com", "Ulm", "89073", "vip;new"), ("b@example.com", None, None, None)]
    assert read.described.format == "parquet"
    assert read.described.unpacked_size > read.described.size
    assert [warning.split(" is left out")[0] for warning in read.described.warnings] == [
        "column 'Photo'",
        "column 'Map'",
    ]


def test_s17_each_type_that_a_warehouse_writes_is_read_from_a_file_as_text(sources: "Sources") -> None:
    frame = pl.DataFrame(
        {
            "Email": pl.Series(["a@example.com", "b@example.com"]),
            "Plan": pl.Series(["gold", None], dtype=pl.Categorical),
            "Level": pl.Series(["low", "high"], dtype=pl.Enum(["low", "high"])),
            "Paid": pl.Series([Decimal("1234567890.10"), None], dtype=pl.Decimal(18, 2)),
            "Born": pl.Series([dt.date(1990, 2, 28), None]),
            "Seen": pl.Series([MOMENT, None], dtype=BERLIN),
            "Id": pl.Series([2**53 + 1, None], dtype=pl.Int64),
            "Score": pl.Series([0.1, 2.0]),
            "Active": pl.Series([True, False]),
            "Tags": pl.Series([["vip", "new"], None]),
            "Home": pl.Series([{"City": "Ulm", "At": {"Since": dt.date(2020, 1, 1)}}, None]),
        }
    )
    for options in ({}, {"use_pyarrow": False, "compression": "gzip", "row_group_size": 1}):
        read = sources.text(parquet(frame, **options))
        assert read.columns[-2:] == ("Home.City", "Home.At.Since")
        assert read.rows == [
            ("a@example.com", "gold", "low", "1234567890.10", "1990-02-28", "2024-05-01T12:22:33+02:00",
             "9007199254740993", "0.1", "true", "vip;new", "Ulm", "2020-01-01"),
            ("b@example.com", None, "high", None, None, None, None, "2", "false", None, None, None),
        ]  # fmt: skip


def test_a_control_character_in_a_parquet_file_is_looked_for(sources: "Sources") -> None:
    read = sources.text(parquet(pl.DataFrame({"Email": ["a@example.com"], "Note": ["x\0y\x1b"]})))
    assert read.rows == [("a@example.com", "x\0y\x1b")]
    assert not read.chunks[0].plain


def test_rows_are_numbered_as_a_spreadsheet_shows_them_over_all_row_groups(sources: "Sources") -> None:
    frame = pl.DataFrame({"Id": range(25_000), "Note": ["x" * 50] * 25_000})
    read = sources.text(parquet(frame, row_group_size=3_000), chunk_bytes=200_000)
    assert len(read.chunks) > 3
    assert read.lines == list(range(2, 25_002))
    assert [row[0] for row in read.rows] == [str(number) for number in range(25_000)]


def test_empty_text_is_null_and_a_cell_over_the_limit_is_held(sources: "Sources") -> None:
    frame = pl.DataFrame({"Email": ["", "b@example.com", "c@example.com"], "Note": ["x", "é" * 600, None]})
    read = sources.text(parquet(frame), max_cell_bytes=1_000)
    assert read.rows == [(None, "x"), ("c@example.com", None)]
    assert read.held == [(3, "cell-too-long")]
    assert read.held_cells == [("b@example.com", None)]
    assert read.reasons == ["a cell of 1200 bytes; the limit is 1000"]


def test_an_empty_table_has_columns_and_no_rows(sources: "Sources") -> None:
    read = sources.text(parquet(pl.DataFrame(schema={"Email": pl.String, "Name": pl.String})))
    assert (read.columns, read.rows) == (("Email", "Name"), [])


def test_a_flattened_name_that_is_taken_is_refused(sources: "Sources") -> None:
    frame = pl.DataFrame({"a.b": ["x"], "a": [{"b": "y"}]})
    assert sources.text_refusal(parquet(frame)).code == "header-duplicate"


def test_headers_are_cleaned_and_names_of_the_frames_spelled_otherwise(sources: "Sources") -> None:
    read = sources.text(parquet(pl.DataFrame({" Email\u200b ": ["a@example.com"], "code": ["x"], "^.*$": ["y"]})))
    assert read.columns == ("Email", "Code", "^.*$ 2")
    assert read.rows == [("a@example.com", "x", "y")]


def test_too_many_columns_are_refused(sources: "Sources") -> None:
    frame = pl.DataFrame({f"c{number}": ["x"] for number in range(12)})
    assert sources.text_refusal(parquet(frame), max_columns=10).code == "too-many-columns"


@pytest.mark.parametrize("keep", [4, 20, 200, -1])
def test_s17_a_truncated_file_is_refused(sources: "Sources", keep: int) -> None:
    content = parquet(pl.DataFrame({"Email": ["a@example.com"] * 100}))
    error = sources.text_refusal(content[:keep])
    assert error.code in {"unreadable", "no-rows", "source-empty"}


def test_s17_flipped_bits_are_refused_or_read_and_never_end_in_anything_else(sources: "Sources") -> None:
    content = parquet(pl.DataFrame({"Id": range(2_000), "Email": [f"a{n}@example.com" for n in range(2_000)]}))
    chance = random.Random(17)
    outcomes = set()
    for _ in range(150):
        flipped = bytearray(content)
        flipped[chance.randrange(4, len(content))] ^= 1 << chance.randrange(8)
        path = sources.write("flipped.parquet", bytes(flipped))
        try:
            outcomes.add(len(sources.read(path).rows))
        except SourceError as error:
            outcomes.add(error.code)
    assert "unreadable" in outcomes


def test_s17_a_flipped_bit_changes_the_digest(sources: "Sources") -> None:
    content = parquet(pl.DataFrame({"Id": range(2_000)}))
    path = sources.write("contacts.parquet", content)
    before = sources.open(path).digest()
    flipped = bytearray(content)
    flipped[len(content) // 3] ^= 1
    path.write_bytes(flipped)
    try:
        after = sources.open(path).digest()
    except SourceError:
        return
    assert after != before


def test_a_file_that_is_cut_while_it_is_read_is_refused(sources: "Sources") -> None:
    path = sources.write("contacts.parquet", parquet(pl.DataFrame({"Id": range(200_000)}), row_group_size=10_000))
    chunks = sources.open(path, chunk_bytes=16_000).chunks()
    next(chunks)
    with path.open("r+b") as out:
        out.truncate(1_000)
    with pytest.raises(SourceError):
        list(chunks)


def test_a_panic_of_polars_is_told_like_any_other_failure() -> None:
    with pytest.raises(SourceError) as caught, polars_errors("contacts.parquet", fix="export again"):
        raise pl.exceptions.PanicException("index out of bounds\nat src/lib.rs")  # derives from BaseException
    assert caught.value.why == "index out of bounds"
    assert caught.value.fix == "export again"


def test_what_is_no_failure_of_reading_passes() -> None:
    with pytest.raises(KeyboardInterrupt), polars_errors("contacts.parquet", fix=""):
        raise KeyboardInterrupt


def test_a_parquet_file_in_a_zip_is_read(sources: "Sources") -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("contacts.parquet", parquet(pl.DataFrame({"Email": ["a@example.com"]})))
    read = sources.text(out.getvalue())
    assert read.rows == [("a@example.com",)]
    assert read.described.facts["packed"] == "zip"


def test_names_of_structs_stay_apart_from_other_columns() -> None:
    columns, left_out = text_columns({"a": pl.Struct({"b": pl.Binary, "c": pl.Int64}), "d": pl.String()})
    assert list(columns) == ["a.c", "d"]
    assert left_out == {"a.b": "Binary"}
