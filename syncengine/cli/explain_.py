"""`explain CODE`: the catalogue of contacts' codes and of what commands end with, offline."""

import difflib

import click

from syncengine import catalogue, endings
from syncengine.cli._render import answer, print_table
from syncengine.errors import ConfigError


@click.command("explain")
@click.argument("code", required=False)
def command(code: str | None) -> int:
    """Say what a code of errors.csv or of a message means and what to do about it; without CODE, list them all."""
    if code is None:
        _list()
        return 0
    known = [*catalogue.BY_CODE, *endings.BY_CODE]
    if code not in known:
        near = difflib.get_close_matches(code, known, n=1)
        raise ConfigError(
            f"no code is called {code}",
            why=f"did you mean {near[0]}?" if near else "",
            fix="syncengine explain lists them all",
            code="code-unknown",
        )
    contact, ending = catalogue.BY_CODE.get(code), endings.BY_CODE.get(code)
    if contact is not None:
        answer(f"{contact.code} ({contact.stage.value})")
        answer(f"  {contact.meaning}")
        answer(f"  what to do: {contact.advice}")
        answer(
            f"  {'a later run tries it again by itself' if contact.again else 'not sent again until the row changes'}"
        )
    if ending is not None:
        answer(f"{ending.code} ({_ends(ending)})")
        answer(f"  {ending.meaning}")
        answer(f"  what to do: {ending.advice}")
    return 0


def _list() -> None:
    print_table(["CODE", "STAGE", "MEANING"], [[e.code, e.stage.value, e.meaning] for e in catalogue.ENTRIES])
    answer("")
    print_table(["CODE", "A COMMAND ENDS", "MEANING"], [[e.code, _ends(e), e.meaning] for e in endings.ENDINGS])


def _ends(ending: endings.Ending) -> str:
    return "a remark" if ending.exit_code is None else f"exit {ending.exit_code}"
