"""Requests' arguments, checked as the PHP GraphQL server behind API 2.0 checks them: before anything is done.

The first fault refuses the whole request, with one text that does not say which contact it is in. In order:

1. what cannot even be written as a query (`Unexpected token "COLON"`: a variable without name or type);
2. each argument given: first any key that its input type lacks (`Invalid field …`), in any element; then its type
   (`Not valid type …`), a list being valid only if every element is;
3. the arguments missing, all in one text. Missing, null, "" and [] are the same: the page explains `Require "emails"`
   by "Empty email field".

A batch update is its contacts, each checked like one `updateContact`: that is the query its error texts name.
A boolean is a JSON boolean; a text is any scalar, written as PHP writes it.
"""

import json
from collections.abc import Callable, Mapping
from re import compile as pattern
from typing import NamedTuple

from syncengine.sandbox.addresses import Addresses
from syncengine.sandbox.behaviour import BatchFault, Behaviour, Unknown
from syncengine.sandbox.contract import (
    BATCH_INPUT,
    CONTACT_INPUT,
    METADATA_INPUT,
    PARAMETERS_INPUT,
    QUERIES,
    UNEXPECTED_COLON,
    VARIABLE_TYPES,
    Endpoint,
    VariableType,
    invalid_field,
    not_valid_type,
    required,
    too_many_contacts,
    unknown_argument,
)
from syncengine.sandbox.fields import (
    Fields,
    RefusedError,
    as_text,
    contact_fields,
    first_unknown,
    loose_variables,
    strict_variables,
)

_CHANGE_KEYS = frozenset({"contact", "parameters"})
_METADATA_KEYS = frozenset({"name", "type"})
_LETTERS = pattern(r"[a-z][A-Za-z]*")
_LETTERS_AND_DIGITS = pattern(r"[a-z][A-Za-z0-9]*")
_NOTHING = Fields(None, None, None, (), ())


class Change(NamedTuple):
    """One contact to update: its address, and what to set; `fields.email` renames it."""

    contact: str
    fields: Fields


class AddRequest(NamedTuple):
    list_id: str
    contacts: list[Fields]


class RemoveRequest(NamedTuple):
    list_id: str
    emails: list[str]


class UpdateRequest(NamedTuple):
    list_id: str
    change: Change


class BatchRequest(NamedTuple):
    """`changes` holds the fault of a contact whose arguments are wrong, where that is only its own affair."""

    list_id: str
    changes: list[Change | RefusedError]


class VariablesRequest(NamedTuple):
    list_id: str
    variables: list[tuple[str, VariableType]]


class MailRequest(NamedTuple):
    list_id: str
    contact: str
    template_id: str
    tags: tuple[str, ...] = ()


Arguments = Mapping[str, object]
ApiRequest = AddRequest | RemoveRequest | UpdateRequest | BatchRequest | VariablesRequest | MailRequest


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def decode(body: bytes) -> Arguments:
    """The arguments in a body. What is no JSON object has none: PHP's json_decode makes null of it."""
    try:
        arguments = _decoder.decode(body.decode())
        if b"\\ud" in body or b"\\uD" in body:
            json.dumps(arguments, ensure_ascii=False).encode()  # raises: half of a surrogate pair is no character
    except (ValueError, RecursionError):
        return {}
    return arguments if type(arguments) is dict else {}


def parse(endpoint: Endpoint, arguments: Arguments, behaviour: Behaviour, addresses: Addresses) -> ApiRequest:
    """Raises RefusedError with the text of the first fault."""
    names, read = _CALLS[endpoint]
    call = _Call(QUERIES[endpoint], arguments, behaviour, addresses)
    if behaviour.unknown_argument is Unknown.ERROR and not arguments.keys() <= names:
        raise RefusedError(unknown_argument(first_unknown(dict(arguments), names), call.query))
    request = read(call)
    call.require()
    _limit(request, behaviour)
    return request


def _limit(request: ApiRequest, behaviour: Behaviour) -> None:
    match request:
        case BatchRequest(changes=changes):
            size, most = len(changes), behaviour.max_batch
        case AddRequest(contacts=contacts) if behaviour.max_contacts is not None:
            size, most = len(contacts), behaviour.max_contacts
        case RemoveRequest(emails=emails) if behaviour.max_contacts is not None:
            size, most = len(emails), behaviour.max_contacts
        case _:
            return
    if size > most:
        raise RefusedError(too_many_contacts(most), container="errors")


