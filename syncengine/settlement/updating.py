"""Contacts that are to be updated or renamed: counted answers, errors that name somebody or nobody."""

from collections.abc import Collection, Generator, Sequence
from typing import Final

from syncengine.attribution import Blame, Complaint
from syncengine.catalogue import Family
from syncengine.model import Accepted, Answer, Call, Declined, Fatal, NoAnswer, Op, Outcome, Partial
from syncengine.settlement.case import GONE, Ask, Belief, Case, Group, Names, Steps, fatal
from syncengine.settlement.dividing import (
    complaint_about,
    each,
    halves,
    isolate,
    nobody_named,
    over_limit,
    pieces,
    prove_names,
    split_unanswered,
    without,
)

#: what a service may say of a rename that was done before; missing apart, which sends us to the new address
_MAY_MEAN_RENAMED: Final = frozenset({Family.OTHER, Family.EXISTS})
_NEITHER: Final = "answered with neither id nor error"


def update(case: Case, group: Group, call: Call) -> Generator[Ask, Answer, int | None]:
    """Asks about `group`; gives how many of it failed, or None where the answer does not say."""
    if case.ids_mislead and call is Call.UPDATE:
        yield from each([(position,) for position in group], lambda part: _update_one(case, part[0], call))
        return None
    answer = yield from case.ask(call, group)
    match answer:
        case Accepted():
            _clear(case, group)
            return 0
        case Partial(updated, errors):
            blame = case.share_out(errors, group)
            if call is Call.RENAME and updated:
                case.among_renamed.update(_note_renamed(case, group, blame))
            return (yield from _after_counted(case, group, call, updated, blame))
        case Declined(errors):
            blame = case.share_out(errors, group)
            if call is Call.RENAME and len(group) > 1:
                _note_renamed(case, group, blame)
            yield from _after_uncounted(case, group, call, blame)
        case NoAnswer(reason):
            yield from split_unanswered(case, group, reason, lambda part: update(case, part, call))
        case Fatal():
            raise fatal()
    return None


def _after_counted(
    case: Case, group: Group, call: Call, updated: int, blame: Blame
) -> Generator[Ask, Answer, int | None]:
    failed = len(blame.named) + len(blame.unnamed)
    if call is Call.RENAME and len(blame.named) == len(group) and _all_missing(blame):
        for position in group:  # whosever name is whose: none of them is under its old address
            _judge(case, position, blame.named[position], call)
        return failed
    if over_limit(blame, group) or blame.repeated or updated + failed != len(group):
        yield from _after_uncounted(case, group, call, blame)
        return None
    suspect = yield from _prove_names(case, group, blame, call)
    if suspect is not None and case.names is Names.MISLEADING:
        yield from _find_by_counts(case, without(group, (suspect,)), failed, suspect, nobody_named(blame), call)
        return failed
    yield from _judge_named(case, blame, suspect, call)
    rest = without(group, blame.named)
    if blame.unnamed:
        yield from _find(case, rest, len(blame.unnamed), blame.unnamed, call)
    else:
        case.beliefs.append(Belief(frozenset(blame.named), frozenset(rest)))
        _clear(case, rest)
    return failed


def _prove_names(case: Case, group: Group, blame: Blame, call: Call) -> Generator[Ask, Answer, int | None]:
    """Of one who is named: alone it has to fail again, for the same reason. A lone contact is proof already."""
    if len(group) == 1:
        return None

    def fails_again(suspect: int) -> bool:
        same = case.told_alone.get(suspect) is blame.named[suspect].reading.family
        return same and suspect not in case.present

    return (yield from prove_names(case, blame, lambda part: update(case, part, call), fails_again))


def _all_missing(blame: Blame) -> bool:
    return all(complaint.reading.family is Family.MISSING for complaint in blame.all)


def _judge_named(case: Case, blame: Blame, suspect: int | None, call: Call) -> Steps:
    """Everybody named but `suspect`, who was asked about alone. Where names were proven by that one only, a rename that
    is said to be missing is asked for again, alone: the update at its new address might meet a stranger there.
    """
    again: list[Group] = []
    for position, complaint in blame.named.items():
        if position == suspect:
            continue
        if call is Call.RENAME and suspect is not None and complaint.reading.family is Family.MISSING:
            again.append((position,))
        else:
            _judge(case, position, complaint, call)
    yield from each(again, lambda part: update(case, part, call))


def _find_by_counts(case: Case, rest: Group, failed: int, suspect: int, blame: Blame, call: Call) -> Steps:
    """The names of an answer count for nothing, and its numbers stand. `suspect` was asked about alone meanwhile."""
    verdict = case.verdicts.get(suspect)
    if suspect in case.may_be_renamed or (verdict is not None and verdict.outcome is Outcome.UNRESOLVED):
        yield from isolate(case, rest, blame, lambda part: update(case, part, call))
    else:
        yield from _find(case, rest, failed - (suspect not in case.present), blame.unnamed, call)


