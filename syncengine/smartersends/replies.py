"""From an answer of SmarterSends to a value, or to the error that says what is wrong.

The page shows no body of an error: `message` and `errors` by field are read where they are there, and whatever else
comes is told by its status.
"""

import json
from typing import Any, NoReturn

from syncengine.destinations._envelope import fit
from syncengine.destinations._http import Reply
from syncengine.errors import DestinationError, OutcomeUnknownError, RefusedError, RejectedError, UnavailableError
from syncengine.model import Fatal, NoAnswer
from syncengine.smartersends.events import Event, Group
from syncengine.smartersends.usage import COUNTS, GROUP_COLUMNS, METRICS, ConversationUsage, Export

_URL_FIX = "check url in [smartersends]: https://YOUR-INSTANCE.smartersends.com"


def told(reply: Reply | NoAnswer | Fatal) -> Any:
    """The JSON of an answer that says yes; None for one without a body. Raises DestinationError."""
    if isinstance(reply, NoAnswer):
        raise unanswered(reply)
    if isinstance(reply, Fatal):
        raise RefusedError("the instance is not who it says it is", why=reply.text, fix=_URL_FIX, code=reply.code)
    if 200 <= reply.status < 300:
        if not reply.body.strip():
            return None
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError):
            return unreadable("it is no JSON")
    raise _refusal(reply)


def turned_away(reply: Reply | NoAnswer | Fatal) -> bool:
    """Whether a request was certainly not carried out: it never left, or was too many."""
    if isinstance(reply, NoAnswer):
        return not reply.sent
    return isinstance(reply, Reply) and reply.status == 429


def is_passing(reply: Reply | NoAnswer | Fatal) -> bool:
    """Whether asking again may help."""
    return isinstance(reply, NoAnswer) or (isinstance(reply, Reply) and (reply.status >= 500 or reply.status == 429))


def unanswered(answer: NoAnswer) -> UnavailableError:
    """The error for no usable answer."""
    if not answer.sent:
        return UnavailableError("the instance could not be reached", why=answer.reason, fix=_URL_FIX)
    return OutcomeUnknownError(
        "the instance gave no usable answer",
        why=answer.reason,
        fix="look whether it was done before doing it again",
        sent="the request left, and may have been carried out",
    )


def unreadable(why: str) -> NoReturn:
    """Raises OutcomeUnknownError: the answer is not what the page describes."""
    raise unanswered(NoAnswer(f"the answer is not what the page describes: {why}"))


def _refusal(reply: Reply) -> DestinationError:
    words, fields = _words(reply.body)
    why = "; ".join([*(f"{name}: {text}" for name, text in fields), *([words] if words else [])])
    why = f"HTTP {reply.status}" + (f": {why}" if why else "")
    match reply.status:
        case 401 | 403:
            fix = "make a new key in Settings -> Integrations -> API, and put it into [smartersends]"
            return RefusedError("the instance refuses the key", why=why, fix=fix, code="key-refused")
        case status if 300 <= status < 400:
            return RefusedError("the instance answers with a redirect", why=why, fix=_URL_FIX, code="redirected")
        case 404 | 405:
            return RejectedError("there is no such thing", texts=(words,), why=why, code="not-found")
        case 400 | 409 | 413 | 422:
            return RejectedError("the instance refused the request", texts=(words,), fields=fields, why=why)
        case 429:
            return UnavailableError("the instance takes no requests now", why=why, fix="run it again later")
        case _:
            return unanswered(NoAnswer(why, status=reply.status))


