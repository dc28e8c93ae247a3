"""`mail trigger`: a template for one contact or a whole file, paced, resumable, and never twice to one contact.

Told in the same words as a sync: rows = held + skipped + planned; planned = sent + rejected + unknown + pending.

- The record has a contact before its request leaves (`record`), so that a crash can make it unknown, never forgotten.
- A request that never arrived, or was too many (429), is sent again. One that may have arrived is *unknown*: told,
  and not sent again by itself.
- Several unknown outcomes in a row stop the mailing: the service is in trouble, and each would be one more doubt.
- A refusal of token, list or template stops it too: it would be the same for everybody.
"""

import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio
import polars as pl

from syncengine.bootstrap import Session, new_run_id
from syncengine.client.requests import Trigger, identifier, tags
from syncengine.client.smartsender import SmartSender
from syncengine.dispatch.retry import Backoff
from syncengine.durable import make_private_folder
from syncengine.errors import (
    InterruptedRunError,
    OutcomeUnknownError,
    RefusedError,
    RejectedError,
    RequestError,
    StateError,
    SyncEngineError,
    UnavailableError,
)
from syncengine.keyed import contact_key_of, tombstone
from syncengine.mailing.recipients import Held, Recipients
from syncengine.mailing.record import Mailed, Mailing, MailRecord
from syncengine.result_files import write_rows
from syncengine.state import StateStore
from syncengine.stopping import StopSwitch, stopped_by_signals
from syncengine.uptake import record_news

_RESULTS: Final = ("key", "email", "outcome", "message_id", "text", "at")
DOUBTS_IN_A_ROW: Final = 5  #: unknown outcomes without a usable answer between them that stop a mailing

# They are about the template or its list, whoever the contact is (smartsender.md §1.4).
_ABOUT_THE_TEMPLATE: Final = re.compile(
    r"Unexpected token .*|Require \\?[\"']?templateId\\?[\"']? arguments .*", re.DOTALL
)


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


@dataclass(slots=True)
class Ended:
    """How a mailing ended: `document` as --json prints it."""

    document: dict[str, Any]
    problem: SyncEngineError | None


def plan_mailing(session: Session, order: Order, recipients: Recipients) -> Planned:
    """Who is to be sent the template, and who is not and why. Raises RequestError for ids and tags that can't be."""
    identifier("emailListId", order.list_id)
    identifier("templateId", order.template_id)
    tags("tags", order.tags)
    record = _record(session, order)
    now = datetime.now(UTC)
    record_news(session.listening(order.list_id), now)  # who left since the last sync gets no mail either
    mailing = record.find(order.template_id, recipients.digest, again=order.again)
    if mailing is None:
        mailing = Mailing(new_run_id(), order.list_id, order.template_id, order.again, resumed=False)
    else:
        record.take_up(mailing, now)
    mine = dict(record.entries(mailing.id))
    before = {} if order.again else record.before(order.template_id, mailing.id)
    off = _unwelcome(session, order)
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


def _record(session: Session, order: Order) -> MailRecord:
    return MailRecord(session.connection, session.workshop.loaded.config.account.url, order.list_id)


def _unwelcome(session: Session, order: Order) -> Callable[[str], str | None]:
    """For a key the code that keeps it from being mailed: erased people, and who must not get mail from the list."""
    folder = session.workshop.state_folder
    state = StateStore(session.connection, folder, order.list_id, session.workshop.loaded.config.account.url)
    off = frozenset() if order.suppressed_too else frozenset(state.off())
    erased = frozenset(state.forgotten().tombstones)
    secret = contact_key_of(folder) if erased else b""

    def code(key: str) -> str | None:
        if erased and tombstone(key, secret) in erased:
            return "forgotten"
        return "suppressed" if key in off else None

    return code


def _trigger(order: Order, email: str) -> Trigger:
    return Trigger(list_id=order.list_id, contact=email, template_id=order.template_id, tags=order.tags)


