"""Who watches a simulation and says what must never have happened. Each judge keeps to one promise.

A judge sees requests as they leave, the service's own list, and the files written; it asks the engine nothing.
"""

import asyncio
import json
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from syncengine.events import BatchSettled
from syncengine.model import Op, Outcome
from syncengine.sandbox.contacts import Contact, ContactList
from syncengine.simulation.network import Flight, Line
from syncengine.simulation.process import TOKEN, Process, Wanted
from syncengine.testing.campaign import leaks_in

Accuse = Callable[[str], None]
"""Told of each promise that was broken, in words."""


@dataclass(slots=True)
class OneAtATime:
    """Never two requests in flight for one contact."""

    accuse: Accuse
    in_flight: dict[str, int] = field(default_factory=dict)

    def leaves(self, flight: Flight) -> None:
        for address in flight.contacts:
            if address in self.in_flight:
                self.accuse(f"overlap: {address} is in requests {self.in_flight[address]} and {flight.number}")
            self.in_flight[address] = flight.number

    def lands(self, flight: Flight) -> None:
        for address in flight.contacts:
            self.in_flight.pop(address, None)


@dataclass(slots=True)
class SameVersion:
    """While an older request about a contact may still be carried out, nothing else is asked for it."""

    accuse: Accuse
    abandoned: list[Flight] = field(default_factory=list)

    def leaves(self, flight: Flight) -> None:
        self.abandoned = [one for one in self.abandoned if not one.over and not one.lost]
        for older in self.abandoned:
            for address in flight.contacts.keys() & older.contacts.keys():
                if flight.contacts[address] != older.contacts[address]:
                    self.accuse(
                        f"versions: request {flight.number} asks something new of {address} while request "
                        f"{older.number} may still arrive"
                    )

    def lands(self, flight: Flight) -> None:
        if not flight.over and not flight.lost:
            self.abandoned.append(flight)


@dataclass(slots=True)
class SaysActive:
    """`active` stands in every contact of every add and update, as true or false."""

    accuse: Accuse

    def leaves(self, flight: Flight) -> None:
        told = json.loads(flight.body)
        if "emails" in told or "variablesMetadata" in told:
            return
        for contact in told.get("contacts", [told]):
            if not isinstance(contact.get("parameters", contact).get("active"), bool):
                self.accuse(f"active: request {flight.number} leaves it out for {contact}")

    def lands(self, flight: Flight) -> None:
        """Nothing to see."""


@dataclass(slots=True)
class Polite:
    """Never more than `rate` requests in any second, over all processes and endpoints."""

    accuse: Accuse
    rate: float
    times: deque[float] = field(default_factory=deque)

    def leaves(self, flight: Flight) -> None:
        now = flight.left_at
        while self.times and now - self.times[0] >= 1.0:
            self.times.popleft()
        self.times.append(now)
        if len(self.times) > math.ceil(self.rate):  # 2.5 a second is 5 in two
            self.accuse(f"rate: {len(self.times)} requests within a second, {self.rate:g} are allowed")

    def lands(self, flight: Flight) -> None:
        """Nothing to see."""


