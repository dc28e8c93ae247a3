"""What API v2 answers, as values."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from syncengine.client.requests import Mailbox


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was accepted and queued. The id is what statistics are asked by; None where none was told."""

    message_id: str | None


@dataclass(frozen=True, slots=True)
class Triggered:
    """A triggered mail that was sent out."""

    message_id: str | None


@dataclass(frozen=True, slots=True)
class BatchUpdated:
    """What became of a batch: ids of those updated (the API does not say whose), and errors about the others.

    Only where both add up to the contacts asked for, nobody is in doubt.
    """

    updated: tuple[str, ...]
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """Something that happened to a message. The page's own example has events without a name: None."""

    event: str | None  #: sent, delivered, read, click, hard, soft
    told: str  #: the time as told: `2015-04-27 12:18:58.592000`, of no zone

    @property
    def at(self) -> datetime | None:
        """The time, without a zone; None where it can't be read."""
        try:
            return datetime.fromisoformat(self.told)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class MessageReport:
    """A message with what happened to it, in the order told."""

    id: str
    from_email: str
    from_name: str
    subject: str
    to: tuple[Mailbox, ...]
    headers: Mapping[str, str]
    text: str
    html: str
    events: tuple[MessageEvent, ...]

    def count(self) -> Counter[str]:
        """How often each event happened; events without a name are not counted."""
        return Counter(event.event for event in self.events if event.event is not None)
