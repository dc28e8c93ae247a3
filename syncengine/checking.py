"""`check`: is everything in place? Config, token, source headers, mapping, state; nothing is sent unless asked."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import anyio

from syncengine.bootstrap import Session, Workshop, destination_of, open_session
from syncengine.config.model import Job
from syncengine.errors import SyncEngineError
from syncengine.model import Fatal, NoAnswer


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
    state = session.state(job).current()
    return f"{state.contacts:,} contacts known" if state.generation else "nothing known yet: the first sync sends all"


def _source(session: Session, job: Job) -> str:
    understood = session.understand(job)
    variables = ", ".join(f"{rule.name} <- {rule.column}" for rule in understood.mapping.variables)
    return f"{understood.source.name}: {len(understood.source.columns)} columns; {variables or 'no variables'}"


def _online(workshop: Workshop, job: Job) -> str:
    """Whether the service takes token and list: it is asked to define no variables, which changes nothing."""
    return anyio.run(_ask, workshop, job)


async def _ask(workshop: Workshop, job: Job) -> str:
    from syncengine.dispatch.dispatcher import refused  # noqa: PLC0415  # only --online needs it
    from syncengine.errors import UnavailableError  # noqa: PLC0415

    destination = destination_of(workshop, job)
    try:
        answer = await destination.create_variables([])
    finally:
        await destination.aclose()
    match answer:
        case Fatal(code, text):
            raise refused(code, text)
        case NoAnswer(reason):
            raise UnavailableError(
                f"{workshop.loaded.config.account.url} gives no usable answer",
                why=reason,
                fix="check `url` of [account], and the network",
                sent="one request without contacts was sent",
            )
        case _:
            return "takes the token and knows the list"