@dataclass(slots=True)
class Bounded:
    """What is recorded as settled is never sent again, what left was recorded before, and a killed process leaves no
    more open than was in flight.
    """

    accuse: Accuse
    processes: Mapping[Line, Process]
    batch_of: dict[Line, dict[tuple[str, str], int]] = field(default_factory=dict)
    settled: dict[Line, set[int]] = field(default_factory=dict)
    begun: dict[Line, set[int]] = field(default_factory=dict)
    of_run: dict[str, tuple[set[int], set[int]]] = field(default_factory=dict)  #: run → settled and begun, by anybody

    def planned(self, process: Process) -> None:
        """A process is about to send."""
        line, prepared = process.line, process.prepared
        self.batch_of[line] = batches_by_subject(process.plan)
        self.settled[line] = set(prepared.done) if prepared is not None else set()
        self.begun[line] = set()
        if prepared is not None:
            settled, begun = self.of_run.setdefault(prepared.run, (set(), set()))
            if forgotten := settled - prepared.done:
                self.accuse(f"forgotten: batches {sorted(forgotten)} were settled, and the journal does not say so")
            if unnoted := begun - process.remembered:
                self.accuse(f"intent: batches {sorted(unnoted)} were sent, and the journal knows nothing of it")

    def leaves(self, flight: Flight) -> None:
        line = flight.line
        batches = {self.batch_of[line].get(subject) for subject in flight.subjects}
        for batch in batches & self.settled[line]:
            self.accuse(f"again: batch {batch} is settled, and request {flight.number} sends of it")
        if None in batches:
            self.accuse(f"stranger: request {flight.number} is about somebody who is not in the plan")
        begun = {batch for batch in batches if batch is not None}
        self.begun[line] |= begun
        self._of_run(self.processes[line])[1].update(begun)

    def lands(self, flight: Flight) -> None:
        """Nothing to see."""

    def is_settled(self, process: Process, event: BatchSettled) -> None:
        self.settled[process.line].add(event.batch)
        self._of_run(process)[0].add(event.batch)

    def killed(self, process: Process) -> int:
        """Contacts that were begun and not settled: those that are sent again."""
        line = process.line
        open_batches = self.begun.get(line, set()) - self.settled.get(line, set())
        contacts = sum(len(process.plan[batch]) for batch in open_batches)
        most = process.setting.concurrency * process.setting.batch_size
        if contacts > most:
            self.accuse(f"resend: {contacts} contacts were in flight when the process died, {most} are allowed")
        return contacts

    def _of_run(self, process: Process) -> tuple[set[int], set[int]]:
        run = process.prepared.run if process.prepared is not None else ""
        return self.of_run.setdefault(run, (set(), set()))


def batches_by_subject(plan: Mapping[int, Sequence[Wanted]]) -> dict[tuple[str, str], int]:
    """The batch of each subject a request of the plan may have; see `Flight`."""
    found: dict[tuple[str, str], int] = {}
    for batch, contacts in plan.items():
        for one in contacts:
            found[one.contact.lower(), "" if one.op is Op.REMOVE else one.email.lower()] = batch
    for batch, contacts in plan.items():
        for one in contacts:  # whoever has the new address already is asked for by it
            found.setdefault((one.email.lower(), one.email.lower()), batch)
    return found


@dataclass(slots=True)
class NoPhantoms:
    """What is recorded as confirmed is on the service's list, as it was to be, at that moment."""

    accuse: Accuse
    held: Callable[[], ContactList]
    variables_lost_at: int = -1  #: number of the last request before the list lost a variable

    def is_settled(self, process: Process, event: BatchSettled) -> None:
        for position, wanted in enumerate(process.plan[event.batch]):
            verdict = event.verdicts.get(position)
            if verdict is None or verdict.outcome is Outcome.CONFIRMED:
                gone = wanted.op is Op.REMOVE or (verdict is not None and verdict.code == "gone")
                self._confirmed(event.batch, wanted, gone=gone)

    def _confirmed(self, batch: int, wanted: Wanted, *, gone: bool) -> None:
        contact = self.held().find(wanted.email)
        still_there = "is still on the list" if contact is not None else ""
        problem = still_there if gone else self.difference(contact, wanted)
        if problem:
            self.accuse(f"phantom: {wanted.email} of batch {batch} ({wanted.op}) is confirmed and {problem}")

    def difference(self, contact: Contact | None, wanted: Wanted) -> str:
        """How the list's contact is not what was wanted, or nothing."""
        if contact is None:
            return "is not on the list"
        if contact.active is not wanted.active:
            return f"is active={contact.active} on the list"
        if wanted.name is not None and contact.name != wanted.name:
            return f"is called {contact.name!r}, not {wanted.name!r}"
        if contact.updated <= self.variables_lost_at and contact.created <= self.variables_lost_at:
            return ""
        held = contact.variables
        for one in json.loads(wanted.variables):
            if held.get(one["name"], "") != one["value"]:
                return f"has {one['name']}={held.get(one['name'])!r}, not {one['value']!r}"
        return ""


@dataclass(slots=True)
class Discreet:
    """The token is in no file, and addresses are only where they belong."""

    accuse: Accuse

    def files(self, folder: Path) -> None:
        """Look through every byte below `folder`."""
        for path in folder.rglob("*"):
            if path.is_file():
                for fault in leaks_in(str(path.relative_to(folder)), path.read_bytes(), TOKEN):
                    self.accuse(f"leak: {fault}")


def now() -> float:
    """Seconds of the simulation."""
    return asyncio.get_running_loop().time()
