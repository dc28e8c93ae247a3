"""The pages for people: what the lists hold, who is subscribed, what was asked last. Plain HTML, no script."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from syncengine.sandbox.account import DEFAULT_TOKEN, Act
from syncengine.sandbox.contacts import Contact, ContactList
from syncengine.sandbox.outbox import TOLD, MessageAct
from syncengine.sandbox.scenarios import described

if TYPE_CHECKING:
    from syncengine.sandbox.sandbox import Sandbox

_CONTACTS_A_PAGE = 50
_REQUESTS_SHOWN = 20
_DELIVERIES_SHOWN = 10
_VARIABLES_SHOWN = 6  #: as columns of their own; a contact's others are behind a click
_STATES = {"subscribed": True, "unsubscribed": False}


def page_routes(sandbox: "Sandbox") -> list[Route]:
    pages = _Pages(sandbox)
    return [
        Route("/", pages.index, methods=["GET"]),
        Route("/lists/{list_id}", pages.contact_list, methods=["GET"]),
        Route("/lists/{list_id}/contacts/{contact_id}", pages.act, methods=["POST"]),
        Route("/webhooks", pages.webhooks, methods=["POST"]),
        Route("/scenario", pages.scenario, methods=["POST"]),
        Route("/reset", pages.reset, methods=["POST"]),
    ]


class _View(NamedTuple):
    """What of a list is looked at, as the page's address says it."""

    q: str
    state: str  #: "", "subscribed", "unsubscribed"
    page: int  #: from 1

    def query(self, **changes: object) -> str:
        """The part of the address after its path."""
        wanted = {name: value for name, value in (self._asdict() | changes).items() if value not in ("", 1)}
        return f"?{urlencode(wanted)}" if wanted else ""


@dataclass(frozen=True, slots=True)
class _Extract:
    """One page of contacts. `pages` is None when nobody has counted: a search stops at the page's end."""

    contacts: list[Contact]
    more: bool
    pages: int | None


class _Pages:
    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox

    async def index(self, request: Request) -> Response:
        sandbox = self._sandbox
        return _page(
            "index.html",
            url=str(request.base_url).rstrip("/"),
            token=DEFAULT_TOKEN if DEFAULT_TOKEN in sandbox.tokens else None,
            stats=sandbox.stats(),
            lists=list(sandbox.lists.values()),
            requests=[(one, self._clock_time(one.at)) for one in sandbox.log[: -_REQUESTS_SHOWN - 1 : -1]],
            departures=sandbox.behaviour.departures(),
            settings=sandbox.behaviour.settings(),
            faults=[fault.as_json() for fault in sandbox.faults],
            scenarios=described(),
            playing=sandbox.playing,
            hooks=sandbox.hooks,
            deliveries=list(sandbox.postman.deliveries)[: -_DELIVERIES_SHOWN - 1 : -1],
        )

    async def contact_list(self, request: Request) -> Response:
        contacts = self._list(request)
        view = _view(request)
        extract = _extract(contacts, view)
        return _page(
            "contacts.html",
            list=contacts,
            view=view,
            extract=extract,
            columns=list(contacts.variables)[:_VARIABLES_SHOWN],
            first=(view.page - 1) * _CONTACTS_A_PAGE + 1,
            reactions=TOLD,
        )

    async def act(self, request: Request) -> Response:
        contacts = self._list(request)
        contact_id = request.path_params["contact_id"]
        act = (await _form(request)).get("act", "")
        if act not in (*Act, *TOLD):
            raise HTTPException(400, f"act is one of {', '.join((*Act, *TOLD))}")
        contact = contacts.contacts.get(contact_id)  # None: somebody was faster, which the page will show
        if contact is not None and act in TOLD:
            self._sandbox.react(contact.email, MessageAct(act))
        elif contact is not None:
            self._sandbox.act(contacts.id, contact_id, Act(act))
        return RedirectResponse(f"/lists/{contacts.id}{_view(request).query()}", 303)

    async def scenario(self, request: Request) -> Response:
        try:
            self._sandbox.play((await _form(request)).get("name", ""))
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return RedirectResponse("/", 303)

    async def webhooks(self, request: Request) -> Response:
        try:
            self._sandbox.hooks = self._sandbox.hooks.changed(await _form(request, blanks=True))
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return RedirectResponse("/", 303)

    async def reset(self, _: Request) -> Response:
        self._sandbox.reset()
        return RedirectResponse("/", 303)

    def _list(self, request: Request) -> ContactList:
        list_id = request.path_params["list_id"]
        if list_id not in self._sandbox.lists:
            raise HTTPException(404, f"There is no list {list_id}.")
        return self._sandbox.lists[list_id]

    def _clock_time(self, at: float) -> str:
        return datetime.fromtimestamp(self._sandbox.epoch + at, UTC).strftime("%H:%M:%S.%f")[:-3]


def _view(request: Request) -> _View:
    query = request.query_params
    state, page = query.get("state", ""), query.get("page", "1")
    number = int(page) if page.isascii() and page.isdecimal() and len(page) < 10 else 1
    return _View(query.get("q", "").strip(), state if state in _STATES else "", max(number, 1))


def _extract(contacts: ContactList, view: _View) -> _Extract:
    start = (view.page - 1) * _CONTACTS_A_PAGE
    found = contacts.search(view.q, active=_STATES.get(view.state))
    shown = list(islice(found, start, start + _CONTACTS_A_PAGE + 1))
    total = {"": len(contacts.contacts), "subscribed": contacts.subscribed}.get(
        view.state, len(contacts.contacts) - contacts.subscribed
    )
    pages = None if view.q else max(-(-total // _CONTACTS_A_PAGE), 1)
    return _Extract(shown[:_CONTACTS_A_PAGE], len(shown) > _CONTACTS_A_PAGE, pages)


async def _form(request: Request, *, blanks: bool = False) -> dict[str, str]:
    """Starlette's own `form()` wants another package; these forms are the plain kind."""
    body = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(body, keep_blank_values=blanks).items()}


def _page(template: str, **values: object) -> Response:
    return HTMLResponse(_templates().get_template(template).render(**values))


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("syncengine.sandbox"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["count"] = "{:,}".format
    return templates
