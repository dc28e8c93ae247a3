"""Sending over 64 connections to a server that takes 100 ms for each answer, beside one stock httpx client.

    python benchmarks/sending.py --rows 1000000

Counted at the server, from the first request to the last: requests a second as a share of connections ÷ latency. The
engine begins with two requests in flight and finds out how many the service bears; that time counts too.
"""

import shutil
import sys

import loopback
from engine import Engine, contact_files, report
from measuring import HERE, arguments, measure
from targets import conclude

SHARE = 0.90
CONNECTIONS = 64
LATENCY = 0.1
IDEAL = CONNECTIONS / LATENCY  #: requests a second


def main() -> None:
    parser = arguments(__doc__, rows=[500_000])
    parser.add_argument("--peer-rows", type=int, default=50_000)
    given = parser.parse_args()
    engine = Engine(given.data / "engine-sending")
    shutil.rmtree(engine.folder, ignore_errors=True)
    with loopback.running(LATENCY) as service:
        engine.configure(service.url, concurrency=CONNECTIONS)
        cost = engine.sync(contact_files(given.data, given.rows, "base")["base"])
        told = service.told()
    if report(cost)["confirmed"]["add"] != given.rows:
        sys.exit(f"the load did not end well: {report(cost)}")
    shutil.rmtree(engine.folder)
    with loopback.running(LATENCY) as service:
        peer = contact_files(given.data, given.peer_rows, "base")["base"]
        theirs = measure([sys.executable, HERE / "peers" / "httpx_script.py", peer, service.url, str(CONNECTIONS)])
        told_by_peer = service.told()
    rate, peer_rate = told["requests"] / told["seconds"], told_by_peer["requests"] / told_by_peer["seconds"]
    conclude(
        "sending",
        f"{rate / IDEAL:.0%} ({rate:.0f} of {IDEAL:.0f} requests/s; one stock httpx client: {peer_rate / IDEAL:.0%})",
        {
            "share": round(rate / IDEAL, 3),
            "requests": told["requests"],
            "connections": told["connections"],
            "server_cpu_s": round(told["cpu"], 2),
            "engine": cost.told(),
            "stock_httpx_share": round(peer_rate / IDEAL, 3),
            "stock_httpx": theirs.told(),
        },
        met=rate / IDEAL >= SHARE,
        keep=given.keep,
        note=given.note,
        size=f"{told['requests']:,.0f} requests",
    )


if __name__ == "__main__":
    main()
