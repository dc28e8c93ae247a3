"""What has to be true once a run, or all of them, is over. Each judge gives the promises that were broken, in words.

`differs` says how a contact of the list is not what was wanted, or nothing (`NoPhantoms.difference`).
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from syncengine.frames import IN_DOUBT
from syncengine.model import Consent, Op
from syncengine.report import Report, Result
from syncengine.sandbox.contacts import Contact, ContactList
from syncengine.simulation.company import Person
from syncengine.simulation.process import Known, Wanted

Differs = Callable[[Contact | None, Wanted], str]
Stranger = tuple[str, str, bool]
"""Address, name, active: somebody on the list whom no export ever named."""

FINISHED = frozenset({Result.OK, Result.REJECTED})


def numbers(report: Report, planned: Mapping[Op, int], rows: int) -> Iterator[str]:
    """Every row is accounted for, by our own count of the plan and of the export."""
    if Counter(dict(planned)) != Counter(dict(report.planned)):
        yield f"rows: the plan has {dict(planned)}, and the report says {dict(report.planned)}"
    if not report.resumed and report.rows != rows:
        yield f"rows: the export has {rows}, and the report says {report.rows}"
    settled = sum(report.confirmed.values()) + report.rejected + report.unresolved
    if report.result in FINISHED and settled != sum(planned.values()):
        yield f"rows: {sum(planned.values())} planned, {settled} settled, and the run says it is finished"


def state_as_on_the_list(known: Iterable[Known], held: ContactList, differs: Differs) -> Iterator[str]:
    """Who the state knows is on the list as it says, but for those it says it is in doubt about."""
    for one in known:
        if one.fingerprint == IN_DOUBT:
            continue
        problem = differs(held.find(one.email), one.as_wanted())
        if problem:
            yield f"state: it holds {one.email} ({one.fingerprint}), who {problem}"


def comes_to_rest(planned: Sequence[int]) -> Iterator[str]:
    """Of runs one after the other over one export, the last has nothing to send; `planned`: contacts of each."""
    if planned and planned[-1]:
        yield f"again: run {len(planned)} over one export still has {planned[-1]} contacts to send"


def nobody_lost(
    people: Iterable[Person], held: ContactList, told: Collection[str], differs: Differs, consent: Consent
) -> Iterator[str]:
    """Everybody in the last export is on the list as it says, or `told` about in errors.csv (addresses)."""
    for person in people:
        row = Wanted(Op.ADD, "", person.email, person.email, person.name, person.active, variables_of(person))
        contact = held.find(person.email)
        if consent is Consent.KEEP and contact is not None and not contact.active:
            row = replace(row, active=False)  # the file may only lower
        problem = differs(contact, row)
        if problem and person.email not in told:
            yield f"lost: {person.email} {problem}"


def leavers_known(known: Iterable[Known], keys: Collection[str], told: Collection[str]) -> Iterator[str]:
    """Under mirror: nobody whose key left the export stands in the state as before, unless `told` about."""
    for one in known:
        still = not one.left and one.active
        if still and one.key not in keys and one.email not in told:
            yield f"mirror: {one.email} left, and the state still holds them as they were"


def nobody_subscribed_again(held: ContactList, consent: Consent) -> Iterator[str]:
    """Under keep nobody is made active who was not."""
    if consent is Consent.KEEP and held.resubscribed:
        yield f"consent: {sorted(held.resubscribed)} were subscribed again under keep"


def strangers_untouched(held: ContactList, strangers: Iterable[Stranger]) -> Iterator[str]:
    """People on the list whom no export ever named: each as they were."""
    for email, name, active in strangers:
        contact = held.find(email)
        if contact is None or (contact.name, contact.active) != (name, active):
            yield f"stranger: {email} was changed to {contact}"


def variables_of(person: Person) -> str:
    """A person's variables as a plan writes them."""
    return json.dumps([{"name": "city", "value": person.city}] if person.city else [])
