"""Control over HTTP, for a test or a person in another process: JSON under `/sandbox/`, without a token.

GET     lists · lists/{id}/contacts?offset&limit&q · lists/{id}/history?email · behaviour · scenarios · faults
        · log?after&limit · events · messages · webhooks · stats
POST    lists {id, name} · lists/{id}/seed {contacts} · lists/{id}/contacts/{contact} {act} · tokens {token}
        · behaviour {scenario, …settings} · faults {what, …} or an array of them · messages/{id} {act}
        · templates {id, variables} · webhooks {url, duplicate, drop, reorder, delay, attempts} · reset
DELETE  faults

What cannot be done is answered with 400, or 404 for a list, contact or message there is not, and `{"error": …}`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from itertools import islice
from json import JSONDecodeError
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from syncengine.sandbox.account import Act
from syncengine.sandbox.contacts import Contact, ContactList
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.outbox import TOLD, Happening, Message, MessageAct
from syncengine.sandbox.scenarios import described

if TYPE_CHECKING:
    from syncengine.sandbox.sandbox import Sandbox

_MOST_CONTACTS = 10_000  #: in one answer
_MOST_REQUESTS = 10_000

_A = TypeVar("_A", Act, MessageAct)
_Handler = Callable[[Request], Awaitable[object]]


class _NotFoundError(Exception):
    """The path names a list or a contact there is not."""


def control_routes(sandbox: "Sandbox") -> list[Route]:
    """Everything under `/sandbox/`."""
    control = _Control(sandbox)
    table: list[tuple[str, str, _Handler]] = [
        ("GET", "lists", control.lists),
        ("POST", "lists", control.create_list),
        ("GET", "lists/{list_id}/contacts", control.contacts),
        ("GET", "lists/{list_id}/history", control.history),
        ("POST", "lists/{list_id}/seed", control.seed),
        ("POST", "lists/{list_id}/contacts/{contact_id}", control.act),
        ("GET", "behaviour", control.behaviour),
        ("POST", "behaviour", control.behave),
        ("GET", "scenarios", control.scenarios),
        ("GET", "faults", control.faults),
        ("POST", "faults", control.add_faults),
        ("DELETE", "faults", control.clear_faults),
        ("POST", "tokens", control.add_token),
        ("GET", "log", control.log),
        ("GET", "events", control.events),
        ("GET", "webhooks", control.webhooks),
        ("POST", "webhooks", control.set_webhooks),
        ("GET", "messages", control.messages),
        ("POST", "messages/{message_id}", control.happen),
        ("POST", "templates", control.add_template),
        ("GET", "stats", control.stats),
        ("POST", "reset", control.reset),
    ]
    return [Route(f"/sandbox/{path}", _answered(handler), methods=[method]) for method, path, handler in table]


def _answered(handler: _Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await handler(request))
        except _NotFoundError as error:
            return JSONResponse({"error": str(error)}, 404)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)

    return endpoint


class _Control:
    """The handlers. Each gives a JSON value, or raises ValueError or _NotFoundError."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox

    async def lists(self, _: Request) -> object:
        return [list_as_json(one) for one in self._sandbox.lists.values()]

    async def create_list(self, request: Request) -> object:
        body = await _object(request)
        return list_as_json(self._sandbox.create_list(_text(body, "id"), _text(body, "name")))

    async def contacts(self, request: Request) -> object:
        contacts = self._list(request)
        offset, limit = _number(request, "offset", 0), min(_number(request, "limit", 100), _MOST_CONTACTS)
        found = islice(contacts.search(request.query_params.get("q", "")), offset, offset + limit)
        return {"total": len(contacts.contacts), "contacts": [contact_as_json(contact) for contact in found]}

    async def history(self, request: Request) -> object:
        transitions = self._list(request).history(request.query_params.get("email", ""))
        return [{"request": number, "active": active} for number, active in transitions]

    async def seed(self, request: Request) -> object:
        contacts = self._list(request)
        seeds = (await _object(request)).get("contacts")
        if not isinstance(seeds, list) or not all(isinstance(seed, dict) for seed in seeds):
            raise ValueError("contacts is an array of objects, each with an email")
        return {"seeded": self._sandbox.seed(contacts.id, seeds)}

    async def act(self, request: Request) -> object:
        contacts = self._list(request)
        contact_id = request.path_params["contact_id"]
        if contact_id not in contacts.contacts:
            raise _NotFoundError(f"no contact {contact_id!r} in list {contacts.id}")
        name = _text(await _object(request), "act")
        if name in TOLD:
            email = contacts.contacts[contact_id].email
            return self._sandbox.react(email, MessageAct(name)).as_json()
        act = _one_of(Act, name)
        return self._sandbox.act(contacts.id, contact_id, act).as_json()

    async def behaviour(self, _: Request) -> object:
        return self._sandbox.behaviour.settings()

    async def behave(self, request: Request) -> object:
        settings = await _object(request)
        if "scenario" in settings:
            self._sandbox.play(_text(settings, "scenario"), {k: v for k, v in settings.items() if k != "scenario"})
        else:
            self._sandbox.behaviour = self._sandbox.behaviour.changed(settings)
        return self._sandbox.behaviour.settings()

    async def scenarios(self, _: Request) -> object:
        return dict(described())

    async def faults(self, _: Request) -> object:
        return [fault.as_json() for fault in self._sandbox.faults]

    async def add_faults(self, request: Request) -> object:
        body = await _json(request)
        faults = [Fault.from_json(one) if isinstance(one, dict) else _no_fault(one) for one in _many(body)]
        self._sandbox.faults.add(*faults)
        return {"faults": len(self._sandbox.faults)}

    async def clear_faults(self, _: Request) -> object:
        self._sandbox.faults.clear()
        return {"faults": 0}

    async def add_token(self, request: Request) -> object:
        self._sandbox.tokens.add(_text(await _object(request), "token"))
        return {"tokens": len(self._sandbox.tokens)}

    async def log(self, request: Request) -> object:
        after, limit = _number(request, "after", 0), min(_number(request, "limit", 1_000), _MOST_REQUESTS)
        later = (one.as_json() for one in self._sandbox.log if one.number > after)
        return list(islice(later, limit))

    async def events(self, _: Request) -> object:
        return [event.as_json() for event in self._sandbox.account.events]

    async def messages(self, _: Request) -> object:
        outbox = self._sandbox.account.outbox
        return [_message_as_json(one, outbox.happenings(one.id)) for one in outbox.messages[-_MOST_REQUESTS:]]

    async def happen(self, request: Request) -> object:
        message_id = request.path_params["message_id"]
        if message_id not in self._sandbox.account.outbox.by_id:
            raise _NotFoundError(f"no message {message_id!r}")
        act = _one_of(MessageAct, _text(await _object(request), "act"))
        message = self._sandbox.happen(message_id, act)
        return _message_as_json(message, self._sandbox.account.outbox.happenings(message_id))

    async def add_template(self, request: Request) -> object:
        body = await _object(request)
        variables = body.get("variables", [])
        if not isinstance(variables, list) or not all(isinstance(name, str) for name in variables):
            raise ValueError("variables is an array of names")
        self._sandbox.account.templates[_text(body, "id")] = tuple(variables)
        return {"templates": len(self._sandbox.account.templates)}

    async def webhooks(self, _: Request) -> object:
        postman = self._sandbox.postman
        return {**asdict(postman.hooks), "deliveries": [asdict(one) for one in postman.deliveries]}

    async def set_webhooks(self, request: Request) -> object:
        self._sandbox.hooks = self._sandbox.hooks.changed(await _object(request))
        return asdict(self._sandbox.hooks)

    async def stats(self, _: Request) -> object:
        return self._sandbox.stats()

    async def reset(self, _: Request) -> object:
        self._sandbox.reset()
        return {}

    def _list(self, request: Request) -> ContactList:
        list_id = request.path_params["list_id"]
        if list_id not in self._sandbox.lists:
            raise _NotFoundError(f"no list {list_id!r}")
        return self._sandbox.lists[list_id]


