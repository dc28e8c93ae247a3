"""The record of runs, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from syncengine.model import Outcome
from syncengine.ports import Done, Intended, Progress, Released, RunRow, Tally
from syncengine.settlement import Settled


@dataclass(slots=True)
class MemoryJournal:
    """A `Journal` that forgets everything when it goes."""

    runs: dict[str, RunRow] = field(default_factory=dict)
    intended: dict[tuple[str, int], float] = field(default_factory=dict)
    settled: dict[tuple[str, int], Done] = field(default_factory=dict)
    again: set[tuple[str, int]] = field(default_factory=set)  #: intended more than once

    def begin(self, run: str, job: str, list_id: str, facts: Mapping[str, Any], now: datetime) -> None:
        self.runs[run] = RunRow(run, job, list_id, "planned", "", now.isoformat(), None, facts)

    def start(self, run: str) -> None:
        self.runs[run] = replace(self.runs[run], status="sending")

    def record(self, run: str, entries: Sequence[Progress]) -> None:
        for entry in entries:
            match entry:
                case Intended(batch, at):
                    if (run, batch) in self.intended:
                        self.again.add((run, batch))
                    self.intended[run, batch] = at
                case Released(batch):
                    if (run, batch) not in self.again and (run, batch) not in self.settled:
                        self.intended.pop((run, batch), None)
                case Done(batch):
                    self.settled[run, batch] = entry

    def mark(self, run: str, result: str, facts: Mapping[str, Any]) -> None:
        self.runs[run] = replace(self.runs[run], result=result, facts=facts)

    def finish(self, run: str, result: str, facts: Mapping[str, Any], now: datetime, *, status: str) -> None:
        row = self.runs[run]
        self.runs[run] = replace(row, status=status, result=result, ended_at=now.isoformat(), facts=facts)

    def note(self, run: str, job: str, list_id: str, result: str, facts: Mapping[str, Any], now: datetime) -> None:
        at = now.isoformat()
        self.runs[run] = RunRow(run, job, list_id, "finished", result, at, at, facts)

    def unfinished(self, job: str) -> RunRow | None:
        open_runs = [row for row in self.runs.values() if row.job == job and row.status in {"planned", "sending"}]
        return open_runs[-1] if open_runs else None

    def last_ended(self) -> datetime | None:
        ended = [row.ended_at for row in self.runs.values() if row.ended_at]
        return datetime.fromisoformat(max(ended)) if ended else None

    def settled_batches(self, run: str) -> set[int]:
        return {batch for of, batch in self.settled if of == run}

    def doubtful_batches(self, run: str) -> dict[int, float | None]:
        return {
            batch: self.settled[run, batch].at if (run, batch) in self.settled else None
            for of, batch in self.intended
            if of == run and self._is_doubtful((run, batch))
        }

    def _is_doubtful(self, batch: tuple[str, int]) -> bool:
        return batch not in self.settled or self.settled[batch].in_doubt or batch in self.again

    def tally(self, run: str, first_batch: int, batches: int) -> Tally:
        settled = self._settled(run, first_batch, first_batch + batches)
        counts = {outcome: sum(one.count(outcome) for one in settled) for outcome in Outcome}
        return Tally(counts[Outcome.CONFIRMED], counts[Outcome.REJECTED], counts[Outcome.UNRESOLVED])

    def verdicts(self, run: str) -> list[tuple[int, int, str, str, str]]:
        return [
            (batch, position, verdict.outcome.value, verdict.code, verdict.text)
            for (of, batch), done in sorted(self.settled.items())
            if of == run
            for position, verdict in sorted(done.settled.verdicts.items())
        ]

    def _settled(self, run: str, first: int, end: int) -> list[Settled]:
        return [done.settled for (of, batch), done in self.settled.items() if of == run and first <= batch < end]
