"""SmarterSends as its page has it: two forms of an export, files behind signed URLs, usage, and events."""

import csv
import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from syncengine.sandbox import DEFAULT_INSTANCE_KEY, Behaviour, CampaignForm, Sandbox

pytestmark = pytest.mark.anyio

ClientOf = Callable[[Sandbox], httpx.AsyncClient]
API = "/smartersends/api"
DATES = {"start_date": "2025-01-01", "end_date": "2025-12-31 23:59:59"}
POST, GET = ("POST", "/usage/campaign/export"), ("GET", "/usage/campaigns/export")


async def ask(
    client_of: ClientOf,
    sandbox: Sandbox,
    method: str,
    path: str,
    *,
    key: str | None = DEFAULT_INSTANCE_KEY,
    **more: Any,
) -> httpx.Response:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with client_of(sandbox) as client:
        return await client.request(method, API + path, headers=headers, **more)


async def download(client_of: ClientOf, sandbox: Sandbox, url: str, **headers: str) -> httpx.Response:
    async with client_of(sandbox) as client:
        return await client.get(url, headers=headers)


@pytest.mark.parametrize("form", [POST, GET])
@pytest.mark.parametrize("way", ["query", "body"])
async def test_both_forms_of_an_export_give_a_file_behind_a_signed_url(
    client_of: ClientOf, form: tuple[str, str], way: str
) -> None:
    sandbox = Sandbox()
    fields = DATES | {"columns": "Name, send time,nonsense,name", "status": "sent, SCHEDULED,invalid_status"}
    more = {"params": fields} if way == "query" or form is GET else {"json": fields}
    told = (await ask(client_of, sandbox, *form, **more)).json()
    reply = await download(client_of, sandbox, told["file"]["url"])

    assert (told["file"]["extension"], told["file"]["content_type"]) == ("csv", "text/csv")
    assert told["file"]["url"].startswith("http://sandbox/smartersends/storage/campaigns_")
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert list(rows[0]) == ["name", "send_time"]
    wanted = [one for one in sandbox.account.instance.campaigns if one["status"] in {"Sent", "Scheduled"}]
    assert [row["name"] for row in rows] == [one["name"] for one in wanted]
    assert rows[0]["send_time"] == f"{wanted[0]['send_time']:%Y-%m-%d %H:%M:%S}"


async def test_no_valid_column_means_the_default_ones_and_json_is_an_array(client_of: ClientOf) -> None:
    sandbox = Sandbox()
    fields = DATES | {"columns": "x,y", "format": "json", "type": "sms"}
    told = (await ask(client_of, sandbox, *POST, json=fields)).json()
    rows = (await download(client_of, sandbox, told["file"]["url"])).json()
    assert {tuple(row) for row in rows} == {("name", "subject", "send_time", "type", "html")}
    assert {row["type"] for row in rows} == {"sms"}
    assert told["file"]["s3_path"].endswith(".csv")  # the page's, for both formats


REFUSED = [
    (*POST, {}, 422, {"start_date", "end_date"}),
    (*POST, {"start_date": "soon", "end_date": "2025-01-01"}, 422, {"start_date"}),
    (*POST, DATES | {"format": "xml"}, 422, {"format"}),
    (*POST, DATES | {"date_column": "name"}, 422, {"date_column"}),
    ("GET", "/usage/conversations", {"format": "xml"}, 422, {"format"}),
    ("GET", "/usage/conversations", {"start_date": "soon"}, 422, {"start_date"}),
]


@pytest.mark.parametrize(("method", "path", "fields", "status", "named"), REFUSED)
async def test_what_is_not_valid_is_told_by_field(
    client_of: ClientOf, method: str, path: str, fields: dict[str, str], status: int, named: set[str]
) -> None:
    reply = await ask(client_of, Sandbox(), method, path, params=fields)
    assert (reply.status_code, set(reply.json()["errors"])) == (status, named)


@pytest.mark.parametrize("key", [None, "another", ""])
@pytest.mark.parametrize(
    ("method", "path"), [POST, GET, ("GET", "/usage/conversations"), ("GET", "/events"), ("GET", "/events/1")]
)
async def test_without_a_known_key_nothing_is_told(
    client_of: ClientOf, method: str, path: str, key: str | None
) -> None:
    reply = await ask(client_of, Sandbox(), method, path, key=key)
    assert (reply.status_code, reply.json()) == (401, {"message": "Unauthenticated."})


@pytest.mark.parametrize(("form", "there", "gone"), [(CampaignForm.POST, POST, GET), (CampaignForm.GET, GET, POST)])
async def test_a_service_may_have_one_form_only(
    client_of: ClientOf, form: CampaignForm, there: tuple[str, str], gone: tuple[str, str]
) -> None:
    sandbox = Sandbox(Behaviour(campaign_form=form))
    assert (await ask(client_of, sandbox, *there, params=DATES)).status_code == 200
    assert (await ask(client_of, sandbox, *gone, params=DATES)).status_code == 404


