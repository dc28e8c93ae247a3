import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

# No test fails because the machine is busy: neither for an example that took long, nor for one that was long to make.
hypothesis.settings.register_profile("house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("house")

# Programs that the tests start would compile every module anew, each of them: half of what a short one costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

if TYPE_CHECKING:
    import httpx

    from syncengine.sandbox import Sandbox


@pytest.hookimpl(optionalhook=True)  # without xdist there are no workers
def pytest_xdist_auto_num_workers() -> int:
    """Two a core: many tests run programs of their own and wait for them."""
    return 2 * len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2 * (os.cpu_count() or 1)


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


@pytest.fixture
def in_process() -> "Callable[[Sandbox], httpx.AsyncBaseTransport]":
    """Transports to a sandbox without a network; a dropped connection is as httpx tells of it."""
    import httpx

    from syncengine.sandbox import ConnectionDroppedError

    class InProcess(httpx.ASGITransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            try:
                return await super().handle_async_request(request)
            except ConnectionDroppedError as error:
                raise httpx.RemoteProtocolError(str(error), request=request) from error

    return lambda sandbox: InProcess(sandbox.app)
