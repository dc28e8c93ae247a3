"""The client of SmarterSends against the sandbox: both forms of an export, its file, usage, events, and no answer."""

import csv
import io
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

import syncengine.smartersends
from syncengine.errors import OutcomeUnknownError, RefusedError, RejectedError, RequestError, UnavailableError
from syncengine.sandbox import (
    Behaviour,
    CampaignForm,
    Drop,
    Endpoint,
    Fault,
    Html,
    RawBody,
    Redirect,
    Sandbox,
    Status,
    Truncate,
    When,
)
from syncengine.smartersends import CampaignQuery, Event, EventChange, EventDraft, Export, Group, SmarterSends

pytestmark = pytest.mark.anyio

Connect = Callable[..., AbstractAsyncContextManager[SmarterSends]]
ALL = CampaignQuery(start="2025-01-01", end="2025-12-31", columns="name,status")


async def exported(instance: SmarterSends, query: CampaignQuery = ALL, **more: Any) -> bytes:
    content = bytearray()
    await instance.export_campaigns(query, content.extend, again=content.clear, **more)
    return bytes(content)


def draft(**more: Any) -> EventDraft:
    return EventDraft(**({"name": "Training", "start_date": "2026-02-02T14:00:00Z"} | more))


def test_the_public_names_are_these_and_come_when_they_are_used() -> None:
    names = syncengine.smartersends.__all__
    assert names == sorted(names)
    assert names == [
        "CampaignQuery", "ConversationUsage", "Event", "EventChange", "EventDraft", "Export", "Group", "SmarterSends",
    ]  # fmt: skip
    assert dir(syncengine.smartersends) == names
    for name in names:
        assert getattr(syncengine.smartersends, name).__doc__, name
    with pytest.raises(AttributeError):
        _ = syncengine.smartersends.Campain


# Campaigns ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", list(CampaignForm))
@pytest.mark.parametrize("file", ["csv", "json"])
async def test_campaigns_come_by_whichever_form_there_is(connect: Connect, form: CampaignForm, file: str) -> None:
    sandbox = Sandbox(Behaviour(campaign_form=form))
    async with connect(sandbox) as instance:
        content = await exported(instance, file=file)
        await exported(instance, file=file)

    rows = list(csv.DictReader(io.StringIO(content.decode()))) if file == "csv" else json.loads(content)
    assert [row["name"] for row in rows] == [
        one["name"] for one in sandbox.account.instance.campaigns if one["status"] != "Draft"
    ]
    asked = [one.endpoint for one in sandbox.log if one.endpoint is Endpoint.CAMPAIGN_EXPORT]
    assert len(asked) == (3 if form is CampaignForm.GET else 2)  # which form there is is found out once


async def test_a_day_is_the_whole_day(connect: Connect) -> None:
    sandbox = Sandbox()
    day = next(one["send_time"] for one in sandbox.account.instance.campaigns if one["status"] == "Sent")
    async with connect(sandbox) as instance:
        content = await exported(instance, CampaignQuery(start=f"{day:%Y-%m-%d}", end=f"{day:%Y-%m-%d}"), file="json")
    assert len(json.loads(content)) == 1


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, "name,subject,send_time,type,html"),
        ({"columns": "Name, Send Time,name,nonsense"}, "name,send_time"),
        ({"columns": ["STATUS", "user name"]}, "status,user_name"),
        ({"columns": "nonsense"}, "name,subject,send_time,type,html"),
    ],
)
def test_columns_are_normalised_as_the_page_says(given: dict[str, Any], sent: str) -> None:
    query = CampaignQuery(start="2025-01-01", end="2025-01-31", **given)
    assert query.fields("csv")["columns"] == sent
    assert query.ignored == (("nonsense",) if "nonsense" in str(given) else ())


