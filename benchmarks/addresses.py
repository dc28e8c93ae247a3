"""What judging the addresses takes of a run.

    python benchmarks/addresses.py --rows 1000000

A file of plain addresses, 12 columns. Measured in turns: the address stage alone, over the very chunks the source
gives; `plan` of the file on an empty state, the cheapest run that looks at every address; and the first load into a
server that answers at once, so that the service's time is not counted.
"""

import json
import shutil
import statistics
import sys
import time
from pathlib import Path

import loopback
import polars as pl
from contact_files import frame, numbers, pieces, write
from engine import Engine, report
from measuring import Cost, arguments, cpu, in_turns, ratio, typical, wall
from targets import conclude

from syncengine.normalise.addresses import examine_addresses
from syncengine.sources import SourceOptions, open_source

MOST = 0.05


def plain_file(data: Path, rows: int) -> Path:
    """`contact_files` with every address as people write it: no capitals, no blanks."""
    path = data / f"plain-{rows}.csv"
    if not path.exists():
        data.mkdir(parents=True, exist_ok=True)
        plain = pl.col("Email").str.strip_chars().str.to_lowercase()
        write(path, (frame(numbers(low, high)).with_columns(plain) for low, high in pieces(rows)))
    return path


def address_stage(path: Path, rows: int) -> Cost:
    """The stage alone; the chunks are in memory before the clock starts."""
    cells = [chunk.rows["Email"] for chunk in open_source(SourceOptions(str(path))).chunks()]
    began, before = time.perf_counter(), time.process_time()
    passed = sum(examine_addresses(part)["code"].null_count() for part in cells)
    took = Cost(time.perf_counter() - began, time.process_time() - before, 0, 0)
    if passed != rows:
        sys.exit(f"{passed:,} of {rows:,} addresses passed")
    return took


def from_nothing(engine: Engine, *words: str) -> Cost:
    shutil.rmtree(engine.folder / ".syncengine", ignore_errors=True)
    cost = engine.run(*words)
    told = report(cost)
    if told["held"] or told["planned"]["add"] != told["rows"]:
        sys.exit(f"not a first load of plain addresses: {json.dumps(told)}")
    return cost


def main() -> None:
    given = arguments(__doc__, rows=[1_000_000], rounds=3).parse_args()
    path = plain_file(given.data, given.rows)
    engine = Engine(given.data / "engine-addresses")
    with loopback.running() as service:
        engine.configure(service.url)
        engine.read(path)
        stage, plan, sync = in_turns(
            given.rounds,
            lambda: address_stage(path, given.rows),
            lambda: from_nothing(engine, "plan", "--json"),
            lambda: from_nothing(engine, "sync", "--yes", "--json"),
        )
    shutil.rmtree(engine.folder)
    by_wall, by_cpu = (
        {name: round(ratio(stage, whole, of), 4) for name, whole in (("plan", plan), ("sync", sync))}
        for of in (wall, cpu)
    )
    seconds = statistics.median(cost.cpu for cost in stage)
    shares = [
        f"{max(by_wall[name], by_cpu[name]):.1%} of a {what}"
        for name, what in (("plan", "plan"), ("sync", "first load"))
    ]
    conclude(
        "addresses",
        f"{', '.join(shares)}, by wall clock or by CPU, whichever is more ({seconds:.2f} CPU s)",
        {
            "rounds": given.rounds,
            "share_of_wall": by_wall,
            "share_of_cpu": by_cpu,
            "address_stage": typical(stage).told(),
            "plan": typical(plan).told(),
            "sync": typical(sync).told(),
        },
        met=max(*by_wall.values(), *by_cpu.values()) <= MOST,
        keep=given.keep,
        note=given.note,
        size=f"{given.rows:,} rows",
    )


if __name__ == "__main__":
    main()
