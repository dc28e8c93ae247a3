"""What it makes of the contacts we know that somebody left the list. Pure: frames in, frames out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from syncengine.frames import (
    ACTIVE,
    ADDRESS,
    CONFIRMED_AT,
    CONTACT,
    CONTENT_UNKNOWN,
    FINGERPRINT,
    KEY,
    KEY_HASH,
    LEFT_SOURCE,
    OP,
    SNAPSHOT_SCHEMA,
)
from syncengine.leaving import REMOVED, UNSUBSCRIBED, Suppression, joined
from syncengine.model import Op, Outcome
from syncengine.normalise.addresses import address_key
from syncengine.normalise.rows import hash_of

SUPPRESSED: Final = "suppressed"


@dataclass(frozen=True, slots=True)
class Learned:
    """What a snapshot learns: SNAPSHOT rows in place of those of the same key; KEY, KEY_HASH, ADDRESS of who left."""

    upserts: pl.DataFrame
    removed: pl.DataFrame

    @property
    def is_empty(self) -> bool:
        return self.upserts.is_empty() and self.removed.is_empty()


def learn(rows: pl.DataFrame, words: Sequence[Suppression], in_doubt: pl.Series) -> Learned:
    """What SNAPSHOT rows of these people become.

    Who unsubscribed or was removed after our last confirmation is known to be off, or gone. Of everybody else the list
    may still say that they are subscribed: who bounced or complained, whom we confirmed after they left (the word came
    late), and whose keys are `in_doubt` (a request of ours may still be carried out). They stay as they are and are
    compared in the next plan, which sends them as unsubscribed.
    """
    people = pl.DataFrame(
        [(one.address, one.kind, one.happened_at, one.received_at) for one in joined(words).values()],
        schema={ADDRESS: pl.String, "kind": pl.String, "happened": pl.Float64, "received": pl.Float64},
        orient="row",
    )
    confirmed = pl.col(CONFIRMED_AT).dt.epoch("us") / 1e6
    told = rows.join(people, on=ADDRESS, how="inner").with_columns(
        (pl.col("kind").is_in([UNSUBSCRIBED, REMOVED]) & (pl.col("happened") > confirmed))
        .and_(~pl.col(KEY).is_in(in_doubt.implode()))
        .alias("is_known")
    )
    gone = pl.col("is_known") & (pl.col("kind") == REMOVED)
    stay = told.filter(~gone).with_columns(
        (pl.col(ACTIVE) & ~pl.col("is_known")).alias("still"),
        pl.when(pl.col(FINGERPRINT) == LEFT_SOURCE)
        .then(FINGERPRINT)
        .otherwise(pl.lit(CONTENT_UNKNOWN, pl.UInt64))
        .alias("fresh"),
    )
    changed = stay.filter(
        (pl.col("still") != pl.col(ACTIVE)) | (pl.col(ACTIVE) & (pl.col(FINGERPRINT) != pl.col("fresh")))
    )
    upserts = changed.with_columns(pl.col("still").alias(ACTIVE), pl.col("fresh").alias(FINGERPRINT))
    return Learned(upserts.select(SNAPSHOT_SCHEMA.names()), told.filter(gone).select(KEY, KEY_HASH, ADDRESS))


def lowered(rows: pl.LazyFrame, off: pl.Series) -> pl.LazyFrame:
    """SNAPSHOT rows about to be confirmed: who left while they were sent is off, and is compared in every run."""
    is_off = pl.col(ACTIVE) & pl.col(ADDRESS).is_in(off.implode())
    return rows.with_columns(
        (pl.col(ACTIVE) & ~is_off).alias(ACTIVE),
        pl.when(is_off).then(pl.lit(CONTENT_UNKNOWN, pl.UInt64)).otherwise(FINGERPRINT).alias(FINGERPRINT),
    )


def moved(changes: pl.DataFrame, off: pl.Series) -> list[tuple[str, str]]:
    """(address before, address now) of people of CHANGE rows who are off, and stay so under another address: also where
    the plan says that they are subscribed, since they left after it was made.
    """
    renames = changes.filter(pl.col(OP) == Op.RENAME.value).select(CONTACT, ADDRESS)
    known = set(off)
    before = [address_key(contact) for contact in renames[CONTACT]]
    return [(old, new) for old, new in zip(before, renames[ADDRESS], strict=True) if old in known]


def kept_off(gone: pl.DataFrame, rules: str = "") -> pl.DataFrame:
    """Refusals for contacts (KEY, ADDRESS) that left the list for good, under `rules` of the job or any: with an id for
    a key they would come back as somebody new as soon as their address changes.
    """
    return gone.filter(pl.col(KEY) != pl.col(ADDRESS)).select(
        KEY,
        hash_of(pl.col(ADDRESS)).alias(FINGERPRINT),  # by which they are found when the address is lifted
        pl.lit(Outcome.UNRESOLVED.value).alias("outcome"),
        pl.lit(SUPPRESSED).alias("code"),
        pl.lit("they left the list under the address they had").alias("text"),
        pl.lit(rules).alias("rules"),
    )
