"""A preset brought to a file: which of its columns are there, and what they mean. Pure."""

import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from syncengine.errors import SourceError
from syncengine.model import VariableType
from syncengine.normalise.mapping import HoldRule, Several, VariableRule
from syncengine.normalise.names import names_a_phone
from syncengine.presets.model import ConsentHint, Preset
from syncengine.presets.recognition import folded, is_dropped


@dataclass(frozen=True, slots=True)
class Taken:
    """What a preset takes from a file, by the file's own headers.

    variables   of the preset that the file has; `formats` are the preset's for dates
    others      columns it neither takes nor drops, in file order
    opt_outs    who is not subscribed; `holds` which rows are not looked at
    notes       what a person must be told, the loudest first
    """

    email: tuple[str, ...]
    several: Several
    name: str | None
    id: str | None
    variables: tuple[VariableRule, ...]
    opt_outs: tuple[HoldRule, ...]
    holds: tuple[HoldRule, ...]
    dropped: tuple[str, ...]
    others: tuple[str, ...]
    notes: tuple[str, ...]


def resolve(
    preset: Preset, columns: Sequence[str], *, files: Sequence[str] = (), separator: str | None = None
) -> Taken:
    """What `preset` makes of a source with these columns, in these files. `separator` is theirs, where they have one.

    `email` is empty where the source has none of the preset's columns for addresses.
    """
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(folded(column), column)
    email = tuple(_present(preset.email.columns, by_name))
    rules = [(_first(rule.column, by_name), rule) for rule in preset.consent]
    conditions = [(rule.action, _condition(rule, column)) for column, rule in rules if column is not None]
    opt_outs = tuple(condition for action, condition in conditions if action == "opt_out")
    holds = tuple(condition for action, condition in conditions if action == "hold")
    name, id_ = _first(preset.full_name, by_name), _first(preset.id, by_name)
    variables = tuple(_variables(preset, by_name))
    taken = {*email, name, id_, *(rule.column for rule in variables), *(rule.column for rule in (*opt_outs, *holds))}
    dropped = tuple(column for column in columns if column not in taken and is_dropped(preset, column))
    return Taken(
        email,
        preset.email.several,
        name,
        id_,
        variables,
        opt_outs,
        holds,
        dropped,
        tuple(column for column in columns if column not in {*taken, *dropped}),
        tuple(_notes(preset, by_name, files, separator)),
    )


def _present(headers: Iterable[str], by_name: dict[str, str]) -> Iterator[str]:
    found = (by_name.get(folded(header)) for header in headers)
    yield from dict.fromkeys(column for column in found if column is not None)


def _first(headers: Iterable[str], by_name: dict[str, str]) -> str | None:
    return next(_present(headers, by_name), None)


def _variables(preset: Preset, by_name: dict[str, str]) -> Iterator[VariableRule]:
    for name, hint in preset.columns.items():
        column = _first(hint.column, by_name)
        if column is None:
            continue
        formats = preset.dates if hint.type is VariableType.DATE else ()
        is_text = hint.type is not VariableType.DATE
        phone = (is_text and names_a_phone(column, name)) if hint.phone is None else hint.phone
        yield VariableRule(name, column, hint.type, formats, on_error=hint.on_error, phone=phone)


def _condition(rule: ConsentHint, column: str) -> HoldRule:
    code = "opted-out" if rule.action == "opt_out" else "rule"
    return HoldRule(column, rule.is_, rule.not_empty, code, none_of=rule.is_not, like=rule.like, yes=rule.yes)


def _notes(preset: Preset, by_name: dict[str, str], files: Sequence[str], separator: str | None) -> Iterator[str]:
    own = next((rule.column for rule in preset.consent if rule.action == "opt_out"), ())
    names = [file.replace("\\", "/").rpartition("/")[2] for file in files]
    lacking = [glob for glob in preset.read.expects if not fnmatch.filter(names, glob)]
    if preset.no_opt_out and (lacking or _first(own, by_name) is None):
        yield preset.no_opt_out + (f" (missing: {', '.join(lacking)})" if lacking else "")
    if preset.preview:
        yield f"the preset {preset.name} is a preview: its headers and words are from hearsay, so look twice"
    if separator is not None and preset.read.separators and separator not in preset.read.separators:
        yield (
            f"{preset.title} separates cells by {' or '.join(map(repr, preset.read.separators))} and this file by "
            f"{separator!r}: a spreadsheet saved it again, which rounds telephone numbers and turns dates around"
        )
    yield from preset.warn


def no_address(preset: Preset, columns: Sequence[str]) -> SourceError:
    """What to tell where no column for addresses is there."""
    listed = ", ".join(columns[:30]) + (f" and {len(columns) - 30} more" if len(columns) > 30 else "")
    return SourceError(
        f"the file has none of the address columns of the preset {preset.name}",
        why=f"it knows {', '.join(preset.email.columns)}; the file has: {listed}",
        fix='name the column: [job.columns] email = "…", or export the file with it',
        code="column-missing",
    )
