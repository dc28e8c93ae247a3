"""Who leaves while a run is under way (reliability.md, G7): nobody who is known to have left is sent as subscribed, and
whoever was, because the news came too late, is sent as unsubscribed at once.

    news ─► recorded ─► batches not sent yet: withheld, or sent as unsubscribed
                    └─► batches sent: a correction is owed (durably), and paid when the batch is settled; once more
                        after the grace time if an attempt got no answer and may still be carried out

What is owed and not paid when a run ends, or dies, is paid first by the next one.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final, Protocol

import anyio
import polars as pl
from anyio.abc import TaskGroup

from syncengine.dispatch.consent import CORRECTIONS_BATCH, correcting_batch, corrections_for, lowered, withheld
from syncengine.dispatch.preparing import Form
from syncengine.events import Corrected, Observe, PeopleLeft
from syncengine.frames import BATCH
from syncengine.leaving import joined
from syncengine.model import Outcome, Verdict
from syncengine.ports import Batch, Correction, Entry, Heard, News, Owed, Paid
from syncengine.settlement import Settled

LOOK_EVERY: Final = 1.0  #: seconds
NOT_OFTENER: Final = 0.2  #: seconds, however many batches leave
CORRECTIONS_A_REQUEST: Final = 100

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
Decide = Callable[[Batch], Awaitable[tuple[Settled | None, bool]]]


class Patience(Protocol):
    """Whether the run is asked to stop, and a sleep that ends then."""

    @property
    def requested(self) -> bool: ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Past:
    """What was so before this process began: all empty for a plan just made.

    off       people (address → kind) who left since the plan was made, as far as known
    sent      batches of which something may have been sent
    doubts    of these, the ones an attempt of which may still be carried out: batch → Unix time it was given up
    owed      corrections not paid yet
    corrected addresses for whom this run owed a correction before
    """

    off: Mapping[str, str] = field(default_factory=dict)
    sent: frozenset[int] = frozenset()
    doubts: Mapping[int, float] = field(default_factory=dict)
    owed: Sequence[Correction] = ()
    corrected: frozenset[str] = frozenset()


@dataclass(slots=True)
class Watch:
    """One run's look-out. It looks before requests leave, though not oftener than `NOT_OFTENER`, and every second.

    news    what came behind an event's number; blocking
    rows    the plan's rows about these people that say they are subscribed, with `batch`; blocking
    record  makes entries durable
    grace   seconds during which a request that was given up may still be carried out
    """

    run: str
    news: Callable[[int], News | None]
    heard_until: int
    rows: Callable[[Mapping[str, str]], pl.DataFrame]
    record: Callable[[Sequence[Entry]], Awaitable[None]]
    form: Form
    patience: Patience
    observe: Observe
    in_thread: InThread
    wall_clock: Callable[[], float]
    grace: float
    past: Past = field(default_factory=Past)
    corrected: set[str] = field(default_factory=set)  #: addresses, confirmed
    off: dict[str, str] = field(default_factory=dict)
    _sent: set[int] = field(init=False)
    _doubts: dict[int, float] = field(init=False)
    _flights: dict[int, anyio.Event] = field(default_factory=dict)
    _lowered: dict[int, tuple[int, Batch]] = field(default_factory=dict)
    _looking: anyio.Lock = field(default_factory=anyio.Lock)
    _looked_at: float = float("-inf")
    _open: int = 0  #: corrections under way, those that wait for their time included
    _paying: int = 0  #: of these, being sent
    _idle: anyio.Event = field(default_factory=anyio.Event)
    _decide: Decide | None = None
    _group: TaskGroup | None = None

    def __post_init__(self) -> None:
        self._sent = set(self.past.sent)
        self._doubts = dict(self.past.doubts)

    # -- for the dispatcher ------------------------------------------------------------------------------------------

    async def begin(self, group: TaskGroup, decide: Decide) -> None:
        """Take up what the past left, and look around from now on. `decide` sends a batch and gives its outcome."""
        self._group, self._decide = group, decide
        for due, owed in groupby(self.past.owed, key=lambda one: one.due):
            self._start(self._pay_when_due, list(owed), due)
        if self.past.off:
            await self._react(self.past.off, without=self.past.corrected)
        await self.look()
        group.start_soon(self._look_around)

    async def end(self) -> None:
        """The last batch is settled: look once more; return when all that is owed is paid, or a stop is asked for."""
        await self.look(now=True)
        while self._open and not (self.patience.requested and not self._paying):
            with anyio.move_on_after(LOOK_EVERY):
                await self._idle.wait()
            await self.look(now=True)

    async def look(self, *, now: bool = False) -> None:
        """Take up news, if there is any. Raises StateError if nobody can tell."""
        if not now and anyio.current_time() - self._looked_at < NOT_OFTENER:
            return
        self._looked_at = anyio.current_time()
        async with self._looking:
            news: News | None = await self.in_thread(lambda: self.news(self.heard_until))
            if news is None:
                return
            self.heard_until = news.through
            await self._react({word.address: word.kind for word in joined(news.words).values()}, news=news)

    def withheld(self, batch: Batch) -> dict[int, Verdict]:
        """Who of a batch that is about to begin is not to be sent any more."""
        self._flights[batch.number] = anyio.Event()
        return withheld(batch, self.off) if self.off else {}

    def leaving(self, batch: Batch) -> Batch:
        """The batch as it may leave now. From here on it counts as sent."""
        if batch.number == CORRECTIONS_BATCH:
            return batch
        self._sent.add(batch.number)
        if not self.off:
            return batch
        known, current = self._lowered.get(batch.number, (0, batch))
        if known != len(self.off):
            current = lowered(current, self.off, self.form)
            self._lowered[batch.number] = (len(self.off), current)
        return current

    def landed(self, batch: Batch, *, in_doubt: bool) -> None:
        """Nothing of the batch is in flight any more."""
        if in_doubt:
            self._doubts[batch.number] = self.wall_clock()
        self._lowered.pop(batch.number, None)
        self._flights.pop(batch.number).set()

    # -- news --------------------------------------------------------------------------------------------------------

    async def _look_around(self) -> None:
        while True:
            await anyio.sleep(LOOK_EVERY)
            await self.look()

    async def _react(
        self, people: Mapping[str, str], *, news: News | None = None, without: frozenset[str] = frozenset()
    ) -> None:
        self.off.update(people)  # before anything is awaited: whoever leaves from here on leaves as unsubscribed
        sent = frozenset(self._sent)
        if news is not None:
            await self.record([Heard(news)])
            self.observe(PeopleLeft(len(people)))
        rows: pl.DataFrame = await self.in_thread(lambda: self.rows(people))
        late = rows.filter(pl.col(BATCH).is_in(pl.Series(list(sent), dtype=pl.UInt32).implode()))
        for (batch,), part in late.partition_by(BATCH, as_dict=True, maintain_order=True).items():
            owed = [
                one for one in corrections_for(part, due=self.wall_clock(), run=self.run) if one.email not in without
            ]
            if owed:
                await self.record([Owed(tuple(owed))])
                self._start(self._correct, owed, int(batch))

    # -- corrections -------------------------------------------------------------------------------------------------

    def _start(self, work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        if self._group is None:
            return
        self._open += 1
        self._idle = anyio.Event() if self._idle.is_set() else self._idle
        self._group.start_soon(self._counted, work, *arguments)

    async def _counted(self, work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        try:
            await work(*arguments)
        finally:
            self._open -= 1
            if not self._open:
                self._idle.set()

    async def _correct(self, owed: Sequence[Correction], batch: int) -> None:
        """Never two requests at a time about one contact: what is in flight lands first."""
        flight = self._flights.get(batch)
        if flight is not None:
            await flight.wait()
        await self._pay(owed)
        given_up = self._doubts.get(batch)
        if given_up is not None:
            again = [replace(one, due=given_up + self.grace) for one in owed]
            await self.record([Owed(tuple(again))])
            await self._pay_when_due(again, given_up + self.grace)

    async def _pay_when_due(self, owed: Sequence[Correction], due: float) -> None:
        await self.patience.sleep(max(0.0, due - self.wall_clock()))
        if self.wall_clock() >= due:
            await self._pay(owed)

    async def _pay(self, owed: Sequence[Correction]) -> None:
        if self._decide is None:
            return
        for start in range(0, len(owed), CORRECTIONS_A_REQUEST):
            part = owed[start : start + CORRECTIONS_A_REQUEST]
            self._paying += 1
            try:
                settled, _ = await self._decide(correcting_batch(part, self.form))
            finally:
                self._paying -= 1
            if settled is None:
                return  # a stop was asked for, and no answer came: the next run pays
            await self._note(part, settled)

    async def _note(self, owed: Sequence[Correction], settled: Settled) -> None:
        """Confirmed and refused ones are paid; what nobody could tell stays owed."""
        verdicts = [settled.verdicts.get(position, Verdict(Outcome.CONFIRMED)) for position in range(len(owed))]
        known = [(one, verdict) for one, verdict in zip(owed, verdicts, strict=True) if _is_known(verdict)]
        await self.record([
            Paid(tuple(one for one, _ in known), tuple(_words(verdict) for _, verdict in known), self.wall_clock())
        ])  # fmt: skip
        confirmed = {one.email for one, verdict in known if verdict.outcome is Outcome.CONFIRMED}
        self.corrected |= confirmed
        self.observe(Corrected(len(confirmed), len(owed) - len(confirmed)))


def _is_known(verdict: Verdict) -> bool:
    return verdict.outcome is not Outcome.UNRESOLVED


def _words(verdict: Verdict) -> str:
    return " ".join(filter(None, (verdict.outcome.value, verdict.code, verdict.text)))
