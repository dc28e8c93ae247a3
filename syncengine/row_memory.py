"""What rows meant when they were read before: hash of a row's bytes → key hash and fingerprint.

Normalising is a pure function of a row, its columns and the mapping. So a row whose bytes are known need not be parsed:
its two numbers are compared with the snapshot as ever, and it is parsed only if they differ from what the list holds.
Rows that are held are never remembered; neither is anything beyond the two numbers.

    <name>-base.rows    most of them, sorted by hash, mapped into memory and not read into it
    <name>-late.rows    those of later runs, until there are many

A memory is bound to a `meaning`: the mapping, how text becomes cells, and this program. It can be lost at any time: the
next run parses every row, and remembers.
"""

import contextlib
import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from syncengine.durable import PRIVATE_FILE, drafted, reserve
from syncengine.sorted_hashes import UNKNOWN, SortedHashes

Numbers = npt.NDArray[np.uint64]

_WHO_DECIDES: Final = ("syncengine", "polars", "email-validator", "idna")
SCHEME: Final = 2  #: changes with everything that changes what a row means, or what is hashed of it
LATE: Final = 4  #: the base is written anew when the late rows are more than this part of it
DEAD: Final = 2  #: all is forgotten when more than this many times the rows of a source are remembered
ROWS_AT_A_TIME: Final = 2_000_000
_MAGIC: Final = b"rows\x00\x00\x00\x02"
_HEADER: Final = 4096  #: bytes: magic, meaning (16), number of rows, checksum of all behind it, names of `filled`
_NAMES: Final = 40  #: bytes into the header; one a line
_NOTE: Final = np.dtype([("row", "<u8"), ("key", "<u8"), ("fingerprint", "<u8")])


@dataclass(frozen=True, slots=True)
class Recollection:
    """Of each row asked about: whether it is known, and if so its key hash and fingerprint (0 elsewhere)."""

    known: npt.NDArray[np.bool_]
    keys: Numbers
    fingerprints: Numbers


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows by hash, in order; `filled` names the variables that have a value in any of them."""

    rows: Numbers
    keys: Numbers
    fingerprints: Numbers
    filled: frozenset[str]


def meaning_of(rules: str, reading: str) -> bytes:
    """What rows mean under `rules` (of the job), read as `reading` says, by this program and those it reads with."""
    programs = "\0".join(importlib.metadata.version(name) for name in _WHO_DECIDES)
    told = f"{SCHEME}\0{programs}\0{rules}\0{reading}"
    return xxhash.xxh3_128_digest(told.encode())


class RowMemory:
    """The rows of earlier runs, and a file for those of this one."""

    def __init__(self, segments: tuple[Segment, ...], meaning: bytes, notes: Path | None) -> None:
        self._segments = [(segment, SortedHashes(segment.rows)) for segment in segments]
        self._notes = notes
        self._noted: set[str] = set()
        self.filled = frozenset[str]().union(*(segment.filled for segment in segments))
        """Variables that have a value in any remembered row."""
        if notes is not None:
            for path, content in ((notes, meaning), (_names_beside(notes), b"")):
                path.write_bytes(content)
                path.chmod(PRIVATE_FILE)

    @property
    def size(self) -> int:
        """How many rows are remembered."""
        return sum(segment.rows.size for segment, _ in self._segments)

    def recall(self, rows: Numbers) -> Recollection:
        """What is known of rows with these hashes."""
        known = np.zeros(rows.size, np.bool_)
        keys, fingerprints = np.zeros(rows.size, np.uint64), np.zeros(rows.size, np.uint64)
        for segment, places_of in self._segments:
            places = places_of.places(rows)
            found = places != UNKNOWN
            if found.all():  # as nearly always: nothing has to be picked out
                return Recollection(found, segment.keys.take(places), segment.fingerprints.take(places))
            places = places[found]
            known |= found
            keys[found], fingerprints[found] = segment.keys.take(places), segment.fingerprints.take(places)
        return Recollection(known, keys, fingerprints)

    def note(self, rows: Numbers, keys: Numbers, fingerprints: Numbers, filled: Iterable[str]) -> None:
        """These rows were read, and none of them is held. `filled`: variables with a value in any of them."""
        if self._notes is None or not rows.size:
            return
        new = [name for name in filled if name not in self._noted]
        if new:
            self._noted.update(new)
            with _names_beside(self._notes).open("a", encoding="utf-8") as names:
                names.writelines(f"{name}\n" for name in new)
        notes = np.empty(rows.size, _NOTE)
        notes["row"], notes["key"], notes["fingerprint"] = rows, keys, fingerprints
        with self._notes.open("ab") as file:
            file.write(notes.tobytes())


def open_memory(folder: Path, name: str, meaning: bytes, notes: Path | None) -> RowMemory:
    """The memory called `name` in `folder`, empty if there is none of this meaning. New rows go to the file `notes`."""
    return RowMemory(_segments(folder, name, meaning), meaning, notes)


def keep_notes(folder: Path, name: str, notes: Path, *, rows: int) -> None:
    """Add the rows noted in a run over a source of `rows` rows to the memory `name`; forget all that is of no use."""
    content = _head(notes)
    if len(content) < 16 or (notes.stat().st_size - 16) % _NOTE.itemsize:
        return
    noted = np.memmap(notes, _NOTE, "r", 16) if notes.stat().st_size > 16 else np.empty(0, _NOTE)
    filled = frozenset(_names_beside(notes).read_text(encoding="utf-8").split())
    base, late = (_segment(folder / f"{name}-{kind}.rows", content) for kind in ("base", "late"))
    before = sum(segment.rows.size for segment in (base, late) if segment is not None)
    if before + noted.size > DEAD * max(rows, 1) and before:
        forget_rows(folder, name)  # most of it is of rows that are gone; the next run learns anew
    elif noted.size:
        later = noted.size + (late.rows.size if late is not None else 0)
        if base is None or later > base.rows.size // LATE:
            _write(folder / f"{name}-base.rows", content, [base, late], noted, filled)
            (folder / f"{name}-late.rows").unlink(missing_ok=True)
        else:
            _write(folder / f"{name}-late.rows", content, [late], noted, filled)
    drop_notes(notes)


def _head(notes: Path) -> bytes:
    """The meaning of what was noted; empty where there is none."""
    with contextlib.suppress(FileNotFoundError), notes.open("rb") as file:
        return file.read(16)
    return b""


def drop_notes(notes: Path) -> None:
    """Remove what was noted in a run."""
    for path in (notes, _names_beside(notes)):
        path.unlink(missing_ok=True)


def _names_beside(notes: Path) -> Path:
    return notes.with_name(f"{notes.name}.filled")


def forget_rows(folder: Path, name: str = "rows-*") -> None:
    """Drop the memory `name`, or every one."""
    for path in folder.glob(f"{name}-*.rows"):
        path.unlink(missing_ok=True)


def _segments(folder: Path, name: str, meaning: bytes) -> tuple[Segment, ...]:
    found = (_segment(folder / f"{name}-{kind}.rows", meaning) for kind in ("base", "late"))
    return tuple(segment for segment in found if segment is not None)


def _segment(path: Path, meaning: bytes) -> Segment | None:
    """The rows in a file, or None if there are none of this meaning, or it is not what was written."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        header = file.read(_HEADER)
        count = int.from_bytes(header[24:32], "little")
        if header[:24] != _MAGIC + meaning or not count or path.stat().st_size != _HEADER + 24 * count:
            return None
        if _checksum(path) != header[32:40]:
            return None
        numbers = np.asarray(np.memmap(path, "<u8", "r", _HEADER)).reshape(3, count)
        filled = header[_NAMES:].rstrip(b"\0").decode("utf-8").split()
        return Segment(numbers[0], numbers[1], numbers[2], frozenset(filled))
    return None


