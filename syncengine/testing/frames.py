"""Sources made of frames."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import polars as pl

from syncengine.ports import Chunk, Description


class FrameSource:
    """A source whose rows stand in memory, given in chunks of `chunk_rows` (a `Source`)."""

    def __init__(self, rows: pl.DataFrame, *, name: str = "frame", chunk_rows: int = 1_000) -> None:
        self._rows = rows if set(rows.dtypes) <= {pl.String} else rows.cast(dict.fromkeys(rows.columns, pl.String))
        self._name = name
        self._chunk_rows = chunk_rows

    @property
    def name(self) -> str:
        return self._name

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self._rows.columns)

    def chunks(self) -> Iterator[Chunk]:
        for start in range(0, self._rows.height, self._chunk_rows):
            number = pl.int_range(start + 2, start + 2 + pl.len(), dtype=pl.UInt64).alias("row")
            rows = self._rows.slice(start, self._chunk_rows).select(number, pl.all())
            yield Chunk(self._name, rows, _nobody_held(self._rows))

    def digest(self) -> str:
        return self._digest

    @cached_property
    def _digest(self) -> str:
        content = json.dumps(self._rows.to_dict(as_series=False))
        return "blake2b:" + hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    @property
    def height(self) -> int:
        """Rows it has."""
        return self._rows.height

    def describe(self) -> Description:
        return Description((self._name,), int(self._rows.estimated_size()), "frame")

    def verify_unchanged(self) -> None:
        """A frame does not change."""


def _nobody_held(rows: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(schema={"row": pl.UInt64, "code": pl.String, "reason": pl.String, **rows.schema})


def source(*emails: str, **columns: Sequence[str | None]) -> FrameSource:
    """A source with a column `email`, everybody subscribed, and further columns as given."""
    active = columns.pop("active", ["yes"] * len(emails))
    return FrameSource(pl.DataFrame({"email": emails, "active": active, **columns}))


def people(count: int, *, first: int = 0, **changes: Mapping[int, str]) -> pl.DataFrame:
    """`count` contacts with email, active, name and city; `changes` gives single cells other values, by number."""
    numbers = range(first, first + count)
    frame = {
        "email": [f"user{number}@example.com" for number in numbers],
        "active": ["yes"] * count,
        "name": [f"Name {number}" for number in numbers],
        "city": [f"City {number % 7}" for number in numbers],
    }
    for column, cells in changes.items():
        frame[column] = [cells.get(number, cell) for number, cell in zip(numbers, frame[column], strict=True)]
    return pl.DataFrame(frame)
