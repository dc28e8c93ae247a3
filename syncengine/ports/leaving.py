"""Who left a list: where words of it come in, and what is remembered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from syncengine.leaving import Suppression


@dataclass(frozen=True, slots=True)
class News:
    """What an inbox holds behind a point: who left, in the order the words came. `through` is the id of the last."""

    inbox: str
    through: int
    words: tuple[Suppression, ...]


@dataclass(frozen=True, slots=True)
class Correction:
    """A contact to be sent as unsubscribed, whole: they left while a request had them as subscribed.

    Not to be sent before `due` (Unix seconds): a request that got no answer may be carried out until then. `variables`
    is JSON in the API's form.
    """

    email: str
    due: float
    name: str | None
    variables: str
    key: str
    run: str


class NewsDesk(Protocol):
    """Where words about people who left a list come in."""

    def inbox(self) -> str | None:
        """Which inbox it is, or None if there is none. Numbers of events are of one inbox only."""
        ...

    def after(self, event: int) -> News | None:
        """What came behind the event of this number, or None if nothing did. Raises StateError."""
        ...

    def exodus(self, since: float, contacts: int) -> str:
        """A sentence if too many of `contacts` left at once after `since` (Unix seconds), or nothing."""
        ...


class ConsentBook(Protocol):
    """What is remembered of people who left a list. Durable when a method returns."""

    def recorded(self, inbox: str) -> int:
        """The last event of this inbox whose people are recorded."""
        ...

    def known(self, inbox: str) -> int:
        """The last event of this inbox that the snapshot knows."""
        ...

    def record(self, news: News, now: datetime) -> None:
        """These people must not get mail."""
        ...

    def follow(self, moved: Sequence[tuple[str, str]]) -> None:
        """People are off under the second address as they are under the first."""
        ...

    def learned(self, inbox: str, through: int) -> None:
        """The snapshot knows everything up to this event."""
        ...

    def left_since_last_run(self, job: str) -> Mapping[str, int]:
        """People by kind, recorded since the last finished run of `job` ended."""
        ...

    def last_run_ended(self, job: str) -> float:
        """When the last finished run of `job` ended, in Unix seconds; 0 if none did."""
        ...

    def owe(self, corrections: Sequence[Correction]) -> None:
        """These are to be sent as unsubscribed."""
        ...

    def owed(self) -> list[Correction]:
        """What is still to be sent, earliest first."""
        ...

    def corrected(self, run: str) -> set[str]:
        """Addresses for whom `run` has owed a correction, paid or not."""
        ...

    def people(self) -> Mapping[str, str]:
        """Everybody who must not get mail: address → kind."""
        ...

    def paid(self, corrections: Sequence[Correction], outcomes: Sequence[str], at: float) -> None:
        """These were sent, and what became of them."""
        ...
