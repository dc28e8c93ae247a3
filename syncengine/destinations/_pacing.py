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
from collections import deque
from typing import Final

import anyio
from aiolimiter import AsyncLimiter

WINDOW_MARGIN: Final = 0.01  #: seconds a window is stretched by, for jitter between here and the server
_SMOOTHING: Final = 20  #: shares of a second in which a late sender may catch up


class Pacer:
    """Spaces requests evenly at `rate` a second. For one event loop; senders wait in the order they came."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        burst = max(1.0, rate / _SMOOTHING)
        self._limiter = AsyncLimiter(burst, burst / rate)
        whole, most = max(1, math.floor(rate)), math.ceil(rate)
        # One window but where the rate is no whole number: 2 in 0.8 s make no more than 2.5 a second, 3 no more than 3.
        self._windows = {(whole, whole / rate + (WINDOW_MARGIN if rate >= 1 else 0.0)), (most, 1.0 + WINDOW_MARGIN)}
        self._sent: deque[float] = deque(maxlen=most)
        self._turn = anyio.Lock()
        self._held_until = -math.inf
        self.holds = 0  #: times the service asked everybody to wait

    async def acquire(self) -> None:
        """Return when one request may leave."""
        async with self._turn:  # one waiter at the limiter: a crowd of 1,000 costs it ten times as much
            while True:
                await self._limiter.acquire()
                wait = max(self._held_until, self._earliest()) - anyio.current_time()
                if wait <= 0:
                    break
                await anyio.sleep(wait)
                if anyio.current_time() >= self._held_until:
                    break  # the window alone made us wait: the token is still good
            self._sent.append(anyio.current_time())

    def _earliest(self) -> float:
        ends = [self._sent[-size] + seconds for size, seconds in self._windows if len(self._sent) >= size]
        return max(ends, default=-math.inf)

    def hold(self, seconds: float) -> None:
        """Let no request leave for `seconds` from now; a longer hold already set stays."""
        self.holds += 1
        self._held_until = max(self._held_until, anyio.current_time() + seconds)

    @property
    def held_for(self) -> float:
        """Seconds until the hold ends; 0 if there is none."""
        return max(0.0, self._held_until - anyio.current_time())
