"""People who leave, in memory: a desk where words come in, and the book they are kept in."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from syncengine.leaving import Suppression, joined
from syncengine.normalise.addresses import address_key
from syncengine.ports import Correction, News
from syncengine.testing.state import MemoryStateStore


class MemoryDesk:
    """A `NewsDesk`: `tell` it that somebody left."""

    def __init__(self) -> None:
        self._words: list[Suppression] = []

    def tell(self, email: str, kind: str = "unsubscribed", *, at: float = 0.0) -> None:
        """A word comes in; `at` is Unix seconds."""
        self._words.append(Suppression(address_key(email), kind, at, at))

    def inbox(self) -> str | None:
        return "memory"

    def after(self, event: int) -> News | None:
        words = tuple(self._words[event:])
        return News("memory", len(self._words), words) if words else None

    def exodus(self, since: float, contacts: int) -> str:  # noqa: ARG002
        return ""


class MemoryBook:
    """A `ConsentBook`. Who is recorded is off in `state` as well."""

    def __init__(self, state: MemoryStateStore) -> None:
        self._state = state
        self._marks = {"recorded": 0, "known": 0}
        self._people: dict[str, Suppression] = {}
        self.corrections: dict[tuple[str, float], str | None] = {}  #: (address, due) → outcome, None while it is owed
        self._bodies: dict[tuple[str, float], Correction] = {}

    def recorded(self, inbox: str) -> int:  # noqa: ARG002
        return self._marks["recorded"]

    def known(self, inbox: str) -> int:  # noqa: ARG002
        return self._marks["known"]

    def record(self, news: News, now: datetime) -> None:  # noqa: ARG002
        self._people = joined([*self._people.values(), *news.words])
        self._state.suppressed = list(self._people)
        self._marks["recorded"] = news.through

    def follow(self, moved: Sequence[tuple[str, str]]) -> None:
        for old, new in moved:
            known = self._people[old]
            self._people[new] = Suppression(new, known.kind, known.happened_at, known.received_at)
        self._state.suppressed = list(self._people)

    def learned(self, inbox: str, through: int) -> None:  # noqa: ARG002
        self._marks["known"] = through

    def left_since_last_run(self, job: str) -> Mapping[str, int]:  # noqa: ARG002
        kinds = [one.kind for one in self._people.values()]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    def last_run_ended(self, job: str) -> float:  # noqa: ARG002
        return 0.0

    def owe(self, corrections: Sequence[Correction]) -> None:
        for one in corrections:
            self.corrections.setdefault((one.email, one.due), None)
            self._bodies[one.email, one.due] = one

    def owed(self) -> list[Correction]:
        return [self._bodies[one] for one in sorted(self._bodies, key=lambda one: one[1]) if not self.corrections[one]]

    def corrected(self, run: str) -> set[str]:
        return {one.email for one in self._bodies.values() if one.run == run}

    def people(self) -> Mapping[str, str]:
        return {address: one.kind for address, one in self._people.items()}

    def paid(self, corrections: Sequence[Correction], outcomes: Sequence[str], at: float) -> None:  # noqa: ARG002
        for one, outcome in zip(corrections, outcomes, strict=True):
            self.corrections[one.email, one.due] = outcome
