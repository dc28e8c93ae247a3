import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from syncengine.client import SmartSender
from syncengine.sandbox import DEFAULT_KEY, DEFAULT_TOKEN, Sandbox

Connect = Callable[..., AbstractAsyncContextManager[SmartSender]]


@pytest.fixture
def connect(in_process: Callable[[Sandbox], httpx.AsyncBaseTransport]) -> Connect:
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
            "transport": lambda: in_process(sandbox),
        }
        async with SmartSender(**(arguments | settings)) as service:
            yield service

    return connect
