"""How the outcome of every contact of a batch is found out, whatever the service answers (DESIGN.md §5).

A pure state machine without IO: `settle` yields the requests it wants sent and is sent their answers, as
httpx does with its auth flows. It ends with a verdict for every contact.

Rules it keeps
 1. A contact is confirmed only by an answer that attributes success to it: a plain acceptance of a request it
    was in, or a counted one (ids + errors = contacts) in which every failure has been pinned on somebody else.
 2. An error that names one contact of the request belongs to it. But if a contact said to be missing turns out to
    exist, the error was somebody else's: what it cleared its neighbours of is withdrawn, and for the rest of the
    batch names count for nothing; contacts are told apart by asking about fewer of them.
 3. What stays doubtful is halved, or asked one by one where more than a third are bad or few are left. The counts
    of a well-formed answer save requests: a half whose number of failures is known is not asked as a whole.
 4. At most 2 requests a contact beyond the minimum; then `unresolved`, never a guess.
 5. Where the job may not update contacts it does not know (`consent = "keep"`), none is updated to find out.
"""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, assert_never

from syncengine.attribution import AddressBook, Blame, Complaint, attribute
from syncengine.catalogue import Family
from syncengine.errors import InternalError
from syncengine.model import (
    Accepted,
    Answer,
    Call,
    Declined,
    Fatal,
    NoAnswer,
    Op,
    Outcome,
    Partial,
    Verdict,
)

FEW: Final = 4  #: so few doubtful contacts are asked one by one: halving costs as many requests
MOSTLY_BAD: Final = 1 / 3  #: beyond this share, single requests beat any bisection (group testing: 0.38)
MINIMUM: Final = 3  #: requests for a batch of which some exist, some don't, and all are named
BEYOND_MINIMUM: Final = 2  #: requests a contact


class OnExists(Enum):
    """What to do with a contact we wanted to add and the list has already."""

    UPDATE = auto()  #: the file decides: send the same content as an update
    HOLD = auto()  #: `consent = "keep"`: its consent is unknown to us
    REJECT = auto()  #: `mode = "add"`


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
    largest: int = 100  #: contacts the service takes in one request, as far as known


