import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """The program tightens the umask of its process; here many tests share one."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def anyio_backend() -> str:
    """aiolimiter is built on asyncio's futures and timers, so everything here runs on asyncio."""
    return "asyncio"
