"""A state directory held by this process, and the parts that are made over it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from syncengine.anchor import Ledger
from syncengine.bootstrap.holding import held_state
from syncengine.bootstrap.workshop import Workshop
from syncengine.config.model import Job
from syncengine.journal import Journal
from syncengine.news import InboxNews
from syncengine.opening import preset_of, source_of
from syncengine.prepare import Understood
from syncengine.state import ConsentBook, StateStore
from syncengine.understanding import understand
from syncengine.uptake import Listening
from syncengine.webhooks.folder import hook_folder


@dataclass(slots=True)
class Session:
    """The state directory, locked and open for writing."""

    workshop: Workshop
    connection: Ledger

    @property
    def journal(self) -> Journal:
        return Journal(self.connection)

    @property
    def runs(self) -> Path:
        return self.workshop.state_folder / "runs"

    def state(self, job: Job) -> StateStore:
        """What is known of the job's list."""
        account = self.workshop.loaded.config.account
        return StateStore(self.connection, self.workshop.state_folder, job.list_id, account.url)

    def listening(self, list_id: str) -> Listening:
        """Who left the list, as far as webhooks told."""
        desk = InboxNews(hook_folder(self.workshop.state_folder), list_id)
        return Listening(desk, ConsentBook(self.connection, list_id))

    def understand(self, job: Job) -> Understood:
        """The job's source and what its columns mean; the names it chooses are kept."""
        state = self.state(job)
        preset = preset_of(job, self.workshop.loaded.folder)
        source = source_of(job, self.workshop.loaded.folder, preset, self.workshop.ahead)
        names, variables = state.names(job.name), state.variables()
        understood, chosen = understand(job, source, names=names, variables=variables, preset=preset)
        state.remember_names(job.name, chosen)
        return understood


@contextlib.contextmanager
def open_session(workshop: Workshop, *, wait_lock: float = 0.0, doing: str = "sync") -> Iterator[Session]:
    """Lock the state directory and open it. Raises LockError, StateError."""
    with held_state(workshop.state_folder, wait_lock=wait_lock, doing=doing) as connection:
        yield Session(workshop, connection)
