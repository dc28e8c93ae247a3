"""polars' failures told as SourceError. The only place that catches its panics."""

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from syncengine.errors import SourceError


@contextmanager
def polars_errors(shown: str, *, fix: str) -> Iterator[None]:
    """What polars raises while it reads a file, a panic of its Rust side too: that derives from BaseException."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise SourceError(
            f"{shown} cannot be read",
            why=str(error).partition("\n")[0][:300],
            fix=fix,
            code="unreadable",
        ) from error
