"""`retry`: send a run's rejected and unresolved contacts again."""

from typing import Any

import click

from syncengine.cli._options import config_option, json_option, load
from syncengine.cli._render import say


@click.command("retry")
@click.argument("run", required=False)
@config_option
@json_option
@click.option("--code", help="Only contacts refused with this code.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option("--wait-lock", type=click.FloatRange(min=0), default=0.0, help="Seconds to wait for another run.")
@click.pass_context
def command(
    context: click.Context,
    run: str | None,
    config_here: str | None,
    code: str | None,
    wait_lock: float,
    *,
    as_json: bool,
    yes: bool,
) -> int:
    """Send again who was rejected or left unresolved in RUN (in any run, if left out), and sync.

    A contact that was refused is not sent again by itself until its row, the mapping or the rules change. This does.

    \b
    syncengine retry 0198a2b3
    syncengine retry --code variable-missing
    """
    from syncengine import bootstrap, overview  # noqa: PLC0415  # polars and httpx are imported here
    from syncengine.cli.sync_ import Screen  # noqa: PLC0415
    from syncengine.errors import ConfigError  # noqa: PLC0415

    loaded = load(context, config_here)
    workshop = bootstrap.Workshop(loaded)
    jobs = workshop.jobs([])
    if run is not None:
        view = overview.find_run(workshop.state_folder, run)
        if view is None:
            raise ConfigError(
                f"no run is called {run}", fix="syncengine status shows the last runs", code="run-unknown"
            )
        run, jobs = view.run, workshop.jobs([view.job])
    with bootstrap.open_session(workshop, wait_lock=wait_lock, doing="retry") as session:
        dropped = sum(session.state(job).drop_refusals(run=run, code=code) for job in _one_a_list(jobs))
    say(f"{dropped:,} contacts that were refused may be sent again.")
    screen = Screen(as_json=as_json, yes=yes)
    return screen.finish(bootstrap.sync_jobs(workshop, jobs, screen, wait_lock=wait_lock))


def _one_a_list(jobs: list[Any]) -> list[Any]:
    return list({job.list_id: job for job in jobs}.values())
