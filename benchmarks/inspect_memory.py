"""The most private memory of `inspect`, at two sizes of the same file: it must not grow with the file.

python benchmarks/inspect_memory.py --rows 1000000 5000000
"""

import sys
from pathlib import Path

from engine import contact_files
from measuring import Cost, arguments, measure
from targets import conclude

MOST = 600.0  #: MB
GROWTH = 1.25


def inspected(data: Path, rows: int) -> Cost:
    file = contact_files(data, rows, "base")["base"]
    cost = measure([sys.executable, "-m", "syncengine", "inspect", file.name, "--json"], cwd=file.parent.absolute())
    if f'"rows": {rows},' not in cost.output:
        sys.exit(f"{rows:,} rows are not those it told: {cost.output[:300]}")
    print(f"  {rows:,} rows: {cost}", file=sys.stderr, flush=True)
    return cost


def main() -> None:
    given = arguments(__doc__, rows=[1_000_000, 5_000_000]).parse_args()
    small, *_, large = sorted(given.rows)
    costs = {rows: inspected(given.data, rows) for rows in (small, large)}
    growth = costs[large].private / costs[small].private
    conclude(
        "inspect_memory",
        f"{costs[large].private:.0f} MB at {large:,} rows, {growth:.2f} × that at {small:,}",
        {"private_growth": round(growth, 3), "sizes": {str(rows): cost.told() for rows, cost in costs.items()}},
        met=costs[large].private <= MOST and growth <= GROWTH,
        keep=given.keep,
        note=given.note,
    )


if __name__ == "__main__":
    main()
