"""SmarterSends under the path `/smartersends`, written from its page "API Endpoints".

    url   http://127.0.0.1:8787/smartersends      (the page: https://your-instance-subdomain.smartersends.com)
    key   sandbox-instance-key

What the page leaves open is answered as Laravel does, which its dates look like: `{"message": …, "errors": {…}}`. A
date without a time is midnight. The storage refuses a request that brings a bearer key besides its signature, as S3
does, and counts it.
"""

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from re import compile as pattern
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode

from starlette.types import Scope

from syncengine.sandbox import usage
from syncengine.sandbox.account import Account
from syncengine.sandbox.behaviour import CampaignForm
from syncengine.sandbox.contract import Endpoint
from syncengine.sandbox.instance import Instance
from syncengine.sandbox.telling import Reply, as_json
from syncengine.sandbox.watch import Request

PREFIX = "/smartersends"
NO_URL = "Export generated, but no temporary URL could be created."

_EVENT = pattern(rf"{PREFIX}/api/events/([^/]+)")
_STORED = pattern(rf"{PREFIX}/storage/(.+)")
_DAYS = frozenset({"MO", "TU", "WE", "TH", "FR", "SA", "SU"})
_MONTHS = range(1, 13)
_EVENT_FIELDS: dict[str, object] = {
    "name": None,
    "start_date": None,
    "end_date": None,
    "description": None,
    "repeats": False,
    "repeat_type": None,
    "max_occurrences": None,
    "repeat_interval": None,
    "repeat_days": None,
    "repeat_months": None,
    "all_groups": False,
}


class Visit(NamedTuple):
    """A request as this API sees it. `fields` are the query's and, over them, the JSON body's."""

    method: str
    path: str
    host: str
    key: str
    has_bearer: bool
    fields: Mapping[str, object]


class _InvalidError(Exception):
    """422: what is wrong with which fields."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(errors)
        self.errors = errors


def instance_door(path: str) -> tuple[Endpoint, tuple[str, ...]] | None:
    """The call behind a path, and the methods it takes."""
    match path.removeprefix(PREFIX) if path.startswith(PREFIX) else "":
        case "/api/usage/campaign/export":
            return Endpoint.CAMPAIGN_EXPORT, ("POST",)
        case "/api/usage/campaigns/export":
            return Endpoint.CAMPAIGN_EXPORT, ("GET",)
        case "/api/usage/conversations":
            return Endpoint.CONVERSATIONS, ("GET",)
        case "/api/events":
            return Endpoint.EVENTS, ("GET", "POST")
    if _EVENT.fullmatch(path):
        return Endpoint.EVENT, ("GET", "PUT", "DELETE")
    return (Endpoint.DOWNLOAD, ("GET",)) if _STORED.fullmatch(path) else None


def visit_of(scope: Scope, body: bytes) -> Visit:
    """The parts of a request that matter here."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
    scheme, _, key = headers.get("authorization", "").partition(" ")
    has_bearer = scheme.lower() == "bearer"
    fields: dict[str, object] = {**query, **_object(body)}
    return Visit(scope["method"], scope["path"], headers.get("host", ""), key if has_bearer else "", has_bearer, fields)


def _object(body: bytes) -> dict[str, object]:
    try:
        told = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def answer_visit(account: Account, request: Request, visit: Visit) -> Reply:
    """Carries the request out and tells of it."""
    if request.endpoint is Endpoint.DOWNLOAD:
        return _download(account.instance, visit, now=request.at)
    if visit.key not in account.instance.keys:
        return _failed(401, "Unauthenticated.")
    request.applied += 1
    try:
        return _ANSWERS[request.endpoint](account, request, visit)
    except _InvalidError as invalid:
        first = next(iter(invalid.errors.values()))[0]
        return Reply(422, as_json({"message": first, "errors": invalid.errors}), errors=len(invalid.errors))


def _failed(status: int, message: str) -> Reply:
    return Reply(status, as_json({"message": message}), errors=1)


# Usage ----------------------------------------------------------------------------------------------------------------


