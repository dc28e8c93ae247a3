"""Whole lives of the engine in virtual time: `python benchmarks/simulate.py --seeds 100000 --save`.

Each seed is a job, a service and a network of its own; exports come, runs are made, processes are killed, and judges
watch (`syncengine/simulation`). Ends with 1 if a promise was broken, naming the seeds. `--seed N` tells the story of
one. `--crashes` lets the six reference runs die at each of their crash points first. `--save` adds the figures, as they
grow, to `benchmarks/results/simulate.json` (or to the file named): a long set may be run in pieces, by several commits.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import measuring

from syncengine.simulation import Verdict, simulate
from syncengine.simulation.crashes import crash_everywhere
from syncengine.simulation.reference import REFERENCES

RESULTS = Path(__file__).parent / "results" / "simulate.json"
PACKAGES = ("polars", "anyio", "httpx", "aiolimiter", "starlette")


def one(seed: int) -> tuple[int, tuple[str, ...], dict[str, float]]:
    """What became of a seed: its number, the promises it broke, and what it was made of."""
    try:
        verdict = simulate(seed)
    except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to this seed, and is told with it
        return seed, (f"{type(error).__name__}: {error}",), {}
    tally = verdict.tally
    return (
        seed,
        verdict.broken,
        {
            "processes": tally.processes,
            "kills": tally.kills,
            "contacts_sent_again_after_kills": tally.resent,
            "requests": tally.requests,
            "requests_disturbed": tally.disturbed,
            "contacts_confirmed": tally.confirmed,
            "virtual_seconds": tally.seconds,
        },
    )


def story(seed: int) -> int:
    """Print everything that happens in one seed."""
    verdict = simulate(seed, keep_trace=True)
    print(*verdict.lines, sep="\n")
    print(f"\n{verdict.setting}\ntrace {verdict.trace}\n{_outcome(verdict)}")
    return 0 if verdict.kept else 1


def _outcome(verdict: Verdict) -> str:
    return "every promise kept" if verdict.kept else "BROKEN: " + "\n        ".join(verdict.broken)


def crash_points() -> tuple[dict[str, object], list[str]]:
    """The six reference runs, each dead at each of its crash points; figures, and what was broken."""
    figures: dict[str, object] = {}
    broken: list[str] = []
    for reference in REFERENCES:
        crashes = crash_everywhere(reference)
        broken += crashes.broken
        figures[reference.name] = {
            "crash_points": crashes.points.total(),
            "worlds": crashes.worlds,
            "worlds_with_a_file_half_written": crashes.half_written,
            "recoveries": crashes.recoveries,
        }
        print(f"{reference.name}: {figures[reference.name]}", flush=True)
    return figures, broken


class Campaign:
    """Seeds, run until they are through or the time is up."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.began = time.monotonic()
        self.earlier = kept(arguments.save) if arguments.save else []
        self.commit = measuring.commit()
        self.total: Counter[str] = Counter()
        self.done = 0
        self.crashes: dict[str, object] = {}
        self.broken: list[str] = []
        self.seeds_broken = 0

    def run(self) -> None:
        asked = self.arguments
        if asked.crashes:
            self.crashes, self.broken = crash_points()
        os.environ.setdefault("POLARS_MAX_THREADS", "1")  # of each worker: more cost a tenth more CPU
        with multiprocessing.get_context("spawn").Pool(asked.workers, maxtasksperchild=2_000) as pool:
            for seed, words, figures in pool.imap(one, range(asked.first, asked.first + asked.seeds), 10):
                self.done += 1
                self.total.update(figures)
                if words:
                    self.seeds_broken += 1
                    self.broken.append(f"seed {seed}: {'; '.join(words)}")
                    print(self.broken[-1], flush=True)
                if self.done % 200 == 0:
                    print(f"{self.done:,} seeds, {self.seeds_broken} broken", flush=True)
                    self.keep()
                if time.monotonic() - self.began > asked.minutes * 60:
                    pool.terminate()
                    break
        self.keep()

    def figures(self) -> dict[str, object]:
        first = self.arguments.first
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "commit": self.commit,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "packages": {name: version(name) for name in PACKAGES},
            "seeds": self.done,
            "first_seed": first,
            "seeds_that_broke_a_promise": self.seeds_broken,
            **{name: round(value) for name, value in self.total.items()},
            "crash_points": self.crashes,
            "wall_seconds": round(time.monotonic() - self.began),
            "workers": self.arguments.workers,
            "command": f"python benchmarks/simulate.py --first {first} --seeds {self.done}"
            + " --crashes" * bool(self.crashes),
            "broken": self.broken,
        }

    def keep(self) -> None:
        if self.arguments.save:
            runs = [*self.earlier, self.figures()]
            content = {"seeds_in_all": different_seeds(runs), "runs": runs}
            self.arguments.save.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def kept(path: Path) -> list[dict[str, Any]]:
    """The runs a file has so far."""
    return json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []


def different_seeds(runs: list[dict[str, Any]]) -> int:
    """How many seeds were lived by at least one run."""
    return len(set().union(*(range(run["first_seed"], run["first_seed"] + run["seeds"]) for run in runs)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--crashes", action="store_true")
    parser.add_argument("--save", nargs="?", type=Path, const=RESULTS, metavar="FILE")
    asked = parser.parse_args()
    if asked.seed is not None:
        return story(asked.seed)
    campaign = Campaign(asked)
    campaign.run()
    print(json.dumps(campaign.figures(), indent=1))
    return 1 if campaign.broken else 0


if __name__ == "__main__":
    sys.exit(main())
