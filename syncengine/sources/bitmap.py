"""Bitmaps of a text: one bit a byte, saying where a character stands; 64 bytes of text in one word.

Questions about quotes become a few word operations (Langdale & Lemire, "Parsing gigabytes of JSON per second", 2019,
§3.1) and cost about what one count of a character costs: 5 GB/s to make a bitmap, more to combine them.
Bit i of word w is byte 64 w + i.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]  #: byte offsets, rising

WORD: Final = 64
STEP: Final = 256 << 10  #: bytes compared at a time: the comparison's output stays in the cache

_LITTLE: Final = np.dtype("<u8")
_ONE: Final = np.uint64(1)
_SHIFTS: Final = tuple(np.uint64(1 << power) for power in range(6))
_LAST: Final = np.uint64(WORD - 1)


def words_for(size: int) -> int:
    return -(-size // WORD)


def where(text: Bytes, character: int, flags: Flags | None = None) -> Words:
    """The places of `character`; bits behind the end of `text` are 0.

    `flags` is scratch of 64 bytes or more, for a caller with many small texts: a fresh one for each costs three times
    the comparison, in page faults.
    """
    if flags is None:
        flags = np.empty(STEP, np.bool_)
    if text.size <= flags.size and not text.size % WORD:
        return np.packbits(np.equal(text, character, out=flags[: text.size]), bitorder="little").view(_LITTLE)
    packed = np.zeros(words_for(text.size) * 8, np.uint8)
    step = flags.size - flags.size % WORD
    for start in range(0, text.size, step):
        part = text[start : start + step]
        bits = np.packbits(np.equal(part, character, out=flags[: part.size]), bitorder="little")
        packed[start // 8 : start // 8 + bits.size] = bits
    return packed.view(_LITTLE)


def count(words: Words) -> int:
    return int(np.bitwise_count(words).sum(dtype=np.int64))


def parity(quotes: Words) -> Words:
    """1 from each odd-numbered bit up to before the next: inside quotes, the opening one included."""
    inside = quotes.copy()
    shifted = np.empty_like(inside)
    for shift in _SHIFTS:
        np.left_shift(inside, shift, out=shifted)
        np.bitwise_xor(inside, shifted, out=inside)
    odd_words = np.bitwise_xor.accumulate(inside >> _LAST)
    inside[1:] ^= np.negative(odd_words[:-1])
    return inside


def later(words: Words, *, first: bool = False) -> Words:
    """Each bit moved to the next byte: "the character before this one is …". `first` fills the first place."""
    moved = words << _ONE
    moved[1:] |= words[:-1] >> _LAST
    if moved.size:
        moved[0] |= np.uint64(first)
    return moved


def earlier(words: Words) -> Words:
    """Each bit moved to the byte before: "the character after this one is …"."""
    moved = words >> _ONE
    moved[:-1] |= words[1:] << _LAST
    return moved


def mark(size: int, places: Places) -> Words:
    """The bitmap of `size` bytes with exactly `places` set; the inverse of `places_of`."""
    bits = np.zeros(words_for(size) * WORD, np.bool_)
    bits[places] = True
    return np.packbits(bits, bitorder="little").view(_LITTLE)


def places_of(words: Words) -> Places:
    """Where the bits are. Works by the lowest bit of each word, then the next: few rounds where bits are sparse."""
    at = np.flatnonzero(words)
    left = words[at]
    counts = np.bitwise_count(left).astype(np.int64)
    found = np.empty(int(counts.sum()), np.int64)
    slots = np.cumsum(counts) - counts
    base = at * WORD
    while left.size:
        lowest = left & np.negative(left)
        found[slots] = base + np.bitwise_count(lowest - _ONE)
        left ^= lowest
        more = left != 0
        left, base, slots = left[more], base[more], slots[more] + 1
    return found


def has(words: Words, places: Places) -> npt.NDArray[np.bool_]:
    """Whether the bit at each of `places` is set."""
    bits: npt.NDArray[np.bool_] = (words[places >> 6] >> (places & 63).astype(np.uint64) & _ONE).astype(np.bool_)
    return bits


def count_between(words: Words, edges: Places) -> Places:
    """How many bits lie between each place and the next: "how many separators in this line"."""
    if not words.any():
        return np.zeros(max(0, edges.size - 1), np.int64)
    padded = np.append(words, np.uint64(0))  # so that the end of the text is a place too
    between: Places = np.diff(bits_before(padded, edges))
    return between


def bits_before(words: Words, places: Places) -> Places:
    """How many bits lie before each place: those of the words before, and of the part of its own word."""
    counts = np.bitwise_count(words).astype(np.int64)
    word, bit = places >> 6, (places & 63).astype(np.uint64)
    partial = words[word] & ((_ONE << bit) - _ONE)
    before: Places = (np.cumsum(counts) - counts)[word] + np.bitwise_count(partial)
    return before
