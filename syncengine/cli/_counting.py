"""How far one-by-one work has come: one line that is written over on a terminal, a heartbeat elsewhere. On stderr."""

import sys
import time
from collections.abc import Callable

import click

from syncengine.cli._render import is_terminal, say

HEARTBEAT_SECONDS = 30.0
HEARTBEAT_SHARE = 0.1


class Counting:
    """Call it with how many of how many are done; `close` it before anything else is written."""

    def __init__(self, word: str, *, clock: Callable[[], float] = time.monotonic, live: bool | None = None) -> None:
        self._word = word
        self._clock = clock
        self._live = is_terminal(sys.stderr) if live is None else live
        self._told_at = clock()
        self._told_share = 0.0
        self._open = False

    def __call__(self, done: int, of: int) -> None:
        share = done / of if of else 1.0
        if self._live:
            click.echo(f"\r  {self._word} {done:,}/{of:,} ({share:.0%})", err=True, nl=False)
            self._open = True
            return
        late = self._clock() - self._told_at >= HEARTBEAT_SECONDS
        if late or share >= self._told_share + HEARTBEAT_SHARE:
            self._told_at, self._told_share = self._clock(), share
            say(f"  {self._word} {done:,} of {of:,} ({share:.0%})")

    def close(self) -> None:
        if self._open:
            click.echo(err=True)
            self._open = False
