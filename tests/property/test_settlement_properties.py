"""Against every kind of service a batch ends with the truth: nobody is called confirmed in vain, or blamed."""

from dataclasses import dataclass, field
from enum import Enum, auto

from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.model import Accepted, Answer, Call, Declined, Op, Outcome, Partial
from syncengine.settlement import BEYOND_MINIMUM, MINIMUM, Ask, Circumstances, OnExists, Settled, Terms, settle


class Adding(Enum):
    ATOMIC = auto()
    PARTIAL = auto()
    STOP_AT_FIRST = auto()


class Naming(Enum):
    DOCUMENTED = auto()
    NOBODY = auto()
    MERGED = auto()  #: unnamed, and equal texts told once
    CUT = auto()  #: documented, but only the first three are told


class Ids(Enum):
    RIGHT = auto()
    SHORT = auto()


def address(position: int) -> str:
    return f"user{position}@example.com"


@dataclass
class Service:
    """A list that holds some contacts, and never takes some others."""

    adding: Adding
    naming: Naming
    ids: Ids
    present: set[int]
    refused: frozenset[int]
    applied: set[int] = field(default_factory=set)
    updated: set[int] = field(default_factory=set)  #: of those that were there before us
    before: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.before = frozenset(self.present)

    def __call__(self, ask: Ask) -> Answer:
        if ask.call is Call.ADD:
            return self._add(ask.positions)
        errors = [error for position in ask.positions if (error := self._update(position))]
        done = len(ask.positions) - len(errors)
        if not errors and self.ids is Ids.RIGHT:
            return Accepted()
        ids = done - 1 if self.ids is Ids.SHORT and len(ask.positions) > 1 and done else done
        if not errors and ids == len(ask.positions):
            return Accepted()
        return Partial(ids, self._told(errors))

    def _update(self, position: int) -> str:
        if position in self.refused:
            return self._text("Contact {} is on the black list", position)
        if position not in self.present:
            return self._text("Unable to find email {} in email list listId", position)
        self.applied.add(position)
        if position in self.before:
            self.updated.add(position)
        return ""

    def _add(self, positions: tuple[int, ...]) -> Answer:
        errors: list[str] = []
        stored: list[int] = []
        for position in positions:
            if position in self.refused:
                errors.append(self._text("Contact {} is on the black list", position))
            elif position in self.present:
                errors.append(self._text("Contact with email {} already exists", position))
            else:
                stored.append(position)
                continue
            if self.adding is Adding.STOP_AT_FIRST:
                break
        if not errors or self.adding is not Adding.ATOMIC:
            self.present.update(stored)
            self.applied.update(stored)
        return Declined(self._told(errors)) if errors else Accepted()

    def _text(self, template: str, position: int) -> str:
        named = self.naming in {Naming.DOCUMENTED, Naming.CUT}
        return template.format(address(position)) if named else "The operation failed"

    def _told(self, errors: list[str]) -> tuple[str, ...]:
        match self.naming:
            case Naming.MERGED:
                return tuple(dict.fromkeys(errors))
            case Naming.CUT:
                return tuple(errors[:3])
            case _:
                return tuple(errors)


def carry_out(size: int, terms: Terms, service: Service) -> tuple[Settled, int]:
    about = Circumstances(lambda: [(address(position),) for position in range(size)], lambda _: set())
    machine = settle(size, terms, about)
    requests = 0
    try:
        ask = next(machine)
        while True:
            requests += 1
            ask = machine.send(service(ask))
    except StopIteration as end:
        return end.value, requests


def assert_true_as_far_as_it_goes(settled: Settled, service: Service, requests: int) -> None:
    """Verdicts are true; unresolved is for what the budget did not reach."""
    by_outcome = {
        outcome: {position for position, verdict in settled.verdicts.items() if verdict.outcome is outcome}
        for outcome in Outcome
    }
    confirmed = set(range(settled.size)) - settled.verdicts.keys()
    budget = MINIMUM + BEYOND_MINIMUM * settled.size
    assert confirmed <= service.applied - service.refused
    assert by_outcome[Outcome.REJECTED] <= service.refused
    assert requests <= budget
    assert not by_outcome[Outcome.UNRESOLVED] or requests == budget


@st.composite
def services(draw: st.DrawFn, *, size: int) -> Service:
    everybody = st.integers(0, size - 1)
    return Service(
        draw(st.sampled_from(Adding)),
        draw(st.sampled_from(Naming)),
        draw(st.sampled_from(Ids)),
        draw(st.sets(everybody)),
        draw(st.frozensets(everybody, max_size=4)),
    )


@settings(max_examples=400, deadline=None)
@given(st.data(), st.integers(1, 40), st.sampled_from([Call.ADD, Call.UPDATE]))
def test_contacts_unknown_to_us_end_as_they_are_on_the_list(data: st.DataObject, size: int, first: Call) -> None:
    service = data.draw(services(size=size))
    terms = Terms(Op.ADD, known=False, may_add=True, first=first)

    settled, requests = carry_out(size, terms, service)

    assert_true_as_far_as_it_goes(settled, service, requests)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 40))
def test_contacts_known_to_us_end_as_they_are_on_the_list(data: st.DataObject, size: int) -> None:
    service = data.draw(services(size=size))
    service.present |= set(range(size))

    settled, requests = carry_out(size, Terms(Op.UPDATE, known=True, may_add=True), service)

    assert_true_as_far_as_it_goes(settled, service, requests)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 40))
def test_under_keep_nobody_who_was_there_before_is_touched(data: st.DataObject, size: int) -> None:
    service = data.draw(services(size=size))
    terms = Terms(Op.ADD, known=False, may_add=True, on_exists=OnExists.HOLD)

    settled, _ = carry_out(size, terms, service)

    confirmed = set(range(size)) - settled.verdicts.keys()
    assert service.updated == set()
    assert confirmed <= service.applied
    assert not confirmed & service.before
