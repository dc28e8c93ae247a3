"""Events on their way to disk: what many requests bring at the same time is committed together.

One commit costs an fsync, whatever it holds; while it runs the next one gathers. A request is answered when its own
event is durable, or told that it is not.
"""

import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import anyio

from syncengine.errors import StateError
from syncengine.webhooks.inbox import Arrival, Inbox

DEADLINE: Final = 1.2  #: seconds; v3 hangs up after 1.5
MOST_WAITING: Final = 1024
MOST_AT_ONCE: Final = 256  #: events of one commit, so that none waits for a long one

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


class StoreUnavailableError(Exception):
    """The event is not known to be durable. Whoever sent it should send it again."""


@dataclass(slots=True)
class _Waiting:
    arrival: Arrival
    done: anyio.Event = field(default_factory=anyio.Event)
    problem: str = ""


class Intake:
    """Run `serve` in a task; `keep` from any other. `open_inbox` is called in a thread, and again after a failure."""

    def __init__(self, open_inbox: Callable[[], Inbox], in_thread: InThread, *, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._open = open_inbox
        self._in_thread = in_thread
        self._inbox: Inbox | None = None
        self._waiting: list[_Waiting] = []
        self._work = anyio.Event()
        self._at_disk = threading.Lock()  # one connection, and a commit, a pruning or the end may want it at a time
        self.problem = ""  #: of the last commit, empty where it succeeded

    @property
    def depth(self) -> int:
        """Events that wait for a commit."""
        return len(self._waiting)

    async def keep(self, arrival: Arrival) -> None:
        """Return when the event is durable. Raises StoreUnavailableError, at the latest after `deadline` seconds."""
        if len(self._waiting) >= MOST_WAITING:
            raise StoreUnavailableError("too many events wait for the disk")
        waiting = _Waiting(arrival)
        self._waiting.append(waiting)
        self._work.set()
        with anyio.move_on_after(self._deadline) as patience:
            await waiting.done.wait()
        if patience.cancelled_caught:
            raise StoreUnavailableError(
                f"not on disk within {self._deadline:g} s"
            )  # it may still get there: a copy is harmless
        if waiting.problem:
            raise StoreUnavailableError(waiting.problem)

    async def serve(self) -> None:
        """Commit until cancelled. A commit under way is finished."""
        while True:
            await self._work.wait()
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            if not self._waiting:
                self._work = anyio.Event()
            arrivals = [one.arrival for one in batch]
            with anyio.CancelScope(shield=True):
                self.problem = await self._in_thread(lambda arrivals=arrivals: self._commit(arrivals))  # type: ignore[misc]
            for one in batch:
                one.problem = self.problem
                one.done.set()

    async def prune(self, now: float) -> None:
        """Drop old events that no longer matter. It is tried again later where it fails."""
        with anyio.CancelScope(shield=True):
            self.problem = await self._in_thread(lambda: self._on_disk(lambda inbox: inbox.prune(now)))

    def close(self) -> None:
        """Close the file, after the commit under way; the next one opens it again."""
        with self._at_disk:
            self._drop()

    def _drop(self) -> None:
        if self._inbox is not None:
            self._inbox.close()
            self._inbox = None

    def _commit(self, arrivals: Sequence[Arrival]) -> str:
        return self._on_disk(lambda inbox: inbox.add(arrivals))

    def _on_disk(self, work: Callable[[Inbox], int]) -> str:
        """Do `work`; gives the reason why it failed, or nothing. After a failure nothing of the connection is trusted:
        an fsync that failed once may succeed the next time without having written anything.
        """
        with self._at_disk:
            try:
                if self._inbox is not None and not self._inbox.is_in_place:
                    self._drop()
                if self._inbox is None:
                    self._inbox = self._open()
                work(self._inbox)
            except (sqlite3.Error, OSError, StateError) as error:
                self._drop()
                return f"{type(error).__name__}: {error}"
        return ""
