"""What rows meant before: kept in two files, bound to a meaning, and of no consequence when it is lost."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.row_memory import Recollection, keep_notes, meaning_of, open_memory
from syncengine.sources.prescan import prescan
from syncengine.sources.records import Records, records_of

MEANING = meaning_of("rules", "reading")


def numbers(*values: int) -> "np.typing.NDArray[np.uint64]":
    return np.array(values, dtype=np.uint64)


def learn(folder: Path, *rows: int, filled: tuple[str, ...] = ("city",), of: int = 1_000) -> None:
    """A run in which these rows were read; the key of a row is its tenfold, the fingerprint its hundredfold."""
    notes = folder / "notes"
    read = numbers(*rows)
    open_memory(folder, "rows-x", MEANING, notes).note(read, read * np.uint64(10), read * np.uint64(100), filled)
    keep_notes(folder, "rows-x", notes, rows=of)
    assert not list(folder.glob("notes*"))


def recall(folder: Path, *rows: int, meaning: bytes = MEANING) -> Recollection:
    return open_memory(folder, "rows-x", meaning, None).recall(numbers(*rows))


def test_rows_are_recalled_with_what_they_meant(tmp_path: Path) -> None:
    learn(tmp_path, 7, 3, 2**60, 1)

    found = recall(tmp_path, 1, 2, 3, 2**60, 2**61)
    assert found.known.tolist() == [True, False, True, True, False]
    assert found.keys.tolist() == [10, 0, 30, 10 * 2**60, 0]
    assert found.fingerprints[:3].tolist() == [100, 0, 300]


def test_later_rows_stand_beside_the_others_until_they_are_many(tmp_path: Path) -> None:
    learn(tmp_path, *range(100))
    base = (tmp_path / "rows-x-base.rows").read_bytes()
    learn(tmp_path, 200, filled=("note",))

    assert (tmp_path / "rows-x-base.rows").read_bytes() == base
    assert recall(tmp_path, 5, 200, 300).known.tolist() == [True, True, False]
    assert open_memory(tmp_path, "rows-x", MEANING, None).filled == {"city", "note"}

    learn(tmp_path, *range(300, 340))
    assert not (tmp_path / "rows-x-late.rows").exists()
    assert recall(tmp_path, 5, 200, 300).known.all()


def test_when_most_of_it_is_of_rows_that_are_gone_it_is_forgotten(tmp_path: Path) -> None:
    learn(tmp_path, *range(100))
    learn(tmp_path, *range(100, 150), of=70)

    assert not recall(tmp_path, 5, 120).known.any()


@pytest.mark.parametrize("other", [meaning_of("other rules", "reading"), meaning_of("rules", "other reading")])
def test_under_another_meaning_nothing_is_known(tmp_path: Path, other: bytes) -> None:
    learn(tmp_path, 1, 2)

    assert not recall(tmp_path, 1, 2, meaning=other).known.any()


@pytest.mark.parametrize("at", [0, 10, 26, 36, 41, 100, 4096, 4110, 4140, -1])
def test_a_damaged_file_is_no_memory(tmp_path: Path, at: int) -> None:
    learn(tmp_path, 1, 2)
    path = tmp_path / "rows-x-base.rows"
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)

    assert not recall(tmp_path, 1, 2).known.any()
    path.write_bytes(content[:-3])
    assert not recall(tmp_path, 1, 2).known.any()
    learn(tmp_path, 3)
    assert recall(tmp_path, 1, 3).known.tolist() == [False, True]


def records(*cells: str) -> Records:
    text = "".join(f'"{cell}",x\n' for cell in cells).encode()
    shape = prescan(text, separator=44, columns=2, ended=False, cell_bytes=1_000)
    assert (shape.sound, shape.records) == (True, len(cells))
    return records_of(text, shape)


CELLS = st.lists(st.text("ab\n\r,é", max_size=8).filter(lambda cell: "\r" not in cell.replace("\r\n", "")), min_size=1)


@given(CELLS)
def test_records_are_equal_exactly_where_their_bytes_are(cells: list[str]) -> None:
    found = records(*cells)
    hashes = found.hashes()

    assert hashes.size == len(cells)
    for first, second in zip(range(len(cells)), range(1, len(cells)), strict=False):
        assert (hashes[first] == hashes[second]) == (cells[first] == cells[second])
    some = np.arange(len(cells))[::2]
    wanted = "".join(f'"{cells[number]}",x\n' for number in some).encode()
    assert found.text(some) == wanted
    assert found.text(np.arange(0)) == b""


def test_a_record_has_one_hash_in_every_stretch() -> None:
    alone, among = records("plain"), records("with\nlines", "plain", "and\n\nmore")

    assert alone.hashes()[0] == among.hashes()[1]
    assert records("a\nb", "c").hashes().tolist() != records("b\na", "c").hashes().tolist()
