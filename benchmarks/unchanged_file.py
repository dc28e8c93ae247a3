"""A nightly sync of a file that did not change by a byte, beside a program that only hashes the file.

python benchmarks/unchanged_file.py --rows 10000000
"""

import sys

from engine import Engine, contact_files, loaded, report
from measuring import HERE, arguments, cpu, in_turns, measure, ratio, typical, wall
from targets import conclude

LIMIT = 2.0


def main() -> None:
    given = arguments(__doc__, rows=[1_000_000], rounds=5).parse_args()
    base = contact_files(given.data, given.rows, "base")["base"]
    engine = Engine(given.data / f"engine-{given.rows}")
    loaded(engine, base)
    engine.sync(base)
    ours, theirs = in_turns(
        given.rounds, engine.sync, lambda: measure([sys.executable, HERE / "reference.py", "hash", base])
    )
    told = report(ours[-1])
    if told["requests"] or told["same"] + told["held"] != given.rows:
        sys.exit(f"this was no run without a change: {told}")
    walls, cpus = ratio(ours, theirs, wall), ratio(ours, theirs, cpu)
    seconds = typical(ours).wall - typical(theirs).wall
    conclude(
        "unchanged_file",
        f"{walls:.1f} × ({typical(ours).wall:.2f} s, {seconds:.2f} s more than hashing alone)",
        {
            "rows": given.rows,
            "file_mb": round(base.stat().st_size / 1e6),
            "ratio_wall": round(walls, 2),
            "ratio_cpu": round(cpus, 2),
            "engine": typical(ours).told(),
            "hash": typical(theirs).told(),
        },
        met=walls <= LIMIT,
        keep=given.keep,
        note=given.note,
        size=f"{given.rows:,} rows, {base.stat().st_size / 1e9:.1f} GB",
    )


if __name__ == "__main__":
    main()
