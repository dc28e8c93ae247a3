"""kill -9 in earnest: at least so many processes killed at random places, and nothing lost, leaked or sent twice over.

    python benchmarks/kill.py                 1,000 kills, about an hour on two cores
    python benchmarks/kill.py --kills 50      a look

The figures of the last campaign are kept in results/kill.json.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from syncengine.testing.campaign import Trial, run_trial, sandbox_process, summed

KILLS_A_TRIAL = (3, 3)  # over the first file, and over the changed one
LANES = 10  #: after a kill the next run waits two minutes for late requests: two lanes would take three hours
KEPT = Path(__file__).parent / "results" / "kill.json"


class Campaign:
    """The trials of all lanes; their figures are kept as they grow, so that a campaign that is stopped has some."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.trials: list[Trial] = []
        self.began = time.monotonic()
        self.folder = Path(tempfile.mkdtemp(prefix="kill-"))
        self._lock = threading.Lock()

    @property
    def kills(self) -> int:
        return sum(trial.kills for trial in self.trials)

    def lane(self, number: int) -> None:
        """Trials one after the other until enough were killed, with a sandbox of their own."""
        with sandbox_process() as sandbox:
            for seed in itertools.count(self.arguments.seed + number, self.arguments.lanes):
                if self.kills >= self.arguments.kills:
                    return
                place = self.folder / str(seed)
                trial = run_trial(sandbox, place, seed, kills=KILLS_A_TRIAL)
                if trial.faults:
                    print(f"seed {seed}: {trial.faults}  kept in {place}", flush=True)
                else:
                    shutil.rmtree(place)
                sandbox.ask("reset", {})
                with self._lock:
                    self.trials.append(trial)
                    self.keep()
                print(f"{self.kills} kills", flush=True)

    def figures(self) -> dict[str, object]:
        command = "python benchmarks/kill.py --kills {kills} --lanes {lanes} --seed {seed}"
        return summed(self.trials) | {
            "minutes": round((time.monotonic() - self.began) / 60, 1),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command.format(**vars(self.arguments)),
        }

    def keep(self) -> None:
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(self.figures(), indent=1) + "\n", encoding="utf-8")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=1_000)
    arguments.add_argument("--lanes", type=int, default=LANES)
    arguments.add_argument("--seed", type=int, default=1)
    campaign = Campaign(arguments.parse_args())
    with ThreadPoolExecutor(campaign.arguments.lanes) as pool:
        list(pool.map(campaign.lane, range(campaign.arguments.lanes)))
    print(json.dumps(campaign.figures(), indent=1))
    sys.exit(1 if campaign.figures()["faults"] else 0)


if __name__ == "__main__":
    main()
