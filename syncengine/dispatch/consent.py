"""What becomes of a batch about contacts some of whom have left since it was planned. Pure.

Who is known to the state is sent as unsubscribed in place of subscribed, so that the rest of their content arrives. Who
is not, or was removed, is not sent at all: that would put somebody on the list who has just left it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from syncengine.dispatch.preparing import Form
from syncengine.frames import ACTIVE, ADDRESS, BATCH, CONTACT, EMAIL, KEY, NAME, ROW, VARIABLES
from syncengine.leaving import REMOVED
from syncengine.model import Call, Op, Outcome, Verdict
from syncengine.normalise.addresses import address_keys
from syncengine.ports import Batch, Correction
from syncengine.suppression import SUPPRESSED
from syncengine.wire import joined

CORRECTIONS_BATCH: Final = -1  #: a number no batch of a plan has


#: the address a contact had, in normal form: the list has it as it was spelled
_BEFORE: Final = pl.col(CONTACT).str.strip_chars().map_batches(address_keys, return_dtype=pl.String)


def who_left(off: Mapping[str, str]) -> pl.Expr:
    """Whether a CHANGE row would be sent as subscribed and is about somebody in `off`, by their old address or new."""
    addresses = pl.Series("off", list(off), dtype=pl.String).implode()
    return pl.col(ACTIVE) & (pl.col(ADDRESS).is_in(addresses) | _BEFORE.is_in(addresses))


def who_is_off(batch: Batch, off: pl.Series) -> set[int]:
    """Positions of the contacts whose address, old or new, is in `off`."""
    found = batch.contacts.select(pl.col(ADDRESS).is_in(off.implode()) | _BEFORE.is_in(off.implode())).to_series()
    return set(found.arg_true().to_list())


def withheld(batch: Batch, off: Mapping[str, str]) -> dict[int, Verdict]:
    """Verdicts of contacts that are not to be sent any more. `off` maps addresses to kinds."""
    found = batch.contacts.with_row_index("position").filter(who_left(off)).select("position", ADDRESS)
    return {
        position: Verdict(Outcome.REJECTED, SUPPRESSED, f"left ({off.get(address, 'under another address')}) in time")
        for position, address in found.iter_rows()
        if not batch.known or off.get(address) == REMOVED
    }


def lowered(batch: Batch, off: Mapping[str, str], form: Form) -> Batch:
    """The batch with everybody in `off` sent as unsubscribed; the batch itself if it is about none of them."""
    left = batch.contacts.select(who_left(off).alias("left")).to_series()
    if not left.any():
        return batch
    contacts = batch.contacts.with_columns((pl.col(ACTIVE) & ~left).alias(ACTIVE))
    return replace(batch, contacts=contacts, body=joined(form.prepare(contacts, batch.prepared)))


def corrections_for(rows: pl.DataFrame, *, due: float, run: str) -> list[Correction]:
    """What to send about people who were sent as subscribed (CHANGE rows): under both addresses where one replaces the
    other, since either may be the one the list has.
    """
    told = rows.select(KEY, EMAIL, CONTACT, NAME, VARIABLES).unique(EMAIL, maintain_order=True)
    return [
        Correction(address, due, name, variables, key, run)
        for key, email, contact, name, variables in told.iter_rows()
        for address in dict.fromkeys((email, contact))
    ]


def correcting_batch(corrections: Sequence[Correction], form: Form) -> Batch:
    """A request that says of all these people that they are unsubscribed, with the rest of their content as it is."""
    emails = [one.email for one in corrections]
    contacts = pl.DataFrame(
        {
            BATCH: pl.Series([0] * len(emails), dtype=pl.UInt32),
            ROW: pl.Series([None] * len(emails), dtype=pl.UInt64),
            KEY: [one.key for one in corrections],
            EMAIL: emails,
            CONTACT: emails,
            ADDRESS: emails,
            NAME: pl.Series([one.name for one in corrections], dtype=pl.String),
            ACTIVE: [False] * len(emails),
            VARIABLES: [one.variables for one in corrections],
        }
    )
    body = joined(form.prepare(contacts, Call.UPDATE))
    return Batch(CORRECTIONS_BATCH, Op.UNSUBSCRIBE, True, contacts, Call.UPDATE, body)  # `known`
