"""What comes next, had from another thread while what came before is worked on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def had_ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, none of them None. While a chunk is judged, another thread looks for the rows of the next: with
    all rows known each of the two is busy; while rows set aside are compared, it reads the next of them. Chunks that
    are parsed are not had ahead: polars has every core busy, and two of them take room.

    Raises what `items` raises.
    """
    with ThreadPoolExecutor(1, "planning") as ahead:
        coming = ahead.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = ahead.submit(next, items, None)
            yield item
