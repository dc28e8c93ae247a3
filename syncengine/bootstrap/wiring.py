"""Values of the config become parts."""

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from syncengine.bootstrap.workshop import Overrides, Workshop
from syncengine.config.model import Job
from syncengine.destinations._http import MAX_RETRY_AFTER, Door
from syncengine.destinations._pacing import Pacer
from syncengine.destinations._slots import shared_slots
from syncengine.destinations.v2 import SmartSenderV2
from syncengine.guards import Guards
from syncengine.prepare import JobTerms

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Blocking work, off the event loop. It is not abandoned when the run is cancelled: it may be writing."""
    return await anyio.to_thread.run_sync(work)


def destination_of(workshop: Workshop, job: Job) -> SmartSenderV2:
    """The list of a job behind the service of the config, paced. Raises ConfigError without a token."""
    account = workshop.loaded.config.account
    slots = shared_slots(workshop.state_folder, longest=MAX_RETRY_AFTER)
    pacer = Pacer(workshop.overrides.rate or account.rate, slots)
    door = Door(account.url, workshop.token(), pacer, timeout=account.timeout, proxy=account.proxy)
    return SmartSenderV2(door, job.list_id)


def terms_of(job: Job, overrides: Overrides, account: str) -> JobTerms:
    """A job's config as the engine takes it."""
    return JobTerms(
        job.name,
        job.list_id,
        job.mode,
        job.consent,
        job.mirror.on_missing,
        Guards(
            max_missing=overrides.max_missing or job.mirror.max_missing,
            max_shrink=overrides.max_shrink or job.guard.max_shrink,
            max_held=overrides.max_held or job.guard.max_held,
        ),
        account,
    )
