"""The words about people who leave a list, by the service's own word. Pure, and light: `status` needs them too.

What is known of a person is a join: the strictest word counts, from whenever it is, and the latest time, whatever the
order in which words come, and however often. A word that gives consent back does not exist here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

UNSUBSCRIBED: Final = "unsubscribed"
REMOVED: Final = "removed"
HARD: Final = "hard"
COMPLAINT: Final = "complaint"
KINDS: Final = (UNSUBSCRIBED, REMOVED, HARD, COMPLAINT)
"""From the mildest to the strictest."""

KIND_OF: Final[Mapping[str, str]] = {**{kind: kind for kind in KINDS}, "list-unsubscribe": UNSUBSCRIBED}
"""Events that take consent away → kind."""

TOLD: Final = {UNSUBSCRIBED: "unsubscribed", REMOVED: "removed", HARD: "bounced for good", COMPLAINT: "complained"}


@dataclass(frozen=True, slots=True)
class Suppression:
    """Somebody must not get mail: `address` in its normal form, both times in Unix seconds."""

    address: str
    kind: str
    happened_at: float  #: by the service's clock
    received_at: float  #: by ours


def joined(words: Iterable[Suppression]) -> dict[str, Suppression]:
    """One for each address: the strictest kind, the latest times."""
    people: dict[str, Suppression] = {}
    for word in words:
        known = people.get(word.address, word)
        people[word.address] = Suppression(
            word.address,
            max(known.kind, word.kind, key=KINDS.index),
            max(known.happened_at, word.happened_at),
            max(known.received_at, word.received_at),
        )
    return people


def told_left(left: Mapping[str, int]) -> str:
    """`3 people left since the last run: 2 unsubscribed, 1 complained`, or nothing."""
    total = sum(left.values())
    if not total:
        return ""
    people = "1 person" if total == 1 else f"{total:,} people"
    return f"{people} left since the last run: " + ", ".join(
        f"{left[kind]:,} {TOLD[kind]}" for kind in KINDS if left.get(kind)
    )
