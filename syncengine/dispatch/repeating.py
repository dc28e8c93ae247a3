"""One request, attempted again while that may help and does no harm: what clients have in place of the dispatcher."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import anyio

from syncengine.dispatch.retry import Backoff

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Repeating:
    """`attempts` are the most there are of one request; `chance` gives the jitter of the waits between them."""

    attempts: int
    chance: Callable[[], float] = random.random
    backoff: Backoff = field(default_factory=Backoff)

    async def until(
        self, once: Callable[[], Awaitable[R]], is_final: Callable[[R], bool], *, attempts: int | None = None
    ) -> R:
        """What `once` gives, final or the last that was allowed. `Retry-After` holds the door by itself."""
        attempt = 1
        while not is_final(reply := await once()) and attempt < (attempts or self.attempts):
            await anyio.sleep(self.backoff.wait(attempt, self.chance()))
            attempt += 1
        return reply
