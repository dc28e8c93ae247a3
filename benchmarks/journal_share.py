"""What the journal takes of a batch: the same frozen plan sent twice, once with the journal, once with none.

    python benchmarks/journal_share.py --rows 200000

Both are processes that only send: the engine's dispatcher, destination and door, over 16 connections to a loopback
server. Processor time of sending alone is compared, waiting for the disk is not; the two commits a batch has part in
are shared with the batches beside it, as ever. Also counted: rows of the database changed for each batch.
"""

import contextlib
import importlib.util
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import anyio
import loopback
from contact_files import LIST
from engine import Engine, contact_files
from measuring import Cost, arguments, in_turns, measure
from targets import conclude

from syncengine.destinations._http import Door
from syncengine.destinations._pacing import Pacer
from syncengine.destinations.v2 import SmartSenderV2
from syncengine.dispatch.circuit import Circuit
from syncengine.dispatch.dispatcher import Dispatcher, Rules, Work
from syncengine.dispatch.pressure import Pressure
from syncengine.dispatch.recorder import Recorder
from syncengine.events import ignore
from syncengine.frozen import open_plan
from syncengine.journal import Journal
from syncengine.ledger import open_ledger
from syncengine.model import Consent, Mode
from syncengine.ports import Entry, Progress
from syncengine.redaction import Secret
from syncengine.stopping import StopSwitch

SHARE = 0.15
CONNECTIONS = 16
T = TypeVar("T")


async def send(plan_folder: Path, url: str, ledger: Path | None) -> dict[str, float]:
    """Send a plan; without a ledger nothing is recorded. Gives processor time and counts."""
    plan = open_plan(plan_folder)
    waves = [Work(wave.op, wave.known, 0.0, wave.contacts, 0, plan.slices(wave)) for wave in plan.waves]
    door = Door(url, Secret("sandbox-token"), Pacer(100_000), timeout=30)
    with _recorder(ledger) as (recorder, changes):
        dispatcher = _dispatcher(door, recorder)
        before, cpu = changes(), time.process_time()
        complete = await dispatcher.carry_out(waves)
        used = time.process_time() - cpu
        await door.aclose()
        if not complete or door.requests != plan.batches:
            sys.exit(f"{door.requests} requests for {plan.batches} batches")
        return {"cpu": used, "batches": plan.batches, "changes": changes() - before}


def _dispatcher(door: Door, recorder: Recorder[Entry]) -> Dispatcher:
    return Dispatcher(
        SmartSenderV2(door, LIST),
        recorder,
        Pressure(CONNECTIONS),
        Circuit(max_outage=60, observe=ignore),
        Rules(Mode.UPSERT, Consent.SOURCE),
        StopSwitch(),
        ignore,
        _restored,
        _in_thread,
        time.time,
        concurrency=CONNECTIONS,
    )


@contextlib.contextmanager
def _recorder(folder: Path | None) -> Iterator[tuple[Recorder[Entry], Callable[[], int]]]:
    """The engine's recorder, and what tells how many rows of the database were changed. Without a folder: neither."""
    if folder is None:
        yield Recorder(lambda _: None, _at_once), lambda: 0
        return
    with contextlib.closing(open_ledger(folder)) as ledger:
        journal = Journal(ledger)
        journal.begin("run", "job", LIST, {}, datetime.now(UTC))

        def record(entries: Sequence[Entry]) -> None:
            journal.record("run", [one for one in entries if isinstance(one, Progress)])

        yield Recorder(record, _in_thread), lambda: ledger.total_changes


async def _in_thread(work: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(work)


async def _at_once(work: Callable[[], None]) -> None:
    work()


async def _restored(name: str) -> bool:
    raise AssertionError(f"this server lacks no variable, not {name} either")


def sender(data: Path, plan: Path, *, journal: bool) -> Cost:
    """A process that sends `plan`."""
    ledger = data / "journal-state"
    shutil.rmtree(ledger, ignore_errors=True)
    with loopback.running() as service:
        recorded: list[str | Path] = ["--ledger", ledger] if journal else []
        cost = measure([sys.executable, __file__, "--plan", plan, "--url", service.url, *recorded])
    shutil.rmtree(ledger, ignore_errors=True)
    return cost


def frozen_plan(data: Path, rows: int) -> Path:
    """A first load of so many contacts, planned and kept."""
    engine, plan = Engine(data / "engine-journal"), data / "journal-plan"
    for folder in (engine.folder, plan):
        shutil.rmtree(folder, ignore_errors=True)
    engine.configure("http://127.0.0.1:9")
    engine.read(contact_files(data, rows, "base")["base"])
    engine.run("plan", "--out", str(plan.absolute()))
    shutil.rmtree(engine.folder)
    return plan


def main() -> None:
    parser = arguments(__doc__, rows=[200_000], rounds=5)
    parser.add_argument("--plan", type=Path, help="only send this plan, to --url, recorded in --ledger")
    parser.add_argument("--url", default="")
    parser.add_argument("--ledger", type=Path)
    given = parser.parse_args()
    if given.plan:
        quick = {"use_uvloop": importlib.util.find_spec("uvloop") is not None}  # as the engine does
        print(json.dumps(anyio.run(send, given.plan, given.url, given.ledger, backend_options=quick)))
        return
    plan = frozen_plan(given.data, given.rows)
    runs = in_turns(given.rounds, *(partial(sender, given.data, plan, journal=journal) for journal in (True, False)))
    shutil.rmtree(plan)
    told = [[json.loads(cost.output) for cost in costs] for costs in runs]
    with_it, without = (median(one["cpu"] / one["batches"] for one in costs) * 1e6 for costs in told)
    changes = told[0][0]["changes"] / told[0][0]["batches"]
    share = 1 - without / with_it
    conclude(
        "journal_share",
        f"{share:.0%} ({with_it - without:.0f} of {with_it:.0f} µs CPU a batch; {changes:.1f} rows of the database)",
        {
            "share": round(share, 3),
            "cpu_us_a_batch": {"with_journal": round(with_it, 1), "without": round(without, 1)},
            "rows_changed_a_batch": round(changes, 2),
            "batches": told[0][0]["batches"],
        },
        met=share <= SHARE and changes <= 2.1,
        keep=given.keep,
        note=given.note,
        size=f"{given.rows:,} contacts",
    )


if __name__ == "__main__":
    main()
