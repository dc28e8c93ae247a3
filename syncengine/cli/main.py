"""The verbs, loaded when they are called: `--help` imports neither polars nor httpx, and takes 0.1 s."""

import atexit
import gc
import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

import click
from click.exceptions import NoSuchCommand

from syncengine.cli._exit import leave

VERBS: Final[Mapping[str, tuple[str, str]]] = {
    "demo": ("demo_", "See the whole loop on sample data: no account, no config."),
    "init": ("init_", "Look at a file and write the config that fits it."),
    "inspect": ("inspect_", "What is in a file: columns, variables, what would be held."),
    "check": ("check_", "Check config, source, token and state; send nothing."),
    "plan": ("plan_", "Show what would change; send nothing."),
    "sync": ("sync_", "Plan, show the plan, and carry it out."),
    "status": ("status_", "Jobs, their last runs, and what needs attention."),
    "errors": ("errors_", "Who was held, rejected or left unresolved, and why."),
    "retry": ("retry_", "Send a run's rejected and unresolved contacts again."),
    "explain": ("explain_", "What a code means, and what to do about it."),
    "state": ("state_", "What is remembered of a list: show, adopt, export, verify, forget, reset."),
    "webhooks": ("webhooks_", "Receive what SmartSender tells by itself: serve, rotate, status, replay, undo."),
    "mail": ("mail_", "Send a message, a template to one contact or a file of them, and measure both."),
    "dns": ("dns_", "Does a domain's DNS let SmartSender send in its name?"),
    "smartersends": ("smartersends_", "Campaigns, conversations and events of an instance of SmarterSends."),
    "sandbox": ("sandbox_", "Serve a stand-in for the SmartSender API."),
}

ALLOCATION: Final = ("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:100,muzzy_decay_ms:0")
"""Memory that polars gave back goes to the system at once, not after ten seconds. Of 3 M rows without a change a plan
peaks at 225 MB so, not at 323, in the same time. Read when polars is loaded; who sets it knows better.
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run, not when they are listed."""

    # ruff: noqa: ARG002  # click passes its context by name

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"syncengine.cli.{VERBS[cmd_name][0]}")
        command = module.command
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:  # click knows of no verb that is not imported
            raise NoSuchCommand(error.command_name, possibilities=VERBS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, line) for name, (_, line) in VERBS.items()])


EPILOG: Final = """\b
First steps
  syncengine demo                        the whole loop, without an account
  syncengine init contacts.csv           a config that fits your file
  syncengine check                       is everything in place?
  syncengine plan newsletter             what would change
  syncengine sync newsletter --yes       do it, as cron would
"""


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SYNCENGINE"},
)
@click.option(
    "-c", "--config", type=click.Path(dir_okay=False), help="The config file; else syncengine.toml here or above."
)
@click.version_option(package_name="syncengine", message="syncengine %(version)s")
@click.pass_context
def cli(context: click.Context, config: str | None) -> None:
    """Sync contact lists from any CRM export into SmartSender: see the changes first, send only what changed, never
    lose your place.
    """
    context.obj = {"config": config}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code DESIGN.md §7 gives."""
    words = sys.argv[1:] if arguments is None else arguments
    os.umask(0o077)  # whatever is written is its user's alone
    _dump_no_core()
    os.environ.setdefault(*ALLOCATION)
    atexit.register(gc.freeze)  # what is there goes with the process: to look for garbage in it takes 30 ms
    with leave(as_json="--json" in words):
        code: Any = cli.main(words, prog_name="syncengine", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)


def _dump_no_core() -> None:
    """A core file would hold the token and people's addresses."""
    try:
        import resource  # noqa: PLC0415  # POSIX only
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
