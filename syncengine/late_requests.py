"""Requests that were given up and may still be carried out by the service: who has to wait for them, and how long.

Blocking: reads the journal and the frozen plan.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import polars as pl

from syncengine.fold import VERDICT_SCHEMA, with_positions
from syncengine.frames import ADDRESS, ADDRESS_IN_DOUBT, BATCH, CONTACT, CONTENT_UNKNOWN, FINGERPRINT, KEY, POSITION
from syncengine.frozen import FrozenPlan, Wave
from syncengine.model import GRACE, Op, Outcome
from syncengine.normalise.addresses import address_key
from syncengine.ports import Journal

NO_DOUBTS: Final = pl.DataFrame(schema={KEY: pl.String, FINGERPRINT: pl.UInt64, "until": pl.Float64})


def doubts_of(rows: pl.DataFrame, given_up: Mapping[int, float | None], now: datetime) -> pl.DataFrame:
    """KEY, FINGERPRINT, until: contacts among these plan rows with `batch` whose request may still be carried out; and,
    where contacts have an id for a key, the addresses it names (`ADDRESS_IN_DOUBT`): the service knows no ids, and
    would do it to whoever has the address by then.

    `given_up` as the journal tells it; of an open batch the last attempt may be of just now.
    """
    if not given_up:
        return NO_DOUBTS
    ends = [(now.timestamp() if since is None else since) + GRACE for since in given_up.values()]
    until = pl.DataFrame({BATCH: list(given_up), "until": ends}, schema={BATCH: pl.UInt32, "until": pl.Float64})
    late = rows.join(until, on=BATCH, how="inner").select(KEY, ADDRESS, CONTACT, FINGERPRINT, "until")
    before = pl.Series(ADDRESS, [address_key(contact) for contact in late[CONTACT]], dtype=pl.String)
    named = pl.concat([late, late.with_columns(before)]).filter(pl.col(ADDRESS) != pl.col(KEY))
    addresses = named.with_columns((pl.lit(ADDRESS_IN_DOUBT) + pl.col(ADDRESS)).alias(KEY))
    columns = KEY, FINGERPRINT, "until"
    return pl.concat([late.select(columns), addresses.select(columns)])


def joined_doubts(doubts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """`doubts_of` several, each key once. An address that requests name with different contents is in doubt for all."""
    alone = pl.col(FINGERPRINT).n_unique() == 1
    fingerprint = pl.when(alone).then(pl.col(FINGERPRINT).first()).otherwise(pl.lit(CONTENT_UNKNOWN, pl.UInt64))
    together = pl.concat([NO_DOUBTS, *doubts])
    if together.is_empty():
        return together
    return together.group_by(KEY, maintain_order=True).agg(fingerprint.alias(FINGERPRINT), pl.col("until").max())


def still_occupied(plan: FrozenPlan, wave: Wave, journal: Journal, run: str) -> frozenset[str]:
    """Addresses (normal form) that renames before `wave` were to free, and did not as far as is known."""
    renames = [one for one in plan.waves if one.op is Op.RENAME and one.first_batch < wave.first_batch]
    if not renames or wave.op not in {Op.RENAME, Op.ADD}:
        return frozenset()
    verdicts = pl.DataFrame(list(journal.verdicts(run)), schema=VERDICT_SCHEMA, orient="row")
    stayed = verdicts.filter(pl.col("outcome") != Outcome.CONFIRMED.value)
    occupied: set[str] = set()
    for rename in renames:
        mine = stayed.filter(pl.col(BATCH).is_between(rename.first_batch, rename.first_batch + rename.batches - 1))
        for rows in plan.slices(rename) if mine.height else ():
            here = with_positions(rows).join(mine, on=[BATCH, POSITION], how="semi")
            occupied |= {address_key(contact) for contact in here[CONTACT]}
    return frozenset(occupied)


def wait_for_renames(plan: FrozenPlan, wave: Wave, journal: Journal, run: str) -> float:
    """Unix time before which `wave` must not leave, or 0: it gives somebody an address that a rename has freed, and a
    second copy of that rename may still arrive. It would find the newcomer there, and rename them.
    """
    renames = [one for one in plan.waves if one.op is Op.RENAME and one.first_batch < wave.first_batch]
    if not renames or wave.op not in {Op.RENAME, Op.ADD}:
        return 0.0
    given_up = journal.doubtful_batches(run)
    freed: dict[str, float] = {}
    for rename in renames:
        doubted = given_up.keys() & set(range(rename.first_batch, rename.first_batch + rename.batches))
        for rows in plan.slices(rename) if doubted else ():
            for batch, contact in rows.filter(pl.col(BATCH).is_in(doubted)).select(BATCH, CONTACT).iter_rows():
                freed[address_key(contact)] = (given_up[batch] or 0.0) + GRACE
    if not freed:
        return 0.0
    taken = {
        address for rows in plan.slices(wave) for address in rows[ADDRESS].filter(rows[ADDRESS].is_in(list(freed)))
    }
    return max((freed[address] for address in taken), default=0.0)
