"""How a run is asked to stop: at first politely, with what is in flight finished; then at once."""

import contextlib
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

import anyio
from anyio import CancelScope
from anyio.abc import TaskStatus

from syncengine.errors import InterruptedRunError, UnavailableError

GRACE = 25.0  #: seconds for what is in flight; Kubernetes and systemd kill after 30 and 90
LAST_SECONDS = 1.5  #: after the second signal, for whatever does not look up; then the process ends as by `kill -9`


class StopSwitch:
    """Set once; everybody sees it. A `Stop` for the dispatcher, and for whoever works in a thread."""

    def __init__(self) -> None:
        self._requested = anyio.Event()
        self._hard = anyio.CancelScope()
        self.reason = ""
        self.signal_number: int | None = None

    @property
    def requested(self) -> bool:
        return self._requested.is_set()

    @property
    def hard(self) -> CancelScope:
        """Cancelled when waiting any longer is out of the question. To be entered once, around what is in flight."""
        return self._hard

    def request(self, reason: str, signal_number: int | None = None) -> None:
        """Ask everybody to stop, and leave them `GRACE` seconds for what is in flight."""
        if not self.requested:
            self.reason = reason
            self.signal_number = signal_number
            self._hard.deadline = anyio.current_time() + GRACE
            self._requested.set()

    def insist(self) -> None:
        """Do not wait for what is in flight."""
        self._hard.cancel()

    def next_run(self) -> None:
        """Another run begins under the same switch."""
        deadline = self._hard.deadline
        self._hard = anyio.CancelScope(deadline=deadline)

    def pulse(self) -> None:
        """Called now and then by long work that has sent nothing. Raises InterruptedRunError if it need not go on, or
        UnavailableError where it was no signal that said so.
        """
        if not self.requested:
            return
        if self.signal_number is None:
            raise UnavailableError(
                f"stopped while planning: {self.reason}",
                fix="run the same command again, with more time",
                code="budget-spent",
                sent="nothing was sent",
            )
        raise InterruptedRunError(
            f"stopped by {self.reason} while planning", signal_number=self.signal_number, sent="nothing was sent"
        )

    async def sleep(self, seconds: float) -> None:
        """Sleep, or return early when a stop is requested."""
        with anyio.move_on_after(seconds):
            await self._requested.wait()


@contextlib.asynccontextmanager
async def stopped_by_signals(switch: StopSwitch, *, on_stop: Callable[[str], None]) -> AsyncIterator[None]:
    """Within the block the first SIGINT, SIGTERM or SIGHUP asks to stop, the second insists.

    If the block has not ended `LAST_SECONDS` after the second, its process does: a thread that reads a slow disk can't
    be asked anything, and what is recorded is safe at any moment.
    """
    with contextlib.ExitStack() as ending:
        async with anyio.create_task_group() as group:
            await group.start(_watch, switch, on_stop, ending)
            try:
                yield
            finally:
                group.cancel_scope.cancel()


async def _watch(
    switch: StopSwitch,
    on_stop: Callable[[str], None],
    ending: contextlib.ExitStack,
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            if switch.requested:
                ending.callback(_leave_soon(switch.signal_number or number).cancel)
                switch.insist()
            else:
                switch.request(signal.Signals(number).name, int(number))
                on_stop(switch.reason)


def _leave_soon(number: int) -> threading.Timer:
    """The process ends in `LAST_SECONDS`, as the signal would have it, unless this is cancelled before."""
    timer = threading.Timer(LAST_SECONDS, os._exit, (128 + number,))
    timer.daemon = True
    timer.start()
    return timer


async def stop_at(switch: StopSwitch, when: datetime, now: Callable[[], datetime]) -> None:
    """Ask to stop once it is `when`, by the clock on the wall: it is looked at twice a minute, for it may be set."""
    while now() < when:  # noqa: ASYNC110  # nobody signals what a clock says
        await anyio.sleep(min(30.0, max(0.0, (when - now()).total_seconds())))
    switch.request(f"it is {when:%H:%M}")


def next_time(clock: str, now: datetime) -> datetime:
    """The next moment at which it is `clock` ("HH:MM") in the zone of `now`. Raises ValueError for anything else."""
    match = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*", clock)
    if match is None:
        raise ValueError(f'"{clock}" is no time of day such as 06:00')
    hour, minute = int(match[1]), int(match[2])
    if hour > 23 or minute > 59:
        raise ValueError(f'"{clock}" is no time of day such as 06:00')
    when = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return when if when > now else when + timedelta(days=1)
