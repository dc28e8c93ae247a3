"""How long it takes until there is an answer: `--help`, `status`, and a sync of 1,000 rows without a change.

python benchmarks/startup.py
"""

import subprocess
import sys
from pathlib import Path

from measuring import arguments, in_turns, typical
from targets import conclude
from unchanging import Unchanging

QUICK = 0.3  #: seconds
SMALL_SYNC = 1.5
HEAVY = {"polars", "httpx"}


def imported(engine_folder: Path, *words: str) -> set[str]:
    """The heavy packages a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "syncengine", *words]
    done = subprocess.run(command, cwd=engine_folder, capture_output=True, text=True, check=True)
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    return names & HEAVY


def main() -> None:
    given = arguments(__doc__, rounds=15).parse_args()
    unchanging = Unchanging(given.data, 1_000)
    engine = unchanging.engine
    helped, status, synced = in_turns(
        given.rounds, lambda: engine.run("--help"), lambda: engine.run("status"), unchanging.sync
    )
    heavy = {words: sorted(imported(engine.folder, words)) for words in ("--help", "status")}
    costs = {"--help": typical(helped), "status": typical(status), "sync of 1,000 rows": typical(synced)}
    walls = [cost.wall for cost in costs.values()]
    loads = "none of the two imported" if not any(heavy.values()) else f"imported: {heavy}"
    conclude(
        "startup",
        f"{walls[0]:.2f} s, {walls[1]:.2f} s, {loads}; 1,000 rows: {walls[2]:.2f} s",
        {"costs": {name: cost.told() for name, cost in costs.items()}, "imported": heavy},
        met=walls[0] <= QUICK and walls[1] <= QUICK and walls[2] <= SMALL_SYNC and not any(heavy.values()),
        keep=given.keep,
        note=given.note,
    )


if __name__ == "__main__":
    main()
