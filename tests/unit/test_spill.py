"""Rows set aside come back whole, by partition and in order, from memory or from disk."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.frames import KEY_HASH
from syncengine.spill import LARGE, MARKS, MEMORY, MOST, PARTITION, Spill, marks, partitions_for

TOP = 1 << 64


def rows(*hashes: int, start: int = 0) -> pl.DataFrame:
    return pl.DataFrame(
        {KEY_HASH: hashes, "number": range(start, start + len(hashes))},
        schema={KEY_HASH: pl.UInt64, "number": pl.Int64},
    )


@pytest.mark.parametrize(
    ("size", "partitions"),
    [
        (0, 1),
        (1, 1),
        (PARTITION, 1),
        (2 * PARTITION - 1, 1),
        (2 * PARTITION, 2),
        (3 * PARTITION, 4),
        (5 * PARTITION, 8),
        (256 * PARTITION, 256),
        (257 * PARTITION, 512),
        (10**15, MOST),
    ],
)
def test_a_source_is_cut_into_a_power_of_two_of_partitions(size: int, partitions: int) -> None:
    assert partitions_for(size) == partitions


@pytest.mark.parametrize("partitions", [1, 2, 4, 256, MOST])
def test_rows_come_back_by_the_top_bits_of_their_hash(tmp_path: Path, partitions: int) -> None:
    spill = Spill(tmp_path / "spill", partitions, together=0)
    edges = [number * TOP // partitions for number in range(partitions)]
    spill.append(rows(*edges))
    spill.append(rows(*(edge + TOP // partitions - 1 for edge in edges)))

    parts = [part[KEY_HASH].to_list() for part in spill.parts()]

    assert parts == [[edge, edge + TOP // partitions - 1] for edge in edges]


def test_partitions_without_rows_are_left_out(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill", 4, together=0)
    spill.append(rows())
    spill.append(rows(TOP - 1, TOP // 4))

    assert [part[KEY_HASH].to_list() for part in spill.parts()] == [[TOP // 4], [TOP - 1]]


def test_small_neighbours_come_back_together(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill", 256)
    spill.append(rows(TOP - 1, 0, TOP // 2))

    assert [part[KEY_HASH].to_list() for part in spill.parts()] == [[0, TOP // 2, TOP - 1]]


def test_few_rows_never_touch_the_disk(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill", 2)
    spill.append(rows(*range(10_000)))

    assert sum(part.height for part in spill.parts()) == 10_000
    assert not (tmp_path / "spill").exists()


def test_many_rows_go_to_disk_and_come_back_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "spill"
    spill = Spill(folder, 2)
    wide = pl.lit("x" * 300_000).alias("wide")
    for start in range(0, 1_000, 100):
        hashes = [number * TOP // 1_000 for number in range(start, start + 100)]
        spill.append(rows(*hashes, start=start).select(pl.all(), pl.concat_str(wide, pl.col("number"))))
    assert 2 * MEMORY < 1_000 * 300_000
    assert folder.stat().st_mode & 0o777 == 0o700

    parts = [*spill.parts()]

    assert [number for part in parts for number in part["number"]] == [*range(1_000)]
    assert all(part.estimated_size() <= 1.1 * LARGE for part in parts)
    assert parts[0]["wide"][7] == "x" * 300_000 + "7"
    spill.close()
    assert not folder.exists()


@pytest.mark.parametrize("memory", [0, MEMORY])
@pytest.mark.parametrize("partitions", [1, 64])
def test_what_was_put_in_piece_by_piece_comes_back_in_one(tmp_path: Path, partitions: int, memory: int) -> None:
    spill = Spill(tmp_path / "spill", partitions, memory=memory)
    for start in range(20):
        spill.append(rows(start, TOP // 2 + start, start=start))

    (part,) = spill.parts()

    assert (part.height, set(part.n_chunks("all"))) == (40, {1})


def test_what_is_more_than_disks_are_to_hold_is_packed(tmp_path: Path) -> None:
    whole, packed = (Spill(tmp_path / name, 1, memory=0, unpacked=most) for name, most in (("a", 1 << 20), ("b", 0)))
    for spill in (whole, packed):
        for start in range(0, 4_000, 1_000):
            spill.append(rows(*range(1_000), start=start))

    sizes = [sum(file.stat().st_size for file in (tmp_path / name).iterdir()) for name in ("a", "b")]

    assert sizes[1] < 0.6 * sizes[0]  # the first is written before anything is there
    assert [part.equals(other) for part, other in zip(whole.parts(), packed.parts(), strict=True)] == [True]


def test_a_partition_that_is_too_large_comes_in_pieces_by_the_next_bits_of_the_hash(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill", 2, memory=0, together=0, large=16 * 1_000)
    for start in range(100):  # more frames than are cut at a time
        spill.append(rows(*range(start, TOP, TOP // 40), start=100 * start))
    everybody = rows(*(number for start in range(100) for number in range(start, TOP, TOP // 40)))

    parts = [*spill.parts(keep=True)]

    assert {part.height for part in parts} <= {*range(300, 1_100)}
    assert [hashed for part in parts for hashed in sorted(part[KEY_HASH])] == sorted(everybody[KEY_HASH])
    assert all(part.equals(again) for part, again in zip(parts, spill.parts(), strict=True))


def test_closing_forgets_everything_and_may_be_done_twice(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill", 2)
    spill.append(rows(1, 2, 3))

    spill.close()
    spill.close()

    assert [*spill.parts()] == []


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, TOP - 1), max_size=10), max_size=24),
    st.sampled_from([1, 2, 8, 64, MOST]),
    st.sampled_from([0, 200, MEMORY]),
    st.sampled_from([0, 300, MEMORY]),
    st.sampled_from([1, 100, LARGE]),
)
def test_every_row_comes_back_once_and_equal_hashes_together(
    tmp_path_factory: pytest.TempPathFactory,
    chunks: list[list[int]],
    partitions: int,
    memory: int,
    unpacked: int,
    large: int,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "spill"
    spill = Spill(folder, partitions, memory=memory, together=0, unpacked=unpacked, large=large)
    start = 0
    for chunk in chunks:
        spill.append(rows(*chunk, start=start))
        start += len(chunk)

    parts = [*spill.parts(keep=True)]

    assert all(part.equals(again) for part, again in zip(parts, spill.parts(), strict=True))
    spill.close()
    everybody = [pair for part in parts for pair in part.rows()]
    assert sorted(number for _, number in everybody) == [*range(start)]
    homes = [set(part[KEY_HASH]) for part in parts]
    assert sum(map(len, homes)) == len({hashed for chunk in chunks for hashed in chunk})
    assert all(part["number"].is_sorted() for part in parts)
    assert [*map(min, homes)] == sorted(map(min, homes))


@pytest.mark.parametrize(("size", "in_file"), [(0, False), (MARKS, False), (MARKS + 1, True)])
def test_marks_are_all_zero_and_can_be_set_wherever_they_are(tmp_path: Path, size: int, *, in_file: bool) -> None:
    given = marks(size, np.uint32, tmp_path / "scratch" / "marks")

    assert (tmp_path / "scratch" / "marks").exists() is in_file
    assert (given.size, int(given.sum())) == (size, 0)
    given[-1:] = 7
    assert int(given.sum()) == 7 * bool(size)
