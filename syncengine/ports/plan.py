"""Where a plan goes while it is made."""

from typing import Protocol

import polars as pl


class PlanSink(Protocol):
    """Where a plan goes while it is made. Nothing put here has been sent."""

    def hold(self, rows: pl.DataFrame) -> None:
        """HELD rows."""
        ...

    def change(self, changes: pl.DataFrame) -> None:
        """CHANGE rows of any operations but "same", each contact once in the whole plan."""
        ...

    def refresh(self, rows: pl.DataFrame) -> None:
        """CHANGE rows with op "same": nothing to send, but their fingerprint is new to the state."""
        ...

    def rekey(self, rows: pl.DataFrame) -> None:
        """CHANGE rows with op "same" and `replaces`: nothing to send, but their key is a new one."""
        ...
