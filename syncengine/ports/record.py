"""What is written down about a run, before and after its requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from syncengine.ports.leaving import Correction, News
from syncengine.settlement import Settled


@dataclass(frozen=True, slots=True)
class Intended:
    """A batch about to be sent. Of one that was intended before and never settled, an attempt may be applied late."""

    batch: int
    at: float  #: Unix seconds


@dataclass(frozen=True, slots=True)
class Released:
    """A batch that was intended, and that a stop kept from being begun: nothing of it left."""

    batch: int


@dataclass(frozen=True, slots=True)
class Done:
    """A batch whose every contact is decided. `in_doubt`: an attempt got no answer and may be applied late."""

    batch: int
    settled: Settled
    at: float  #: Unix seconds
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """People left the list, and must not get mail."""

    news: News


@dataclass(frozen=True, slots=True)
class Owed:
    """These are to be sent as unsubscribed."""

    corrections: tuple[Correction, ...]


@dataclass(frozen=True, slots=True)
class Paid:
    """These were sent as unsubscribed, with what became of each."""

    corrections: tuple[Correction, ...]
    outcomes: tuple[str, ...]
    at: float  #: Unix seconds


Progress = Intended | Released | Done
"""What is written down about a batch: before its first byte, when it is not begun after all, and when every contact of
it is decided."""


Entry = Progress | Heard | Owed | Paid
"""What a run writes down."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as the journal has it. `status`: planned, sending, finished or discarded. Times are ISO 8601, UTC."""

    run: str
    job: str
    list: str
    status: str
    result: str
    started_at: str
    ended_at: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tally:
    """Contacts of some batches by outcome."""

    confirmed: int = 0
    rejected: int = 0
    unresolved: int = 0


class Journal(Protocol):
    """What became of the batches of runs. Durable when a method returns."""

    def begin(self, run: str, job: str, list_id: str, facts: Mapping[str, Any], now: datetime) -> None:
        """A plan is frozen: from here on the run exists, and is unfinished."""
        ...

    def start(self, run: str) -> None:
        """The first request is about to leave."""
        ...

    def record(self, run: str, entries: Sequence[Progress]) -> None:
        """Many entries in one durable step."""
        ...

    def mark(self, run: str, result: str, facts: Mapping[str, Any]) -> None:
        """How a run that stays unfinished stopped."""
        ...

    def finish(self, run: str, result: str, facts: Mapping[str, Any], now: datetime, *, status: str) -> None:
        """A run ends without a change to the state. `status` is finished or discarded."""
        ...

    def note(self, run: str, job: str, list_id: str, result: str, facts: Mapping[str, Any], now: datetime) -> None:
        """A run that sent nothing and leaves nothing, begun and finished in one step."""
        ...

    def unfinished(self, job: str) -> RunRow | None:
        """The run of `job` that was planned or begun and has neither finished nor been discarded."""
        ...

    def last_ended(self) -> datetime | None:
        """When the latest run ended, of any job."""
        ...

    def settled_batches(self, run: str) -> set[int]:
        """Batches that need not be sent again."""
        ...

    def doubtful_batches(self, run: str) -> dict[int, float | None]:
        """Batches of which an attempt may still be applied: batch → Unix time since which none is made; None: open."""
        ...

    def tally(self, run: str, first_batch: int, batches: int) -> Tally:
        """Outcomes of the batches in a range."""
        ...

    def verdicts(self, run: str) -> list[tuple[int, int, str, str, str]]:
        """(batch, position, outcome, code, text) of contacts not plainly confirmed, in plan order."""
        ...
