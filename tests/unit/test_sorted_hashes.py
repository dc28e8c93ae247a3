"""A hash is found where it stands first, be the hashes even or not."""

import numpy as np
import pytest

from syncengine.sorted_hashes import FEW, UNKNOWN, Hashes, SortedHashes, among

SIZE = 5 * FEW
TOP = (1 << 64) - 1


def even() -> Hashes:
    return np.random.default_rng(7).integers(0, TOP, SIZE, dtype=np.uint64, endpoint=True)


def crowded() -> Hashes:
    """Most of them in one bucket, and the ends of the range."""
    hashes = even() >> np.uint64(40)
    hashes[:3] = 0, TOP, TOP - 1
    return hashes


@pytest.mark.parametrize(
    "hashes",
    [even(), crowded(), np.repeat(even()[: FEW + 1], 3), np.zeros(SIZE, np.uint64), np.arange(SIZE, dtype=np.uint64)],
    ids=["even", "crowded", "repeated", "all the same", "small"],
)
@pytest.mark.parametrize("questions", [FEW - 1, 4 * FEW])
def test_every_hash_is_found_where_it_stands_first_and_no_other(hashes: Hashes, questions: int) -> None:
    hashes = np.sort(hashes)
    chosen = np.random.default_rng(8).integers(0, SIZE // 5, questions)
    asked = np.concatenate([hashes[chosen], hashes[chosen[::7]] + np.uint64(1), even()[:99] ^ np.uint64(1)])
    asked = np.append(asked, np.array([0, TOP], np.uint64))
    first = np.searchsorted(hashes, asked)
    there = hashes[np.minimum(first, hashes.size - 1)] == asked

    assert SortedHashes(hashes).places(asked).tolist() == np.where(there, first, UNKNOWN).tolist()
    assert among(asked, hashes).tolist() == there.tolist()


def test_nothing_stands_among_no_hashes() -> None:
    nobody = SortedHashes(np.empty(0, np.uint64))

    assert nobody.places(even()).max() == UNKNOWN
    assert nobody.places(np.empty(0, np.uint64)).size == 0
