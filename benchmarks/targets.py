"""What must be reached, row by row: the script that measures a row is called as the row is here."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import measuring


@dataclass(frozen=True, slots=True)
class Target:
    """A row of the table: the work, and what is wanted of it in words."""

    work: str
    wanted: str


TARGETS = {
    "unchanged_file": Target("nightly sync, file byte-identical", "≤ 2 × the time to hash the file"),
    "no_change": Target(
        "sync without a change, CSV of 12 columns, file rewritten",
        "≤ 0.5 × polars parsing, normalising and hashing the same file alone",
    ),
    "planning_memory": Target("memory of planning", "private peak ≤ 600 MB at 10 M rows, ≤ 1.1 × that at 30 M"),
    "memory": Target("memory of dispatch", "≤ 512 MiB above the interpreter's base, ≤ 1 MB for 100,000 contacts more"),
    "linear": Target("cost of a sync without a change, 1 M to 30 M rows", "≤ 10 % above linear"),
    "delta": Target("sync of a 1 % delta, commit included", "≤ 1.5 × the sync without a change"),
    "bodies": Target("request bodies", "≥ 3 × the contacts/s of dict + orjson on the same rows"),
    "sending": Target("sending, 64 connections, 100 ms latency", "≥ 90 % of connections ÷ latency"),
    "first_load": Target(
        "first load, unlimited loopback server, journal durable",
        "≥ 10 × a plain asyncio + httpx + json script, ≥ 100,000 contacts/s on two cores",
    ),
    "pace": Target("rate-limited run, counted at the server", "≥ 98 % of the rate used, never above it in any second"),
    "journal_share": Target("journal", "≤ 15 % of the CPU of a batch on the fast path"),
    "prescan": Target("strict pre-scan of a CSV file", "≤ 0.5 × polars reading the same file"),
    "addresses": Target("judging addresses, all of them plain", "≤ 5 % of a run's wall time"),
    "inspect_memory": Target("memory of `inspect`", "private peak ≤ 600 MB at 5 M rows, ≤ 1.25 × that at 1 M"),
    "startup": Target("`--help`, `status`", "≤ 0.3 s, polars and httpx not imported; 1,000 rows unchanged: ≤ 1.5 s"),
}


def conclude(
    name: str, reached: str, figures: Mapping[str, Any], *, met: bool, keep: bool, note: str = "", size: str = ""
) -> None:
    """Print what was reached beside what is wanted, keep it if asked to, and end with 1 where it is not met."""
    target = TARGETS[name]
    print(f"{target.work}{f' ({size})' if size else ''}\n  wanted   {target.wanted}\n  reached  {reached}")
    print(f"  {'met' if met else 'MISSED'}{f'; {note}' if note else ''}")
    if keep:
        content = {"size": size, "reached": reached, "met": met, "note": note, "figures": dict(figures)}
        print(f"  kept in {measuring.keep(name, content)}")
    sys.exit(0 if met else 1)