class _Call:
    """One call's arguments as they are taken out one by one; those missing are gathered on the way."""

    __slots__ = ("addresses", "arguments", "behaviour", "missing", "query")

    def __init__(self, query: str, arguments: Arguments, behaviour: Behaviour, addresses: Addresses) -> None:
        self.query = query
        self.arguments = arguments
        self.behaviour = behaviour
        self.addresses = addresses
        self.missing: list[str] = []

    def given(self, name: str) -> object:
        value = self.arguments.get(name)
        if value is None or value in ("", [], {}):
            self.missing.append(name)
            return None
        return value

    def text(self, name: str) -> str:
        value = self.given(name)
        text = "" if value is None else as_text(value)
        if text is None:
            raise self.not_valid(name)
        return text

    def elements(self, name: str) -> list[object]:
        value = self.given(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.not_valid(name)
        return value

    def require(self) -> None:
        if self.missing:
            raise RefusedError(required(self.missing, self.query))

    def not_valid(self, name: str) -> RefusedError:
        return RefusedError(not_valid_type(name, self.query))


def _add(call: _Call) -> AddRequest:
    list_id = call.text("emailListId")
    contacts = []
    valid = True
    for element in call.elements("contacts"):
        fields = contact_fields(element, CONTACT_INPUT, call.addresses, loose_variables)
        if fields is None or fields.email is None:
            valid = False  # and look on: a key that is not allowed, further down, comes first
        else:
            contacts.append(fields)
    if not valid:
        raise call.not_valid("contacts")
    return AddRequest(list_id, contacts)


def _remove(call: _Call) -> RemoveRequest:
    list_id = call.text("emailListId")
    elements = call.elements("emails")
    emails = [email for email in elements if isinstance(email, str) and call.addresses.is_valid(email)]
    if len(emails) != len(elements):
        raise call.not_valid("emails")
    return RemoveRequest(list_id, emails)


def _update(call: _Call) -> UpdateRequest:
    return UpdateRequest(call.text("emailListId"), _change(call, call.arguments, call.missing))


def _batch(call: _Call) -> BatchRequest:
    list_id = call.text("emailListId")
    changes: list[Change | RefusedError] = []
    for element in call.elements("contacts"):
        try:
            changes.append(_batch_change(call, element))
        except RefusedError as refused:
            if call.behaviour.batch_fault is BatchFault.REQUEST:
                raise
            changes.append(refused)
    return BatchRequest(list_id, changes)


def _batch_change(call: _Call, element: object) -> Change:
    if not isinstance(element, dict):
        raise call.not_valid("contacts")
    if not element.keys() <= _CHANGE_KEYS:
        raise RefusedError(invalid_field(first_unknown(element, _CHANGE_KEYS), BATCH_INPUT))
    missing: list[str] = []
    change = _change(call, element, missing)
    if missing:
        raise RefusedError(required(missing, call.query))
    return change


def _change(call: _Call, element: Arguments, missing: list[str]) -> Change:
    """A `contact` that is no address counts as missing: the page explains its absence by "Not valid or missing"."""
    contact, parameters = element.get("contact"), element.get("parameters")
    if not isinstance(contact, str) or not call.addresses.is_valid(contact):
        missing.append("contact")
        contact = ""
    if not parameters:
        missing.append("parameters")
        return Change(contact, _NOTHING)
    fields = contact_fields(parameters, PARAMETERS_INPUT, call.addresses, strict_variables)
    if fields is None:
        raise call.not_valid("parameters")
    return Change(contact, fields)


def _variables(call: _Call) -> VariablesRequest:
    list_id = call.text("emailListId")
    elements = call.elements("variablesMetadata")
    if any(isinstance(element, dict) and not (element.get("name") and element.get("type")) for element in elements):
        raise RefusedError(UNEXPECTED_COLON)
    return VariablesRequest(list_id, [_variable(call, element) for element in elements])


def _variable(call: _Call, element: object) -> tuple[str, VariableType]:
    if not isinstance(element, dict):
        raise call.not_valid("variablesMetadata")
    if not element.keys() <= _METADATA_KEYS:
        raise RefusedError(invalid_field(first_unknown(element, _METADATA_KEYS), METADATA_INPUT))
    name, kind = element["name"], element["type"]
    letters = _LETTERS_AND_DIGITS if call.behaviour.variable_digits else _LETTERS
    if isinstance(name, str) and letters.fullmatch(name) and isinstance(kind, str) and kind in VARIABLE_TYPES:
        return name, VARIABLE_TYPES[kind]
    raise call.not_valid("variablesMetadata")


def _mail(call: _Call) -> MailRequest:
    """Of the tags the page says nothing but that they are texts: what is none is left out."""
    tags = call.arguments.get("tags")
    texts = tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
    return MailRequest(call.text("emailListId"), call.text("contact"), call.text("templateId"), texts)


#: For each call the arguments it has, and how they are read.
_CALLS: dict[Endpoint, tuple[frozenset[str], Callable[[_Call], ApiRequest]]] = {
    Endpoint.CONTACTS_ADD: (frozenset({"emailListId", "contacts"}), _add),
    Endpoint.CONTACTS_REMOVE: (frozenset({"emailListId", "emails"}), _remove),
    Endpoint.CONTACTS_UPDATE: (frozenset({"emailListId", "contact", "parameters"}), _update),
    Endpoint.BATCH_UPDATE: (frozenset({"emailListId", "contacts"}), _batch),
    Endpoint.VARIABLES_ADD: (frozenset({"emailListId", "variablesMetadata"}), _variables),
    Endpoint.MAILER_SEND: (frozenset({"emailListId", "contact", "templateId", "tags", "variables"}), _mail),
}
