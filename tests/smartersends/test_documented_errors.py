"""Every error that SmarterSends' page tells of, on every call: what the client makes of it.

`tests/documented_errors.csv` has them as printed. What is wrong with a request is put past the client's own checks.
"""

import csv
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from syncengine.errors import DestinationError, RefusedError, RejectedError, UnavailableError
from syncengine.sandbox import Behaviour, Fault, Sandbox, Status
from syncengine.smartersends import CampaignQuery, EventChange, EventDraft, SmarterSends, replies

pytestmark = pytest.mark.anyio

Connect = Callable[..., AbstractAsyncContextManager[SmarterSends]]
Ask = Callable[[SmarterSends], Awaitable[object]]
DOCUMENT = "SmarterSends API Endpoints"
WRONG = "another-instance-key"
QUERY = CampaignQuery(start="2025-01-01", end="2025-12-31")
NO_URL = "Export generated, but no temporary URL could be created."


class Said(NamedTuple):
    """`printed` is said to `ask`, and becomes an error of `kind` with `words` in it."""

    call: str
    printed: str
    ask: Ask
    kind: type[DestinationError] = RejectedError
    words: str = ""
    settings: dict[str, str] = {}  # noqa: RUF012  # never changed
    behaviour: Behaviour = Behaviour()


def by_get(instance: SmarterSends) -> Awaitable[object]:
    """The form of the quick start."""
    instance._exports_by_get = True
    return instance.campaign_export(QUERY)


def raw(method: str, path: str, fields: dict[str, Any] | None = None) -> Ask:
    async def ask(instance: SmarterSends) -> object:
        return replies.told(await instance._ask(method, path, fields, repeatable=False))

    return ask


POST_EXPORT, GET_EXPORT = "POST /api/usage/campaign/export", "GET /api/usage/campaigns/export"
USAGE, LIST, CREATE = "GET /api/usage/conversations", "GET /api/events", "POST /api/events"
GET_ONE, PUT_ONE, DELETE_ONE = "GET /api/events/{id}", "PUT /api/events/{id}", "DELETE /api/events/{id}"
EACH: dict[str, Ask] = {
    POST_EXPORT: lambda instance: instance.campaign_export(QUERY),
    GET_EXPORT: by_get,
    USAGE: lambda instance: instance.conversations(),
    LIST: lambda instance: instance.events(),
    CREATE: lambda instance: instance.create_event(EventDraft(name="Training", start_date="2026-02-02T14:00:00Z")),
    GET_ONE: lambda instance: instance.event(99),
    PUT_ONE: lambda instance: instance.update_event(99, EventChange(name="Other")),
    DELETE_ONE: lambda instance: instance.delete_event(99),
}
KEYS = [
    Said(call, "401 Unauthorized", ask, RefusedError, "HTTP 401: Unauthenticated.", {"key": WRONG})
    for call, ask in EACH.items()
]
WITHOUT_URL = Behaviour(export_url=False)
EXPORTS = [
    Said(POST_EXPORT, NO_URL, EACH[POST_EXPORT], UnavailableError, NO_URL, behaviour=WITHOUT_URL),
    Said(GET_EXPORT, NO_URL, EACH[GET_EXPORT], UnavailableError, NO_URL, behaviour=WITHOUT_URL),
]
NO_DATE = "start_date: The start date field is required."
BAD_DATE = "start_date: The start date field must be a valid date."
VALIDATION = [
    Said(POST_EXPORT, "400/422 Validation", raw("POST", "/api/usage/campaign/export", {}), words=NO_DATE),
    Said(GET_EXPORT, "400/422 Validation", raw("GET", "/api/usage/campaigns/export?start_date=soon"), words=BAD_DATE),
    Said(
        USAGE,
        "400/422 Validation: Invalid dates",
        raw("GET", "/api/usage/conversations?start_date=soon"),
        words=BAD_DATE,
    ),
    Said(
        USAGE,
        "400/422 Validation: unsupported format",
        raw("GET", "/api/usage/conversations?format=xls"),
        words="format: The selected format is invalid.",
    ),
]
MISSING = "422 Unprocessable Entity: missing required fields"
ODD_DATE = "422 Unprocessable Entity: invalid date format"
EVENTS = [
    Said(CREATE, MISSING, raw("POST", "/api/events", {"name": "Training"}), words=NO_DATE),
    Said(CREATE, ODD_DATE, raw("POST", "/api/events", {"name": "T", "start_date": "soon"}), words=BAD_DATE),
    Said(PUT_ONE, MISSING, raw("PUT", "/api/events/1", {"name": ""}), words="name: The name field is required."),
    Said(PUT_ONE, ODD_DATE, raw("PUT", "/api/events/1", {"start_date": "soon"}), words=BAD_DATE),
    *(
        Said(call, "404 Not Found", EACH[call], words="HTTP 404: No query results for event 99.")
        for call in (GET_ONE, PUT_ONE, DELETE_ONE)
    ),
]
EVERY = [*KEYS, *EXPORTS, *VALIDATION, *EVENTS]


def test_the_table_has_every_error_of_every_call_of_the_page() -> None:
    with (Path(__file__).parents[1] / "documented_errors.csv").open(encoding="utf-8", newline="") as file:
        printed = {(row["call"], row["printed"]) for row in csv.DictReader(file) if row["document"] == DOCUMENT}

    assert len(printed) > 20
    assert {(one.call, one.printed) for one in EVERY} == printed


@pytest.mark.parametrize("said", EVERY, ids=lambda said: f"{said.call}: {said.printed}")
async def test_every_error_is_told_as_one_of_its_kind(connect: Connect, said: Said) -> None:
    sandbox = Sandbox(said.behaviour)
    async with connect(sandbox) as instance:
        await instance.create_event(EventDraft(name="First", start_date="2026-02-02T14:00:00Z"))
    async with connect(sandbox, **said.settings) as instance:
        with pytest.raises(said.kind) as raised:
            await said.ask(instance)

    assert said.words in raised.value.why
    assert raised.value.exit_code == {RefusedError: 4, RejectedError: 3, UnavailableError: 7}[said.kind]
    assert WRONG not in f"{raised.value}{raised.value!r}{raised.value.why}"
    assert sandbox.account.instance.events[1]["name"] == "First"
    assert len(sandbox.log) == 2


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("call", list(EACH))
async def test_both_statuses_of_a_validation_are_a_refusal_of_the_request(
    connect: Connect, call: str, status: int
) -> None:
    async with connect(Sandbox(None, [Fault(what=Status(status))])) as instance:
        with pytest.raises(RejectedError) as raised:
            await EACH[call](instance)

    assert raised.value.why.startswith(f"HTTP {status}")
