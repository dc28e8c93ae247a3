"""The gate before a run: a job that finds what its last run found, and has nothing to send, is over here.

Nothing is loaded for it that reads rows or speaks HTTP: that takes longer than hashing a gigabyte. What is asked is
what `sync.run` asks, in its order. Whatever is not plainly so takes the long way, which asks again and tells.
"""

import contextlib
import signal
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import FrameType
from typing import NoReturn

from syncengine.bootstrap.screen import JobEnd, Screen
from syncengine.bootstrap.workshop import Workshop, new_run_id
from syncengine.config.model import Job
from syncengine.errors import InterruptedRunError, SyncEngineError
from syncengine.ledger import BACKUP, back_up
from syncengine.meaning import Header, meaning_of
from syncengine.model import SourceSeen
from syncengine.opening import options_of, preset_of
from syncengine.report import Report, Result
from syncengine.sources.glance import glance
from syncengine.standing import (
    left_since_last_run,
    names_given,
    note_run,
    owes_anybody,
    own_row_in_force,
    paths_of,
    size_planned,
    source_seen,
    taken_up,
    unfinished_run,
)
from syncengine.webhooks.folder import hook_folder


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate of one state directory, which is held by this process: `connection` is open for writing."""

    workshop: Workshop
    connection: sqlite3.Connection

    def end_unchanged(
        self, jobs: Sequence[Job], screen: Screen, *, until: datetime | None
    ) -> tuple[list[JobEnd], bool]:
        """How the first jobs ended, up to one that takes a plan; and whether that is all there will be of the others:
        something stopped them, or it is `until`.
        """
        ends: list[JobEnd] = []
        with _stopped_by_signals():
            for job in jobs:
                try:
                    report = self._end(job)
                    if report is None:
                        return ends, False
                    back_up(self.connection, self.workshop.state_folder / BACKUP)
                    end = JobEnd(job.name, report, None)
                except SyncEngineError as error:
                    end = JobEnd(job.name, None, error)
                screen.ended(end)
                ends.append(end)
                if end.problem is not None or (until is not None and datetime.now().astimezone() >= until):
                    return ends, True
        return ends, False

    def _end(self, job: Job) -> Report | None:
        """The report of a run that found nothing to do, once it is noted; None if that is not plain.

        Raises StateError where it can't be noted, and InterruptedRunError.
        """
        began = time.monotonic()
        try:
            seen = self._seen_again(job)
        except InterruptedRunError:
            raise
        except (SyncEngineError, OSError, sqlite3.Error):
            return None  # met again on the long way, and told there
        if seen is None:
            return None
        run = new_run_id()
        report = Report.of_unchanged(
            job.name,
            job.list_id,
            run,
            seen,
            paths=paths_of(self.workshop.state_folder / "runs", seen.run),
            left=left_since_last_run(self.connection, job.list_id, job.name),
        )
        report.check()
        note_run(self.connection, run, job.name, job.list_id, Result.OK, report.to_json(), datetime.now(UTC))
        return replace(report, seconds=time.monotonic() - began)

    def _seen_again(self, job: Job) -> SourceSeen | None:
        """What the last run saw, if it left nothing to send and this one sees the same."""
        db = self.connection
        in_force = own_row_in_force(db, job.list_id, self.workshop.loaded.config.account.url)
        seen = source_seen(db, job.name, job.list_id)
        if in_force is None or seen is None or not seen.clean or seen.generation != in_force["generation"]:
            return None
        if unfinished_run(db, job.name) is not None or self._has_news(job.list_id) or owes_anybody(db, job.list_id):
            return None
        folder = self.workshop.loaded.folder
        preset = preset_of(job, folder)
        found = glance(options_of(job.source, folder, preset))
        if found is None:
            return None
        names = names_given(db, job.name)
        header = Header(found.options.path, found.columns, (found.file.shown,))
        meant = meaning_of(job, header, names=names, preset=preset)
        if meant.digest != seen.rules or not names.keys() >= meant.names.keys():
            return None
        if size_planned(self.workshop.state_folder / "runs", seen.run) not in {None, found.file.size}:
            return None  # what reads rows is loaded beside the hash then, not after it
        return seen if found.digest(self.workshop.ahead) == seen.digest else None

    def _has_news(self, list_id: str) -> bool:
        """Whether webhooks told of somebody whom the ledger or the snapshot does not know of."""
        folder = hook_folder(self.workshop.state_folder)
        if not folder.exists():
            return False
        from syncengine.webhooks.inbox import reading  # noqa: PLC0415  # most have none

        with reading(folder) as inbox:
            if inbox is None:
                return False
            through = min(taken_up(self.connection, list_id, inbox.identity))
            return bool(inbox.departures(list_id, after=through))


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Within the block a signal raises InterruptedRunError, wherever it comes: no job is ever half done here."""

    def stop(number: int, _: FrameType | None) -> NoReturn:
        name = signal.Signals(number).name
        raise InterruptedRunError(f"stopped by {name} while planning", signal_number=number, sent="nothing was sent")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
