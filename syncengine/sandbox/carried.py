"""Whom a request is about, read off its arguments before they are checked: for the log and for the onlooker."""

from operator import itemgetter

from syncengine.sandbox.arguments import Arguments
from syncengine.sandbox.contract import Endpoint

_ELEMENTS = {
    Endpoint.CONTACTS_ADD: "contacts",
    Endpoint.CONTACTS_REMOVE: "emails",
    Endpoint.BATCH_UPDATE: "contacts",
    Endpoint.VARIABLES_ADD: "variablesMetadata",
    Endpoint.MESSAGE: "ids",
}
_email_of = itemgetter("email")


def size(endpoint: Endpoint, arguments: Arguments) -> int:
    """How many contacts, variables, or messages the request has."""
    name = _ELEMENTS.get(endpoint)
    if name is None:
        return 1
    elements = arguments.get(name)
    return len(elements) if isinstance(elements, list) else 0


def addresses(endpoint: Endpoint, arguments: Arguments) -> list[str]:
    """The addresses in the request, those that contacts are to be renamed to among them."""
    match endpoint:
        case Endpoint.CONTACTS_ADD:
            return _emails(arguments.get("contacts"))
        case Endpoint.CONTACTS_REMOVE:
            return _texts(arguments.get("emails"))
        case Endpoint.BATCH_UPDATE:
            changes = arguments.get("contacts")
            return [email for change in changes for email in _both(change)] if isinstance(changes, list) else []
        case Endpoint.CONTACTS_UPDATE | Endpoint.MAILER_SEND:
            return _both(arguments)
        case _:
            return []  # variables; and two messages to one person at the same time are no fault


def _both(change: object) -> list[str]:
    if not isinstance(change, dict):
        return []
    parameters = change.get("parameters")
    if not isinstance(parameters, dict) or "email" not in parameters:
        return _texts([change.get("contact")])
    return _texts([change.get("contact"), parameters["email"]])


def _emails(contacts: object) -> list[str]:
    if not isinstance(contacts, list):
        return []
    try:
        return _texts(list(map(_email_of, contacts)))
    except (KeyError, TypeError):
        return _texts([contact.get("email") for contact in contacts if isinstance(contact, dict)])


def _texts(values: object) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
