"""What a run is made of, and how it ends."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import anyio

from syncengine.dispatch.dispatcher import Stop
from syncengine.errors import SyncEngineError
from syncengine.events import Observe, ignore
from syncengine.ports import Destination, Journal, StateStore
from syncengine.prepare import (
    JobTerms,
    Prepared,
    Understood,
)
from syncengine.report import Report
from syncengine.uptake import Listening

T = TypeVar("T")


class Bound(Protocol):
    """A limit: a share or a count."""

    def allows(self, number: int, total: int) -> bool: ...


class RunStop(Stop, Protocol):
    """How a run is asked to stop, and when it is stopped."""

    @property
    def hard(self) -> anyio.CancelScope:
        """Cancelled when what is in flight need not be waited for any longer."""
        ...

    def pulse(self) -> None:
        """Raises InterruptedRunError if work that has sent nothing need not go on."""
        ...


class InThread(Protocol):
    """Runs blocking work off the event loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard the service may be worked."""

    concurrency: int = 8
    max_outage: float = 900.0  #: seconds
    max_requests: int | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is made of. `approve` is asked with the frozen plan before anything is sent."""

    job: JobTerms
    fail_on: Bound
    understand: Callable[[], Understood]
    state: StateStore
    journal: Journal
    destination: Destination
    runs: Path
    pace: Pace
    stop: RunStop
    in_thread: InThread
    now: Callable[[], datetime]
    new_run: Callable[[], str]
    approve: Callable[[Prepared], bool]
    observe: Observe = ignore
    chance: random.Random = field(default_factory=random.Random)
    listening: Listening | None = None  #: None: nobody tells who left
    service: str = "the service"  #: what messages call it


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: the report, and the error to tell where there is one."""

    report: Report
    problem: SyncEngineError | None = None