def list_as_json(contacts: ContactList) -> dict[str, object]:
    return {
        "id": contacts.id,
        "name": contacts.name,
        "contacts": len(contacts.contacts),
        "subscribed": contacts.subscribed,
        "variables": dict(contacts.variables),
    }


def contact_as_json(contact: Contact) -> dict[str, object]:
    return {
        "id": contact.id,
        "email": contact.email,
        "name": contact.name,
        "active": contact.active,
        "variables": contact.variables,
        "created": contact.created,
        "updated": contact.updated,
        "updates": contact.updates,
    }


def _message_as_json(message: Message, happenings: list[Happening]) -> dict[str, object]:
    return {
        "id": message.id,
        "email": message.email,
        "template": message.template_id,
        "subject": message.subject,
        "tags": list(message.tags),
        "events": [happening.act for happening in happenings],
    }


def _one_of(kind: type[_A], name: str) -> _A:
    if name not in list(kind):
        raise ValueError(f"act is one of {', '.join(kind)}; not {name!r}")
    return kind(name)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f"{name} is a whole number, from 0; not {text!r}")
    return int(text)


async def _json(request: Request) -> object:
    try:
        body: object = await request.json()
    except (JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    return body


async def _object(request: Request) -> dict[str, object]:
    body = await _json(request)
    if not isinstance(body, dict):
        raise ValueError(f"the body is a JSON object; not {type(body).__name__}")  # noqa: TRY004  # bad input, not a bug
    return body


def _text(body: dict[str, object], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is a text; not {value!r}")
    return value


def _many(body: object) -> list[object]:
    return body if isinstance(body, list) else [body]


def _no_fault(value: object) -> Fault:
    raise ValueError(f"a fault is an object; not {value!r}")
