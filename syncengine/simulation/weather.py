"""What may happen to a request on its way, and how likely it is. All chance comes from the seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random


class Fate(StrEnum):
    """How a request fares. Unheard: the service never gets it; unanswered: it is carried out, and nobody is told."""

    WELL = "well"
    SLOW = "slow"  #: carried out and answered late, perhaps too late
    REFUSED = "refused"  #: no connection: nothing was sent
    NO_CONNECTION = "no-connection"  #: the connection attempt times out: nothing was sent
    RESET_UNHEARD = "reset-unheard"
    RESET_UNANSWERED = "reset-unanswered"
    SILENCE_UNHEARD = "silence-unheard"
    SILENCE_UNANSWERED = "silence-unanswered"
    LATE = "late"  #: the client is cut off, and the request is carried out a while after
    TWICE = "twice"  #: a proxy repeats it
    CUT = "cut"  #: the answer breaks off, and the client is told
    CUT_QUIETLY = "cut-quietly"  #: the answer breaks off and looks complete (no Content-Length)
    DRIP = "drip"  #: the answer comes byte by byte, for longer than anybody waits
    PAGE_UNHEARD = "page-unheard"  #: a maintenance page with status 200
    PAGE_UNANSWERED = "page-unanswered"
    SHAPE_UNHEARD = "shape-unheard"  #: JSON of a wrong shape with status 200
    SHAPE_UNANSWERED = "shape-unanswered"
    THROTTLED = "throttled"  #: 429, with every form of Retry-After
    FAILED_UNHEARD = "failed-unheard"  #: 500, 502, 503, 504
    FAILED_UNANSWERED = "failed-unanswered"


#: Relative weights of what goes wrong, when something does.
_WEIGHTS: Mapping[Fate, int] = {
    Fate.SLOW: 3,
    Fate.REFUSED: 2,
    Fate.NO_CONNECTION: 1,
    Fate.RESET_UNHEARD: 2,
    Fate.RESET_UNANSWERED: 4,
    Fate.SILENCE_UNHEARD: 1,
    Fate.SILENCE_UNANSWERED: 2,
    Fate.LATE: 4,
    Fate.TWICE: 2,
    Fate.CUT: 2,
    Fate.CUT_QUIETLY: 2,
    Fate.DRIP: 1,
    Fate.PAGE_UNHEARD: 1,
    Fate.PAGE_UNANSWERED: 2,
    Fate.SHAPE_UNHEARD: 2,
    Fate.SHAPE_UNANSWERED: 2,
    Fate.THROTTLED: 2,
    Fate.FAILED_UNHEARD: 2,
    Fate.FAILED_UNANSWERED: 3,
}

#: Bodies with status 200 that say nothing about any contact.
SHAPES = (
    b"",
    b"[]",
    b'"ok"',
    b"null",
    b"true",
    b"{}",
    b'{"result":"perhaps"}',
    b'{"result":null,"updated":null}',
    b'{"result":NaN}',
    b'{"result":true',
    b'{"result":true,"result":true}',
    b'{"result":true,"errors":{"contact":1}}',
    b'{"updated":[1,2,3],"result":true,"errors":[7]}',
    b"[" * 5_000,
    b'{"result":' + b"9" * 5_000 + b"}",
    b"\xff\xfe\x00",
    b'{"result":true}{"result":true}',
)

#: Values of Retry-After, the readable and the others; None leaves the header out.
RETRY_AFTER = (
    None,
    "1",
    "7",
    "0",
    "-3",
    "soon",
    "1e9",
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "Thu, 01 Jan 2026 00:01:00 GMT",
)


@dataclass(frozen=True, slots=True)
class Storm:
    """A stretch of time in which every request meets the same."""

    begin: float  #: seconds of the loop
    end: float
    fate: Fate


@dataclass(slots=True)
class Weather:
    """What the network is like. `trouble` is the share of requests that something happens to, until `clears_at`."""

    chance: Random
    trouble: float = 0.0
    latency: float = 0.05  #: seconds on the way there, at most
    clears_at: float = float("inf")
    storms: list[Storm] = field(default_factory=list)
    _fates: tuple[Fate, ...] = tuple(_WEIGHTS)
    _weights: tuple[int, ...] = tuple(_WEIGHTS.values())

    def fate(self, now: float) -> Fate:
        """What happens to a request that leaves now."""
        if now >= self.clears_at:
            return Fate.WELL
        for storm in self.storms:
            if storm.begin <= now < storm.end:
                return storm.fate
        if self.chance.random() >= self.trouble:
            return Fate.WELL
        return self.chance.choices(self._fates, self._weights)[0]

    def delay(self) -> float:
        """Seconds a request is on its way."""
        return self.chance.uniform(0.001, self.latency)

    def brew(self, now: float) -> None:
        """Perhaps a storm within the next minutes."""
        if self.chance.random() < 0.25:
            begin = now + self.chance.uniform(0.0, 10.0)
            fates = (Fate.FAILED_UNHEARD, Fate.REFUSED, Fate.THROTTLED, Fate.PAGE_UNHEARD, Fate.RESET_UNANSWERED)
            self.storms.append(Storm(begin, begin + self.chance.uniform(1.0, 400.0), self.chance.choice(fates)))


def calm(chance: Random) -> Weather:
    """Nothing goes wrong."""
    return Weather(chance)
