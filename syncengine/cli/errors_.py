"""`errors`: who was held, rejected or left unresolved, and why, grouped; or as a file to mend and load again."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from syncengine import overview
from syncengine.catalogue import BY_CODE
from syncengine.cli._exit import SCHEMA_VERSION
from syncengine.cli._options import config_option, json_option, load
from syncengine.cli._render import answer, print_table, say
from syncengine.durable import drafted
from syncengine.errors import ConfigError

HEAD = 6  #: columns of errors.csv before the source's own
STAGES = ("held", "rejected", "unresolved")


@click.command("errors")
@click.argument("run", required=False)
@config_option
@json_option
@click.option("--csv", "target", type=click.Path(dir_okay=False), help="Write the rows with their own columns to FILE.")
@click.option("--held", "only", flag_value="held", help="Only rows we did not send.")
@click.option("--rejected", "only", flag_value="rejected", help="Only contacts the service rejected.")
@click.option("--unresolved", "only", flag_value="unresolved", help="Only contacts no answer speaks of.")
@click.option("--code", help="Only this code.")
@click.pass_context
def command(
    context: click.Context,
    run: str | None,
    config_here: str | None,
    target: str | None,
    only: str | None,
    code: str | None,
    *,
    as_json: bool,
) -> int:
    """Show who was not sent or not confirmed in RUN (the last one if left out), grouped by reason.

    \b
    syncengine errors
    syncengine errors --rejected --csv mend.csv
    """
    loaded = load(context, config_here)
    folder = loaded.folder / loaded.config.state.path
    view = overview.find_run(folder, run)
    if view is None:
        raise ConfigError(
            f"no run is called {run}" if run else "there is no run yet",
            fix="syncengine status shows the last runs" if run else "syncengine sync",
            code="run-unknown",
        )
    file = _file_of(view)
    groups = _groups(file, only, code)
    if as_json:
        document = {"schema_version": SCHEMA_VERSION, "run": view.run, "errors": groups, "file": str(file)}
        answer(json.dumps(document))
    else:
        _show(view, groups, file)
    if target is not None:
        say(f"{_write(file, Path(target), only, code):,} rows written to {target}")
    return 0


def _file_of(view: overview.RunView) -> Path:
    """errors.csv of a run. It need not be there for a run of which there is nothing to tell. Raises ConfigError."""
    file = Path(view.facts.get("paths", {}).get("errors", ""))
    if not file.is_file() and any(view.facts.get(stage) for stage in STAGES):
        raise ConfigError(
            f"the errors of run {view.run[:13]} are gone",
            why=f"there is no file {file}",
            fix=f"syncengine plan {view.job} --json names a new errors.csv with who would be held",
            code="errors-gone",
        )
    return file


def _groups(file: Path, only: str | None, code: str | None) -> list[dict[str, Any]]:
    counts: dict[tuple[str, str], int] = {}
    for row in _rows(file, only, code):
        counts[row[3], row[4]] = counts.get((row[3], row[4]), 0) + 1
    return [
        {"stage": stage, "code": name, "count": count, **_entry(name)}
        for (stage, name), count in sorted(counts.items(), key=lambda item: (STAGES.index(item[0][0]), -item[1]))
    ]


def _entry(code: str) -> dict[str, str]:
    entry = BY_CODE.get(code)
    return {"meaning": entry.meaning if entry else "", "advice": entry.advice if entry else ""}


def _show(view: overview.RunView, groups: list[dict[str, Any]], file: Path) -> None:
    if not groups:
        answer(f"{view.job}, run {view.run[:13]}: nobody was held, rejected or left unresolved.")
        return
    rows = [[g["code"], f"{g['count']:,}", g["stage"], g["meaning"], g["advice"]] for g in groups]
    print_table(["CODE", "COUNT", "STAGE", "WHAT", "WHAT TO DO"], rows, right=[1])
    total = sum(group["count"] for group in groups)
    say(f"\n{total:,} rows with line, reason and their own columns:  {file}")
    say(f"More:            syncengine explain {groups[0]['code']}")
    say(f"A file to mend:  syncengine errors {view.run[:13]} --csv mend.csv")


def _rows(file: Path, only: str | None, code: str | None) -> Iterator[list[str]]:
    """Rows of errors.csv without its header."""
    csv.field_size_limit(sys.maxsize)
    if not file.is_file():
        return
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines)
        next(reader, None)
        for row in reader:
            if (only is None or row[3] == only) and (code is None or row[4] == code):
                yield row


def _write(file: Path, target: Path, only: str | None, code: str | None) -> int:
    """A file with the source's own columns first, so that it can be mended and loaded; ours follow, marked with #."""
    header: list[str] = []
    if file.is_file():
        with file.open(encoding="utf-8", newline="") as lines:
            header = next(csv.reader(lines))
    count = 0
    with drafted(target.absolute()) as draft, draft.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*header[HEAD:], *(f"#{name}" for name in ("row", "stage", "code", "reason"))])
        for row in _rows(file, only, code):
            writer.writerow([*row[HEAD:], row[0], row[3], row[4], row[5]])
            count += 1
    return count
