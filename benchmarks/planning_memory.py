"""The most private memory while planning, at two sizes: a first load, a file without a change, a delta of 1 %.

    python benchmarks/planning_memory.py --rows 10000000 30000000

Private is what is anonymous; pages of mapped files, which the system can drop at any time, are not counted.
"""

import shutil
import sys
from pathlib import Path

from engine import Engine, contact_files, loaded
from measuring import Cost, arguments
from targets import conclude

MOST = 600.0  #: MB
GROWTH = 1.1


def plans(data: Path, rows: int) -> dict[str, Cost]:
    """Of each kind of plan what it costs."""
    files = contact_files(data, rows, "base", "rewritten", "delta")
    known = Engine(data / f"engine-{rows}")
    loaded(known, files["base"])
    empty = Engine(data / "engine-empty")
    shutil.rmtree(empty.folder, ignore_errors=True)
    empty.configure("http://127.0.0.1:9")
    costs = {}
    for name, engine, file in (
        ("first load", empty, "base"),
        ("no change", known, "rewritten"),
        ("delta", known, "delta"),
    ):
        engine.read(files[file])
        costs[name] = engine.run("plan", "--json")
        print(f"  {rows:,} rows, {name}: {costs[name]}", file=sys.stderr, flush=True)
    shutil.rmtree(empty.folder)
    return costs


def main() -> None:
    given = arguments(__doc__, rows=[500_000, 1_500_000]).parse_args()
    small, *_, large = sorted(given.rows)
    costs = {rows: plans(given.data, rows) for rows in (small, large)}
    most = {rows: max(cost.private for cost in kinds.values()) for rows, kinds in costs.items()}
    growth = most[large] / most[small]
    kinds = ", ".join(
        f"{kind} {costs[small][kind].private:.0f} and {costs[large][kind].private:.0f}" for kind in costs[small]
    )
    conclude(
        "planning_memory",
        f"MB at {small / 1e6:g} M and {large / 1e6:g} M rows: {kinds}",
        {
            "private_growth": round(growth, 3),
            "plans": {str(rows): {name: cost.told() for name, cost in each.items()} for rows, each in costs.items()},
        },
        met=most[small] <= MOST and growth <= GROWTH,
        keep=given.keep,
        note=given.note,
    )


if __name__ == "__main__":
    main()
