"""An asyncio event loop whose clock jumps to the next timer: an hour of waiting takes a moment, and always the same.

    @pytest.fixture
    def anyio_backend():
        return "asyncio", {"loop_factory": VirtualTimeLoop}

Worker threads do not belong here: while one works, the clock would run away.
"""

import asyncio
import heapq

TICK = 1e-6  #: seconds each turn of the loop costs: a clock that stands still makes aiolimiter spin for ever


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at second 0. Real sockets work, but no time passes while they are waited for with nothing scheduled."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual_now = 0.0

    def time(self) -> float:
        return self._virtual_now

    def _run_once(self) -> None:
        self._virtual_now += TICK
        self._drop_cancelled()
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]  # asyncio's own queues
            self._virtual_now = max(self._virtual_now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]

    def _drop_cancelled(self) -> None:
        """Asyncio drops them too, but only after we have looked when the next timer is: it would wait in earnest."""
        timers = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0].cancelled():
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
            heapq.heappop(timers)._scheduled = False  # noqa: SLF001