def test_statuses_are_normalised_as_the_page_says() -> None:
    query = CampaignQuery(
        start="2025-06-01", end="2025-06-30", type="email", status="sent,SCHEDULED,invalid_status,Sent"
    )
    assert query.fields("json") == {
        "start_date": "2025-06-01 00:00:00",
        "end_date": "2025-06-30 23:59:59",
        "type": "email",
        "status": "Sent,Scheduled",
        "date_column": "send_time",
        "format": "json",
        "columns": "name,subject,send_time,type,html",
    }
    assert query.ignored == ("invalid_status",)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"start": "soon"}, "start_date: 'soon' is no date"),
        ({"end": "2025-13-01"}, "end_date: '2025-13-01' is no date"),
        ({"start": "2025-02-01"}, "end_date: 2025-01-31 is before 2025-02-01"),
        ({"type": "fax"}, "type: 'fax' is none: email or sms"),
        ({"status": "posted"}, "status: none of posted is a status: Draft, Sent"),
        ({"date_column": "name"}, "date_column: 'name' is none: send_time, created_at"),
    ],
)
def test_what_is_wrong_with_a_query_is_told_by_field(given: dict[str, Any], what: str) -> None:
    with pytest.raises(RequestError, match=what) as raised:
        CampaignQuery(**({"start": "2025-01-01", "end": "2025-01-31"} | given))
    assert what.startswith(f"{raised.value.field}: ")


async def test_the_bearer_key_goes_to_the_instance_only_and_the_file_comes_from_another_host(connect: Connect) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as instance:
        export = await instance.campaign_export(ALL)
        await exported(instance)
    assert export.url is not None
    assert export.url.startswith("http://localhost:1/smartersends/storage/")
    assert sandbox.account.instance.with_bearer == 0
    assert "Signature" not in repr(export)
    assert [bool(one.token) for one in sandbox.log if one.endpoint is Endpoint.DOWNLOAD] == [False]


async def test_an_export_without_url_is_told_in_the_services_words(connect: Connect) -> None:
    async with connect(Sandbox(Behaviour(export_url=False))) as instance:
        with pytest.raises(UnavailableError, match="can't be downloaded") as raised:
            await exported(instance)
    assert "Export generated, but no temporary URL could be created." in raised.value.why
    assert (raised.value.exit_code, raised.value.code) == (7, "export-without-url")


async def test_a_file_that_is_not_there_yet_is_waited_for(connect: Connect) -> None:
    sandbox = Sandbox(Behaviour(export_seconds=0.3))
    async with connect(sandbox) as instance:
        content = await exported(instance)
    assert content.startswith(b"name,status\n")
    assert sum(one.endpoint is Endpoint.CAMPAIGN_EXPORT for one in sandbox.log) == 1


async def test_a_file_that_never_comes_is_given_up(connect: Connect) -> None:
    async with connect(Sandbox(Behaviour(export_seconds=1000)), patience=0.5) as instance:
        with pytest.raises(UnavailableError, match="could not be fetched") as raised:
            await exported(instance)
    assert "HTTP 404; its address is good until 20" in raised.value.why


async def test_an_address_that_expired_is_exported_anew_once(connect: Connect) -> None:
    sandbox = Sandbox(Behaviour(export_expires=0))
    async with connect(sandbox) as instance:
        with pytest.raises(UnavailableError, match="could not be fetched"):
            await exported(instance)
    assert sum(one.endpoint is Endpoint.CAMPAIGN_EXPORT for one in sandbox.log) == 2


@pytest.mark.parametrize("what", [Drop(), Truncate(100), Status(503)])
async def test_a_file_that_breaks_off_is_fetched_again_from_its_beginning(
    connect: Connect, what: Drop | Truncate | Status
) -> None:
    sandbox = Sandbox(None, [Fault(what=what, when=When.AFTER_APPLY, endpoint=Endpoint.DOWNLOAD)])
    async with connect(sandbox) as instance:
        content = await exported(instance)
        whole = await exported(instance)
    assert content == whole


