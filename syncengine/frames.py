"""The frames that travel from source to plan: their columns, named once.

    RAW        ordinal, row, `s:<column>` …                         a chunk of the source, all text
    DESIRED    ordinal, row, key, key_hash, email, address, name, active, `v:<variable>` …, fingerprint, code, reason,
               source
               what a row asks for; `ordinal` counts the rows of the whole source, `row` is what people see; `email`
               is the address as spelled, `address` its normal form; `code` says why it is held, null if it is not;
               `source` is the raw row (struct)
    SNAPSHOT   key, key_hash, email, address, name, active, variables, fingerprint, origin, confirmed_at
               what the list holds, as far as confirmed; key unique
    CHANGE     ordinal, row, key, key_hash, email, address, name, active, fingerprint, source,
               op, known, contact, variables, after, fields, level, replaces, not_before
               one per contact; `contact` is the address the list has, `variables` what is sent (JSON, the API's
               form), `after` what the list holds then, `fields` the differences as list of {field, before, after};
               renames of one `level` do not wait for each other; `replaces` is the key this contact had before; not
               sent until `not_before` (Unix seconds): an older request about it may still be carried out

    HELD       ordinal, row, key, email, code, reason, source           a row that is not sent, and why

Fingerprints and key hashes are xxh3-64. `Expr.hash()` is not stable across polars versions and never stored.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

ORDINAL: Final = "ordinal"
ROW: Final = "row"
KEY: Final = "key"
KEY_HASH: Final = "key_hash"
EMAIL: Final = "email"
ADDRESS: Final = "address"
NAME: Final = "name"
ACTIVE: Final = "active"
VARIABLES: Final = "variables"
FINGERPRINT: Final = "fingerprint"
ORIGIN: Final = "origin"
CONFIRMED_AT: Final = "confirmed_at"
CODE: Final = "code"
REASON: Final = "reason"
SOURCE: Final = "source"

OP: Final = "op"
KNOWN: Final = "known"
CONTACT: Final = "contact"
AFTER: Final = "after"
FIELDS: Final = "fields"
LEVEL: Final = "level"
REPLACES: Final = "replaces"
NOT_BEFORE: Final = "not_before"
KNOWN_FINGERPRINT: Final = "known_fingerprint"  #: of the contact in the snapshot, with a CHANGE of it
GONE: Final = "gone"  #: whether a contact left the list, with what a run changed in a snapshot
FRAGMENT: Final = "fragment"  #: in the plans of earlier versions: a second copy of what is sent
BATCH: Final = "batch"
POSITION: Final = "position"

ADDRESS_IN_DOUBT: Final = "mailto:"
"""Before an address, in place of a key: whatever was noted is about the address, whoever of the source has it by then.
A request that names it may still be carried out, or somebody is on the list there whose consent is not known.
"""

VARIABLE_PREFIX: Final = "v:"
SOURCE_PREFIX: Final = "s:"  #: a source may well have columns called `email`, `active` or `code`

CONTENT_UNKNOWN: Final = 0
"""Fingerprint of a contact whose content is no single row's: it is compared in every run."""
LEFT_SOURCE: Final = 1
"""Fingerprint of a contact that left the source and was unsubscribed: it does not leave again."""

IN_DOUBT: Final = 2
"""Fingerprint of a contact a request was made about whose outcome is not known: the list holds what the snapshot says
or what was asked for. Whatever the source says of it is sent again."""
REMOVED: Final = 3
"""Fingerprint of a contact that left the source and is to be removed: what a refusal of it is remembered by."""

VARIABLE_LIST: Final = pl.List(pl.Struct({"name": pl.String, "value": pl.String}))
FIELD_LIST: Final = pl.List(pl.Struct({"field": pl.String, "before": pl.String, "after": pl.String}))

SNAPSHOT_SCHEMA: Final = pl.Schema(
    {
        KEY: pl.String(),
        KEY_HASH: pl.UInt64(),
        EMAIL: pl.String(),
        ADDRESS: pl.String(),
        NAME: pl.String(),
        ACTIVE: pl.Boolean(),
        VARIABLES: pl.String(),
        FINGERPRINT: pl.UInt64(),
        ORIGIN: pl.String(),
        CONFIRMED_AT: pl.Datetime("us", "UTC"),
    }
)


FEW_ROWS: Final = 10_000


def collected(query: pl.LazyFrame, *, rows: int) -> pl.DataFrame:
    """What a query over so many rows gives.

    Of few rows the engine that streams costs 3 ms more than the one that does not, and of 10,000 a tenth more.
    """
    return query.collect(engine="in-memory" if rows <= FEW_ROWS else "auto")


def source_column(name: str) -> str:
    """The column of a RAW frame that holds the source's column `name`."""
    return SOURCE_PREFIX + name


def variable_column(name: str) -> str:
    """The column of a DESIRED frame that holds the variable `name`."""
    return VARIABLE_PREFIX + name


SOURCE_FILE: Final = "source file"


def told_columns(columns: Sequence[str], files: Sequence[str]) -> tuple[str, ...]:
    """The columns of a source as they are told to people: where it has several files, a last one says which.

    A source that has a column of that name already keeps it as it is.
    """
    several = len(files) > 1 and SOURCE_FILE not in columns
    return (*columns, SOURCE_FILE) if several else tuple(columns)