@dataclass(frozen=True, slots=True)
class Ask:
    """A request wanted: `call` for the contacts at `positions` of the batch, in order."""

    call: Call
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """Every contact of the batch decided. Positions not in `verdicts` are confirmed.

    `existed` and `created` count contacts, unknown before, that turned out to be on the list or not.
    """

    size: int
    verdicts: Mapping[int, Verdict]
    existed: int = 0
    created: int = 0

    def count(self, outcome: Outcome) -> int:
        others = Counter(verdict.outcome for verdict in self.verdicts.values())
        return others[outcome] + (self.size - len(self.verdicts) if outcome is Outcome.CONFIRMED else 0)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an error may refer to: the addresses of each contact, and who carries a variable. Built on demand."""

    addresses: Callable[[], Sequence[tuple[str, ...]]]
    carriers: Callable[[str], Collection[int]]


Settlement = Generator[Ask, Answer, Settled]
_Steps = Generator[Ask, Answer, None]
_Group = tuple[int, ...]
_Asker = Callable[[_Group], Generator[Ask, Answer, object]]

GONE: Final = Verdict(Outcome.CONFIRMED, "gone")  #: asked to leave, and not there: what was wanted


def settle(size: int, terms: Terms, about: Circumstances) -> Settlement:
    """Yields requests until every one of `size` contacts has a verdict.

    `Fatal` answers are not for this machine: the caller stops the run instead of sending them in.
    """
    case = _Case(size, terms, about)
    try:
        for start in range(0, size, terms.largest):
            yield from _begin(case, tuple(range(start, min(start + terms.largest, size))))
        yield from _follow_up(case)
    except _BudgetSpentError:
        pass  # what is still open becomes `unresolved` below: that is rule 4
    return case.settled()


def _begin(case: "_Case", group: _Group) -> _Steps:
    terms = case.terms
    match terms.op:
        case Op.REMOVE:
            yield from _remove(case, group)
        case Op.RENAME:
            yield from _update(case, group, Call.RENAME)
        case Op.ADD if terms.first is Call.ADD or terms.on_exists is not OnExists.UPDATE:
            yield from _add(case, group)
        case Op.ADD | Op.UPDATE | Op.UNSUBSCRIBE:
            yield from _update(case, group, Call.UPDATE)
        case _:
            assert_never(terms.op)


class _BudgetSpentError(Exception):
    """No request is left for this batch."""


@dataclass(slots=True)
class _Belief:
    """What one counted answer made us believe: `cleared` are fine because `blamed` took all its errors."""

    blamed: frozenset[int]
    cleared: frozenset[int]


@dataclass(slots=True)
class _Case:
    """The file of one batch: verdicts so far, what each contact was told, and what waits for the other call."""

    size: int
    terms: Terms
    about: Circumstances
    open: set[int] = field(init=False)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    told_exists: set[int] = field(default_factory=set)
    told_missing: set[int] = field(default_factory=set)
    not_updated: set[int] = field(default_factory=set)  #: an update of it failed: missing, or in words we don't know
    not_added: set[int] = field(default_factory=set)  #: an add of it alone failed in words we don't know
    add_sent: set[int] = field(default_factory=set)  #: may have been stored since an update of it last failed
    to_add: set[int] = field(default_factory=set)
    to_update: set[int] = field(default_factory=set)
    present: set[int] = field(default_factory=set)  #: an update found it
    created: set[int] = field(default_factory=set)  #: an add was accepted
    beliefs: list[_Belief] = field(default_factory=list)
    names_mislead: bool = False
    asked: int = 0
    _book: AddressBook | None = None

    def __post_init__(self) -> None:
        self.open = set(range(self.size))

    @property
    def book(self) -> AddressBook:
        if self._book is None:
            self._book = AddressBook(self.about.addresses())
        return self._book

    def ask(self, call: Call, group: _Group) -> Generator[Ask, Answer, Answer]:
        if self.asked >= MINIMUM + BEYOND_MINIMUM * self.size:
            raise _BudgetSpentError
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

    def share_out(self, errors: Sequence[str], group: _Group) -> Blame:
        if not errors:
            return Blame({}, (), 0)
        blame = attribute(errors, group, self.book)
        if self.names_mislead and len(group) > 1:
            return Blame({}, (*blame.named.values(), *blame.unnamed), blame.repeated)
        return blame

    def settled(self) -> Settled:
        leftovers = {position: Verdict(Outcome.UNRESOLVED, "unattributable") for position in self.open}
        unknown = self.terms.op is Op.ADD
        return Settled(
            self.size,
            self.verdicts | leftovers,
            existed=len((self.present | self.told_exists) - self.created) if unknown else 0,
            created=len(self.created) if unknown else 0,
        )


def _follow_up(case: _Case) -> _Steps:
    """Contacts that have to take the other call: found ones are updated, missing ones added, until none waits."""
    while case.to_update or case.to_add:
        if case.to_update:
            group, case.to_update = tuple(sorted(case.to_update)), set()
            yield from _update(case, group, Call.UPDATE)
        if case.to_add:
            group, case.to_add = tuple(sorted(case.to_add)), set()
            yield from _add(case, group)


# -- add --------------------------------------------------------------------------------------------------------------


def _add(case: _Case, group: _Group) -> _Steps:
    stored_before = case.add_sent & set(group)
    answer = yield from case.ask(Call.ADD, group)
    case.add_sent.update(group)
    match answer:
        case Accepted():
            case.created.update(group)
            case.confirm(group)
        case Declined(errors) | Partial(_, errors):
            yield from _after_declined_add(case, group, case.share_out(errors, group), stored_before)
        case NoAnswer(reason):
            yield from _split_unanswered(case, group, reason, lambda part: _add(case, part))
        case Fatal():
            raise _fatal()
        case _:
            assert_never(answer)


def _after_declined_add(case: _Case, group: _Group, blame: Blame, stored_before: Collection[int]) -> _Steps:
    if _over_limit(blame, group):
        yield from _each(_halves(group), lambda part: _add(case, part))
    elif len(group) == 1:
        _judge_add(case, group[0], _complaint_about(group[0], blame), stored_before)
    else:
        for position, complaint in blame.named.items():
            _judge_add(case, position, complaint, stored_before)
        yield from _rest_of_declined_add(case, _without(group, blame.named), blame)


def _judge_add(case: _Case, position: int, complaint: Complaint | None, stored_before: Collection[int]) -> None:
    """The service refused to add this contact, with this complaint or none."""
    if complaint is None:
        case.unresolved(position, "no-answer", "the add was refused without a reason")
    elif complaint.reading.family is Family.EXISTS:
        if position in case.told_missing and position not in stored_before:
            _withdraw_beliefs(case, position)
        case.told_exists.add(position)
        _treat_existing(case, position, complaint)
    elif complaint.reading.family is Family.OTHER and _may_exist(case, position, stored_before):
        case.not_added.add(position)
        case.to_update.add(position)
    else:
        case.reject(position, complaint)


def _treat_existing(case: _Case, position: int, complaint: Complaint) -> None:
    match case.terms.on_exists:
        case OnExists.UPDATE:
            case.to_update.add(position)
        case OnExists.HOLD:
            case.unresolved(position, "consent-unknown", complaint.text)
        case OnExists.REJECT:
            case.reject(position, complaint)
        case _:
            assert_never(case.terms.on_exists)


def _may_exist(case: _Case, position: int, stored_before: Collection[int]) -> bool:
    """Whether unknown words may mean "exists", and no update since has told that it does not."""
    untold = position not in case.not_updated or position in stored_before
    return case.terms.on_exists is OnExists.UPDATE and untold


def _rest_of_declined_add(case: _Case, rest: _Group, blame: Blame) -> _Steps:
    """Contacts an add that was declined does not name: stored in part, all, or not at all."""
    if not blame.unnamed and blame.named:
        if case.terms.on_exists is OnExists.UPDATE:
            case.to_update.update(rest)  # the update of the same content tells what was stored
        else:
            yield from _each([rest], lambda part: _add(case, part))
    elif case.terms.on_exists is not OnExists.UPDATE or _refused_before_storing(blame):
        yield from _isolate(case, rest, blame, lambda part: _add(case, part))
    else:
        tried = tuple(position for position in rest if position in case.not_updated)
        case.to_update.update(_without(rest, tried))  # the update of the same content tells what was stored
        yield from _each(_pieces(tried, len(blame.unnamed)), lambda part: _add(case, part))


def _withdraw_beliefs(case: _Case, position: int) -> None:
    """`position` was called missing and exists: that error was somebody else's. Ask those it had cleared again."""
    case.names_mislead = True
    doubted = [belief for belief in case.beliefs if position in belief.blamed]
    case.beliefs = [belief for belief in case.beliefs if position not in belief.blamed]
    for belief in doubted:
        again = belief.cleared - case.verdicts.keys()
        case.open.update(again)
        case.to_update.update(again)