@pytest.mark.parametrize(
    "url", ["http://files.example.com/x", "ftp://localhost/x", "https://user:pass@example.com/x", "x"]
)
async def test_an_address_that_is_not_to_be_trusted_is_not_asked(connect: Connect, url: str) -> None:
    body = json.dumps({"file": {"extension": "csv", "content_type": "text/csv", "s3_path": "/x", "url": url}}).encode()
    sandbox = Sandbox(None, [Fault(what=RawBody(body), endpoint=Endpoint.CAMPAIGN_EXPORT)])
    async with connect(sandbox) as instance:
        with pytest.raises(RefusedError, match="can't be fetched") as raised:
            await exported(instance)
    assert "user:pass" not in str(raised.value)


async def test_a_compressed_file_is_inflated(connect: Connect) -> None:
    import gzip

    packed = gzip.compress(b"name,status\nA,Sent\n" * 1000)
    sandbox = Sandbox(None, [Fault(what=RawBody(packed, encoding="gzip"), endpoint=Endpoint.DOWNLOAD)])
    async with connect(sandbox) as instance:
        assert await exported(instance) == b"name,status\nA,Sent\n" * 1000


async def test_no_such_api_is_told(connect: Connect) -> None:
    async with connect(Sandbox(), url="http://127.0.0.1:1/elsewhere") as instance:
        with pytest.raises(RefusedError, match="no campaign export at this address") as raised:
            await exported(instance)
    assert (raised.value.exit_code, raised.value.code) == (4, "not-the-api")


# Conversations --------------------------------------------------------------------------------------------------------


async def test_conversations_are_typed(connect: Connect) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as instance:
        usage = await instance.conversations(start="2025-02-01", end="2025-11-30")
    assert (usage.start, usage.end) == ("2025-02-01T00:00:00+00:00", "2025-11-30T23:59:59+00:00")
    assert usage.metrics["total_conversations"] == sum(group["total_conversations"] for group in usage.by_group) == 76
    assert {group["group_name"] for group in usage.by_group} == {"Marketing", "Sales, North", "=Support"}


async def test_no_conversations_have_no_average(connect: Connect) -> None:
    async with connect(Sandbox()) as instance:
        usage = await instance.conversations(start="1999-01-01", end="1999-01-02")
    assert (usage.metrics["avg_first_response_minutes"], usage.by_group) == (None, [])


ODD_USAGE = [
    b"[]",
    b'{"by_group": []}',
    b'{"metrics": {}, "by_group": []}',
    b'{"metrics": [], "by_group": {}}',
    b'{"metrics": ',
    b"<html>",
]


@pytest.mark.parametrize("body", ODD_USAGE)
async def test_usage_in_another_shape_is_no_usage(connect: Connect, body: bytes) -> None:
    async with connect(Sandbox(None, [Fault(what=RawBody(body))])) as instance:
        with pytest.raises(OutcomeUnknownError, match="no usable answer"):
            await instance.conversations()


async def test_numbers_written_as_texts_are_numbers(connect: Connect) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as instance:
        told = await instance.conversations()
        body = json.dumps(
            {"metrics": {name: str(value) for name, value in told.metrics.items()}, "by_group": [], "range": None}
        )
        sandbox.faults.add(Fault(what=RawBody(body.encode())))
        usage = await instance.conversations()
    assert (usage.metrics["total_conversations"], usage.start) == (90, None)


# Events ---------------------------------------------------------------------------------------------------------------


async def test_events_are_made_read_changed_and_deleted(connect: Connect) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as instance:
        made = await instance.create_event(
            draft(repeats=True, repeat_type="weekly", repeat_interval=1, repeat_days=["MO"], groups=[5, 12])
        )
        assert made is not None
        changed = await instance.update_event(made.id, EventChange(description="every week"))
        got = await instance.event(made.id)
        listed = await instance.events()
        await instance.delete_event(made.id)
        assert await instance.events() == []

    assert made == Event(
        id=1, name="Training", start_date="2026-02-02T14:00:00.000000Z", repeats=True, repeat_type="weekly",
        repeat_interval=1, repeat_days=("MO",), groups=(Group(5, "Marketing"), Group(12, "Sales, North")),
        created_at=made.created_at, updated_at=made.updated_at,
    )  # fmt: skip
    assert listed == [got] == [changed]
    assert (got.description, got.repeat_days) == ("every week", ("MO",))


