"""Whether a contact that "already exists" was on the list before us, or is there because an add of ours stored it.

Needed where existing contacts may not be updated: then only further adds can be asked, and a service that keeps a part
of an add it declines answers them with "already exists" for contacts we have just brought. What it has shown of itself
in this batch decides:

 - *It stores nothing of an add it declines*, if the first contact of such an add could be added afterwards.
 - *It stops at the first bad contact*, if a contact behind all those that were named could be added afterwards.
 - *It told all it had to tell*, if it told more errors in another answer.

So a contact was not on the list before a declined add that did not name it, if that add told all, or went on to name
one behind it. What was on the list before us, or cannot be told, is not touched.
"""

from enum import Enum, auto

from syncengine.attribution import Complaint
from syncengine.catalogue import Family
from syncengine.settlement.case import Case, DeclinedAdd, Names, OnExists

_CODES = {OnExists.HOLD: "consent-unknown", OnExists.REJECT: "perhaps-ours"}


class _Whose(Enum):
    OURS = auto()
    THEIRS = auto()
    OBSCURE = auto()
    LOST = auto()  #: an answer got lost: obscure, but no habit of the service


def judge_who_is_there(case: Case) -> None:
    """Decide about everybody an add was refused for who may be on the list, from before or from us."""
    for position, complaint in sorted(case.there.items()):
        match _whose(case, position, complaint):
            case _Whose.OURS:
                case.created.add(position)
                case.confirm((position,))
            case _Whose.THEIRS:
                _leave_alone(case, position, complaint)
            case _Whose.OBSCURE | _Whose.LOST as whose:
                case.obscure += whose is _Whose.OBSCURE
                case.unresolved(position, _CODES[case.terms.on_exists], complaint.text)


def _leave_alone(case: Case, position: int, complaint: Complaint) -> None:
    if complaint.reading.family is Family.EXISTS and case.terms.on_exists is OnExists.HOLD:
        case.unresolved(position, "consent-unknown", complaint.text)
    else:
        case.reject(position, complaint)


def _whose(case: Case, position: int, complaint: Complaint) -> _Whose:
    stops = _stops(case)
    for add in case.declined:
        if position not in add.group:
            continue
        if add.lost:
            return _Whose.LOST
        if position in add.named:
            return _Whose.THEIRS
        if case.stores_nothing or case.was_added_later(add.group[0]):
            continue
        if stops and add.group.index(position) > add.last_named >= 0:
            continue
        told = complaint.reading.family is Family.EXISTS and case.names is Names.PROVEN
        return _Whose.OURS if told and _was_not_there_before(case, add, position) else _Whose.OBSCURE
    return _Whose.THEIRS


def _stops(case: Case) -> bool:
    return any(
        case.was_added_later(one) for add in case.declined if add.named for one in add.group[add.last_named + 1 :]
    )


def _was_not_there_before(case: Case, add: DeclinedAdd, position: int) -> bool:
    """Whether `add` would have named `position`, had it been on the list."""
    if len(add.group) == 1:
        return True  # it was refused alone, in other words than those for who exists
    return add.told < case.most_told or add.group.index(position) < add.last_named
