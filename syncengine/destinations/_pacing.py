"""One paced door: every request of the account waits here, retries and variable calls included.

What is kept
 - never more than `rate` requests in any one-second window, at the server too: a request leaves at the earliest
   one second (and a margin for jitter on the way) after the one `rate` places before it;
 - close to all of the rate is used: `AsyncLimiter(rate/20, 1/20)` spaces requests evenly and lets a late wake-up
   catch up within 50 ms, where `(1, 1/rate)` loses what is late and `(rate, 1)` lets twice the rate through
   (measured: 0.89, 1.01 and 1.98 of the rate at 500/s);
 - a hold (`Retry-After`) stops every sender, also those already waiting: it is looked at after the token.
"""

import math
from typing import Final

import anyio
from aiolimiter import AsyncLimiter

from syncengine.destinations._slots import OwnSlots, Slots

WINDOW_MARGIN: Final = 0.01  #: seconds a window is stretched by, for jitter between here and the server
_SMOOTHING: Final = 20  #: shares of a second in which a late sender may catch up


class Pacer:
    """Spaces requests evenly at `rate` a second. For one event loop; senders wait in the order they came.

    slots   those of all processes that share the account; of this pacer alone where it is left out
    """

    def __init__(self, rate: float, slots: Slots | None = None) -> None:
        burst = max(1.0, rate / _SMOOTHING)
        self._limiter = AsyncLimiter(burst, burst / rate)
        whole, most = max(1, math.floor(rate)), math.ceil(rate)
        # One window but where the rate is no whole number: 2 in 0.8 s make no more than 2.5 a second, 3 no more than 3.
        self._windows = {(whole, whole / rate + (WINDOW_MARGIN if rate >= 1 else 0.0)), (most, 1.0 + WINDOW_MARGIN)}
        self._slots = slots or OwnSlots(most)
        self._turn = anyio.Lock()
        self.holds = 0  #: times the service asked everybody to wait

    async def acquire(self) -> None:
        """Return when one request may leave."""
        async with self._turn:  # one waiter at the limiter: a crowd of 1,000 costs it ten times as much
            await self._limiter.acquire()
            while (wait := self._slots.take(self._windows, anyio.current_time())) > 0:  # noqa: ASYNC110  # a clock's
                await anyio.sleep(wait)

    def hold(self, seconds: float) -> None:
        """Let no request leave for `seconds` from now; a longer hold already set stays."""
        self.holds += 1
        now = anyio.current_time()
        self._slots.hold(now + seconds, now)

    @property
    def held_for(self) -> float:
        """Seconds until the hold ends; 0 if there is none."""
        now = anyio.current_time()
        return max(0.0, self._slots.held_until(now) - now)
