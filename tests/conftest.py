import pytest


@pytest.fixture
def anyio_backend() -> str:
    """aiolimiter is built on asyncio's futures and timers, so everything here runs on asyncio."""
    return "asyncio"
