"""The pages for people."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from syncengine.sandbox import DEFAULT_LIST, SCENARIOS, Drop, Fault, Sandbox, Status

pytestmark = pytest.mark.anyio

Post = Callable[..., Awaitable[httpx.Response]]

SCRIPT = "<script>alert('x')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
LIST = f"/lists/{DEFAULT_LIST}"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
async def browser(
    sandbox: Sandbox, client_of: Callable[[Sandbox], httpx.AsyncClient]
) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(sandbox) as client:
        yield client


async def test_the_front_page_shows_lists_requests_and_behaviour(
    browser: httpx.AsyncClient, post: Post, sandbox: Sandbox
) -> None:
    sandbox.seed(DEFAULT_LIST, [{"email": f"a{n}@example.com", "variables": {"city": "Kyiv"}} for n in range(1_234)])
    sandbox.faults.add(Fault(what=Status(503)), Fault(what=Drop(), endpoint="variables/add"))
    await post(sandbox, "contacts/remove", emails=["a1@example.com"])
    await post(sandbox, "contacts/remove", emails=["a1@example.com"])
    await post(sandbox, "contacts/add", contacts=[{"email": "a2@example.com"}])
    page = await browser.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for shown in ("Newsletter", DEFAULT_LIST, "1,233", "city", "contacts/remove", ">503<", "200, 1 error<", "drop"):
        assert shown in page.text
    assert f'href="{LIST}"' in page.text
    assert "url = &#34;http://sandbox&#34;" in page.text or 'url = "http://sandbox"' in page.text


async def test_an_empty_sandbox_has_a_front_page(browser: httpx.AsyncClient, sandbox: Sandbox) -> None:
    assert "Nobody has called yet." in (await browser.get("/")).text
    sandbox.lists.clear()
    sandbox.tokens.clear()
    assert "No list is left." in (await browser.get("/")).text


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_scenario_can_be_gone_over_to(name: str, browser: httpx.AsyncClient, sandbox: Sandbox) -> None:
    reply = await browser.post("/scenario", data={"name": name})
    assert (reply.status_code, reply.headers["location"]) == (303, "/")
    assert sandbox.playing == name
    assert f'value="{name}" selected' in (await browser.get("/")).text


async def test_a_scenario_there_is_not_is_refused(browser: httpx.AsyncClient) -> None:
    assert (await browser.post("/scenario", data={"name": "x"})).status_code == 400
    assert (await browser.post("/scenario", content=b"\xff")).status_code == 400


async def test_contacts_are_shown_with_their_state_and_variables(browser: httpx.AsyncClient, sandbox: Sandbox) -> None:
    variables = {f"variable{letter}": f"value {letter}" for letter in "ABCDEFGH"}
    sandbox.seed(DEFAULT_LIST, [{"email": "ann@example.com", "name": "Ann", "variables": variables}])
    sandbox.seed(DEFAULT_LIST, [{"email": "bob@example.com", "active": False}])
    page = (await browser.get(LIST)).text
    for shown in ("ann@example.com", "Ann", "variableA", "value H", "5882312a0000010000000001", "before the first"):
        assert shown in page
    assert page.count(">subscribed<") == page.count(">unsubscribed<") == 1


async def test_nothing_that_was_sent_is_taken_for_html(
    browser: httpx.AsyncClient, post: Post, sandbox: Sandbox
) -> None:
    sandbox.create_list("<script>", f"name{SCRIPT}")
    seed = {"email": '"> <script>"@example.com', "name": SCRIPT, "variables": {"city": SCRIPT}}
    sandbox.seed(DEFAULT_LIST, [seed])
    await post(sandbox, "contacts/add", emailListId=SCRIPT)
    for url in (
        "/",
        LIST,
        f"{LIST}?q={SCRIPT}",
        f"{LIST}?state={SCRIPT}",
        "/lists/%3Cscript%3E",
    ):
        page = await browser.get(url)
        assert "<script" not in page.text, url
    assert ESCAPED in (await browser.get(LIST)).text
    assert f'value="{ESCAPED}"' in (await browser.get(f"{LIST}?q={SCRIPT}")).text


async def test_pages_are_turned_and_jumped_to(browser: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.seed(DEFAULT_LIST, [{"email": f"a{n:03}@example.com", "active": n % 2 == 0} for n in range(120)])

    async def shown(query: str) -> tuple[int, int, bool, bool]:
        """Where the page starts, how many there are, whether there is a page before it, and one after."""
        text = (await browser.get(LIST + query)).text
        numbers = [int(part[:3]) for part in text.split('title="a')[1:]]
        return numbers[0] if numbers else -1, len(numbers), "← Previous" in text, "Next →" in text

    assert await shown("") == (0, 50, False, True)
    assert await shown("?page=3") == (100, 20, True, False)
    assert await shown("?page=4") == (-1, 0, True, False)
    assert (
        await shown("?page=x&state=x") == await shown("?page=0") == await shown("?page=99999999999") == await shown("")
    )
    assert await shown("?state=unsubscribed&page=2") == (101, 10, True, False)
    assert await shown("?q=A11") == (110, 10, False, False)
    text = (await browser.get(f"{LIST}?state=subscribed")).text
    assert "Page 1 of 2" in text
    assert f"{LIST}?state=subscribed&amp;page=2" in text
    assert "Page 1</span>" in (await browser.get(f"{LIST}?q=a")).text


async def test_the_buttons_do_what_a_person_would(browser: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.seed(DEFAULT_LIST, [{"email": "ann@example.com"}, {"email": "bob@example.com"}])
    ann, bob = sandbox.lists[DEFAULT_LIST].contacts.values()
    reply = await browser.post(f"{LIST}/contacts/{ann.id}?q=a&page=2", data={"act": "unsubscribe"})
    assert (reply.status_code, reply.headers["location"]) == (303, f"{LIST}?q=a&page=2")
    assert not ann.active
    await browser.post(f"{LIST}/contacts/{ann.id}", data={"act": "subscribe"})
    await browser.post(f"{LIST}/contacts/{bob.id}", data={"act": "remove"})
    assert (await browser.post(f"{LIST}/contacts/{bob.id}", data={"act": "remove"})).status_code == 303
    assert [event.event for event in sandbox.account.events] == ["unsubscribed", "subscribed", "removed"]
    assert sandbox.lists[DEFAULT_LIST].contacts == {ann.id: ann}
    assert (await browser.post(f"{LIST}/contacts/{ann.id}", data={"act": "hug"})).status_code == 400


async def test_everything_is_emptied_by_a_button(browser: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.seed(DEFAULT_LIST, [{"email": "ann@example.com"}])
    assert (await browser.post("/reset")).status_code == 303
    assert not sandbox.lists[DEFAULT_LIST].contacts


async def test_a_list_there_is_not_has_no_page(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/lists/nope")).status_code == 404
    assert (await browser.get("/nope")).status_code == 404
    assert (await browser.get("/api/rest/email-list/nope")).status_code == 404


async def test_the_api_is_called_by_post(browser: httpx.AsyncClient, sandbox: Sandbox) -> None:
    reply = await browser.get("/api/rest/email-list/contacts/add")
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert sandbox.log[0].status == 405
