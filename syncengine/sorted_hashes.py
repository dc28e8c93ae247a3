"""Hashes in order, and where among them others stand, at the same cost a question however many there are.

Hashes are even: where one stands can be told from its bits to a place or two. A search by halves of ten million reads
two dozen places a question, many of them from main memory, and wants the questions sorted first: 220 ns each, and 100
among a million. This takes 45, and 30.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]

UNKNOWN: Final = -1
FEW: Final = 4_096  #: questions, or hashes, of which a search by halves is as good
_A_BUCKET: Final = 8  #: hashes, at most, if they are even; 4 bytes of memory for each. At 16, 30 M cost 1.2 times this
_STEPS: Final = 32  #: from where a hash is guessed to stand; hashes that are not even are searched for by halves
_AT_A_TIME: Final = 1_000_000
_HALF: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFFFFFF)


class SortedHashes:
    """Places among `hashes`, which are in order and perhaps mapped from a file."""

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = np.asarray(hashes)  # of a mapped file the array itself: `take` of a memmap costs twice
        self._buckets: npt.NDArray[np.uint32] | None = None
        self._shift = np.uint64(64)
        self._repeated = False

    def places(self, asked: Hashes) -> Positions:
        """Where each hash stands first, or `UNKNOWN`."""
        size = self._hashes.size
        if not size:
            return np.full(asked.size, UNKNOWN, np.int64)
        found = np.searchsorted(self._hashes, asked) if min(size, asked.size) < FEW else self._near(asked)
        np.minimum(found, size - 1, out=found)
        return np.where(self._hashes.take(found) == asked, found, UNKNOWN)

    def _near(self, asked: Hashes) -> Positions:
        """The first place of a hash that is not less than the one asked for, or the last place."""
        buckets = self._bucketed() if self._buckets is None else self._buckets
        number = (asked >> self._shift).astype(np.int64)
        first = buckets.take(number)
        within = (asked >> (self._shift - _HALF)) & _LOW  # of 2 ** 32
        within *= buckets.take(number + 1) - first
        within >>= _HALF
        within += first
        places = within.view(np.int64)
        np.minimum(places, self._hashes.size - 1, out=places)
        there = self._hashes.take(places)
        self._up(places, asked, np.flatnonzero(there < asked))
        self._down(places, asked, np.flatnonzero(there >= asked if self._repeated else there > asked))
        return places

    def _up(self, places: Positions, asked: Hashes, at: Positions) -> None:
        """Correct `places` at `at`, whose hashes are less than those asked for."""
        last = self._hashes.size - 1
        here, wanted = places.take(at), asked.take(at)
        for _ in range(_STEPS):
            if not at.size:
                return
            here += 1
            np.minimum(here, last, out=here)
            places[at] = here
            on = (self._hashes.take(here) < wanted) & (here < last)
            at, here, wanted = at[on], here[on], wanted[on]
        places[at] = np.searchsorted(self._hashes, wanted)

    def _down(self, places: Positions, asked: Hashes, at: Positions) -> None:
        """Correct `places` at `at`, before which there may be hashes that are not less than those asked for."""
        here, wanted = places.take(at), asked.take(at)
        for _ in range(_STEPS):
            if not at.size:
                return
            on = here > 0
            np.subtract(here, 1, out=here)
            on &= self._hashes.take(here, mode="clip") >= wanted
            at, here, wanted = at[on], here[on], wanted[on]
            places[at] = here
        places[at] = np.searchsorted(self._hashes, wanted)

    def _bucketed(self) -> npt.NDArray[np.uint32]:
        """Where the hashes of each bucket begin, and the last ends: a bucket is those that begin with the same bits."""
        size = self._hashes.size
        bits = (size // _A_BUCKET).bit_length()
        self._shift = np.uint64(64 - bits)
        buckets = np.empty((1 << bits) + 1, np.uint32)
        for start in range(0, 1 << bits, _AT_A_TIME):
            stop = min(1 << bits, start + _AT_A_TIME)
            numbers = np.arange(start, stop, dtype=np.uint64) << self._shift
            buckets[start:stop] = np.searchsorted(self._hashes, numbers)
        buckets[-1] = size
        parts = (self._hashes[start : start + _AT_A_TIME + 1] for start in range(0, size, _AT_A_TIME))
        self._repeated = any(bool((part[1:] == part[:-1]).any()) for part in parts)
        self._buckets = buckets
        return buckets


def among(asked: Hashes, within: Hashes) -> npt.NDArray[np.bool_]:
    """Which hashes stand in `within`, which is in order."""
    found: npt.NDArray[np.bool_] = SortedHashes(within).places(asked) != UNKNOWN
    return found
