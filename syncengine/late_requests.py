"""Requests that were given up and may still be carried out by the service: who has to wait for them, and how long.

Blocking: reads the journal and the frozen plan.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import polars as pl

from syncengine.fold import VERDICT_SCHEMA, with_positions
from syncengine.frames import ADDRESS, BATCH, CONTACT, FINGERPRINT, KEY, POSITION
from syncengine.frozen import FrozenPlan, Wave
from syncengine.model import GRACE, Op, Outcome
from syncengine.normalise.addresses import address_key
from syncengine.ports import Journal

NO_DOUBTS: Final = pl.DataFrame(schema={KEY: pl.String, FINGERPRINT: pl.UInt64, "until": pl.Float64})


def doubts_of(rows: pl.DataFrame, given_up: Mapping[int, float | None], now: datetime) -> pl.DataFrame:
    """KEY, FINGERPRINT, until: contacts among these plan rows with `batch` whose request may still be carried out.

    `given_up` as the journal tells it; of an open batch the last attempt may be of just now.
    """
    ends = [(now.timestamp() if since is None else since) + GRACE for since in given_up.values()]
    until = pl.DataFrame({BATCH: list(given_up), "until": ends}, schema={BATCH: pl.UInt32, "until": pl.Float64})
    return rows.join(until, on=BATCH, how="inner").select(KEY, FINGERPRINT, "until")


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
