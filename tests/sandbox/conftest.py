import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import httpx
import pytest

from syncengine.sandbox import DEFAULT_LIST, DEFAULT_TOKEN, Sandbox

T = TypeVar("T")
Transports = Callable[[Sandbox], httpx.AsyncBaseTransport]

PREFIX = {"mailer/send": "/api/rest/"}


@pytest.fixture
def client_of(in_process: Transports) -> Callable[[Sandbox], httpx.AsyncClient]:
    def client_of(sandbox: Sandbox) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=in_process(sandbox), base_url="http://sandbox", trust_env=False)

    return client_of


@pytest.fixture
def post(client_of: Callable[[Sandbox], httpx.AsyncClient]) -> Callable[..., Awaitable[httpx.Response]]:
    """`await post(sandbox, "contacts/add", contacts=[…])`: to the default list, with the default token."""

    async def post(
        sandbox: Sandbox,
        endpoint: str,
        *,
        token: str | None = DEFAULT_TOKEN,
        content: bytes | None = None,
        leave_after: float | None = None,
        **arguments: object,
    ) -> httpx.Response:
        headers = {} if token is None else {"access-token": token}
        url = PREFIX.get(endpoint, "/api/rest/email-list/") + endpoint
        async with client_of(sandbox) as client, asyncio.timeout(leave_after):
            if content is not None:
                return await client.post(url, content=content, headers=headers)
            return await client.post(url, json={"emailListId": DEFAULT_LIST} | arguments, headers=headers)

    return post


class JumpingSelector(selectors.DefaultSelector):
    """Where a loop would wait, its clock jumps."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("everything waits for something that never comes")
        if not events and timeout:
            self.now += timeout
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


@pytest.fixture
def in_virtual_time() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Runs a coroutine in a loop whose clock starts at 0 and costs nothing to wait for."""

    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(coroutine)

    return run
