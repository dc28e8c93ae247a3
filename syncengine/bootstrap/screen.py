"""Who looks on while jobs run, and what is told of each in the end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from syncengine.errors import SyncEngineError
from syncengine.report import Report

if TYPE_CHECKING:
    from syncengine.events import Event


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended: its report where it got that far, and the error to tell where there is one."""

    job: str
    report: Report | None
    problem: SyncEngineError | None


class Screen(Protocol):
    """Who looks on while jobs run."""

    def approve(self, view: Mapping[str, Any]) -> bool:
        """Whether the plan in `view` (see `plan_view`) may be carried out."""
        ...

    def observe(self, event: "Event") -> None: ...

    def ended(self, end: JobEnd) -> None:
        """A job is over."""
        ...

    def stopping(self, reason: str) -> None:
        """A stop was requested; what is in flight is being finished."""
        ...
