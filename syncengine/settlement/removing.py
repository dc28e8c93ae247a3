"""Contacts that are to leave the list. Who is not there is where they were wanted."""

from syncengine.attribution import Blame, Complaint
from syncengine.catalogue import Family
from syncengine.model import Accepted, Call, Declined, Fatal, NoAnswer, Partial
from syncengine.settlement.case import GONE, Case, Group, Names, Steps, fatal
from syncengine.settlement.dividing import (
    complaint_about,
    each,
    halves,
    nobody_named,
    over_limit,
    pieces,
    prove_names,
    split_unanswered,
    without,
)


def remove(case: Case, group: Group) -> Steps:
    """Remove everybody in `group`."""
    answer = yield from case.ask(Call.REMOVE, group)
    match answer:
        case Accepted():
            case.confirm(group)
        case Declined(errors) | Partial(_, errors):
            yield from _after_declined(case, group, case.share_out(errors, group))
        case NoAnswer(reason):
            yield from split_unanswered(case, group, reason, lambda part: remove(case, part))
        case Fatal():
            raise fatal()


def _after_declined(case: Case, group: Group, blame: Blame) -> Steps:
    if over_limit(blame, group):
        yield from each(halves(group), lambda part: remove(case, part))
        return
    if len(group) == 1:
        _judge(case, group[0], complaint_about(group[0], blame))
        return
    case.removal_declined.update(group)
    suspect = yield from prove_names(case, blame, lambda part: remove(case, part), lambda one: one in case.verdicts)
    if suspect is not None:
        group = without(group, (suspect,))
    if case.names is Names.MISLEADING:
        blame = nobody_named(blame)
    for position, complaint in blame.named.items():
        if position != suspect:
            _judge(case, position, complaint)
    rest = without(group, blame.named)
    parts = [rest] if blame.named and not blame.unnamed else pieces(rest, len(blame.unnamed))
    yield from each(parts, lambda part: remove(case, part))


def _judge(case: Case, position: int, complaint: Complaint | None) -> None:
    if complaint is None:
        case.unresolved(position, "no-answer", "the removal was refused without a reason")
    elif complaint.reading.family is Family.MISSING:
        case.decide(position, GONE)
    elif complaint.reading.family is Family.OTHER and position in case.removal_declined:
        case.unresolved(position, "perhaps-gone", complaint.text)  # a removal it was in may have removed it
    else:
        case.reject(position, complaint)
