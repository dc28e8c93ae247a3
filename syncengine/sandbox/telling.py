"""How an outcome is told: the envelopes of the page, in every spelling that its examples disagree about."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from syncengine.sandbox.behaviour import (
    Behaviour,
    ErrorContainer,
    ErrorNaming,
    ErrorShape,
    Ids,
    ResultOnError,
    ResultSpelling,
)
from syncengine.sandbox.contract import Endpoint
from syncengine.sandbox.outcome import ContactFaultError, Outcome

JSON_TYPE = "application/json"

#: What a server says that does not say whom it means.
UNNAMED_FAULT = "Contact could not be saved"
#: What a server says that has done everything and thinks it has not.
FALSE_ALARM = "An error occurred while processing your request"
#: Whom a server names that cannot even name somebody of the request.
STRANGER = "somebody.else@example.com"

_YES: dict[ResultSpelling, object] = {
    ResultSpelling.BOOLEAN: True,
    ResultSpelling.NUMBER: 1,
    ResultSpelling.STRING: "true",
}
_NO: dict[ResultSpelling, object] = {
    ResultSpelling.BOOLEAN: False,
    ResultSpelling.NUMBER: 0,
    ResultSpelling.STRING: "false",
}
_CONTAINERS: dict[Endpoint, str] = {
    Endpoint.CONTACTS_ADD: "Error_stack",
    Endpoint.CONTACTS_REMOVE: "Error_stack",
    Endpoint.CONTACTS_UPDATE: "Error_stack",
    Endpoint.BATCH_UPDATE: "error_stack",
    Endpoint.VARIABLES_ADD: "error_stack",
    Endpoint.MAILER_SEND: "error_stack",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. `errors` is how many texts of fault it carries, for the log."""

    status: int
    body: bytes
    content_type: str | None = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    errors: int = 0


def success(behaviour: Behaviour, **more: object) -> Reply:
    """`{"result": true}`, and what else the call answers."""
    return Reply(200, as_json({"result": _YES[behaviour.result], **more}))


def failure(
    texts: Sequence[str],
    *,
    endpoint: Endpoint,
    behaviour: Behaviour,
    request: int,
    status: int | None = None,
    container: str | None = None,
) -> Reply:
    """A refused request. `container` is where the page lists this error, if not where it has the call's others."""
    if behaviour.error_container is not ErrorContainer.DOCUMENTED:
        container = behaviour.error_container.value
    body: dict[str, object] = {}
    if behaviour.result_on_error is ResultOnError.FALSE:
        body["result"] = _NO[behaviour.result]
    body[container or _CONTAINERS[endpoint]] = _shaped(texts, behaviour)
    if endpoint is not Endpoint.BATCH_UPDATE:  # the page has no requestId there
        body["requestId"] = f"{request:08x}"
    return Reply(status or behaviour.error_status, as_json(body), errors=len(texts))


def batch(outcome: Outcome, emails: Sequence[str], behaviour: Behaviour, chance: Random, *, request: int) -> Reply:
    """contacts-batch/update: `result` is true whatever happened to the contacts."""
    texts = error_texts(outcome.faults, emails, behaviour)
    body = {
        "result": _YES[behaviour.result],
        "updated": told_ids(outcome.ids, behaviour.ids, chance, request=request),
        "errors": _shaped(texts, behaviour),
    }
    return Reply(200, as_json(body), errors=len(texts))


def error_texts(faults: Sequence[ContactFaultError], emails: Sequence[str], behaviour: Behaviour) -> list[str]:
    """The texts as this server puts them. `emails` are the addresses of the whole request."""
    texts = [_reworded(fault, emails, behaviour.error_naming) for fault in faults]
    if behaviour.errors_merged:
        texts = list(dict.fromkeys(texts))
    return texts if behaviour.errors_limit is None else texts[: behaviour.errors_limit]


def told_ids(ids: list[str], way: Ids, chance: Random, *, request: int) -> list[str]:
    """`ids` in the order of the request, as this server lists them."""
    match way:
        case Ids.ORDERED:
            return ids
        case Ids.SHUFFLED:
            return chance.sample(ids, len(ids))
        case Ids.SHORT:
            return ids[:-1]
        case Ids.LONG:
            return [*ids, unknown_id(request, 0)]
        case Ids.DUPLICATED:
            return [*ids[:-1], *ids[:1]]
        case Ids.UNKNOWN:
            return [unknown_id(request, at) for at in range(len(ids))]


def unknown_id(request: int, at: int) -> str:
    """An id in the form of a contact's, of no contact."""
    return f"0badc0de{request:08x}{at:08x}"


def page(status: int, title: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """What a proxy in front of the API answers: HTML."""
    head, body = f"<head><title>{title}</title></head>", f"<body><center><h1>{title}</h1></center></body>"
    return Reply(status, f"<html>\r\n{head}\r\n{body}\r\n</html>\r\n".encode(), "text/html; charset=utf-8", headers)


def _reworded(fault: ContactFaultError, emails: Sequence[str], naming: ErrorNaming) -> str:
    if fault.email is None:
        return fault.text
    match naming:
        case ErrorNaming.DOCUMENTED:
            return fault.text
        case ErrorNaming.LOWERCASED:
            return fault.text.replace(fault.email, fault.email.lower(), 1)
        case ErrorNaming.NONE:
            return UNNAMED_FAULT
        case ErrorNaming.WRONG_CONTACT:
            return fault.text.replace(fault.email, _somebody_else(fault.email, emails), 1)


def _somebody_else(email: str, emails: Sequence[str]) -> str:
    at = emails.index(email) if email in emails else 0
    others = (*emails[at + 1 :], *emails[:at])
    return next((other for other in others if other.lower() != email.lower()), STRANGER)


def _shaped(texts: Sequence[str], behaviour: Behaviour) -> object:
    return ", ".join(texts) if behaviour.error_shape is ErrorShape.STRING else list(texts)


def as_json(body: object) -> bytes:
    """A body."""
    return json.dumps(body, ensure_ascii=False).encode()
