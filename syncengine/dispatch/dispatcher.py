"""Carries out a frozen plan: wave by wave, batches at the same time, each until every contact of it is decided.

Who does what: `settlement` decides which request is next, `retry` and `circuit` when it may leave, `pressure` how many
are in flight, the destination's pacer how fast they go. Here they are only brought together.
"""

import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import anyio
import polars as pl
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from anyio.streams.memory import MemoryObjectReceiveStream

from syncengine.catalogue import Family, Reading, read_text
from syncengine.dispatch.circuit import Circuit
from syncengine.dispatch.circumstances import circumstances_of
from syncengine.dispatch.preparing import prepared
from syncengine.dispatch.pressure import Pressure
from syncengine.dispatch.recorder import Recorder
from syncengine.dispatch.retry import HOPELESS_AFTER, Backoff, may_arrive_late, overloaded
from syncengine.dispatch.telling import first_told, refused
from syncengine.dispatch.terms import Experience, first_form, on_exists, terms_for
from syncengine.dispatch.waiting import waiting
from syncengine.dispatch.watch import Watch
from syncengine.events import (
    BatchSettled,
    ContactRefused,
    Observe,
    RequestAnswered,
    RetryPlanned,
    WaitingForLateRequests,
    WaveBegan,
)
from syncengine.frames import KEY, ROW
from syncengine.model import GRACE, Accepted, Answer, Call, Consent, Fatal, Mode, NoAnswer, Op, Outcome, Verdict
from syncengine.ports import Batch, Destination, Done, Entry, Intended, Released
from syncengine.settlement import Ask, Settled, Terms, settle


class Stop(Protocol):
    """Whether the run is asked to stop."""

    @property
    def requested(self) -> bool: ...

    async def sleep(self, seconds: float) -> None:
        """Sleep, or return early when a stop is requested."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """A wave as far as it is still to be done. `slices` are plan rows with `batch`, whole batches, in order.

    Nothing of it leaves before `not_before` (Unix seconds). `occupied` are addresses that were to become free for it,
    and did not.
    """

    op: Op
    known: bool
    not_before: float
    contacts: int
    done: int
    slices: Iterable[pl.DataFrame]
    occupied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the job allows: decides the terms of each batch."""

    mode: Mode
    consent: Consent


T = TypeVar("T")