ODD_EVENTS: list[tuple[Callable[[], Any], str]] = [
    (lambda: draft(name=""), "name: this field is required"),
    (lambda: draft(start_date=None), "start_date: this field is required"),
    (lambda: draft(start_date="soon"), "start_date: 'soon' is no date"),
    (lambda: draft(end_date="2026-02-01"), "end_date: 2026-02-01 is before"),
    (lambda: draft(repeats=True), "repeat_type: an event that repeats says how"),
    (lambda: draft(repeat_type="hourly"), "repeat_type: 'hourly' is none"),
    (lambda: draft(repeats=False, repeat_type="daily"), "repeats: is false, and repeat_type says how"),
    (lambda: draft(repeat_interval=0), "repeat_interval: must be a whole number from 1, not 0"),
    (lambda: draft(max_occurrences=True), "max_occurrences: must be a whole number from 1, not True"),
    (lambda: draft(repeat_days=["MO", "mo"]), r"repeat_days\[1\]: 'mo' is none"),
    (lambda: draft(repeats=True, repeat_type="yearly", repeat_days=["MO"]), "repeat_days: are for weekly events"),
    (lambda: draft(repeat_months=[13]), r"repeat_months\[0\]: 13 is none"),
    (lambda: draft(repeats=True, repeat_type="weekly", repeat_months=[1]), "repeat_months: are for yearly events"),
    (lambda: draft(groups=["5"]), r"groups\[0\]: must be the number of a group"),
    (lambda: draft(groups=[5], all_groups=True), "groups: all_groups is true"),
    (lambda: EventChange(name=" "), "name: must not be empty"),
]


@pytest.mark.parametrize(("make", "what"), ODD_EVENTS, ids=[what for _, what in ODD_EVENTS])
def test_an_event_that_can_not_be_is_not_made(make: Callable[[], Any], what: str) -> None:
    with pytest.raises(RequestError, match=what):
        make()


async def test_what_only_the_instance_knows_to_be_wrong_is_told_in_its_words(connect: Connect) -> None:
    async with connect(Sandbox()) as instance:
        with pytest.raises(RejectedError) as raised:
            await instance.create_event(draft(groups=[99]))
    assert raised.value.fields == (("groups", "The selected groups is invalid."),)
    assert raised.value.why == "HTTP 422: groups: The selected groups is invalid.; The selected groups is invalid."


@pytest.mark.parametrize("number", [0, -1, True, "1"])
async def test_what_is_no_number_of_an_event_is_not_asked_for(connect: Connect, number: Any) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as instance:
        with pytest.raises(RequestError, match="id: must be the number of an event"):
            await instance.event(number)
        with pytest.raises(RequestError, match="event: there is nothing to change"):
            await instance.update_event(1, EventChange())
    assert sandbox.log == []


async def test_an_event_there_is_not_is_told(connect: Connect) -> None:
    async with connect(Sandbox()) as instance:
        for ask in (instance.event(9), instance.update_event(9, EventChange(name="A")), instance.delete_event(9)):
            with pytest.raises(RejectedError, match="no such thing") as raised:
                await ask
            assert (raised.value.code, raised.value.exit_code) == ("not-found", 3)


async def test_a_creation_whose_answer_is_lost_is_not_repeated(connect: Connect) -> None:
    sandbox = Sandbox(None, [Fault(what=Drop(), when=When.AFTER_APPLY)])
    async with connect(sandbox) as instance:
        with pytest.raises(OutcomeUnknownError) as raised:
            await instance.create_event(draft())
    assert (len(sandbox.account.instance.events), raised.value.sent) == (
        1,
        "the request left, and may have been carried out",
    )


