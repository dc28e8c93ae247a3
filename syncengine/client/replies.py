"""From an answer of API v2 to a value, or to the error that says what is wrong. Every documented shape is read."""

from typing import Any, NoReturn, assert_never

from syncengine.client.requests import Mailbox
from syncengine.client.results import MessageEvent, MessageReport
from syncengine.destinations._answers import read_answer
from syncengine.destinations._envelope import error_texts, fit, told_object
from syncengine.destinations._http import Reply
from syncengine.errors import (
    DestinationError,
    OutcomeUnknownError,
    RefusedError,
    RejectedError,
    UnavailableError,
)
from syncengine.model import Accepted, Answer, Call, Declined, Fatal, NoAnswer, Partial
from syncengine.redaction import mask_addresses

_CREDENTIALS = "check token, key and secret: https://partner.sndmart.com/profile"
_FIXES = {
    "token-refused": _CREDENTIALS,
    "list-refused": "check the list's id: it is in the address of its page",
    "redirected": "check the url in [account]",
    "not-the-api": "check the url in [account]",
    "tls": "check the url in [account]: the host is not who it says it is",
}


def settled(reply: Reply | NoAnswer | Fatal, call: Call = Call.ADD, contacts: int = 1) -> dict[str, Any]:
    """The answer, keys in lower case, where it says yes. Raises DestinationError for everything else."""
    answer: Answer = read_answer(reply, call, contacts) if isinstance(reply, Reply) else reply
    match answer:
        case Accepted() | Partial():
            assert isinstance(reply, Reply)  # only a reply is read as one
            return told_object(reply.body)
        case Declined(errors):
            raise _rejected(reply, errors)
        case NoAnswer():
            raise unanswered(answer)
        case Fatal(code, text):
            raise RefusedError(
                "the service refuses every request",
                why=mask_addresses(text),
                fix=_FIXES.get(code, _CREDENTIALS),
                code=code,
                sent="the request was refused",
            )
        case _:
            assert_never(answer)


def turned_away(answer: NoAnswer) -> bool:
    """Whether a request without a usable answer was certainly not carried out: it never left, or was too many."""
    return not answer.sent or answer.status == 429


def unanswered(answer: NoAnswer) -> UnavailableError:
    """The error for no usable answer."""
    if turned_away(answer):
        return UnavailableError(
            "the service could not be reached" if not answer.sent else "the service takes no requests now",
            why=answer.reason,
            fix="run it again later; the network and `url` of [account] are worth a look",
        )
    return OutcomeUnknownError(
        "the service gave no usable answer",
        why=answer.reason,
        fix="look in SmartSender whether it was done before doing it again",
        sent="the request left, and may have been carried out",
    )


def _rejected(reply: Reply | NoAnswer | Fatal, errors: tuple[str, ...]) -> DestinationError:
    told = told_object(reply.body) if isinstance(reply, Reply) and reply.status != 413 else {}
    fields = _validation(told.get("validation_errors"))
    if not errors and not fields and told.get("result") is None:
        return unanswered(NoAnswer("the answer says neither yes nor what is wrong"))
    words = "; ".join([*(f"{name}: {text}" for name, text in fields), *errors]) or "no word about why"
    request_id = told.get("requestid")
    number = f" (requestId {fit(request_id)})" if isinstance(request_id, str) else ""
    return RejectedError(
        "the service refused the request",
        texts=errors,
        fields=fields,
        request_id=request_id if isinstance(request_id, str) else None,
        why=mask_addresses(words) + number,
    )


def _validation(told: Any) -> tuple[tuple[str, str], ...]:
    """`{"from_name": ["This field is required."]}` as pairs; nested fields are dotted."""
    if not isinstance(told, dict):
        return ()
    pairs: list[tuple[str, str]] = []
    for name, content in told.items():
        if isinstance(content, dict):
            pairs += ((f"{name}.{inner}", text) for inner, text in _validation(content))
        else:
            texts = content if isinstance(content, list) else [content]
            pairs += ((fit(name), fit(str(text))) for text in texts)
    return tuple(pairs)


# Values ---------------------------------------------------------------------------------------------------------------


def message_id(told: dict[str, Any]) -> str | None:
    """`message_id` (send; its prose says `message`) or `messageId` (mailer/send)."""
    found = next((told[key] for key in ("message_id", "messageid", "message") if told.get(key)), None)
    return fit(str(found)) if isinstance(found, str | int) else None


def updated_ids(told: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids and errors of a batch."""
    return tuple(told.get("updated") or ()), error_texts(told)


def message_reports(told: dict[str, Any], asked: frozenset[str]) -> list[MessageReport]:
    """The messages of an answer. Raises OutcomeUnknownError where it is no list of those asked for."""
    messages = told.get("messages")
    if not isinstance(messages, list):
        _unreadable("it has no `messages`")
    reports = [_message(one) for one in messages]
    strangers = [one.id for one in reports if one.id not in asked]
    if strangers:
        _unreadable(f"it speaks of {len(strangers)} messages that were not asked for")
    return reports


def _unreadable(why: str) -> NoReturn:
    raise unanswered(NoAnswer(f"the answer is not what the API describes: {why}"))


def _message(told: Any) -> MessageReport:
    if not isinstance(told, dict) or not isinstance(told.get("id"), str):
        _unreadable("a message has no id")
    text = {
        name: value if isinstance(value := told.get(name), str) else ""
        for name in ("from_email", "from_name", "subject", "text", "html")
    }
    headers = told.get("headers")
    return MessageReport(
        id=told["id"],
        to=_mailboxes(told.get("to")),
        headers={str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {},
        events=tuple(_event(one) for one in _list(told.get("events"))),
        **text,
    )


def _mailboxes(told: Any) -> tuple[Mailbox, ...]:
    """A list of recipients, as the example has it; or one, as the prose has it."""
    boxes = [told] if isinstance(told, dict) else _list(told)
    return tuple(
        Mailbox(fit(str(box.get("email") or "")), fit(str(box["name"])) if box.get("name") else None)
        for box in boxes
        if isinstance(box, dict)
    )


def _event(told: Any) -> MessageEvent:
    if not isinstance(told, dict):
        _unreadable("an event is no object")
    name, when = told.get("event"), told.get("datetime")
    return MessageEvent(
        fit(name) if isinstance(name, str) and name else None, fit(when) if isinstance(when, str) else ""
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
