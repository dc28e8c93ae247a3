"""Jobs carried out one after the other: those with nothing to do at once, the others with all it takes."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from syncengine.bootstrap.gate import Gate
from syncengine.bootstrap.holding import held_state
from syncengine.bootstrap.screen import JobEnd, Screen
from syncengine.bootstrap.workshop import Workshop, refuse_no_list
from syncengine.config.model import Job
from syncengine.errors import ConfigError


def sync_jobs(
    workshop: Workshop,
    jobs: Sequence[Job],
    screen: Screen,
    *,
    wait_lock: float = 0.0,
    fresh: bool = False,
    given: Path | None = None,
) -> list[JobEnd]:
    """Run jobs one after the other. Raises LockError and StateError; what ends a single job is in its `JobEnd`.

    fresh   drop the plans of unfinished runs first
    given   carry out exactly the plan in this folder
    """
    workshop.token()  # a missing token is told before anything else is done
    refuse_no_list(jobs, workshop.loaded.path.name)
    until = _moment(workshop.overrides.until)
    with held_state(workshop.state_folder, wait_lock=wait_lock) as connection:
        ends: list[JobEnd] = []
        over = False
        if given is None:
            ends, over = Gate(workshop, connection).end_unchanged(jobs, screen, until=until)
        rest = jobs[len(ends) :]
        if over or not rest:
            return ends
        from syncengine.bootstrap.running import run_jobs  # noqa: PLC0415  # polars and httpx
        from syncengine.bootstrap.session import Session  # noqa: PLC0415

        return ends + run_jobs(Session(workshop, connection), rest, screen, until=until, fresh=fresh, given=given)


def _moment(until: str | None) -> datetime | None:
    """The next time it is `until` ("HH:MM"). Raises ConfigError for no time of day."""
    if until is None:
        return None
    from syncengine.stopping import next_time  # noqa: PLC0415  # anyio

    try:
        return next_time(until, datetime.now().astimezone())
    except ValueError as error:
        raise ConfigError(str(error), fix="--until 06:00", code="until") from error
