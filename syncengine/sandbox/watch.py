"""What an onlooker saw: every request, how many at once and in any second, and whether one contact was ever in two."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import NamedTuple

from syncengine.sandbox.contract import Endpoint

#: Requests kept in the log; the older half goes when there are more.
_LOG_KEPT = 200_000

#: Clocks add up in binary: ten steps of 0.1 s may come out a hair below one second. Two requests less than this short
#: of a second apart are not in the same second.
_TOLERANCE = 1e-6


@dataclass(slots=True)
class Request:
    """One request as the log has it. Times are those of the sandbox's clock."""

    number: int  #: from 1
    endpoint: Endpoint
    at: float
    token: str  #: fingerprint; "" without a token
    list_id: str = ""
    size: int = 0  #: contacts, or variables; 0 when nobody looked
    status: int | None = None  #: None: there was no answer
    errors: int = 0  #: texts of fault in the answer
    applied: int = 0  #: how often it was carried out
    faults: list[str] = field(default_factory=list)  #: what the script did to it
    until: float | None = None  #: when the answer was complete or the client gone; None: still in flight

    def as_json(self) -> dict[str, object]:
        return asdict(self)


class Overlap(NamedTuple):
    """Two requests that had one contact, in flight at the same time."""

    first: int
    second: int
    address: str


class Window:
    """Events in the last second, that second being open at its older end."""

    def __init__(self) -> None:
        self.times: deque[float] = deque()
        self.peak = 0

    def count(self, now: float) -> int:
        while self.times and now - self.times[0] >= 1 - _TOLERANCE:
            self.times.popleft()
        return len(self.times)

    def add(self, now: float) -> None:
        self.times.append(now)
        self.peak = max(self.peak, self.count(now))

    def seconds_until_below(self, limit: float, now: float) -> float:
        """How long until fewer than `limit` events are in the last second, if none comes."""
        excess = self.count(now) - int(limit)
        return 0.0 if excess < 0 else self.times[excess] + 1 - now


class Watch:
    """One sandbox's onlooker. In flight means: from the head of a request to the end of its answer, or until the client
    left; a request that is carried out later is then no longer in flight.
    """

    def __init__(self) -> None:
        self.log: list[Request] = []
        self.requests = 0
        self.by_endpoint: Counter[Endpoint] = Counter()
        self.in_flight = 0
        self.peak_in_flight = 0
        self.arrivals = Window()
        self.overlaps: list[Overlap] = []
        self._carried: dict[int, tuple[str, set[str]]] = {}
        self._all_carried: dict[str, set[str]] = {}

    def arrive(self, endpoint: Endpoint, token: str, now: float) -> Request:
        self.requests += 1
        self.by_endpoint[endpoint] += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        self.arrivals.add(now)
        request = Request(self.requests, endpoint, now, token)
        self.log.append(request)
        if len(self.log) > _LOG_KEPT:
            del self.log[: _LOG_KEPT // 2]
        return request

    def carry(self, request: Request, addresses: Iterable[str]) -> None:
        """Notes which contacts of its list are in the request. `addresses` are keys."""
        carried = set(addresses)
        in_list = self._all_carried.setdefault(request.list_id, set())
        if not in_list.isdisjoint(carried):
            for number, (list_id, others) in self._carried.items():
                if list_id == request.list_id:
                    self.overlaps += (Overlap(number, request.number, address) for address in sorted(carried & others))
        self._carried[request.number] = (request.list_id, carried)
        in_list |= carried

    def depart(self, request: Request, now: float) -> None:
        self.in_flight -= 1
        request.until = now
        carried = self._carried.pop(request.number, None)
        if carried is None:
            return
        list_id, addresses = carried
        if self.overlaps:  # another one may have the same contact, still
            addresses = addresses.difference(*(others for other, others in self._carried.values() if other == list_id))
        in_list = self._all_carried.get(list_id)
        if in_list is not None:  # gone with the last contact in flight, while a request without contacts still was
            in_list -= addresses
            if not in_list:
                del self._all_carried[list_id]

    def stats(self) -> dict[str, object]:
        """Totals, in JSON values."""
        return {
            "requests": self.requests,
            "by_endpoint": dict(self.by_endpoint),
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "peak_per_second": self.arrivals.peak,
            "overlaps": len(self.overlaps),
        }


def fingerprint(token: str) -> str:
    """Enough to tell tokens apart, not enough to use one."""
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()[:8] if token else ""