# -- update and rename ------------------------------------------------------------------------------------------------


def _update(case: _Case, group: _Group, call: Call) -> Generator[Ask, Answer, int | None]:
    """Asks about `group`; gives how many of it failed, or None where the answer does not say."""
    answer = yield from case.ask(call, group)
    match answer:
        case Accepted():
            _clear(case, group)
            return 0
        case Partial(updated, errors):
            return (yield from _after_counted(case, group, call, updated, case.share_out(errors, group)))
        case Declined(errors):
            yield from _after_uncounted(case, group, call, case.share_out(errors, group))
        case NoAnswer(reason):
            yield from _split_unanswered(case, group, reason, lambda part: _update(case, part, call))
        case Fatal():
            raise _fatal()
        case _:
            assert_never(answer)
    return None


def _after_counted(
    case: _Case, group: _Group, call: Call, updated: int, blame: Blame
) -> Generator[Ask, Answer, int | None]:
    failed = len(blame.named) + len(blame.unnamed)
    if _over_limit(blame, group) or blame.repeated or updated + failed != len(group):
        yield from _after_uncounted(case, group, call, blame)
        return None
    for position, complaint in blame.named.items():
        _judge_update(case, position, complaint, call)
    rest = _without(group, blame.named)
    if blame.unnamed:
        yield from _find(case, rest, len(blame.unnamed), blame.unnamed, call)
    else:
        case.beliefs.append(_Belief(frozenset(blame.named), frozenset(rest)))
        _clear(case, rest)
    return failed


