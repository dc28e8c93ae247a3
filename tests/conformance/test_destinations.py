"""The memory fake and API v2 on the sandbox keep the same promises."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from syncengine.destinations._http import Door
from syncengine.destinations._pacing import Pacer
from syncengine.destinations.v2 import SmartSenderV2
from syncengine.model import Call, Fatal
from syncengine.redaction import Secret
from syncengine.sandbox.sandbox import Sandbox
from syncengine.sandbox.scenarios import described
from syncengine.sandbox.serve import running
from syncengine.testing.destination import MemoryDestination
from syncengine.testing.destination_suite import DestinationSuite, Seen

pytestmark = pytest.mark.anyio

LIST = "5537ab2a08d241dc69326b19"


@dataclass
class MemoryWorld:
    destination: MemoryDestination

    def holds(self) -> dict[str, Seen]:
        return {
            key: Seen(held.email, held.name, held.active, held.variables)
            for key, held in self.destination.contacts.items()
        }


@dataclass
class SandboxWorld:
    destination: SmartSenderV2
    sandbox: Sandbox

    def holds(self) -> dict[str, Seen]:
        return {
            contact.email.lower(): Seen(contact.email, contact.name, contact.active, dict(contact.variables))
            for contact in self.sandbox.lists[LIST].contacts.values()
        }


def v2(sandbox: Sandbox, *, token: str = "sandbox-token", list_id: str = LIST) -> SmartSenderV2:
    transport = lambda: httpx.ASGITransport(app=sandbox.app)  # noqa: E731
    door = Door("http://127.0.0.1", Secret(token), Pacer(1000), timeout=5, transport=transport)
    return SmartSenderV2(door, list_id)


class TestMemory(DestinationSuite):
    @pytest.fixture
    def world(self) -> MemoryWorld:
        return MemoryWorld(MemoryDestination())


class TestV2(DestinationSuite):
    """In process, under the scenarios that leave a single request its documented meaning."""

    @pytest.fixture(
        params=["documented", "ids-shuffled", "list-word", "error-stack-lower", "result-number", "result-string",
                "http-statuses", "update-replaces", "partial-named", "case-sensitive"]
    )  # fmt: skip
    async def world(self, request: pytest.FixtureRequest) -> AsyncIterator[SandboxWorld]:
        sandbox = Sandbox()
        sandbox.play(request.param)
        world = SandboxWorld(v2(sandbox), sandbox)
        yield world
        await world.destination.aclose()


class TestV2OverHttp(DestinationSuite):
    """On a real loopback port."""

    @pytest.fixture
    async def world(self) -> AsyncIterator[SandboxWorld]:
        sandbox = Sandbox()
        with running(sandbox) as url:
            door = Door(url, Secret("sandbox-token"), Pacer(1000), timeout=5)
            yield SandboxWorld(SmartSenderV2(door, LIST), sandbox)
            await door.aclose()


async def test_a_refused_token_and_an_unknown_list_are_fatal() -> None:
    sandbox = Sandbox()
    suite = DestinationSuite()

    wrong_token = SandboxWorld(v2(sandbox, token="another-token"), sandbox)
    wrong_list = SandboxWorld(v2(sandbox, list_id="nolist"), sandbox)

    answer = await suite.ask(wrong_token, Call.ADD, {"email": "a@example.com"})
    assert isinstance(answer, Fatal)
    assert (answer.code, "another-token" in answer.text) == ("token-refused", False)
    answer = await suite.ask(wrong_list, Call.UPDATE, {"email": "a@example.com"})
    assert isinstance(answer, Fatal)
    assert answer.code == "list-refused"


def test_the_scenarios_named_here_exist() -> None:
    assert {"documented", "partial-named"} <= dict(described()).keys()
