"""`mail trigger`: a template for one contact or a whole file, paced, resumable, and never twice to one contact."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio
import polars as pl

from syncengine.bootstrap import Session
from syncengine.client.smartsender import SmartSender
from syncengine.durable import make_private_folder
from syncengine.errors import InterruptedRunError, RefusedError, SyncEngineError, UnavailableError
from syncengine.mailing.order import Planned, record_of, report
from syncengine.mailing.postman import Postman
from syncengine.mailing.record import Mailing, MailRecord
from syncengine.result_files import write_rows
from syncengine.stopping import StopSwitch, stopped_by_signals

_RESULTS: Final = ("key", "email", "outcome", "message_id", "text", "at")


@dataclass(slots=True)
class Ended:
    """How a mailing ended: `document` as --json prints it."""

    document: dict[str, Any]
    problem: SyncEngineError | None


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
    record = record_of(session, planned.order)
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
    rate = overrides.rate or account.rate
    postman = Postman(planned, service, record, stop, rate, account.max_outage, limit, observe)
    async with service, stopped_by_signals(stop, on_stop=stopping):
        await postman.deliver(min(overrides.concurrency or account.concurrency, max(1, len(planned.waiting))))
    return postman.problem or _interruption(stop, planned)


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
