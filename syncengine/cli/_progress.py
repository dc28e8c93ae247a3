"""How far a run has come: a live block on a terminal, a heartbeat line each 10 % or 30 s elsewhere. On stderr."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from syncengine.cli._render import is_terminal, say
from syncengine.events import (
    BatchSettled,
    CircuitClosed,
    CircuitOpened,
    Corrected,
    Event,
    NotReached,
    PeopleLeft,
    RequestAnswered,
    RetryPlanned,
    RunBegan,
    VariablesCreated,
    WaitingForLateRequests,
    WaveBegan,
)

if TYPE_CHECKING:
    from rich.progress import TaskID

HEARTBEAT_SECONDS = 30.0
HEARTBEAT_SHARE = 0.1
LONG_WAIT = 20.0  #: seconds; our own waits are shorter


class Progress(Protocol):
    """Shows events as they come."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None: ...


def progress() -> Progress:
    """The one that fits where stderr goes."""
    return LiveProgress() if is_terminal(sys.stderr) else Heartbeat()


def notice(event: Event) -> str | None:
    """A line about what a person should know of while it happens; None for what only moves the bars."""
    match event:
        case VariablesCreated(names):
            return f"variables created: {', '.join(names)}"
        case WaitingForLateRequests(op, contacts, seconds):
            return (
                f"{op.value}: {contacts:,} contacts wait {seconds:.0f} s, since an older request about them "
                "got no answer and may still be carried out"
            )
        case PeopleLeft(people):
            return f"{people:,} left the list just now: they are not sent as subscribed any more"
        case Corrected(people, failed):
            told = f"{people:,} of them had been sent as subscribed, and are unsubscribed again"
            return f"{told}; {failed:,} could not be, which the next run tries again" if failed else told
        case NotReached(problem, patience):  # said at once: who watches may know that the address is wrong
            return f"the service can't be reached ({problem}): trying again for {patience:.0f} s"
        case CircuitOpened(problem):
            return f"the service does not answer ({problem}): trying with one request at a time"
        case CircuitClosed(outage):
            return f"the service answers again, after {outage:.0f} s"
        case _:
            return None


class Heartbeat:
    """A line now and then, for logs and pipes."""

    def __init__(self, write: Callable[[str], None] = say, clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._contacts = self._done = 0
        self._last_share = 0.0
        self._last_time = clock()
        self._quiet_until = clock()
        self._refused = 0
        self._problem = ""

    def __call__(self, event: Event) -> None:
        match event:
            case RunBegan(run, job, contacts, done):
                self._contacts, self._done = contacts, done
                self._last_share = done / contacts if contacts else 0.0
                began = "goes on" if done else "begins"
                if contacts:
                    self._write(f"{job}: run {run[:13]} {began}, {contacts - done:,} contacts to send")
            case BatchSettled(_, _, size, confirmed):
                self._done += size
                self._refused += size - confirmed
                self._problem = ""
                self._beat()
            case RetryPlanned():
                self._problem = f" · {event.problem}"
                if event.after > LONG_WAIT and self._clock() >= self._quiet_until:  # one of many senders tells it
                    self._quiet_until = self._clock() + event.after
                    self._write(f"{event.problem}: the service asks to wait {event.after:.0f} s")
                self._beat()
            case _:
                if (line := notice(event)) is not None:
                    self._write(line)

    def _beat(self) -> None:
        share = self._done / self._contacts if self._contacts else 1.0
        now = self._clock()
        due = share - self._last_share >= HEARTBEAT_SHARE or (share == 1.0 and self._last_share < 1.0)
        if due or now - self._last_time >= HEARTBEAT_SECONDS:
            self._last_share, self._last_time = share, now
            counts = f"{self._done:,}/{self._contacts:,} ({share:.0%}) · {self._refused:,} not confirmed"
            self._write(f"{counts}{self._problem}")

    def close(self) -> None:
        """Nothing is left open."""


class LiveProgress:
    """A bar for each wave, and a line about the requests."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  # only where it is shown
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.progress import Progress as Bars  # noqa: PLC0415

        self._bars = Bars(
            TextColumn("  {task.description:<12}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", style="dim"),
            console=Console(stderr=True, markup=False, highlight=False, emoji=False),
        )
        self._wave: TaskID | None = None
        self._requests = self._retries = self._refused = 0
        self._began = time.monotonic()

    def __call__(self, event: Event) -> None:
        match event:
            case RunBegan(run, job, _, done):
                self._began = time.monotonic()
                self._bars.start()
                again = "goes on" if done else "begins"
                self._bars.console.print(f"{job}: run {run[:13]} {again} · Ctrl-C stops safely")
            case WaveBegan(op, contacts, done):
                self._wave = self._bars.add_task(op.value, total=contacts, completed=done, note="")
            case BatchSettled(_, _, size, confirmed) if self._wave is not None:
                self._refused += size - confirmed
                self._bars.update(self._wave, advance=size, note=self._note())
            case RequestAnswered():
                self._requests += 1
            case RetryPlanned():
                self._retries += 1
                if self._wave is not None:
                    self._bars.update(self._wave, note=self._note())
            case _:
                if (line := notice(event)) is not None:
                    self._bars.console.print(f"  {line}")

    def _note(self) -> str:
        speed = self._requests / max(0.001, time.monotonic() - self._began)
        return f"{speed:.1f} requests/s · {self._retries} retries · {self._refused} not confirmed"

    def close(self) -> None:
        self._bars.stop()
