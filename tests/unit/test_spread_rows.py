"""Rows with several addresses in a cell become one row for each."""

import polars as pl

from syncengine.spread_rows import SpreadRows
from syncengine.testing import FrameSource


def spread(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return pl.concat([chunk.rows for chunk in SpreadRows(FrameSource(frame), columns).chunks()])


def test_each_address_of_a_cell_gets_a_row_with_the_line_and_the_other_cells_of_its_own() -> None:
    frame = pl.DataFrame(
        {"Email": ["a@example.com; b@example.com", "c@example.com", None, "not one"], "City": ["Ulm", "Rom", "X", "Y"]}
    )

    assert spread(frame, "Email").rows() == [
        (2, "a@example.com", "Ulm"),
        (2, "b@example.com", "Ulm"),
        (3, "c@example.com", "Rom"),
        (4, None, "X"),
        (5, "not one", "Y"),
    ]


def test_of_several_columns_the_first_filled_one_is_spread_and_the_others_are_left_out() -> None:
    frame = pl.DataFrame(
        {"Work": ["  ", "w@example.com"], "Private": ["a@example.com ::: b@example.com", "p@example.com"]}
    )

    assert spread(frame, "Work", "Private").rows() == [
        (2, "a@example.com", None),
        (2, "b@example.com", None),
        (3, "w@example.com", "p@example.com"),
    ]


def test_a_source_without_such_cells_is_given_as_it_is() -> None:
    frame = pl.DataFrame({"Email": ["a@example.com", "b@example.com"]})
    source = FrameSource(frame)

    assert spread(frame, "Email").rows() == [(2, "a@example.com"), (3, "b@example.com")]
    assert SpreadRows(source, ["Email"]).digest() == source.digest()
