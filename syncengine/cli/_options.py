"""Options that several verbs share."""

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from syncengine.config.finding import find_config
from syncengine.errors import ConfigError

if TYPE_CHECKING:
    from syncengine.config.loading import Loaded

Command = TypeVar("Command", bound=Callable[..., Any])


def config_option(command: Command) -> Command:
    """`-c FILE`, also behind the verb."""
    return click.option("-c", "--config", "config_here", type=click.Path(dir_okay=False), help="The config file.")(
        command
    )


def json_option(command: Command) -> Command:
    """`--json`: exactly one JSON document on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def config_meant(context: click.Context, config_here: str | None) -> Path:
    """The config the user meant: `-c` after the verb, `-c` before it, or the one found. Raises ConfigError."""
    named = config_here or (context.find_root().obj or {}).get("config")
    return Path(named) if named else find_config(Path.cwd(), os.environ)


def load(context: click.Context, config_here: str | None) -> "Loaded":
    """The config the user meant, checked. Raises ConfigError."""
    from syncengine.config.loading import load_config  # noqa: PLC0415  # what checks it takes 50 ms to load

    return load_config(config_meant(context, config_here))


_OFTEN: Final = 0.0002  #: seconds; at Python's 0.005 a sync of a file of 1.2 GB that did not change takes 8 % more


@contextlib.contextmanager
def loading_modules() -> Iterator[None]:
    """For a block that does. They leave no garbage, and to look for it takes a tenth of the time; and the thread that
    hashes the source meanwhile is let in sooner: it needs the interpreter twice a megabyte, for no time.
    """
    was_enabled, interval = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(_OFTEN)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if was_enabled:
            gc.enable()


def no_secret_options(command: Command) -> Command:
    """`--token`, `--key`, `--secret`: known, so that they can be refused with a word about why."""
    for name in ("--token", "--key", "--secret"):
        command = click.option(name, hidden=True, expose_value=False, callback=refuse_token)(command)
    return command


def refuse_token(context: click.Context, option: click.Parameter, value: str | None) -> None:
    """A token on the command line stands in the list of processes for everybody to read."""
    if value is not None:
        section, service = (
            ("smartersends",) * 2 if "smartersends" in context.command_path else ("account", "smartsender")
        )
        variable = f"{service}_{option.name}".upper()
        raise ConfigError(
            f"a {option.name} is not taken from the command line",
            why="everybody on this machine can read the command lines of others",
            fix=f'export {variable}=…    and in [{section}]: {option.name} = "${{{variable}}}"',
            code="token-on-command-line",
        )
