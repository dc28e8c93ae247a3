"""Memory of dispatch: what a process needs that only sends a frozen plan, above an interpreter with the same libraries.

    python benchmarks/memory.py --rows 100000 1000000

A first process plans, sends one request and stops; the second one goes on with the plan, and is what is looked at, from
its first request to its last (the commit to the state that follows is told apart). The slope is that of its own memory
over the second half of the contacts: a leak of a few bytes a contact is a line that rises.
"""

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import loopback
from engine import Engine, contact_files
from measuring import _memory, arguments, environment, measure
from targets import conclude

MOST = 512 * 1.048576  #: MB above the interpreter's base
SLOPE = 1.0  #: MB more for 100,000 contacts more, at most: 10 M rows would then cost 100 MB
BASE = (
    "import syncengine.bootstrap.running, polars, httpx, time; "
    "polars.DataFrame({'a': [1]}).lazy().collect(); time.sleep(0.2)"
)


@dataclass(frozen=True, slots=True)
class Sending:
    """What a process that sends needed, in MB: most while it sent, most at all, and more for each 100,000 contacts."""

    sending: float
    peak: float
    slope: float
    looks: int


def base_memory() -> float:
    """An interpreter with the libraries loaded, in MB."""
    return statistics.median(measure([sys.executable, "-c", BASE]).resident for _ in range(3))


def watched(engine: Engine, service: loopback.Loopback, rows: int) -> Sending:
    """The second process, looked at until it ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "syncengine", "sync", "--yes", "--json"],
        cwd=engine.folder, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    looks: list[tuple[float, float]] = []
    peak = sending = 0.0
    began = service.told()["contacts"]
    while process.poll() is None:
        resident, private = _memory(process.pid)
        contacts = service.told()["contacts"]
        peak = max(peak, resident)
        if private and began < contacts < rows:
            looks.append((contacts, private))
            sending = resident
        time.sleep(0.02)
    out, _ = process.communicate()
    (run,) = json.loads(out)["runs"]
    if process.returncode or run["pending"] or run["confirmed"]["add"] != rows:
        sys.exit(f"the run did not end well: {run}")
    return Sending(sending, peak, slope([look for look in looks if look[0] > rows / 2]) * 100_000, len(looks))


def slope(looks: Sequence[tuple[float, float]]) -> float:
    """MB a contact, by least squares; 0 where there is too little to tell."""
    if len(looks) < 5:
        return 0.0
    return statistics.linear_regression(*zip(*looks, strict=True)).slope


def dispatched(data: Path, rows: int) -> Sending:
    folder = data / "engine-memory"
    shutil.rmtree(folder, ignore_errors=True)
    engine = Engine(folder)
    with loopback.running() as service:
        engine.configure(service.url)
        engine.read(contact_files(data, rows, "base")["base"])
        measure(
            [sys.executable, "-m", "syncengine", "sync", "--yes", "--max-requests", "3"], cwd=engine.folder, codes=(7,)
        )
        sending = watched(engine, service, rows)
    shutil.rmtree(folder)
    return sending


def main() -> None:
    given = arguments(__doc__, rows=[100_000, 1_000_000]).parse_args()
    base = base_memory()
    seen = {}
    for rows in given.rows:
        seen[rows] = dispatched(given.data, rows)
        print(f"  {rows:,} rows: {seen[rows]}, base {base:.0f} MB", file=sys.stderr, flush=True)
    largest = seen[max(given.rows)]
    above = max(one.peak for one in seen.values()) - base
    conclude(
        "memory",
        f"{largest.sending - base:.0f} MB above the base while sending {max(given.rows):,} contacts, {above:.0f} MB "
        f"with the commit; {largest.slope:+.2f} MB for each 100,000 more",
        {
            "base_mb": round(base, 1),
            **{
                f"rows_{rows}": {
                    "sending_above_base_mb": round(one.sending - base, 1),
                    "peak_above_base_mb": round(one.peak - base, 1),
                    "mb_for_100000_contacts_more": round(one.slope, 3),
                    "looks": one.looks,
                }
                for rows, one in seen.items()
            },
        },
        met=above <= MOST and largest.slope <= SLOPE,
        keep=given.keep,
        note=given.note,
        size=" and ".join(f"{rows:,}" for rows in given.rows) + " rows",
    )


if __name__ == "__main__":
    main()