def carry_out(
    session: Session,
    planned: Planned,
    service: SmartSender,
    *,
    limit: int | None = None,
    observe: Callable[[int, int], None] = lambda _done, _of: None,
    stopping: Callable[[str], None] = lambda _reason: None,
) -> Ended:
    """Send to everybody who waits. What ends it early is in `Ended.problem`, and the same command goes on."""
    record = _record(session, planned.order)
    if planned.waiting and not planned.mailing.resumed:
        planned.mailing = record.begin(
            planned.mailing.id,
            planned.order.template_id,
            planned.recipients.digest,
            planned.order.tags,
            datetime.now(UTC),
            again=planned.order.again,
        )
    began = time.monotonic()
    problem = anyio.run(_run, session, planned, service, record, limit, observe, stopping)
    planned.tally.unknown += record.take_up(planned.mailing, datetime.now(UTC))  # cut off by the second signal
    if planned.planned == planned.tally.settled:
        record.end(planned.mailing, datetime.now(UTC))
    document = report(planned) | {
        "result": _result(planned, problem),
        "requests": service.requests,
        "seconds": round(time.monotonic() - began, 1),
        "paths": {"results": str(_write_results(session, planned.mailing, record)) if planned.planned else None},
    }
    return Ended(document, problem)


def _write_results(session: Session, mailing: Mailing, record: MailRecord) -> Path:
    """The contacts of a mailing with what became of them: `mail stats` reads it, and so do spreadsheets."""
    target = session.workshop.state_folder / "mailings" / f"{mailing.id}.csv"
    make_private_folder(target.parent)
    rows = [
        dict(zip(_RESULTS, (key, one.email, one.outcome.value, one.message, one.text, one.at), strict=True))
        for key, one in record.entries(mailing.id)
    ]
    write_rows(target, rows, dict.fromkeys(_RESULTS, pl.String))
    return target


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


def _result(planned: Planned, problem: SyncEngineError | None) -> str:
    match problem:
        case None:
            return "rejected" if planned.tally.rejected or planned.tally.unknown else "ok"
        case RefusedError():
            return "refused"
        case InterruptedRunError():
            return "interrupted"
        case UnavailableError():
            return "unavailable"
        case _:
            return "failed"


async def _run(
    session: Session,
    planned: Planned,
    service: SmartSender,
    record: MailRecord,
    limit: int | None,
    observe: Callable[[int, int], None],
    stopping: Callable[[str], None],
) -> SyncEngineError | None:
    account, overrides = session.workshop.loaded.config.account, session.workshop.overrides
    stop = StopSwitch()
    sender = _Sender(planned, service, record, stop, account.max_outage, limit, observe)
    async with service, stopped_by_signals(stop, on_stop=stopping):
        with stop.hard:
            async with anyio.create_task_group() as group:
                for _ in range(min(overrides.concurrency or account.concurrency, max(1, len(planned.waiting)))):
                    group.start_soon(sender.work)
    return sender.problem or _interruption(stop, planned)


def _interruption(stop: StopSwitch, planned: Planned) -> SyncEngineError | None:
    if not stop.requested or planned.planned == planned.tally.settled:
        return None
    fix = "the same command goes on"
    sent = (
        f"{planned.tally.sent:,} mails are sent and recorded, {planned.planned - planned.tally.settled:,} are pending"
    )
    if stop.signal_number is None:
        return UnavailableError(f"stopped: {stop.reason}", fix=fix, code="budget-spent", sent=sent)
    return InterruptedRunError(f"stopped by {stop.reason}", signal_number=stop.signal_number, fix=fix, sent=sent)


