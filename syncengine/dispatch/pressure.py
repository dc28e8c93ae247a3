"""How many requests are in flight: as many as the service bears, found out while running.

Each answered request adds to the limit: half as much again every round trip until the first sign of overload, one a
round trip afterwards; a sign of overload cuts it to 70 %, once for all requests that were in flight then.

Where overload came as soon as the limit got there, that is one too many (the knee). The limit stays just below it and
tries it again after 1 s, 2 s, 4 s and so on, or not before 10 s where a try costs many refusals. Measured against a
service that bears 20 at a time: 0.1 to 0.9 % of the requests of the first 30 s are refused; without a memory of the
knee 14 %, for ever. Overload at a limit that was borne for several round trips has another cause, and makes it no knee.
"""

import math
from collections import deque
from typing import Final

import anyio

GROWTH: Final = 0.5  #: share by which the limit grows each round trip at first; doubling costs twice the refusals
FIRST_SHARE: Final = 8
"""The limit begins with an eighth of the ceiling: whoever allows 64 expects the service to bear many, and from
2 it takes a second at 100 ms to get there."""
CUT: Final = 0.7
FIRST_PATIENCE: Final = 1.0  #: seconds until the knee is tried again
PATIENCE: Final = 10.0  #: the least, where many were refused
MANY: Final = 0.25  #: share of the limit
MOST_PATIENCE: Final = 60.0
BORNE: Final = 3  #: round trips at a limit after which it counts as borne


class Pressure:
    """A limit on requests in flight that adapts between 1 and `ceiling`."""

    def __init__(self, ceiling: int, *, start: int | None = None) -> None:
        self._ceiling = max(1, ceiling)
        first = max(2, self._ceiling // FIRST_SHARE) if start is None else start
        self._limit = float(min(first, self._ceiling))
        self._in_flight = 0
        self._waiting: deque[anyio.Event] = deque()
        self._starting = True
        self._last_cut = -math.inf
        self._knee = math.inf
        self._found = False  #: whether the last overload told where the knee is
        self._others = 0  #: requests that met the same overload
        self._patience = FIRST_PATIENCE
        self._try_at = -math.inf  #: loop time from which the knee may be tried
        #: limits, and since when
        self._reached: deque[tuple[float, int]] = deque([(-math.inf, self.limit)], maxlen=512)
        self._answers = 0  #: at this limit

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        return self._in_flight

    # Not anyio's CapacityLimiter: that takes a turn of the event loop where nobody has to wait, too.
    async def __aenter__(self) -> None:
        if not self._waiting and self._in_flight < self.limit:
            self._in_flight += 1
            return
        turn = anyio.Event()
        self._waiting.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():  # given up when the turn had come
                self._leave()
            else:
                self._waiting.remove(turn)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self._in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._in_flight < self.limit:
            self._in_flight += 1
            self._waiting.popleft().set()

    def relieved(self) -> None:
        """A request was answered."""
        self._answers += 1
        grown = self._limit + (GROWTH if self._starting else 1.0 / self._limit)
        if grown >= self._knee + 1:  # a round trip at the knee went well: it is none any more
            self._knee, self._patience = math.inf, FIRST_PATIENCE
        elif grown >= self._knee and anyio.current_time() < self._try_at:
            grown = math.nextafter(self._knee, 0.0)
        self._set(grown)

    def overloaded(self, sent_at: float) -> None:
        """A request that left at `sent_at` (loop time) met overload."""
        tried = next((limit for since, limit in reversed(self._reached) if since <= sent_at), self.limit)
        if sent_at < self._last_cut:  # it was under way when the limit was cut: the same overload
            self._others += 1
            if self._others >= MANY * self._knee:
                self._wait(max(self._patience, PATIENCE))
            if self._found:
                self._knee = max(2.0, min(self._knee, tried))
            return
        self._last_cut = anyio.current_time()
        self._others = 0
        self._found = tried < self.limit or self._answers < BORNE * self.limit
        if self._found:
            self._wait(2 * self._patience if tried >= self._knee else FIRST_PATIENCE)
            self._knee = max(2.0, tried)
        self._starting = False
        self._set(min(tried, self._limit) * CUT)

    def _wait(self, patience: float) -> None:
        """Leave the knee alone for so long."""
        self._patience = min(patience, MOST_PATIENCE)
        self._try_at = self._last_cut + self._patience

    def _set(self, limit: float) -> None:
        before = self.limit
        self._limit = min(float(self._ceiling), max(1.0, limit))
        if self.limit != before:
            self._reached.append((anyio.current_time(), self.limit))
            self._answers = 0
            self._admit()
