"""Renames, which can't be asked for twice: whoever is renamed is not found under the old address any more."""

from dataclasses import dataclass, field
from enum import Enum, auto

from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.model import Accepted, Answer, Call, Declined, Op, Outcome, Partial
from syncengine.settlement import BEYOND_MINIMUM, MINIMUM, Ask, Circumstances, Names, Settled, Terms, settle


class Naming(Enum):
    RIGHT = auto()
    NOBODY = auto()
    OTHERS = auto()  #: somebody else of the request, where there is somebody


class Words(Enum):
    PLAIN = auto()
    OPAQUE = auto()


def old(position: int) -> str:
    return f"old{position}@example.com"


def new(position: int) -> str:
    return f"new{position}@example.com"


@dataclass
class Service:
    """A list of contacts under old addresses; strangers have some of the new ones."""

    naming: Naming
    words: Words
    counted: bool
    atomic: bool
    at_old: set[int]
    strangers: frozenset[int]
    refused: frozenset[int]
    at_new: set[int] = field(default_factory=set)
    overwritten: set[int] = field(default_factory=set)  #: strangers who were given another's content

    def __call__(self, ask: Ask) -> Answer:
        if ask.call is Call.ADD:
            return self._add(ask.positions)
        judge = self._why_not_renamed if ask.call is Call.RENAME else self._why_not_updated
        failed = {position: why for position in ask.positions if (why := judge(position))}
        told = self._told(ask.positions, failed)
        if failed and self.atomic:
            return Partial(0, told) if self.counted and len(told) == len(ask.positions) else Declined(told)
        for position in set(ask.positions) - failed.keys():
            self._apply(position, ask.call)
        if not failed:
            return Accepted()
        return Partial(len(ask.positions) - len(failed), told) if self.counted else Declined(told)

    def _why_not_renamed(self, position: int) -> str:
        if position in self.refused:
            return "Contact {} is on the black list"
        if position not in self.at_old:
            return "Unable to find email {} in email list listId"
        return "Contact with email {} already exists" if position in self.strangers else ""

    def _why_not_updated(self, position: int) -> str:
        if position in self.at_new | self.strangers:
            return ""
        return "Unable to find email {} in email list listId"

    def _apply(self, position: int, call: Call) -> None:
        if call is Call.RENAME:
            self.at_old.discard(position)
            self.at_new.add(position)
        elif position in self.strangers:
            self.overwritten.add(position)

    def _add(self, positions: tuple[int, ...]) -> Answer:
        failed = {
            position: "Contact with email {} already exists"
            for position in positions
            if position in self.at_new | self.strangers
        }
        if failed:
            return Declined(self._told(positions, failed))
        self.at_new.update(positions)
        return Accepted()

    def _told(self, asked: tuple[int, ...], failed: dict[int, str]) -> tuple[str, ...]:
        return tuple(self._text(why, position, asked) for position, why in failed.items())

    def _text(self, why: str, position: int, asked: tuple[int, ...]) -> str:
        if self.words is Words.OPAQUE:
            why = "Contact {} could not be saved"
        if self.naming is Naming.NOBODY:
            return why.replace("{} ", "")
        others = [one for one in asked if one != position]
        named = others[position % len(others)] if self.naming is Naming.OTHERS and others else position
        return why.format(old(named))


@st.composite
def services(draw: st.DrawFn, size: int) -> Service:
    few = st.frozensets(st.integers(0, size - 1), max_size=3)
    return Service(
        draw(st.sampled_from(Naming)),
        draw(st.sampled_from(Words)),
        draw(st.booleans()),
        draw(st.booleans()),
        set(range(size)) - draw(few),
        draw(few),
        draw(few),
    )


def carry_out(size: int, terms: Terms, service: Service) -> tuple[Settled, int]:
    about = Circumstances(lambda: [(old(position), new(position)) for position in range(size)], lambda _: set())
    machine = settle(size, terms, about)
    requests = 0
    try:
        ask = next(machine)
        while True:
            requests += 1
            ask = machine.send(service(ask))
    except StopIteration as end:
        return end.value, requests


@settings(max_examples=600, deadline=None)
@given(st.data(), st.integers(1, 12))
def test_renames_are_confirmed_and_refused_only_where_that_is_true(data: st.DataObject, size: int) -> None:
    service = data.draw(services(size))
    may_add = data.draw(st.booleans())
    names = data.draw(st.sampled_from([Names.PROVEN, Names.UNPROVEN]))
    if service.naming is not Naming.RIGHT:
        names = Names.UNPROVEN
    if not service.counted and (service.words is Words.OPAQUE or service.naming is Naming.NOBODY):
        service.atomic = True  # else nothing at all tells that some were renamed: who is refused twice is refused
    before = frozenset(service.at_old)

    settled, requests = carry_out(size, Terms(Op.RENAME, known=True, may_add=may_add, names=names), service)

    confirmed = set(range(size)) - settled.verdicts.keys()
    rejected = {at for at, verdict in settled.verdicts.items() if verdict.outcome is Outcome.REJECTED}
    assert confirmed <= service.at_new | service.overwritten
    assert not rejected & service.at_new
    assert not service.overwritten & service.at_old  # a stranger may get the content of who is not there any more
    assert may_add or not service.overwritten & before
    assert requests <= MINIMUM + BEYOND_MINIMUM * size


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(1, 12))
def test_with_plain_words_about_the_right_contact_no_rename_stays_open(data: st.DataObject, size: int) -> None:
    service = data.draw(services(size))
    service.naming, service.words = Naming.RIGHT, Words.PLAIN

    settled, requests = carry_out(size, Terms(Op.RENAME, known=True, may_add=True), service)

    assert not settled.count(Outcome.UNRESOLVED) or requests == MINIMUM + BEYOND_MINIMUM * size