def _after_uncounted(case: _Case, group: _Group, call: Call, blame: Blame) -> _Steps:
    """Errors without a count that adds up: who is named is judged, the rest is asked again in smaller requests."""
    if _over_limit(blame, group):
        yield from _each(_halves(group), lambda part: _update(case, part, call))
    elif len(group) == 1:
        yield from _judge_lone_update(case, group[0], blame, call)
    else:
        for position, complaint in blame.named.items():
            _judge_update(case, position, complaint, call)
        rest = _without(group, blame.named)
        if blame.named and not blame.unnamed and not blame.repeated:
            yield from _each([rest], lambda part: _update(case, part, call))
        else:
            yield from _isolate(case, rest, blame, lambda part: _update(case, part, call))


def _find(case: _Case, group: _Group, bad: int, complaints: Sequence[Complaint], call: Call) -> _Steps:
    """`bad` of `group` failed, with `complaints` that name nobody, and the others are done: find out who."""
    if bad == 0:
        _clear(case, group)
        return
    if bad == len(group) and _share_a_fate(case, complaints):
        for position in group:
            _judge_update(case, position, complaints[0], call)
        return
    parts = _pieces(group, bad)
    open_failures: int | None = bad
    while parts:
        failed = yield from _update(case, parts.pop(0), call)
        open_failures = None if failed is None or open_failures is None else open_failures - failed
        rest = tuple(position for part in parts for position in part)
        if open_failures is None or not 0 <= open_failures <= len(rest):
            open_failures = None  # the service changed its mind in between: count no more, ask
        elif rest and (len(parts) == 1 or open_failures in {0, len(rest)}):
            yield from _find(case, rest, open_failures, complaints, call)
            return


def _share_a_fate(case: _Case, complaints: Sequence[Complaint]) -> bool:
    """Whether it does not matter which complaint is whose: all say the same, or all lead to an add."""
    families = {complaint.reading.family for complaint in complaints}
    return len({complaint.text for complaint in complaints}) == 1 or (
        case.terms.op is Op.ADD and case.terms.may_add and families <= {Family.MISSING, Family.OTHER}
    )


def _judge_update(case: _Case, position: int, complaint: Complaint, call: Call) -> None:
    """An update of this contact failed with this complaint: it is missing, or refused."""
    family = complaint.reading.family
    case.add_sent.discard(position)
    if family is Family.MISSING:
        _treat_missing(case, position, complaint, call)
    elif family is Family.OTHER and _may_be_missing(case, position):
        case.not_updated.add(position)
        case.to_add.add(position)
    else:
        case.reject(position, complaint)


def _treat_missing(case: _Case, position: int, complaint: Complaint, call: Call) -> None:
    if case.terms.op is Op.UNSUBSCRIBE:
        case.decide(position, GONE)
    elif call is Call.RENAME:
        case.to_update.add(position)  # renamed before and the answer lost, or gone: its new address tells
    elif position in case.told_exists:
        case.unresolved(position, "contradictory", complaint.text)
    elif case.terms.may_add:
        case.told_missing.add(position)
        case.not_updated.add(position)
        case.to_add.add(position)
    else:
        case.reject(position, complaint, "not-found" if case.terms.known else "not-on-list")


def _may_be_missing(case: _Case, position: int) -> bool:
    """Whether unknown words may mean "not found", and the add that tells has not been tried yet."""
    unknown = case.terms.op is Op.ADD and case.terms.may_add
    return unknown and position not in case.told_exists | case.not_added


def _judge_lone_update(case: _Case, position: int, blame: Blame, call: Call) -> _Steps:
    complaint = _complaint_about(position, blame)
    if complaint is not None:
        _judge_update(case, position, complaint, call)
        return
    if call is Call.RENAME:
        case.unresolved(position, "no-answer", "the rename was answered with neither id nor error")
        return
    answer = yield from case.ask(Call.UPDATE_ONE, (position,))
    match answer:
        case Accepted():
            _clear(case, (position,))
        case Declined(errors) | Partial(_, errors):
            told = _complaint_about(position, case.share_out(errors, (position,)))
            if told is None:
                case.unresolved(position, "no-answer", "answered with neither id nor error")
            else:
                _judge_update(case, position, told, Call.UPDATE)
        case NoAnswer(reason):
            case.unresolved(position, "no-answer", reason)
        case Fatal():
            raise _fatal()
        case _:
            assert_never(answer)


