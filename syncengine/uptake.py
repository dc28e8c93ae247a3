"""Before a plan is made: who left since the last one, recorded, known to the snapshot, and told.

Blocking; called in a thread. Doing it twice changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl

from syncengine.frames import KEY
from syncengine.ports import ConsentBook, Done, Entry, Heard, Intended, NewsDesk, Owed, Paid, Released, StateStore
from syncengine.suppression import learn


@dataclass(frozen=True, slots=True)
class Left:
    """People who left since the last run, by kind; and a sentence if they were too many at once."""

    by_kind: Mapping[str, int] = field(default_factory=dict)
    alarm: str = ""


NOBODY_LEFT: Final = Left()


@dataclass(frozen=True, slots=True)
class Listening:
    """Where words about people who left come in, and where they are kept."""

    desk: NewsDesk
    book: ConsentBook

    def write(self, entries: Sequence[Entry], now: datetime) -> None:
        """Make durable what entries of a run say about people who left."""
        for entry in entries:
            match entry:
                case Heard(news):
                    self.book.record(news, now)
                case Owed(corrections):
                    self.book.owe(corrections)
                case Paid(corrections, outcomes, at):
                    self.book.paid(corrections, outcomes, at)
                case Intended() | Released() | Done():
                    pass  # the journal's


def record_news(listening: Listening, now: datetime) -> None:
    """Who left must not get mail from now on, in no plan and no run that goes on. Raises StateError."""
    inbox = listening.desk.inbox()
    if inbox is None:
        return
    news = listening.desk.after(listening.book.recorded(inbox))
    if news is not None:
        listening.book.record(news, now)


def hear(listening: Listening, state: StateStore, job: str, now: datetime) -> Left:
    """Record who left, and let the snapshot know. Not while a frozen plan waits: it goes on from the snapshot it knows.

    Raises StateError.
    """
    record_news(listening, now)
    inbox = listening.desk.inbox()
    news = listening.desk.after(listening.book.known(inbox)) if inbox is not None else None
    if news is not None:
        addresses = pl.Series("address", list({word.address for word in news.words}), dtype=pl.String)
        doubtful = state.doubtful().filter(pl.col("until") > now.timestamp())[KEY]
        learned = learn(state.snapshot().rows_having(addresses), news.words, doubtful)
        if not learned.is_empty:
            state.learn(learned, now)
        listening.book.learned(news.inbox, news.through)
    contacts = state.current().contacts
    alarm = listening.desk.exodus(listening.book.last_run_ended(job), contacts)
    return Left(listening.book.left_since_last_run(job), alarm)
