"""Syncs without a change of a file that was written anew: what several scripts here measure."""

import sys
from pathlib import Path

from engine import Engine, contact_files, loaded, report
from measuring import Cost


class Unchanging:
    """An engine whose list holds all of a file, and the file in two orders: no digest tells that nothing changed."""

    def __init__(self, data: Path, rows: int) -> None:
        self.rows = rows
        self.files = contact_files(data, rows, "base", "rewritten")
        self.engine = Engine(data / f"engine-{rows}")
        loaded(self.engine, self.files["base"])
        self._next = "rewritten"

    def sync(self) -> Cost:
        """One sync; the next will be of the same rows in the other order."""
        source = self.files[self._next]
        self._next = "base" if self._next == "rewritten" else "rewritten"
        cost = self.engine.sync(source)
        told = report(cost)
        if told["requests"] or told["same"] + told["held"] != self.rows or sum(told["planned"].values()):
            sys.exit(f"this was no run without a change: {told}")
        return cost
