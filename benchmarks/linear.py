"""What a row of a sync without a change costs, from small files to large ones: linear, or more?

    python benchmarks/linear.py --rows 1000000 3000000 10000000 30000000

Processor time, less that of starting up (a sync of 1,000 rows): a row must cost no more in the largest file than in
the smallest.
"""

from measuring import Cost, arguments, in_turns, typical
from targets import conclude
from unchanging import Unchanging

ABOVE = 0.10
FEW = 1_000  #: rows whose sync is nothing but starting up


def main() -> None:
    given = arguments(__doc__, rows=[200_000, 2_000_000], rounds=3).parse_args()
    sizes = sorted(given.rows)
    costs: dict[int, Cost] = {}
    for rows in (FEW, *sizes):
        unchanging = Unchanging(given.data, rows)
        unchanging.sync()
        costs[rows] = typical(in_turns(given.rounds, unchanging.sync)[0])
    each = {rows: (costs[rows].cpu - costs[FEW].cpu) / rows * 1e6 for rows in sizes}
    above = each[sizes[-1]] / each[sizes[0]] - 1
    told = " · ".join(f"{rows / 1e6:g} M: {each[rows]:.2f}" for rows in sizes)
    conclude(
        "linear",
        f"{above:+.0%} (CPU µs a row at {told})",
        {
            "above_linear": round(above, 3),
            "cpu_us_a_row": {str(rows): round(value, 3) for rows, value in each.items()},
            "runs": {str(rows): cost.told() for rows, cost in costs.items()},
        },
        met=above <= ABOVE,
        keep=given.keep,
        note=given.note,
    )


if __name__ == "__main__":
    main()
