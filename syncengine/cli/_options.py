"""Options that several verbs share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from syncengine.config.loading import Loaded, find_config, load_config

Command = TypeVar("Command", bound=Callable[..., Any])


def config_option(command: Command) -> Command:
    """`-c FILE`, also behind the verb."""
    return click.option("-c", "--config", "config_here", type=click.Path(dir_okay=False), help="The config file.")(
        command
    )


def json_option(command: Command) -> Command:
    """`--json`: exactly one JSON document on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def load(context: click.Context, config_here: str | None) -> Loaded:
    """The config the user meant: `-c` after the verb, `-c` before it, or the one found. Raises ConfigError."""
    named = config_here or (context.find_root().obj or {}).get("config")
    return load_config(Path(named) if named else find_config(Path.cwd(), os.environ))
