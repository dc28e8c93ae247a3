"""A sync without a change of a file whose rows stand in another order, beside polars reading the same file alone.

    python benchmarks/no_change.py --rows 10000000

What polars does alone stands in `reference.py`.
"""

import sys

from measuring import HERE, arguments, cpu, in_turns, measure, ratio, typical, wall
from targets import conclude
from unchanging import Unchanging

LIMIT = 0.5


def main() -> None:
    given = arguments(__doc__, rows=[1_000_000], rounds=3).parse_args()
    unchanging = Unchanging(given.data, given.rows)
    unchanging.sync()
    scan = [sys.executable, str(HERE / "reference.py"), "scan", str(unchanging.files["rewritten"])]
    ours, theirs = in_turns(given.rounds, unchanging.sync, lambda: measure(scan))
    walls, cpus = ratio(ours, theirs, wall), ratio(ours, theirs, cpu)
    us = typical(ours)
    conclude(
        "no_change",
        f"{walls:.2f} × ({us.wall:.1f} s, CPU {us.cpu:.1f} s: {cpus:.2f} ×)",
        {
            "rows": given.rows,
            "ratio_wall": round(walls, 3),
            "ratio_cpu": round(cpus, 3),
            "engine": us.told(),
            "polars_alone": typical(theirs).told(),
        },
        met=max(walls, cpus) <= LIMIT,
        keep=given.keep,
        note=given.note,
        size=f"{given.rows:,} rows",
    )


if __name__ == "__main__":
    main()
