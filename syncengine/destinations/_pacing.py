"""One paced door: every request of the account waits here, retries and variable calls included.

What is kept
 - never more than `rate` requests in any one-second window, at the server too: a request leaves at the earliest
   one second (and a margin for jitter on the way) after the one `rate` places before it;
 - requests are spaced evenly, and close to all of the rate is used: a bucket of one request and 50 ms lets a late
   wake-up catch up, where `AsyncLimiter(1, 1/rate)` loses what is late and `(rate, 1)` lets twice the rate through
   (measured at 500/s: 1.01, 0.89 and 1.98 of the rate);
 - a pause saves nothing up: what nobody asked for in time is gone, and is not sent in a burst afterwards. At 500/s
   a burst of 25 would come again every second, since the window gives each request its place of a second ago;
 - a hold (`Retry-After`) stops every sender, also those already waiting: it is looked at after the token.
"""

import asyncio
import math
from typing import Final

import anyio
from aiolimiter import AsyncLimiter

from syncengine.destinations._slots import OwnSlots, Slots

WINDOW_MARGIN: Final = 0.01  #: seconds a window is stretched by, for jitter between here and the server
_CATCH_UP: Final = 0.05  #: seconds of lateness that are made good
_NO_PAUSE: Final = 0.01
"""Seconds since the last request within which the next is late, and not after a pause: at 500/s a turn comes each 2 ms,
and the event loop has other things to do meanwhile."""
_BELOW_WINDOW: Final = 0.9998  #: of what the windows let through: else each request would wait for both


def _now() -> float:
    """Loop time. Asked for thrice a request: anyio takes 1.5 µs to find out whose loop it is."""
    return asyncio.get_running_loop().time()


def _tick() -> float:
    """Seconds it is of use to sleep at least. uvloop rounds to milliseconds, and less than half of one is no sleep: a
    limiter that waits for the rest of a turn by timers keeps it busy (measured at 500/s: a fifth of a core).
    """
    return 1e-3 if type(asyncio.get_running_loop()).__module__.startswith("uvloop") else 1e-6


class Pacer:
    """Spaces requests evenly at `rate` a second. For one event loop; senders wait in the order they came.

    slots   those of all processes that share the account; of this pacer alone where it is left out
    """

    def __init__(self, rate: float, slots: Slots | None = None) -> None:
        self._burst = 1.0 + rate * _CATCH_UP
        whole, most = max(1, math.floor(rate)), math.ceil(rate)
        # One window but where the rate is no whole number: 2 in 0.8 s make no more than 2.5 a second, 3 no more than 3.
        self._windows = {(whole, whole / rate + (WINDOW_MARGIN if rate >= 1 else 0.0)), (most, 1.0 + WINDOW_MARGIN)}
        self._gap = max(seconds / size for size, seconds in self._windows) / _BELOW_WINDOW
        self._limiter = AsyncLimiter(self._burst, self._burst * self._gap)
        self._last = -math.inf
        self._due = -math.inf
        self._slots = slots or OwnSlots(most)
        self._turn = anyio.Lock(fast_acquire=True)
        self.holds = 0  #: times the service asked everybody to wait

    async def acquire(self) -> None:
        """Return when one request may leave."""
        asked = _now()
        async with self._turn:  # one waiter at the limiter: a crowd of 1,000 costs it ten times as much
            if asked > self._last + max(self._gap, _NO_PAUSE):
                await self._begin()
            else:
                await self._token()
            while (wait := self._slots.take(self._windows, _now())) > 0:
                held = self.held_for > 0
                await anyio.sleep(max(wait, _tick()))
                if held:
                    await self._begin()
            self._last = _now()

    async def _token(self) -> None:
        """Take a token when there is one; `due` is when there will be the next."""
        while not self._limiter.has_capacity():  # noqa: ASYNC110  # nothing tells but the time
            await anyio.sleep(max(self._due - _now(), _tick()))
        await self._limiter.acquire()
        self._due = max(self._due, _now() - _CATCH_UP) + self._gap

    async def late(self, seconds: float) -> None:
        """A request is ready only `seconds` after its turn came: return when it may leave now.

        It arrives at the service later than those beside it, and would meet more of its followers there than may be
        within one second. So it takes another turn, unless requests are too far apart for that.
        """
        if seconds > WINDOW_MARGIN / 2 and self._gap - seconds < 1.0 + WINDOW_MARGIN:
            await self.acquire()

    async def _begin(self) -> None:
        """Begin a new bucket, and take all of it: the second waits."""
        self._limiter = AsyncLimiter(self._burst, self._burst * self._gap)
        await self._limiter.acquire(self._burst)
        self._due = _now() + self._gap

    def hold(self, seconds: float) -> None:
        """Let no request leave for `seconds` from now; a longer hold already set stays."""
        self.holds += 1
        now = _now()
        self._slots.hold(now + seconds, now)

    @property
    def held_for(self) -> float:
        """Seconds until the hold ends; 0 if there is none."""
        now = _now()
        return max(0.0, self._slots.held_until(now) - now)
