"""contacts/update and contacts-batch/update: fields, renames, and the choices the page leaves open."""

from typing import NamedTuple, assert_never

from syncengine.sandbox.arguments import Change
from syncengine.sandbox.behaviour import Behaviour, OmittedActive, RenameCollision, RenameOrder, Update
from syncengine.sandbox.contacts import Contact, ContactList, Shape
from syncengine.sandbox.contract import already_exists, not_found, not_in_list
from syncengine.sandbox.fields import Fields, RefusedError
from syncengine.sandbox.outcome import ContactFaultError, Outcome
from syncengine.sandbox.variables import fitting_shape


def update(contacts: ContactList, change: Change, behaviour: Behaviour, *, request: int) -> Outcome:
    """contacts/update."""
    contact = contacts.find(change.contact)
    if contact is None:
        return Outcome([], [ContactFaultError(not_found(change.contact), change.contact)])
    try:
        return Outcome([_update_one(contacts, contact, change.fields, behaviour, request=request).id], [])
    except ContactFaultError as fault:
        return Outcome([], [fault])


def update_batch(
    contacts: ContactList, changes: list[Change | RefusedError], behaviour: Behaviour, *, list_name: str, request: int
) -> Outcome:
    """contacts-batch/update. `list_name` is what its error text says for "listId"."""
    order = range(len(changes))
    match behaviour.rename_order:
        case RenameOrder.SNAPSHOT:
            results = _update_at_once(contacts, changes, behaviour, list_name=list_name, request=request)
        case RenameOrder.SEQUENTIAL | RenameOrder.REVERSED as way:
            results = {}
            for at in order if way is RenameOrder.SEQUENTIAL else reversed(order):
                try:
                    contact, fields = _found(contacts, changes[at], list_name)
                    results[at] = _update_one(contacts, contact, fields, behaviour, request=request).id
                except ContactFaultError as fault:
                    results[at] = fault
        case _:
            assert_never(behaviour.rename_order)
    told = [results[at] for at in order]
    return Outcome([one for one in told if isinstance(one, str)], [one for one in told if not isinstance(one, str)])


def _found(contacts: ContactList, change: Change | RefusedError, list_name: str) -> tuple[Contact, Fields]:
    if isinstance(change, RefusedError):
        raise ContactFaultError(change.text)
    contact = contacts.find(change.contact)
    if contact is None:
        raise ContactFaultError(not_in_list(change.contact, list_name), change.contact)
    return contact, change.fields


def _update_one(
    contacts: ContactList, contact: Contact, fields: Fields, behaviour: Behaviour, *, request: int
) -> Contact:
    """The contact written to: under RenameCollision.MERGE not always the one given."""
    shape = fitting_shape(contacts, fields, behaviour)
    if fields.email is not None:
        contact = _rename(contacts, contact, fields.email, behaviour, request=request)
    _write(contacts, contact, fields, shape, behaviour, request=request)
    return contact


def _write(
    contacts: ContactList, contact: Contact, fields: Fields, shape: Shape, behaviour: Behaviour, *, request: int
) -> None:
    if behaviour.update is Update.REPLACES:
        contact.name = fields.name or ""
        contact.names, contact.values = shape.names, fields.values
    else:
        contact.name = contact.name if fields.name is None else fields.name
        contacts.write(contact, shape, fields.values)
    if fields.active is not None or behaviour.omitted_active is OmittedActive.UNSUBSCRIBES:
        contacts.set_active(contact, active=bool(fields.active), request=request)
    contact.updated = request
    contact.updates += 1


def _rename(contacts: ContactList, contact: Contact, email: str, behaviour: Behaviour, *, request: int) -> Contact:
    key = contacts.addresses.key
    if key(email) == key(contact.email):
        contact.email = contacts.addresses.clean(email)
        return contact
    if behaviour.rename_collision is RenameCollision.ERROR and contacts.find(email) is not None:
        raise ContactFaultError(already_exists(email), email)
    contacts.release(contact, request=request)
    return _arrive(contacts, contact, email, behaviour, request=request)


