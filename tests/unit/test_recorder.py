"""What many senders report is committed together, in the order it came, and each waits for its own part."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from syncengine.dispatch.recorder import TOGETHER, Recorder
from syncengine.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


async def test_the_first_report_is_committed_at_once_and_those_close_behind_it_together() -> None:
    commits: list[list[int]] = []
    durable: dict[int, float] = {}

    async def in_thread(work: Callable[[], None]) -> None:
        work()

    recorder = Recorder[int](lambda entries: commits.append([*entries]), in_thread)

    async def report(number: int, at: float) -> None:
        await anyio.sleep(at)
        await recorder.record([number])
        assert any(number in entries for entries in commits)
        durable[number] = anyio.current_time()

    began = anyio.current_time()
    async with anyio.create_task_group() as serving:
        serving.start_soon(recorder.serve)
        async with anyio.create_task_group() as senders:
            for number, at in enumerate([0.0, TOGETHER / 4, TOGETHER / 2, 1.0]):
                senders.start_soon(report, number, at)
        serving.cancel_scope.cancel()

    assert commits == [[0], [1, 2], [3]]
    assert [durable[number] - began for number in range(4)] == pytest.approx([0.0, TOGETHER, TOGETHER, 1.0], abs=1e-4)
