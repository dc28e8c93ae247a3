"""The sending half of a run: variables first, then wave by wave."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from syncengine.conclude import (
    count,
    subscribed_rows,
)
from syncengine.dispatch.circuit import Circuit
from syncengine.dispatch.dispatcher import Dispatcher, Rules, Work
from syncengine.dispatch.pressure import Pressure
from syncengine.dispatch.recorder import Recorder
from syncengine.dispatch.variables import VariableKeeper
from syncengine.dispatch.watch import Past, Watch
from syncengine.events import RunBegan
from syncengine.frames import AFTER, FIELDS, FRAGMENT, SOURCE
from syncengine.late_requests import still_occupied, wait_for_renames
from syncengine.model import GRACE, Variable
from syncengine.ports import Done, Entry, Intended, Released
from syncengine.prepare import (
    Prepared,
)
from syncengine.sync.parts import Parts
from syncengine.uptake import Listening

_PACE_WINDOW: Final = 1.01  #: seconds; the rate is kept in any one-second window, across processes too


@dataclass(slots=True)
class Sending:
    """The sending half of a run, put together for one plan."""

    parts: Parts
    prepared: Prepared
    keeper: VariableKeeper = field(init=False)
    dispatcher: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        parts, prepared = self.parts, self.prepared
        circuit = Circuit(
            max_outage=parts.pace.max_outage, observe=parts.observe, sleep=parts.stop.sleep, service=parts.service
        )
        known = {variable.name: variable for variable in prepared.facts.variables}
        self.keeper = VariableKeeper(
            parts.destination,
            circuit,
            parts.stop,
            remember=self._remember,
            types={name: variable.type for name, variable in {**parts.state.variables(), **known}.items()},
            observe=parts.observe,
            chance=parts.chance,
        )
        self.dispatcher = Dispatcher(
            parts.destination,
            Recorder(self._record, parts.in_thread),
            Pressure(parts.pace.concurrency),
            circuit,
            Rules(parts.job.mode, parts.job.consent),
            parts.stop,
            parts.observe,
            self.keeper.restore,
            parts.in_thread,
            lambda: parts.now().timestamp(),
            concurrency=parts.pace.concurrency,
            max_requests=parts.pace.max_requests,
            chance=parts.chance,
            begun_before=parts.journal.doubtful_batches(prepared.run).keys() - prepared.done,
            off=parts.state.off(),
        )
        if parts.listening is not None:
            self.dispatcher.watch = self._watch(parts.listening)

    def _watch(self, listening: Listening) -> Watch:
        parts, prepared = self.parts, self.prepared
        inbox = listening.desk.inbox()
        now = parts.now().timestamp()
        doubts = parts.journal.doubtful_batches(prepared.run)
        past = Past(
            off=listening.book.people() if prepared.resumed else {},
            sent=frozenset(prepared.done | doubts.keys()),
            doubts={batch: now if since is None else since for batch, since in doubts.items()},
            owed=listening.book.owed(),
            corrected=frozenset(listening.book.corrected(prepared.run)),
        )
        return Watch(
            prepared.run,
            listening.desk.after,
            listening.book.recorded(inbox) if inbox is not None else 0,
            lambda people: subscribed_rows(prepared.plan, people),
            self.dispatcher.recorder.record,
            parts.destination,
            parts.stop,
            parts.observe,
            parts.in_thread,
            lambda: parts.now().timestamp(),
            GRACE,
            past,
        )

    async def carry_out(self) -> bool:
        """Variables first, then the waves that are left. Gives whether everything was decided."""
        plan, done = self.prepared.plan, self.prepared.done
        settled = count(self.prepared, self.parts.journal)
        self.parts.observe(
            RunBegan(self.prepared.run, self.parts.job.name, plan.contacts, plan.contacts - settled.pending)
        )
        if settled.pending:
            await self.parts.stop.sleep(self._still_busy())
            there = self.parts.state.variables()
            await self.keeper.ensure([one for one in self.prepared.facts.variables if one.name not in there])
        return await self.dispatcher.carry_out(self._waves(done))

    def _still_busy(self) -> float:
        """Seconds until the last second holds no request of a process before us, whose pace we do not know."""
        if self.prepared.resumed:
            return _PACE_WINDOW  # it died or gave up at we know not when
        ended = self.parts.journal.last_ended()
        if ended is None:
            return 0.0
        return min(max(_PACE_WINDOW - (self.parts.now() - ended).total_seconds(), 0.0), _PACE_WINDOW)

    def _waves(self, done: frozenset[int]) -> Iterator[Work]:
        for wave in self.prepared.plan.waves:
            settled = {batch for batch in done if wave.first_batch <= batch < wave.first_batch + wave.batches}
            if len(settled) < wave.batches:
                tally = self.parts.journal.tally(self.prepared.run, wave.first_batch, wave.batches)
                contacts_done = tally.confirmed + tally.rejected + tally.unresolved
                slices = self.prepared.plan.slices(wave, without=settled, but=(SOURCE, AFTER, FIELDS, FRAGMENT))
                late = wait_for_renames(self.prepared.plan, wave, self.parts.journal, self.prepared.run)
                not_before = max(wave.not_before, late)
                occupied = still_occupied(self.prepared.plan, wave, self.parts.journal, self.prepared.run)
                yield Work(wave.op, wave.known, not_before, wave.contacts, contacts_done, slices, occupied)

    def _record(self, entries: Sequence[Entry]) -> None:
        listening = self.parts.listening
        others = [one for one in entries if isinstance(one, Intended | Released | Done)]
        if listening is not None:
            listening.write(entries, self.parts.now())
        if others:
            self.parts.journal.record(self.prepared.run, others)

    async def _remember(self, variables: Sequence[Variable]) -> None:
        now = self.parts.now()
        await self.parts.in_thread(lambda: self.parts.state.remember_variables(variables, now, "created"))
