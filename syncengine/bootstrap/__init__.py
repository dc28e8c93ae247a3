"""The composition root: config → parts → a run. The only place that names both sides.

What is named here is loaded when it is asked for: a sync that finds nothing to do needs little of it (see `gate`).
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from syncengine.bootstrap.planned import Planned, failed, plan_job
    from syncengine.bootstrap.running import sync_job
    from syncengine.bootstrap.screen import JobEnd, Screen
    from syncengine.bootstrap.session import Session, open_session
    from syncengine.bootstrap.syncing import sync_jobs
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

_HOMES: Final = {
    "planned": ("Planned", "failed", "plan_job"),
    "running": ("sync_job",),
    "screen": ("JobEnd", "Screen"),
    "session": ("Session", "open_session"),
    "syncing": ("sync_jobs",),
    "wiring": ("destination_of", "in_thread", "terms_of"),
    "workshop": ("Overrides", "Workshop", "new_run_id", "refuse_no_list"),
}


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