def _campaigns(account: Account, request: Request, visit: Visit) -> Reply:
    form = account.behaviour.campaign_form
    if form is not CampaignForm.BOTH and form.value != visit.method.lower():
        return _failed(404, "The route could not be found.")
    window = _window(visit.fields, required=True)
    wanted = usage.CampaignFilter(
        *window,
        kind=_text(visit.fields, "type"),
        statuses=usage.statuses(_text(visit.fields, "status")),
        date_column=_text(visit.fields, "date_column") or "send_time",
    )
    if wanted.date_column not in usage.DATE_COLUMNS:
        raise _InvalidError({"date_column": ["The selected date column is invalid."]})
    form_of_file = _format(visit.fields, "csv")
    columns = usage.columns(_text(visit.fields, "columns"))
    rows = usage.campaign_rows(account.instance.campaigns, wanted, columns)
    content = usage.as_csv(columns, rows) if form_of_file == "csv" else as_json(rows)
    return _exported(account, request, visit, f"campaigns_{request.number:06}", content, form_of_file)


def _conversations(account: Account, request: Request, visit: Visit) -> Reply:
    start, end = _window(visit.fields, required=False)
    told = usage.conversation_usage(account.instance, start, end)
    if _format(visit.fields, "json") == "json":
        return Reply(200, as_json(told))
    return _exported(account, request, visit, f"conversations_usage_{request.number:06}", usage.usage_csv(told), "csv")


def _exported(account: Account, request: Request, visit: Visit, name: str, content: bytes, extension: str) -> Reply:
    """The file goes to the storage; the answer says where. The page's `s3_path` ends in .csv for both formats."""
    behaviour = account.behaviour
    content_type = "text/csv" if extension == "csv" else "application/json"
    ready, expires = request.at + behaviour.export_seconds, request.at + behaviour.export_expires
    stored = account.instance.store(f"{name}.{extension}", content, content_type, ready=ready, expires=expires)
    file: dict[str, object] = {
        "extension": extension,
        "content_type": content_type,
        "s3_path": f"/tmp/exports/1/{name}.csv",  # noqa: S108  # the page's own path, on nobody's disk
    }
    if not behaviour.export_url:
        return Reply(200, as_json({"file": file | {"url": None, "expires_at": None}, "message": NO_URL}))
    host = visit.host.replace("127.0.0.1", "localhost")  # another host than the API's
    query = urlencode({"X-Amz-Signature": stored.signature, "X-Amz-Expires": int(behaviour.export_expires)})
    file["url"] = f"http://{host}{PREFIX}/storage/{name}.{extension}?{query}"
    file["expires_at"] = f"{datetime.fromtimestamp(account.epoch + expires, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Reply(200, as_json({"file": file}))


def _download(instance: Instance, visit: Visit, *, now: float) -> Reply:
    match = _STORED.fullmatch(visit.path)
    stored = instance.storage.get(match[1]) if match else None
    if visit.has_bearer:
        instance.with_bearer += 1
        return _storage_fault(400, "InvalidArgument", "Only one auth mechanism allowed")
    if stored is None or visit.fields.get("X-Amz-Signature") != stored.signature:
        return _storage_fault(403, "SignatureDoesNotMatch", "The request signature does not match")
    if now >= stored.expires:
        return _storage_fault(403, "AccessDenied", "Request has expired")
    if now < stored.ready:
        return _storage_fault(404, "NoSuchKey", "The specified key does not exist.")
    return Reply(200, stored.content, stored.content_type)


def _storage_fault(status: int, code: str, message: str) -> Reply:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(status, text.encode(), "application/xml", errors=1)


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value) if value is not None else ""


def _format(fields: Mapping[str, object], default: str) -> str:
    wanted = _text(fields, "format") or default
    if wanted not in {"csv", "json"}:
        raise _InvalidError({"format": ["The selected format is invalid."]})
    return wanted


def _window(fields: Mapping[str, object], *, required: bool) -> tuple[datetime | None, datetime | None]:
    dates: list[datetime | None] = []
    errors: dict[str, list[str]] = {}
    for name in ("start_date", "end_date"):
        text = _text(fields, name)
        shown = name.replace("_", " ")
        date = _date(text) if text else None
        if not text and required:
            errors[name] = [f"The {shown} field is required."]
        elif text and date is None:
            errors[name] = [f"The {shown} field must be a valid date."]
        dates.append(date)
    if errors:
        raise _InvalidError(errors)
    return dates[0], dates[1]


