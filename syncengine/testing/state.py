"""The state of a list, in memory."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from syncengine.catalogue import holds_whatever_it_says
from syncengine.frames import ADDRESS, ADDRESS_IN_DOUBT, FINGERPRINT, KEY, KEY_HASH, SNAPSHOT_SCHEMA
from syncengine.model import Outcome, Variable
from syncengine.ports import Changes, Forgotten, ListState, SourceSeen
from syncengine.snapshot import FrameSnapshot
from syncengine.suppression import Learned, kept_off
from syncengine.testing.journal import MemoryJournal


class MemoryStateStore:
    """A `StateStore` that forgets everything when it goes. `journal` is told when a run is finished."""

    def __init__(self, journal: MemoryJournal, list_id: str = "memory") -> None:
        self._journal = journal
        self._list = list_id
        self._generation = 0
        self._variables: dict[str, Variable] = {}
        self._refusals: dict[str, tuple[int, str, str, str, str]] = {}
        self._seen: dict[str, SourceSeen] = {}
        self.rows = pl.DataFrame(schema=SNAPSHOT_SCHEMA)
        self.suppressed: list[str] = []
        self._departed: list[str] = []
        self._doubts: dict[str, tuple[int, float]] = {}

    def current(self) -> ListState:
        return ListState(self._list, self._generation, self.rows.height, None, "")

    def snapshot(self) -> FrameSnapshot:
        return FrameSnapshot(self.rows.lazy())

    def variables(self) -> Mapping[str, Variable]:
        return self._variables

    def remember_variables(self, variables: Iterable[Variable], now: datetime, origin: str) -> None:  # noqa: ARG002
        self._variables.update({variable.name: variable for variable in variables})

    def refusals(self, rules: Collection[str]) -> pl.DataFrame:
        schema = {KEY: pl.String, FINGERPRINT: pl.UInt64, "refused_as": pl.String, "refused_with": pl.String}
        return pl.DataFrame(
            [
                (
                    key,
                    fingerprint,
                    "rejected-before" if outcome == Outcome.REJECTED else code,
                    text or code,
                    holds_whatever_it_says(code),
                )
                for key, (fingerprint, outcome, code, text, under) in self._refusals.items()
                if under in {*rules, ""}
            ],
            schema=schema | {"any_content": pl.Boolean},
            orient="row",
        )

    def row_memory(self, job: str, meaning: bytes, notes: Path | None) -> None:
        """Nothing is remembered: every row is parsed."""

    def keep_rows(self, job: str, notes: Path, rows: int) -> None:
        """See `row_memory`."""

    def off(self) -> pl.Series:
        return pl.Series("off", self.suppressed, dtype=pl.String)

    def departed(self) -> pl.Series:
        return pl.Series("departed", self._departed, dtype=pl.String)

    def remember_departed(self, addresses: Iterable[str], now: datetime) -> None:  # noqa: ARG002
        self._departed += addresses

    def learn(self, learned: Learned, now: datetime) -> None:  # noqa: ARG002
        for key, *refusal in kept_off(learned.removed).iter_rows():
            self._refusals[key] = tuple(refusal)
        gone = pl.concat([learned.upserts.select(KEY), learned.removed.select(KEY)])
        self.rows = pl.concat([self.rows.join(gone, on=KEY, how="anti"), learned.upserts]).sort(KEY_HASH, KEY)
        self._generation += 1

    def forgotten(self) -> Forgotten:
        return Forgotten(pl.Series("tombstone", [], dtype=pl.String), "")

    def doubtful(self) -> pl.DataFrame:
        rows = [(key, fingerprint, until) for key, (fingerprint, until) in self._doubts.items()]
        schema = {KEY: pl.String, FINGERPRINT: pl.UInt64, "until": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def seen(self, job: str) -> SourceSeen | None:
        return self._seen.get(job)

    def commit(
        self,
        changes: Changes,
        *,
        run: str,
        job: str,
        saw: SourceSeen | None,
        status: str,
        result: str,
        facts: Mapping[str, Any],
        now: datetime,
    ) -> ListState:
        new = pl.concat([*(frame.collect() for frame in changes.upserts), self.rows.clear()])
        left = pl.concat([new.select(KEY), *(frame.collect().select(KEY) for frame in changes.removed)])
        kept = self.rows.join(left, on=KEY, how="anti")
        for frame in changes.renewed:
            renewed = frame.collect().select(KEY, pl.col(FINGERPRINT).alias("renewed"))
            kept = (
                kept.join(renewed, on=KEY, how="left")
                .with_columns(pl.coalesce("renewed", FINGERPRINT).alias(FINGERPRINT))
                .drop("renewed")
            )
        self.rows = pl.concat([kept, new]).sort(KEY_HASH, KEY)
        self._generation += 1
        for key in [*new[KEY], *(ADDRESS_IN_DOUBT + address for address in new[ADDRESS])]:
            self._refusals.pop(key, None)
        for key, *refusal in changes.refused.iter_rows():
            self._refusals[key] = tuple(refusal)
        self._doubts = {key: doubt for key, doubt in self._doubts.items() if doubt[1] >= now.timestamp()}
        self._doubts |= {key: (fingerprint, until) for key, fingerprint, until in changes.doubtful.iter_rows()}
        if saw is not None:
            self._seen[job] = SourceSeen(
                saw.digest,
                saw.rules,
                saw.mapping,
                self._generation,
                saw.clean,
                saw.rows,
                saw.held,
                saw.same,
                saw.run,
            )
        self._journal.finish(run, result, facts, now, status=status)
        return self.current()
