"""`check`: is everything in place? Config, token, source headers, mapping, state; nothing is sent unless asked."""

import functools
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import anyio
import polars as pl

from syncengine.bootstrap import Session, Workshop, destination_of, open_session, refuse_no_list
from syncengine.config.model import Job
from syncengine.errors import SyncEngineError
from syncengine.frames import EMAIL
from syncengine.model import Call, Fatal, NoAnswer, Op
from syncengine.ports import Batch
from syncengine.settlement import Ask


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `problem` None: it is in order."""

    subject: str
    told: str
    problem: SyncEngineError | None = None


def check(workshop: Workshop, jobs: list[Job], *, online: bool) -> list[Finding]:
    """Look at everything a sync needs. Each finding stands for itself: one problem does not hide the next."""
    findings = [Finding("config", str(workshop.loaded.path)), _looked("token", lambda: _token(workshop))]
    try:
        with open_session(workshop, doing="check") as session:
            findings.append(Finding("state", str(workshop.state_folder)))
            for job in jobs:
                findings += _job(session, job)
    except SyncEngineError as problem:
        findings.append(Finding("state", str(workshop.state_folder), problem))
    if online:
        findings += [_looked(f"service, list {job.list_id}", functools.partial(_online, workshop, job)) for job in jobs]
    return findings


def _looked(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, look())
    except SyncEngineError as problem:
        return Finding(subject, "", problem)


def _token(workshop: Workshop) -> str:
    workshop.token()
    return "has the shape of one (it is not shown)"


def _job(session: Session, job: Job) -> Iterator[Finding]:
    yield _looked(f"{job.name}: list", lambda: _list(session, job))
    yield _looked(f"{job.name}: source", lambda: _source(session, job))


def _list(session: Session, job: Job) -> str:
    refuse_no_list([job], session.workshop.loaded.path.name)
    state = session.state(job).current()
    return f"{state.contacts:,} contacts known" if state.generation else "nothing known yet: the first sync sends all"


def _source(session: Session, job: Job) -> str:
    understood = session.understand(job)
    variables = ", ".join(f"{rule.name} <- {rule.column}" for rule in understood.mapping.variables)
    return f"{understood.source.name}: {len(understood.source.columns)} columns; {variables or 'no variables'}"


def _online(workshop: Workshop, job: Job) -> str:
    """Whether the service takes token and list: it is asked to remove an address nobody has, which changes nothing."""
    return anyio.run(_ask, workshop, job)


async def _ask(workshop: Workshop, job: Job) -> str:
    from syncengine.dispatch.telling import refused  # noqa: PLC0415  # only --online needs it
    from syncengine.errors import UnavailableError  # noqa: PLC0415

    destination = destination_of(workshop, job)
    try:
        answer = await destination.submit(_of_nobody(), Ask(Call.REMOVE, (0,)))
    finally:
        await destination.aclose()
    match answer:
        case Fatal(code, text):
            problem = refused(code, text)
            problem.sent = "one request was sent; it changes nothing"
            raise problem
        case NoAnswer(reason, sent=sent):
            found = "gives no usable answer" if sent else "can't be reached"
            raise UnavailableError(
                f"{workshop.loaded.config.account.url} {found}",
                why=reason,
                fix="check `url` of [account], and the network",
                sent="one request was sent; it changes nothing" if sent else "nothing was sent",
            )
        case _:
            return "takes the token and knows the list"


def _of_nobody() -> Batch:
    """An address no list can have. Requests without any contact are refused before the list's id is looked at."""
    nobody = f"nobody-{secrets.token_hex(8)}@example.com"
    return Batch(0, Op.REMOVE, False, pl.DataFrame({EMAIL: [nobody]}), Call.REMOVE, json.dumps(nobody).encode())
