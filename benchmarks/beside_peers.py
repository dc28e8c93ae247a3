"""The engine beside what people use instead, on the same three nights.

    python benchmarks/beside_peers.py --rows 100000

First load, a second run of the same file, and a file in which 1 % of the rows changed, 1 % are new and 0.5 % are gone.
All post the same batches of 100 to the same loopback server; what each costs is counted for the whole process, and what
it sends is counted at the server. The peers are in `peers/`: a script with requests, a script with asyncio and httpx, a
dlt pipeline with a custom destination, a target of the Singer SDK (`pip install -e '.[bench]'` brings them).

None of the peers remembers what it sent, asks whether a contact was really taken, or survives a crash without sending
everything again. What the engine does besides is in its price.
"""

import json
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import loopback
from engine import Engine, contact_files, report
from measuring import HERE, Cost, arguments, keep, measure

NIGHTS = {"first load": "base", "unchanged": "base", "1 % delta": "delta"}
PEERS = {
    "requests, one after the other": ("requests_script", "requests"),
    "asyncio + httpx, 16 tasks": ("httpx_script", "httpx"),
    "dlt, custom destination": ("dlt_destination", "dlt"),
    "Singer SDK target": ("singer_target", "singer-sdk"),
}


def peer(script: str, folder: Path) -> Callable[[Path, str], Cost]:
    """A night of a peer: its script with a file and the server's address."""

    def night(file: Path, url: str) -> Cost:
        own = [folder] if script == "dlt_destination" else []
        return measure([sys.executable, HERE / "peers" / f"{script}.py", file.absolute(), url, *own], cwd=folder)

    return night


def ours(folder: Path) -> Callable[[Path, str], Cost]:
    def night(file: Path, url: str) -> Cost:
        engine = Engine(folder)
        engine.configure(url)
        cost = engine.sync(file)
        if report(cost)["result"] != "ok":
            sys.exit(f"the engine did not end well: {cost.output}")
        return cost

    return night


def nights(who: str, night: Callable[[Path, str], Cost], files: dict[str, Path], rows: int) -> dict[str, Any]:
    """The three nights of one of them, with what arrived at the server."""
    costs: dict[str, Any] = {}
    port = 0
    for name, file in NIGHTS.items():
        with loopback.running(port=port) as service:
            port = int(service.url.rpartition(":")[2])
            cost = night(files[file], service.url)
            arrived = service.told()
        each = cost.cpu / rows * 1e6
        costs[name] = cost.told() | {
            "requests": arrived["requests"],
            "contacts_sent": arrived["contacts"],
            "cpu_s_a_million_rows": round(each, 2),
        }
        print(f"{who:32}{name:12}{costs[name]}", flush=True)
    return costs


def main() -> None:
    given = arguments(__doc__, rows=[100_000]).parse_args()
    files = contact_files(given.data, given.rows, "base", "delta")
    work = given.data / "peers"
    shutil.rmtree(work, ignore_errors=True)
    whole: dict[str, Any] = {}
    ways = {"syncengine": ours(work / "engine")}
    for who, (script, _) in PEERS.items():
        (work / script).mkdir(parents=True)
        ways[who] = peer(script, work / script)
    for who, night in ways.items():
        whole[who] = nights(who, night, files, given.rows)
    shutil.rmtree(work)
    first = whole["syncengine"]["first load"]
    if not all(costs["first load"]["contacts_sent"] == first["contacts_sent"] for costs in whole.values()):
        sys.exit("they did not all send the same contacts")
    if given.keep:
        peers = {who: f"{package} {version(package)}" for who, (_, package) in PEERS.items()}
        print(keep("beside_peers", {"rows": given.rows, "note": given.note, "peers": peers, "nights": whole}))
    else:
        print(json.dumps(whole, indent=1))


if __name__ == "__main__":
    main()
