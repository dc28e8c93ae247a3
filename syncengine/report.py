"""What a run did, in the numbers DESIGN.md §7 promises. Pure: the numbers are checked here, not made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from syncengine.errors import InternalError
from syncengine.model import Op, SourceSeen

SCHEMA_VERSION = 1
ERRORS_FILE: Final = "errors.csv"  #: in the folder of a run
MANIFEST: Final = "run.json"  #: of its plan, in the same folder


class Result(StrEnum):
    """How a run ended."""

    OK = "ok"
    REJECTED = "rejected"  #: more than `fail_on` newly rejected or unresolved
    GUARD = "guard"
    INTERRUPTED = "interrupted"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    FAILED = "failed"


EXIT_CODES: Mapping[Result, int] = {
    Result.OK: 0,
    Result.REJECTED: 3,
    Result.GUARD: 5,
    Result.INTERRUPTED: 130,
    Result.UNAVAILABLE: 7,
    Result.REFUSED: 4,
    Result.FAILED: 1,
}


@dataclass(frozen=True, slots=True)
class Report:
    """One run of one job. rows = held + same + planned add, update, rename; planned in all = confirmed + rejected +
    unresolved + pending.
    """

    job: str
    list: str
    run: str
    result: Result
    rows: int = 0
    held: int = 0
    same: int = 0
    planned: Mapping[Op, int] = field(default_factory=dict)
    confirmed: Mapping[Op, int] = field(default_factory=dict)
    rejected: int = 0
    unresolved: int = 0
    pending: int = 0
    variables_created: tuple[str, ...] = ()
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    paths: Mapping[str, str] = field(default_factory=dict)
    held_by_code: Mapping[str, int] = field(default_factory=dict)
    spared: str = ""  #: why who left the source is left alone, where they are
    skipped: Mapping[Op, int] = field(default_factory=dict)  #: of the pending: unsubscribes and removals an error kept
    left: Mapping[str, int] = field(default_factory=dict)  #: people who left the list since the last run, by kind
    corrected: int = 0  #: of these, sent as unsubscribed because this run had sent them as subscribed
    resumed: bool = False

    @classmethod
    def of_unchanged(
        cls, job: str, list_id: str, run: str, seen: SourceSeen, *, paths: Mapping[str, str], left: Mapping[str, int]
    ) -> "Report":
        """Nothing was parsed and nothing is to be sent: the numbers are those the last run left behind."""
        nothing = dict.fromkeys(Op, 0)
        return cls(
            job,
            list_id,
            run,
            Result.OK,
            rows=seen.rows,
            held=seen.held,
            same=seen.same,
            planned=nothing,
            confirmed=nothing,
            paths=paths,
            left=left,
        )

    def check(self) -> None:
        """Raises InternalError unless every row and every planned contact is accounted for."""
        planned = sum(self.planned.values())
        from_rows = planned - self.planned.get(Op.UNSUBSCRIBE, 0) - self.planned.get(Op.REMOVE, 0)
        outcomes = sum(self.confirmed.values()) + self.rejected + self.unresolved + self.pending
        if self.rows != self.held + self.same + from_rows or planned != outcomes:
            raise InternalError(
                "the numbers of the run do not add up",
                why=f"rows {self.rows} = held {self.held} + same {self.same} + planned {from_rows}? "
                f"planned {planned} = settled and pending {outcomes}?",
                fix="please report this with the folder of the run",
                sent=f"{sum(self.confirmed.values())} contacts were confirmed",
            )

    def to_json(self) -> dict[str, Any]:
        """The object `sync --json` and `plan --json` print for a run."""
        return {
            "job": self.job,
            "list": self.list,
            "run": self.run,
            "result": self.result.value,
            "rows": self.rows,
            "held": self.held,
            "same": self.same,
            "planned": {op.value: self.planned.get(op, 0) for op in Op},
            "confirmed": {op.value: self.confirmed.get(op, 0) for op in Op},
            "rejected": self.rejected,
            "unresolved": self.unresolved,
            "pending": self.pending,
            "variables_created": [*self.variables_created],
            "requests": self.requests,
            "retries": self.retries,
            "seconds": round(self.seconds, 1),
            "paths": dict(self.paths),
            "held_by_code": dict(self.held_by_code),
            "resumed": self.resumed,
            "left": dict(self.left),
            "corrected": self.corrected,
            "spared": self.spared,
            "skipped": {op.value: count for op, count in self.skipped.items()},
        }
