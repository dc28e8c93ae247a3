"""Who is in a list: contacts/add and contacts/remove, with the choices the page leaves open."""

from syncengine.sandbox.behaviour import Add, Behaviour, RemoveUnknown
from syncengine.sandbox.contacts import ContactList, Shape
from syncengine.sandbox.contract import already_exists, not_found
from syncengine.sandbox.fields import Fields
from syncengine.sandbox.outcome import ContactFaultError, Outcome
from syncengine.sandbox.variables import fitting_shape


def add(contacts: ContactList, wanted: list[Fields], behaviour: Behaviour, *, request: int) -> Outcome:
    """contacts/add. A contact named twice exists the second time."""
    faults: list[ContactFaultError] = []
    new: dict[str, tuple[Fields, Shape]] = {}
    key_of, by_address = contacts.addresses.key, contacts.by_address
    for fields in wanted:
        email = fields.email or ""
        key = key_of(email)
        try:
            if key in by_address or key in new:
                raise ContactFaultError(already_exists(email), email)  # noqa: TRY301  # one fault as good as another
            new[key] = (fields, fitting_shape(contacts, fields, behaviour))
        except ContactFaultError as fault:
            faults.append(fault)
            if behaviour.add is Add.STOP_AT_FIRST:
                break
    if faults and behaviour.add is Add.ATOMIC:
        return Outcome([], faults)
    created = [contacts.create(key, fields, shape, request=request) for key, (fields, shape) in new.items()]
    return Outcome([contact.id for contact in created], faults)


def remove(contacts: ContactList, emails: list[str], behaviour: Behaviour, *, request: int) -> Outcome:
    """contacts/remove. An address named twice is gone the second time."""
    outcome = Outcome([], [])
    if behaviour.remove_unknown is RemoveUnknown.REFUSED:
        unknown = [email for email in emails if contacts.find(email) is None]
        if unknown:
            return Outcome([], [ContactFaultError(not_found(email), email) for email in unknown])
    for email in emails:
        contact = contacts.find(email)
        if contact is not None:
            contacts.remove(contact, request=request)
            outcome.ids.append(contact.id)
        elif behaviour.remove_unknown is RemoveUnknown.ERROR:
            outcome.faults.append(ContactFaultError(not_found(email), email))
    return outcome
