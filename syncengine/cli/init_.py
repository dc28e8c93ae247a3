"""`init FILE`: a config that fits a file."""

import os
from pathlib import Path
from typing import Any

import click

from syncengine.cli._file import file_options, look_at
from syncengine.cli._render import answer, say


@click.command("init")
@file_options
@click.option("-c", "--config", "config_here", type=click.Path(dir_okay=False), help="Where to write it; else here.")
@click.option("--list", "list_id", help="The list's id; else it is to be filled in.")
@click.option("--job", default="newsletter", show_default=True, help="What to call the job.")
@click.option(
    "--consent",
    type=click.Choice(["keep", "source"]),
    default="keep",
    show_default=True,
    help="Who decides who is subscribed: SmartSender (the file may only unsubscribe), or the file.",
)
@click.option("--force", is_flag=True, help="Overwrite a config that is there.")
@click.pass_context
def command(
    context: click.Context,
    /,
    file: str,
    config_here: str | None,
    list_id: str | None,
    job: str,
    consent: str,
    *,
    force: bool,
    **how: Any,
) -> int:
    """Look at FILE and write the syncengine.toml that fits it, every line with its reason, to be edited rather than
    typed. Nothing is sent.

    \b
    syncengine init export.csv
    syncengine init export.csv --list 5537ab2a08d241dc69326b19 --consent keep
    """
    from syncengine.initialising import write_config  # noqa: PLC0415  # polars is imported here, not at start-up

    named = config_here or (context.find_root().obj or {}).get("config") or "syncengine.toml"
    target = Path(named).absolute()
    written = write_config(
        lambda: look_at(file, **how), target, file=file, job=job, list_id=list_id, consent=consent, force=force
    )
    answer(f"Wrote {os.path.relpath(target)}: {written}")
    if list_id is None:
        say("Fill in `list`: the id in the address of the list's page in SmartSender.")
    option = (
        "" if target.name == "syncengine.toml" and target.parent == Path.cwd() else f" -c {os.path.relpath(target)}"
    )
    say(f"Next:  syncengine{option} plan {job}")
    return 0
