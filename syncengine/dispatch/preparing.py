"""Rows of a plan become batches with bodies, in the form they are likely to be sent in."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
import polars as pl

from syncengine.frames import BATCH
from syncengine.model import Call, Op
from syncengine.ports import Batch
from syncengine.wire import joined_in_parts

BATCHES_AT_A_TIME: Final = 32  #: intended together
BODIES_AT_A_TIME: Final = 128  #: polars asks 0.4 ms for the first contact, and 0.02 ms for each hundred


class Form(Protocol):
    """How a destination writes contacts."""

    def prepare(self, contacts: pl.DataFrame, call: Call) -> pl.Series: ...


def prepared(
    rows: pl.DataFrame, form: Form, likely: Callable[[], Call], *, op: Op, known: bool
) -> Iterator[list[Batch]]:
    """The batches of plan rows with `batch`, a few at a time. `likely` is asked anew for each few."""
    starts = np.flatnonzero(np.diff(rows[BATCH].to_numpy(), prepend=-1))
    edges = [*starts.tolist(), rows.height]
    numbers = rows[BATCH].gather(starts).to_list()
    bodies: Iterator[memoryview] = iter(())
    call, until = None, 0
    for first in range(0, len(starts), BATCHES_AT_A_TIME):
        last = min(first + BATCHES_AT_A_TIME, len(starts))
        if first >= until or likely() is not call:
            call, until = likely(), min(first + BODIES_AT_A_TIME, len(starts))
            low, high = edges[first], edges[until]
            contacts = form.prepare(rows.slice(low, high - low), call)
            bodies = joined_in_parts(contacts, [edge - low for edge in edges[first : until + 1]])
        yield [
            Batch(number, op, known, rows.slice(low, high - low), call, next(bodies))
            for number, (low, high) in zip(numbers[first:last], pairwise(edges[first : last + 1]), strict=True)
        ]
