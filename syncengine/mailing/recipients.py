"""Whom a template goes to: one address, or a column of a file, each contact once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import xxhash

from syncengine.errors import SourceError
from syncengine.mailing.record import ONE
from syncengine.normalise.addresses import examine_addresses
from syncengine.ports import Source
from syncengine.sources import SourceOptions, open_source

_USUAL: Final = ("email", "e-mail", "e-mail address", "email address", "mail")


@dataclass(frozen=True, slots=True)
class Held:
    """A row that is not mailed. `row` is its line; None where there is no file."""

    row: int | None
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Recipients:
    """The crowd of a mailing.

    people   key → address as spelled, in file order
    digest   of the crowd's source: an unfinished mailing is gone on with where it is the same
    """

    name: str
    digest: str
    rows: int
    people: dict[str, str]
    held: list[Held]


def one_recipient(email: str) -> Recipients:
    """A crowd of one. Raises SourceError for what is no address."""
    found = examine_addresses(pl.Series([email])).row(0, named=True)
    if found["code"] is not None:
        raise SourceError(
            "--to is not an address that can be sent to", why=str(found["reason"]), code=str(found["code"])
        )
    return Recipients("one contact", f"{ONE}{found['key']}", 1, {found["key"]: found["email"]}, [])


def recipients_of(path: str, base: Path, column: str | None) -> Recipients:
    """The addresses in `column` of a file, in any form a source may have. Raises SourceError."""
    source = open_source(SourceOptions(path, base))
    header = address_column(source, column)
    people: dict[str, str] = {}
    held: list[Held] = []
    rows = 0
    for chunk in source.chunks():
        rows += chunk.rows.height + chunk.held.height
        held += [
            Held(row, code, reason) for row, code, reason in chunk.held.select("row", "code", "reason").iter_rows()
        ]
        examined = examine_addresses(chunk.rows[header]).with_columns(chunk.rows["row"])
        for email, key, code, reason, row in examined.select("email", "key", "code", "reason", "row").iter_rows():
            if code is not None:
                held.append(Held(row, code, reason))
            elif key in people:
                held.append(Held(row, "duplicate", "another row is the same contact"))
            else:
                people[key] = email
    digest = xxhash.xxh3_128(f"{source.digest()}\0{header}".encode()).hexdigest()
    return Recipients(source.name, digest, rows, people, held)


def address_column(source: Source, column: str | None) -> str:
    """The header of the addresses. Raises SourceError where it is not plain which one is meant."""
    if column is not None and column in source.columns:
        return column
    usual = [name for name in source.columns if name.strip().lower() in _USUAL]
    if column is None and len(usual) == 1:
        return usual[0]
    if column is None and len(source.columns) == 1:
        return source.columns[0]
    raise SourceError(
        f"{source.name}: which column has the addresses?" if column is None else f"{source.name}: no column {column!r}",
        why=f"it has {', '.join(source.columns)}",
        fix="--column HEADER",
        code="column-missing",
    )
