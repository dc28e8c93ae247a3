"""One writer for the journal (and the record of mails): what many senders report is committed together, and each waits
for its own part.

Group commit: with 16 senders one durable transaction carries up to 16 reports, and none counts before it is on disk.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

import anyio

TOGETHER: Final = 0.002
"""Seconds from one commit to the next, at least. A commit takes 0.2 ms of CPU whatever is in it; with a server that
answers at once, and a disk that is quick, each report would have one of its own."""

E = TypeVar("E")
InThread = Callable[[Callable[[], None]], Awaitable[None]]


class Recorder(Generic[E]):
    """Run `serve` in a task; `record` from any other. What is handed over is committed in the order it came."""

    def __init__(self, record: Callable[[Sequence[E]], None], in_thread: InThread) -> None:
        self._record = record
        self._in_thread = in_thread
        self._waiting: list[tuple[Sequence[E], anyio.Event]] = []
        self._work = anyio.Event()

    async def record(self, entries: Sequence[E]) -> None:
        """Return when all `entries` are durable."""
        done = anyio.Event()
        self._waiting.append((entries, done))
        self._work.set()
        await done.wait()

    async def serve(self) -> None:
        """Commit until cancelled. A write under way is finished: half a commit would be a lie."""
        began = -math.inf
        while True:
            await self._work.wait()
            if (early := began + TOGETHER - anyio.current_time()) > 0:
                await anyio.sleep(early)
            began = anyio.current_time()
            self._work = anyio.Event()
            batch, self._waiting = self._waiting, []
            entries = [entry for group, _ in batch for entry in group]
            with anyio.CancelScope(shield=True):
                await self._in_thread(lambda entries=entries: self._record(entries))  # type: ignore[misc]
            for _, done in batch:
                done.set()
