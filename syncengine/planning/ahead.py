"""Chunks had from another thread while the one before is worked on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from syncengine.ports import Chunk


def had_ahead(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The same chunks. While one is judged, another thread looks for the rows of the next: with all rows known each of
    the two is busy. Chunks that are parsed are not had ahead: polars has every core busy, and two of them take room.

    Raises what `chunks` raises.
    """
    with ThreadPoolExecutor(1, "planning") as ahead:
        coming = ahead.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = ahead.submit(next, chunks, None)
            yield chunk
