"""How many events a second are taken, and whether so many people leave at once that somebody should look. Pure."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

BURST_SECONDS: Final = 60.0  #: how long twice the sustained rate is borne after a quiet time

ALARM_SECONDS: Final = 600.0
ALARM_SHARE: Final = 0.05  #: of the contacts of a list
ALARM_LEAST: Final = 10  #: people; below this a share means nothing


@dataclass(slots=True)
class Bucket:
    """A token bucket: `rate` a second sustained, and `BURST_SECONDS` of it at once after a quiet time."""

    rate: float
    _level: float = field(init=False)
    _at: float | None = None

    def __post_init__(self) -> None:
        self._level = self.most

    @property
    def most(self) -> float:
        return max(1.0, self.rate * BURST_SECONDS)

    def take(self, now: float) -> bool:
        """Whether one more is within the rate at `now` (seconds of a clock that does not go back)."""
        if self._at is not None:
            self._level = min(self.most, self._level + (now - self._at) * self.rate)
        self._at = now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


class Exodus:
    """Who left a list within `ALARM_SECONDS`. Events are told in the order they came."""

    def __init__(self) -> None:
        self._leavers: deque[tuple[float, str]] = deque()
        self._times: dict[str, int] = {}

    def left(self, who: str, now: float) -> None:
        """A person left at `now` (Unix seconds)."""
        self._leavers.append((now, who))
        self._times[who] = self._times.get(who, 0) + 1
        self.people(now)

    def people(self, now: float) -> int:
        """How many left within the window that ends now."""
        while self._leavers and self._leavers[0][0] <= now - ALARM_SECONDS:
            _, who = self._leavers.popleft()
            self._times[who] -= 1
            if not self._times[who]:
                del self._times[who]
        return len(self._times)


def is_alarming(people: int, contacts: int) -> bool:
    """Whether so many leaving a list of so many within `ALARM_SECONDS` is no everyday matter."""
    return people >= ALARM_LEAST and people > ALARM_SHARE * contacts
