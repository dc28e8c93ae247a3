"""How much this server takes, and how fast it is."""

import math
from collections.abc import Callable
from random import Random
from typing import TypeAlias

from syncengine.sandbox.behaviour import Behaviour, RetryAfter
from syncengine.sandbox.telling import Reply, page
from syncengine.sandbox.watch import Window

#: A time of the sandbox's clock, rounded by math.floor or math.ceil, as an HTTP date.
HttpDate: TypeAlias = Callable[[float, Callable[[float], int]], str]


class Limits:
    """The rate and concurrency limits. A request that was turned away does not count against the rate."""

    def __init__(self) -> None:
        self._admitted = Window()

    def turned_away(self, behaviour: Behaviour, *, in_flight: int, now: float, http_date: HttpDate) -> Reply | None:
        """A 429, or None: then the request is counted. `in_flight` has the request itself in it."""
        wait = 0.0
        if behaviour.concurrency is not None and in_flight > behaviour.concurrency:
            wait = 1.0
        elif behaviour.rate is not None and self._admitted.count(now) + 1 > behaviour.rate:
            wait = self._admitted.seconds_until_below(behaviour.rate, now)
        if not wait:
            if behaviour.rate is not None:
                self._admitted.add(now)
            return None
        return page(429, "429 Too Many Requests", _retry_after(behaviour.retry_after, wait, now, http_date))


def _retry_after(way: RetryAfter, wait: float, now: float, http_date: HttpDate) -> tuple[tuple[str, str], ...]:
    match way:
        case RetryAfter.NONE:
            return ()
        case RetryAfter.SECONDS:
            return (("retry-after", str(math.ceil(wait))),)
        case RetryAfter.DATE:
            return (("retry-after", http_date(now + wait, math.ceil)),)


def latency(behaviour: Behaviour, chance: Random, *, in_flight: int) -> float:
    """Seconds before this request is carried out. Chance is drawn only where there is jitter."""
    seconds = behaviour.latency
    if behaviour.jitter:
        seconds += behaviour.jitter * chance.random()
    if behaviour.knee is not None and in_flight > behaviour.knee:
        seconds += behaviour.knee_seconds * (in_flight - behaviour.knee)
    return seconds