def _words(body: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """`message` (or `error`), and (field, text) of `errors`."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return "", ()
    if not isinstance(content, dict):
        return "", ()
    message = content.get("message") or content.get("error")
    errors = content.get("errors")
    pairs: list[tuple[str, str]] = []
    for name, texts in errors.items() if isinstance(errors, dict) else ():
        pairs += ((fit(str(name)), fit(str(text))) for text in (texts if isinstance(texts, list) else [texts]))
    return fit(message) if isinstance(message, str) else "", tuple(pairs)


# Values ---------------------------------------------------------------------------------------------------------------


def export(content: Any) -> Export:
    """The file of an export. Raises UnavailableError where it has no address."""
    file = content.get("file") if isinstance(content, dict) else None
    if not isinstance(file, dict):
        unreadable("it has no `file`")
    text = {
        name: value if isinstance(value := file.get(name), str) else ""
        for name in ("extension", "content_type", "s3_path")
    }
    url, expires = file.get("url"), file.get("expires_at")
    if not isinstance(url, str) or not url:
        message = content.get("message")
        words = fit(message) if isinstance(message, str) else "the answer has no url"
        raise UnavailableError(
            "the export was made, but it can't be downloaded",
            why=f"{words} It is at {fit(text['s3_path'])}",
            fix="fetch it from the instance's own storage, or ask SmarterSends about it",
            code="export-without-url",
            sent="the export was made; nothing else",
        )
    return Export(
        **{name: fit(value) for name, value in text.items()},
        expires_at=fit(expires) if isinstance(expires, str) else None,
        url=url,
    )


def conversation_usage(content: Any) -> ConversationUsage:
    """`range`, `metrics`, `by_group`. Raises OutcomeUnknownError for what is no usage."""
    if not isinstance(content, dict) or not isinstance(content.get("metrics"), dict):
        unreadable("it has no `metrics`")
    metrics, groups, span = content["metrics"], content.get("by_group"), content.get("range")
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        unreadable("`by_group` is no list of groups")
    if any(_count(row.get(name)) is None for row in (metrics, *groups) for name in COUNTS):
        unreadable("a count is no whole number")
    ends = [value for value in span.values() if isinstance(value, str)] if isinstance(span, dict) else []
    return ConversationUsage(
        ends[0] if ends else None,
        ends[-1] if len(ends) > 1 else None,
        _measured(metrics, METRICS),
        [_measured(group, GROUP_COLUMNS) for group in groups],
    )


def _measured(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _count(row.get(name)) if name in COUNTS else row.get(name) for name in names}


def event_list(content: Any) -> list[Event]:
    """A bare array of events; one under `data` is taken too."""
    listed = content.get("data") if isinstance(content, dict) else content
    if not isinstance(listed, list):
        unreadable("it is no list of events")
    return [event(one) for one in listed]


def event_or_none(content: Any) -> Event | None:
    """The event of an answer whose shape the page leaves open: bare, under `data` or `event`, or none at all."""
    if not isinstance(content, dict):
        return None
    for inner in (content, content.get("data"), content.get("event")):
        if isinstance(inner, dict) and "id" in inner:
            return event(inner)
    return None


def event(content: Any) -> Event:
    """Raises OutcomeUnknownError for what is no event."""
    if not isinstance(content, dict) or isinstance(content.get("id"), bool) or not isinstance(content.get("id"), int):
        unreadable("an event has no number")
    text = {name: _text(content.get(name)) for name in ("end_date", "description", "repeat_type")}
    stamps = {name: _text(content.get(name)) for name in ("created_at", "updated_at")}
    counts = {name: _count(content.get(name)) for name in ("max_occurrences", "repeat_interval")}
    return Event(
        id=content["id"],
        name=str(content.get("name") or ""),
        start_date=str(content.get("start_date") or ""),
        repeats=bool(content.get("repeats")),
        all_groups=bool(content.get("all_groups")),
        repeat_days=tuple(str(day) for day in _list(content.get("repeat_days"))),
        repeat_months=tuple(int(month) for month in _list(content.get("repeat_months")) if str(month).isdecimal()),
        groups=tuple(_group(one) for one in _list(content.get("groups"))),
        **text,
        **stamps,
        **counts,
    )


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else None


def _count(value: Any) -> Any:
    """A whole number, also where it is written as a text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _group(content: Any) -> Group:
    if isinstance(content, dict) and isinstance(content.get("id"), int):
        return Group(content["id"], str(content.get("name") or ""))
    if isinstance(content, int):
        return Group(content, "")
    return unreadable("a group has no number")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