async def test_a_storage_without_urls_says_so_in_the_pages_words(client_of: ClientOf) -> None:
    told = (await ask(client_of, Sandbox(Behaviour(export_url=False)), *POST, params=DATES)).json()
    assert told["message"] == "Export generated, but no temporary URL could be created."
    assert told["file"]["url"] is None


async def test_a_file_is_had_by_its_signature_alone_and_for_its_time_only(client_of: ClientOf) -> None:
    now = 0.0
    sandbox = Sandbox(Behaviour(export_seconds=2, export_expires=10), clock=lambda: now)
    url = (await ask(client_of, sandbox, *POST, params=DATES)).json()["file"]["url"]

    assert (await download(client_of, sandbox, url)).status_code == 404
    now = 5.0
    assert (await download(client_of, sandbox, url)).status_code == 200
    assert (await download(client_of, sandbox, url[:-30])).status_code == 403
    with_bearer = await download(client_of, sandbox, url, authorization=f"Bearer {DEFAULT_INSTANCE_KEY}")
    assert (with_bearer.status_code, sandbox.account.instance.with_bearer) == (400, 1)
    now = 10.0
    assert (await download(client_of, sandbox, url)).status_code == 403


async def test_conversations_are_counted_and_the_csv_has_two_tables(client_of: ClientOf) -> None:
    sandbox = Sandbox()
    told = (await ask(client_of, sandbox, "GET", "/usage/conversations", params={"start_date": "2025-06-01"})).json()
    export = (await ask(client_of, sandbox, "GET", "/usage/conversations", params={"format": "csv"})).json()
    text = (await download(client_of, sandbox, export["file"]["url"])).text

    assert (
        sum(group["total_conversations"] for group in told["by_group"]) == told["metrics"]["total_conversations"] < 90
    )
    metrics, groups = text.split("\n\n")
    assert metrics.splitlines()[:2] == ["metric,value", "total_conversations,90"]
    assert groups.splitlines()[0].startswith("group_id,group_name,total_conversations")
    assert '"Sales, North"' in groups


async def test_events_are_made_changed_listed_and_deleted(client_of: ClientOf) -> None:
    sandbox = Sandbox()
    training = {
        "name": "Weekly Training", "start_date": "2026-02-02T14:00:00Z", "repeats": True, "repeat_type": "weekly",
        "repeat_interval": 1, "repeat_days": ["MO"], "groups": [5, 12],
    }  # fmt: skip
    made = await ask(client_of, sandbox, "POST", "/events", json=training)
    changed = await ask(client_of, sandbox, "PUT", "/events/1", json={"name": "Training"})
    listed = await ask(client_of, sandbox, "GET", "/events")
    deleted = await ask(client_of, sandbox, "DELETE", "/events/1")

    assert made.status_code == 201
    assert made.json()["start_date"] == "2026-02-02T14:00:00.000000Z"
    assert changed.json()["groups"] == [{"id": 5, "name": "Marketing"}, {"id": 12, "name": "Sales, North"}]
    assert listed.json() == [changed.json()]
    assert (changed.json()["name"], changed.json()["repeat_days"]) == ("Training", ["MO"])
    assert (deleted.status_code, deleted.content, sandbox.account.instance.events) == (204, b"", {})
    for method in ("GET", "PUT", "DELETE"):
        assert (await ask(client_of, sandbox, method, "/events/1", json={})).status_code == 404


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, {"name", "start_date"}),
        ({"name": "A", "start_date": "soon"}, {"start_date"}),
        ({"name": "A", "start_date": "2026-01-01", "repeat_type": "hourly"}, {"repeat_type"}),
        ({"name": "A", "start_date": "2026-01-01", "repeat_type": ["weekly"]}, {"repeat_type"}),
        ({"name": "A", "start_date": "2026-01-01", "repeat_days": [["MO"]]}, {"repeat_days"}),
        ({"name": "A", "start_date": "2026-01-01", "repeat_months": [13]}, {"repeat_months"}),
        ({"name": "A", "start_date": "2026-01-01", "repeat_interval": 0}, {"repeat_interval"}),
        ({"name": "A", "start_date": "2026-01-01", "groups": [{}]}, {"groups"}),
        ({"name": "A", "start_date": "2026-01-01", "groups": [99]}, {"groups"}),
    ],
)
async def test_an_event_that_can_not_be_is_told_by_field(
    client_of: ClientOf, fields: dict[str, object], named: set[str]
) -> None:
    reply = await ask(client_of, Sandbox(), "POST", "/events", json=fields)
    assert (reply.status_code, set(reply.json()["errors"])) == (422, named)


async def test_other_methods_are_not_taken(client_of: ClientOf) -> None:
    for method, path in (("DELETE", "/events"), ("GET", "/usage/campaign/export"), ("POST", "/usage/conversations")):
        assert (await ask(client_of, Sandbox(), method, path)).status_code == 405