def _date(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


# Events ---------------------------------------------------------------------------------------------------------------


def _events(account: Account, request: Request, visit: Visit) -> Reply:
    instance = account.instance
    if visit.method == "GET":
        return Reply(200, as_json(list(instance.events.values())))
    fields = _checked_event(instance, visit.fields, {})
    instance.events_made += 1
    now = _stamp(account.epoch + request.at)
    event = {"id": instance.events_made, **fields, "created_at": now, "updated_at": now}
    event["groups"] = event.pop("groups", [])
    instance.events[instance.events_made] = event
    return Reply(201, as_json(event))


def _event(account: Account, request: Request, visit: Visit) -> Reply:
    instance = account.instance
    match = _EVENT.fullmatch(visit.path)
    number = int(match[1]) if match and match[1].isdecimal() else 0
    event = instance.events.get(number)
    if event is None:
        return _failed(404, f"No query results for event {number}.")
    match visit.method:
        case "DELETE":
            del instance.events[number]
            return Reply(204, b"", None)
        case "PUT":
            event |= _checked_event(instance, visit.fields, event)
            event["updated_at"] = _stamp(account.epoch + request.at)
    return Reply(200, as_json(event))


def _stamp(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _checked_event(instance: Instance, given: Mapping[str, object], before: Mapping[str, object]) -> dict[str, object]:
    """The fields as they will be; those not given stay as they were, or at their defaults."""
    wanted = {name: given.get(name, before.get(name, default)) for name, default in _EVENT_FIELDS.items()}
    errors: dict[str, list[str]] = {}
    if not isinstance(wanted["name"], str) or not wanted["name"]:
        errors["name"] = ["The name field is required."]
    for name in ("start_date", "end_date"):
        value = wanted[name]
        if value is None and name == "start_date":
            errors[name] = ["The start date field is required."]
        elif value is not None:
            date = _date(value) if isinstance(value, str) else None
            if date is None:
                errors[name] = [f"The {name.replace('_', ' ')} field must be a valid date."]
            else:
                wanted[name] = f"{date.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    errors |= {name: [f"The {name.replace('_', ' ')} field is invalid."] for name in _odd_fields(wanted)}
    groups = given.get("groups", [group["id"] for group in _groups_of(before)])
    known = groups if _are_all(groups, instance.groups) and isinstance(groups, list) else None
    if known is None:
        errors["groups"] = ["The selected groups is invalid."]
    if errors or known is None:
        raise _InvalidError(errors)
    return wanted | {"groups": [{"id": group, "name": instance.groups[group]} for group in known]}


def _groups_of(event: Mapping[str, object]) -> list[dict[str, object]]:
    groups = event.get("groups")
    return groups if isinstance(groups, list) else []


def _odd_fields(wanted: Mapping[str, object]) -> list[str]:
    """Names of the fields whose values can't be."""
    fine: dict[str, Callable[[object], bool]] = {
        "repeats": lambda value: isinstance(value, bool),
        "all_groups": lambda value: isinstance(value, bool),
        "repeat_type": lambda value: value in (None, "daily", "weekly", "monthly", "yearly"),
        "repeat_interval": _is_count,
        "max_occurrences": _is_count,
        "repeat_days": lambda value: value is None or _are_all(value, _DAYS),
        "repeat_months": lambda value: value is None or _are_all(value, _MONTHS),
    }
    return [name for name, is_fine in fine.items() if not is_fine(wanted[name])]


def _are_all(value: object, known: Collection[object]) -> bool:
    return isinstance(value, list) and all(isinstance(one, str | int) and one in known for one in value)


def _is_count(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)


_ANSWERS: dict[Endpoint, Callable[[Account, Request, Visit], Reply]] = {
    Endpoint.CAMPAIGN_EXPORT: _campaigns,
    Endpoint.CONVERSATIONS: _conversations,
    Endpoint.EVENTS: _events,
    Endpoint.EVENT: _event,
}
