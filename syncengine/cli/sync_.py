"""`sync`: plan, show the plan, ask on a terminal, carry it out; go on with an unfinished run."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncengine.cli._exit import SCHEMA_VERSION, as_document, code_of, gravest, told
from syncengine.cli._options import config_meant, config_option, json_option, load, loading_modules, refuse_token
from syncengine.cli._render import answer, can_ask, plan_lines, plan_sentence, say, summary_lines
from syncengine.config.finding import likely_source
from syncengine.digests import DigestAhead
from syncengine.errors import ConfigError, InterruptedRunError

if TYPE_CHECKING:
    from syncengine.cli._progress import Progress
    from syncengine.events import Event


@click.command("sync")
@click.argument("jobs", nargs=-1, metavar="[JOB]…")
@config_option
@json_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option("--fresh", is_flag=True, help="Discard the plan of an unfinished run and plan anew.")
@click.option(
    "--plan", "given", type=click.Path(exists=True, file_okay=False), help="Carry out exactly the plan in DIR."
)
@click.option("--dry-run", is_flag=True, help="The same as plan.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Requests a second, over the config.")
@click.option("--concurrency", type=click.IntRange(1, 256), help="Requests in flight at most, over the config.")
@click.option("--max-missing", help="Let this many contacts leave: 10% or a number.")
@click.option("--max-shrink", help="Let the source shrink by this much: 30% or a number.")
@click.option("--max-held", help="Let this many rows be held: 60% or a number.")
@click.option("--fail-on", help="Exit with 3 when more than this are rejected or unresolved: 1% or a number.")
@click.option(
    "--max-requests", type=click.IntRange(min=1), help="Begin nothing more after this many requests; go on later."
)
@click.option("--until", metavar="HH:MM", help="Stop at this time; go on later.")
@click.option("--token", hidden=True, expose_value=False, callback=refuse_token)
@click.option("--wait-lock", type=click.FloatRange(min=0), default=0.0, help="Seconds to wait for another run.")
@click.option("--show-pii", is_flag=True, help="Show addresses in full, in the log as well.")
@click.pass_context
def command(context: click.Context, /, jobs: tuple[str, ...], config_here: str | None, **flags: Any) -> int:
    """Plan, show the plan, ask (on a terminal; --yes elsewhere), and carry it out.

    A run that was interrupted goes on by itself: its plan stands, and only what is not confirmed is sent.

    \b
    syncengine sync newsletter
    syncengine sync --yes --json           # all jobs, as cron would
    """
    ahead = _digest_ahead(config_meant(context, config_here), jobs)
    with loading_modules():
        loaded = load(context, config_here)
        from syncengine import bootstrap  # noqa: PLC0415  # not for --help
        from syncengine.bootstrap.syncing import sync_jobs  # noqa: PLC0415

    workshop = bootstrap.Workshop(loaded, _overrides(flags), show_pii=flags["show_pii"], ahead=ahead)
    chosen = workshop.jobs(jobs)
    if flags["dry_run"]:
        if flags["given"]:
            raise click.UsageError("--dry-run makes a plan, and --plan has one: give one of the two")
        from syncengine.cli.plan_ import CHANGES, show_plans  # noqa: PLC0415

        code = show_plans(workshop, chosen, out=None, wait_lock=flags["wait_lock"], as_json=flags["as_json"])
        return 0 if code == CHANGES else code
    screen = Screen(as_json=flags["as_json"], yes=flags["yes"])
    given = Path(flags["given"]) if flags["given"] else None
    if given is not None and len(chosen) > 1:
        raise click.UsageError("--plan is for one job: name it")
    ended = sync_jobs(workshop, chosen, screen, wait_lock=flags["wait_lock"], fresh=flags["fresh"], given=given)
    return screen.finish(ended)


def _digest_ahead(config: Path, jobs: tuple[str, ...]) -> DigestAhead | None:
    """The digest of the first job's file, begun now: a sync of a file that did not change has little else to do."""
    written = likely_source(config, jobs)
    if written is None:
        return None
    return DigestAhead(config.resolve().parent / os.path.expanduser(written))  # noqa: PTH111  # as the source finds it


def _overrides(flags: dict[str, Any]) -> Any:
    from syncengine import bootstrap  # noqa: PLC0415
    from syncengine.config.model import Bound, read_bound  # noqa: PLC0415

    def bound(name: str) -> Bound | None:
        if flags[name] is None:
            return None
        try:
            value = read_bound(flags[name])
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=f"--{name.replace('_', '-')}") from error
        return value if isinstance(value, Bound) else None

    return bootstrap.Overrides(
        rate=flags["rate"],
        concurrency=flags["concurrency"],
        max_missing=bound("max_missing"),
        max_shrink=bound("max_shrink"),
        max_held=bound("max_held"),
        fail_on=bound("fail_on"),
        max_requests=flags["max_requests"],
        until=flags["until"],
    )


def _confirmed(question: str) -> bool:
    """Ask a person. Raises InterruptedRunError on Ctrl-C, which is the event loop's otherwise and would wait for it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        say()
        raise InterruptedRunError(
            "stopped at the question", signal_number=signal.SIGINT, sent="nothing was sent"
        ) from None
    finally:
        signal.signal(signal.SIGINT, before)


class Screen:
    """What a person sees of a sync (a `bootstrap.Screen`): the plan, the question, progress, and what became of it."""

    def __init__(self, *, as_json: bool, yes: bool) -> None:
        self._as_json = as_json
        self._yes = yes
        self._progress: Progress | None = None  # until there is any
        self._declined = False
        self._documents: list[dict[str, Any]] = []

    def approve(self, view: Mapping[str, Any]) -> bool:
        """Show the plan; ask where there is a terminal. Raises ConfigError where there is none and no --yes."""
        self._declined = False
        changes = sum(view["planned"].values())
        if view["resumed"]:
            say(f"{view['job']}: run {view['run'][:13]} is not finished; its plan stands (--fresh makes a new one)")
        elif not self._as_json:
            for line in plan_lines(view):
                say(line)
            say()
            say(plan_sentence(view["planned"], len(view["variables"])))
        if self._yes or not changes or view["resumed"]:
            return True
        if self._as_json or not can_ask():
            raise ConfigError(
                "nobody is there to say yes",
                why="stdin is no terminal, and the plan has changes",
                fix="run it with --yes; to look first: syncengine plan",
                code="yes-missing",
            )
        self._declined = not _confirmed("Send this?")
        return not self._declined

    def observe(self, event: "Event") -> None:
        if self._progress is None:
            from syncengine.cli._progress import progress  # noqa: PLC0415  # not for a run without a change

            self._progress = progress()
        self._progress(event)

    def stopping(self, reason: str) -> None:
        say(f"{reason}: stopping. What is in flight is being finished; again to leave at once.")

    def ended(self, end: Any) -> None:
        """Close the progress and tell how the job ended."""
        if self._progress is not None:
            self._progress.close()
            self._progress = None
        document = end.report.to_json() if end.report else {"job": end.job, "result": "failed"}
        if end.problem is not None:
            document["error"] = as_document(end.problem)
        self._documents.append(document)
        if self._declined and end.problem is None:
            say("Nothing was sent.")
        elif not self._as_json and end.report is not None:
            for line in summary_lines(end.report.to_json()):
                answer(line)
        if end.problem is not None:
            say(told(end.problem))

    def finish(self, ends: list[Any]) -> int:
        """Print the JSON answer; give the exit code."""
        if self._as_json:
            answer(json.dumps({"schema_version": SCHEMA_VERSION, "runs": self._documents}))
        return gravest([code_of(end) for end in ends])
