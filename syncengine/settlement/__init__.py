"""How the outcome of every contact of a batch is found out, whatever the service answers (DESIGN.md §5).

A pure state machine without IO: `settle` yields the requests it wants sent and is sent their answers, as
httpx does with its auth flows. It ends with a verdict for every contact.

Rules it keeps
 1. A contact is confirmed only by an answer that attributes success to it: a plain acceptance of a request it
    was in, or a counted one (ids + errors = contacts) in which every failure has been pinned on somebody else.
 2. An error that names one contact of the request belongs to it, once the service has shown that it names the right
    one: by an error about a lone contact that names that contact. If it names somebody else there, or a contact said
    to be missing turns out to exist, names count for nothing; contacts are told apart by asking about fewer of them.
 3. What stays doubtful is halved, or asked one by one where more than a third are bad or few are left. The counts
    of a well-formed answer save requests: a half whose number of failures is known is not asked as a whole.
 4. At most 2 requests a contact beyond the minimum; then `unresolved`, never a guess.
 5. Where the job may not update contacts it does not know (`consent = "keep"`, `mode = "add"`), none is updated to
    find out. Whether the list had such a contact before us, or has it from us, is told by evidence (`ours`).
"""

from collections.abc import Mapping
from typing import assert_never

from syncengine.model import Accepted, Call, Op, Verdict
from syncengine.settlement.adding import add
from syncengine.settlement.case import (
    BEYOND_MINIMUM,
    GONE,
    MINIMUM,
    Ask,
    BudgetSpentError,
    Case,
    Circumstances,
    Group,
    Names,
    OnExists,
    Settled,
    Settlement,
    Steps,
    Terms,
)
from syncengine.settlement.ours import judge_who_is_there
from syncengine.settlement.removing import remove
from syncengine.settlement.updating import update

__all__ = [
    "BEYOND_MINIMUM",
    "GONE",
    "MINIMUM",
    "Ask",
    "Circumstances",
    "Names",
    "OnExists",
    "Settled",
    "Settlement",
    "Terms",
    "settle",
]

_NOBODY: Mapping[int, Verdict] = {}


def settle(size: int, terms: Terms, about: Circumstances, *, withheld: Mapping[int, Verdict] = _NOBODY) -> Settlement:
    """Yields requests until every one of `size` contacts has a verdict; those in `withheld` have theirs already.

    `Fatal` answers are not for this machine: the caller stops the run instead of sending them in.
    """
    if withheld or not 0 < size <= terms.largest:
        return (yield from _settled(Case(size, terms, about), withheld))
    everybody = Ask(_first_call(terms), tuple(range(size)))
    answer = yield everybody
    if isinstance(answer, Accepted):  # nearly always: a file for nobody costs as much as the rest of the bookkeeping
        return _all_accepted(size, terms, everybody.call)
    machine = _settled(Case(size, terms, about), withheld)
    next(machine)  # asks what was asked
    try:
        ask = machine.send(answer)
        while True:
            ask = machine.send((yield ask))
    except StopIteration as end:
        settled: Settled = end.value
        return settled


def _all_accepted(size: int, terms: Terms, call: Call) -> Settled:
    """As a case whose first request was about everybody, and was plainly accepted."""
    unknown = size if terms.op is Op.ADD else 0
    added = call is Call.ADD
    return Settled(
        size,
        {},
        existed=0 if added else unknown,
        created=unknown if added else 0,
        names=terms.names,
        stores_nothing=terms.stores_nothing,
    )


def _settled(case: Case, withheld: Mapping[int, Verdict]) -> Settlement:
    terms = case.terms
    for position, verdict in withheld.items():
        case.decide(position, verdict)
    try:
        todo = tuple(sorted(case.open))
        for start in range(0, len(todo), terms.largest):
            yield from _begin(case, todo[start : start + terms.largest])
        yield from _follow_up(case)
    except BudgetSpentError:
        pass  # what is still open becomes `unresolved` below: that is rule 4
    judge_who_is_there(case)
    return case.settled()


def _begin(case: Case, group: Group) -> Steps:
    match _first_call(case.terms):
        case Call.REMOVE:
            yield from remove(case, group)
        case Call.ADD:
            yield from add(case, group)
        case call:
            yield from update(case, group, call)


def _first_call(terms: Terms) -> Call:
    match terms.op:
        case Op.REMOVE:
            return Call.REMOVE
        case Op.RENAME:
            return Call.RENAME
        case Op.ADD if terms.first is Call.ADD or terms.on_exists is not OnExists.UPDATE:
            return Call.ADD
        case Op.ADD | Op.UPDATE | Op.UNSUBSCRIBE:
            return Call.UPDATE
        case _:
            assert_never(terms.op)


def _follow_up(case: Case) -> Steps:
    """Contacts that have to take the other call: found ones are updated, missing ones added, until none waits."""
    while case.to_update or case.to_add:
        if case.to_update:
            group, case.to_update = tuple(sorted(case.to_update)), set()
            yield from update(case, group, Call.UPDATE)
        if case.to_add:
            group, case.to_add = tuple(sorted(case.to_add)), set()
            yield from add(case, group)
