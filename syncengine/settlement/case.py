"""The terms of a settlement, and the file of one batch while it is settled."""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from syncengine.attribution import AddressBook, Blame, Complaint, Named, attribute, whom_it_names
from syncengine.catalogue import Family
from syncengine.errors import InternalError
from syncengine.model import Answer, Call, Op, Outcome, Verdict

MINIMUM: Final = 3  #: requests for a batch of which some exist, some don't, and all are named
BEYOND_MINIMUM: Final = 2  #: requests a contact


class OnExists(Enum):
    """What to do with a contact we wanted to add and the list has already."""

    UPDATE = auto()  #: the file decides: send the same content as an update
    HOLD = auto()  #: `consent = "keep"`: its consent is unknown to us
    REJECT = auto()  #: `mode = "add"`


class Names(Enum):
    """Whether the addresses in the service's errors can be relied on."""

    UNPROVEN = auto()
    PROVEN = auto()  #: an error about a lone contact named that contact
    MISLEADING = auto()  #: one named somebody else, or a contact it had nothing to complain about


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be done for the contacts of a batch, all of one operation.

    `known` contacts are in the state. `may_add` allows to add those the list turns out not to have. `first` is
    the call to begin with for contacts we don't know.
    """

    op: Op
    known: bool
    may_add: bool
    on_exists: OnExists = OnExists.UPDATE
    first: Call = Call.ADD
    largest: int = 100  #: contacts of one request, at most
    names: Names = Names.PROVEN
    stores_nothing: bool = False  #: of an add that is not plainly accepted, as far as seen


@dataclass(frozen=True, slots=True)
class Ask:
    """A request wanted: `call` for the contacts at `positions` of the batch, in order."""

    call: Call
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """Every contact of the batch decided. Positions not in `verdicts` are confirmed.

    `existed` and `created` count contacts, unknown before, that turned out to be on the list or not; `obscure` those of
    which it stays unknown whether the list had them before us or has them from us. `names` and `stores_nothing` are
    what the service has shown of itself.
    """

    size: int
    verdicts: Mapping[int, Verdict]
    existed: int = 0
    created: int = 0
    obscure: int = 0
    names: Names = Names.UNPROVEN
    stores_nothing: bool = False

    def count(self, outcome: Outcome) -> int:
        if not self.verdicts:
            return self.size if outcome is Outcome.CONFIRMED else 0
        others = Counter(verdict.outcome for verdict in self.verdicts.values())
        return others[outcome] + (self.size - len(self.verdicts) if outcome is Outcome.CONFIRMED else 0)


def _none_lost() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an error may refer to: the addresses of each contact, and who carries a variable. Built on demand.

    `lost` counts the attempts of this batch that may have been carried out without an answer that reached us; `doubted`
    are positions of contacts of which that holds since an earlier run.
    `left` tells which contacts are known to have left the list by the service's own word: where it has them no more,
    they are gone, and nobody puts them back, not even as unsubscribed.
    """

    addresses: Callable[[], Sequence[tuple[str, ...]]]
    carriers: Callable[[str], Collection[int]]
    lost: Callable[[], int] = _none_lost
    doubted: Callable[[], Collection[int]] = frozenset
    left: Callable[[], Collection[int]] = frozenset


Settlement = Generator[Ask, Answer, Settled]
Steps = Generator[Ask, Answer, None]
Group = tuple[int, ...]
Asker = Callable[[Group], Generator[Ask, Answer, object]]

GONE: Final = Verdict(Outcome.CONFIRMED, "gone")  #: asked to leave, and not there: what was wanted


class BudgetSpentError(Exception):
    """No request is left for this batch."""


@dataclass(slots=True)
class Belief:
    """What one counted answer made us believe: `cleared` are fine because `blamed` took all its errors."""

    blamed: frozenset[int]
    cleared: frozenset[int]


@dataclass(frozen=True, slots=True)
class DeclinedAdd:
    """An add of `group`, in this order, that was not plainly accepted and may have stored some of it.

    told      how many errors it was declined with
    named     who was named in them
    checked   its arguments were refused, which happens before anything is stored (smartsender.md §1.5)
    lost      it was given up, and may have been carried out unanswered, or was answered without a word: it proves
              nothing
    """

    group: Group
    told: int = 0
    named: frozenset[int] = frozenset()
    checked: bool = False
    lost: bool = False

    @property
    def last_named(self) -> int:
        """Place in `group` of the last contact that was named; -1: none was."""
        return max((place for place, position in enumerate(self.group) if position in self.named), default=-1)


