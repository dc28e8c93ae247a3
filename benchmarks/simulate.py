"""Whole lives of the engine in virtual time: `python benchmarks/simulate.py --seeds 100000 --save`.

Each seed is a job, a service and a network of its own; exports come, runs are made, processes are killed, and judges
watch (`syncengine/simulation`). Ends with 1 if a promise was broken, naming the seeds. `--seed N` tells the story of
one.
`--save` keeps the figures in `benchmarks/results/simulation.json`.
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

from syncengine.simulation import Verdict, simulate

RESULTS = Path(__file__).parent / "results" / "simulation.json"
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
            "requests_disturbed": sum(count for fate, count in tally.fates.items() if fate != "well"),
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


def campaign(first: int, seeds: int, workers: int, minutes: float) -> tuple[dict[str, object], list[str]]:
    """Run seeds until they are through or the time is up; gives the figures, and what was broken."""
    began = time.monotonic()
    total: Counter[str] = Counter()
    broken: list[str] = []
    done = 0
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=2_000) as pool:
        for seed, words, counts in pool.imap_unordered(one, range(first, first + seeds), chunksize=20):
            done += 1
            total.update(counts)
            if words:
                broken.append(f"seed {seed}: {'; '.join(words)}")
                print(broken[-1], flush=True)
            if done % 1_000 == 0:
                print(f"{done:,} seeds, {len(broken)} broken", flush=True)
            if time.monotonic() - began > minutes * 60:
                pool.terminate()
                break
    figures = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "seeds": done,
        "first_seed": first,
        "seeds_that_broke_a_promise": len(broken),
        **{name: round(value) for name, value in total.items()},
        "wall_seconds": round(time.monotonic() - began),
        "command": f"python benchmarks/simulate.py --first {first} --seeds {done}",
    }
    return figures, broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--save", action="store_true")
    asked = parser.parse_args()
    if asked.seed is not None:
        return story(asked.seed)
    figures, broken = campaign(asked.first, asked.seeds, asked.workers, asked.minutes)
    print(json.dumps(figures, indent=1))
    if asked.save:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({**figures, "broken": broken}, indent=1) + "\n", encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