def _clear(case: _Case, group: Collection[int]) -> None:
    """An update of all these contacts succeeded."""
    case.present.update(group)
    case.confirm(group)


# -- remove -----------------------------------------------------------------------------------------------------------


def _remove(case: _Case, group: _Group) -> _Steps:
    answer = yield from case.ask(Call.REMOVE, group)
    match answer:
        case Accepted():
            case.confirm(group)
        case Declined(errors) | Partial(_, errors):
            yield from _after_declined_remove(case, group, case.share_out(errors, group))
        case NoAnswer(reason):
            yield from _split_unanswered(case, group, reason, lambda part: _remove(case, part))
        case Fatal():
            raise _fatal()
        case _:
            assert_never(answer)


def _after_declined_remove(case: _Case, group: _Group, blame: Blame) -> _Steps:
    if _over_limit(blame, group):
        yield from _each(_halves(group), lambda part: _remove(case, part))
    elif len(group) == 1:
        _judge_remove(case, group[0], _complaint_about(group[0], blame))
    else:
        for position, complaint in blame.named.items():
            _judge_remove(case, position, complaint)
        rest = _without(group, blame.named)
        pieces = [rest] if blame.named and not blame.unnamed else _pieces(rest, len(blame.unnamed))
        yield from _each(pieces, lambda part: _remove(case, part))


def _judge_remove(case: _Case, position: int, complaint: Complaint | None) -> None:
    if complaint is None:
        case.unresolved(position, "no-answer", "the removal was refused without a reason")
    elif complaint.reading.family is Family.MISSING:
        case.decide(position, GONE)
    else:
        case.reject(position, complaint)


# -- dividing a group -------------------------------------------------------------------------------------------------


def _each(parts: Sequence[_Group], ask: _Asker) -> _Steps:
    for part in parts:
        if part:
            yield from ask(part)


def _split_unanswered(case: _Case, group: _Group, reason: str, ask: _Asker) -> _Steps:
    """A request that never gets a usable answer while others do: one of its contacts may be why."""
    if len(group) == 1:
        case.unresolved(group[0], "no-answer", reason)
    else:
        yield from _each(_halves(group), ask)


def _isolate(case: _Case, group: _Group, blame: Blame, ask: _Asker) -> _Steps:
    """Ask again in smaller requests; where an error names a variable, those who carry it apart from the others.

    If all of them carry a variable the list does not know, they share the fault: no request tells them apart.
    """
    for complaint in blame.unnamed:
        if complaint.reading.variable is None:
            continue
        carriers = set(case.about.carriers(complaint.reading.variable))
        suspects = tuple(position for position in group if position in carriers)
        if suspects == group and complaint.reading.code == "variable-missing":
            for position in group:
                case.reject(position, complaint)
            return
        if suspects and suspects != group:
            yield from _each([_without(group, carriers), suspects], ask)
            return
    yield from _each(_pieces(group, len(blame.unnamed)), ask)


def _pieces(group: _Group, bad: int) -> list[_Group]:
    """How to ask again about `group`, of which about `bad` are bad: one by one, or in halves."""
    if len(group) <= FEW or bad > len(group) * MOSTLY_BAD:
        return [(position,) for position in group]
    return list(_halves(group))


def _halves(group: _Group) -> tuple[_Group, _Group]:
    middle = (len(group) + 1) // 2
    return group[:middle], group[middle:]


def _without(group: _Group, others: Collection[int]) -> _Group:
    return tuple(position for position in group if position not in others)


def _complaint_about(position: int, blame: Blame) -> Complaint | None:
    """The complaint of an answer about one contact: the one that names it, else the first of any."""
    return blame.named.get(position) or (blame.unnamed[0] if blame.unnamed else None)


def _over_limit(blame: Blame, group: _Group) -> bool:
    return len(group) > 1 and any(complaint.reading.family is Family.LIMIT for complaint in blame.unnamed)


def _refused_before_storing(blame: Blame) -> bool:
    """Whether the answer is of the kind that checks arguments before anything is stored (smartsender.md §1.5)."""
    families = {complaint.reading.family for complaint in blame.unnamed}
    return bool(families) and families <= {Family.INVALID, Family.VARIABLE}


def _fatal() -> InternalError:
    return InternalError("a fatal answer reached the settlement", why="the dispatcher stops the run at such an answer")
