"""How a doubtful group is asked about again, in fewer contacts a request."""

from collections.abc import Callable, Collection, Generator, Sequence
from typing import Final

from syncengine.attribution import Blame, Complaint
from syncengine.catalogue import Family
from syncengine.model import Answer
from syncengine.settlement.case import Ask, Asker, Case, Group, Names, Steps

FEW: Final = 4  #: so few doubtful contacts are asked one by one: halving costs as many requests
MOSTLY_BAD: Final = 1 / 3  #: beyond this share, single requests beat any bisection (group testing: 0.38)


def each(parts: Sequence[Group], ask: Asker) -> Steps:
    for part in parts:
        if part:
            yield from ask(part)


def split_unanswered(case: Case, group: Group, reason: str, ask: Asker) -> Steps:
    """A request that never gets a usable answer while others do: one of its contacts may be why."""
    if len(group) == 1:
        case.unresolved(group[0], "no-answer", reason)
    else:
        yield from each(halves(group), ask)


def prove_names(
    case: Case, blame: Blame, ask: Asker, refused: Callable[[int], bool]
) -> Generator[Ask, Answer, int | None]:
    """Ask about one of those an answer names, alone, unless the service has shown that its names can be relied on.

    Gives who was asked about, if anybody. `refused` tells whether that one was refused again; if it was not, or the
    error about it names somebody else or nobody, names count for nothing from here on.
    """
    if case.names is not Names.UNPROVEN or not blame.named:
        return None
    suspect = min(blame.named)
    yield from ask((suspect,))
    if not (case.names_are_proven and refused(suspect)):
        case.names = Names.MISLEADING
    return suspect


def isolate(case: Case, group: Group, blame: Blame, ask: Asker) -> Steps:
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
            yield from each([without(group, carriers), suspects], ask)
            return
    yield from each(pieces(group, len(blame.unnamed)), ask)


def pieces(group: Group, bad: int) -> list[Group]:
    """How to ask again about `group`, of which about `bad` are bad: one by one, or in halves."""
    if len(group) <= FEW or bad > len(group) * MOSTLY_BAD:
        return [(position,) for position in group]
    return list(halves(group))


def halves(group: Group) -> tuple[Group, Group]:
    middle = (len(group) + 1) // 2
    return group[:middle], group[middle:]


def without(group: Group, others: Collection[int]) -> Group:
    return tuple(position for position in group if position not in others)


def complaint_about(position: int, blame: Blame) -> Complaint | None:
    """The complaint of an answer about one contact: the one that names it, else the first of any."""
    return blame.named.get(position) or (blame.unnamed[0] if blame.unnamed else None)


def over_limit(blame: Blame, group: Group) -> bool:
    return len(group) > 1 and any(complaint.reading.family is Family.LIMIT for complaint in blame.unnamed)


def nobody_named(blame: Blame) -> Blame:
    """The same errors, as said by a service whose names can't be relied on."""
    return Blame({}, blame.all, blame.repeated)