def _arrive(contacts: ContactList, contact: Contact, email: str, behaviour: Behaviour, *, request: int) -> Contact:
    """A contact without an address takes a new one. Under RenameCollision.ERROR it was made sure that this is free."""
    other = contacts.find(email)
    if other is not None and behaviour.rename_collision is RenameCollision.MERGE:
        contacts.discard(contact)
        other.name = contact.name or other.name
        contacts.write(other, contacts.shape(contact.names), contact.values)
        return other
    if other is not None:
        contacts.remove(other, request=request)
    contacts.settle(contact, email, request=request)
    return contact


class _Planned(NamedTuple):
    """A contact of a batch that was looked up before anything changed."""

    contact: Contact
    fields: Fields
    shape: Shape
    target: str | None  #: key of the address it moves to


def _update_at_once(
    contacts: ContactList, changes: list[Change | RefusedError], behaviour: Behaviour, *, list_name: str, request: int
) -> dict[int, str | ContactFaultError]:
    """All contacts are looked up first and all that move leave their address: chains and swaps work."""
    results: dict[int, str | ContactFaultError] = {}
    planned: dict[int, _Planned] = {}
    for at, change in enumerate(changes):
        try:
            planned[at] = _planned(contacts, change, behaviour, list_name=list_name)
        except ContactFaultError as fault:
            results[at] = fault
    if behaviour.rename_collision is RenameCollision.ERROR:
        for at in _blocked(contacts, planned):
            email = planned.pop(at).fields.email or ""
            results[at] = ContactFaultError(already_exists(email), email)
    homeless = {plan.contact.id: plan.contact for plan in planned.values() if plan.target is not None}
    for contact in homeless.values():
        contacts.release(contact, request=request)
    for at, plan in planned.items():
        try:
            results[at] = _carry_out(contacts, plan, homeless, behaviour, request=request).id
        except ContactFaultError as fault:
            results[at] = fault
    return results


def _planned(contacts: ContactList, change: Change | RefusedError, behaviour: Behaviour, *, list_name: str) -> _Planned:
    contact, fields = _found(contacts, change, list_name)
    shape = fitting_shape(contacts, fields, behaviour)
    key = contacts.addresses.key
    moves = fields.email is not None and key(fields.email) != key(contact.email)
    return _Planned(contact, fields, shape, key(fields.email) if moves and fields.email else None)


def _blocked(contacts: ContactList, planned: dict[int, _Planned]) -> list[int]:
    """Renames that cannot be: onto somebody who stays, or onto an earlier one's target. Who is blocked stays, too."""
    moving = {at: plan for at, plan in planned.items() if plan.target is not None}
    blocked: list[int] = []
    while True:
        leaving = {plan.contact.id for plan in moving.values()}
        taken: set[str] = set()
        stuck = []
        for at, plan in moving.items():
            other = contacts.by_address.get(plan.target or "")
            if plan.target in taken or (other is not None and other.id not in leaving):
                stuck.append(at)
            taken.add(plan.target or "")
        if not stuck:
            return blocked
        blocked += stuck
        moving = {at: plan for at, plan in moving.items() if at not in stuck}


def _carry_out(
    contacts: ContactList, plan: _Planned, homeless: dict[str, Contact], behaviour: Behaviour, *, request: int
) -> Contact:
    contact, fields = plan.contact, plan.fields
    if contact.id not in contacts.contacts:  # overwritten by another contact of this batch
        raise ContactFaultError(not_found(contact.email), contact.email)
    if fields.email is not None and homeless.pop(contact.id, None) is not None:
        contact = _arrive(contacts, contact, fields.email, behaviour, request=request)
    elif fields.email is not None:
        contact = _rename(contacts, contact, fields.email, behaviour, request=request)
    _write(contacts, contact, fields, plan.shape, behaviour, request=request)
    return contact
