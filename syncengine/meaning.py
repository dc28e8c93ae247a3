"""What the columns of a source mean for a job: from its config and the source's header alone.

Imports nothing that is slow to load. Raises SourceError and ConfigError.
"""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from syncengine.config.model import ActiveColumn, Columns, EmailColumn, Hold, Job, PresetJob, VariableTable
from syncengine.errors import ConfigError, SourceError
from syncengine.model import FINGERPRINT_SCHEME, VariableType
from syncengine.normalise.mapping import ActiveRule, EmailRule, HoldRule, VariableRule
from syncengine.normalise.mapping import Mapping as RowMapping
from syncengine.normalise.names import choose_names, names_a_phone

if TYPE_CHECKING:
    from syncengine.presets import Preset, Taken

IGNORED_PREFIX = "#"  #: columns we put into files for people, and do not read back


@dataclass(frozen=True, slots=True)
class Header:
    """A source as far as its header tells: what it is called, its columns, and the files a preset may know by name."""

    name: str
    columns: tuple[str, ...]
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the columns mean, as far as it is configured: the type of a variable may be decided by what it holds.

    job             with everything written out that its config leaves to a preset
    digest          changes when a row could come to mean something else
    mapping_json    the mapping, to tell later what changed
    names           column → variable, to be stored
    notes           what a person must be told of the file
    """

    job: Job
    mapping: RowMapping
    digest: str
    mapping_json: str
    names: Mapping[str, str]
    notes: tuple[str, ...] = ()


def meaning_of(job: Job, header: Header, *, names: Mapping[str, str], preset: "Preset | None" = None) -> Meaning:
    """What the columns in `header` mean for `job`. `names` are the variables as chosen in earlier runs, by column;
    `preset` is the one that `job` names.
    """
    job, notes = _with_preset(job, header, preset)
    columns = job.columns
    mapping = RowMapping(
        email=_email(columns.email),
        active=_active(columns.active),
        name=columns.name,
        key=None if job.key == "email" else job.key,
        winner=job.duplicates,
        holds=tuple(_condition(rule, "rule") for rule in job.hold),
        opt_outs=tuple(_condition(rule, "opted-out") for rule in job.opt_out),
        opted_out=job.opted_out,
        sentinels=tuple(job.sentinels),
    )
    _refuse_missing(job, header, mapping.columns())
    rules, chosen = _variables(job, header, mapping.columns(), names)
    mapping = replace(mapping, variables=rules)
    _refuse_missing(job, header, mapping.columns())
    digest = _digest(job, mapping)  # of what is configured: a type decided by the first run is no change in the second
    return Meaning(job, mapping, digest, _as_json(mapping), chosen, notes)


def _with_preset(job: Job, header: Header, preset: "Preset | None") -> tuple[Job, tuple[str, ...]]:
    """`job` with everything its config leaves to the preset written out, and what a person must be told of the file.

    The preset's opt-outs count besides those of the config: they can be added to, not be lost by adding one.
    """
    if preset is None or not isinstance(job, PresetJob):
        return job, ()
    from syncengine.presets import no_address, resolve  # noqa: PLC0415  # a dozen files

    taken = resolve(preset, header.columns, files=header.files)
    own = job.columns
    if own.email is None and not taken.email:
        raise no_address(preset, header.columns)
    whole = {
        **{name: getattr(job, name) for name in Job.model_fields},
        "columns": Columns(
            email=own.email or EmailColumn(column=list(taken.email), several=taken.several),
            active=True if own.active is None else own.active,
            name=own.name or taken.name,
        ),
        "variables": _preset_variables(taken) if job.variables is None else job.variables,
        "hold": [*job.hold, *map(_written, taken.holds)],
        "opt_out": [*job.opt_out, *map(_written, taken.opt_outs)],
        "sentinels": job.sentinels if "sentinels" in job.model_fields_set else list(preset.sentinels),
    }
    return Job(**whole), taken.notes


def _preset_variables(taken: "Taken") -> dict[str, str | VariableTable]:
    return {
        rule.name: VariableTable(
            column=rule.column, type=rule.type, formats=list(rule.formats), on_error=rule.on_error, phone=rule.phone
        )
        for rule in taken.variables
    }


def _written(rule: HoldRule) -> Hold:
    return Hold(
        column=rule.column,
        is_=list(rule.values) or None,
        is_not=list(rule.none_of) or None,
        like=list(rule.like) or None,
        not_empty=rule.not_empty,
        yes=rule.yes,
    )


def _condition(rule: Hold, code: str) -> HoldRule:
    return HoldRule(
        rule.column,
        tuple(rule.is_ or ()),
        rule.not_empty,
        code,
        none_of=tuple(rule.is_not or ()),
        like=tuple(rule.like or ()),
        yes=rule.yes,
    )


def _email(written: str | list[str] | EmailColumn) -> EmailRule:
    if isinstance(written, EmailColumn):
        return EmailRule(_several(written.column), written.several)
    return EmailRule(_several(written))


def _several(written: str | list[str]) -> tuple[str, ...]:
    return (written,) if isinstance(written, str) else tuple(written)


def _active(written: bool | str | ActiveColumn) -> ActiveRule:  # noqa: FBT001  # as the config has it
    match written:
        case bool():
            return ActiveRule(constant=written)
        case str():
            return ActiveRule(column=written)
        case ActiveColumn():
            return ActiveRule(column=written.column, invert=written.invert, empty=written.empty)


def _variables(
    job: Job,
    header: Header,
    taken: Sequence[str],
    names: Mapping[str, str],
) -> tuple[tuple[VariableRule, ...], dict[str, str]]:
    if job.variables is None:
        others = [name for name in header.columns if name not in taken and not name.startswith(IGNORED_PREFIX)]
        positions = [header.columns.index(name) + 1 for name in others]
        choices = choose_names(others, stored=names, explicit={}, positions=positions)
        chosen = {choice.column: choice.name for choice in choices}
        rules = [VariableRule(name, column, phone=names_a_phone(column, name)) for column, name in chosen.items()]
    else:
        tables = {
            name: VariableTable(column=written) if isinstance(written, str) else written
            for name, written in job.variables.items()
        }
        columns = [table.column for table in tables.values()]
        _refuse_twice(columns)
        explicit = {table.column: name for name, table in tables.items()}
        choose_names(columns, stored=names, explicit=explicit)  # for its checks: reserved names, names too alike
        chosen = explicit
        rules = [_rule(name, table) for name, table in tables.items()]
    return tuple(rules), chosen


def _rule(name: str, table: VariableTable) -> VariableRule:
    told = names_a_phone(table.column, name) and table.type is not VariableType.DATE
    phone = told if table.phone is None else table.phone
    formats = tuple(table.formats)
    return VariableRule(name, table.column, table.type, formats, table.empty, table.on_error, phone)


def _refuse_twice(columns: Sequence[str]) -> None:
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise ConfigError(f"the column {twice!r} feeds two variables", fix="remove one of the two in [job.variables]")


def _refuse_missing(job: Job, header: Header, wanted: Iterable[str]) -> None:
    missing = [column for column in wanted if column not in header.columns]
    if not missing:
        return
    near = difflib.get_close_matches(missing[0], header.columns, n=1, cutoff=0.6)
    meant = f'; did you mean "{near[0]}"?' if near else ""
    listed = ", ".join(f'"{column}"' for column in header.columns[:40])
    more = "" if len(header.columns) <= 40 else f" and {len(header.columns) - 40} more"
    others = f" (nor {', '.join(repr(column) for column in missing[1:])})" if missing[1:] else ""
    raise SourceError(
        f'{header.name}: no column "{missing[0]}"{others}{meant}',
        why=f"the file has: {listed}{more}",
        fix=f'name the right column in the job "{job.name}", or export the file with it',
        code="column-missing",
    )


def _digest(job: Job, mapping: RowMapping) -> str:
    """Changes with everything that decides what a row asks for, or what becomes of it."""
    rules = (FINGERPRINT_SCHEME, mapping.digest(), job.mode, job.consent, job.mirror.on_missing)
    return hashlib.blake2b(repr(rules).encode(), digest_size=16).hexdigest()


def _as_json(mapping: RowMapping) -> str:
    return json.dumps(asdict(mapping), ensure_ascii=False, sort_keys=True)
