"""`explain CODE`: the catalogue, offline."""

import difflib

import click

from syncengine.catalogue import BY_CODE, ENTRIES
from syncengine.cli._render import answer, print_table
from syncengine.errors import ConfigError


@click.command("explain")
@click.argument("code", required=False)
def command(code: str | None) -> int:
    """Say what a code of errors.csv means and what to do about it; without CODE, list them all."""
    if code is None:
        print_table(["CODE", "STAGE", "MEANING"], [[e.code, e.stage.value, e.meaning] for e in ENTRIES])
        return 0
    entry = BY_CODE.get(code)
    if entry is None:
        near = difflib.get_close_matches(code, BY_CODE, n=1)
        raise ConfigError(
            f"no code is called {code}",
            why=f"did you mean {near[0]}?" if near else "",
            fix="syncengine explain lists them all",
            code="code-unknown",
        )
    answer(f"{entry.code} ({entry.stage.value})")
    answer(f"  {entry.meaning}")
    answer(f"  what to do: {entry.advice}")
    answer(f"  {'a later run tries it again by itself' if entry.again else 'not sent again until the row changes'}")
    return 0
