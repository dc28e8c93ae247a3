"""How many requests are in flight: as many as the service bears, found out while running (AIMD).

Each answered request adds to the limit, doubling it every round trip until the first sign of overload and by one a
round trip afterwards; a sign of overload cuts it to 70 %, once for all requests that were in flight then.
"""

import anyio


class Pressure:
    """A limit on requests in flight that adapts between 1 and `ceiling`."""

    def __init__(self, ceiling: int, *, start: int = 2) -> None:
        self._ceiling = max(1, ceiling)
        self._limit = float(min(start, self._ceiling))
        self._limiter = anyio.CapacityLimiter(int(self._limit))
        self._starting = True
        self._last_cut = float("-inf")

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        return int(self._limiter.borrowed_tokens)

    async def __aenter__(self) -> None:
        await self._limiter.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._limiter.release()

    def relieved(self) -> None:
        """A request was answered."""
        self._set(self._limit + (1.0 if self._starting else 1.0 / self._limit))

    def overloaded(self, sent_at: float) -> None:
        """A request that left at `sent_at` (loop time) met overload."""
        if sent_at < self._last_cut:
            return  # it was under way when the limit was cut: the same overload
        self._starting = False
        self._last_cut = anyio.current_time()
        self._set(self._limit * 0.7)

    def _set(self, limit: float) -> None:
        self._limit = min(float(self._ceiling), max(1.0, limit))
        self._limiter.total_tokens = int(self._limit)
