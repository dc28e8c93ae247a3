"""A whole run over fakes, in a folder of the caller's."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TypeVar

from syncengine.config.model import Bound
from syncengine.events import Event
from syncengine.guards import Guards
from syncengine.model import Consent, Mode, OnMissing
from syncengine.normalise.mapping import ActiveRule, EmailRule, VariableRule
from syncengine.normalise.mapping import Mapping as RowMapping
from syncengine.ports import Destination, Journal, Source, StateStore
from syncengine.prepare import JobTerms, Understood
from syncengine.stopping import StopSwitch
from syncengine.sync import Ended, InThread, Pace, Parts, sync
from syncengine.uptake import Listening

T = TypeVar("T")

OWN_COLUMNS = ("email", "active", "name")
NO_LIMIT = Bound(share=1.0)


async def inline(work: Callable[[], T]) -> T:
    """Work done on the spot: no threads, so that virtual time stays virtual."""
    return work()


@dataclass(slots=True)
class Trial:
    """What a run over fakes is made of. Columns besides email, active, name and `key` become variables."""

    folder: Path
    destination: Destination
    state: StateStore
    journal: Journal
    mode: Mode = Mode.UPSERT
    consent: Consent = Consent.SOURCE
    on_missing: OnMissing = OnMissing.UNSUBSCRIBE
    key: str | None = None
    guards: Guards = field(default_factory=lambda: Guards(NO_LIMIT, NO_LIMIT, NO_LIMIT))
    fail_on: Bound = field(default_factory=lambda: Bound(count=0))
    pace: Pace = field(default_factory=Pace)
    stop: StopSwitch | None = None
    events: list[Event] = field(default_factory=list)
    variables: tuple[VariableRule, ...] | None = None
    listening: Listening | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    in_thread: InThread = inline
    _runs: "count[int]" = field(default_factory=count)

    def mapping(self, source: Source) -> RowMapping:
        others = [name for name in source.columns if name not in (*OWN_COLUMNS, self.key)]
        return RowMapping(
            EmailRule(("email",)),
            ActiveRule(column="active"),
            name="name" if "name" in source.columns else None,
            key=self.key,
            variables=self.variables or tuple(VariableRule(name, name) for name in others),
        )


async def run_sync(trial: Trial, source: Source, *, fresh: bool = False) -> Ended:
    """One run of `trial` over `source`. Raises what `sync` raises."""
    mapping = trial.mapping(source)
    terms = JobTerms("trial", "memory", trial.mode, trial.consent, trial.on_missing, trial.guards)
    parts = Parts(
        terms,
        trial.fail_on,
        lambda: Understood(source, mapping, f"{mapping.digest()}/{trial.mode}/{trial.consent}", "{}"),
        trial.state,
        trial.journal,
        trial.destination,
        trial.folder / "runs",
        trial.pace,
        trial.stop or StopSwitch(),
        trial.in_thread,
        trial.now,
        lambda: f"run-{next(trial._runs):04}",  # noqa: SLF001  # its own trial
        lambda _: True,
        trial.events.append,
        random.Random(0),  # noqa: S311  # repeatable
        trial.listening,
    )
    return await sync(parts, fresh=fresh)
