"""What `inspect` and `init` share: a file on the command line, and how to read it where looking is not enough."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from syncengine.inspection import Inspection

Command = TypeVar("Command", bound=Callable[..., Any])


def file_options(command: Command) -> Command:
    """`FILE`, and the options that say how to read it."""
    for decorate in (
        click.option("--sheet", help="The sheet of a workbook; else the first."),
        click.option("--member", help="The file inside a zip, by name or glob."),
        click.option("--separator", help='What separates the cells; a tab is "\\t".'),
        click.option("--encoding", help="The encoding of the file: cp1252, cp1251, utf-16 …"),
        click.option("--preset", help='The CRM the file is from; "none" for none. Else its headers tell.'),
        click.argument("file"),
    ):
        command = decorate(command)
    return command


def look_at(
    file: str, *, preset: str | None, encoding: str | None, separator: str | None, member: str | None, sheet: str | None
) -> "Inspection":
    """The file, inspected. Raises SourceError, ConfigError."""
    from syncengine.inspection import inspect_file  # noqa: PLC0415  # polars is imported here, not at start-up

    separator = "\t" if separator == "\\t" else separator
    options = {"encoding": encoding, "separator": separator, "member": member, "sheet": sheet}
    told = {name: value for name, value in options.items() if value is not None}
    return inspect_file(file, Path.cwd(), preset=preset, told=told)
