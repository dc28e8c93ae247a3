"""What the middle of the program asks of its edges, with the guarantees in words."""

from syncengine.model import SourceSeen
from syncengine.ports.destination import Batch, Destination
from syncengine.ports.leaving import ConsentBook, Correction, News, NewsDesk
from syncengine.ports.plan import PlanSink
from syncengine.ports.record import Done, Entry, Heard, Intended, Journal, Owed, Paid, Progress, Released, RunRow, Tally
from syncengine.ports.source import Chunk, Description, Hashes, Recalled, RecallsRows, Source
from syncengine.ports.state import Changes, Forgotten, ListState, StateStore

__all__ = [
    "Batch",
    "Changes",
    "Chunk",
    "ConsentBook",
    "Correction",
    "Description",
    "Destination",
    "Done",
    "Entry",
    "Forgotten",
    "Hashes",
    "Heard",
    "Intended",
    "Journal",
    "ListState",
    "News",
    "NewsDesk",
    "Owed",
    "Paid",
    "PlanSink",
    "Progress",
    "Recalled",
    "RecallsRows",
    "Released",
    "RunRow",
    "Source",
    "SourceSeen",
    "StateStore",
    "Tally",
]