async def test_a_deletion_whose_answer_is_lost_is_repeated_and_gone_is_done(connect: Connect) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as instance:
        await instance.create_event(draft())
        sandbox.faults.add(Fault(what=Drop(), when=When.AFTER_APPLY))
        await instance.delete_event(1)
    assert sandbox.account.instance.events == {}


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"message": "created"}'])
async def test_an_answer_that_tells_nothing_of_a_new_event_is_fine(connect: Connect, body: bytes) -> None:
    """The page shows no body for it."""
    async with connect(Sandbox(None, [Fault(what=RawBody(body, status=201))])) as instance:
        assert await instance.create_event(draft()) is None


async def test_a_list_under_data_is_a_list(connect: Connect) -> None:
    body = b'{"data": [{"id": 3, "name": "A", "start_date": "2026-01-01", "groups": [5]}]}'
    async with connect(Sandbox(None, [Fault(what=RawBody(body))])) as instance:
        (one,) = await instance.events()
    assert (one.id, one.groups) == (3, (Group(5, ""),))


@pytest.mark.parametrize("body", [b"{}", b'"x"', b"[1]", b'[{"name": "no number"}]', b'[{"id": true}]', b"<html>"])
async def test_events_in_another_shape_are_no_events(connect: Connect, body: bytes) -> None:
    async with connect(Sandbox(None, [Fault(what=RawBody(body))])) as instance:
        with pytest.raises(OutcomeUnknownError):
            await instance.events()


# The instance itself --------------------------------------------------------------------------------------------------


async def test_a_refused_key_is_fatal_and_never_shown(connect: Connect) -> None:
    key = "another-bearer-key"
    async with connect(Sandbox(), key=key) as instance:
        for ask in (exported(instance), instance.conversations(), instance.events(), instance.create_event(draft())):
            with pytest.raises(RefusedError) as raised:
                await ask
            assert (raised.value.code, raised.value.exit_code) == ("key-refused", 4)
            assert key not in f"{raised.value}"
    assert key not in repr(vars(instance))


@pytest.mark.parametrize("what", [Drop(), Status(500), Status(502), Status(429, retry_after="0")])
async def test_reading_is_repeated(connect: Connect, what: Drop | Status) -> None:
    sandbox = Sandbox(None, [Fault(what=what, when=When.AFTER_APPLY, times=2)])
    async with connect(sandbox) as instance:
        assert await instance.events() == []
    assert len(sandbox.log) == 3


async def test_an_instance_that_is_down_is_unavailable(connect: Connect) -> None:
    async with connect(Sandbox(None, [Fault(what=Status(503), times=None)])) as instance:
        with pytest.raises(UnavailableError) as raised:
            await instance.events()
    assert raised.value.exit_code == 7


async def test_an_instance_that_can_not_be_reached_is_told(connect: Connect) -> None:
    class Refusing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

    async with connect(Sandbox(), transport=Refusing) as instance:
        with pytest.raises(UnavailableError, match="could not be reached") as raised:
            await instance.create_event(draft())
    assert raised.value.sent == "nothing was sent"


async def test_a_redirect_is_not_followed(connect: Connect) -> None:
    async with connect(Sandbox(None, [Fault(what=Redirect("http://elsewhere/api/events"))])) as instance:
        with pytest.raises(RefusedError) as raised:
            await instance.events()
    assert raised.value.code == "redirected"


async def test_a_page_in_place_of_json_is_no_answer(connect: Connect) -> None:
    async with connect(Sandbox(None, [Fault(what=Html(), times=None)])) as instance:
        with pytest.raises(OutcomeUnknownError):
            await instance.events()


def test_an_export_does_not_show_its_address() -> None:
    export = Export("csv", "text/csv", "/x.csv", "2026-01-01T00:00:00Z", "https://s3.example.com/x?Signature=abc")
    assert "abc" not in repr(export)