def _checksum(path: Path) -> bytes:
    state = xxhash.xxh3_64()
    with path.open("rb") as file:
        file.seek(_NAMES)
        while block := file.read(1 << 20):
            state.update(block)
    return state.digest()


def _write(
    target: Path,
    meaning: bytes,
    segments: list[Segment | None],
    noted: npt.NDArray[np.void],
    filled: frozenset[str],
) -> None:
    """All rows of `segments` and `noted`, sorted, a range of hashes at a time."""
    old = [segment for segment in segments if segment is not None]
    count = sum(segment.rows.size for segment in old) + noted.size
    ranges = -(-count // ROWS_AT_A_TIME)
    edges = [(number << 64) // ranges for number in range(ranges)]
    with drafted(target) as draft:
        reserve(draft, _HEADER + 24 * count)
        mapped = np.memmap(draft, "<u8", "r+", _HEADER)
        out = mapped.reshape(3, count)
        at = 0
        for low, high in zip(edges, [*edges[1:], 1 << 64], strict=True):
            part = _range(old, noted, low, high - 1)
            size = part.shape[1]
            out[:, at : at + size] = part[:, np.argsort(part[0])]
            at += size
        mapped.flush()
        del out, mapped
        names = "\n".join(sorted(filled.union(*(segment.filled for segment in old)))).encode()
        if _NAMES + len(names) > _HEADER:
            names, meaning = b"", bytes(len(meaning))  # too many to tell: a memory of no meaning, which is none
        with draft.open("r+b") as file:
            file.seek(_NAMES)
            file.write(names)
            file.flush()
            file.seek(0)
            file.write(_MAGIC + meaning + count.to_bytes(8, "little") + _checksum(draft))


def _range(segments: list[Segment], noted: npt.NDArray[np.void], low: int, high: int) -> Numbers:
    """The rows with hashes from `low` to `high`: three lines of numbers."""
    parts = []
    for segment in segments:
        first = np.searchsorted(segment.rows, np.uint64(low))
        last = np.searchsorted(segment.rows, np.uint64(high), side="right")
        parts.append(np.stack([segment.rows[first:last], segment.keys[first:last], segment.fingerprints[first:last]]))
    inside = (noted["row"] >= np.uint64(low)) & (noted["row"] <= np.uint64(high))
    some = noted[inside]
    return np.concatenate([*parts, np.stack([some["row"], some["key"], some["fingerprint"]])], axis=1)
