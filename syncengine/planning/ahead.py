"""What comes next, had from another thread while what came before is worked on."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def had_ahead(items: Iterator[T], alone: Callable[[T], bool] = lambda _: False) -> Iterator[T]:
    """The same items, none of them None. While a chunk is judged, another thread looks for the rows of the next: with
    all rows known each of the two is busy; while rows set aside are compared, it reads the next of them. Chunks that
    are parsed are not had ahead: polars has every core busy, and two of them take room. While an item that is to be
    `alone` is worked on, nothing is had ahead.

    Raises what `items` raises.
    """
    with ThreadPoolExecutor(1, "planning") as ahead:
        coming = ahead.submit(next, items, None)
        while (item := coming.result()) is not None:
            if alone(item):
                yield item
                coming = ahead.submit(next, items, None)
            else:
                coming = ahead.submit(next, items, None)
                yield item
