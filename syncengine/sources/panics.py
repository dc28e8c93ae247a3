"""Failures of polars and fastexcel told as SourceError. The only place that catches their panics."""

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from syncengine.errors import SourceError


@contextmanager
def polars_errors(shown: str, *, fix: str) -> Iterator[None]:
    """What is raised while a file is read, a panic in Rust too: that derives from BaseException.

    Each extension has a PanicException of its own; what they share is the module they say they are from.
    """
    try:
        yield
    except BaseException as error:
        panicked = type(error).__module__ == "pyo3_runtime"
        if not panicked and not isinstance(error, (pl.exceptions.PolarsError, OSError)):
            raise
        raise SourceError(
            f"{shown} cannot be read",
            why=str(error).partition("\n")[0][:300],
            fix=fix,
            code="unreadable",
        ) from error
