"""What happens during a run, as values. Listeners turn them into log lines, progress and counters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from syncengine.model import Call, Op, Verdict


@dataclass(frozen=True, slots=True)
class RunBegan:
    """Sending begins, or goes on: `done` of `contacts` were settled before."""

    run: str
    job: str
    contacts: int
    done: int


@dataclass(frozen=True, slots=True)
class VariablesCreated:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaveBegan:
    op: Op
    contacts: int
    done: int


@dataclass(frozen=True, slots=True)
class WaitingForLateRequests:
    """A wave waits: an older request about its contacts got no answer, and may still be carried out."""

    op: Op
    contacts: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PeopleLeft:
    """News came that people left the list while the run was under way."""

    people: int


@dataclass(frozen=True, slots=True)
class Corrected:
    """People who left while they were sent as subscribed were sent as unsubscribed; `failed` were not confirmed."""

    people: int
    failed: int


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """One attempt is over. `seconds` from leaving to the last byte; `problem` is empty for a usable answer."""

    call: Call
    contacts: int
    seconds: float
    problem: str = ""
    status: int | None = None


@dataclass(frozen=True, slots=True)
class RetryPlanned:
    """The same request will be sent again, with the same content."""

    call: Call
    contacts: int
    attempt: int
    after: float  #: seconds
    problem: str


@dataclass(frozen=True, slots=True)
class NotReached:
    """The first attempt of a run found nobody: no connection came about. It is tried again for `patience` seconds."""

    problem: str
    patience: float


@dataclass(frozen=True, slots=True)
class CircuitOpened:
    """Too many failures: one request at a time tries whether the service is back."""

    problem: str


@dataclass(frozen=True, slots=True)
class CircuitClosed:
    outage: float  #: seconds


@dataclass(frozen=True, slots=True)
class BatchSettled:
    """Every contact of a batch is decided and recorded. `verdicts` by position, of those not plainly confirmed."""

    batch: int
    op: Op
    size: int
    confirmed: int
    verdicts: Mapping[int, Verdict]


@dataclass(frozen=True, slots=True)
class ContactRefused:
    """A contact that was not confirmed. `row` None: it has left the source."""

    key: str
    row: int | None
    op: Op
    verdict: Verdict


Event = (
    RunBegan
    | VariablesCreated
    | WaveBegan
    | WaitingForLateRequests
    | PeopleLeft
    | Corrected
    | RequestAnswered
    | RetryPlanned
    | NotReached
    | CircuitOpened
    | CircuitClosed
    | BatchSettled
    | ContactRefused
)
Observe = Callable[[Event], None]


def ignore(event: Event) -> None:
    """An observer that does nothing."""
