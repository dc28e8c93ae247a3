"""Fakes with behaviour, for tests of syncengine and of what is built on it; and the suite every destination passes."""

from syncengine.testing.destination import MemoryDestination
from syncengine.testing.frames import FrameSource, people, source
from syncengine.testing.journal import MemoryJournal
from syncengine.testing.leaving import MemoryBook, MemoryDesk
from syncengine.testing.runs import Trial, run_sync
from syncengine.testing.state import MemoryStateStore

__all__ = [
    "FrameSource",
    "MemoryBook",
    "MemoryDesk",
    "MemoryDestination",
    "MemoryJournal",
    "MemoryStateStore",
    "Trial",
    "people",
    "run_sync",
    "source",
]