@dataclass(slots=True)
class Case:
    """The file of one batch: verdicts so far, what each contact was told, and what waits for the other call."""

    size: int
    terms: Terms
    about: Circumstances
    open: set[int] = field(init=False)
    names: Names = field(init=False)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    told_exists: set[int] = field(default_factory=set)
    told_missing: set[int] = field(default_factory=set)
    not_updated: set[int] = field(default_factory=set)  #: an update of it failed: missing, or in words we don't know
    not_added: set[int] = field(default_factory=set)  #: an add of it alone failed in words we don't know
    add_sent: set[int] = field(default_factory=set)  #: may have been stored since an update of it last failed
    to_add: set[int] = field(default_factory=set)
    to_update: set[int] = field(default_factory=set)
    may_be_renamed: set[int] = field(default_factory=set)  #: by a request that was not accepted: asked again, they fail
    among_renamed: set[int] = field(default_factory=set)  #: those of them whose request did rename some
    told_alone: dict[int, Family] = field(default_factory=dict)  #: of what kind the last error of a lone contact was
    present: set[int] = field(default_factory=set)  #: an update found it
    created: set[int] = field(default_factory=set)  #: an add was accepted
    beliefs: list[Belief] = field(default_factory=list)
    declined: list[DeclinedAdd] = field(default_factory=list)  #: in order; looked at where nobody may be updated
    accepted_adds: list[Group] = field(default_factory=list)
    most_told: int = 0  #: errors in one answer to an add
    there: dict[int, Complaint] = field(default_factory=dict)  #: not added, perhaps because of an add of ours
    removal_declined: set[int] = field(default_factory=set)  #: in a removal that may have been carried out in part
    ids_mislead: bool = False  #: a lone update was answered with no id, or with two, and had been carried out
    obscure: int = 0
    asked: int = 0
    lost: int = 0  #: attempts that may have been carried out unanswered, as far as taken note of
    _book: AddressBook | None = None

    def __post_init__(self) -> None:
        self.open = set(range(self.size))
        self.names = self.terms.names
        self.note_lost(tuple(range(self.size)))

    def note_lost(self, group: Group) -> None:
        """Attempts about `group` may have got lost since this was last asked."""
        if self.about.lost() > self.lost:
            self.lost = self.about.lost()
            self.declined.append(DeclinedAdd(group, lost=True))

    @property
    def stores_nothing(self) -> bool:
        """Whether the service stores nothing of an add it declines.

        Whoever stores a part of it has stored the first contact, if that is a good one; so if the first one could be
        added afterwards, nothing was stored.
        """
        return self.terms.stores_nothing or any(
            self.was_added_later(add.group[0]) for add in self.declined if not (add.lost or add.checked)
        )

    def was_added_later(self, position: int) -> bool:
        return any(position in group for group in self.accepted_adds)

    @property
    def names_are_proven(self) -> bool:
        return self.names is Names.PROVEN

    @property
    def book(self) -> AddressBook:
        if self._book is None:
            self._book = AddressBook(self.about.addresses())
        return self._book

    def ask(self, call: Call, group: Group) -> Generator[Ask, Answer, Answer]:
        if self.asked >= MINIMUM + BEYOND_MINIMUM * self.size:
            raise BudgetSpentError
        self.asked += 1
        return (yield Ask(call, group))

    def confirm(self, group: Collection[int]) -> None:
        self.open.difference_update(group)

    def decide(self, position: int, verdict: Verdict) -> None:
        self.open.discard(position)
        self.verdicts[position] = verdict

    def reject(self, position: int, complaint: Complaint, code: str = "") -> None:
        self.decide(position, Verdict(Outcome.REJECTED, code or complaint.reading.code, complaint.text))

    def unresolved(self, position: int, code: str, text: str = "") -> None:
        self.decide(position, Verdict(Outcome.UNRESOLVED, code, text))

    def share_out(self, errors: Sequence[str], group: Group) -> Blame:
        """Who of `group` the errors are about. What they say of a lone contact shows whether names can be relied on."""
        if not errors:
            return Blame({}, (), 0)
        blame = attribute(errors, group, self.book)
        if len(group) == 1:
            self._learn_names(errors, group[0])
            self.told_alone[group[0]] = blame.all[0].reading.family
            return blame
        if self.names is Names.MISLEADING:
            return Blame({}, blame.all, blame.repeated)
        return blame

    def _learn_names(self, errors: Sequence[str], position: int) -> None:
        told = {whom_it_names(text, position, self.book) for text in errors}
        if Named.SOMEBODY_ELSE in told:
            self.names = Names.MISLEADING
        elif Named.THE_CONTACT in told and self.names is Names.UNPROVEN and position not in self.may_be_renamed:
            self.names = Names.PROVEN

    def settled(self) -> Settled:
        leftovers = {position: Verdict(Outcome.UNRESOLVED, "unattributable") for position in self.open}
        unknown = self.terms.op is Op.ADD
        waived = self.names is Names.MISLEADING and self.may_be_renamed  # they were not trusted: nothing is shown
        return Settled(
            self.size,
            self.verdicts | leftovers,
            existed=len((self.present | self.told_exists) - self.created) if unknown else 0,
            created=len(self.created) if unknown else 0,
            obscure=self.obscure,
            names=self.terms.names if waived else self.names,
            stores_nothing=self.stores_nothing,
        )


def fatal() -> InternalError:
    """The error for an answer that never comes here."""
    return InternalError("a fatal answer reached the settlement", why="the dispatcher stops the run at such an answer")
