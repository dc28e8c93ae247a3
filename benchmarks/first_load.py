"""A first load onto an unlimited loopback server, beside a plain asyncio + httpx + json script.

    python benchmarks/first_load.py --rows 1000000

Everything counts: starting, reading, planning, freezing the plan, sending, the journal made durable, the commit to the
state. The script reads rows and sends them, and keeps nothing; it is in `peers/httpx_script.py`.
"""

import shutil
import sys
from pathlib import Path

import loopback
from engine import Engine, contact_files, report
from measuring import HERE, Cost, arguments, cpu, in_turns, measure, ratio, typical, wall
from targets import conclude

TIMES = 10.0
A_SECOND = 100_000


def first_load(folder: Path, base: Path, rows: int) -> Cost:
    """A first load of `base` into a new state in `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    engine = Engine(folder)
    with loopback.running() as service:
        engine.configure(service.url)
        cost = engine.sync(base)
        arrived = service.told()["contacts"]
    told = report(cost)
    if told["result"] != "ok" or told["held"] or not told["confirmed"]["add"] == arrived == rows:
        sys.exit(f"the first load did not end well: {arrived} arrived; {told}")
    shutil.rmtree(folder)
    return cost


def plain_script(base: Path, rows: int) -> Cost:
    with loopback.running() as service:
        cost = measure([sys.executable, HERE / "peers" / "httpx_script.py", base, service.url])
        arrived = service.told()["contacts"]
    if arrived != rows:
        sys.exit(f"the script sent {arrived} of {rows} contacts")
    return cost


def main() -> None:
    given = arguments(__doc__, rows=[200_000], rounds=3).parse_args()
    base = contact_files(given.data, given.rows, "base")["base"]
    folder = given.data / "engine-first"
    ours, theirs = in_turns(
        given.rounds, lambda: first_load(folder, base, given.rows), lambda: plain_script(base, given.rows)
    )
    walls, cpus = ratio(theirs, ours, wall), ratio(theirs, ours, cpu)
    us, them = typical(ours), typical(theirs)
    speed = given.rows / us.wall
    conclude(
        "first_load",
        f"{walls:.1f} × ({speed:,.0f} contacts/s; CPU {us.cpu / given.rows * 1e6:.1f} µs a contact, {cpus:.1f} × less)",
        {
            "rows": given.rows,
            "ratio_wall": round(walls, 2),
            "ratio_cpu": round(cpus, 2),
            "contacts_a_second": round(speed),
            "engine": us.told(),
            "script": them.told(),
        },
        met=walls >= TIMES and speed >= A_SECOND,
        keep=given.keep,
        note=given.note,
        size=f"{given.rows:,} contacts",
    )


if __name__ == "__main__":
    main()
