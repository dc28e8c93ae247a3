"""The two numbers of each contact of a snapshot file (key hash, fingerprint) beside it, mapped into memory and not read
into it: a list of thirty million contacts takes no more private memory to be compared than one of ten.

    snapshot-<n>.numbers    derived from snapshot-<n>.parquet, and worth nothing without it

It can be lost, or damaged, at any time: the numbers are read from the snapshot then.
"""

import contextlib
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import xxhash

from syncengine.durable import drafted, reserve
from syncengine.frames import FEW_ROWS, FINGERPRINT, KEY_HASH, collected
from syncengine.snapshot import Numbers

_MAGIC: Final = b"numbers\x01"
_HEADER: Final = 4096  #: bytes: magic (8), digest of the snapshot (16), number of contacts (8), checksum (8)


def numbers_beside(snapshot: Path) -> Path:
    """Where the numbers of a snapshot file are, if there are any."""
    return snapshot.with_suffix(".numbers")


def write_numbers(snapshot: Path, digest: str, contacts: int) -> None:
    """Put the numbers of a snapshot with this digest (xxh3-128 in hex) beside it."""
    with drafted(numbers_beside(snapshot)) as draft:
        reserve(draft, _HEADER + 16 * contacts)
        if contacts:
            mapped = np.memmap(draft, "<u8", "r+", _HEADER)
            at = 0
            rows = pl.scan_parquet(snapshot, glob=False).select(KEY_HASH, FINGERPRINT)
            is_short = contacts <= FEW_ROWS
            for part in [collected(rows, rows=contacts)] if is_short else rows.collect_batches(maintain_order=True):
                mapped[at : at + part.height] = part[KEY_HASH].to_numpy()
                mapped[contacts + at : contacts + at + part.height] = part[FINGERPRINT].to_numpy()
                at += part.height
            mapped.flush()
            del mapped
        with draft.open("r+b") as file:
            file.write(_MAGIC + bytes.fromhex(digest) + contacts.to_bytes(8, "little") + _checksum(draft))


def open_numbers(snapshot: Path, digest: str) -> Numbers | None:
    """The numbers beside a snapshot with this digest, or None where they are not what was written for it."""
    path = numbers_beside(snapshot)
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        header = file.read(40)
        contacts = int.from_bytes(header[24:32], "little")
        if header[:24] != _MAGIC + bytes.fromhex(digest) or path.stat().st_size != _HEADER + 16 * contacts:
            return None
        if not contacts or header[32:] != _checksum(path):
            return None
        mapped = np.memmap(path, "<u8", "r", _HEADER).reshape(2, contacts)
        return Numbers(mapped[0], mapped[1])
    return None


def _checksum(path: Path) -> bytes:
    state = xxhash.xxh3_64()
    with path.open("rb") as file:
        file.seek(_HEADER)
        while block := file.read(1 << 20):
            state.update(block)
    return state.digest()
