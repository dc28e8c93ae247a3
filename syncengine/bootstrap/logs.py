"""The log of a run."""

from dataclasses import dataclass

from syncengine.bootstrap.session import Session
from syncengine.config.model import Job
from syncengine.events import Event
from syncengine.frames import CODE, KEY, REASON, ROW
from syncengine.keyed import contact_key_of
from syncengine.prepare import Prepared
from syncengine.redaction import Secret
from syncengine.sync import Ended
from syncengine.telemetry import RunLog

_HELD_LINES_LOGGED = 10_000
"""Held rows that get a line in log.jsonl; errors.csv has them all."""


@dataclass(slots=True)
class RunLogs:
    """The log of a run: opened with its frozen plan, because only then the run has a folder."""

    session: Session
    job: Job
    token: Secret
    log: RunLog | None = None
    _held: int = 0

    def begin(self, prepared: Prepared) -> bool:
        """Open the log and write down who is held. Always true, for use before the approval."""
        self.log = RunLog(
            prepared.plan.folder / "log.jsonl",
            run=prepared.run,
            job=self.job.name,
            contact_key=contact_key_of(self.session.workshop.state_folder),
            tokens=(self.token,),
            show_pii=self.session.workshop.show_pii,
        )
        if not prepared.resumed:
            self._log_held(self.log, prepared)
        return True

    def __call__(self, event: Event) -> None:
        if self.log is not None:
            self.log(event)

    def end(self, ended: Ended) -> None:
        """Write the numbers; a run that planned nothing has no log."""
        if self.log is None:
            return
        if ended.problem is not None:
            self.log.problem(ended.problem.what, ended.problem.why, ended.problem.code)
        self.log.ended(ended.report.to_json())

    def close(self) -> None:
        if self.log is not None:
            self.log.close()

    def _log_held(self, log: RunLog, prepared: Prepared) -> None:
        for frame in prepared.plan.held():
            for key, row, code, reason in frame.select(KEY, ROW, CODE, REASON).iter_rows():
                if self._held == _HELD_LINES_LOGGED:
                    log.held(None, None, "more", "further held rows stand in errors.csv only")
                    return
                log.held(key, row, code, reason)
                self._held += 1
