"""Control over HTTP: everything another process needs to set a scene and to look at what came of it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from syncengine.sandbox import DEFAULT_LIST, Behaviour, Fault, Sandbox, Status

pytestmark = pytest.mark.anyio

Post = Callable[..., Awaitable[httpx.Response]]

ANN = {"email": "ann@example.com", "name": "Ann", "active": False, "variables": {"city": "Kyiv"}}
ANN_STORED = {
    "id": "5882312a0000010000000001",
    **ANN,
    "created": 0,
    "updated": 0,
    "updates": 0,
}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(clock=lambda: 5.0)


@pytest.fixture
async def control(
    sandbox: Sandbox, client_of: Callable[[Sandbox], httpx.AsyncClient]
) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(sandbox) as client:
        client.base_url = "http://sandbox/sandbox/"
        yield client


async def test_a_scene_is_set_and_looked_at(control: httpx.AsyncClient, post: Post, sandbox: Sandbox) -> None:
    made = await control.post("lists", json={"id": "other", "name": "Other"})
    assert made.json() == {"id": "other", "name": "Other", "contacts": 0, "subscribed": 0, "variables": {}}
    assert (await control.post("lists/other/seed", json={"contacts": [ANN]})).json() == {"seeded": 1}
    assert (await control.get("lists")).json() == [
        {"id": DEFAULT_LIST, "name": "Newsletter", "contacts": 0, "subscribed": 0, "variables": {}},
        {"id": "other", "name": "Other", "contacts": 1, "subscribed": 0, "variables": {"city": "ENUM_STRING"}},
    ]
    other = {**ANN_STORED, "id": "5882312a0000020000000001"}
    assert (await control.get("lists/other/contacts")).json() == {"total": 1, "contacts": [other]}
    await post(sandbox, "contacts/update", emailListId="other", contact="ann@example.com", parameters={"active": True})
    history = await control.get("lists/other/history", params={"email": "ANN@example.com"})
    assert history.json() == [{"request": 0, "active": False}, {"request": 1, "active": True}]
    stats = (await control.get("stats")).json()
    assert (stats["requests"], stats["contacts"], stats["resubscribed"], stats["overlaps"]) == (1, 1, 1, 0)


async def test_contacts_are_paged_and_searched(control: httpx.AsyncClient) -> None:
    seeds = [{"email": f"a{n:03}@example.com", "name": "Öde" if n % 10 == 0 else ""} for n in range(250)]
    await control.post(f"lists/{DEFAULT_LIST}/seed", json={"contacts": seeds})

    async def found(**query: object) -> list[str]:
        reply = await control.get(f"lists/{DEFAULT_LIST}/contacts", params=query)
        assert reply.json()["total"] == 250
        return [contact["email"][:4] for contact in reply.json()["contacts"]]

    assert len(await found()) == 100
    assert await found(offset=248) == ["a248", "a249"]
    assert await found(q="A00", limit=2, offset=1) == ["a001", "a002"]
    assert await found(q="öde", limit=3) == ["a000", "a010", "a020"]
    assert await found(q="nobody") == []


async def test_behaviour_is_set_by_field_and_by_scenario(control: httpx.AsyncClient, sandbox: Sandbox) -> None:
    reply = await control.post("behaviour", json={"add": "partial", "rate": 5})
    assert reply.json() == (await control.get("behaviour")).json() == sandbox.behaviour.settings()
    assert sandbox.behaviour == Behaviour().changed({"add": "partial", "rate": 5})
    await control.post("behaviour", json={"scenario": "outage", "max_batch": 50})
    assert (sandbox.behaviour, [*sandbox.faults]) == (Behaviour(max_batch=50), [Fault(what=Status(503), times=20)])
    assert "outage" in (await control.get("scenarios")).json()


async def test_faults_are_scripted(control: httpx.AsyncClient, post: Post, sandbox: Sandbox) -> None:
    assert (await control.post("faults", json={"what": "status", "code": 503})).json() == {"faults": 1}
    drops = [{"what": "drop", "endpoint": "variables/add"}, {"what": "raw_body", "body": "[]", "times": None}]
    assert (await control.post("faults", json=drops)).json() == {"faults": 3}
    assert (await control.get("faults")).json()[0] == Fault(what=Status(503)).as_json()
    assert (await post(sandbox, "contacts/remove")).status_code == 503
    assert (await post(sandbox, "contacts/remove")).json() == []
    assert (await control.delete("faults")).json() == {"faults": 0}
    assert "Error_stack" in (await post(sandbox, "contacts/remove")).json()


async def test_the_log_is_read_on_from_where_one_stopped(
    control: httpx.AsyncClient, post: Post, sandbox: Sandbox
) -> None:
    for _ in range(5):
        await post(sandbox, "contacts/remove", emails=["a@example.com"])
    log = (await control.get("log")).json()
    assert log[0] == {
        "number": 1,
        "endpoint": "contacts/remove",
        "at": 5.0,
        "token": sandbox.log[0].token,
        "list_id": DEFAULT_LIST,
        "size": 1,
        "status": 200,
        "errors": 0,
        "applied": 1,
        "faults": [],
        "until": 5.0,
    }
    later = await control.get("log", params={"after": 2, "limit": 2})
    assert [request["number"] for request in later.json()] == [3, 4]


async def test_a_person_acts(control: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.seed(DEFAULT_LIST, [ANN])
    path = f"lists/{DEFAULT_LIST}/contacts/{ANN_STORED['id']}"
    event = {
        "event": "subscribed",
        "email": "ann@example.com",
        "datetime": 1_767_225_605,
        "contactId": ANN_STORED["id"],
        "emailListId": DEFAULT_LIST,
    }
    assert (await control.post(path, json={"act": "subscribe"})).json() == event
    assert sandbox.lists[DEFAULT_LIST].subscribed == 1
    await control.post(path, json={"act": "remove"})
    assert (await control.get("events")).json() == [event, {**event, "event": "removed"}]
    assert (await control.post(path, json={"act": "remove"})).status_code == 404


async def test_another_token_is_taken_from_now_on(control: httpx.AsyncClient, post: Post, sandbox: Sandbox) -> None:
    await control.post("tokens", json={"token": "next-token"})
    reply = await post(sandbox, "contacts/remove", token="next-token", emails=["a@example.com"])
    assert reply.json() == {"result": True}


async def test_reset_goes_back_to_the_beginning(post: Post, client_of: Callable[[Sandbox], httpx.AsyncClient]) -> None:
    sandbox = Sandbox(Behaviour(rate=5), [Fault(what=Status(503))], tokens=["mine"])
    sandbox.play("lying")
    sandbox.create_list("other", "Other")
    sandbox.tokens.clear()
    await post(sandbox, "contacts/remove")
    async with client_of(sandbox) as client:
        assert (await client.post("/sandbox/reset")).json() == {}
    assert (sandbox.behaviour, [*sandbox.faults]) == (Behaviour(rate=5), [Fault(what=Status(503))])
    assert (list(sandbox.lists), sandbox.log, "mine" in sandbox.tokens) == ([DEFAULT_LIST], [], True)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "lists/nope/contacts", None, 404, "no list 'nope'"),
        ("GET", f"lists/{DEFAULT_LIST}/contacts?limit=-1", None, 400, "limit is a whole number, from 0; not '-1'"),
        ("GET", "log?after=x", None, 400, "after is a whole number, from 0; not 'x'"),
        ("POST", "lists", b'{"id": "x"}', 400, "name is a text; not None"),
        ("POST", "lists", b'{"id": "5537ab2a08d241dc69326b19", "name": "x"}', 400, "there is a list"),
        ("POST", "lists", b"nonsense", 400, "the body is not JSON"),
        ("POST", "lists", b"\xff", 400, "the body is not JSON"),
        ("POST", "lists", b"[]", 400, "the body is a JSON object; not list"),
        ("POST", f"lists/{DEFAULT_LIST}/seed", b'{"contacts": ["x"]}', 400, "contacts is an array of objects"),
        ("POST", f"lists/{DEFAULT_LIST}/seed", b'{"contacts": [{"email": "x"}]}', 400, "email is an address; not 'x'"),
        (
            "POST",
            f"lists/{DEFAULT_LIST}/seed",
            b'{"contacts": [{"email": "a@example.com"}, {"email": "A@example.com"}]}',
            400,
            "has 'A@example.com' already",
        ),
        (
            "POST",
            f"lists/{DEFAULT_LIST}/seed",
            b'{"contacts": [{"email": "a@example.com", "active": 1}]}',
            400,
            "active is true or false",
        ),
        ("POST", "behaviour", b'{"ad": 1}', 400, "there is no 'ad'; did you mean 'add'?"),
        ("POST", "behaviour", b'{"scenario": "x"}', 400, "no scenario 'x'"),
        ("POST", "behaviour", b'{"rate": 0.1}', 400, "rate is requests in any second"),
        ("POST", "faults", b'["x"]', 400, "a fault is an object; not 'x'"),
        ("POST", "tokens", b"{}", 400, "token is a text; not None"),
    ],
)
async def test_what_cannot_be_done_is_told(
    method: str, path: str, body: bytes | None, status: int, text: str, control: httpx.AsyncClient
) -> None:
    reply = await control.request(method, path, content=body)
    assert reply.status_code == status
    assert text in reply.json()["error"]


async def test_an_act_there_is_not_is_told(control: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.seed(DEFAULT_LIST, [ANN])
    reply = await control.post(f"lists/{DEFAULT_LIST}/contacts/{ANN_STORED['id']}", json={"act": "hug"})
    assert reply.json() == {"error": "act is one of subscribe, unsubscribe, remove; not 'hug'"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:8025"}, 200),
        ({"host": "[::1]:8025"}, 200),
        ({"host": "localhost:8025", "origin": "http://localhost:8025"}, 200),
        ({"host": "rebound.example.com:8025"}, 403),
        ({"host": "127.0.0.1:8025", "origin": "https://elsewhere.example.com"}, 403),
        ({"host": "127.0.0.1:8025", "origin": "null"}, 403),
    ],
)
async def test_another_sites_page_cannot_reach_in(
    headers: dict[str, str], status: int, control: httpx.AsyncClient
) -> None:
    assert (await control.get("lists", headers=headers)).status_code == status
    assert (await control.post("reset", headers=headers)).status_code == status