@dataclass(slots=True)
class _Sender:
    """What the workers of one mailing share."""

    planned: Planned
    service: SmartSender
    record: MailRecord
    stop: StopSwitch
    max_outage: float
    limit: int | None
    observe: Callable[[int, int], None]
    problem: SyncEngineError | None = None
    _doubts: int = 0
    _answered: float = field(default_factory=time.monotonic)
    _left: Iterator[tuple[str, str]] = field(init=False)
    _begun: int = 0
    _backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        self._left = iter(self.planned.waiting.items())

    async def work(self) -> None:
        """Send to one contact after the other until nobody is left or a stop is asked for."""
        while not self.stop.requested:
            key, email = next(self._left, ("", ""))
            if not key:
                return
            if self._begun == self.limit:
                self.stop.request("the mails allowed for this run are sent")
                return
            self._begun += 1
            try:
                await self._send(key, email)
            except StateError as error:  # nothing may leave that can't be written down
                self._stop_with(error)

    async def _send(self, key: str, email: str) -> None:
        mailing, record = self.planned.mailing, self.record
        attempt = 0
        while True:
            attempt += 1
            try:
                done = await self.service.trigger(
                    _trigger(self.planned.order, email),
                    attempts=1,
                    leaving=lambda: record.intend(mailing, key, email, datetime.now(UTC)),
                )
            except OutcomeUnknownError as error:
                self._doubt(key, error)
            except RequestError as error:  # an address that a source may have and this call may not
                record.intend(mailing, key, email, datetime.now(UTC))
                self._settle(key, Mailed.REJECTED, text=error.what)
            except RejectedError as error:
                self._reject(key, error)
            except RefusedError as error:
                self._give_up(key, error)
            except UnavailableError as error:
                if not self._is_out_for_good(key, error):
                    await self.stop.sleep(self._backoff.wait(attempt, random.random()))  # noqa: S311  # jitter
                    continue
            else:
                self._settle(key, Mailed.SENT, message=done.message_id or "")
            return

    def _settle(self, key: str, outcome: Mailed, *, message: str = "", text: str = "") -> None:
        self.record.settle(self.planned.mailing, key, outcome, datetime.now(UTC), message=message, text=text)
        self.planned.tally.add(outcome)
        if outcome is not Mailed.UNKNOWN:
            self._doubts = 0
            self._answered = time.monotonic()
        self.observe(self.planned.tally.settled, self.planned.planned)

    def _doubt(self, key: str, error: OutcomeUnknownError) -> None:
        self._settle(key, Mailed.UNKNOWN, text=error.why)
        self._doubts += 1
        if self._doubts >= DOUBTS_IN_A_ROW and self.problem is None:
            self._stop_with(
                UnavailableError(
                    f"{self._doubts} mails in a row got no usable answer",
                    why=error.why,
                    fix="when the service is well again, the same command goes on with those that are pending",
                    code="outcome-unknown",
                    sent="those that got none may have been sent: they are told as unknown, and not sent again",
                )
            )

    def _reject(self, key: str, error: RejectedError) -> None:
        if error.texts and all(_ABOUT_THE_TEMPLATE.fullmatch(text.strip()) for text in error.texts):
            why = f"{error.why}\nthe list lacks a variable that the template prints, or there is no such template"
            fix = "compare the template's variables with the list's; the same command goes on then"
            sent = "this contact and those after it were not sent to"
            self._give_up(
                key, RefusedError("the template is refused", why=why, fix=fix, code="template-refused", sent=sent)
            )
        else:
            self._settle(key, Mailed.REJECTED, text="; ".join(error.texts) or error.why)

    def _give_up(self, key: str, error: RefusedError) -> None:
        self.record.release(self.planned.mailing, key)
        self._stop_with(error)

    def _is_out_for_good(self, key: str, error: UnavailableError) -> bool:
        """Whether to stop trying a request that did not arrive. The contact then waits for the next run."""
        self.record.release(self.planned.mailing, key)
        lasts = time.monotonic() - self._answered
        if not self.stop.requested and lasts <= self.max_outage:
            return False
        if not self.stop.requested:
            error.fix = "the same command goes on"
            error.sent = f"{self.planned.tally.sent:,} mails are sent and recorded"
            self._stop_with(error)
        return True

    def _stop_with(self, error: SyncEngineError) -> None:
        if self.problem is None:
            self.problem = error
        self.stop.request(error.what)
