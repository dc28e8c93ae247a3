"""Webhooks, as the page describes them: a POST of JSON for each event, to one address, unsigned.

The page promises nothing about them, so everything may be asked for: copies, losses, delays, another order. What is
posted is posted by a thread: whoever acts does not wait for whoever listens, and both may be the same process.
"""

import heapq
import http.client
import itertools
import json
import queue
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

HOLD_SECONDS: Final = 1.5  #: what v3 waits for an answer
AGAIN_SECONDS: Final = 1.0  #: before another attempt; v3 takes 100 s
LATE_SECONDS: Final = 0.5  #: how long an event that is to be overtaken waits for others
_DELIVERIES_KEPT: Final = 1_000

_SHARES: Final = ("duplicate", "drop", "reorder")


@dataclass(frozen=True, slots=True)
class Hooks:
    """Where events are posted, and how badly. An empty `url`: nowhere. The shares are of all events, 0 to 1."""

    url: str = ""
    duplicate: float = 0.0  #: sent twice
    drop: float = 0.0  #: never sent
    reorder: float = 0.0  #: overtaken by those behind it
    delay: float = 0.0  #: seconds before each
    attempts: int = 1  #: as long as the answer is not 200 within `HOLD_SECONDS`

    def changed(self, settings: Mapping[str, object]) -> "Hooks":
        """With some settings otherwise. Raises ValueError for a setting there is not, or a value that cannot be."""
        known = asdict(self)
        unknown = settings.keys() - known.keys()
        if unknown:
            raise ValueError(f"webhooks have {', '.join(known)}; not {min(unknown)!r}")
        values: dict[str, Any] = {name: _value(name, value) for name, value in settings.items()}
        hooks = replace(self, **values)
        if hooks.url and (urlsplit(hooks.url).scheme not in {"http", "https"} or not urlsplit(hooks.url).hostname):
            raise ValueError(f"url is an address such as http://127.0.0.1:8788/hook/…; not {hooks.url!r}")
        return hooks


def _value(name: str, value: object) -> object:
    if name == "url":
        return str(value).strip()
    try:
        number = float(str(value))
    except ValueError as error:
        raise ValueError(f"{name} is a number; not {value!r}") from error
    if name == "attempts":
        return max(1, min(20, int(number)))
    if not 0 <= number <= (1 if name in _SHARES else 3600):
        raise ValueError(f"{name} is {'a share from 0 to 1' if name in _SHARES else 'a number of seconds'}")
    return number


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt. `status` None: nobody answered in time."""

    event: Mapping[str, object]
    status: int | None
    problem: str = ""


@dataclass(slots=True)
class Postman:
    """Posts what it is given, by `hooks` as they are at that moment."""

    chance: Random
    hooks: Hooks = field(default_factory=Hooks)
    deliveries: deque[Delivery] = field(default_factory=lambda: deque(maxlen=_DELIVERIES_KEPT))
    _waiting: "queue.PriorityQueue[tuple[float, int, int, Hooks, Mapping[str, object]]]" = field(
        default_factory=queue.PriorityQueue
    )
    _order: "itertools.count[int]" = field(default_factory=itertools.count)
    _thread: threading.Thread | None = None

    def post(self, event: Mapping[str, object]) -> None:
        """Take an event. It is on its way when this returns, or lost, as the settings have it."""
        hooks = self.hooks
        if not hooks.url or self.chance.random() < hooks.drop:
            return
        due = time.monotonic() + hooks.delay
        if self.chance.random() < hooks.reorder:
            due += LATE_SECONDS
        for _ in range(2 if self.chance.random() < hooks.duplicate else 1):
            self._waiting.put((due, next(self._order), 1, hooks, dict(event)))
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver, name="sandbox webhooks", daemon=True)
            self._thread.start()

    def settled(self) -> None:
        """Returns when nothing is on its way any more."""
        self._waiting.join()

    def _deliver(self) -> None:
        """For ever: the thread is a daemon, and waits for the earliest of what is due."""
        due: list[tuple[float, int, int, Hooks, Mapping[str, object]]] = []
        while True:
            patience = max(0.0, due[0][0] - time.monotonic()) if due else None
            try:
                heapq.heappush(due, self._waiting.get(timeout=patience))
                continue
            except queue.Empty:
                pass  # nobody else is in a hurry: the first one's time has come
            _, order, attempt, hooks, event = heapq.heappop(due)
            delivery = _attempt(hooks.url, event)
            self.deliveries.append(delivery)
            if delivery.status != 200 and attempt < hooks.attempts:
                self._waiting.put((time.monotonic() + AGAIN_SECONDS, order, attempt + 1, hooks, event))
            self._waiting.task_done()


def _attempt(url: str, event: Mapping[str, object]) -> Delivery:
    parts = urlsplit(url)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(parts.hostname or "", parts.port, timeout=HOLD_SECONDS)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, json.dumps(event), {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return Delivery(event, answer.status)
    except (OSError, http.client.HTTPException) as error:
        return Delivery(event, None, f"{type(error).__name__}: {error}")
    finally:
        connection.close()
