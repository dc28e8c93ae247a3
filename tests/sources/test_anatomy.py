"""Bitmaps against the plain way of counting, and records taken apart by lines and one at a time."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.sources import bitmap
from syncengine.sources.anatomy import dissect, resume
from syncengine.sources.long_record import End, dissect_one, find_end
from syncengine.sources.prescan import prescan

QUICK = settings(max_examples=300, deadline=None)
TEXT = st.text(st.sampled_from('ab,"\n\r'), max_size=200).map(str.encode)


def bits(words: np.ndarray, size: int) -> list[bool]:
    return np.unpackbits(words.view(np.uint8), bitorder="little")[:size].astype(bool).tolist()


@QUICK
@given(TEXT)
def test_a_bitmap_says_where_a_character_stands(data: bytes) -> None:
    text = np.frombuffer(data, np.uint8)
    words = bitmap.where(text, ord(","))
    places = [at for at, byte in enumerate(data) if byte == ord(",")]
    assert bits(words, len(data)) == [byte == ord(",") for byte in data]
    assert bitmap.count(words) == len(places)
    assert bitmap.places_of(words).tolist() == places
    assert np.array_equal(bitmap.mark(len(data), np.array(places, np.int64)), words)
    assert bitmap.has(words, np.arange(len(data))).tolist() == bits(words, len(data))


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 1_000, bitmap.STEP, bitmap.STEP + 1, 3 * bitmap.STEP - 64])
def test_a_bitmap_of_any_size_is_whole(size: int) -> None:
    text = np.full(size, ord("x"), np.uint8)
    assert bitmap.count(bitmap.where(text, ord("x"))) == size
    assert bitmap.count(bitmap.where(text, ord("x"), np.empty(max(64, size // 2), np.bool_))) == size


@QUICK
@given(TEXT)
def test_parity_and_neighbours_are_those_of_the_plain_way(data: bytes) -> None:
    words = bitmap.where(np.frombuffer(data, np.uint8), ord('"'))
    quotes = [byte == ord('"') for byte in data]
    inside = [sum(quotes[: at + 1]) % 2 == 1 for at in range(len(data))]
    assert bits(bitmap.parity(words), len(data)) == inside
    assert bits(bitmap.later(words, first=True), len(data)) == [True, *quotes][: len(data)]
    assert bits(bitmap.earlier(words), len(data)) == [*quotes, False][1 : len(data) + 1]


@QUICK
@given(TEXT, st.lists(st.integers(0, 200), max_size=8))
def test_bits_are_counted_between_places(data: bytes, places: list[int]) -> None:
    edges = sorted(min(place, len(data)) for place in places)
    words = bitmap.where(np.frombuffer(data, np.uint8), ord("a"))
    counted = bitmap.count_between(words, np.array(edges, np.int64)).tolist()
    assert counted == [data.count(b"a", start, stop) for start, stop in pairwise(edges)]


@QUICK
@given(TEXT, st.integers(1, 3), st.sampled_from([1, 8, 64, 1 << 20]))
def test_a_record_looked_at_by_itself_is_the_first_of_many(data: bytes, columns: int, window: int) -> None:
    if not data:
        return
    many = dissect(data, separator=ord(","), columns=columns, ended=True)
    one = dissect_one(data, separator=ord(","), columns=columns, ended=True, whole=True, window=window)
    first, alone = many.records, one.records
    assert (alone.stop[0], alone.last[0], alone.broken[0]) == (first.stop[0], first.last[0], first.broken[0])
    following = int(first.start[1]) if first.count > 1 else len(data)
    assert one.end == following
    if not alone.broken[0]:
        assert alone.fields[0] == first.fields[0]
        assert one.lone_returns.tolist() == [place for place in many.lone_returns.tolist() if place < one.end]


@QUICK
@given(TEXT, st.integers(1, 3))
def test_records_leave_no_gap(data: bytes, columns: int) -> None:
    for ended in (True, False):
        found = dissect(data, separator=ord(","), columns=columns, ended=ended)
        starts = [*found.records.start.tolist(), found.end]
        assert starts[0] == 0
        assert all(start <= stop for start, stop in zip(starts[:-1], found.records.stop.tolist(), strict=True))
        assert found.lines == data.count(b"\n", 0, found.end) + (ended and found.end > 0 and data[-1:] != b"\n")
        if ended:
            assert found.end == len(data)
    lines = data.count(b"\n") + 1
    assert found.records.count <= lines


@QUICK
@given(TEXT, st.integers(1, 3))
def test_a_sound_stretch_has_the_records_the_slow_path_finds(data: bytes, columns: int) -> None:
    if not data:
        return
    shape = prescan(data, separator=ord(","), columns=columns, ended=True, cell_bytes=1 << 20)
    found = dissect(data, separator=ord(","), columns=columns, ended=True).records
    if shape.sound and found.fields.max() <= columns:
        assert shape.records == found.count
        assert (found.fields == columns).all()
        assert not found.broken.any()
        starts = np.arange(shape.records) if shape.starts is None else shape.starts
        assert starts.tolist() == found.line.tolist()


@pytest.mark.parametrize(
    ("data", "ended", "expected"),
    [
        (b"a,b\nc", False, (4, End.LINE)),
        (b"a,b", True, (3, End.LINE)),
        (b"a,b", False, (0, End.ENDLESS)),
        (b'"a\n""b"\nc', False, (8, End.LINE)),
        (b'"a\nb', False, (0, End.OPEN)),
        (b'"a"b\n', False, (3, End.BROKEN)),
        (b'a"b\n', False, (1, End.BROKEN)),
        (b'a,"b"\r\nc', False, (7, End.LINE)),
    ],
)
def test_the_end_of_a_record(data: bytes, *, ended: bool, expected: tuple[int, End]) -> None:
    assert find_end(data, ord(","), ended=ended) == expected


def test_reading_goes_on_at_the_first_line_that_is_a_whole_row() -> None:
    data = b'rest of a row\n\nx\n1,"open\n2,b\n3,c\n'
    for window in (1, 5, 1_000):
        assert resume(data, separator=ord(","), columns=2, ended=False, window=window) == (data.index(b"2,b"), 4)
    assert resume(b"rest\nx\n", separator=ord(","), columns=2, ended=True, window=10) is None
    assert resume(b"rest", separator=ord(","), columns=2, ended=True, window=10) is None


def test_a_cell_longer_than_allowed_makes_a_stretch_unsound() -> None:
    for size, sound in ((900, True), (1_200, False)):
        data = b"a,b\n" * 300 + b"a," + b"x" * size + b"\n" + b"a,b\n" * 300
        shape = prescan(data, separator=ord(","), columns=2, ended=True, cell_bytes=1_024, tile=256)
        assert shape.sound is sound
