"""Consent end to end: a sync, people who leave on the sandbox's page in a real browser, the webhook, the next sync.

The browser is headless Chromium from Debian's packages (`chromium`, `chromium-driver`; `.ci/run` installs them).
"""

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from syncengine.sandbox.hooks import Hooks

if TYPE_CHECKING:
    from conftest import Project
    from selenium.webdriver import Chrome

LIST = "5537ab2a08d241dc69326b19"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")

needs_a_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no browser here: apt-get install chromium chromium-driver (the same story runs over HTTP beside this test)",
)


@contextlib.contextmanager
def browser() -> Iterator["Chrome"]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield chrome
    finally:
        chrome.quit()


@contextlib.contextmanager
def receiver(project: "Project") -> Iterator[str]:
    """`syncengine webhooks serve`, as a process of its own; gives the URL to put into the panel."""
    command = [sys.executable, "-m", "syncengine", "webhooks", "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as it:
        assert it.stdout is not None
        try:
            yield it.stdout.readline().removeprefix("The receiver listens: ").strip()
        finally:
            it.terminate()


@pytest.fixture
def synced(project: "Project") -> "Project":
    project.write_source(*project.people(20))
    assert project.run("sync", "--yes").code == 0
    return project


def tell_story(project: "Project") -> None:
    """What is true of it whoever presses the buttons."""
    project.sandbox.postman.settled()
    assert [one.status for one in project.sandbox.postman.deliveries] == [200, 200, 200]

    plan = project.run("plan").out
    done = project.run("sync", "--yes")
    again = project.run("sync", "--yes", "--json").report

    assert "3 people left since the last run: 1 unsubscribed, 1 removed, 1 complained" in plan
    assert "3 people left since the last run" in done.out
    contacts = {one.email: one.active for one in project.contacts.contacts.values()}
    assert (contacts["user3@example.com"], contacts["user5@example.com"]) == (False, False)
    assert "user4@example.com" not in contacts
    assert sum(contacts.values()) == 17
    assert (again["requests"], again["left"], again["held"]) == (0, {}, 1)
    assert project.sandbox.lists[LIST].resubscribed == {}


@needs_a_browser
def test_w1_whoever_unsubscribes_on_a_page_in_a_browser_stays_off(synced: "Project") -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support import expected_conditions as shown
    from selenium.webdriver.support.ui import WebDriverWait

    with receiver(synced) as hook, browser() as chrome:
        wait = WebDriverWait(chrome, 30)
        chrome.get(synced.url)
        chrome.find_element(By.NAME, "url").send_keys(hook)
        chrome.find_element(By.XPATH, "//button[.='Post events there']").click()
        wait.until(shown.text_to_be_present_in_element((By.TAG_NAME, "body"), "Nothing was posted yet."))
        chrome.find_element(By.LINK_TEXT, "Newsletter").click()

        def press(address: str, button: str) -> None:
            row = wait.until(shown.presence_of_element_located((By.XPATH, f"//tr[td[@title='{address}']]")))
            pressed = row.find_element(By.XPATH, f".//button[.='{button}']")
            if not pressed.is_displayed():
                row.find_element(By.TAG_NAME, "summary").click()
            pressed.click()
            wait.until(shown.staleness_of(pressed))

        press("user3@example.com", "Unsubscribe")
        press("user4@example.com", "Remove")
        press("user5@example.com", "complaint")
        row = wait.until(shown.presence_of_element_located((By.XPATH, "//tr[td[@title='user3@example.com']]")))
        assert "unsubscribed" in row.text
        tell_story(synced)


def test_w1_the_same_story_without_a_browser(synced: "Project") -> None:
    import urllib.parse
    import urllib.request

    ids = {one.email: one.id for one in synced.contacts.contacts.values()}
    with receiver(synced) as hook:
        synced.sandbox.hooks = Hooks(url=hook)
        for email, act in (
            ("user3@example.com", "unsubscribe"),
            ("user4@example.com", "remove"),
            ("user5@example.com", "complaint"),
        ):
            form = urllib.parse.urlencode({"act": act}).encode()
            with urllib.request.urlopen(f"{synced.url}/lists/{LIST}/contacts/{ids[email]}", form) as page:  # noqa: S310
                assert page.status == 200
        tell_story(synced)


def test_w2_badly_delivered_webhooks_come_to_the_same(synced: "Project") -> None:
    """Copies, another order, refusals on the way: as long as each event comes once, who left is off."""
    from syncengine.sandbox.account import Act

    ids = {one.email: one.id for one in synced.contacts.contacts.values()}
    with receiver(synced) as hook:
        synced.sandbox.hooks = Hooks(url=hook, duplicate=0.5, reorder=0.5, attempts=3)
        for number in range(20):
            act = Act.UNSUBSCRIBE if number % 2 else Act.REMOVE
            synced.sandbox.act(LIST, ids[f"user{number}@example.com"], act)
            if act is Act.UNSUBSCRIBE and number % 3 == 0:  # back by their own wish, which nobody proves
                synced.sandbox.act(LIST, ids[f"user{number}@example.com"], Act.SUBSCRIBE)
                synced.sandbox.act(LIST, ids[f"user{number}@example.com"], Act.UNSUBSCRIBE)
        synced.sandbox.postman.settled()

        report = synced.run("sync", "--yes", "--json").report

    assert report["left"] == {"unsubscribed": 10, "removed": 10}
    assert [one.active for one in synced.contacts.contacts.values()] == [False] * 10


def test_w1_a_run_under_way_takes_up_what_its_page_tells(synced: "Project") -> None:
    """The whole loop with real processes: the sync is slow, and somebody of its last batches leaves meanwhile."""
    from syncengine.sandbox.account import Act

    synced.write_config(account="concurrency = 1")
    text = (synced.folder / "syncengine.toml").read_text().replace("rate = 500", "rate = 3")
    (synced.folder / "syncengine.toml").write_text(text)
    synced.write_source(*synced.people(400, n3="Astana"))
    with receiver(synced) as hook:
        synced.sandbox.hooks = Hooks(url=hook)
        contact = synced.contacts.find("user3@example.com")
        assert contact is not None
        command = [sys.executable, "-m", "syncengine", "sync", "--yes", "--json"]
        requests = len(synced.sandbox.log)
        with subprocess.Popen(command, cwd=synced.folder, stdout=subprocess.PIPE, text=True) as run:
            patience = time.monotonic() + 60
            while len(synced.sandbox.log) == requests and time.monotonic() < patience:
                threading.Event().wait(0.01)
            synced.sandbox.act(LIST, contact.id, Act.UNSUBSCRIBE)  # just after it was sent as subscribed
            out, _ = run.communicate(timeout=120)

    (report,) = json.loads(out)["runs"]
    assert contact.active is False
    assert (report["result"], report["left"]) == ("ok", {"unsubscribed": 1})
    assert report["corrected"] == 1
