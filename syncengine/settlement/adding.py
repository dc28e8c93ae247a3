"""Contacts that are to be added: what a service means that does not plainly accept them.

Where existing contacts may be updated, an update with the same content tells what a declined add has stored. Where
they may not, all there is are more adds, and what their answers prove (`ours`).
"""

from collections.abc import Collection
from dataclasses import replace

from syncengine.attribution import Blame, Complaint
from syncengine.catalogue import Family
from syncengine.model import Accepted, Call, Declined, Fatal, NoAnswer, Partial
from syncengine.settlement.case import Case, DeclinedAdd, Group, Names, OnExists, Steps, fatal
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


def add(case: Case, group: Group) -> Steps:
    """Add everybody in `group`."""
    stored_before = case.add_sent & set(group)
    answer = yield from case.ask(Call.ADD, group)
    case.add_sent.update(group)
    case.note_lost(group)
    match answer:
        case Accepted():
            case.accepted_adds.append(group)
            case.created.update(group)
            case.confirm(group)
        case Declined(errors) | Partial(_, errors):
            blame = case.share_out(errors, group)
            if case.terms.on_exists is OnExists.UPDATE:
                yield from _after_declined(case, group, blame, stored_before)
            else:
                yield from _after_declined_without_update(case, group, blame)
        case NoAnswer(reason):
            yield from split_unanswered(case, group, reason, lambda part: add(case, part))
        case Fatal():
            raise fatal()


def _after_declined(case: Case, group: Group, blame: Blame, stored_before: Collection[int]) -> Steps:
    if over_limit(blame, group):
        yield from each(halves(group), lambda part: add(case, part))
    elif len(group) == 1:
        _judge(case, group[0], complaint_about(group[0], blame), stored_before)
    else:
        yield from _after_declined_group(case, group, blame, stored_before)


def _after_declined_group(case: Case, group: Group, blame: Blame, stored_before: Collection[int]) -> Steps:
    suspect = None
    if any(not _tells_update(case, one, told, stored_before) for one, told in blame.named.items()):
        suspect = yield from prove_names(case, blame, lambda part: add(case, part), lambda one: one not in case.created)
        if suspect is not None and case.names is Names.MISLEADING:
            group, blame = without(group, (suspect,)), nobody_named(blame)
    for position, complaint in blame.named.items():
        if case.names_are_proven and position != suspect:
            _judge(case, position, complaint, stored_before)
        elif position != suspect:
            case.to_update.add(position)  # the update of the same content tells, whoever was meant
    yield from _rest_of_declined(case, without(group, blame.named), blame)


def _tells_update(case: Case, position: int, complaint: Complaint, stored_before: Collection[int]) -> bool:
    """Whether what was said of this contact leads to an update of it, and not to its last verdict."""
    family = complaint.reading.family
    return family is Family.EXISTS or (family is Family.OTHER and _may_exist(case, position, stored_before))


def _judge(case: Case, position: int, complaint: Complaint | None, stored_before: Collection[int]) -> None:
    """The service refused to add this contact, with this complaint or none; an update may tell more."""
    if complaint is None:
        case.unresolved(position, "no-answer", "the add was refused without a reason")
    elif complaint.reading.family is Family.EXISTS:
        if position in case.told_missing and position not in stored_before:
            _withdraw_beliefs(case, position)
        case.told_exists.add(position)
        case.to_update.add(position)
    elif _tells_update(case, position, complaint, stored_before):
        case.not_added.add(position)
        case.to_update.add(position)
    else:
        case.reject(position, complaint)


def _may_exist(case: Case, position: int, stored_before: Collection[int]) -> bool:
    """Whether unknown words may mean "exists", and no update since has told that it does not."""
    return position not in case.not_updated or position in stored_before


def _rest_of_declined(case: Case, rest: Group, blame: Blame) -> Steps:
    """Contacts an add that was declined does not name: stored in part, all, or not at all."""
    if not blame.unnamed and blame.named:
        case.to_update.update(rest)  # the update of the same content tells what was stored
    elif _refused_before_storing(blame):
        yield from isolate(case, rest, blame, lambda part: add(case, part))
    else:
        tried = tuple(position for position in rest if position in case.not_updated)
        case.to_update.update(without(rest, tried))  # the update of the same content tells what was stored
        yield from each(pieces(tried, len(blame.unnamed)), lambda part: add(case, part))


def _refused_unlooked(blame: Blame) -> bool:
    """Whether the arguments were refused as a whole, before any contact was looked at."""
    families = {complaint.reading.family for complaint in blame.all}
    return families == {Family.INVALID}


def _refused_before_storing(blame: Blame) -> bool:
    """Whether the answer is of the kind that checks arguments before anything is stored (smartsender.md §1.5)."""
    families = {complaint.reading.family for complaint in blame.unnamed}
    return bool(families) and families <= {Family.INVALID, Family.VARIABLE}


def _withdraw_beliefs(case: Case, position: int) -> None:
    """`position` was called missing and exists: that error was somebody else's. Ask those it had cleared again."""
    case.names = Names.MISLEADING
    doubted = [belief for belief in case.beliefs if position in belief.blamed]
    case.beliefs = [belief for belief in case.beliefs if position not in belief.blamed]
    for belief in doubted:
        again = belief.cleared - case.verdicts.keys()
        case.open.update(again)
        case.to_update.update(again)


# -- where existing contacts may not be updated -----------------------------------------------------------------------


def _after_declined_without_update(case: Case, group: Group, blame: Blame) -> Steps:
    if over_limit(blame, group):
        yield from each(halves(group), lambda part: add(case, part))
        return
    told = len(blame.named) + len(blame.unnamed) + blame.repeated
    case.most_told = max(case.most_told, told)
    if len(group) == 1:
        yield from _judge_lone(case, group[0], complaint_about(group[0], blame), told)
        return
    place = len(case.declined)
    # Without a word it may be no answer of the service at all: whatever it would have named, it has not said.
    declined = DeclinedAdd(group, told, frozenset(blame.named), checked=_refused_unlooked(blame), lost=not told)
    case.declined.append(declined)
    suspect = yield from prove_names(case, blame, lambda part: add(case, part), lambda one: one not in case.created)
    if suspect is not None and case.names is Names.MISLEADING:
        case.declined[place] = replace(declined, named=frozenset())
        yield from isolate(case, without(group, (suspect,)), nobody_named(blame), lambda part: add(case, part))
        return
    for position, complaint in blame.named.items():
        if position != suspect:
            _judge_named(case, position, complaint)
    rest = without(group, blame.named)
    if blame.named and not blame.unnamed and not blame.repeated:
        yield from each([rest], lambda part: add(case, part))
    else:
        yield from isolate(case, rest, blame, lambda part: add(case, part))


def _judge_named(case: Case, position: int, complaint: Complaint) -> None:
    """Who exists is judged at the end, when all that the service has shown of itself is known."""
    if complaint.reading.family is Family.EXISTS:
        case.told_exists.add(position)
        case.there[position] = complaint
    else:
        case.reject(position, complaint)


def _judge_lone(case: Case, position: int, complaint: Complaint | None, told: int) -> Steps:
    if complaint is None:
        case.unresolved(position, "no-answer", "the add was refused without a reason")
    elif complaint.reading.family is not Family.OTHER:
        _judge_named(case, position, complaint)
    elif _was_declined(case, position):
        case.there[position] = complaint
    else:
        case.declined.append(DeclinedAdd((position,), told))
        yield from add(case, (position,))  # words we don't know: a service that has stored it says next that it exists


def _was_declined(case: Case, position: int) -> bool:
    return any(position in one.group for one in case.declined)
