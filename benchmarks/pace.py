"""Rate-limited runs, counted at the server: how much of the rate is used, and whether any second sees more than it.

    python benchmarks/pace.py

The server takes 100 ms for each answer, and comes before everybody else on the machine where it may, so that it sees
requests when they come. What is used counts from the first request with contacts. A run has as many contacts as go into
`--seconds` at its rate, and 16 requests in flight, or as many as the rate needs at that latency.
"""

import math
import shutil

import loopback
from engine import Engine, contact_files, report
from measuring import arguments
from targets import conclude

USED = 0.98
LATENCY = 0.1


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[1, 5, 50, 500])
    parser.add_argument("--seconds", type=int, default=30)
    given = parser.parse_args()
    runs: dict[str, dict[str, float]] = {}
    for rate in given.rates:
        rows = int(rate * given.seconds) * 100
        engine = Engine(given.data / "engine-pace")
        shutil.rmtree(engine.folder, ignore_errors=True)
        with loopback.running(LATENCY, prompt=True) as service:
            engine.configure(service.url, rate=rate, concurrency=max(16, math.ceil(rate * LATENCY * 2)))
            cost = engine.sync(contact_files(given.data, rows, "base")["base"])
            told = service.told()
        used = told["rate"] / rate
        runs[f"{rate:g}/s"] = {
            "used": round(used, 4),
            "busiest_second": told["busiest_second"],
            "requests": told["requests"],
            "confirmed": report(cost)["confirmed"]["add"],
            "contacts": rows,
        }
        print(f"  {rate:g}/s: {runs[f'{rate:g}/s']}", flush=True)
        shutil.rmtree(engine.folder)
    told_runs = " · ".join(f"{name}: {run['used']:.1%}" for name, run in runs.items())
    over = {name: run["busiest_second"] for name, run in runs.items() if run["busiest_second"] > float(name[:-2])}
    too_many = ", ".join(f"{count:.0f} at {name}" for name, count in over.items())
    conclude(
        "pace",
        f"{told_runs}; {f'more in a second: {too_many}' if over else 'never above it in any second'}",
        {"runs": runs},
        met=not over and all(run["used"] >= USED and run["confirmed"] == run["contacts"] for run in runs.values()),
        keep=given.keep,
        note=given.note,
    )


if __name__ == "__main__":
    main()
