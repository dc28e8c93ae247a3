"""What a mailing is: what was asked for, whom it goes to and whom not, and how far it has come.

Told in the same words as a sync: rows = held + skipped + planned; planned = sent + rejected + unknown + pending.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from syncengine.bootstrap import Session, new_run_id
from syncengine.client.requests import identifier, tags
from syncengine.frames import ACTIVE, ADDRESS
from syncengine.keyed import contact_key_of, tombstone
from syncengine.mailing.recipients import Held, Recipients
from syncengine.mailing.record import Mailed, Mailing, MailRecord
from syncengine.state import StateStore
from syncengine.uptake import record_news


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    list_id: str
    template_id: str
    tags: tuple[str, ...] = ()
    again: bool = False
    suppressed_too: bool = False


@dataclass(slots=True)
class Tally:
    """Contacts of a mailing, by what became of them."""

    sent: int = 0
    rejected: int = 0
    unknown: int = 0

    def add(self, outcome: Mailed) -> None:
        match outcome:
            case Mailed.SENT:
                self.sent += 1
            case Mailed.REJECTED:
                self.rejected += 1
            case Mailed.UNKNOWN | Mailed.INTENDED:
                self.unknown += 1

    @property
    def settled(self) -> int:
        return self.sent + self.rejected + self.unknown


@dataclass(slots=True)
class Planned:
    """A mailing before anything of it is sent, or sent on. `waiting` is key → address."""

    order: Order
    mailing: Mailing
    recipients: Recipients
    waiting: dict[str, str]
    held: list[Held]
    sent_before: int
    unknown_before: int
    tally: Tally
    settled_before: int = 0  #: contacts of this mailing that an earlier run settled

    @property
    def planned(self) -> int:
        return len(self.waiting) + self.settled_before


def plan_mailing(session: Session, order: Order, recipients: Recipients) -> Planned:
    """Who is to be sent the template, and who is not and why. Raises RequestError for ids and tags that can't be."""
    identifier("emailListId", order.list_id)
    identifier("templateId", order.template_id)
    tags("tags", order.tags)
    record = record_of(session, order)
    now = datetime.now(UTC)
    record_news(session.listening(order.list_id), now)  # who left since the last sync gets no mail either
    mailing = record.find(order.template_id, recipients.digest, again=order.again)
    if mailing is None:
        mailing = Mailing(new_run_id(), order.list_id, order.template_id, order.again, resumed=False)
    else:
        record.take_up(mailing, now)
    mine = dict(record.entries(mailing.id))
    before = {} if order.again else record.before(order.template_id, mailing.id)
    off = _unwelcome(session, order, recipients)
    planned = Planned(order, mailing, recipients, {}, list(recipients.held), 0, 0, Tally())
    for key, email in recipients.people.items():
        if key in mine:
            planned.tally.add(mine[key].outcome)
        elif key in before:
            planned.sent_before += before[key]
            planned.unknown_before += not before[key]
        elif (code := off(key)) is not None:
            planned.held.append(Held(None, code, "see: syncengine explain " + code))
        else:
            planned.waiting[key] = email
    planned.settled_before = planned.tally.settled
    return planned


def record_of(session: Session, order: Order) -> MailRecord:
    """The record of the order's account and list."""
    return MailRecord(session.connection, session.workshop.loaded.config.account.url, order.list_id)


def _unwelcome(session: Session, order: Order, recipients: Recipients) -> Callable[[str], str | None]:
    """For a key the code that keeps it from being mailed: erased people, who must not get mail from the list by the
    service's word, and whom the list has as unsubscribed as far as confirmed. Raises StateError.
    """
    folder = session.workshop.state_folder
    state = StateStore(session.connection, folder, order.list_id, session.workshop.loaded.config.account.url)
    off, unsubscribed = frozenset[str](), frozenset[str]()
    if not order.suppressed_too:
        off = frozenset(state.off())
        known = state.snapshot().rows_having(pl.Series(list(recipients.people), dtype=pl.String))
        unsubscribed = frozenset(known.filter(~pl.col(ACTIVE))[ADDRESS])
    erased = frozenset(state.forgotten().tombstones)
    secret = contact_key_of(folder) if erased else b""

    def code(key: str) -> str | None:
        if erased and tombstone(key, secret) in erased:
            return "forgotten"
        if key in off:
            return "suppressed"
        return "unsubscribed" if key in unsubscribed else None

    return code


def report(planned: Planned) -> dict[str, Any]:
    """A mailing in numbers, as --json has it."""
    tally = planned.tally
    return {
        "mailing": planned.mailing.id,
        "list": planned.order.list_id,
        "template": planned.order.template_id,
        "resumed": planned.mailing.resumed,
        "rows": planned.recipients.rows,
        "held": len(planned.held),
        "skipped": {"sent_before": planned.sent_before, "unknown_before": planned.unknown_before},
        "planned": planned.planned,
        "sent": tally.sent,
        "rejected": tally.rejected,
        "unknown": tally.unknown,
        "pending": planned.planned - tally.settled,
    }