def _after_uncounted(case: Case, group: Group, call: Call, blame: Blame) -> Steps:
    """Errors without a count that adds up: who is named is judged, the rest is asked again in smaller requests."""
    if over_limit(blame, group):
        yield from each(halves(group), lambda part: update(case, part, call))
    elif len(group) == 1:
        yield from _judge_lone(case, group[0], blame, call)
    else:
        suspect = yield from _prove_names(case, group, blame, call)
        if suspect is not None and case.names is Names.MISLEADING:
            rest = without(group, (suspect,))
            yield from isolate(case, rest, nobody_named(blame), lambda part: update(case, part, call))
            return
        yield from _judge_named(case, blame, suspect, call)
        rest = without(group, blame.named)
        if blame.named and not blame.unnamed and not blame.repeated:
            yield from each([rest], lambda part: update(case, part, call))
        else:
            yield from isolate(case, rest, blame, lambda part: update(case, part, call))


def _note_renamed(case: Case, group: Group, blame: Blame) -> Group:
    """Who of `group` may be renamed now. Whoever is fails when asked again, whatever had failed first."""
    maybe = without(group, blame.named) if case.names_are_proven else group
    case.may_be_renamed.update(maybe)
    return maybe


def _find(case: Case, group: Group, bad: int, complaints: Sequence[Complaint], call: Call) -> Steps:
    """`bad` of `group` failed, with `complaints` that name nobody, and the others are done: find out who."""
    if bad == 0:
        _clear(case, group)
        return
    if bad == len(group) and _share_a_fate(case, complaints):
        for position in group:
            _judge(case, position, complaints[0], call)
        return
    parts = pieces(group, bad)
    open_failures: int | None = bad
    while parts:
        failed = yield from update(case, parts.pop(0), call)
        if call is Call.RENAME:
            failed = None  # of who fails now, some were renamed by the first request
        open_failures = None if failed is None or open_failures is None else open_failures - failed
        rest = tuple(position for part in parts for position in part)
        if open_failures is None or not 0 <= open_failures <= len(rest):
            open_failures = None  # the service changed its mind in between: count no more, ask
        elif rest and (len(parts) == 1 or open_failures in {0, len(rest)}):
            yield from _find(case, rest, open_failures, complaints, call)
            return


def _share_a_fate(case: Case, complaints: Sequence[Complaint]) -> bool:
    """Whether it does not matter which complaint is whose: all say the same, or all lead to an add."""
    families = {complaint.reading.family for complaint in complaints}
    return len({complaint.text for complaint in complaints}) == 1 or (
        case.terms.op is Op.ADD and case.terms.may_add and families <= {Family.MISSING, Family.OTHER}
    )


def _judge(case: Case, position: int, complaint: Complaint, call: Call) -> None:
    """An update of this contact failed with this complaint: it is missing, or refused."""
    family = complaint.reading.family
    case.add_sent.discard(position)
    if family is Family.MISSING:
        _treat_missing(case, position, complaint, call)
    elif call is Call.RENAME and position in case.among_renamed and family in _MAY_MEAN_RENAMED:
        case.unresolved(position, "unattributable", complaint.text)
    elif family is Family.OTHER and _may_be_missing(case, position):
        case.not_updated.add(position)
        case.to_add.add(position)
    else:
        case.reject(position, complaint)


def _treat_missing(case: Case, position: int, complaint: Complaint, call: Call) -> None:
    if case.terms.op is Op.UNSUBSCRIBE:
        case.decide(position, GONE)
    elif call is Call.RENAME and (case.terms.may_add or _may_be_renamed(case, position)):
        case.to_update.add(position)  # renamed before and the answer lost, or gone: its new address tells
    elif position in case.told_exists:
        case.unresolved(position, "contradictory", complaint.text)
    elif position in case.about.left():
        case.decide(position, GONE)
    elif case.terms.may_add:
        case.told_missing.add(position)
        case.not_updated.add(position)
        case.to_add.add(position)
    else:
        case.reject(position, complaint, "not-found" if case.terms.known else "not-on-list")


def _may_be_renamed(case: Case, position: int) -> bool:
    return bool(case.about.lost()) or position in case.about.doubted() or position in case.may_be_renamed


def _may_be_missing(case: Case, position: int) -> bool:
    """Whether unknown words may mean "not found", and the add that tells has not been tried yet."""
    unknown = case.terms.op is Op.ADD and case.terms.may_add
    return unknown and position not in case.told_exists | case.not_added and position not in case.about.left()


def _judge_lone(case: Case, position: int, blame: Blame, call: Call) -> Steps:
    complaint = complaint_about(position, blame)
    if complaint is not None:
        _judge(case, position, complaint, call)
        return
    if call is Call.RENAME and not case.terms.may_add:  # a stranger at the new address is not to be touched
        case.unresolved(position, "no-answer", _NEITHER)
        return
    yield from _update_one(case, position, call)
    case.ids_mislead = position in case.present


def _update_one(case: Case, position: int, call: Call) -> Steps:
    """The endpoint for one contact, whose answers have no ids; a renamed one is looked for where it should be now."""
    answer = yield from case.ask(Call.UPDATE_ONE, (position,))
    match answer:
        case Accepted():
            _clear(case, (position,))
        case Declined(errors) | Partial(_, errors):
            told = complaint_about(position, case.share_out(errors, (position,)))
            if told is None or (call is Call.RENAME and told.reading.family is Family.MISSING):
                case.unresolved(position, "no-answer", _NEITHER)
            else:
                _judge(case, position, told, Call.UPDATE)
        case NoAnswer(reason):
            case.unresolved(position, "no-answer", reason)
        case Fatal():
            raise fatal()


def _clear(case: Case, group: Collection[int]) -> None:
    """An update of all these contacts succeeded."""
    case.present.update(group)
    case.confirm(group)
