import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from syncengine.client import SmartSender
from syncengine.sandbox import DEFAULT_KEY, DEFAULT_TOKEN, ConnectionDroppedError, Sandbox

Connect = Callable[..., AbstractAsyncContextManager[SmartSender]]


class InProcess(httpx.ASGITransport):
    """A dropped connection as httpx tells of it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except ConnectionDroppedError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error


@pytest.fixture
def connect() -> Connect:
    """`async with connect(sandbox) as service`: a client of the sandbox, in process."""

    @contextlib.asynccontextmanager
    async def connect(sandbox: Sandbox, **settings: Any) -> AsyncIterator[SmartSender]:
        arguments = {
            "token": DEFAULT_TOKEN,
            "key": DEFAULT_KEY,
            "url": "http://partner",
            "send_url": "http://api",
            "rate": 1000,
            "timeout": 2.0,
            "chance": lambda: 0.0,
            "transport": lambda: InProcess(sandbox.app),
        }
        async with SmartSender(**(arguments | settings)) as service:
            yield service

    return connect
