"""The inbox of webhooks as a sync sees it: what came since it last looked. Reads only, and cheaply."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from syncengine.leaving import KIND_OF, Suppression
from syncengine.normalise.addresses import address_key
from syncengine.ports import News
from syncengine.webhooks.inbox import Kept, reading
from syncengine.webhooks.limits import Exodus, is_alarming


@dataclass(frozen=True, slots=True)
class InboxNews:
    """News of one list from the inbox in `folder` (a `NewsDesk`). Where there is no inbox there is no news."""

    folder: Path
    list_id: str

    def inbox(self) -> str | None:
        """The identity of the inbox, or None if there is none."""
        with reading(self.folder) as inbox:
            return inbox.identity if inbox is not None else None

    def after(self, event: int) -> News | None:
        """What came behind `event` (an id), or None if nothing did."""
        with reading(self.folder) as inbox:
            if inbox is None:
                return None
            kept = inbox.departures(self.list_id, after=event)
            if not kept:
                return None
            return News(inbox.identity, kept[-1].id, tuple(_word(one) for one in kept))

    def exodus(self, since: float, contacts: int) -> str:
        """What to tell if too many left at once after `since` (Unix seconds); `contacts` are on the list."""
        with reading(self.folder) as inbox:
            kept = inbox.departures(self.list_id, after=0, since=since) if inbox is not None else []
        window, worst, at = Exodus(), 0, 0.0
        for one in kept:
            if one.origin != "webhook":  # a file that is replayed brings the words of months at once
                continue
            window.left(address_key(one.address), one.received_at)
            if (people := window.people(one.received_at)) > worst:
                worst, at = people, one.received_at
        return told_exodus(worst, contacts, at) if is_alarming(worst, contacts) else ""


def _word(kept: Kept) -> Suppression:
    return Suppression(address_key(kept.address), KIND_OF[kept.event], float(kept.happened_at), kept.received_at)


def told_exodus(people: int, contacts: int, at: float) -> str:
    """The sentence about too many people leaving at once."""
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
    share = f" ({people / contacts:.0%} of the list)" if contacts else ""
    return (
        f"{people:,} people{share} left within 10 minutes, until {when} UTC: if that was not them but somebody who "
        f"knows the path: syncengine webhooks rotate, and syncengine webhooks undo --since {when.replace(' ', 'T')}"
    )
