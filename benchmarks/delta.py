"""A sync in which 1 % of the rows changed, 1 % are new and 0.5 % are gone, beside one without a change.

    python benchmarks/delta.py --rows 10000000

The whole run counts: reading, planning, sending to a loopback server, the journal, and the commit to the state.
"""

import shutil
import sys

from engine import Engine, contact_files, report
from measuring import Cost, arguments, cpu, in_turns, ratio, typical, wall
from targets import conclude
from unchanging import Unchanging

LIMIT = 1.5


def main() -> None:
    given = arguments(__doc__, rows=[1_000_000], rounds=3).parse_args()
    unchanging = Unchanging(given.data, given.rows)
    delta = contact_files(given.data, given.rows, "delta")["delta"]
    unchanging.sync()
    second = given.data / "engine-delta"

    def changed() -> Cost:
        engine: Engine = unchanging.engine.copy(second)
        with engine.service():
            cost = engine.sync(delta)
        told = report(cost)
        if told["result"] != "ok" or told["planned"] != told["confirmed"] or not told["planned"]["update"]:
            sys.exit(f"the delta did not end well: {told}")
        return cost

    with_delta, without = in_turns(given.rounds, changed, unchanging.sync)
    told = report(with_delta[-1])
    shutil.rmtree(second)
    walls, cpus = ratio(with_delta, without, wall), ratio(with_delta, without, cpu)
    one = typical(with_delta)
    conclude(
        "delta",
        f"{walls:.2f} × ({one.wall:.1f} s, {sum(told['planned'].values()):,} contacts sent; CPU {cpus:.2f} ×)",
        {
            "rows": given.rows,
            "ratio_wall": round(walls, 3),
            "ratio_cpu": round(cpus, 3),
            "planned": told["planned"],
            "requests": told["requests"],
            "delta": one.told(),
            "no_change": typical(without).told(),
        },
        met=max(walls, cpus) <= LIMIT,
        keep=given.keep,
        note=given.note,
        size=f"{given.rows:,} rows",
    )


if __name__ == "__main__":
    main()
