import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from syncengine.sandbox import DEFAULT_INSTANCE_KEY, ConnectionDroppedError, Sandbox
from syncengine.smartersends import SmarterSends

Connect = Callable[..., AbstractAsyncContextManager[SmarterSends]]


class InProcess(httpx.ASGITransport):
    """A dropped connection as httpx tells of it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except ConnectionDroppedError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error


@pytest.fixture
def connect() -> Connect:
    """`async with connect(sandbox) as instance`: a client of the sandbox's instance, in process."""

    @contextlib.asynccontextmanager
    async def connect(sandbox: Sandbox, **settings: Any) -> AsyncIterator[SmarterSends]:
        arguments = {
            "url": "http://127.0.0.1:1/smartersends",
            "key": DEFAULT_INSTANCE_KEY,
            "rate": 1000,
            "timeout": 2.0,
            "chance": lambda: 0.0,
            "transport": lambda: InProcess(sandbox.app),
        }
        async with SmarterSends(**(arguments | settings)) as instance:
            yield instance

    return connect
