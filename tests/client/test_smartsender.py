"""The client of API v2 against the sandbox: every endpoint, every documented error text, every way to get no answer."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

import syncengine.client
from syncengine.client import (
    BatchUpdated,
    Change,
    Contact,
    Mailbox,
    Message,
    OutcomeUnknownError,
    RefusedError,
    RequestError,
    SmartSender,
    Trigger,
    Triggered,
    UnavailableError,
    Variable,
    VariableType,
)
from syncengine.sandbox import (
    DEFAULT_LIST,
    DEFAULT_TOKEN,
    SCENARIOS,
    Behaviour,
    Drop,
    Endpoint,
    Fault,
    Html,
    MessageAct,
    RawBody,
    Redirect,
    Sandbox,
    Status,
    When,
)

pytestmark = pytest.mark.anyio

Connect = Callable[..., AbstractAsyncContextManager[SmartSender]]
KNOWN = "known@example.com"
NEW = "new@example.com"


def hello(**changes: Any) -> Message:
    plain = {
        "from_email": "shop@example.com",
        "from_name": "Shop",
        "to": (Mailbox(NEW, "Ann"),),
        "subject": "Hello",
        "html": "<p>Grüße</p>",
    }
    return Message(**(plain | changes))


def account(behaviour: Behaviour | None = None, *faults: Fault) -> Sandbox:
    sandbox = Sandbox(behaviour, faults)
    sandbox.seed(DEFAULT_LIST, [{"email": KNOWN, "variables": {"firstName": "Ann"}}])
    sandbox.account.templates["needsCity"] = ("city",)
    return sandbox


def test_the_public_names_are_these_and_come_when_they_are_used() -> None:
    names = syncengine.client.__all__
    assert names == sorted(names)
    assert names == [
        "BatchUpdated", "Change", "Contact", "Mailbox", "Message", "MessageEvent", "MessageReport",
        "OutcomeUnknownError", "RefusedError", "RejectedError", "RequestError", "Sent", "SmartSender", "Trigger",
        "Triggered", "UnavailableError", "Variable", "VariableType",
    ]  # fmt: skip
    assert dir(syncengine.client) == names
    for name in names:
        assert getattr(syncengine.client, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'Mesage'"):
        _ = syncengine.client.Mesage


# What each endpoint does ----------------------------------------------------------------------------------------------


async def test_a_message_is_sent_and_measured(connect: Connect) -> None:
    sandbox = account()
    async with connect(sandbox) as service:
        message = hello(text="Grüße", tags=("welcome",), reply_to=(Mailbox("help@example.com"),), headers={"X-A": "1"})
        sent = await service.send(message)
        assert sent.message_id is not None
        sandbox.happen(sent.message_id, MessageAct.READ)
        sandbox.happen(sent.message_id, MessageAct.CLICK)
        (report,) = [one async for one in service.messages([sent.message_id, sent.message_id])]

    (mail,) = sandbox.account.messages
    assert (mail.email, mail.html, mail.tags, mail.headers) == (NEW, "<p>Grüße</p>", ("welcome",), {"X-A": "1"})
    assert (report.to, report.text, report.html) == ((Mailbox(NEW, "Ann"),), "Grüße", "<p>Grüße</p>")
    assert report.count() == {"sent": 1, "delivered": 1, "read": 1, "click": 1}
    assert report.events[0].at is not None
    assert report.events[0].at.year == 2026


async def test_any_number_of_ids_is_asked_for_a_hundred_at_a_time(connect: Connect) -> None:
    sandbox = account()
    async with connect(sandbox) as service:
        ids = [(await service.send(hello(subject=f"No. {number}"))).message_id for number in range(250)]
        reports = [one async for one in service.messages([*ids, "unknown"])]

    assert [one.id for one in reports] == ids
    assert [one.size for one in sandbox.log if one.endpoint is Endpoint.MESSAGE] == [100, 100, 51]


async def test_answers_too_large_are_asked_for_by_halves(connect: Connect) -> None:
    sandbox = account()
    async with connect(sandbox) as service:
        service._sending._max_body = 40_000
        ids = [str((await service.send(hello(html="x" * 5_000))).message_id) for _ in range(20)]
        reports = await service.message(ids)

    assert [one.id for one in reports] == ids


async def test_contacts_are_added_changed_renamed_and_removed(connect: Connect) -> None:
    sandbox = account()
    contacts = sandbox.lists[DEFAULT_LIST]
    async with connect(sandbox) as service:
        variables = [Variable("city", VariableType.STRING), Variable("born", VariableType.DATE)]
        await service.add_variables(DEFAULT_LIST, variables)
        people = [
            Contact(email=f"user{number}@example.com", active=True, name=f"No. {number}") for number in range(100)
        ]
        await service.add_contacts(DEFAULT_LIST, people)
        await service.update_contact(
            DEFAULT_LIST, Change(contact=KNOWN, active=False, variables={"city": "Kyiv", "born": "2001-02-28"})
        )
        changes = [
            Change(contact="user1@example.com", email="renamed@example.com", active=True),
            Change(contact="nobody@example.com", active=True),
        ]
        updated = await service.update_contacts(DEFAULT_LIST, changes)
        await service.remove_contacts(DEFAULT_LIST, ["user2@example.com"])

    known = contacts.find(KNOWN)
    assert known is not None
    assert (known.active, known.variables) == (False, {"firstName": "Ann", "city": "Kyiv", "born": "2001-02-28"})
    assert updated == BatchUpdated(
        (contacts.find("renamed@example.com").id,),
        (f"Unable to find email nobody@example.com in email list {DEFAULT_LIST}",),
    )
    assert contacts.find("user2@example.com") is None
    assert len(contacts.contacts) == 100


async def test_a_template_is_sent_to_a_contact(connect: Connect) -> None:
    sandbox = account()
    async with connect(sandbox) as service:
        done = await service.trigger(Trigger(list_id=DEFAULT_LIST, contact=KNOWN, template_id="hello", tags=("a",)))

    (mail,) = sandbox.account.messages
    assert done == Triggered(mail.id)
    assert (mail.email, mail.template_id, mail.tags) == (KNOWN, "hello", ("a",))


# What the service refuses (its documented texts: test_documented_errors) ----------------------------------------------


async def test_a_contact_that_a_batch_does_not_find_is_told_beside_the_others(connect: Connect) -> None:
    sandbox = account()
    async with connect(sandbox) as service:
        done = await service.update_contacts(
            DEFAULT_LIST, [Change(contact=KNOWN, active=True), Change(contact=NEW, active=True, variables={"a": "b"})]
        )
    assert (len(done.updated), done.errors) == (1, (f"Unable to find email {NEW} in email list {DEFAULT_LIST}",))


@pytest.mark.parametrize("scenario", ["documented", "http-statuses", "error-stack-lower"])
@pytest.mark.parametrize("credential", ["token", "key", "secret"])
async def test_refused_credentials_are_fatal_and_never_shown(connect: Connect, credential: str, scenario: str) -> None:
    """`API Key XXX does not exist.` echoes what it was given, and `Unauthorized` says nothing."""
    wrong = "another-credential"
    async with connect(account(SCENARIOS[scenario].behaviour), **{credential: wrong}) as service:
        asks: list[Callable[[], Awaitable[Any]]] = [
            lambda: service.send(hello()),
            lambda: service.message(["a"]),
        ]
        if credential == "token":
            asks = [lambda: service.trigger(Trigger(list_id=DEFAULT_LIST, contact=KNOWN, template_id="hello"))]
        for ask in asks:
            with pytest.raises(RefusedError) as raised:
                await ask()
            assert (raised.value.code, raised.value.exit_code) == ("token-refused", 4)
            assert wrong not in f"{raised.value}{raised.value!r}"


async def test_no_credential_is_told_before_anything_leaves(connect: Connect) -> None:
    sandbox = account()
    async with connect(sandbox, token=None, key=None) as service:
        with pytest.raises(RequestError, match="key: this field is required"):
            await service.send(hello())
        with pytest.raises(RequestError, match="access-token: this field is required"):
            await service.remove_contacts(DEFAULT_LIST, [KNOWN])
    assert sandbox.log == []


# No usable answer -----------------------------------------------------------------------------------------------------

AMISS = [
    Fault(what=Drop(), when=When.AFTER_APPLY),
    Fault(what=Html(), when=When.AFTER_APPLY),
    Fault(what=Status(502), when=When.AFTER_APPLY),
    Fault(what=Status(503, retry_after="0"), when=When.AFTER_APPLY),
    Fault(what=RawBody(b'{"result": tru'), when=When.AFTER_APPLY),
    Fault(what=RawBody(b'{"result": NaN}'), when=When.AFTER_APPLY),
    Fault(what=RawBody(b"{}"), when=When.AFTER_APPLY),
]


@pytest.mark.parametrize("fault", AMISS, ids=lambda fault: str(fault.what))
async def test_a_mail_whose_answer_is_lost_is_told_as_unknown_and_not_sent_again(
    connect: Connect, fault: Fault
) -> None:
    sandbox = account(None, fault)
    async with connect(sandbox) as service:
        with pytest.raises(OutcomeUnknownError) as raised:
            await service.trigger(Trigger(list_id=DEFAULT_LIST, contact=KNOWN, template_id="hello"))
    assert (raised.value.exit_code, raised.value.sent) == (7, "the request left, and may have been carried out")
    assert len(sandbox.log) == len(sandbox.account.messages) == 1


@pytest.mark.parametrize("fault", AMISS[:-1], ids=lambda fault: str(fault.what))
async def test_what_does_no_harm_twice_is_asked_again(connect: Connect, fault: Fault) -> None:
    sandbox = account(None, fault)
    async with connect(sandbox) as service:
        await service.update_contact(DEFAULT_LIST, Change(contact=KNOWN, active=False))
    assert len(sandbox.log) == 2
    assert sandbox.lists[DEFAULT_LIST].find(KNOWN).active is False


async def test_a_rename_is_not_repeated(connect: Connect) -> None:
    sandbox = account(None, AMISS[0])
    async with connect(sandbox) as service:
        with pytest.raises(OutcomeUnknownError):
            await service.update_contact(DEFAULT_LIST, Change(contact=KNOWN, email=NEW, active=True))
    assert len(sandbox.log) == 1


async def test_too_many_requests_are_certainly_not_carried_out_and_asked_again(connect: Connect) -> None:
    sandbox = account(None, Fault(what=Status(429, retry_after="0"), times=2))
    async with connect(sandbox) as service:
        await service.send(hello())
    assert (len(sandbox.log), len(sandbox.account.messages)) == (3, 1)


async def test_a_service_that_never_takes_a_request_is_unavailable(connect: Connect) -> None:
    sandbox = account(None, Fault(what=Status(429), times=None))
    async with connect(sandbox) as service:
        with pytest.raises(UnavailableError) as raised:
            await service.send(hello())
    assert not isinstance(raised.value, OutcomeUnknownError)
    assert (len(sandbox.log), raised.value.sent) == (4, "nothing was sent")


async def test_a_host_that_can_not_be_reached_is_tried_again_and_told(connect: Connect) -> None:
    tried = 0

    class Refusing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal tried
            tried += 1
            raise httpx.ConnectError("refused", request=request)

    async with connect(account(), transport=Refusing) as service:
        with pytest.raises(UnavailableError, match="could not be reached") as raised:
            await service.send(hello())
    assert (tried, raised.value.sent) == (4, "nothing was sent")


async def test_a_redirect_is_not_followed(connect: Connect) -> None:
    sandbox = account(None, Fault(what=Redirect("http://elsewhere/send")))
    async with connect(sandbox) as service:
        with pytest.raises(RefusedError) as raised:
            await service.send(hello())
    assert raised.value.code == "redirected"


STATISTICS_AMISS = [
    b'{"result": 1}',
    b'{"result": 1, "messages": {}}',
    b'{"result": 1, "messages": [1]}',
    b'{"result": 1, "messages": [{"subject": "no id"}]}',
    b'{"result": 1, "messages": [{"id": "somebody-elses"}]}',
    b'{"result": 1, "messages": [{"id": "a", "events": [7]}]}',
]


@pytest.mark.parametrize("body", STATISTICS_AMISS)
async def test_statistics_in_another_shape_are_no_statistics(connect: Connect, body: bytes) -> None:
    async with connect(account(None, Fault(what=RawBody(body)))) as service:
        with pytest.raises(OutcomeUnknownError, match="no usable answer"):
            await service.message(["a"])


async def test_the_pages_own_example_is_read_with_its_events_without_names(connect: Connect) -> None:
    body = b"""{"messages": [{"id": "5537ab2a08d241dc69326b19", "from_email": "s@example.com", "from_name": "name",
      "subject": "S", "to": {"name": "contact name", "email": "r@example.com"}, "headers": [], "text": "t", "html": "h",
      "events": [{"event": "read", "datetime": "2015-04-27 12:18:58.592000"},
                 {"datetime": "2015-04-27 12:19:07.145000"}, {"event": "read", "datetime": "soon"}]}], "result": 1}"""
    async with connect(account(None, Fault(what=RawBody(body)))) as service:
        (report,) = await service.message(["5537ab2a08d241dc69326b19"])
    assert report.to == (Mailbox("r@example.com", "contact name"),)
    assert report.count() == {"read": 2}
    assert [event.event for event in report.events] == ["read", None, "read"]
    assert report.events[0].at is not None
    assert report.events[0].at.isoformat() == "2015-04-27T12:18:58.592000"
    assert report.events[2].at is None


async def test_key_and_secret_go_to_the_sending_host_and_the_token_to_the_lists_only() -> None:
    seen: list[tuple[str, str | None, bytes]] = []

    class Listening(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            seen.append((request.url.host, request.headers.get("access-token"), await request.aread()))
            body = b'{"result": true, "messageId": "a"}' if request.url.host == "partner" else b'{"result": 1}'
            return httpx.Response(200, stream=httpx.ByteStream(body))

    service = SmartSender(
        token="the-token", key="the-key", secret="the-secret", url="http://partner", send_url="http://api",
        rate=1000, transport=Listening,
    )  # fmt: skip
    async with service:
        await service.send(hello())
        await service.trigger(Trigger(list_id=DEFAULT_LIST, contact=KNOWN, template_id="hello"))

    (host, header, body), (other_host, other_header, other_body) = seen
    assert (host, header, b"the-key" in body, b"the-secret" in body) == ("api", None, True, True)
    assert (other_host, other_header) == ("partner", "the-token")
    assert not any(secret in other_body for secret in (b"the-key", b"the-secret", b"the-token"))


async def test_both_groups_share_one_rate(connect: Connect) -> None:
    sandbox = account()
    async with connect(sandbox, rate=50) as service:
        for _ in range(15):
            await service.send(hello())
            await service.trigger(Trigger(list_id=DEFAULT_LIST, contact=KNOWN, template_id="hello"))
    times = [one.at for one in sandbox.log]
    assert times[-1] - times[0] >= 29 / 50 * 0.9


def test_the_token_is_the_secret_where_none_is_given() -> None:
    service = SmartSender(token=DEFAULT_TOKEN, key="k")
    assert service._secret == service._token
    assert DEFAULT_TOKEN not in repr(vars(service))
