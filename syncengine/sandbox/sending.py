"""The sending group: `/send` and `/message`. Key and secret stand in the body, and errors are told in `error`.

The page's two examples disagree: `/send` has `error` as one text beside `validation_errors`, `/message` as a list. Both
have `result: 0`. What the page leaves open: a message to several recipients, or with a bad tag, is a validation error;
an id that no message has is left out of the answer.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from re import compile as pattern

from syncengine.sandbox import contract, telling
from syncengine.sandbox.account import Account
from syncengine.sandbox.addresses import Addresses
from syncengine.sandbox.arguments import Arguments
from syncengine.sandbox.behaviour import ErrorContainer
from syncengine.sandbox.contract import Endpoint
from syncengine.sandbox.fields import as_text
from syncengine.sandbox.outbox import Happening, Message
from syncengine.sandbox.telling import Reply
from syncengine.sandbox.watch import Request

_MOST_IDS = 100
_LONGEST_TAG = 50
_REQUIRED = "This field is required."
_NO_ADDRESS = "This value is not a valid email address."
_ONE_RECIPIENT = "You can send only one email at a time."
_TOO_LONG = "Tags should be 50 characters or less."
_RESERVED = "Tags starting with an underscore are reserved for internal use."
_TAG = pattern(r"[^\x00-\x1f\x7f]+")

_Faults = dict[str, list[str]]


def answer(account: Account, request: Request, arguments: Arguments) -> Reply:
    """Carries the request out and tells of it."""
    secret = as_text(arguments.get("secret")) or ""
    account.let_things_happen(request.number, secret, "")
    if request.endpoint is Endpoint.SEND:
        return _send(account, request, arguments, secret)
    return _statistics(account, request, arguments, secret)


def _send(account: Account, request: Request, arguments: Arguments, secret: str) -> Reply:
    if arguments.get("key") not in account.keys or secret not in account.tokens:
        return _refused(account, "Unauthorized", status=account.behaviour.auth_status)
    given = arguments.get("message")
    message: Mapping[str, object] = given if isinstance(given, dict) else {}
    faults = _faults(message, account.addresses) if message else {"message": [_REQUIRED]}
    if faults:
        return _refused(account, "Validation errors", validation_errors=faults)
    message_id = f"{request.number:024x}"
    if not (account.behaviour.lying and account.chance.random() < account.behaviour.lying):
        request.applied += 1
        account.outbox.post(_message(message_id, request, message), at=request.at)
    return Reply(200, telling.as_json({"message_id": message_id, "result": 1}))


def _message(message_id: str, request: Request, told: Mapping[str, object]) -> Message:
    to = _elements(told.get("to"))[0]
    headers = told.get("headers")
    return Message(
        message_id,
        request.number,
        "",
        as_text(to.get("email")) or "",
        "",
        name=as_text(to.get("name")) or "",
        headers=dict(headers) if isinstance(headers, dict) else {},
        tags=tuple(_texts(told.get("tags"))),
        **{key: as_text(told.get(key)) or "" for key in ("from_email", "from_name", "subject", "html", "text")},
    )


def _faults(message: Mapping[str, object], addresses: Addresses) -> _Faults:
    """Every field at fault, in the order of the page, with what is wrong with it."""
    faults: _Faults = {}
    for name in ("from_email", "from_name", "subject"):
        if not as_text(message.get(name)):
            faults[name] = [_REQUIRED]
    sender = message.get("from_email")
    if sender and not (isinstance(sender, str) and addresses.is_valid(sender)):
        faults["from_email"] = [_NO_ADDRESS]
    recipients = _elements(message.get("to"))
    if not recipients:
        faults["to"] = [_REQUIRED]
    elif len(recipients) > 1:
        faults["to"] = [_ONE_RECIPIENT]
    for name in ("to", "reply_to"):
        bad = [box for box in _elements(message.get(name)) if not _is_address(box.get("email"), addresses)]
        if bad:
            faults.setdefault(name, []).append(_NO_ADDRESS if bad[0].get("email") else _REQUIRED)
    tags = _texts(message.get("tags"))
    told = [_TOO_LONG for tag in tags if len(tag) > _LONGEST_TAG] + [_RESERVED for tag in tags if tag.startswith("_")]
    told += [_REQUIRED for tag in tags if not _TAG.fullmatch(tag)]
    if told:
        faults["tags"] = told
    if not as_text(message.get("html")):
        faults["html"] = [_REQUIRED]
    return faults


def _is_address(value: object, addresses: Addresses) -> bool:
    return isinstance(value, str) and bool(addresses.is_valid(value))


def _statistics(account: Account, request: Request, arguments: Arguments, secret: str) -> Reply:
    key = as_text(arguments.get("key")) or ""
    if not key:
        return _told(account, [contract.AUTHORIZATION_NEEDED], status=account.behaviour.auth_status)
    if key not in account.keys or secret not in account.tokens:
        texts = [contract.unknown_token(key)]
        return _told(account, texts, container="errors", status=account.behaviour.auth_status)
    ids = arguments.get("ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(one, str) and one for one in ids):
        return _told(account, [contract.NO_IDS])
    if len(ids) > _MOST_IDS:
        return _told(account, [contract.too_many_ids(_MOST_IDS)])
    request.applied += 1
    known = [account.outbox.by_id[one] for one in dict.fromkeys(ids) if one in account.outbox.by_id]
    return Reply(200, telling.as_json({"messages": [_as_json(account, message) for message in known], "result": 1}))


def _as_json(account: Account, message: Message) -> dict[str, object]:
    return {
        "id": message.id,
        "from_email": message.from_email,
        "from_name": message.from_name,
        "subject": message.subject,
        "to": [{"name": message.name, "email": message.email}],
        "headers": dict(message.headers),
        "text": message.text,
        "html": message.html,
        "events": [_event(account, one) for one in account.outbox.happenings(message.id)],
    }


def _event(account: Account, happening: Happening) -> dict[str, object]:
    moment = datetime.fromtimestamp(account.epoch + happening.at, UTC)
    return {"event": happening.act.value, "datetime": f"{moment:%Y-%m-%d %H:%M:%S.%f}"}


def _refused(account: Account, error: str, *, status: int | None = None, **more: object) -> Reply:
    """`/send`: `error` is a text, unless the behaviour wants all errors in one container."""
    container = account.behaviour.error_container
    name = "error" if container is ErrorContainer.DOCUMENTED else container.value
    body = {**more, "result": 0, name: error}
    return Reply(status or account.behaviour.error_status, telling.as_json(body), errors=1)


def _told(account: Account, texts: list[str], *, container: str = "error", status: int | None = None) -> Reply:
    """`/message`: a list of texts."""
    wanted = account.behaviour.error_container
    name = container if wanted is ErrorContainer.DOCUMENTED else wanted.value
    return Reply(
        status or account.behaviour.error_status, telling.as_json({name: texts, "result": 0}), errors=len(texts)
    )


def _elements(value: object) -> list[Mapping[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
