"""One synchronous answer to every call. Checked in this order: token, arguments, number of contacts, list, contacts."""

from functools import partial
from typing import assert_never

from syncengine.sandbox import contract, membership, sending, telling, updating, variables
from syncengine.sandbox.account import Account
from syncengine.sandbox.arguments import (
    AddRequest,
    ApiRequest,
    Arguments,
    BatchRequest,
    Change,
    MailRequest,
    RemoveRequest,
    UpdateRequest,
    VariablesRequest,
    parse,
)
from syncengine.sandbox.behaviour import Add, ListInErrors, Unknown
from syncengine.sandbox.contacts import ContactList
from syncengine.sandbox.contract import Endpoint
from syncengine.sandbox.fields import RefusedError
from syncengine.sandbox.outbox import Message
from syncengine.sandbox.outcome import ContactFaultError, Outcome
from syncengine.sandbox.telling import Reply
from syncengine.sandbox.watch import Request


class _UnauthorizedError(RefusedError):
    """The token is missing or unknown."""


def answer(account: Account, request: Request, arguments: Arguments, token: str) -> Reply:
    """Carries the request out and tells of it. All of it happens at once."""
    if request.endpoint in contract.SENDING:
        return sending.answer(account, request, arguments)
    account.let_things_happen(request.number, token, request.list_id)
    behaviour = account.behaviour
    try:
        parsed, contacts = _admitted(account, request.endpoint, arguments, token)
    except RefusedError as refused:
        return telling.failure(
            [refused.text],
            endpoint=request.endpoint,
            behaviour=behaviour,
            request=request.number,
            status=behaviour.auth_status if isinstance(refused, _UnauthorizedError) else None,
            container=refused.container,
        )
    if behaviour.lying and (behaviour.lying >= 1 or account.chance.random() < behaviour.lying):
        return _lie(account, parsed, contacts, request)
    request.applied += 1
    return _carry_out(account, parsed, contacts, request)


def _admitted(account: Account, endpoint: Endpoint, arguments: Arguments, token: str) -> tuple[ApiRequest, ContactList]:
    if not token:
        raise _UnauthorizedError(contract.AUTHORIZATION_NEEDED)
    if token not in account.tokens:
        raise _UnauthorizedError(contract.unknown_token(token), container="errors")
    parsed = parse(endpoint, arguments, account.behaviour, account.addresses)
    contacts = account.lists.get(parsed.list_id)
    if contacts is None:
        raise RefusedError(contract.unknown_list(parsed.list_id))
    return parsed, contacts


def _carry_out(account: Account, parsed: ApiRequest, contacts: ContactList, request: Request) -> Reply:
    behaviour, number = account.behaviour, request.number
    match parsed:
        case AddRequest():
            outcome = membership.add(contacts, parsed.contacts, behaviour, request=number)
            emails = [fields.email or "" for fields in parsed.contacts]
        case RemoveRequest():
            outcome = membership.remove(contacts, parsed.emails, behaviour, request=number)
            emails = parsed.emails
        case UpdateRequest():
            outcome = updating.update(contacts, parsed.change, behaviour, request=number)
            emails = [parsed.change.contact]
        case BatchRequest():
            return _update_batch(account, parsed, contacts, request)
        case VariablesRequest():
            outcome, emails = variables.add_variables(contacts, parsed.variables, behaviour), []
        case MailRequest():
            return _send(account, parsed, contacts, request)
        case _:
            assert_never(parsed)
    return _told(account, outcome, emails, request)


def _told(account: Account, outcome: Outcome, emails: list[str], request: Request) -> Reply:
    behaviour = account.behaviour
    texts = telling.error_texts(outcome.faults, emails, behaviour)
    if request.endpoint is Endpoint.CONTACTS_ADD and behaviour.add is Add.APPLIED_BUT_REPORTED_FAILED:
        texts = texts or [telling.FALSE_ALARM]
    if texts:
        return telling.failure(texts, endpoint=request.endpoint, behaviour=behaviour, request=request.number)
    return telling.success(behaviour)


def _update_batch(account: Account, parsed: BatchRequest, contacts: ContactList, request: Request) -> Reply:
    behaviour, number = account.behaviour, request.number
    name = contacts.id if behaviour.list_in_errors is ListInErrors.ID else "listId"
    outcome = updating.update_batch(contacts, parsed.changes, behaviour, list_name=name, request=number)
    emails = [change.contact for change in parsed.changes if isinstance(change, Change)]
    return telling.batch(outcome, emails, behaviour, account.chance, request=number)


def _send(account: Account, mail: MailRequest, contacts: ContactList, request: Request) -> Reply:
    refuse = partial(telling.failure, endpoint=request.endpoint, behaviour=account.behaviour, request=request.number)
    if mail.template_id not in account.templates and account.behaviour.unknown_template is Unknown.ERROR:
        return refuse([contract.required(["templateId"], contract.QUERIES[request.endpoint])])
    contact = contacts.find(mail.contact)
    if contact is None:
        fault = ContactFaultError(contract.not_found(mail.contact), mail.contact)
        return _told(account, Outcome([], [fault]), [mail.contact], request)
    for variable in account.templates.get(mail.template_id, ()):
        if variable not in contacts.variables:
            return refuse([contract.template_fault(variable, mail.template_id)])
    message = Message(
        f"{request.number:024x}",
        request.number,
        contacts.id,
        contact.email,
        mail.template_id,
        name=contact.name,
        subject=f"Template {mail.template_id}",
        tags=mail.tags,
    )
    account.outbox.post(message, at=request.at)
    return telling.success(account.behaviour, messageId=message.id, error=None)


def _lie(account: Account, parsed: ApiRequest, contacts: ContactList, request: Request) -> Reply:
    match parsed:
        case BatchRequest():
            found = [contacts.find(change.contact) if isinstance(change, Change) else None for change in parsed.changes]
            ids = [one.id if one else telling.unknown_id(request.number, at) for at, one in enumerate(found)]
            return telling.batch(Outcome(ids, []), [], account.behaviour, account.chance, request=request.number)
        case MailRequest():
            return telling.success(account.behaviour, messageId=f"{request.number:024x}", error=None)
        case _:
            return telling.success(account.behaviour)
