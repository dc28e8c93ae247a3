import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from syncengine.sandbox import DEFAULT_INSTANCE_KEY, Sandbox
from syncengine.smartersends import SmarterSends

Connect = Callable[..., AbstractAsyncContextManager[SmarterSends]]


@pytest.fixture
def connect(in_process: Callable[[Sandbox], httpx.AsyncBaseTransport]) -> Connect:
    """`async with connect(sandbox) as instance`: a client of the sandbox's instance, in process."""

    @contextlib.asynccontextmanager
    async def connect(sandbox: Sandbox, **settings: Any) -> AsyncIterator[SmarterSends]:
        arguments = {
            "url": "http://127.0.0.1:1/smartersends",
            "key": DEFAULT_INSTANCE_KEY,
            "rate": 1000,
            "timeout": 2.0,
            "chance": lambda: 0.0,
            "transport": lambda: in_process(sandbox),
        }
        async with SmarterSends(**(arguments | settings)) as instance:
            yield instance

    return connect
