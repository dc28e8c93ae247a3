"""The composition root: config → parts → a run. The only place that names both sides."""

from syncengine.bootstrap.planned import Planned, failed, plan_job
from syncengine.bootstrap.running import JobEnd, Screen, sync_job, sync_jobs
from syncengine.bootstrap.session import Session, open_session
from syncengine.bootstrap.wiring import destination_of, in_thread, terms_of
from syncengine.bootstrap.workshop import Overrides, Workshop, new_run_id, refuse_no_list

__all__ = [
    "JobEnd",
    "Overrides",
    "Planned",
    "Screen",
    "Session",
    "Workshop",
    "destination_of",
    "failed",
    "in_thread",
    "new_run_id",
    "open_session",
    "plan_job",
    "refuse_no_list",
    "sync_job",
    "sync_jobs",
    "terms_of",
]
