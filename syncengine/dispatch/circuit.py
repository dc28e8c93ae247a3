"""An outage is met by one request at a time: the circuit opens, one sender probes, the others wait.

When a probe is answered all go on, so that a run ends by itself once the service is back. An outage longer than
`max_outage` ends the run instead, with everything recorded. A service that was never reached in a run gets
`FIRST_CONNECTION` seconds only: a wrong address, or no network, is a thing a person mends, and wants to hear of now.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio

from syncengine.dispatch.retry import Backoff, RetryBudget
from syncengine.errors import UnavailableError
from syncengine.events import CircuitClosed, CircuitOpened, NotReached, Observe
from syncengine.model import NoAnswer

PROBE_BACKOFF = Backoff(base=1.0, cap=60.0)
FIRST_CONNECTION = 20.0  #: seconds within which a run's first connection has to come about


class Circuit:
    """Shared by all senders of a run. `sleep` may return early, when nobody wants to wait any longer."""

    def __init__(
        self,
        *,
        max_outage: float,
        observe: Observe,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        budget: RetryBudget | None = None,
        service: str = "the service",
    ) -> None:
        self._budget = budget or RetryBudget()
        self._max_outage = max_outage
        self._observe = observe
        self._sleep = sleep
        self._service = service
        self._reached = False  # whether a connection ever came about
        self._open = False
        self._probing = anyio.Lock()
        self._failing_since: float | None = None
        self._probes = 0
        self.successes = 0

    @property
    def is_open(self) -> bool:
        return self._open

    def _is_closed(self) -> bool:
        return not self._open

    @contextlib.asynccontextmanager
    async def turn(self, jitter: float) -> AsyncIterator[None]:
        """Hold this around a request. While the circuit is open it lets one sender through at a time, after a wait."""
        while self.is_open:
            async with self._probing:
                if self._is_closed():  # while we queued
                    break
                self._probes += 1
                await self._sleep(PROBE_BACKOFF.wait(self._probes, 0.5 + jitter / 2))
                yield
                return
        yield

    def succeeded(self) -> None:
        """A request got a usable answer."""
        self.successes += 1
        self._reached = True
        self._budget.earn()
        self._probes = 0
        if self.is_open:
            self._observe(CircuitClosed(anyio.current_time() - (self._failing_since or anyio.current_time())))
            self._budget.refill_half()
            self._open = False
        self._failing_since = None

    def failed(self, answer: NoAnswer) -> None:
        """A request got none. Raises UnavailableError if none got any for `max_outage` seconds, or if no connection
        came about in the run's first `FIRST_CONNECTION` seconds.
        """
        now = anyio.current_time()
        self._reached = self._reached or answer.sent
        if self._failing_since is None:
            self._failing_since = now
            if not self._reached:
                self._observe(NotReached(answer.reason, self._patience))
        if not self._budget.spend(answer) and not self.is_open:
            self._open = True
            self._observe(CircuitOpened(answer.reason))
        if now - self._failing_since >= self._patience:
            raise self._given_up(now - self._failing_since, answer.reason)

    @property
    def _patience(self) -> float:
        return self._max_outage if self._reached else min(self._max_outage, FIRST_CONNECTION)

    def _given_up(self, seconds: float, reason: str) -> UnavailableError:
        if not self._reached:
            return UnavailableError(
                f"{self._service} can't be reached",
                why=f"no connection came about in {seconds:.0f} s; the last attempt: {reason}",
                fix="check `url` of [account], and the network (a proxy? a firewall?); "
                "then run the same command again: it goes on where this run stopped",
                code="unreachable",
                sent="",
            )
        return UnavailableError(
            f"{self._service} gives no usable answer",
            why=f"none for {seconds:.0f} s; the last attempt: {reason}",
            fix="run the same command again later: it goes on where this run stopped",
            sent="",
        )