class InThread(Protocol):
    """Runs blocking work off the event loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(slots=True)
class Dispatcher:
    """Sends what it is given. `restore_variable` creates a variable the service has lost, and says whether it could."""

    destination: Destination
    recorder: Recorder[Entry]
    pressure: Pressure
    circuit: Circuit
    rules: Rules
    stop: Stop
    observe: Observe
    restore_variable: Callable[[str], Awaitable[bool]]
    in_thread: InThread
    wall_clock: Callable[[], float]  #: Unix seconds
    concurrency: int = 8
    max_requests: int | None = None
    chance: random.Random = field(default_factory=random.Random)
    backoff: Backoff = field(default_factory=Backoff)
    experience: Experience = field(default_factory=Experience)
    begun_before: Collection[int] = frozenset()  #: batches an earlier process began to send and did not settle
    watch: Watch | None = None  #: who leaves meanwhile; None: nobody tells
    occupied: frozenset[str] = frozenset()
    off: pl.Series = field(default_factory=lambda: pl.Series("off", [], dtype=pl.String))  #: addresses, when it began
    in_flight: int = 0
    retries: int = 0
    _begun: int = 0  #: requests made before the first batch, and batches since: some may not have left yet
    _waiting: set[int] = field(default_factory=set)  #: batches intended and not begun

    async def carry_out(self, waves: Iterable[Work]) -> bool:
        """All waves, one after the other; gives whether everything was decided. False: a stop was requested.

        Raises RefusedError when the service refuses token or list, UnavailableError after too long an outage.
        """
        complete = True
        self._begun = self.destination.requests
        try:
            async with anyio.create_task_group() as recording:
                recording.start_soon(self.recorder.serve)
                complete = await self._watched(waves)
                recording.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise first_told(group) from group
        return complete

    async def _watched(self, waves: Iterable[Work]) -> bool:
        if self.watch is None:
            return await self._waves(waves)
        complete = False
        async with anyio.create_task_group() as watching:
            await self.watch.begin(watching, self._correct)
            complete = await self._waves(waves)
            await self.watch.end()
            watching.cancel_scope.cancel()
        return complete

    async def _waves(self, waves: Iterable[Work]) -> bool:
        for work in waves:
            self.observe(WaveBegan(work.op, work.contacts, work.done))
            if not await self._wave(work):
                return False
        return True

    async def _wave(self, work: Work) -> bool:
        self.occupied = work.occupied
        wait = min(work.not_before - self.wall_clock(), GRACE)  # more, and the clock on the wall was set back
        if wait > 0:
            self.observe(WaitingForLateRequests(work.op, work.contacts, wait))
            await self.stop.sleep(wait)
        give, take = anyio.create_memory_object_stream[Batch](max_buffer_size=self.concurrency)
        ready, next_few = anyio.create_memory_object_stream[list[Batch]](max_buffer_size=0)
        complete = False
        async with anyio.create_task_group() as senders:
            for _ in range(self.concurrency):
                senders.start_soon(self._sender, take.clone())
            take.close()
            senders.start_soon(self._prepare, work, ready)
            complete = await self._feed(next_few, give)
        if self._waiting:  # a stop; else the next run would have to wait for requests that nobody made
            await self.recorder.record([Released(number) for number in sorted(self._waiting)])
            self._waiting.clear()
        return complete and not self._must_stop()

    async def _prepare(self, work: Work, ready: ObjectSendStream[list[Batch]]) -> None:
        """The next few batches are made while those before them are sent."""
        exists = on_exists(self.rules.mode, self.rules.consent)

        def likely() -> Call:
            return first_form(work.op, exists, self.experience)

        every = (
            few
            for rows in work.slices
            for few in prepared(rows, self.destination, likely, op=work.op, known=work.known)
        )
        async with ready:
            while (batches := await self.in_thread(lambda: next(every, None))) is not None:
                try:
                    await ready.send(batches)
                except anyio.BrokenResourceError:
                    return  # a stop: nobody wants them any more

    async def _feed(self, ready: ObjectReceiveStream[list[Batch]], give: ObjectSendStream[Batch]) -> bool:
        async with ready, give:
            async for batches in ready:
                if self._must_stop():
                    return False
                now = self.wall_clock()
                await self.recorder.record([Intended(batch.number, now) for batch in batches])
                self._waiting.update(batch.number for batch in batches)
                for batch in batches:
                    try:
                        await give.send(batch)
                    except anyio.BrokenResourceError:
                        return False  # no sender is left: what ended them is told by their group
        return True

    def _must_stop(self) -> bool:
        spent = self.max_requests is not None and max(self._begun, self.destination.requests) >= self.max_requests
        return spent or self.stop.requested

    # -- one sender --------------------------------------------------------------------------------------------------

    async def _sender(self, take: MemoryObjectReceiveStream[Batch]) -> None:
        async with take:
            while (batch := await _next(take)) is not None:
                if self._must_stop():
                    continue  # taken in before the stop, and not begun: left for the next run
                self.in_flight += 1
                self._begun += 1
                self._waiting.discard(batch.number)
                try:
                    await self._settle(batch)
                finally:
                    self.in_flight -= 1

    async def _settle(self, batch: Batch) -> None:
        terms = terms_for(
            batch.op,
            known=batch.known,
            mode=self.rules.mode,
            consent=self.rules.consent,
            experience=self.experience,
        )
        withheld = waiting(batch.contacts, self.occupied) | ({} if self.watch is None else self.watch.withheld(batch))
        in_doubt = False
        try:
            settled, in_doubt = await self._decide(batch, terms, withheld)
            if settled is None:
                return
            await self.recorder.record([Done(batch.number, settled, self.wall_clock(), in_doubt)])
        finally:
            if self.watch is not None:
                self.watch.landed(batch, in_doubt=in_doubt)
        if not in_doubt and batch.number not in self.begun_before:  # else who exists may be of our own making
            self.experience.learn(settled)
        self._tell(batch, settled)

    async def _correct(self, batch: Batch) -> tuple[Settled | None, bool]:
        """Say that people are unsubscribed who left while they were sent as subscribed. Whoever is gone is gone."""
        terms = Terms(Op.UNSUBSCRIBE, known=True, may_add=False, largest=self.experience.largest)
        self.in_flight += 1
        try:
            return await self._decide(batch, terms, {})
        finally:
            self.in_flight -= 1

    async def _decide(self, batch: Batch, terms: Terms, withheld: Mapping[int, Verdict]) -> tuple[Settled | None, bool]:
        """The outcome of a batch, and whether an attempt may still be carried out late. No outcome (None): a stop was
        requested and no answer came, so that the batch stays intended.
        """
        lost = _Lost(int(batch.number in self.begun_before))
        machine = settle(
            batch.size, terms, circumstances_of(batch, lambda: lost.attempts, self._off_by_now), withheld=withheld
        )
        in_doubt = False
        try:
            ask = next(machine)
            while True:
                answer, unanswered = await self._answer(batch, ask, lost)
                in_doubt |= unanswered
                if answer is None:
                    return None, in_doubt
                ask = machine.send(answer)
        except StopIteration as end:
            settled: Settled = end.value
        return settled, in_doubt

    def _off_by_now(self) -> tuple[pl.Series, Mapping[str, str]]:
        return self.off, self.watch.off if self.watch is not None else {}

    async def _answer(self, batch: Batch, ask: Ask, lost: "_Lost") -> tuple[Answer | None, bool]:
        """The answer to one request, sent as often as it takes; and whether an attempt may still be applied late.

        No answer at all (None) means that a stop was requested meanwhile. NoAnswer means that this request never
        gets one while others do.
        """
        attempt = 0
        in_doubt = False
        answered_before = self.circuit.successes
        restored: set[str] = set()
        while True:
            attempt += 1
            answer = await self._attempt(batch, ask)
            if not isinstance(answer, NoAnswer):
                name = _missing_variable(answer)
                if name is None or name in restored or not await self.restore_variable(name):
                    return answer, in_doubt
                restored.add(name)
                continue
            in_doubt |= may_arrive_late(answer)
            lost.attempts += answer.sent
            if attempt >= HOPELESS_AFTER and self._is_alone(answer, answered_before):
                return answer, in_doubt
            if self._must_stop():
                return None, in_doubt
            wait = self.backoff.wait(attempt, self.chance.random())
            self.retries += 1
            after = max(wait, answer.retry_after or 0.0)  # the door holds everybody as long as the service asks
            self.observe(RetryPlanned(ask.call, len(ask.positions), attempt, after, answer.reason))
            await self.stop.sleep(wait)
            if self._must_stop():
                return None, in_doubt

    def _is_alone(self, answer: NoAnswer, answered_before: int) -> bool:
        """Whether this request fails while the service works: others were answered, or it answers with a plain 500."""
        others_pass = self.circuit.successes > answered_before
        nobody_else = self.in_flight == 1 and answer.status == 500
        return others_pass or nobody_else

    async def _attempt(self, batch: Batch, ask: Ask) -> Answer:
        async with self.pressure, self.circuit.turn(self.chance.random()):
            if self.watch is not None:
                await self.watch.look()
                batch = self.watch.leaving(batch)
            left_at = anyio.current_time()
            answer = await self.destination.submit(batch, ask)
            took = anyio.current_time() - left_at
            match answer:
                case NoAnswer(reason, status=status):
                    self.observe(RequestAnswered(ask.call, len(ask.positions), took, reason, status))
                    if overloaded(answer):
                        self.pressure.overloaded(left_at)
                    self.circuit.failed(answer)
                case Fatal(code, text):
                    self.observe(RequestAnswered(ask.call, len(ask.positions), took, text))
                    raise refused(code, text)
                case _:
                    self.observe(RequestAnswered(ask.call, len(ask.positions), took))
                    self.pressure.relieved()
                    self.circuit.succeeded()
                    self._learn_limit(answer, ask)
            return answer

    def _learn_limit(self, answer: Answer, ask: Ask) -> None:
        if any(reading.family is Family.LIMIT for reading in _readings(answer)):
            self.experience.largest = min(self.experience.largest, max(1, len(ask.positions) // 2))

    def _tell(self, batch: Batch, settled: Settled) -> None:
        confirmed = settled.count(Outcome.CONFIRMED)
        self.observe(BatchSettled(batch.number, batch.op, batch.size, confirmed, settled.verdicts))
        for position, verdict in settled.verdicts.items():
            if verdict.outcome is not Outcome.CONFIRMED:
                key, row = batch.contacts.select(KEY, ROW).row(position)
                self.observe(ContactRefused(key, row, batch.op, verdict))


async def _next(take: MemoryObjectReceiveStream[Batch]) -> Batch | None:
    """The next batch, at once if there is one: `receive` lets everybody else go first. None: there is none left."""
    try:
        try:
            return take.receive_nowait()
        except anyio.WouldBlock:
            return await take.receive()
    except anyio.EndOfStream:
        return None


@dataclass(slots=True)
class _Lost:
    """Attempts of a batch that may have been carried out without an answer that reached us."""

    attempts: int


def _readings(answer: Answer) -> list[Reading]:
    errors = () if isinstance(answer, Accepted | NoAnswer | Fatal) else answer.errors
    return [read_text(text) for text in errors]


def _missing_variable(answer: Answer) -> str | None:
    """The variable an answer says is not defined on the list, if any."""
    missing = (reading.variable for reading in _readings(answer) if reading.code == "variable-missing")
    return next(missing, None)
