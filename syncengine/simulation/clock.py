"""The one loop everything runs in, and the record by which two runs of one seed are told to be the same."""

import asyncio
from collections.abc import Callable
from hashlib import blake2b

from syncengine.testing.virtual_time import VirtualTimeLoop

EPOCH = 1_767_225_600.0  #: Unix time at second 0 of a simulation, 2026-01-01T00:00:00Z


Step = Callable[[], None]


class StalledError(Exception):
    """Nothing is ready and no timer is set: whoever waits, waits for ever."""


class SimulatedLoop(VirtualTimeLoop):
    """Virtual time, with its turns counted. `before_turn` is called before each: there a process can be killed."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self.before_turn: Step | None = None

    def go_to(self, second: float) -> None:
        """It is so late now. Timers that were set before ring at once."""
        self._virtual_now = max(self._virtual_now, second)

    def _run_once(self) -> None:
        self.turns += 1
        if self.before_turn is not None:
            self.before_turn()
        ready, timers = self._ready, self._scheduled  # type: ignore[attr-defined]  # asyncio's own queues
        if not ready and all(timer.cancelled() for timer in timers):
            raise StalledError(f"at second {self.time():.3f} nobody can go on")
        super()._run_once()


def unix_time() -> float:
    """The wall clock of a simulation."""
    return EPOCH + asyncio.get_running_loop().time()


class Trace:
    """What happened, in order, as one hash. `keep` also keeps the lines, to be read by a person."""

    def __init__(self, *, keep: bool = False) -> None:
        self._hash = blake2b(digest_size=16)
        self.lines: list[str] | None = [] if keep else None
        self.events = 0

    def note(self, event: str, *facts: object) -> None:
        line = f"{asyncio.get_running_loop().time():.6f} {event} {' '.join(map(str, facts))}"
        self._hash.update(line.encode())
        self.events += 1
        if self.lines is not None:
            self.lines.append(line)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()
