"""A request that was given up may still be carried out: a newer one about the same contacts waits for it."""

from datetime import UTC, datetime
from typing import Any

import anyio
import polars as pl
import pytest

from syncengine.events import WaitingForLateRequests
from syncengine.model import NoAnswer, Op
from syncengine.testing import FrameSource, MemoryDestination, Trial, people, run_sync
from syncengine.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

EPOCH = 1_700_000_000.0


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


@pytest.fixture
def trial(trial: Trial) -> Trial:
    trial.now = lambda: datetime.fromtimestamp(EPOCH + anyio.current_time(), UTC)
    return trial


def named(name: str) -> FrameSource:
    return FrameSource(people(10).drop("city").with_columns(pl.lit(name).alias("name")))


async def test_other_content_waits_until_an_unanswered_request_can_no_longer_arrive(
    trial: Trial, to: MemoryDestination
) -> None:
    to.fail_next = [NoAnswer("no complete answer within 30 s")]
    await run_sync(trial, named("Old"))
    began = anyio.current_time()

    report = (await run_sync(trial, named("New"))).report

    [waited] = [event for event in trial.events if isinstance(event, WaitingForLateRequests)]
    assert report.confirmed[Op.UPDATE] == 10
    assert (waited.op, waited.contacts) == (Op.UPDATE, 10)
    assert 110.0 < waited.seconds <= 120.0
    assert anyio.current_time() - began == pytest.approx(waited.seconds, abs=1.5)


async def test_who_gets_an_address_that_an_unanswered_request_names_waits_too(
    trial: Trial, to: MemoryDestination
) -> None:
    """The service knows no ids: the late request would be carried out on whoever has the address by then."""
    trial.key = "id"
    to.fail_next = [NoAnswer("no complete answer within 30 s")]
    numbers = pl.int_range(10).cast(pl.String)
    rows = people(10).drop("city")
    await run_sync(trial, FrameSource(rows.with_columns(id=pl.lit("a") + numbers)))

    others = rows.with_columns(name=pl.lit("New"), id=pl.lit("b") + numbers)
    report = (await run_sync(trial, FrameSource(others))).report

    waits = [event.contacts for event in trial.events if isinstance(event, WaitingForLateRequests)]
    assert (report.confirmed[Op.UPDATE], waits) == (10, [10])


@pytest.mark.parametrize("status", [200, 429, 500, 503])
async def test_nobody_waits_for_a_request_that_was_answered_however_badly(
    trial: Trial, to: MemoryDestination, status: int
) -> None:
    to.fail_next = [NoAnswer(f"HTTP {status}", status=status)]
    await run_sync(trial, named("Old"))
    began = anyio.current_time()

    report = (await run_sync(trial, named("New"))).report

    assert report.confirmed[Op.UPDATE] == 10
    assert anyio.current_time() - began < 5.0
