"""The tables of speed in the README, made from `results/*.json`: `python benchmarks/table.py` writes them.

`--check` only says whether the README has what would be written, and ends with 1 if not. Each table stands between
`<!-- speed: begin -->` and `<!-- speed: end -->`, or the same with another name.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from targets import TARGETS

HERE = Path(__file__).parent
README = HERE.parent / "README.md"


def result(name: str) -> dict[str, Any] | None:
    """What was kept of a script's last measurement, if anything."""
    path = HERE / "results" / f"{name}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def speed_table() -> str:
    """A row for each target."""
    lines = ["| work · script | wanted | reached | |", "|---|---|---|---|"]
    results = {name: result(name) for name in TARGETS}
    for name, target in TARGETS.items():
        found = results[name]
        work = f"{target.work} · `{name}`"
        if found is None:
            lines.append(f"| {work} | {target.wanted} | not measured | |")
            continue
        size = f"{found['size']}: " if found["size"] else ""
        note = f". {found['note']}" if found["note"] else ""
        lines.append(
            f"| {work} | {target.wanted} | {size}{found['reached']}{note} | {'' if found['met'] else 'missed'} |"
        )
    return "\n".join([*lines, "", *measured_on([found for found in results.values() if found])]).rstrip()


def measured_on(results: list[dict[str, Any]]) -> list[str]:
    """A sentence for each machine and set of versions: what was measured there, and when."""
    places = sorted({_place(found) for found in results})
    sentences = []
    for place in places:
        days = sorted({found["date"][:10] for found in results if _place(found) == place})
        loads = sorted(found["load"] for found in results if _place(found) == place)
        when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        load = f"{loads[0]:g}" if loads[0] == loads[-1] else f"{loads[0]:g} to {loads[-1]:g}"
        busy = f"load {load} when a script ended"
        sentences.append(f"Measured {when} on {place}; {busy}.")
    return sentences


def _place(found: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items() if name != "syncengine")
    return f"{found['machine']}; {versions}"


def peers_table() -> str:
    """What three nights cost the engine, and what they cost its peers."""
    found = result("beside_peers")
    if found is None:
        return "Not measured."
    lines = [
        f"| {found['rows']:,} contacts | | CPU s for a million rows | wall s | peak MB | requests | contacts sent |",
        "|---|---|---|---|---|---|---|",
    ]
    for who, nights in found["nights"].items():
        named = f"{who} ({found['peers'][who]})" if who in found["peers"] else f"**{who}**"
        for night, cost in nights.items():
            lines.append(
                f"| {named} | {night} | {cost['cpu_s_a_million_rows']:.1f} | {cost['wall_s']:.1f} | "
                f"{cost['peak_rss_mb']:.0f} | {cost['requests']:,.0f} | {cost['contacts_sent']:,.0f} |"
            )
            named = ""
    note = [found["note"]] if found["note"] else []
    return "\n".join([*lines, "", *note, *measured_on([found])])


TABLES = {"speed": speed_table, "peers": peers_table}


def with_tables(readme: str) -> str:
    """The README with each table as it should be. Ends the script where a table has no place in it."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, found, rest = readme.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            sys.exit(f"{README.name} has no place for the table {name!r}: {begin} … {end}")
        readme = f"{before}{begin}\n\n{table()}\n\n{end}{after}"
    return readme


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if the README has something else")
    given = parser.parse_args()
    before = README.read_text(encoding="utf-8")
    after = with_tables(before)
    if given.check:
        return int(before != after)
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
